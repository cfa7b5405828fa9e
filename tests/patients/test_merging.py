"""Joining two persons who are one, and taking them apart again, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest

from idbroker.accounts.account import Standing
from idbroker.clock import StoppedClock
from idbroker.errors import NotAllowed, NotFound
from idbroker.events import Event
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from idbroker.patients.merging import Merged
from idbroker.patients.patient import Conflict, NotDone
from idbroker.staff.member import Role
from idbroker.store import open_durable
from idbroker.webhooks import Webhook, WebhookRow, webhook_row
from tests.patients.merge_house import CECILIA, OPERATOR, MergeHouse

OLD, NEW, OTHER = "610190-0001", "610190-0002", "620190-0001"


@pytest.fixture
def house(list_url: str, clock: StoppedClock) -> Iterator[MergeHouse]:
    """Give a house over each store."""
    durable = open_durable(list_url, clock, pool_size=16)
    durable.migrate()
    yield MergeHouse(durable=durable, clock=clock)
    durable.close()


def twice(house: MergeHouse) -> tuple[str, str]:
    """Return one patient who is at the clinic twice, by an old number and a new one."""
    older, newer = house.person(OLD, "mitid old"), house.person(NEW, "mitid new")
    house.enrolled(older, OLD)
    house.enrolled(newer, NEW)
    return older, newer


def by_number(house: MergeHouse, number: str) -> str:
    """Return whom a number leads to."""
    return house.records.accounts.person(parse(number, "DK", now=house.now.date()), house.now)


def done(result: Merged | NotDone) -> Merged:
    """Return what was done."""
    assert isinstance(result, Merged), result
    return result


def handles(house: MergeHouse, *persons: str) -> list[str]:
    """Return what the clinic knows some by."""
    found = (house.records.enrolments.find(person, "clinea") for person in persons)
    return [one.handle for one in found if one is not None]


# ---- the operator ------------------------------------------------------------------------------------


def test_joined_by_the_operator(house: MergeHouse) -> None:
    """The older id stays and all of both leads to it; the other has nothing; the trail of both says so."""
    older, newer = twice(house)
    house.enrolled(newer, NEW, "clineb", standing=Standing.ASKED)
    terms = house.consent(newer, "clinea")

    merged = done(house.merging.join(OPERATOR, newer, older, house.now))

    assert (merged.survivor, merged.absorbed, merged.first) == (older, newer, True)
    assert by_number(house, OLD) == by_number(house, NEW) == older
    assert house.person("", "mitid new") == older
    enrolments = house.records.enrolments.of(older)
    assert [(one.clinic, one.standing, one.person) for one in enrolments] == [
        ("clinea", Standing.APPROVED, older),
        ("clineb", Standing.ASKED, older),
    ]
    assert house.records.enrolments.of(newer) == ()
    assert [one.id for one in house.records.consents.of(older)] == [terms.id]
    events = house.events("patient.merged")
    assert {(event.person, event.clinic) for event in events} == {
        (older, "clinea"),
        (newer, "clinea"),
        (newer, "clineb"),
    }
    assert {event.detail["by"] for event in events} == {"operator"}
    assert {older, newer} <= set(house.ended.persons)


def test_found_as_before(house: MergeHouse) -> None:
    """The one who is left is found by handle, name and birth date, with the newer record's number and address."""
    older, newer = twice(house)
    (handle,) = handles(house, older)

    done(house.merging.join(OPERATOR, older, newer, house.now))

    one = house.records.enrolments.by_handle("clinea", handle)
    assert one is not None
    assert one.entry is not None
    assert one.entry.number == parse(NEW, "DK", now=house.now.date())
    assert one.told == {Channel.EMAIL: f"{NEW}@example.org"}
    assert house.records.enrolments.named("clinea", "person", date(1990, 1, 1)) == (one,)


@pytest.mark.parametrize(
    ("mine", "theirs", "left"),
    [
        ("confirmed", None, "mine"),
        (None, "plain", "theirs"),
        ("plain", "confirmed", "theirs"),
        ("confirmed", "confirmed", "mine"),
        ("plain", "plain", "mine"),
    ],
)
def test_one_account_is_left(house: MergeHouse, mine: str | None, theirs: str | None, left: str) -> None:
    """The survivor's account stays, unless an eID has confirmed the other alone; it opens in its new row."""
    older, newer = twice(house)
    for person, number, kind, name in ((older, OLD, mine, "mine"), (newer, NEW, theirs, "theirs")):
        if kind:
            house.account(person, number, given_name=name, confirmed_at=house.now if kind == "confirmed" else None)

    done(house.merging.join(OPERATOR, older, newer, house.now))

    account = house.records.accounts.of(older)
    assert account is not None
    assert (account.given_name, account.person) == (left, older)
    assert house.records.accounts.of(newer) is None


