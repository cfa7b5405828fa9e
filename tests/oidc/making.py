"""What the engine's tests are made of: clients, requests, and tokens put together by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import pytest
from joserfc.jws import JWSRegistry

from idbroker.client import Client, Clients, secret_digest
from idbroker.errors import OAuthError
from idbroker.grant import Grant
from idbroker.oidc import authorize, jose
from idbroker.oidc.authorize import Refused
from idbroker.oidc.parameters import Parameters, parse_form
from idbroker.oidc.secret import Secret, new_family, new_secret
from idbroker.oidc.token import CODE_LIFE
from idbroker.request import SigninRequest
from tests.conftest import NOW

ISSUER = "https://id.example.org"
CALLBACK = "https://portal.example.org/callback"
GOODBYE = "https://portal.example.org/goodbye"
CLAIMS = {"iss": "a", "sub": "b"}
SECRET = "a secret of 256 bits, say"
# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def make_client(**changes: Any) -> Client:
    """Return a portal with a secret, changed as told."""
    settings: dict[str, Any] = {
        "id": "portal",
        "name": {"en": "Portal"},
        "clinic": "clinea",
        "redirect_uris": (CALLBACK,),
        "post_logout_redirect_uris": (GOODBYE,),
        "secret_digests": (secret_digest(SECRET),),
    }
    return Client(**{**settings, **changes})


def asked(**changes: str | None) -> Parameters:
    """Return the parameters of a good authorization request, changed as told; None leaves one out."""
    good: dict[str, str | None] = {
        "client_id": "portal",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "the state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return form({k: v for k, v in {**good, **changes}.items() if v is not None})


def form(fields: Mapping[str, str]) -> Parameters:
    """Return parameters as they come off the wire."""
    return parse_form("&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in fields.items()).encode())


def make_grant(client: Client, code: Secret | None = None, **changes: Any) -> Grant:
    """Return a grant for a client, its code not yet redeemed."""
    code = code or new_secret(new_family())
    settings: dict[str, Any] = {
        "id": code.family,
        "client_id": client.id,
        "person": "person-1",
        "clinic": client.clinic,
        "provider": "mitid",
        "subject": "pairwise-subject",
        "scopes": ("openid",),
        "auth_time": NOW,
        "acr": "substantial",
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_digest": code.digest,
        "code_expires_at": NOW + CODE_LIFE,
    }
    return Grant(**{**settings, **changes})


def b64(octets: bytes | str) -> str:
    """Return base64url without padding (RFC 7515, 2)."""
    raw = octets.encode() if isinstance(octets, str) else octets
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: Mapping[str, Any] | str, payload: Mapping[str, Any] | str, sign: Callable[[bytes], bytes]) -> str:
    """Return a compact JWS, right or wrong: header and payload go in as they are."""
    first, second = (part if isinstance(part, str) else json.dumps(part) for part in (header, payload))
    signing_input = f"{b64(first)}.{b64(second)}"
    return f"{signing_input}.{b64(sign(signing_input.encode()))}"


def signed(claims: Mapping[str, Any] | str, key: Any, alg: str, **header: Any) -> str:
    """Return a JWS signed by joserfc; header parameters may be anything, None leaves one out."""
    fields = {"alg": alg, "typ": "JWT", **({"kid": key.kid} if key.kid else {}), **header}
    return compact({k: v for k, v in fields.items() if v is not None}, claims, signs(key, alg))


def signs(key: Any, alg: str) -> Callable[[bytes], bytes]:
    """Return a key's signature function, free of joserfc's checks on headers."""
    model: Any = JWSRegistry.algorithms[alg]
    return lambda octets: model.sign(octets, key)


Parse = Callable[..., SigninRequest]


def hinted(hint: str, client: Client) -> str:
    """Verify a hint: `hint of X` is one for X, all else is none."""
    if not hint.startswith("hint of "):
        raise OAuthError("invalid_request", "The id_token_hint is not valid")
    return hint.removeprefix("hint of ")


def parse_with(clients: Clients, parameters: Parameters) -> SigninRequest:
    """Parse for a broker that has two providers."""
    return authorize.parse(
        parameters, clients, issuer=ISSUER, now=NOW, hinted_subject=hinted, providers=("mitid", "freja")
    )


def refused(parse: Parse, **changes: str | None) -> Refused:
    """Return the refusal of a request."""
    with pytest.raises(Refused) as error:
        parse(**changes)
    return error.value


def verify_by(key: Any, *algorithms: str) -> Callable[[str], jose.Signed]:
    """Return a verification with one key, the way the engine does it."""
    allowed = algorithms or ("ES256", "PS256", "RS256", "EdDSA")
    return lambda text: jose.verify(text, lambda kid, alg: key, algorithms=allowed, types=("JWT",))
