"""What stands between a pairing code and a sign-in: who may, when, how often, and of many at once which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Contact
from idbroker.accounts.vouching import told_of_help
from idbroker.clock import StoppedClock
from idbroker.errors import NotFound
from idbroker.identity import Assisted, LoA
from idbroker.messages.message import Channel
from idbroker.patients.assisting import AMR, CODE_LIFE, IDLE, LIFE, Assisting
from idbroker.patients.pairing import Begun, NoSuchPatient
from idbroker.patients.pairing_codes import OF_NETWORK, OF_STRANGERS, STRANGERS_PAUSE, TRIES
from idbroker.patients.patient import Conflict, NotDone
from idbroker.staff.member import Role
from tests.office.helping_house import Clinic, open_clinic

HERE, AWAY = "192.0.2.10", "198.51.100.7"


@pytest.fixture
def clinic(tmp_path: Path, clock: StoppedClock) -> Iterator[Clinic]:
    """Give a clinic with a tablet."""
    with open_clinic(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def assisting(clinic: Clinic) -> Assisting:
    """Give what is tested."""
    return clinic.house.offices.assisting


def begin(clinic: Clinic, **changed: str) -> Begun:
    """Return help that has begun."""
    asked = {"client_id": "portal", "checked": "passport", "reason": "unwell", **changed}
    begun = clinic.house.offices.assisting.begin(
        clinic.actor(), clinic.patient().handle, now=clinic.clock.now(), ip=HERE, **asked
    )
    assert isinstance(begun, Begun), begun
    return begun


def claimed(clinic: Clinic) -> str:
    """Return a pairing that a tablet has."""
    begun = begin(clinic)
    assert clinic.house.offices.assisting.claim(begun.code, "t", clinic.clock.now(), ip=HERE) is not None
    return begun.pairing.id


def wrong(code: str) -> str:
    """Return another code."""
    return f"{(int(code) + 1) % 10**6:06d}"


# ---- what comes of it ----------------------------------------------------------------------------


def test_what_a_sign_in_by_staff_is(clinic: Clinic, assisting: Assisting) -> None:
    """Level low, one service, half an hour, by staff in a role, for the patient with number and name."""
    identity = assisting.accept(claimed(clinic), "t", clinic.clock.now())

    assert (identity.loa, identity.amr, identity.provider) == (LoA.LOW, AMR, "assisted")
    assert identity.upstream_until == clinic.clock.now() + LIFE
    assert (identity.number, identity.birthdate) == (clinic.number("bjorn"), clinic.number("bjorn").birthdate)
    assert identity.assisted == Assisted(
        staff=clinic.member().id,
        role="carer",
        clinic="neuroreg",
        client="portal",
        pairing=identity.assisted.pairing if identity.assisted else "",
        epoch=clinic.member().epoch,
    )


def test_one_tablet_of_many(clinic: Clinic, assisting: Assisting) -> None:
    """A code that two tablets type at once pairs one of them."""
    begun = begin(clinic)
    with ThreadPoolExecutor(4) as crowd:
        taken = list(crowd.map(lambda n: assisting.claim(begun.code, f"t{n}", clinic.clock.now(), ip=HERE), range(4)))

    assert sum(given is not None for given in taken) == 1
    assert assisting.claim(begun.code, "later", clinic.clock.now(), ip=HERE) is None


def test_yes_or_end(clinic: Clinic, assisting: Assisting) -> None:
    """Yes on the tablet and the end on the colleague's screen at once: afterwards nothing runs."""
    for _ in range(5):
        pairing, now = claimed(clinic), clinic.clock.now()
        with ThreadPoolExecutor(2) as both:
            yes = both.submit(_accepted, assisting, pairing, now)
            both.submit(assisting.end, clinic.actor(), pairing, now).result()
            yes.result()
        assert not assisting.runs(pairing, now)
        assert assisting.look(clinic.actor(), pairing, now).state == "ended"


def _accepted(assisting: Assisting, pairing: str, now: object) -> bool:
    try:
        assisting.accept(pairing, "t", now, "k")  # type: ignore[arg-type]
    except NotFound:
        return False
    return True


def test_only_the_tablet_that_has_it(clinic: Clinic, assisting: Assisting) -> None:
    """A pairing's id opens nothing: who has not typed the code neither says yes nor no."""
    pairing, now = claimed(clinic), clinic.clock.now()

    for act in (assisting.accept, assisting.refuse):
        with pytest.raises(NotFound):
            act(pairing, "other", now)
    assert assisting.held(pairing, "other", now) is None
    assert assisting.held(pairing, "t", now) is not None


def test_once(clinic: Clinic, assisting: Assisting) -> None:
    """A pairing gives one sign-on: yes again for another is refused."""
    pairing, now = claimed(clinic), clinic.clock.now()
    first = assisting.accept(pairing, "t", now, "k1")

    assert assisting.accept(pairing, "t", now, "k1") == first
    for other in ("k2", ""):
        with pytest.raises(NotFound):
            assisting.accept(pairing, "t", now, other)