def test_told(house: MergeHouse) -> None:
    """Every address of both is told, and what it is told is nothing of either."""
    older, newer = twice(house)
    house.account(newer, NEW)

    done(house.merging.join(OPERATOR, older, newer, house.now))

    assert {one.to for one in house.post.sent} == {f"{OLD}@example.org", f"{NEW}@example.org", "+4520123456"}
    assert all("610190" not in one.text and "Prøve" not in one.text for one in house.post.sent)


def test_clinics_systems_are_told(house: MergeHouse) -> None:
    """A join and a parting are news of both handles, to who listens at that clinic, in the same transaction."""
    older, newer = twice(house)
    there = house.enrolled(newer, NEW, "clineb").handle
    for client in ("journal", "elsewhere"):
        hook = Webhook(client_id=client, url=f"https://{client}.test/", kinds=("merged",), since=house.now)
        house.durable.webhooks.save(WebhookRow(webhook=hook, sealed=house.sealer.seal(b"x", webhook_row(client))))
    listening = {"clinea": ("journal",), "clineb": ("elsewhere",)}
    house.merging = replace(house.merging, listeners=lambda clinic: listening[clinic])
    both = [("journal", handle) for handle in handles(house, older, newer)]

    merged = done(house.merging.join(OPERATOR, newer, older, house.now))
    done(house.merging.join(OPERATOR, newer, older, house.now))
    assert told(house) == {*both, ("elsewhere", there)}

    done(house.merging.split(OPERATOR, merged.id, house.now))
    assert told(house) == {*both, ("elsewhere", there)}


def told(house: MergeHouse) -> set[tuple[str, str]]:
    """Take what lies in the outbox: who is told of which handle, once each."""
    notices = house.durable.webhook_notices.due(house.now, timedelta(minutes=1), 9, each=9)
    for notice in notices:
        house.durable.webhook_notices.done(notice)
    found = [(notice.client_id, notice.patient) for notice in notices]
    assert {notice.kind for notice in notices} == {"merged"}
    assert len(found) == len(set(found))
    return set(found)


def test_parted_as_they_were(house: MergeHouse) -> None:
    """Taken apart, both are what they were: keys, accounts, enrolments, what they are found by, consents."""
    older, newer = twice(house)
    house.enrolled(newer, NEW, "clineb", standing=Standing.DECLINED)
    house.account(older, OLD, password="a hash")
    house.account(newer, NEW, password="another", confirmed_at=house.now)
    for person in (older, newer):
        house.consent(person, "clinea")
    house.consent(newer, "clineb")
    before = house.opened()
    merged = done(house.merging.join(OPERATOR, older, newer, house.now))
    assert house.opened() != before

    parted = done(house.merging.split(OPERATOR, merged.id, house.now))

    assert (parted.id, parted.first) == (merged.id, True)
    assert house.opened() == before
    assert {event.person for event in house.events("patient.unmerged")} == {older, newer}
    again = done(house.merging.split(OPERATOR, merged.id, house.now))
    assert not again.first
    assert done(house.merging.join(OPERATOR, older, newer, house.now)).first


def test_changed_since(house: MergeHouse) -> None:
    """What has been changed since is not lost by parting, unless that is said."""
    older, newer = twice(house)
    merged = done(house.merging.join(OPERATOR, older, newer, house.now))
    house.records.enrolments.change(older, "clinea", lambda one: one and replace(one, language="sv"))

    refused = house.merging.split(OPERATOR, merged.id, house.now)
    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.STALE

    assert done(house.merging.split(OPERATOR, merged.id, house.now, anyway=True)).first
    assert by_number(house, NEW) == newer


def test_joined_twice(house: MergeHouse) -> None:
    """Joined again, by whichever id first, it is the same merge; nothing is written and nobody told again."""
    older, newer = twice(house)
    merged = done(house.merging.join(OPERATOR, older, newer, house.now))
    sent, state = len(house.post.sent), house.opened()

    again = done(house.merging.join(OPERATOR, newer, older, house.now + timedelta(hours=1)))

    assert (again.id, again.first) == (merged.id, False)
    assert (len(house.post.sent), house.opened()) == (sent, state)


def test_raced(house: MergeHouse) -> None:
    """Of many who join the same two at once, in either order, one does."""
    older, newer = twice(house)
    pairs = [(older, newer), (newer, older)] * 4

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda pair: done(house.merging.join(OPERATOR, pair[0], pair[1], house.now)), pairs))

    assert sorted(result.first for result in results) == [False] * 7 + [True]
    assert len({result.id for result in results}) == 1
    assert len(house.events("patient.merged")) == 2


def test_raced_parting(house: MergeHouse) -> None:
    """Of many who take the same two apart at once, one does."""
    older, newer = twice(house)
    before = house.opened()
    merged = done(house.merging.join(OPERATOR, older, newer, house.now))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: done(house.merging.split(OPERATOR, merged.id, house.now)), range(8)))

    assert sorted(result.first for result in results) == [False] * 7 + [True]
    assert house.opened() == before


