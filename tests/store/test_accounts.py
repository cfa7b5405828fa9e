"""What every store of accounts promises (accounts.records.AccountRows)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from idbroker.accounts.account import Agreed, Consent, Link, Purpose, Standing
from idbroker.accounts.records import AccountRow, EnrolmentRow
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.events import Event
from idbroker.messages.message import Channel, SealedMessage
from idbroker.person import PersonKey
from idbroker.store import Durable, open_durable, schema
from tests.store.crowd import at_once, scans, statements, steps

DAY = timedelta(days=1)
KEY = PersonKey(kind="number", digest=b"n" * 32, sealed=b"\0\1number")
SEALED = b"\0\1sealed"


@pytest.fixture
def person(durable: Durable, clock: StoppedClock) -> str:
    """Give a person whom the store knows."""
    return durable.account_rows.known([KEY], clock.now())


def row(person: str, revision: int = 1, sealed: bytes = SEALED) -> AccountRow:
    """Return an account's row."""
    return AccountRow(person=person, revision=revision, sealed=sealed)


def enrolment(clock: StoppedClock, person: str, clinic: str = "clinic") -> EnrolmentRow:
    """Return an enrolment's row."""
    standing = Standing.ASKED
    return EnrolmentRow(
        person=person,
        clinic=clinic,
        standing=standing,
        asked_at=clock.now(),
        handle=person[:22],
        revision=1,
        sealed=SEALED,
    )


def link(clock: StoppedClock, person: str, digest: str = "digest") -> Link:
    """Return a link."""
    now = clock.now()
    return Link(digest=digest, purpose=Purpose.RESET, person=person, clinic="clinic", made_at=now, ends_at=now + DAY)


def test_found_by_number_and_by_person(durable: Durable, person: str) -> None:
    """An account that was added is found as it was, by the digest of a number and by the person."""
    assert durable.account_rows.save(row(person))

    assert durable.account_rows.find(KEY.digest) == (person, row(person))
    assert durable.account_rows.of(person) == row(person)


def test_nobody_or_no_account(durable: Durable, person: str) -> None:
    """A number that nobody has, a person without an account: each is told as what it is."""
    assert durable.account_rows.find(b"unknown".ljust(32)) is None
    assert durable.account_rows.find(KEY.digest) == (person, None)
    assert durable.account_rows.of(person) is None
    assert durable.account_rows.of("nobody") is None


