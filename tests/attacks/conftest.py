"""One broker for all attacks: they may not break it, so they may share it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey

from idbroker.client import secret_digest
from idbroker.clock import StoppedClock
from tests.door import Door, open_door

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ORIGIN = "https://spa.test"
OTHER_CALLBACK = "https://other.test/callback"
POSTER_SECRET = "s:e c+r%t/æ"
CLIENT_KEY = ECKey.generate_key("P-256", {"kid": "client-1", "use": "sig"})

_PUBLIC: Mapping[str, Any] = {
    "auth_method": "none",
    "secret_digests": [],
    "scopes": ["openid", "profile", "offline_access"],
    "national_number": False,
    "refresh": "rotate",
    "origins": [ORIGIN],
}
CLIENTS: Mapping[str, Mapping[str, Any]] = {
    "other": {"redirect_uris": [OTHER_CALLBACK], "post_logout_redirect_uris": ["https://other.test/bye"]},
    "public": _PUBLIC,
    "poster": {"auth_method": "client_secret_post", "secret_digests": [secret_digest(POSTER_SECRET)]},
    "jwt": {"access_token": "jwt"},
    "legacy": {"require_pkce": False},
    "onlyquery": {"response_modes": ["query"]},
    "rs": {"id_token_alg": "RS256"},
    "resource": {"introspect": True},
    "asserting": {
        "auth_method": "private_key_jwt",
        "secret_digests": [],
        "jwks": {"keys": [CLIENT_KEY.as_dict(private=False)]},
    },
    "strict": {"minimum": "high"},
    "gone": {"disabled": True},
}


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Open the broker once."""
    with open_door(tmp_path_factory.mktemp("attacked"), StoppedClock(NOW), clients=CLIENTS) as opened:
        yield opened


@pytest.fixture
def door(attacked: Door) -> Iterator[Door]:
    """Give the shared broker, healed afterwards."""
    yield attacked
    attacked.faults.clear()
