"""What a registration must be: each hole that somebody could register is refused, with words that help."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from idbroker.client import Client
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import StoppedClock
from idbroker.codec import Codec
from idbroker.registration import mistakes_of, uri_problem
from idbroker.store import open_durable, schema
from tests.conftest import NOW
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


LOGOUT = "https://portal.example.org/logged-out?way=1"


def test_logout_addresses() -> None:
    """A client may be told of a logout at its server, anywhere, and in the browser, at its own origin."""
    both: dict[str, Any] = {"backchannel_logout_uri": LOGOUT, "frontchannel_logout_uri": LOGOUT}
    required = {"backchannel_logout_session_required": True, "frontchannel_logout_session_required": True}

    assert wrong(**both) == set()
    assert wrong(**both, **required) == set()
    assert wrong(backchannel_logout_uri="https://api.example.org:8443/logout") == set()
    assert wrong(backchannel_logout_uri="http://localhost:5000/logout") == set()


@pytest.mark.parametrize("setting", ["backchannel_logout_uri", "frontchannel_logout_uri"])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://portal.example.org/logout",
        "https://portal.example.org/logout#x",
        "https://*.example.org/logout",
        "https://user@portal.example.org/logout",
        "https://portal.example.org\\@evil.example/",
        "javascript:alert(1)",
        "org.example.app:/logout",
        "//portal.example.org/logout",
    ],
)
def test_unsafe_logout_addresses(setting: str, uri: str) -> None:
    """Plain https without a fragment (Back-Channel Logout 2.2; Front-Channel Logout 2), for apps too."""
    app: dict[str, Any] = {"auth_method": "none", "secret_digests": ()}

    assert wrong(**{setting: uri}) == {setting}
    assert wrong(**{setting: uri}, **app) == {setting}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0", "169.254.169.254", "10.0.0.5:8443",
     "192.168.1.1", "168.63.129.16", "[::1]", "[::]", "[::ffff:10.0.0.1]", "[fd00::1]", "[64:ff9b:1::7f00:1]",
     "localhost", "LOCALHOST.", "portal.localhost"],
)  # fmt: skip
def test_back_channels_that_lead_inside(host: str) -> None:
    """A22: an address of our own network is never told of anything, so it is refused when it is registered."""
    assert wrong(backchannel_logout_uri=f"https://{host}/logout") == {"backchannel_logout_uri"}


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "[2001:4860:4860::8888]", "portal", "1.example.org", "localhost.example.org"]
)
def test_back_channels_outside(host: str) -> None:
    """An address of the open internet may be told, and so may a name, which is looked at whenever it is looked up."""
    assert wrong(backchannel_logout_uri=f"https://{host}/logout") == set()


@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        ("https://portal.example.org/logout", True),
        ("https://portal.example.org:443/logout", True),
        ("https://PORTAL.example.org/logout", True),
        ("https://portal.example.org:8443/logout", False),
        ("https://portal.example.org:0/logout", False),
        ("https://other.example.org/logout", False),
        ("https://portal.example.org.evil.example/logout", False),
        ("http://localhost/logout", False),
        ("https://portal.example.org/logout?iss=x", False),
        ("https://portal.example.org/logout?sid=x", False),
    ],
)
def test_frames_are_of_the_clients_own_origin(uri: str, fine: bool) -> None:
    """What our page frames has scheme, host and port of a redirect URI (Front-Channel Logout 2); we add iss and sid."""
    assert wrong(frontchannel_logout_uri=uri) == (set() if fine else {"frontchannel_logout_uri"})


def test_a_frame_of_a_client_without_addresses() -> None:
    """An app, whose own redirect scheme is no origin, cannot have a frame."""
    app: dict[str, Any] = {"auth_method": "none", "secret_digests": (), "redirect_uris": ("org.example.app:/cb",)}

    assert wrong(frontchannel_logout_uri="https://portal.example.org/logout", **app) == {"frontchannel_logout_uri"}


@pytest.mark.parametrize("way", ["backchannel", "frontchannel"])
def test_a_session_is_required_with_an_address(way: str) -> None:
    """Asking for the sid where nothing is told is a mistake."""
    assert wrong(**{f"{way}_logout_session_required": True}) == {f"{way}_logout_session_required"}


def test_clients_that_were_stored_before(tmp_path: Path) -> None:
    """A client comes back from the store with its logout addresses; one that an older version stored, without any."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", StoppedClock(NOW))
    store.migrate()
    one = make_client(backchannel_logout_uri=LOGOUT, frontchannel_logout_uri=LOGOUT)
    store.clients.save(dataclasses.replace(one, backchannel_logout_session_required=True))
    stored = json.loads(Codec(Client).pack(one))
    old = {name: value for name, value in stored.items() if "channel_logout" not in name} | {"id": "old"}
    with store.database.writing() as connection:
        values = {"id": "old", "document": json.dumps(old), "updated_at": NOW}
        connection.execute(schema.client.insert(), values)

    assert store.clients.find(one.id) == dataclasses.replace(one, backchannel_logout_session_required=True)
    assert store.clients.find("old") == make_client(id="old")
    store.close()


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


# ---- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Portal\r\nBcc: x", "Portal\u202emoc.elpmaxe", "Por\u200btal", "Portal\u2028Call 12345678", "", " ", "x" * 101],
)
def test_a_name_that_reads_otherwise_than_it_is_written(name: str) -> None:
    """A name that adds lines to a letter, turns text about or hides letters is not registered, nor a clinic's."""
    assert wrong(name={"en": "Portal", "da": name}) == {"name"}
    clinics = Clinics({"clinea": dataclasses.replace(CLINICS.by_id["clinea"], name=name)})
    assert {setting for setting, _ in mistakes_of(make_client(), clinics)} == {"clinic"}


def test_nobody_is_registered_as_my_page() -> None:
    """Ids beginning with `me.` are those of our own pages: a client of that name would be taken for one."""
    assert wrong(id="me.clinea") == {"id"}
    assert wrong(id="mesa") == set()