def test_one_statement_whoever_is_known(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Known and unknown numbers cost the same one statement, so that time does not tell who has an account."""
    other = dataclasses.replace(KEY, digest=b"o" * 32)
    durable.account_rows.known([other], clock.now())
    durable.account_rows.save(row(person))

    digests = (KEY.digest, other.digest, b"unknown".ljust(32))
    sent = [statements(durable, partial(durable.account_rows.find, digest)) for digest in digests]

    assert [len(each) for each in sent] == [1, 1, 1]
    assert len({each[0][0] for each in sent}) == 1


def test_every_eid_of_a_person_finds_the_account(durable: Durable, clock: StoppedClock, person: str) -> None:
    """The account is the person's: whom an eID made known by the same number has it too, and is no second person."""
    upstream = PersonKey(kind="upstream", digest=b"u" * 32)
    durable.account_rows.save(row(person))

    assert durable.persons.meet([KEY, upstream], clock.now()) == person
    assert durable.account_rows.known([KEY], clock.now()) == person
    assert durable.account_rows.find(upstream.digest) == (person, row(person))


def test_added_once(durable: Durable, person: str) -> None:
    """A person has one account: a second first revision changes nothing."""
    durable.account_rows.save(row(person))

    assert not durable.account_rows.save(row(person, sealed=b"\0\1other"))
    assert durable.account_rows.of(person) == row(person)


def test_changed_from_the_revision_before(durable: Durable, person: str) -> None:
    """A revision replaces the one before it, and no other: who has read an old one is told so."""
    durable.account_rows.save(row(person))

    assert durable.account_rows.save(row(person, 2, b"\0\1second"))
    assert not durable.account_rows.save(row(person, 2, b"\0\1late"))
    assert not durable.account_rows.save(row(person, 4, b"\0\1early"))
    assert durable.account_rows.of(person) == row(person, 2, b"\0\1second")


def test_nothing_to_change(durable: Durable, person: str) -> None:
    """A later revision of an account that is not there makes none."""
    assert not durable.account_rows.save(row(person, 2))
    assert durable.account_rows.of(person) is None


def test_an_account_is_somebodys(durable: Durable) -> None:
    """Nobody has an account whom the store does not know."""
    with pytest.raises(StoreError):
        durable.account_rows.save(row("nobody"))


def test_of_many_that_add_one_does(durable: Durable, person: str) -> None:
    """200 that register the same person at once: one account, and the others are told."""
    added = at_once(lambda number: durable.account_rows.save(row(person, sealed=b"\0\1%d" % number)))

    assert added.count(True) == 1
    assert durable.account_rows.of(person) == row(person, sealed=b"\0\1%d" % added.index(True))


def test_no_change_is_lost(durable: Durable, person: str) -> None:
    """200 that change an account at once from the same revision: one does; 16 that try again all do, in turn."""
    durable.account_rows.save(row(person))
    saved = at_once(lambda number: durable.account_rows.save(row(person, 2, b"\0\1%d" % number)))
    assert saved.count(True) == 1

    def insist(_: int) -> None:
        while True:
            before = durable.account_rows.of(person)
            assert before is not None
            if durable.account_rows.save(row(person, before.revision + 1, before.sealed + b".")):
                return

    at_once(insist, 16)

    after = durable.account_rows.of(person)
    assert after == row(person, 18, b"\0\1%d" % saved.index(True) + b"." * 16)


def test_of_many_that_come_one_person_is_made(durable: Durable, clock: StoppedClock) -> None:
    """200 first requests with one number: one person."""
    assert len(set(at_once(lambda _: durable.account_rows.known([KEY], clock.now())))) == 1


def test_removed_with_what_hangs_on_it(durable: Durable, clock: StoppedClock, person: str) -> None:
    """With the account go links and enrolments; person, consents, events and everybody else's stay (GDPR 17, 7.1)."""
    other = durable.account_rows.known([dataclasses.replace(KEY, digest=b"o" * 32)], clock.now())
    agreed = Consent(id="c" * 32, person=person, kind=Agreed.TERMS, about="clinic", given_at=clock.now())
    durable.consents.give(agreed)
    durable.events.record(Event(at=clock.now(), kind="kept", person=person))
    for one in (person, other):
        durable.account_rows.save(row(one))
        durable.links.add(link(clock, one, digest=one))
        durable.enrolment_rows.save(enrolment(clock, one))
        durable.enrolment_rows.save(enrolment(clock, one, "second"))

    assert durable.account_rows.remove(person)

    assert durable.account_rows.find(KEY.digest) == (person, None)
    assert durable.enrolment_rows.of(person) == ()
    assert durable.links.find(person, clock.now()) is None
    assert durable.consents.of(person) == (agreed,)
    assert len(durable.events.since(clock.now())) == 1
    assert durable.account_rows.of(other) == row(other)
    assert len(durable.enrolment_rows.of(other)) == 2
    assert durable.links.find(other, clock.now()) is not None


def test_removed_once(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Whether there was an account is told, to one of many; it can be made anew. Enrolments go without one too."""
    durable.account_rows.save(row(person))

    assert at_once(lambda _: durable.account_rows.remove(person), 16).count(True) == 1
    durable.enrolment_rows.save(enrolment(clock, person))
    assert not durable.account_rows.remove(person)
    assert durable.enrolment_rows.of(person) == ()
    assert durable.account_rows.save(row(person))


def test_errors_repeat_no_values(durable: Durable) -> None:
    """What a database says about an account it refused does not carry its values."""
    with pytest.raises(StoreError) as caught:
        durable.account_rows.save(row("somebody-in-particular", sealed=b"\0\1a-sealed-account"))

    words = f"{caught.value} {caught.value.__cause__}"
    assert "a-sealed-account" not in words


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its tables every call is a StoreError."""
    store = open_durable(durable_url, clock)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.account_rows.find(KEY.digest),
        lambda: store.account_rows.of("p"),
        lambda: store.account_rows.known([KEY], clock.now()),
        lambda: store.account_rows.save(row("p")),
        lambda: store.account_rows.save(row("p", 2)),
        lambda: store.account_rows.remove("p"),
    )
    for call in calls:
        with pytest.raises(StoreError):
            call()
    store.close()


def test_looked_up_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No call reads the table from end to end, and 2,000 accounts cost what twenty cost."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    rows = store.account_rows

    def fill(first: int, to: int) -> None:
        for number in range(first, to):
            key = dataclasses.replace(KEY, digest=number.to_bytes(32, "big"))
            rows.save(row(rows.known([key], clock.now())))

    def every_call() -> None:
        found = rows.find((7).to_bytes(32, "big"))
        assert found is not None
        rows.find(b"unknown".ljust(32))
        rows.of(found[0])
        rows.save(row(found[0]))
        rows.save(row(found[0], 9))
        rows.remove("nobody")

    fill(0, 20)
    every_call()
    few = steps(store, every_call)
    fill(20, 2000)

    assert scans(store, "account", every_call) == []
    assert scans(store, "person_key", every_call) == []
    assert steps(store, every_call) < 2 * few
    store.close()


def test_tables_of_the_version_before(durable_url: str, clock: StoppedClock) -> None:
    """Tables of revision 0003 get these, and lose them on the way back, with everything else as it was."""
    store = open_durable(durable_url, clock)
    _alembic(store, command.upgrade, "0003")
    person = store.persons.meet([KEY], clock.now())
    assert store.upgrade_needed()

    store.migrate()
    assert store.account_rows.save(row(person))
    store.enrolment_rows.save(enrolment(clock, person))
    store.links.add(link(clock, person))
    store.messages.add([_message(clock)])
    assert store.sealed.count_not_by(2) == 4

    _alembic(store, command.downgrade, "0003")
    assert store.upgrade_needed()
    store.migrate()
    assert store.account_rows.find(KEY.digest) == (person, None)
    assert store.sealed.count_not_by(2) == 1
    store.close()


def test_rewrapped_by_its_data_key(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Accounts, enrolments and messages that another data key sealed are handed out by their keys, and replaced."""
    durable.account_rows.save(row(person))
    durable.enrolment_rows.save(enrolment(clock, person))
    durable.messages.add([_message(clock)])

    found = {value.column: value.key for value in durable.sealed.not_by(2, 9)}
    for value in durable.sealed.not_by(2, 9):
        durable.sealed.replace(value, b"\0\2anew")

    keys = {"account": (person,), "enrolment": (person, "clinic"), "message": ("id",), "person_key": (KEY.digest,)}
    assert found == keys
    assert (durable.sealed.count_not_by(2), durable.sealed.count_not_by(1)) == (0, 4)
    assert durable.account_rows.of(person) == row(person, sealed=b"\0\2anew")
    (one,) = durable.enrolment_rows.of(person)
    assert one == dataclasses.replace(enrolment(clock, person), sealed=b"\0\2anew")


def test_rewrapping_overwrites_no_change(durable: Durable, person: str) -> None:
    """An account that was changed while it was sealed anew keeps the change."""
    durable.account_rows.save(row(person))
    value = next(value for value in durable.sealed.not_by(2, 9) if value.column == "account")
    durable.account_rows.save(row(person, 2, b"\0\1changed"))

    durable.sealed.replace(value, b"\0\2anew")

    assert durable.account_rows.of(person) == row(person, 2, b"\0\1changed")


def _message(clock: StoppedClock) -> SealedMessage:
    now = clock.now()
    return SealedMessage(id="id", channel=Channel.SMS, kind="code", sealed=SEALED, due_at=now, ends_at=now + DAY)


def _alembic(store: Durable, move: Any, revision: str) -> None:
    with store.database.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
        config.set_main_option("path_separator", "os")
        move(config, revision)
