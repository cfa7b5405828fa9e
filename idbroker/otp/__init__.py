"""One-time codes: made, kept as keyed hashes, counted before they are compared, good once; and throttles."""
