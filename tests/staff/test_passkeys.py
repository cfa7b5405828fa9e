"""Passkeys: only an answer to our own question, of this browser, now, by this key, lets somebody in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as some

from idbroker.clock import StoppedClock
from idbroker.otp.one_time import Locked
from idbroker.staff.entrance import Refused
from idbroker.staff.member import Member
from idbroker.staff.passkeys import MOST, Passkeys, with_passkey
from tests.conftest import NOW
from tests.office_door import ISSUER, Office
from tests.staff.authenticator import PRESENT, Authenticator, base64url
from tests.staff.staff_house import BOUND, HOME, staff_house, with_passkey_of


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give one house for all: each test has colleagues of its own."""
    with staff_house(tmp_path_factory.mktemp("staff"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def office(shared: Office, request: pytest.FixtureRequest) -> Office:
    """Give it, an hour later than the test before: no count of another's stands in the way."""
    shared.clock.move(timedelta(hours=1))
    login = f"u{abs(hash(request.node.nodeid))}"
    shared.hire(login)
    shared.hire(f"{login}-other")
    request.node.login = login
    return shared


@pytest.fixture
def login(request: pytest.FixtureRequest, office: Office) -> str:
    """Give the user name of this test's colleague."""
    return str(request.node.login)


def passkeys_of(office: Office) -> Passkeys:
    """Return the engine."""
    return office.house.offices.roster.welcome.passkeys


def entered(office: Office, device: Authenticator, bound: str = BOUND, **lies: Any) -> Member | Refused | Locked:
    """Ask, answer and come in, or not."""
    passkeys, now = passkeys_of(office), office.clock.now()
    return passkeys.enter(device.get(passkeys.asks(BOUND, now), **lies), bound, HOME, now)


def test_a_passkey_lets_its_owner_in(office: Office, login: str) -> None:
    """An answer to our question, by a key of theirs, is its owner's; the counter and the moment are kept."""
    member, device = with_passkey_of(office, login)
    found = entered(office, device)
    assert isinstance(found, Member)
    assert found.id == member.id
    assert (found.passkeys[0].counter, found.passkeys[0].used_at) == (1, office.clock.now())


def test_an_authenticator_without_a_counter_goes_on(office: Office, login: str) -> None:
    """Synchronised passkeys always say 0, which is taken as often as it is said (WebAuthn Level 3, 7.2, 22)."""
    _, device = with_passkey_of(office, login)
    assert isinstance(entered(office, device, steps=0), Member)
    assert isinstance(entered(office, device, steps=0), Member)


@pytest.mark.parametrize(
    "lies",
    [
        {"origin": "https://broker.test.evil.example"},
        {"origin": "http://broker.test"},
        {"host": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
        {"type": "webauthn.create"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"challenge": base64url(b"of my own")},
        {"id": b"nobody's"},
        {"owner": bytes(16)},
    ],
    ids=["origin", "http", "host", "unverified", "absent", "type", "signature", "challenge", "unknown", "owner"],
)
def test_a_lie_is_refused(office: Office, login: str, lies: dict[str, Any]) -> None:
    """Another site, an unverified user, another key, a challenge not of ours: refused (WebAuthn Level 3, 7.2)."""
    _, device = with_passkey_of(office, login)
    assert isinstance(entered(office, device, **lies), Refused)


def test_an_answer_counts_once(office: Office, login: str) -> None:
    """An answer that was heard is of no use again (replay; ASVS 6.5.1)."""
    _, device = with_passkey_of(office, login)
    passkeys, now = passkeys_of(office), office.clock.now()
    answer = device.get(passkeys.asks(BOUND, now))
    assert isinstance(passkeys.enter(answer, BOUND, HOME, now), Member)
    assert passkeys.enter(answer, BOUND, HOME, now) == Refused(why="challenge")


def test_an_answer_is_of_one_browser(office: Office, login: str) -> None:
    """A question that was put to another browser is not ours here (login CSRF)."""
    _, device = with_passkey_of(office, login)
    assert entered(office, device, bound="another browser's") == Refused(why="challenge")


def test_a_question_is_of_one_ceremony(office: Office, login: str) -> None:
    """What was asked to make a key is no question to come in, nor the other way round (WebAuthn Level 3, 7.1, 7.2)."""
    member, device = with_passkey_of(office, login)
    passkeys, now = passkeys_of(office), office.clock.now()
    to_make = json.loads(passkeys.asks_new(member, BOUND, now))["challenge"]
    assert entered(office, device, challenge=to_make) == Refused(why="challenge")
    to_enter = json.loads(passkeys.asks(BOUND, now))["challenge"]
    new = Authenticator(origin=ISSUER)
    assert passkeys.made(new.create(passkeys.asks_new(member, BOUND, now), challenge=to_enter), "", BOUND, now) is None


def test_a_question_lasts_ten_minutes(office: Office, login: str) -> None:
    """An answer that comes later is too late."""
    _, device = with_passkey_of(office, login)
    passkeys = passkeys_of(office)
    answer = device.get(passkeys.asks(BOUND, office.clock.now()))
    office.clock.move(timedelta(minutes=10))
    assert passkeys.enter(answer, BOUND, HOME, office.clock.now()) == Refused(why="challenge")


def test_a_counter_that_goes_back_is_a_copy(office: Office, login: str) -> None:
    """A signature counter that does not grow tells of a copied key, and is refused (WebAuthn Level 3, 7.2, 22)."""
    _, device = with_passkey_of(office, login)
    assert isinstance(entered(office, device, steps=5), Member)
    assert isinstance(entered(office, device, steps=0), Refused)
    assert isinstance(entered(office, device, steps=-3), Refused)
    device.counter = 6
    assert isinstance(entered(office, device), Member)


@pytest.mark.parametrize("what", ["disabled", "removed"])
def test_who_is_shut_out_does_not_come_in(office: Office, login: str, what: str) -> None:
    """A disabled colleague's passkey, and one that was taken away, open nothing."""
    member, device = with_passkey_of(office, login)
    changed = {"disabled": True} if what == "disabled" else {"passkeys": ()}
    office.house.offices.members.change(member.id, lambda one: replace(one, **changed))
    assert isinstance(entered(office, device), Refused)


@pytest.mark.parametrize("lies", [{"origin": "https://evil.example"}, {"flags": PRESENT}, {"challenge": "AAAA"}])
def test_a_passkey_made_elsewhere_is_not_taken(office: Office, login: str, lies: dict[str, Any]) -> None:
    """A passkey for another site, without its user verified, or unasked is not added (WebAuthn Level 3, 7.1)."""
    passkeys, now = passkeys_of(office), office.clock.now()
    device = Authenticator(origin=ISSUER)
    answer = device.create(passkeys.asks_new(office.member(login), BOUND, now), **lies)
    assert passkeys.made(answer, "", BOUND, now) is None


def test_a_member_has_ten_passkeys_at_most(office: Office, login: str) -> None:
    """The eleventh is not added, nor one that is there."""
    member, _ = with_passkey_of(office, login)
    one = member.passkeys[0]
    assert with_passkey(member, one) is None
    full = replace(member, passkeys=tuple(replace(one, id=bytes([number])) for number in range(MOST)))
    assert with_passkey(full, one) is None


def test_the_question_asks_for_two_factors(office: Office, login: str) -> None:
    """The user is to be verified, the key to be found without a name, and it is for our host (ASVS 6.3.3)."""
    passkeys, now = passkeys_of(office), office.clock.now()
    asked = json.loads(passkeys.asks(BOUND, now))
    made = json.loads(passkeys.asks_new(office.member(login), BOUND, now))
    assert (asked["rpId"], asked["userVerification"], asked["allowCredentials"]) == ("broker.test", "required", [])
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert made["authenticatorSelection"]["residentKey"] == "required"


@given(
    some.one_of(
        some.text(max_size=300), some.recursive(some.none() | some.text(max_size=9), some.lists).map(json.dumps)
    )
)
def test_no_text_breaks_it(shared: Office, text: str) -> None:
    """Whatever a form brings is refused in good order."""
    passkeys = passkeys_of(shared)
    assert not isinstance(passkeys.enter(text, BOUND, None, shared.clock.now()), Member)
    assert passkeys.made(text, "", BOUND, shared.clock.now()) is None


@given(some.binary(max_size=200), some.binary(max_size=200))
def test_no_octets_break_it(shared: Office, data: bytes, signature: bytes) -> None:
    """Nor do octets of an attacker's in the place of an authenticator's, under a challenge of ours."""
    passkeys, now = passkeys_of(shared), shared.clock.now()
    device = Authenticator(origin=ISSUER)
    answer = json.loads(device.get(passkeys.asks(BOUND, now)))
    answer["response"] |= {"authenticatorData": base64url(data), "signature": base64url(signature)}
    assert not isinstance(passkeys.enter(json.dumps(answer), BOUND, None, now), Member)
    made = json.loads(device.create(passkeys.asks_new(shared.member("anna"), BOUND, now)))
    made["response"]["attestationObject"] = base64url(data)
    assert passkeys.made(json.dumps(made), "", BOUND, now) is None
