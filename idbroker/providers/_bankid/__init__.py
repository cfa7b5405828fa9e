"""Swedish BankID's RP API v6.0: asking, waiting, and the proof of what was signed."""
