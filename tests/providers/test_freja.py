"""Freja over REST: what an order asks for, and how it goes, over real mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, Refused
from idbroker.identity import LoA
from idbroker.numbers import PERSONNUMMER
from idbroker.providers import App, Binding, Progress
from idbroker.visitor import Device, Visitor, visitor
from tests.providers.freja_service import BJORN, WHO, Desk, Opened, open_desk


@pytest.fixture
def opened(tmp_path: Path, clock: StoppedClock) -> Opened:
    """Give a maker of desks."""
    return lambda **more: open_desk(tmp_path, clock, **more)


@pytest.fixture
def desk(opened: Opened) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with opened() as made:
        yield made


def test_is_an_app(desk: Desk) -> None:
    """The provider is of the kind that is waited for, at the pace Freja suggests."""
    provider = desk.provider

    assert isinstance(provider, App)
    assert (provider.title, provider.short, provider.loa) == ("Freja eID Plus", "Freja", LoA.SUBSTANTIAL)
    assert (provider.pace, provider.binding) == (timedelta(seconds=2.5), Binding.RETURN_AND_IP)


def test_proves_who_the_person_is(desk: Desk, clock: StoppedClock) -> None:
    """A person who approves is known by subject, number, name, birth date, level and moment, with the evidence."""
    identity = desk.go()

    assert (identity.provider, identity.issuer) == ("freja", "https://services.test.frejaeid.com")
    assert (identity.subject, identity.loa, identity.proved_at) == (WHO, LoA.SUBSTANTIAL, clock.now())
    assert identity.number is not None
    assert (identity.number.kind, identity.number.value) == (PERSONNUMMER, BJORN)
    assert (identity.name, identity.given_name, identity.family_name) == ("Björn Provsson", "Björn", "Provsson")
    assert (identity.birthdate, identity.amr, identity.app_ip) == (date(1987, 6, 19), ("swk", "mfa"), None)
    assert identity.evidence == {"details": desk.service.orders[desk.service.newest]["details"]}


def test_asks_by_nobodys_name(desk: Desk) -> None:
    """E2: an order is INFERRED, whatever hint there is: never put into the app of whoever somebody names."""
    desk.begin(number_hint=BJORN, visitor=visitor("192.0.2.7", "Agent/1"))

    call = desk.service.calls[-1]
    assert call.message == {
        "userInfoType": "INFERRED",
        "userInfo": "N/A",
        "minRegistrationLevel": "PLUS",
        "attributesToReturn": [
            {"attribute": name}
            for name in (
                "RELYING_PARTY_USER_ID",
                "REGISTRATION_LEVEL",
                "BASIC_USER_INFO",
                "DATE_OF_BIRTH",
                "SSN",
                "NETWORK_INFO",
            )
        ],
        "useDynamicQrCode": True,
        "originDeviceDetails": {"flowType": "ANOTHER_DEVICE", "userAgent": "Agent/1", "userIpAddress": "192.0.2.7"},
    }
    assert call.content_type == "application/x-www-form-urlencoded"
    assert [name for name, _ in call.fields] == ["initAuthRequest"]


@pytest.mark.parametrize(("agent", "device"), [("å?>~" * 20, Device.THIS), ("", Device.OTHER)])
def test_a_message_arrives_letter_by_letter(desk: Desk, agent: str, device: Device) -> None:
    """Base64's + and / are escaped in the form: what the service reads is what was asked, on every device."""
    desk.begin(visitor=Visitor(ip=None, agent=agent), device=device)

    flow = "SAME_DEVICE" if device is Device.THIS else "ANOTHER_DEVICE"
    told = {"userAgent": agent} if agent else {}
    assert desk.service.calls[-1].message["originDeviceDetails"] == {"flowType": flow, **told}


def test_says_for_whom_it_asks(opened: Opened) -> None:
    """An integrator's calls each name the relying party."""
    with opened(relying_party_id="party&1") as desk:
        begun = desk.begin()
        desk.look(begun)
        desk.provider.drop(begun.state)

        assert [dict(call.fields)["relyingPartyId"] for call in desk.service.calls] == ["party&1"] * 3


def test_asks_for_no_number_that_nobody_wants(desk: Desk) -> None:
    """Data minimisation: without `want_number` it is not asked for, and not taken if it comes."""
    identity = desk.go(want_number=False)

    wanted = desk.service.calls[0].message["attributesToReturn"]
    assert {"attribute": "SSN"} not in wanted
    assert identity.number is None


