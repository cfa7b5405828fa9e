"""Freja against its simulator: people with their stories, telephones that scan and follow, and every lie it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import SAMORDNINGSNUMMER
from idbroker.providers import Asked, Progress, Wait
from idbroker.providers.freja import FrejaApp, Settings, make
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES, SimFreja, make_freja
from idbroker.sandbox.freja_answers import INSTEAD, STARTS
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import SimPerson, cast
from idbroker.visitor import Device, visitor
from tests.providers.freja_service import means
from tests.providers.upstream import BACK, asked
from tests.sandbox.freja_rp import APP, serve_freja

BEGAN = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """A provider, and the simulator it speaks to."""

    provider: FrejaApp
    freja: SimFreja
    faults: Faults
    clock: StoppedClock
    people: dict[str, SimPerson]

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks now, from this machine's address."""
        here = visitor("127.0.0.1", "Agent/1")
        return replace(asked(self.clock, language="sv", visitor=here), **more)

    def begin(self, **more: Any) -> Wait:
        """Make an order."""
        return self.provider.begin(self.asked(**more))

    def look(self, begun: Wait, **more: Any) -> Wait | Identity:
        """Look at it once."""
        return self.provider.resume(self.asked(**more), begun.state, {})

    def scan(self, begun: Wait) -> str:
        """Scan the code as it is now; return the order's name at the simulator."""
        return self.freja.phone.scan(self.provider.code(begun.state, self.clock.now()) or "").id

    def act(self, order: str, person: str, outcome: str = "approve") -> str | None:
        """Do what a person does with an order."""
        return self.freja.phone.act(order, self.people[person], outcome)

    def go(self, person: str = "bjorn", outcome: str = "approve", **more: Any) -> Identity:
        """Go all the way, by the code."""
        begun = self.begin(**more)
        self.act(self.scan(begun), person, outcome)
        found = self.look(begun, **more)
        assert isinstance(found, Identity), found
        return found


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimFreja, Faults, StoppedClock, str]]:
    """Serve one simulator for all of these tests: its RSA keys take longer than they do."""
    clock, faults = StoppedClock(BEGAN), Faults({"freja": LIES})
    folder = tmp_path_factory.mktemp("freja")
    freja = make_freja(cast(BEGAN.date()), clock, faults, app_link=APP, folder=folder)
    with serve_freja(freja) as address:
        yield freja, faults, clock, address


@pytest.fixture
def chosen(simulated: tuple[SimFreja, Faults, StoppedClock, str]) -> Settings:
    """Give the settings for the simulator: all that is optional, chosen."""
    freja, _, _, address = simulated
    return Settings(
        environment="test",
        address=address,
        server_root_file=freja.server_root,
        certificate_file=freja.client_certificate,
        key_file=freja.client_key,
        jws_certificate_files=tuple(freja.jws_certificates),
        app_link=APP,
        loa_level=True,
        network_info=True,
        dynamic_qr=True,
    )


@pytest.fixture
def desk(simulated: tuple[SimFreja, Faults, StoppedClock, str], chosen: Settings) -> Iterator[Desk]:
    """Give a provider, an hour after the last test: nothing is wrong, and all orders have ended."""
    freja, faults, clock, _ = simulated
    provider = make("freja", chosen, means(clock))
    assert isinstance(provider, FrejaApp)
    yield Desk(provider, freja, faults, clock, {person.id: person for person in cast(BEGAN.date())})
    faults.clear()
    clock.move(timedelta(hours=1))
    provider._service.http.close()


def test_a_person_signs_in_by_the_code(desk: Desk) -> None:
    """Scan, approve, and be known by number, name, birth date and level, with the address of the app."""
    bjorn, identity = desk.people["bjorn"], desk.go("bjorn")

    assert identity.number is not None
    assert (identity.number.value, identity.name, identity.birthdate) == (bjorn.number, bjorn.name, bjorn.born)
    assert (identity.loa, identity.app_ip, identity.proved_at) == (LoA.SUBSTANTIAL, "127.0.0.1", desk.clock.now())
    assert identity.subject == desk.go("bjorn").subject != desk.go("samir").subject


def test_a_person_signs_in_by_the_link(desk: Desk) -> None:
    """On the same device the app leads back to our address, with the handle of this very sign-in (E1)."""
    begun = desk.begin(device=Device.THIS)
    order = desk.freja.phone.follow(desk.provider.link(begun.state, visitor("127.0.0.1", "Agent/1")))

    assert desk.act(order.id, "bjorn") == f"{BACK}?state=handle-1"
    assert isinstance(desk.look(begun), Identity)


def test_a_code_leads_nobody_back(desk: Desk) -> None:
    """E1: whoever scans is on another device, and is not taken to this sign-in there."""
    assert desk.act(desk.scan(desk.begin()), "bjorn") is None


