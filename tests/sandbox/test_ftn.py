"""The simulated broker of the Finnish Trust Network is as strict as a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from joserfc import jwe, jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.ftn import FTN_LIES, OUTCOMES, make_ftn
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.people import cast

ISSUER = "http://127.0.0.1:1/ftn"
BACK = "https://login.test/callback/ftn"
SIGNING = RSAKey.generate_key(2048, {"kid": "sig", "use": "sig"})
CLOSING = RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"})
STRANGER = RSAKey.generate_key(2048, {"kid": "sig", "use": "sig"})
CLIENT = SimClient(
    id="us",
    redirect_uris=(BACK,),
    auth_method="private_key_jwt",
    jwks=lambda: KeySet([SIGNING, CLOSING]).as_dict(private=False),
    id_token_alg="RS256",
)


@dataclass
class Desk:
    """A service in front of the broker."""

    http: FlaskClient
    clock: StoppedClock
    count: int = 0

    def signed(
        self, key: RSAKey = SIGNING, header: dict[str, Any] | None = None, without: str = "", **more: Any
    ) -> str:
        """Return a signed request with these claims."""
        self.count += 1
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": "us",
            "client_id": "us",
            "aud": ISSUER,
            "nbf": now,
            "exp": now + 300,
            "jti": f"jti-{self.count}",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": BACK,
            "state": "st",
            "nonce": "n",
            "ftn_spname": "Klinikka",
            **more,
        }
        claims = {name: value for name, value in claims.items() if name != without}
        usual = {"alg": "RS256", "kid": "sig", "typ": "oauth-authz-req+jwt"}
        return jwt.encode({**usual, **(header or {})}, claims, key, algorithms=["RS256", "PS256"])

    def ask(self, token: str | None, **beside: str) -> TestResponse:
        """Go to the authorization endpoint."""
        query = {"client_id": "us", **({"request": token} if token else {}), **beside}
        return self.http.get("/oauth2/authorization?" + urlencode(query))

    def assertion(self, **more: Any) -> dict[str, str]:
        """Return what proves who the client is."""
        now, self.count = int(self.clock.now().timestamp()), self.count + 1
        audience = f"{ISSUER}/oauth2/token"
        claims = {"iss": "us", "sub": "us", "aud": audience, "exp": now + 60, "jti": f"a-{self.count}", **more}
        return {
            "client_id": "us",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "RS256", "kid": "sig"}, claims, SIGNING),
        }


@pytest.fixture
def faults() -> Faults:
    """Return what is broken: nothing yet."""
    return Faults({"ftn": FTN_LIES})


@pytest.fixture
def desk(clock: StoppedClock, faults: Faults) -> Iterator[Desk]:
    """Give a service in front of the simulator."""
    with make_ftn(cast(clock.now().date()), clock, faults, ISSUER, {"us": CLIENT}).test_client() as http:
        yield Desk(http, clock)


def test_signs_in_through_the_page_without_javascript(desk: Desk) -> None:
    """A signed request leads to one plain form, in the person's language, which leads back with code, state, issuer."""
    page = desk.ask(desk.signed(ui_locales="sv"))
    assert page.status_code == 303
    path = page.location.removeprefix(ISSUER)
    shown = desk.http.get(path)

    assert all(f'value="{outcome}"' in shown.text for outcome in OUTCOMES)
    assert "<script" not in shown.text
    assert "Klinikka" in shown.text
    assert 'lang="sv"' in shown.text
    back = desk.http.post(path, data={"person": "aino", "outcome": "approve"}).location
    assert back.startswith(BACK + "?code=")
    assert "state=st" in back


def test_what_it_gives_out_is_signed_and_encrypted(desk: Desk) -> None:
    """Recommendation 213/2023 S: RS256 inside RSA-OAEP and A128CBC-HS256, to the client's encryption key."""
    back = desk.ask(desk.signed(), simulate="approve:aino").location
    code = back.partition("code=")[2].partition("&")[0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **desk.assertion()}
    token = desk.http.post("/oauth2/token", data=form).get_json()["id_token"]

    opened = jwe.decrypt_compact(token, CLOSING)
    assert (opened.protected["alg"], opened.protected["enc"]) == ("RSA-OAEP", "A128CBC-HS256")
    assert opened.protected["kid"] == "enc"
    keys = KeySet.import_key_set(desk.http.get("/oauth2/metadata.jwks").get_json())
    claims = jwt.decode(opened.plaintext or b"", keys, algorithms=["RS256"]).claims
    assert claims["urn:oid:2.5.4.4"] == "Koehenkilö"
    assert claims["acr"] == "http://ftn.ficora.fi/2017/loa2"