@pytest.mark.parametrize(
    ("level", "requirement", "wanted"),
    [
        (LoA.SUBSTANTIAL, {}, "PLUS"),
        (LoA.LOW, {}, "EXTENDED"),
        (LoA.LOW, {"registration_level": "PLUS"}, "PLUS"),
        (LoA.SUBSTANTIAL, {"registration_level": "EXTENDED"}, "PLUS"),
    ],
)
def test_asks_for_the_level_that_is_needed(desk: Desk, level: LoA, requirement: dict[str, str], wanted: str) -> None:
    """Whichever is more of what the client and the clinic demand; name and birth date need EXTENDED at least."""
    desk.begin(loa=LoA.SUBSTANTIAL, minimum=level, requirement=requirement)

    assert desk.service.calls[-1].message["minRegistrationLevel"] == wanted


def test_asks_for_a_face_where_a_clinic_does(desk: Desk) -> None:
    """`confirmation_method` goes to Freja in its own words, and only where it is required."""
    desk.begin(requirement={"confirmation_method": "DEFAULT_AND_FACE"})
    desk.begin()

    methods = [call.message.get("userConfirmationMethod") for call in desk.service.calls]
    assert methods == ["DEFAULT_AND_FACE", None]


def test_more_than_there_is_is_not_asked_for(desk: Desk) -> None:
    """Freja has no level high: nobody is sent to their telephone for nothing."""
    with pytest.raises(Refused) as stopped:
        desk.begin(loa=LoA.HIGH)

    assert (stopped.value.reason, desk.service.calls) == ("level_too_low", [])


def test_goes_from_waiting_to_opened(desk: Desk) -> None:
    """STARTED is waiting and DELIVERED_TO_MOBILE opened; once opened, an order does not go back."""
    begun = desk.begin()
    assert (begun.progress, begun.says) == (Progress.WAITING, "b.st.start")

    assert desk.waiting(begun) == begun
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    assert (opened.progress, opened.says) == (Progress.OPENED, "b.st.sign")
    assert desk.waiting(opened) == opened
    assert desk.waiting(opened, status="STARTED") == opened


@pytest.mark.parametrize("status", ["EXPIRED", "RP_CANCELED"])
def test_an_order_nobody_opened_lapses(desk: Desk, status: str) -> None:
    """It may be replaced in silence; one that somebody had open has failed, and they are told."""
    begun = desk.begin()

    assert desk.waiting(begun, status=status).progress is Progress.LAPSED
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    desk.service.set(status=status)
    with pytest.raises(Refused) as stopped:
        desk.look(opened)
    assert stopped.value.reason == "freja_expired"


def test_what_the_person_did_is_told_apart(desk: Desk) -> None:
    """CANCELED is the person's own doing; REJECTED is Freja's, as when two orders wait for one person."""
    begun = desk.begin()

    desk.service.set(status="CANCELED")
    with pytest.raises(Cancelled):
        desk.look(begun)
    desk.service.set(status="REJECTED")
    with pytest.raises(Refused) as stopped:
        desk.look(begun)
    assert stopped.value.reason == "freja_rejected"


def test_a_word_of_a_later_version_keeps_waiting(desk: Desk) -> None:
    """A status that we do not know ends nothing, neither before nor after the app was opened."""
    begun = desk.begin()

    waiting = desk.waiting(begun, status="CONTEMPLATED")
    assert (waiting.progress, waiting.says) == (Progress.WAITING, "b.st.work")
    opened = desk.waiting(begun, status="DELIVERED_TO_MOBILE")
    assert desk.waiting(opened, status="CONTEMPLATED").progress is Progress.OPENED


def test_a_result_may_be_read_twice(desk: Desk) -> None:
    """What proves a person proves the same person again: a look that was lost loses nothing."""
    begun = desk.begin()
    desk.service.approve()

    assert desk.proved(begun) == desk.proved(begun)


def test_a_reply_of_the_browser_proves_nothing(desk: Desk) -> None:
    """The browser's return only says that it came back; the order is looked at all the same."""
    begun = desk.begin(device=Device.THIS)
    reply = {"state": "handle-1", "status": "APPROVED", "details": "a.b.c"}

    assert desk.provider.resume(desk.asked(), begun.state, reply) == begun
