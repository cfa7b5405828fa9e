"""What every store of logout notices promises (backchannel.Outbox)."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from idbroker.backchannel import LogoutNotice
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.store import Durable, open_durable, schema
from idbroker.store.logout_notices import PURGE_AT_ONCE

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def notice(clock: StoppedClock, number: int = 0, client_id: str = "portal", **changes: Any) -> LogoutNotice:
    """Return a notice that is due now."""
    now = clock.now()
    one = LogoutNotice(client_id=client_id, sid=f"{number:032x}", person="p", due_at=now, ends_at=now + DAY)
    return dataclasses.replace(one, **changes)


def take(durable: Durable, clock: StoppedClock, most: int = 99, each: int = 99, **rest: Any) -> list[LogoutNotice]:
    """Take what is due, for a minute."""
    return list(durable.logout_notices.due(clock.now(), MINUTE, most, each=each, **rest))


def test_taken_as_it_was_added(durable: Durable, clock: StoppedClock) -> None:
    """A notice comes back with every field, to the microsecond, its try counted and its lease as its time."""
    due_at = (clock.now() - timedelta(microseconds=7)).astimezone(timezone(timedelta(hours=2)))
    one = notice(clock, client_id="å", due_at=due_at)

    durable.logout_notices.add([one])

    assert take(durable, clock) == [dataclasses.replace(one, due_at=clock.now() + MINUTE, tries=1)]
    assert durable.logout_notices.count() == 1


def test_added_all_or_none(durable: Durable, clock: StoppedClock) -> None:
    """Where one of several cannot be kept none is: a logout is told to all or tried again."""
    broken = dataclasses.replace(notice(clock, 2), person=None)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        durable.logout_notices.add([notice(clock, 1), broken, notice(clock, 3)])

    assert durable.logout_notices.count() == 0


def test_one_that_is_there_stays(durable: Durable, clock: StoppedClock) -> None:
    """The same end told twice changes nothing: neither its tries nor its time; what is new beside it is kept."""
    durable.logout_notices.add([notice(clock, 1)])
    (before,) = take(durable, clock)

    durable.logout_notices.add([notice(clock, 1, person="other"), notice(clock, 2), notice(clock, 1, client_id="b")])
    durable.logout_notices.add([])

    assert durable.logout_notices.count() == 3
    assert {(one.client_id, int(one.sid, 16)) for one in take(durable, clock)} == {("portal", 2), ("b", 1)}
    clock.move(MINUTE)
    assert dataclasses.replace(before, tries=2, due_at=clock.now() + MINUTE) in take(durable, clock)


def test_one_statement_adds_them_all(durable: Durable, clock: StoppedClock) -> None:
    """A logout costs one statement, however many clients were reached."""
    statements: list[str] = []
    with durable.database.connected() as connection:
        sa.event.listen(connection.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))

    durable.logout_notices.add([notice(clock, 1, client_id=f"client-{number}") for number in range(100)])

    assert len(statements) == 1
    assert durable.logout_notices.count() == 100


def test_only_what_is_due(durable: Durable, clock: StoppedClock) -> None:
    """At its moment a notice is due, not before."""
    durable.logout_notices.add([notice(clock, due_at=clock.now() + SECOND)])

    assert take(durable, clock) == []
    clock.move(SECOND)
    assert len(take(durable, clock)) == 1


def test_hidden_for_the_lease(durable: Durable, clock: StoppedClock) -> None:
    """What somebody took is nobody else's until the lease is over; then it comes back, as if that one had died."""
    durable.logout_notices.add([notice(clock)])

    assert len(take(durable, clock)) == 1
    clock.move(MINUTE - timedelta(microseconds=1))
    assert take(durable, clock) == []
    clock.move(timedelta(microseconds=1))
    assert [one.tries for one in take(durable, clock)] == [2]


