"""idbroker: a self-hosted identity broker for Nordic health care."""
