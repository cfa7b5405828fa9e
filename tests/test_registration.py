"""What a registration must be: each hole that somebody could register is refused, with words that help."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey

from idbroker.clinic import Clinic, Clinics
from idbroker.registration import mistakes_of, uri_problem
from tests.oidc.making import CALLBACK, make_client

CLINICS = Clinics({"clinea": Clinic(id="clinea", name="Clinea", country="DK", providers=("mitid",))})


def wrong(**changes: Any) -> set[str]:
    """Return the settings that are wrong with a client, changed as told."""
    return {setting for setting, _ in mistakes_of(make_client(**changes), CLINICS)}


def test_a_good_registration() -> None:
    """The defaults with a redirect URI and a secret have no mistake."""
    assert wrong() == set()


# ---- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK,
        "https://portal.example.org/callback?a=1",
        "https://portal.example.org:8443/",
        "https://xn--portal-n1a.example.org/cb",
        "https://[2001:db8::1]/cb",
        "http://localhost:8080/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:5000/cb",
    ],
)
def test_safe_addresses(uri: str) -> None:
    """Https anywhere, http on this machine only, with port and query (RFC 9700, 2.6)."""
    assert uri_problem(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "//portal.example.org/callback",
        "http://portal.example.org/callback",
        "http://localhost.evil.example/",
        "http://localhost:80@evil.example/",
        "http://127.0.0.2/",
        "http://0.0.0.0/",
        "https://",
        "https:///callback",
        "https://user@portal.example.org/",
        "https://user:pass@portal.example.org/",
        "https://@portal.example.org/",
        "https://good.example@evil.example/",
        "https://portal.example.org\\@evil.example/",
        "https://portal.example.org/\\evil",
        "https://portal.example.org/#",
        "https://portal.example.org/#x",
        "https://*.example.org/",
        "https://portal.example.org/*",
        "https://portal.example.org/ x",
        "https://portal.example.org/\n",
        "https://portal.example.org/\t",
        "https://portal.example.org/\x00",
        "https://pörtal.example.org/",
        "https://portal%2eexample.org/",
        "https://portal..example.org/",
        "https://portal_x.example.org/",
        "https://portal.example.org:99999/",
        "https://portal.example.org:x/",
        "https://[::1/",
        "https://portal.example.org/?code=x",
        "https://portal.example.org/?a=1&state=",
        "https://portal.example.org/?iss=x",
        "https://portal.example.org/?e%72ror=x",
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://portal.example.org/",
        "org.example.app:/cb",
        "myapp://cb",
    ],
)
def test_unsafe_addresses(uri: str) -> None:
    """Every address that a code must not go to is refused (RFC 9700, 2.1, 4.1; A21)."""
    assert uri_problem(uri) is not None
    assert "redirect_uris" in wrong(redirect_uris=(CALLBACK, uri))
    assert "post_logout_redirect_uris" in wrong(post_logout_redirect_uris=(uri,))


def test_app_schemes_are_for_apps() -> None:
    """An app's own scheme, named in reverse, is for public clients (RFC 8252, 7.1)."""
    app: dict[str, Any] = {"auth_method": "none", "secret_digests": ()}

    assert wrong(redirect_uris=("org.example.app:/cb",), **app) == set()
    assert "redirect_uris" in wrong(redirect_uris=("org.example.app:/cb",))
    for uri in ("javascript:x", "myapp:/cb", "data:x", "org.example.app:/cb#x", "org.example.app:/cb?code=1"):
        assert "redirect_uris" in wrong(redirect_uris=(uri,), **app)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://portal.example.org/", "data:text/html,x", ""])
def test_start_url(url: str) -> None:
    """The way back is a link on our pages: a script there would run as us."""
    assert wrong(start_url=url) == {"start_url"}
    assert wrong(start_url="https://portal.example.org/start") == set()


def test_no_redirect_uri() -> None:
    """A client without a redirect URI cannot be answered."""
    assert "redirect_uris" in wrong(redirect_uris=())


# ---- credentials ---------------------------------------------------------------------------------


@pytest.mark.parametrize("client_id", ["", "a b", "å", "x" * 101, "a/b", "a\n", "<b>", "a:b"])
def test_id(client_id: str) -> None:
    """An id stands in cookies, logs and URLs: plain characters only."""
    assert "id" in wrong(id=client_id)


@pytest.mark.parametrize("digest", ["", "the secret itself", "A" * 64, "0" * 63, "0" * 65])
def test_secret_digests(digest: str) -> None:
    """A digest is kept, never a secret."""
    assert wrong(secret_digests=(digest,)) == {"secret_digests"}
    assert wrong(secret_digests=()) == {"secret_digests"}


