"""Benchmarks: what a sign-in costs, and where it goes. `python -m bench --help`; README.md says what is measured."""
