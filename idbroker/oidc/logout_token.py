"""The token that tells a client that a sign-on has ended (OpenID Connect Back-Channel Logout 1.0, 2.4)."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from idbroker.oidc import jose

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYP = "logout+jwt"
LIFE = timedelta(minutes=2)  # "at most two minutes in the future" (2.4)


def logout_token(*, issuer: str, client_id: str, subject: str, sid: str, now: datetime, signer: jose.Signer) -> str:
    """Return a signed logout token for one client and one of its sessions.

    `subject` and `sid` are those of the client's ID tokens. It has a type of its own and never a
    nonce, so that it cannot be used as an ID token, nor an ID token as it (2.4; RFC 8725, 3.11).
    """
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": secrets.token_urlsafe(16),
        "sid": sid,
        "events": {EVENT: {}},
    }
    return jose.sign(claims, signer, typ=TYP)
