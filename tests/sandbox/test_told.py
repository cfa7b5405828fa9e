"""A demo portal is told that a sign-on is over, and believes the broker alone (Back- and Front-Channel Logout 1.0)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from flask import Flask
from jwt.algorithms import ECAlgorithm

from idbroker.clock import StoppedClock
from idbroker.sandbox.portal.relying import NotBelieved, Registration, RelyingParty
from idbroker.sandbox.portal.told import EVENT, read_logout_token
from tests.conftest import NOW
from tests.sandbox.loopback import serve
from tests.sandbox.running import PATIENCE, Browser, Sandbox
from tests.sandbox.test_portals_swedish import log_in

ISSUER = "https://login.example.test"
KEY = generate_private_key(SECP256R1())
JWK: dict[str, Any] = {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "one", "alg": "ES256"}
PUBLIC = jwt.PyJWK(JWK)
AT = int(NOW.timestamp())
OURS = Registration(
    issuer=ISSUER, client_id="aleris", redirect_uri="", goodbye_uri="", scope="openid", language="en", proof="x"
)
GOOD: dict[str, Any] = {
    "iss": ISSUER, "aud": "aleris", "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 120, "jti": "t-1",
    "sid": "s-1", "events": {EVENT: {}},
}  # fmt: skip


def _key_of(kid: str) -> jwt.PyJWK:
    if kid != "one":
        raise jwt.InvalidKeyError("unknown")
    return PUBLIC


def _token(claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode(claims, KEY, algorithm="ES256", headers={"kid": "one", "typ": "logout+jwt", **header})


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_believed() -> None:
    """A logout token that passes every check names the session that is over (2.6)."""
    assert read_logout_token(_token(GOOD), OURS, _key_of, NOW)["sid"] == "s-1"
    assert read_logout_token(_token({**GOOD, "aud": ["aleris"]}), OURS, _key_of, NOW)["sid"] == "s-1"


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        (GOOD, {"typ": "JWT"}), (GOOD, {"typ": None}), (GOOD, {"typ": "at+jwt"}), (GOOD, {"kid": "two"}),
        ({**GOOD, "iss": "https://evil.test"}, {}), ({**GOOD, "aud": "minhalsa"}, {}), ({**GOOD, "nonce": "n"}, {}),
        ({**GOOD, "events": {}}, {}), ({**GOOD, "events": {EVENT: True}}, {}), ({**GOOD, "events": [EVENT]}, {}),
        ({**GOOD, "sid": 5}, {}), ({**GOOD, "iat": "now"}, {}), ({**GOOD, "exp": int(NOW.timestamp()) - 60}, {}),
        ({**GOOD, "iat": int(NOW.timestamp()) + 60}, {}), (_without("sid"), {}), (_without("iat"), {}),
        (_without("exp"), {}), (_without("jti"), {}), (_without("events"), {}), (_without("iss"), {}),
        (_without("aud"), {}),
    ],
)  # fmt: skip
def test_not_believed(claims: dict[str, Any], header: dict[str, Any]) -> None:
    """Whatever is missing, another's, of another time or of another kind logs nobody out (2.6; RFC 8725, 3.11)."""
    with pytest.raises(NotBelieved):
        read_logout_token(_token(claims, **header), OURS, _key_of, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT + 10**9}, {"iat": AT - 10**8, "exp": AT + 10**9}, {"iat": AT - 400, "exp": AT + 1}, {"iat": True},
        {"exp": True}, {"iat": AT + 0.5}, {"jti": ""}, {"jti": 1}, {"sid": ""},
        {"aud": ["aleris", "minhalsa"]}, {"aud": ["aleris", "aleris"]}, {"aud": []},
    ],
)  # fmt: skip
def test_good_for_too_much(changes: dict[str, Any]) -> None:
    """A token that is good for years, for another portal too, or has no number of its own could be kept and used."""
    with pytest.raises(NotBelieved):
        read_logout_token(_token({**GOOD, **changes}), OURS, _key_of, NOW)


def _broker(sets: list[dict[str, Any]], fetched: list[int]) -> Callable[[str], Flask]:
    """Make a broker that publishes one set of keys after the other, the last for good; count how often it is asked."""

    def made(address: str) -> Flask:
        app = Flask("broker")

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, str]:
            return {"issuer": address, "jwks_uri": f"{address}/jwks"}

        @app.get("/jwks")
        def keys() -> dict[str, Any]:
            fetched.append(1)
            return sets.pop(0) if len(sets) > 1 else sets[0]

        return app

    return made


def test_made_up_keys_fetch_nothing(clock: StoppedClock) -> None:
    """Strangers' tokens with keys of their invention have a portal ask the broker once in half a minute, no more."""
    fetched: list[int] = []
    with serve(_broker([{"keys": [JWK]}], fetched)) as address:
        party = RelyingParty(replace(OURS, issuer=address), clock)
        for number in range(50):
            with pytest.raises((NotBelieved, jwt.InvalidKeyError)):
                party.key(f"made-up-{number}")
            assert party.key("one").key_id == "one"

        assert len(fetched) == 2
        clock.move(timedelta(seconds=30))
        with pytest.raises(jwt.InvalidKeyError):
            party.key("made-up")
        assert len(fetched) == 3