def test_so_many_and_so_many_of_each(durable: Durable, clock: StoppedClock) -> None:
    """No more than asked, of no client more than its share, and each client's first before anybody's second."""
    durable.logout_notices.add([notice(clock, number) for number in range(50)])
    durable.logout_notices.add([notice(clock, 1, client_id=f"c{number}", due_at=clock.now()) for number in range(5)])

    first = take(durable, clock, most=7, each=2)

    assert sorted(one.client_id for one in first) == ["c0", "c1", "c2", "c3", "c4", "portal", "portal"]
    assert len(take(durable, clock, most=7, each=2)) == 2
    assert len(take(durable, clock, most=7)) == 7


def test_oldest_first(durable: Durable, clock: StoppedClock) -> None:
    """A client hears of the logouts in their order."""
    for number in (3, 1, 2):
        at = clock.now() - number * SECOND
        durable.logout_notices.add([notice(clock, number, due_at=at, ends_at=at + DAY)])

    assert [int(one.sid, 16) for one in take(durable, clock, most=2)] == [3, 2]


def test_without_some_clients(durable: Durable, clock: StoppedClock) -> None:
    """Clients that are left alone keep theirs, but for what has come to its end."""
    over = notice(clock, 9, client_id="a", ends_at=clock.now())
    durable.logout_notices.add([notice(clock, 1, client_id=name) for name in "abc"] + [over])

    taken = take(durable, clock, without={"a", "b"})

    assert {(one.client_id, int(one.sid, 16)) for one in taken} == {("c", 1), ("a", 9)}


def test_done(durable: Durable, clock: StoppedClock) -> None:
    """What is done is gone, and nothing else; twice is once."""
    durable.logout_notices.add([notice(clock, 1), notice(clock, 2), notice(clock, 1, client_id="b")])
    (one,) = [one for one in take(durable, clock) if one.client_id == "b"]

    durable.logout_notices.done(one)
    durable.logout_notices.done(one)

    assert durable.logout_notices.count() == 2


def test_later(durable: Durable, clock: StoppedClock) -> None:
    """What could not be delivered comes back when it was told to, with its tries."""
    durable.logout_notices.add([notice(clock)])
    (one,) = take(durable, clock)

    durable.logout_notices.later(one, clock.now() + 5 * MINUTE)

    clock.move(5 * MINUTE - SECOND)
    assert take(durable, clock) == []
    clock.move(SECOND)
    assert [again.tries for again in take(durable, clock)] == [2]


def test_too_slow_to_say_later(durable: Durable, clock: StoppedClock) -> None:
    """Whoever outlived its lease takes nothing from the one who has the notice now."""
    durable.logout_notices.add([notice(clock)])
    (slow,) = take(durable, clock)
    clock.move(MINUTE)
    (quick,) = take(durable, clock)

    durable.logout_notices.later(slow, clock.now())

    assert take(durable, clock) == []
    durable.logout_notices.done(quick)
    durable.logout_notices.later(slow, clock.now())
    assert durable.logout_notices.count() == 0


@pytest.mark.parametrize("each", [2, 99])
def test_of_many_takers_each_notice_goes_to_one(durable: Durable, clock: StoppedClock, each: int) -> None:
    """Eight that take at once take every notice once, never more than they asked for, and wait for nobody for long."""
    clients = [f"c{number % 5}" for number in range(200)]
    durable.logout_notices.add([notice(clock, number, client_id=name) for number, name in enumerate(clients)])
    together = threading.Barrier(8)

    def one(_: int) -> list[tuple[str, str]]:
        together.wait(10)
        mine: list[tuple[str, str]] = []
        while taken := take(durable, clock, most=7, each=each):
            assert len(taken) <= 7
            mine += [(notice.client_id, notice.sid) for notice in taken]
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken = [key for mine in pool.map(one, range(8)) for key in mine]
    # Two that look at the same moment may both go home with less than there was.
    taken += [(left.client_id, left.sid) for left in take(durable, clock, most=999)]

    assert len(taken) == len(set(taken)) == 200


