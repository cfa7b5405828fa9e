"""People who sign in without an eID, and what all people agreed to: accounts, enrolments, links, consents."""