def test_a_new_key_behind_a_made_up_one(clock: StoppedClock) -> None:
    """Where a stranger's key was asked for just before, a notice by the broker's new one is put off, never refused."""
    with serve(_broker([{"keys": []}, {"keys": []}, {"keys": [JWK]}], [])) as address:
        party = RelyingParty(replace(OURS, issuer=address), clock)
        for _ in range(2):
            with contextlib.suppress(jwt.InvalidKeyError):
                party.key("made-up")

        with pytest.raises(NotBelieved, match="unreachable"):
            party.key("one")
        clock.move(timedelta(seconds=30))
        assert party.key("one").key_id == "one"


def test_a_key_for_encryption_signs_nothing(clock: StoppedClock) -> None:
    """Whoever holds a key the broker publishes for another purpose logs nobody out (RFC 7517, 4.2)."""
    with serve(_broker([{"keys": [{**JWK, "use": "enc"}]}], [])) as address:
        party = RelyingParty(replace(OURS, issuer=address), clock)

        with pytest.raises(jwt.InvalidKeyError):
            party.key("one")


def test_another_signature() -> None:
    """A token signed by anybody else, by a shared secret or by nobody logs nobody out."""
    header = {"kid": "one", "typ": "logout+jwt"}
    forged = jwt.encode(GOOD, generate_private_key(SECP256R1()), algorithm="ES256", headers=header)
    unsigned = jwt.encode(GOOD, "", algorithm="none", headers=header)
    shared = jwt.encode(GOOD, "a secret of thirty-two characters", algorithm="HS256", headers=header)

    for token in (forged, unsigned, shared, "", "x.y.z", _token(GOOD)[:-8]):
        with pytest.raises(NotBelieved):
            read_logout_token(token, OURS, _key_of, NOW)


def test_clocks_differ_a_little() -> None:
    """A few seconds of difference between two clocks do no harm."""
    late = NOW + timedelta(seconds=125)

    assert read_logout_token(_token(GOOD), OURS, _key_of, late)["sid"] == "s-1"
    assert read_logout_token(_token(GOOD), OURS, _key_of, NOW - timedelta(seconds=5))["sid"] == "s-1"


@pytest.mark.parametrize("form", [{}, {"logout_token": "x"}, {"logout_token": _token(GOOD)}])
def test_refused_by_a_portal(sandbox: Sandbox, form: dict[str, str]) -> None:
    """A portal answers what it does not believe with 400 and says why; nothing of it is kept anywhere (2.8)."""
    told = requests.post(sandbox.portal("aleris", "backchannel-logout"), data=form, timeout=PATIENCE)

    assert told.status_code == 400
    assert told.json()["error"] == "invalid_request"
    assert told.headers["Cache-Control"] == "no-store"


# ---- by a frame --------------------------------------------------------------------------------------


def test_told_by_a_frame(sandbox: Sandbox, browser: Browser) -> None:
    """The frame of the broker's logout page ends the session of the browser that loads it, and may be framed by it."""
    address, page = _frame(sandbox, log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per"))))

    browser.open(address)
    assert "Logged out here too" in browser.text
    assert f"frame-ancestors {sandbox.issuer}" in browser.page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in browser.page.headers
    assert browser.page.headers["Cache-Control"] == "no-store"

    assert "Du har loggats ut" in browser.open(page).text
    assert "Du har loggats ut" in browser.open(sandbox.portal("neuroreg")).text
    assert "The broker says that the sign-on is over" in browser.open(sandbox.portal("neuroreg", "happened")).text


def test_back_in_after_the_logout(sandbox: Sandbox, browser: Browser) -> None:
    """Who was logged out elsewhere is asked first, and comes back to the very page by one press."""
    address, page = _frame(sandbox, log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per"))))
    browser.open(address).open(page)
    assert browser.page.url == page

    browser.open(sandbox.portal("neuroreg", "login?door=per"))

    assert browser.page.url == page
    assert "Björn Provsson" in browser.text


@pytest.mark.parametrize(
    "changed", [{"iss": "https://evil.test"}, {"sid": "another"}, {"sid": None}, {"iss": None}, {"sid": ""}]
)
def test_frame_of_somebody_else(sandbox: Sandbox, browser: Browser, changed: dict[str, Any]) -> None:
    """A frame that does not name the broker and this very session ends nothing (Front-Channel Logout 1.0, 3)."""
    address, page = _frame(sandbox, log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per"))), **changed)

    assert "no such session" in browser.open(address).text
    assert "Björn Provsson" in browser.open(page).text


def test_frame_in_another_browser(sandbox: Sandbox, browser: Browser) -> None:
    """Who knows the session's number, but has not its cookie, ends nothing."""
    address, page = _frame(sandbox, log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per"))))

    assert "no such session" in Browser().open(address).text
    assert "Björn Provsson" in browser.open(page).text


def _frame(sandbox: Sandbox, browser: Browser, **changed: Any) -> tuple[str, str]:
    """Return the frame's address for the session that a page shows, and that page."""
    sid = browser.text.split("All claims", 1)[1].split(" sid ", 1)[1].split(" ", 1)[0]
    wish = {name: value for name, value in {"iss": sandbox.issuer, "sid": sid, **changed}.items() if value is not None}
    return f"{sandbox.portal('neuroreg', 'frontchannel-logout')}?{urlencode(wish)}", browser.page.url
