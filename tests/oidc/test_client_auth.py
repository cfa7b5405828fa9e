"""Client authentication: one way, the registered one, proved; every failure looks alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from idbroker.client import Client, ConfiguredClients, secret_digest
from idbroker.clock import StoppedClock
from idbroker.errors import OAuthError
from idbroker.oidc.client_auth import ASSERTION_TYPE, Authenticator, InvalidClient
from idbroker.oidc.client_keys import ClientKeys
from idbroker.oidc.parameters import Parameters
from idbroker.store import Durable, TransientStore, open_transient
from idbroker.tokens import once
from tests.conftest import NOW
from tests.oidc.making import ISSUER, SECRET, b64, form, make_client, signed

ODD_SECRET = "p%20 s+å:&="


@pytest.fixture
def transient(tmp_path: Path, clock: StoppedClock) -> Iterator[TransientStore]:
    """Give a real transient store."""
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    yield store
    store.close()


@pytest.fixture
def registered(keys: dict[str, Any]) -> list[Client]:
    """Return a client for each way of authenticating, and their neighbours."""
    public = {"keys": [keys[alg].as_dict(private=False) for alg in ("RS256", "ES256", "EdDSA")]}
    neighbour = {"keys": [{**keys["PS256"].as_dict(private=False), "kid": "neighbours"}]}
    jwt: dict[str, Any] = {"auth_method": "private_key_jwt", "secret_digests": ()}
    return [
        make_client(id="basic", secret_digests=(secret_digest("an older one"), secret_digest(SECRET))),
        make_client(id="odd client", secret_digests=(secret_digest(ODD_SECRET),)),
        make_client(id="post", auth_method="client_secret_post"),
        make_client(id="jwt", jwks=public, **jwt),
        make_client(id="neighbour", jwks=neighbour, **jwt),
        make_client(id="spa", auth_method="none", secret_digests=()),
        make_client(id="closed", disabled=True),
        make_client(id="none-yet", secret_digests=()),
    ]


@pytest.fixture
def door(registered: list[Client], durable: Durable, transient: TransientStore, clock: StoppedClock) -> Authenticator:
    """Return the authenticator, as it is wired."""
    return Authenticator(
        clients=ConfiguredClients(registered, durable.clients),
        keys=ClientKeys(lambda url: b""),
        issuer=ISSUER,
        use_once=once(transient, clock),
    )


def basic(client_id: str, secret: str) -> str:
    """Return a Basic header, both parts form-encoded (RFC 6749, 2.3.1)."""
    return raw_basic(f"{quote_plus(client_id)}:{quote_plus(secret)}")


def raw_basic(pair: str) -> str:
    """Return a Basic header of a pair as it is."""
    return "Basic " + base64.b64encode(pair.encode()).decode()


def refused(door: Authenticator, authorization: str | None, **fields: str) -> OAuthError:
    """Return the refusal."""
    with pytest.raises(OAuthError) as error:
        door.authenticate(authorization, form(fields), NOW)
    return error.value


# ---- secrets -------------------------------------------------------------------------------------


def test_each_registered_way(door: Authenticator) -> None:
    """Basic, post and none work for who is registered for them, an older secret as well as a newer."""
    assert door.authenticate(basic("basic", SECRET), form({}), NOW).id == "basic"
    assert door.authenticate(basic("basic", "an older one"), form({"client_id": "basic"}), NOW).id == "basic"
    assert door.authenticate(None, form({"client_id": "post", "client_secret": SECRET}), NOW).id == "post"
    assert door.authenticate(None, form({"client_id": "spa"}), NOW).id == "spa"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_basic_is_form_encoded(door: Authenticator, scheme: str) -> None:
    """Id and secret are form-encoded within Base64, the scheme is in any case (RFC 6749, 2.3.1; RFC 7617, 2)."""
    header = basic("odd client", ODD_SECRET).replace("Basic", scheme)

    assert door.authenticate(header, form({}), NOW).id == "odd client"
    assert refused(door, raw_basic(f"odd client:{ODD_SECRET}")).code == "invalid_client"
    assert door.authenticate(raw_basic(f"odd%20client:{quote_plus(ODD_SECRET)}"), form({}), NOW).id == "odd client"


@pytest.mark.parametrize(
    "authorization",
    [
        basic("basic", "wrong"),
        basic("basic", ""),
        basic("basic", SECRET + " "),
        basic("basic", SECRET.upper()),
        basic("basic", secret_digest(SECRET)),
        basic("BASIC", SECRET),
        basic("basic ", SECRET),
        basic("", SECRET),
        basic("nobody", SECRET),
        basic("closed", SECRET),
        basic("post", SECRET),
        basic("jwt", SECRET),
        basic("spa", SECRET),
        basic("none-yet", SECRET),
        basic("none-yet", "None"),
        basic("basic\x00", SECRET),
        raw_basic("basic"),
        raw_basic(":"),
        raw_basic(""),
        raw_basic("%00:%00"),
        raw_basic("%ff:x"),
        raw_basic("%ed%a0%80:x"),
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic /w==",
        "Basic bm8gY29sb24",
        "Basic " + "A" * 100_000,
        "Basic ä",
    ],
)
def test_basic_refusals_look_alike(door: Authenticator, authorization: str) -> None:
    """Unknown, disabled, of another way, or a wrong secret: one and the same answer (A8; RFC 6749, 5.2)."""
    error = refused(door, authorization)

    assert isinstance(error, InvalidClient)
    assert (error.code, error.description, error.status) == ("invalid_client", "Client authentication failed", 401)
    assert error.challenge or authorization == "Basic"


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": "post", "client_secret": "wrong"},
        {"client_id": "post"},
        {"client_id": "post", "client_secret": ""},
        {"client_secret": SECRET},
        {"client_id": "basic", "client_secret": SECRET},
        {"client_id": "basic"},
        {"client_id": "jwt"},
        {"client_id": "spa", "client_secret": SECRET},
        {"client_id": "nobody", "client_secret": SECRET},
        {"client_id": "closed", "client_secret": SECRET},
        {"client_id": "nobody"},
        {"client_id": "x" * 201},
        {"client_id": "spa\n"},
        {},
    ],
)
def test_post_refusals_look_alike(door: Authenticator, fields: dict[str, str]) -> None:
    """The same in the body; a confidential client cannot pass for a public one (A8)."""
    error = refused(door, None, **fields)

    assert isinstance(error, InvalidClient)
    assert (error.code, error.description, error.status) == ("invalid_client", "Client authentication failed", 401)
    assert not error.challenge


def test_client_id_beside_basic_must_agree(door: Authenticator) -> None:
    """A body's client_id that names somebody else is refused: two parsers would see two clients."""
    assert isinstance(refused(door, basic("basic", SECRET), client_id="post"), InvalidClient)