def test_a_code_passed_on_comes_too_late(desk: Desk) -> None:
    """E2: the code of a moment ago is worth nothing to whoever was sent a picture of it."""
    begun = desk.begin()
    picture = desk.provider.code(begun.state, desk.clock.now()) or ""
    desk.clock.move(timedelta(seconds=30))

    with pytest.raises(Unreadable):
        desk.freja.phone.scan(picture)
    assert desk.scan(begun)


@pytest.mark.parametrize("spelled", ["text", "base64"])
def test_a_code_moves_however_the_secret_is_read(desk: Desk, chosen: Settings, spelled: str) -> None:
    """Both readings of Freja's beta, padded, make codes that the app reads."""
    settings = replace(chosen, dynamic_qr_secret=spelled, dynamic_qr_padding=True)
    provider = make("freja", settings, means(desk.clock))
    assert isinstance(provider, FrejaApp)

    assert replace(desk, provider=provider).go().number is not None
    provider._service.http.close()


def test_the_page_follows_the_person(desk: Desk) -> None:
    """Waiting, opened, proved: the code goes when the app has the order."""
    begun = desk.begin()
    order = desk.scan(begun)

    opened = desk.look(begun)
    assert isinstance(opened, Wait)
    assert (opened.progress, desk.provider.code(opened.state, desk.clock.now())) == (Progress.OPENED, None)
    desk.act(order, "bjorn")
    assert isinstance(desk.look(opened), Identity)


@pytest.mark.parametrize(
    ("person", "outcome", "error", "reason"),
    [
        ("bjorn", "cancel", Cancelled, None),
        ("ake", "approve", Cancelled, None),
        ("bjorn", "REJECTED", Refused, "freja_rejected"),
        ("elin", "approve", Refused, "freja_rejected"),
        ("eero", "approve", Refused, "freja_rejected"),
    ],
)
def test_what_the_person_did_is_told_apart(
    desk: Desk, person: str, outcome: str, error: type[ProviderError], reason: str | None
) -> None:
    """Cancelled by choice or by habit, rejected, and below the level that the order asks for."""
    with pytest.raises(error) as stopped:
        desk.go(person, outcome)

    assert getattr(stopped.value, "reason", None) == reason


@pytest.mark.parametrize("person", ["elin", "eero", "dagny"])
def test_lower_levels_prove_no_number(desk: Desk, person: str) -> None:
    """EXTENDED is low, a Finn's number no Swedish one, and a non-resident has none: all are known by subject."""
    identity = desk.go(person, minimum=LoA.LOW)

    assert (identity.loa, identity.number) == (LoA.LOW, None)
    assert (identity.name, len(identity.subject)) == (desk.people[person].name, 64)


def test_a_coordination_number_is_one(desk: Desk) -> None:
    """Samir lives in Sweden with a samordningsnummer."""
    number = desk.go("samir").number

    assert number is not None
    assert (number.kind, number.value) == (SAMORDNINGSNUMMER, desk.people["samir"].number)


def test_time_ends_an_order(desk: Desk) -> None:
    """After two minutes it lapses in silence, or has failed if somebody had it open; after ten it is lost."""
    begun, opened = desk.begin(), desk.begin()
    desk.scan(opened)
    opened = desk.look(opened)  # type: ignore[assignment]
    desk.clock.move(timedelta(minutes=2))

    lapsed = desk.look(begun)
    assert isinstance(lapsed, Wait)
    assert lapsed.progress is Progress.LAPSED
    with pytest.raises(Refused, match="not answered") as stopped:
        desk.look(opened)
    assert stopped.value.reason == "freja_expired"
    desk.clock.move(timedelta(minutes=8))
    with pytest.raises(Refused) as stopped:
        desk.look(begun)
    assert stopped.value.reason == "freja_lost"


def test_two_orders_of_one_person_end_both(desk: Desk) -> None:
    """Freja's guard against relayed codes: both are rejected, and the person is told to begin again."""
    first, second = desk.begin(), desk.begin()
    for begun in (first, second):
        desk.act(desk.scan(begun), "bjorn", "open")

    for begun in (first, second):
        with pytest.raises(Refused) as stopped:
            desk.look(begun)
        assert stopped.value.reason == "freja_rejected"


def test_a_dropped_order_cannot_be_approved(desk: Desk) -> None:
    """E5: what was cancelled stays so, whatever the app does afterwards."""
    begun = desk.begin()
    order = desk.scan(begun)
    desk.provider.drop(begun.state)

    with suppress(Unreadable):
        desk.act(order, "bjorn")
    found = desk.look(begun)
    assert isinstance(found, Wait)
    assert found.progress is Progress.LAPSED


def test_another_services_order_is_not_ours(desk: Desk, chosen: Settings) -> None:
    """Freja tells nothing of an order to a service that did not make it."""
    certificate, key = desk.freja.other_client()
    other = make("freja", replace(chosen, certificate_file=certificate, key_file=key), means(desk.clock))
    assert isinstance(other, FrejaApp)
    begun = desk.begin()

    with pytest.raises(Refused) as stopped:
        replace(desk, provider=other).look(begun)
    assert stopped.value.reason == "freja_lost"
    assert replace(desk, provider=other).go().subject != desk.go().subject
    other._service.http.close()


