"""The broker with a MitID behind it that is made of oidc-provider, a certified OpenID provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, Key, RSAKey

from idbroker.sandbox.people import SimPerson
from tests.door import Door, open_door
from tests.peers.node import Peer, RunningClock, run

SECRET = "upstream-secret"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """How the two know one another: what oidc-provider registers, how it is set, what our provider is told."""

    client: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    provider: Mapping[str, Any] = field(default_factory=dict)


def by_secret(alg: str = "RS256", **client: Any) -> Upstream:
    """Return how we are known by a secret, with ID tokens signed by an algorithm."""
    return Upstream(
        client={
            "token_endpoint_auth_method": "client_secret_basic",
            "client_secret": SECRET,
            "id_token_signed_response_alg": alg,
            **client,
        }
    )


def by_key(alg: str) -> Upstream:
    """Return how we are known by our key, which oidc-provider reads from our own key set."""
    return Upstream(
        client={
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": alg,
            "id_token_signed_response_alg": "ES256",
            "require_pushed_authorization_requests": True,
        },
        provider={"auth_method": "private_key_jwt", "client_secret": None, "assertion_alg": alg},
    )


def not_pushed() -> Upstream:
    """Return how we are known where the provider offers to take pushed requests, and we are told not to."""
    return replace(by_secret(), provider={"pushed": False})


@contextmanager
def open_before(upstream: Upstream, folder: Path) -> Iterator[tuple[Door, Peer]]:
    """Serve oidc-provider, and the broker that asks it; give the door, and oidc-provider to ask what it saw."""
    with run("op.mjs") as peer:
        issuer = str(peer.does("listen"))
        with open_door(folder, RunningClock(), provider={"issuer": issuer, **upstream.provider}) as door:
            people = {person.id: _claims(person) for person in door.people.values() if "mitid" in person.eids}
            client = _client(door.issuer, upstream)
            settings = dict(upstream.settings)
            peer.does("open", issuer=issuer, people=people, client=client, keys=_keys(), settings=settings)
            yield door, peer


def _client(broker: str, upstream: Upstream) -> dict[str, Any]:
    return {
        "client_id": "idbroker",
        "redirect_uris": [f"{broker}/callback/mitid"],
        "jwks_uri": f"{broker}/jwks.json",
        "scope": "openid mitid ssn",
        **upstream.client,
    }


def _claims(person: SimPerson) -> dict[str, Any]:
    number = {"dk.cpr": person.number} if person.number else {}
    return {
        "idp": "mitid",
        "neb_sid": f"session-of-{person.id}",
        "mitid.uuid": person.uuid,
        "mitid.date_of_birth": person.born.isoformat(),
        "mitid.identity_name": person.name,
        "mitid.has_cpr": "true" if person.number else "false",
        **number,
    }


@cache
def _keys() -> list[dict[str, Any]]:
    made: dict[str, Key] = {
        "ES256": ECKey.generate_key("P-256", auto_kid=True),
        "PS256": RSAKey.generate_key(auto_kid=True),
        "RS256": RSAKey.generate_key(auto_kid=True),
    }
    return [{**key.as_dict(private=True), "use": "sig", "alg": alg} for alg, key in made.items()]
