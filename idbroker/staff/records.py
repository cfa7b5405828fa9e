"""Where staff members lie: the durable store's side (rows), and ours (values, sealed on the way)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from idbroker.codec import Codec
from idbroker.errors import StoreError
from idbroker.sealing import Sealer
from idbroker.staff.member import Member

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRow:
    """A staff member as the store keeps them: `revision` grows by one at every change."""

    id: str
    revision: int
    sealed: bytes = field(repr=False)


class StaffRows(Protocol):
    """The durable side. Every method may raise StoreError."""

    def find(self, key: bytes) -> StaffRow | None:
        """Return the one that a key's digest belongs to."""
        ...

    def of(self, staff: str) -> StaffRow | None:
        """Return one by id."""
        ...

    def all(self) -> tuple[StaffRow, ...]:
        """Return every one, by id: hundreds, not millions."""
        ...

    def save(self, row: StaffRow, keys: Collection[bytes]) -> bool:
        """Keep one of this revision, recognised by exactly these keys: 1 adds, any other replaces the one before.

        False if it is not so, or a key is somebody else's: then nothing is written.
        """
        ...

    def remove(self, staff: str) -> bool:
        """Remove one; tell whether there was one."""
        ...


def staff_row(staff: str) -> bytes:
    """Return the row that a sealed staff member is bound to."""
    return f"staff|{staff}".encode()


class Members:
    """Staff members as values."""

    def __init__(self, rows: StaffRows, sealer: Sealer) -> None:
        self._rows, self._sealer, self._codec = rows, sealer, Codec(Member)

    def by_login(self, login: str) -> Member | None:
        """Return who has a user name, however it is written."""
        return self._found(self._key("login", login.strip().casefold()))

    def by_subject(self, issuer: str, subject: str) -> Member | None:
        """Return whom the organisation's OpenID provider means."""
        return self._found(self._key("subject", f"{issuer}\n{subject}"))

    def by_passkey(self, credential: bytes) -> Member | None:
        """Return whose passkey it is."""
        return self._found(self._key("passkey", credential.hex()))

    def of(self, staff: str) -> Member | None:
        """Return one by id."""
        row = self._rows.of(staff)
        return None if row is None else self._opened(row)

    def at(self, clinic: str | None = None) -> tuple[Member, ...]:
        """Return who works at a clinic, or all, by user name; disabled ones too."""
        members = map(self._opened, self._rows.all())
        return tuple(
            sorted((one for one in members if clinic is None or clinic in one.roles), key=lambda one: one.login)
        )

    def add(self, member: Member) -> bool:
        """Keep a new one; False if the user name, or another key, is somebody else's."""
        return self._save(member, 1)

    def change(self, staff: str, change: Callable[[Member], Member | None]) -> Member | None:
        """Change one, whoever else changes them at the same time; return them as they are now. None for nobody.

        `change` may be called more than once, and returns None to leave all as it is. StoreError for a key that is
        somebody else's.
        """
        for _ in range(_TRIES):
            row = self._rows.of(staff)
            if row is None:
                return None
            before = self._opened(row)
            after = change(before)
            if after is None or after == before:
                return before
            if self._save(after, row.revision + 1):
                return after
        raise StoreError("too many changes at once")

    def remove(self, staff: str) -> bool:
        """Remove one. What the trail says of them stays."""
        return self._rows.remove(staff)

    def _save(self, member: Member, revision: int) -> bool:
        keys = {self._key("login", member.login.strip().casefold())}
        keys |= {self._key("subject", member.subject)} if member.subject else set()
        keys |= {self._key("passkey", passkey.id.hex()) for passkey in member.passkeys}
        sealed = self._sealer.seal(self._codec.pack(member), staff_row(member.id))
        return self._rows.save(StaffRow(id=member.id, revision=revision, sealed=sealed), keys)

    def _found(self, key: bytes) -> Member | None:
        row = self._rows.find(key)
        return None if row is None else self._opened(row)

    def _opened(self, row: StaffRow) -> Member:
        return self._codec.unpack(self._sealer.open(row.sealed, staff_row(row.id)))

    def _key(self, kind: str, value: str) -> bytes:
        return self._sealer.index(f"staff {kind}", value)