def test_freja_may_change_its_certificate(desk: Desk) -> None:
    """Between two looks, and back."""
    subjects = {desk.go().subject}
    desk.freja.rotate()
    subjects.add(desk.go().subject)
    desk.freja.rotate()

    assert len(subjects) == 1


# ---- lies ------------------------------------------------------------------------------------------

TRUE = {"outer_differs", "outer_auth_ref", "no_outer_attributes"}
NUMBERLESS = {"foreign_country", "no_number"}
TOO_LOW = {"lower_own_level", "lower_loa"}
REASONS = {"error_1100": "freja_lost", "error_2000": "freja_rejected"}
WAITING = {"unknown_status"}
NOTHING_LEARNT = {"number_status", "no_status", "lost_response", *INSTEAD, *STARTS} - REASONS.keys()
BELIEVED = TRUE | NUMBERLESS | TOO_LOW | WAITING | NOTHING_LEARNT | REASONS.keys() | {"approved_early"}


def tell(desk: Desk, lie: str) -> Wait | Identity:
    """Have somebody approve, then hear of it by a lie."""
    begun = desk.begin()
    desk.act(desk.scan(begun), "bjorn")
    desk.faults.set("freja", {"lies": [lie]})
    return desk.look(begun)


@pytest.mark.parametrize("lie", sorted(LIES - BELIEVED))
def test_a_lie_is_not_believed(desk: Desk, lie: str) -> None:
    """E4: forged, replayed, out of date, about somebody or something else: nobody is signed in by it."""
    with pytest.raises(Untrusted):
        tell(desk, lie)


def test_an_approval_before_the_person_acted_is_not_believed(desk: Desk) -> None:
    """E4: the word alone, with nothing signed, proves nothing; the order goes on."""
    begun = desk.begin()
    order = desk.scan(begun)
    desk.faults.set("freja", {"lies": ["approved_early"]})

    with pytest.raises(Untrusted):
        desk.look(begun)
    desk.faults.clear()
    desk.act(order, "bjorn")
    assert isinstance(desk.look(begun), Identity)


@pytest.mark.parametrize("lie", sorted(TRUE | NUMBERLESS))
def test_what_nobody_signed_changes_nothing(desk: Desk, lie: str) -> None:
    """What stands beside the signed part is not read; a number that is not Swedish, or not there, is none."""
    identity = tell(desk, lie)

    assert isinstance(identity, Identity)
    assert identity.name == desk.people["bjorn"].name
    assert (identity.number is None) is (lie in NUMBERLESS)


@pytest.mark.parametrize("lie", sorted(TOO_LOW))
def test_a_level_lowered_on_the_way_is_refused(desk: Desk, lie: str) -> None:
    """ASVS 6.8.4: what came back counts."""
    with pytest.raises(Refused) as stopped:
        tell(desk, lie)

    assert stopped.value.reason == "level_too_low"


@pytest.mark.parametrize("lie", sorted(WAITING))
def test_a_word_of_a_later_version_keeps_waiting(desk: Desk, lie: str) -> None:
    """Nothing has ended by it."""
    found = tell(desk, lie)

    assert isinstance(found, Wait)
    assert found.says == "b.st.work"


@pytest.mark.parametrize("lie", sorted(REASONS))
def test_a_refusal_has_its_words(desk: Desk, lie: str) -> None:
    """At the order and at the look; dropping such an order is done already."""
    begun = desk.begin()
    desk.faults.set("freja", {"lies": [lie]})

    with pytest.raises(Refused) as at_first:
        desk.begin()
    with pytest.raises(Refused) as later:
        desk.look(begun)
    assert at_first.value.reason == later.value.reason == REASONS[lie]
    desk.provider.drop(begun.state)


@pytest.mark.parametrize("lie", sorted(NOTHING_LEARNT))
def test_nonsense_teaches_nothing(desk: Desk, lie: str) -> None:
    """Unreachable, and once the service is well again the order is what it was."""
    begun = desk.begin()
    desk.act(desk.scan(begun), "bjorn")
    desk.faults.set("freja", {"lies": [lie]})

    with pytest.raises(Unreachable):
        desk.begin() if lie in STARTS else desk.look(begun)
    desk.faults.clear()
    assert isinstance(desk.look(begun), Identity)


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 500}, {"status": 401}, {"slow": 4}])
def test_a_service_that_is_away_is_unreachable(desk: Desk, fault: dict[str, Any]) -> None:
    """Down, broken, closed to us, slower than our patience."""
    desk.faults.set("freja", fault)

    with pytest.raises(Unreachable):
        desk.begin()


def test_the_link_is_the_set_one(desk: Desk, tmp_path: Path) -> None:
    """The sandbox's own address stands in the place of the app's."""
    code = urlsplit(desk.provider.code(desk.begin().state, desk.clock.now()) or "")

    assert f"{code.scheme}://{code.netloc}{code.path}" == APP