def test_jwks() -> None:
    """private_key_jwt needs public keys, inline or by https, not both (RFC 7591, 2)."""
    key = ECKey.generate_key("P-256")
    public = {"keys": [key.as_dict(private=False)]}
    jwt: dict[str, Any] = {"auth_method": "private_key_jwt", "secret_digests": ()}

    assert wrong(**jwt) == {"jwks"}
    assert wrong(jwks=public, **jwt) == set()
    assert wrong(jwks_uri="https://portal.example.org/jwks.json", **jwt) == set()
    assert wrong(jwks_uri="http://portal.example.org/jwks.json", **jwt) == {"jwks_uri"}
    assert wrong(jwks=public, jwks_uri="https://portal.example.org/jwks.json", **jwt) == {"jwks"}
    for bad in (
        {"keys": [key.as_dict(private=True)]},
        {"keys": [{"kty": "oct", "k": "AA"}]},
        {"keys": "x"},
        {},
        {"keys": [1]},
    ):
        assert wrong(jwks=bad, **jwt) == {"jwks"}


def test_public_clients() -> None:
    """A public client uses PKCE, rotates, sees no number and looks into no token (RFC 9700, 2.1.1, 2.2.2)."""
    app: dict[str, Any] = {"auth_method": "none", "secret_digests": ()}
    offline, numbers = ("openid", "offline_access"), ("openid", "national_number")

    assert wrong(**app) == set()
    assert wrong(require_pkce=False, **app) == {"require_pkce"}
    assert wrong(refresh="keep", scopes=offline, **app) == {"refresh"}
    assert wrong(refresh="rotate", scopes=offline, **app) == set()
    assert wrong(national_number=True, scopes=numbers, **app) == {"national_number"}
    assert wrong(introspect=True, **app) == {"introspect"}
    assert wrong(introspect=True) == set()


# ---- the rest ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"auth_method": "client_secret_jwt"}, "auth_method"),
        ({"id_token_alg": "none"}, "id_token_alg"),
        ({"id_token_alg": "HS256"}, "id_token_alg"),
        ({"access_token": "JWT"}, "access_token"),
        ({"refresh": "always"}, "refresh"),
        ({"scopes": ("openid", "email")}, "scopes"),
        ({"scopes": ("profile",)}, "scopes"),
        ({"response_modes": ("fragment",)}, "response_modes"),
        ({"response_modes": ()}, "response_modes"),
        ({"national_number": True}, "scopes"),
        ({"scopes": ("openid", "national_number")}, "national_number"),
        ({"refresh": "keep"}, "refresh"),
        ({"scopes": ("openid", "offline_access")}, "refresh"),
        ({"origins": ("*",)}, "origins"),
        ({"origins": ("null",)}, "origins"),
        ({"origins": ("https://*.example.org",)}, "origins"),
        ({"origins": ("https://portal.example.org/",)}, "origins"),
        ({"origins": ("https://portal.example.org/path",)}, "origins"),
        ({"access_token_life": timedelta(seconds=59)}, "access_token_life"),
        ({"access_token_life": timedelta(days=2)}, "access_token_life"),
        ({"refresh_life": timedelta(minutes=1)}, "refresh_life"),
        ({"refresh_life": timedelta(days=367)}, "refresh_life"),
        ({"redirect_uris": (CALLBACK, "https://other.example.org/cb")}, "sector"),
        ({"clinic": "nowhere"}, "clinic"),
        ({"providers": ("bankid",)}, "providers"),
    ],
)
def test_mistakes(changes: dict[str, Any], setting: str) -> None:
    """Each mistake is named with its setting."""
    assert setting in wrong(**changes)


def test_what_is_allowed() -> None:
    """Origins, several hosts with a sector, RS256, JWT access tokens and offline access are fine."""
    assert wrong(origins=("https://portal.example.org", "http://localhost:5173")) == set()
    assert wrong(redirect_uris=(CALLBACK, "https://other.example.org/cb"), sector="portals") == set()
    assert wrong(id_token_alg="RS256", access_token="jwt", refresh="keep", scopes=("openid", "offline_access")) == set()


def test_every_mistake_at_once() -> None:
    """All mistakes are told together, in words that say how to mend them."""
    mistakes = mistakes_of(make_client(id="å", redirect_uris=(), secret_digests=(), clinic="nowhere"), CLINICS)

    assert {setting for setting, _ in mistakes} == {"id", "redirect_uris", "secret_digests", "clinic"}
    assert all(len(words) > 10 for _, words in mistakes)