def test_purge(durable: Durable, clock: StoppedClock) -> None:
    """What has come to its end goes, in more than one step if need be, and nothing else."""
    durable.logout_notices.add([notice(clock, number) for number in range(PURGE_AT_ONCE + 1)])
    durable.logout_notices.add([notice(clock, 1, client_id="b", ends_at=clock.now() + 2 * DAY)])

    assert durable.logout_notices.purge(clock.now()) == 0
    assert durable.logout_notices.purge(clock.now() + DAY) == PURGE_AT_ONCE + 1
    assert durable.logout_notices.count() == 1


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its table every call is a StoreError."""
    store = open_durable(durable_url, clock)
    one = notice(clock)
    for call in (
        lambda: store.logout_notices.add([one]),
        lambda: take(store, clock),
        lambda: store.logout_notices.later(one, clock.now()),
        lambda: store.logout_notices.done(one),
        store.logout_notices.count,
        lambda: store.logout_notices.purge(clock.now()),
    ):
        with pytest.raises(StoreError):
            call()
    store.close()


def test_tables_of_the_version_before(durable_url: str, clock: StoppedClock) -> None:
    """Tables of revision 0002 get this one, and lose it on the way back, with everything else as it was."""
    store = open_durable(durable_url, clock)
    _alembic(store, command.upgrade, "0002")
    assert store.upgrade_needed()

    store.migrate()
    store.logout_notices.add([notice(clock)])
    assert len(take(store, clock)) == 1

    _alembic(store, command.downgrade, "0002")
    assert store.upgrade_needed()
    store.migrate()
    assert store.logout_notices.count() == 0
    store.close()


def _alembic(store: Durable, move: Any, revision: str) -> None:
    with store.database.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
        config.set_main_option("path_separator", "os")
        move(config, revision)


def test_looked_up_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """Nobody scans the table for what is over, or to be changed."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    store.close()
    statements = (
        "SELECT client_id, sid FROM logout_notice WHERE ends_at <= ? LIMIT 1000",
        "DELETE FROM logout_notice WHERE client_id = ? AND sid = ?",
    )

    with closing(sqlite3.connect(tmp_path / "broker.db")) as connection:
        for statement in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ("",) * statement.count("?")).fetchall()
            assert all(row[3].startswith("SEARCH") and "INDEX" in row[3] for row in plan), (statement, plan)


@pytest.mark.parametrize("over", [False, True])
def test_a_backlog_costs_nothing(tmp_path: Path, clock: StoppedClock, over: bool) -> None:
    """A portal that was down cannot have every logout and sign-in wait: 5,000 notices cost what ten do, so over too.

    Counted in the database's own steps, a hundred at a time.
    """
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    counted: list[None] = []
    with store.database.connected() as connection:  # the next to ask is lent it again
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: counted.append(None), 100)
    ends_at = clock.now() + (MINUTE if over else DAY)
    clock.move(2 * MINUTE)

    def steps(first: int, to: int) -> int:
        many = [notice(clock, number, due_at=clock.now() - MINUTE, ends_at=ends_at) for number in range(first, to)]
        for at in range(0, len(many), 1000):
            store.logout_notices.add(many[at : at + 1000])
        counted.clear()
        assert len(take(store, clock, most=4, each=2, without={"another"})) == (4 if over else 2)
        return len(counted)

    few = steps(0, 10)

    assert steps(10, 5000) < 2 * few
    store.close()


def test_an_early_end_brings_it_forward(durable: Durable, clock: StoppedClock) -> None:
    """One that waits for its hour comes at once where the end has come early; it is never put off."""
    outbox, now = durable.logout_notices, clock.now()
    outbox.add([notice(clock, 1, due_at=now + MINUTE * 30)])
    outbox.add([notice(clock, 1, due_at=now + MINUTE * 40), notice(clock, 2, due_at=now + MINUTE)])
    assert take(durable, clock) == []

    outbox.add([notice(clock, 1)])

    assert [int(one.sid, 16) for one in take(durable, clock)] == [1]
    outbox.add([notice(clock, 1)])
    assert take(durable, clock) == []


def test_the_same_twice_at_once(durable: Durable, clock: StoppedClock) -> None:
    """One statement may name the same notice twice."""
    durable.logout_notices.add([notice(clock, 1), notice(clock, 1, due_at=clock.now() + MINUTE)])
    assert [int(one.sid, 16) for one in take(durable, clock)] == [1]