Wrong = Callable[[Desk], TestResponse]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda desk: desk.ask(None, response_type="code", scope="openid"),
        lambda desk: desk.ask(None, redirect_uri=BACK, response_type="code", scope="openid", state="st"),
        lambda desk: desk.ask(desk.signed(), redirect_uri=BACK),
        lambda desk: desk.ask(desk.signed(), client_id="nobody"),
        lambda desk: desk.ask(desk.signed(key=STRANGER)),
        lambda desk: desk.ask(desk.signed(header={"kid": "nobody-knows"})),
        lambda desk: desk.ask(desk.signed(header={"typ": "JWT"})),
        lambda desk: desk.ask(desk.signed(header={"alg": "PS256"})),
        lambda desk: desk.ask(desk.signed(aud="https://another.test")),
        lambda desk: desk.ask(desk.signed(iss="somebody-else")),
        lambda desk: desk.ask(desk.signed(client_id="somebody-else")),
        lambda desk: desk.ask(desk.signed(exp=1)),
        lambda desk: desk.ask(desk.signed(exp=10**11)),
        lambda desk: desk.ask(desk.signed(nbf=10**11)),
        lambda desk: desk.ask(desk.signed(sub="us")),
        lambda desk: desk.ask(desk.signed(ftn_spname="K" * 41)),
        lambda desk: desk.ask(desk.signed(without="jti")),
        lambda desk: desk.ask(desk.signed(without="exp")),
        lambda desk: desk.ask(desk.signed(without="ftn_spname")),
        lambda desk: desk.ask(desk.signed(redirect_uri="https://evil.test/")),
        lambda desk: desk.ask("a.b.c"),
    ],
    ids=[
        "unsigned",
        "by-query",
        "beside",
        "client",
        "key",
        "kid",
        "typ",
        "alg",
        "aud",
        "iss",
        "client-id",
        "over",
        "endless",
        "early",
        "sub",
        "name",
        "no-jti",
        "no-exp",
        "no-name",
        "redirect",
        "nonsense",
    ],
)
def test_a_request_that_is_not_as_it_must_be_is_answered_with_a_page(desk: Desk, wrong: Wrong) -> None:
    """Unsigned, signed wrongly, for another or without an end: 400, and nobody is sent anywhere."""
    response = wrong(desk)

    assert response.status_code == 400
    assert response.location is None


def test_a_request_works_once(desk: Desk) -> None:
    """RFC 9101, 10.2: the same `jti` again is a replay."""
    token = desk.signed()

    assert [desk.ask(token).status_code for _ in range(2)] == [303, 400]


def test_takes_a_signed_request_pushed(desk: Desk, clock: StoppedClock) -> None:
    """RFC 9126, 3: the signed request is pushed, by a client that proves who it is; parameters are not."""
    pushed = desk.http.post("/oauth2/par", data={"request": desk.signed(), **desk.assertion()})
    assert pushed.status_code == 201
    query = urlencode({"client_id": "us", "request_uri": pushed.get_json()["request_uri"]})
    assert desk.http.get("/oauth2/authorization?" + query).status_code == 303

    beside = {"request": desk.signed(), "scope": "openid", **desk.assertion()}
    assert desk.http.post("/oauth2/par", data=beside).status_code == 400
    assert desk.http.post("/oauth2/par", data={"request": desk.signed(), "client_id": "us"}).status_code == 401
    clock.move(timedelta(minutes=11))
    assert desk.http.get("/oauth2/authorization?" + query).status_code == 400


@pytest.mark.parametrize("wrong", [{"aud": ISSUER}, {"exp": 1}, {"iss": "them"}])
def test_who_does_not_prove_itself_gets_nothing(desk: Desk, wrong: dict[str, Any]) -> None:
    """RFC 7523, 3: an assertion for another audience, over, or another's is invalid_client."""
    form = {"grant_type": "authorization_code", "code": "c", "redirect_uri": BACK, **desk.assertion(**wrong)}

    assert desk.http.post("/oauth2/token", data=form).get_json() == {"error": "invalid_client"}


def test_breaks_on_request(desk: Desk, faults: Faults) -> None:
    """A fault is answered at every endpoint until it is healed."""
    faults.set("ftn", {"down": True})

    assert desk.http.get("/.well-known/openid-configuration").status_code == 503
