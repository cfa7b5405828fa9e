"""The parts of Suomi.fi e-Authorizations for people: its checksum, its calls, its answers."""
