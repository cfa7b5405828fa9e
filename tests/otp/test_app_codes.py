"""Codes of an authenticator app (RFC 6238)."""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from idbroker.otp import app_codes
from idbroker.otp.one_time import Locked, Right, Wrong
from tests.otp.house import House, at_once, spot, wrong

SECRET = base64.b32encode(b"12345678901234567890").decode()  # the secret of RFC 6238's own examples
AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
STEP = int(AT.timestamp()) // 30
HALF = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_standards_own_examples(seconds: int, code: str) -> None:
    """RFC 6238, appendix B (SHA-1), the last six digits: taken, with the step each is of."""
    at = datetime.fromtimestamp(seconds, UTC)

    assert app_codes.step_of(SECRET, code, at, 0) == seconds // 30


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_neighbouring_steps_are_taken(steps: int, taken: bool) -> None:
    """RFC 6238, 5.2: a step early or late is taken, no more; and which step it was is told."""
    code = pyotp.TOTP(SECRET).at(AT + steps * HALF)

    assert app_codes.step_of(SECRET, code, AT, 0) == (STEP + steps if taken else None)


def test_a_step_is_taken_once() -> None:
    """RFC 6238, 5.2; ASVS 6.5.1: a code that was used is refused, and all before it; the next one is taken."""
    code, following = pyotp.TOTP(SECRET).at(AT), pyotp.TOTP(SECRET).at(AT + HALF)

    assert app_codes.step_of(SECRET, code, AT, STEP) is None
    assert app_codes.step_of(SECRET, code, AT + HALF, STEP) is None
    assert app_codes.step_of(SECRET, following, AT, STEP) == STEP + 1


@pytest.mark.parametrize("typed", ["", "abc", "000000 1", "1" * 10_000])
def test_what_is_no_code_is_of_no_step(typed: str) -> None:
    """Rubbish is of no step, and breaks nothing."""
    assert app_codes.step_of(SECRET, typed, AT, 0) is None


def test_an_app_reads_the_address() -> None:
    """A new secret has 160 bits, and an app that reads the address shows the codes that we take."""
    secret = app_codes.new_secret()
    parts = urlsplit(app_codes.uri(secret, "Ada & Bo", "Vårdportalen"))

    told = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, told["secret"]) == ("otpauth", "totp", [secret])
    assert told["issuer"] == ["Vårdportalen"]
    assert len(base64.b32decode(secret)) == 20
    app = pyotp.parse_uri(parts.geturl())
    assert isinstance(app, pyotp.TOTP)
    assert app_codes.step_of(secret, app.at(AT), AT, 0) == STEP
    assert app_codes.new_secret() != secret


def ask(house: House, typed: str, after_step: int = 0, purpose: str = "login") -> object:
    """Check a code of the person's app, now."""
    return house.app.check(
        person="p1", purpose=purpose, secret=SECRET, typed=typed, after_step=after_step, now=house.clock.now()
    )


def test_of_two_hundred_at_once_one_gets_the_step(shared: House) -> None:
    """O5 (ASVS 6.5.1): one code two hundred times at once is one sign-in, with nothing saved in between."""
    code = pyotp.TOTP(SECRET).at(AT)

    answers = at_once([lambda: ask(shared, code)] * 200)

    assert [answer for answer in answers if isinstance(answer, int)] == [STEP]


def test_tries_are_counted_with_those_of_messages(house: House) -> None:
    """O3: five tries are five, three of them of a text message and two of an app."""
    code = house.send(spot())
    for left in (4, 3, 2):
        assert house.check(spot(), wrong(code)) == Wrong(left=left)

    own = pyotp.TOTP(SECRET).at(AT)
    assert ask(house, wrong(own)) == Wrong(left=1)
    assert isinstance(ask(house, wrong(own)), Locked)
    assert isinstance(ask(house, own), Locked)
    assert isinstance(house.check(spot(), code), Locked)


def test_a_right_one_clears_the_tries(house: House) -> None:
    """A right code of an app gives all tries back, to messages too."""
    code = house.send(spot())
    house.check(spot(), wrong(code))

    assert isinstance(ask(house, pyotp.TOTP(SECRET).at(house.clock.now())), int)
    assert house.check(spot(), wrong(code)) == Wrong(left=4)
    assert house.check(spot(), code) == Right()


def test_no_result_holds_a_code() -> None:
    """What is answered can be logged: it holds no code and no secret (O10)."""
    assert {field.name for kind in (Wrong, Locked) for field in dataclasses.fields(kind)} == {
        "left",
        "until",
        "recover",
    }
