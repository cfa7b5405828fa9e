"""Freja asked by somebody's number, while they are on the telephone (initAuthentication with userInfoType SSN)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.telephone import Dialled
from tests.providers.freja_service import BJORN, Desk, open_desk, signed


@pytest.fixture
def desk(tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """Give a provider that may ask by telephone."""
    with open_desk(tmp_path, clock, telephone=True) as made:
        yield made


def dial(desk: Desk, number: NationalNumber | None = None, **more: Any) -> bytes:
    """Ask Björn."""
    now = desk.clock.now()
    return desk.provider.dial(number or parse(BJORN, "SE", now=now.date()), "Hello", by_clinic=True, now=now, **more)


def heard(desk: Desk, state: bytes) -> Identity | None:
    """Look once."""
    return desk.provider.heard(state, desk.clock.now())


def approve(desk: Desk, *, kind: str = "SSN", **attributes: Any) -> None:
    """Have the newest order approved, as one of some kind."""
    payload = {**desk.service.payload(**attributes), "userInfoType": kind}
    desk.service.answer(signed(desk.service.header(), payload, desk.service.stamp.key))


def test_freja_dials_where_the_operator_lets_it(desk: Desk) -> None:
    """Freja is one of those that ask by telephone; it shows no words of ours, and is off unless switched on."""
    assert isinstance(desk.provider, Dialled)
    assert (desk.provider.dials, desk.provider.shows) == (True, False)
    assert not replace(desk.provider._settings, telephone=False).telephone


def test_asks_for_the_number_at_plus(desk: Desk) -> None:
    """B4: country and number in base64, at Plus, for only there a number is believed; no code to scan."""
    dial(desk)

    sent = desk.service.calls[-1].message
    assert sent["userInfoType"] == "SSN"
    assert json.loads(base64.b64decode(sent["userInfo"])) == {"country": "SE", "ssn": BJORN}
    assert sent["minRegistrationLevel"] == "PLUS"
    assert {"attribute": "SSN"} in sent["attributesToReturn"]
    assert "useDynamicQrCode" not in sent
    assert "originDeviceDetails" not in sent


def test_hears_who_approved(desk: Desk) -> None:
    """Whoever approves is known by number and level, with what Freja signed."""
    state = dial(desk)
    assert heard(desk, state) is None
    desk.service.set(status="DELIVERED_TO_MOBILE")
    assert heard(desk, state) is None
    approve(desk)

    identity = heard(desk, state)

    assert identity is not None
    assert identity.number is not None
    assert (identity.number.value, identity.loa) == (BJORN, LoA.SUBSTANTIAL)
    assert identity.evidence.keys() == {"details"}


def test_a_sign_in_is_no_answer_to_a_call(desk: Desk) -> None:
    """B6: what was signed for an order that was begun by scanning says nothing of who is on the telephone."""
    state = dial(desk)
    approve(desk, kind="INFERRED")

    with pytest.raises(Untrusted, match="another way"):
        heard(desk, state)


def test_a_call_is_no_sign_in(desk: Desk) -> None:
    """E2: what was signed for an order that was begun by a number signs nobody in."""
    begun = desk.begin()
    approve(desk)

    with pytest.raises(Untrusted, match="another way"):
        desk.look(begun)


@pytest.mark.parametrize("level", ["EXTENDED", "BASIC"])
def test_a_lower_registration_is_nobody(desk: Desk, level: str) -> None:
    """A number that was read off a picture of a document is not believed, whatever was asked for."""
    state = dial(desk)
    approve(desk, registrationLevel=level)

    with pytest.raises(Refused) as refused:
        heard(desk, state)

    assert refused.value.reason == "level_too_low"


def test_another_countrys_number_is_no_number(desk: Desk) -> None:
    """The same digits in another country are another person: nothing to compare with."""
    state = dial(desk)
    approve(desk, ssn={"country": "NO", "ssn": BJORN})

    identity = heard(desk, state)

    assert identity is not None
    assert identity.number is None


ENDS = [
    ("CANCELED", Cancelled, None),
    ("REJECTED", Refused, "freja_rejected"),
    ("EXPIRED", Refused, "freja_expired"),
    ("RP_CANCELED", Refused, "freja_expired"),
]


@pytest.mark.parametrize(("status", "kind", "reason"), ENDS)
def test_every_end_is_what_it_is(desk: Desk, status: str, kind: type[ProviderError], reason: str | None) -> None:
    """B5: each final status is an error of its own."""
    state = dial(desk)
    desk.service.set(status=status)

    with pytest.raises(kind) as error:
        heard(desk, state)

    assert getattr(error.value, "reason", None) == reason


def test_a_new_word_ends_nothing(desk: Desk) -> None:
    """A status of a later version is neither an approval nor an end."""
    state = dial(desk)
    desk.service.set(status="SOMETHING_NEW")

    assert heard(desk, state) is None


@pytest.mark.parametrize(("code", "kind"), [(1004, Unreachable), (2000, Refused), (1005, Refused), (0, Unreachable)])
def test_refused_at_the_start(desk: Desk, code: int, kind: type[ProviderError]) -> None:
    """B8: a service that may not ask by number is our trouble; a person whom Freja protects just now is theirs."""
    desk.service.canned["initAuthentication"] = (422, json.dumps({"code": code, "message": "no"}).encode())

    with pytest.raises(kind):
        dial(desk)


def test_hangs_up(desk: Desk) -> None:
    """An order that is cancelled is cancelled at Freja; cancelling it again does nothing."""
    state = dial(desk)

    desk.provider.hang_up(state)
    desk.provider.hang_up(state)

    assert desk.service.orders[desk.service.newest]["status"] == "RP_CANCELED"


def test_an_answer_from_before_the_call_is_refused(desk: Desk) -> None:
    """Details are of the moment between the question and now, or of another call."""
    state = dial(desk)
    desk.clock.move(-timedelta(minutes=10))
    approve(desk)
    desk.clock.move(timedelta(minutes=10))

    with pytest.raises(Untrusted):
        heard(desk, state)


def test_demands_what_the_clinic_demands(desk: Desk) -> None:
    """A clinic that wants the face too wants it by telephone."""
    dial(desk, requirement={"confirmation_method": "DEFAULT_AND_FACE"})

    assert desk.service.calls[-1].message["userConfirmationMethod"] == "DEFAULT_AND_FACE"


def test_only_swedish_numbers_are_asked(desk: Desk) -> None:
    """A Danish number is nobody's here, and is not sent."""
    with pytest.raises(Refused):
        dial(desk, NationalNumber(country="DK", kind="CPR", value="0905961234"))

    assert desk.service.calls == []
