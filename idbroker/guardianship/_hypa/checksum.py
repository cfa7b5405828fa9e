"""What every call to Suomi.fi e-Authorizations is signed with.

Source: DVV's service hub, "Asiointivaltuustarkastus", technical interface, on the checksum. The host is not signed.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

HEADER = "X-AsiointivaltuudetAuthorization"


def checksum(key: str, path_and_query: str, timestamp: str) -> str:
    """Return the HMAC-SHA256 of path, query and moment as they are sent, in base64."""
    return base64.b64encode(hmac.digest(key.encode(), f"{path_and_query} {timestamp}".encode(), "sha256")).decode()


def stamp(moment: datetime) -> str:
    """Return a moment as the register reads it: ISO 8601, microseconds, offset; it may differ by five minutes."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def header(client_id: str, key: str, path_and_query: str, moment: datetime) -> str:
    """Return the value of the header."""
    timestamp = stamp(moment)
    return f"{client_id} {timestamp} {checksum(key, path_and_query, timestamp)}"
