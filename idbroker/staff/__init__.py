"""The people who work at a clinic, and programs of theirs: who they are, what they may do, how they sign in."""