# ---- what has changed between the code and the yes -----------------------------------------------


def _disabled(clinic: Clinic) -> None:
    clinic.house.offices.members.change(clinic.member().id, lambda member: replace(member, disabled=True))


def _no_role(clinic: Clinic) -> None:
    clinic.house.offices.members.change(
        clinic.member().id, lambda member: replace(member, roles={"clinea": Role.CARER})
    )


def _dead(clinic: Clinic) -> None:
    patient = clinic.patient()
    assert patient.entry is not None
    clinic.patient(handle=patient.handle, entry=replace(patient.entry, deceased_on=date(2026, 11, 22)))


def _closed(clinic: Clinic) -> None:
    patient, now = clinic.patient(), clinic.clock.now()
    account = Account(person=patient.person, number=clinic.number("bjorn"), disabled=True, created_at=now)
    assert clinic.house.rooms.counter.records.accounts.add(account)


@pytest.mark.parametrize("change", [_disabled, _no_role, _dead, _closed])
def test_no_yes_afterwards(clinic: Clinic, assisting: Assisting, change: Callable[[Clinic], None]) -> None:
    """A colleague disabled or gone from the clinic, a patient dead or disabled: the open question signs nobody in."""
    patient = clinic.patient()
    begun = assisting.begin(clinic.actor(), patient.handle, "portal", "card", "other", clinic.clock.now(), ip=HERE)
    assert isinstance(begun, Begun)
    assisting.claim(begun.code, "t", clinic.clock.now(), ip=HERE)
    change(clinic)

    with pytest.raises(NotFound):
        assisting.accept(begun.pairing.id, "t", clinic.clock.now())


def test_nobody_elses_number(clinic: Clinic, assisting: Assisting) -> None:
    """A number in the clinic's list that is another person's signs nobody in: the service would see that person."""
    patient, now = clinic.patient(), clinic.clock.now()
    assert patient.entry is not None
    wrong_one = replace(patient.entry, number=clinic.number("ake"))
    clinic.patient(handle=patient.handle, entry=wrong_one)

    refused = assisting.begin(clinic.actor(), patient.handle, "portal", "card", "other", now, ip=HERE)

    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.ELSEWHERE
    assert clinic.told() == []


# ---- whom the patient hears it from --------------------------------------------------------------


def test_told_wherever_they_may_be(clinic: Clinic, assisting: Assisting) -> None:
    """The message goes to what was shown to be theirs and to what the clinic has: once each, to nothing unshown."""
    patient, now = clinic.patient(), clinic.clock.now()
    shown = Contact(channel=Channel.EMAIL, address="own@example.org", verified_at=now)
    claimed_only = Contact(channel=Channel.SMS, address="+46701740605")
    account = Account(
        person=patient.person, number=clinic.number("bjorn"), contacts=(shown, claimed_only), created_at=now
    )
    assert clinic.house.rooms.counter.records.accounts.add(account)

    told = told_of_help(patient, account, clinic.house.settings.clinics.by_id["neuroreg"], now)

    assert [one.address for one in told] == ["own@example.org", "patient@example.org"]
    assisting.vouch(clinic.actor(), clinic.number("bjorn"), "portal", now)
    assert len(clinic.emails()) == 2


# ---- guessing ------------------------------------------------------------------------------------


def test_five_tries_of_a_tablet(clinic: Clinic, assisting: Assisting) -> None:
    """Five wrong codes, and for five minutes the tablet's right one is not even compared."""
    begun, now = begin(clinic), clinic.clock.now()
    for _ in range(TRIES):
        assert assisting.claim(wrong(begun.code), "t", now, ip=HERE) is None

    assert assisting.claim(begun.code, "t", now, ip=HERE) is None
    assert assisting.claim(begun.code, "another", now, ip=HERE) is not None


def test_what_is_no_code_costs_no_try(clinic: Clinic, assisting: Assisting) -> None:
    """A slip of five or seven figures spends nothing."""
    begun, now = begin(clinic), clinic.clock.now()
    for typed in ("", "12345", "1234567", "abcdef") * 3:
        assert assisting.claim(typed, "t", now, ip=HERE) is None

    assert assisting.claim(f" {begun.code[:3]} {begun.code[3:]}", "t", now, ip=HERE) is not None


def test_a_cookie_for_each_guess(clinic: Clinic, assisting: Assisting) -> None:
    """From one network twenty tries in a quarter of an hour, however many cookies; then none, the right one neither."""
    begun, now = begin(clinic), clinic.clock.now()
    for n in range(OF_NETWORK.most):
        assert assisting.claim(f"{(int(begun.code) + 1 + n) % 10**6:06d}", f"t{n}", now, ip=HERE) is None

    assert assisting.claim(begun.code, "fresh", now, ip=HERE) is None
    assert assisting.claim(begun.code, "fresh", now, ip=AWAY) is not None


