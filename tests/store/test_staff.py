"""What every store of staff members promises (staff.records.StaffRows), and what is made of it (Members)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.sealing import Sealer, SealingKeys
from idbroker.staff.member import Member, Passkey, Role
from idbroker.staff.records import Members, StaffRow
from idbroker.store import Durable, open_durable
from tests.store.crowd import at_once, scans

ANNA, BO = "a" * 32, "b" * 32


def row(staff: str = ANNA, revision: int = 1) -> StaffRow:
    """Return a row."""
    return StaffRow(id=staff, revision=revision, sealed=b"\0\1sealed" + str(revision).encode())


@pytest.fixture
def members(durable: Durable) -> Members:
    """Give staff members as values."""
    keys = SealingKeys(data={1: b"d" * 32}, newest=1, index=b"i" * 32)
    return Members(durable.staff_rows, Sealer(lambda: keys))


def member(clock: StoppedClock, staff: str = ANNA, login: str = "anna", **more: object) -> Member:
    """Return a colleague."""
    one = Member(id=staff, login=login, name="Somebody", epoch=clock.now(), created_at=clock.now())
    return replace(one, **more)  # type: ignore[arg-type]


# ---- rows ----------------------------------------------------------------------------------------


def test_found_by_each_of_its_keys(durable: Durable) -> None:
    """A row is found by id and by any of its keys, and by no other."""
    assert durable.staff_rows.save(row(), [b"login", b"subject"])

    assert durable.staff_rows.of(ANNA) == row()
    assert durable.staff_rows.find(b"login") == durable.staff_rows.find(b"subject") == row()
    assert durable.staff_rows.find(b"other") is None
    assert durable.staff_rows.of(BO) is None


def test_keys_are_replaced_with_the_row(durable: Durable) -> None:
    """A key that is left out of a change finds nobody any more."""
    durable.staff_rows.save(row(), [b"old", b"kept"])

    assert durable.staff_rows.save(row(revision=2), [b"new", b"kept"])

    assert durable.staff_rows.find(b"old") is None
    assert durable.staff_rows.find(b"new") == durable.staff_rows.find(b"kept") == row(revision=2)


def test_a_key_of_somebody_else_writes_nothing(durable: Durable) -> None:
    """A row with somebody else's key is not kept, neither new nor changed, and nothing of it is."""
    durable.staff_rows.save(row(), [b"anna"])
    assert not durable.staff_rows.save(row(BO), [b"bo", b"anna"])
    assert durable.staff_rows.of(BO) is None
    assert durable.staff_rows.find(b"bo") is None
    durable.staff_rows.save(row(BO), [b"bo"])

    assert not durable.staff_rows.save(row(BO, 2), [b"anna"])

    assert durable.staff_rows.find(b"bo") == row(BO)
    assert durable.staff_rows.find(b"anna") == row()


@pytest.mark.parametrize("revision", [1, 3])
def test_a_revision_that_is_not_the_next_writes_nothing(durable: Durable, revision: int) -> None:
    """Who has read an older row, or adds one that is there, changes nothing."""
    durable.staff_rows.save(row(), [b"anna"])

    assert not durable.staff_rows.save(row(revision=revision), [b"another"])

    assert durable.staff_rows.find(b"anna") == row()


def test_removed_with_its_keys(durable: Durable) -> None:
    """After a removal the keys are free."""
    durable.staff_rows.save(row(), [b"anna"])

    assert durable.staff_rows.remove(ANNA)

    assert not durable.staff_rows.remove(ANNA)
    assert durable.staff_rows.save(row(BO), [b"anna"])
    assert durable.staff_rows.all() == (row(BO),)


def test_of_a_crowd_one_changes_a_row(durable: Durable) -> None:
    """Of many changes of one revision at once exactly one is made."""
    durable.staff_rows.save(row(), [b"anna"])

    done = at_once(lambda number: durable.staff_rows.save(row(revision=2), [b"anna", bytes([number])]), 20)

    assert done.count(True) == 1


def test_of_a_crowd_one_has_a_key(durable: Durable) -> None:
    """Of many new rows with one key at once exactly one is kept."""
    done = at_once(lambda number: durable.staff_rows.save(row(f"{number:032}"), [b"anna"]), 20)

    assert done.count(True) == 1
    assert len(durable.staff_rows.all()) == 1


def test_nobody_is_looked_for_row_by_row(tmp_path: Path, clock: StoppedClock) -> None:
    """A sign-in reads an index, not the table."""
    durable = open_durable(f"sqlite:///{tmp_path}/durable.db", clock)
    durable.migrate()
    assert scans(durable, "staff", lambda: durable.staff_rows.find(b"anna")) == []
    durable.close()


# ---- values --------------------------------------------------------------------------------------


def test_a_member_is_found_by_all_their_names(members: Members, clock: StoppedClock) -> None:
    """By user name however written, by the organisation's name, by a passkey; roles come back as roles."""
    key = Passkey(id=b"\0\xff key", public_key=b"\xa5", added_at=clock.now())
    one = member(clock, roles={"clinea": Role.APPROVER}, subject="https://op.example.org\nsub", passkeys=(key,))
    assert members.add(one)

    assert members.by_login(" ANNA ") == members.by_subject("https://op.example.org", "sub") == one
    assert members.by_passkey(key.id) == members.of(ANNA) == one
    assert members.by_subject("https://op.example.org", "another") is None
    assert [found.id for found in members.at("clinea")] == [ANNA]
    assert members.at("neuroreg") == ()


def test_one_user_name_one_member(members: Members, clock: StoppedClock) -> None:
    """Two members never share a user name, whatever its capitals, nor a passkey."""
    key = Passkey(id=b"key", public_key=b"public", added_at=clock.now())
    assert members.add(member(clock, passkeys=(key,)))

    assert not members.add(member(clock, BO, "Anna"))
    assert not members.add(member(clock, BO, "bo", passkeys=(key,)))
    assert members.add(member(clock, BO, "bo"))
    with pytest.raises(StoreError):
        members.change(BO, lambda one: replace(one, login="ANNA"))


def test_changes_of_a_crowd_are_all_made(members: Members, clock: StoppedClock) -> None:
    """Changes at the same moment follow one another: none is lost."""
    members.add(member(clock))

    at_once(lambda number: members.change(ANNA, lambda one: replace(one, app_step=one.app_step + 1)), 8)

    found = members.of(ANNA)
    assert found is not None
    assert found.app_step == 8


def test_a_row_is_bound_to_its_member(durable: Durable, members: Members, clock: StoppedClock) -> None:
    """A sealed value that is copied into another's row does not open (a thief in the database)."""
    members.add(member(clock, roles={"clinea": Role.ADMINISTRATOR}))
    members.add(member(clock, BO, "bo", epoch=clock.now() + timedelta(days=1)))
    stolen = durable.staff_rows.of(ANNA)
    assert stolen is not None
    durable.staff_rows.save(replace(stolen, id=BO, revision=2), [b"bo"])

    with pytest.raises(StoreError):
        members.of(BO)