def test_two_ways_at_once(door: Authenticator) -> None:
    """More than one way of authenticating is invalid_request, even if all are right (RFC 6749, 2.3)."""
    two: list[tuple[str | None, dict[str, str]]] = [
        (basic("basic", SECRET), {"client_id": "basic", "client_secret": SECRET}),
        (basic("basic", SECRET), {"client_assertion": "x", "client_assertion_type": ASSERTION_TYPE}),
        (None, {"client_id": "post", "client_secret": SECRET, "client_assertion": "x"}),
    ]
    assert [refused(door, header, **fields).code for header, fields in two] == ["invalid_request"] * 3


@given(st.one_of(st.text(), st.binary().map(lambda octets: "Basic " + base64.b64encode(octets).decode())), st.text())
def test_any_credentials(durable: Durable, authorization: str, client_id: str) -> None:
    """Whatever is presented, the answer is an OAuth error (A8)."""
    empty = Authenticator(
        clients=durable.clients, keys=ClientKeys(lambda url: b""), issuer=ISSUER, use_once=lambda name, until: False
    )
    for fields in ({"client_id": client_id}, {"client_id": client_id, "client_secret": "x"}):
        with pytest.raises(OAuthError):
            empty.authenticate(authorization, Parameters(fields), NOW)


# ---- private_key_jwt -----------------------------------------------------------------------------


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good assertion, changed as told; None leaves one out."""
    now = int(NOW.timestamp())
    good = {"iss": "jwt", "sub": "jwt", "aud": ISSUER, "iat": now, "exp": now + 60, "jti": "one"}
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def present(door: Authenticator, assertion: str, **fields: str) -> Client:
    """Authenticate by an assertion."""
    sent = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **fields}
    return door.authenticate(None, form(sent), NOW)


def assert_refused(door: Authenticator, assertion: str, **fields: str) -> None:
    """Check that an assertion is refused like any other failure."""
    with pytest.raises(InvalidClient) as error:
        present(door, assertion, **fields)
    assert error.value.description == "Client authentication failed"


@pytest.mark.parametrize(("alg", "kid"), [("RS256", "rs"), ("PS256", "rs"), ("ES256", "es"), ("EdDSA", "ed")])
def test_assertions(door: Authenticator, keys: dict[str, Any], alg: str, kid: str) -> None:
    """An assertion by each algorithm proves the client; client_id may be there too (RFC 7523, 2.2)."""
    first, second = (signed(claims(jti=jti), keys[alg], alg, kid=kid) for jti in ("one", "two"))

    assert present(door, first).id == "jwt"
    assert present(door, second, client_id="jwt").id == "jwt"


NOW_SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "post"},
        {"iss": ISSUER},
        {"iss": ["jwt"]},
        {"sub": None},
        {"sub": "post"},
        {"sub": "neighbour"},
        {"sub": "neighbour", "iss": "neighbour"},
        {"sub": ["jwt"]},
        {"sub": "\x00"},
        {"sub": "\ud800"},
        {"sub": 7},
        {"aud": None},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": f"{ISSUER}/token"},
        {"aud": f"{ISSUER}/"},
        {"aud": ISSUER.upper()},
        {"aud": "https://evil.example"},
        {"exp": None},
        {"exp": NOW_SECONDS},
        {"exp": NOW_SECONDS - 1},
        {"exp": NOW_SECONDS + 3601},
        {"exp": NOW_SECONDS + 10**12},
        {"exp": str(NOW_SECONDS + 60)},
        {"exp": True},
        {"exp": 1e400},
        {"nbf": NOW_SECONDS + 11},
        {"nbf": "now"},
        {"iat": NOW_SECONDS + 11},
        {"iat": False},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "\ud800"},
        {"jti": "x" * 513},
    ],
)
def test_claims_of_an_assertion(door: Authenticator, keys: dict[str, Any], changes: dict[str, Any]) -> None:
    """Whose it is, for whom, till when, once: each is required and exact (RFC 7523, 3; J14; FAPI 2.0, 5.3.3.1)."""
    assert_refused(door, signed(claims(**changes), keys["ES256"], "ES256"))


@pytest.mark.parametrize("changes", [{"exp": NOW_SECONDS + 3600}, {"nbf": NOW_SECONDS + 10}, {"iat": None}, {"x": 1}])
def test_claims_within_bounds(door: Authenticator, keys: dict[str, Any], changes: dict[str, Any]) -> None:
    """An hour ahead, ten seconds of skew, no iat, and claims we do not know are all right."""
    assert present(door, signed(claims(**changes), keys["ES256"], "ES256")).id == "jwt"


def test_replay(door: Authenticator, keys: dict[str, Any]) -> None:
    """A `jti` counts once per client until the assertion ends, in a new assertion too (J14)."""
    assertion = signed(claims(), keys["ES256"], "ES256")
    assert present(door, assertion).id == "jwt"

    assert_refused(door, assertion)
    assert_refused(door, signed(claims(exp=NOW_SECONDS + 61), keys["RS256"], "RS256"))
    neighbours = claims(iss="neighbour", sub="neighbour")
    assert present(door, signed(neighbours, keys["PS256"], "PS256", kid="neighbours")).id == "neighbour"


def test_replay_is_remembered_as_long_as_it_could_work(
    door: Authenticator, keys: dict[str, Any], clock: StoppedClock
) -> None:
    """The memory of a `jti` outlasts the assertion."""
    assertion = signed(claims(), keys["ES256"], "ES256")
    present(door, assertion)
    sent = form({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})
    for _ in range(6):
        clock.move(timedelta(seconds=10))
        with pytest.raises(InvalidClient):
            door.authenticate(None, sent, clock.now())


def test_a_failed_assertion_does_not_use_up_a_jti(door: Authenticator, keys: dict[str, Any]) -> None:
    """Who cannot sign for the client cannot burn its names either."""
    stranger = ECKey.generate_key("P-256", {"kid": "es"})
    assert_refused(door, signed(claims(), stranger, "ES256"))

    assert present(door, signed(claims(), keys["ES256"], "ES256")).id == "jwt"


def test_whose_key(door: Authenticator, keys: dict[str, Any]) -> None:
    """A stranger's key, another client's `kid`, and a key named as another are refused (J4)."""
    stranger = ECKey.generate_key("P-256", {"kid": "es"})
    for assertion in (
        signed(claims(), stranger, "ES256"),
        signed(claims(), keys["PS256"], "PS256", kid="neighbours"),
        signed(claims(), keys["ES256"], "ES256", kid="rs"),
        signed(claims(), keys["ES256"], "ES256", kid=None),
        signed(claims(iss="neighbour", sub="neighbour"), keys["ES256"], "ES256"),
        signed(claims(iss="basic", sub="basic"), keys["ES256"], "ES256"),
        signed(claims(iss="nobody", sub="nobody"), keys["ES256"], "ES256"),
    ):
        assert_refused(door, assertion)


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "oauth-authz-req+jwt", "logout+jwt"])
def test_other_kinds_of_token(door: Authenticator, keys: dict[str, Any], typ: str) -> None:
    """A token typed as something else is no assertion (J13)."""
    assert_refused(door, signed(claims(), keys["ES256"], "ES256", typ=typ))


@pytest.mark.parametrize(
    "assertion", ["x", "a.b", "a.b.c", "..", f"x.{b64('[]')}.x", f"x.{b64('{}')}.x", "é.é.é", "." * 30_000]
)
def test_no_token_at_all(door: Authenticator, assertion: str) -> None:
    """What is no token is refused like the rest."""
    assert_refused(door, assertion)


def test_assertion_type_and_client_id(door: Authenticator, keys: dict[str, Any]) -> None:
    """The assertion's type is the JWT one, and client_id names the same client (RFC 7521, 4.2)."""
    good = signed(claims(), keys["ES256"], "ES256")

    assert_refused(door, good, client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
    assert_refused(door, good, client_assertion_type="")
    assert_refused(door, good, client_id="post")