def test_without_a_number(house: MergeHouse) -> None:
    """Who came first by an eID that gave no number is joined with the record that has it."""
    first, second = house.person("", "mitid without"), house.person(NEW)
    house.enrolled(second, NEW)

    done(house.merging.join(OPERATOR, second, first, house.now))

    assert by_number(house, NEW) == house.person("", "mitid without") == first


def test_birth_dates_differ(house: MergeHouse) -> None:
    """Two who were born on two days are not one, unless the operator says so."""
    older, newer = house.person(OLD), house.person(OTHER)

    refused = house.merging.join(OPERATOR, older, newer, house.now)

    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.NOT_ALIKE
    assert done(house.merging.join(OPERATOR, older, newer, house.now, anyway=True)).first


def test_nobody_to_join(house: MergeHouse) -> None:
    """One person with themselves, or with nobody; a merge that there is not."""
    person = house.person(OLD)
    for other in (person, "f" * 32):
        with pytest.raises(NotFound):
            house.merging.join(OPERATOR, person, other, house.now)
    with pytest.raises(NotFound):
        house.merging.split(OPERATOR, "f" * 32, house.now)


# ---- a clinic's administrator ------------------------------------------------------------------------


def test_joined_by_an_administrator(house: MergeHouse) -> None:
    """After a change of number the newer one leads to the older id, whose record the clinic keeps; the old, nowhere."""
    older, newer = twice(house)
    mine, theirs = handles(house, older, newer)

    merged = done(house.merging.join_patients(CECILIA, theirs, mine, house.now))

    assert (merged.survivor, merged.handle) == (older, mine)
    assert by_number(house, NEW) == house.person("", "mitid new") == older
    assert by_number(house, OLD) == house.person("", "mitid old") == newer
    assert house.records.enrolments.of(newer) == ()
    assert {event.detail["by"] for event in house.events("patient.merged")} == {CECILIA.id}
    before = done(house.merging.split(OPERATOR, merged.id, house.now))
    assert before.first
    assert (by_number(house, OLD), by_number(house, NEW)) == (older, newer)


def test_an_administrator_waits_for_somebody(house: MergeHouse) -> None:
    """The attack: an administrator joins their own number with somebody's who has been nowhere. They stay two."""
    own, victim = house.person(NEW, "mitid of the attacker"), house.person(OLD)
    house.enrolled(own, NEW)
    house.enrolled(victim, OLD)

    mine, theirs = handles(house, own, victim)
    done(house.merging.join_patients(CECILIA, mine, theirs, house.now))

    assert by_number(house, OLD) != by_number(house, NEW)
    assert house.person("", "mitid of the attacker") == by_number(house, NEW)


@pytest.mark.parametrize("where", ["enrolled", "declined", "seen", "unnumbered", "confirmed"])
def test_an_administrator_reaches_nowhere_else(house: MergeHouse, where: str) -> None:
    """The attack: one who joins their own number with a patient's, and signs in as them at another clinic."""
    older, newer = twice(house)
    if where in ("enrolled", "declined"):
        standing = Standing.APPROVED if where == "enrolled" else Standing.DECLINED
        house.enrolled(older, OLD, "clineb", standing=standing)
    elif where == "seen":  # at a clinic that takes everybody, and enrols nobody
        house.durable.events.record(Event(at=house.now, kind="signin.granted", clinic="clineb", person=older))
    elif where == "unnumbered":
        newer = house.person("", "mitid without")
        house.enrolled(newer, NEW)
    else:
        house.account(older, "610190-0003", confirmed_at=house.now)
    before = house.opened()

    mine, theirs = handles(house, older, newer)
    refused = house.merging.join_patients(CECILIA, mine, theirs, house.now)

    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.ELSEWHERE
    assert house.opened() == before
    assert not house.post.sent
    assert not house.ended.persons


def test_what_staff_typed_is_no_birth_date(house: MergeHouse) -> None:
    """For an administrator two numbers must tell one day themselves: anybody can write a record."""
    older, newer = house.person(OLD), house.person(OTHER)
    house.enrolled(older, OLD)
    house.enrolled(newer, OLD)

    mine, theirs = handles(house, older, newer)
    refused = house.merging.join_patients(CECILIA, mine, theirs, house.now)

    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.NOT_ALIKE


def test_who_may(house: MergeHouse) -> None:
    """An approver joins nobody; an administrator joins no other clinic's patients, nor by ids, nor parts anybody."""
    older, newer = twice(house)
    mine, theirs = handles(house, older, newer)

    with pytest.raises(NotAllowed):
        house.merging.join_patients(replace(CECILIA, role=Role.APPROVER), mine, theirs, house.now)
    with pytest.raises(NotFound):
        house.merging.join_patients(replace(CECILIA, clinic="clineb"), mine, theirs, house.now)
    with pytest.raises(NotFound):
        house.merging.join_patients(CECILIA, mine, mine, house.now)
    with pytest.raises(NotAllowed):
        house.merging.join(CECILIA, older, newer, house.now)
    with pytest.raises(NotAllowed):
        house.merging.split(CECILIA, "f" * 32, house.now)