def test_an_address_for_each_guess(clinic: Clinic, assisting: Assisting) -> None:
    """Strangers have twenty tries together, from however many addresses; a clinic at work has its own all the time."""
    begun, now = begin(clinic), clinic.clock.now()
    for n in range(OF_STRANGERS.most):
        guess = f"{(int(begun.code) + 1 + n) % 10**6:06d}"
        assert assisting.claim(guess, f"t{n}", now, ip=f"198.51.100.{n}") is None

    assert assisting.claim(begun.code, "far", now, ip="203.0.113.9") is None
    assert assisting.claim(begun.code, "near", now, ip=HERE) is not None
    clinic.clock.move(STRANGERS_PAUSE)
    later = begin(clinic)
    assert assisting.claim(later.code, "far", clinic.clock.now(), ip="203.0.113.9") is not None


def test_guesses_at_once(clinic: Clinic, assisting: Assisting) -> None:
    """A burst in one moment gets no more tries than one after the other: they are counted before they are compared."""
    begun, now = begin(clinic), clinic.clock.now()
    guesses = [f"{n:06d}" for n in range(OF_NETWORK.most + 20) if f"{n:06d}" != begun.code]
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda code: assisting.claim(code, f"t{code}", now, ip=HERE), guesses))

    assert assisting.claim(begun.code, "fresh", now, ip=HERE) is None


def test_no_code_in_the_store(clinic: Clinic, assisting: Assisting) -> None:
    """Nobody who lists the store's keys reads a code there."""
    names: list[str] = []
    codes = assisting.codes

    class Written:
        """A shelf that says under what it keeps things."""

        def __getattr__(self, name: str) -> object:
            def call(key: str, *rest: object) -> object:
                names.append(key)
                return getattr(codes.codes, name)(key, *rest)

            return call

    code = replace(codes, codes=Written()).make("pairing", "staff", HERE)  # type: ignore[arg-type]

    assert names
    assert not any(code in name for name in names)


# ---- on the screen itself ------------------------------------------------------------------------


def test_vouched_for_on_the_screen(clinic: Clinic, assisting: Assisting) -> None:
    """By number, where staff have signed in on the patient's screen: restricted alike, noted, and told."""
    clinic.patient()
    number, now = clinic.number("bjorn"), clinic.clock.now()

    identity = assisting.vouch(clinic.actor(), number, "portal", now)

    assert not isinstance(identity, NoSuchPatient | NotDone)
    assert identity.assisted is not None
    assert identity.assisted.screen
    assert clinic.told() == ["accepted"]
    assert len(clinic.emails()) == 1


def test_nobody_of_that_number(clinic: Clinic, assisting: Assisting) -> None:
    """A number that this clinic does not have, another's patient's too, is nobody here; a closed service is not it."""
    clinic.patient("clinea")
    actor, number, now = clinic.actor(), clinic.number("bjorn"), clinic.clock.now()
    assert assisting.vouch(actor, number, "portal", now) == NoSuchPatient()

    clinic.patient()
    refused = assisting.vouch(actor, number, "closed", now)

    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.NOT_HERE
    assert clinic.told() == []


@pytest.mark.parametrize("state", ["open", "given", "running"])
def test_nobody_looks(clinic: Clinic, assisting: Assisting, state: str) -> None:
    """What runs out is in the trail by itself, within seconds and once, however many workers and screens look."""
    pairing = begin(clinic).pairing.id if state == "open" else claimed(clinic)
    if state == "running":
        assisting.accept(pairing, "t", clinic.clock.now())
    life = {"open": CODE_LIFE, "given": IDLE, "running": LIFE}[state]

    clinic.clock.move(life - timedelta(seconds=1))
    clinic.house.wards.watch.deliver(clinic.clock.now())
    assert "ended" not in clinic.told()
    clinic.clock.move(timedelta(seconds=6))
    watches = [replace(clinic.house.wards.watch) for _ in range(4)]
    with ThreadPoolExecutor() as workers:
        list(workers.map(lambda watch: watch.deliver(clinic.clock.now()), watches))

    assisting.look(clinic.actor(), pairing, clinic.clock.now())
    assert clinic.told().count("ended") == 1
    kept = assisting.helped.lapses.get("lapses")
    assert kept is not None
    assert kept.value.until == {}


def test_the_end_is_noted_once(clinic: Clinic, assisting: Assisting) -> None:
    """What ends by itself ended then, whoever looks later, and is in the trail once."""
    pairing = claimed(clinic)
    assisting.accept(pairing, "t", clinic.clock.now())
    end = clinic.clock.now() + LIFE
    clinic.clock.move(LIFE + timedelta(minutes=5))

    looked = [assisting.look(clinic.actor(), pairing, clinic.clock.now()) for _ in range(2)]

    assert [one.ended_at for one in looked] == [end, end]
    assert clinic.told() == ["begun", "accepted", "ended"]
