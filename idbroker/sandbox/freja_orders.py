"""The transactions of the simulated Freja eID: what becomes of them, by whom and when.

    STARTED -> DELIVERED_TO_MOBILE -> APPROVED | CANCELED | REJECTED | EXPIRED | RP_CANCELED

Source: Freja eID Relying Party API, Authentication Service. One lasts two minutes; its result can be
read ten minutes from its start, again and again. A person who has two at once loses both.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from idbroker.clock import Clock
from idbroker.sandbox.freja_asked import INFERRED, LEVELS, FrejaError, Wish
from idbroker.sandbox.freja_told import Approval, attributes_of
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import SimPerson

STARTED = "STARTED"
DELIVERED = "DELIVERED_TO_MOBILE"
APPROVED = "APPROVED"
CANCELED = "CANCELED"
RP_CANCELED = "RP_CANCELED"
EXPIRED = "EXPIRED"
REJECTED = "REJECTED"
SOMETHING_NEW = "SOMETHING_NEW"

LIFE = timedelta(minutes=2)
READABLE = timedelta(minutes=10)
MOST = 10_000
OUTCOMES = ("approve", "cancel", REJECTED, EXPIRED, "open", "somethingNew")

_OPEN = frozenset({STARTED, DELIVERED})
_ENDS = {"cancel": CANCELED, REJECTED: REJECTED, EXPIRED: EXPIRED, "somethingNew": SOMETHING_NEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One authentication. `id` is the simulator's own name for it, `auth_ref` Freja's.

    `party` is the service that began it. `secret` is for a QR code that moves, `leads_back` is where the
    app goes when it was opened by a link (`originAppScheme`). `payload` is what was approved, and
    `details` the same, signed.
    """

    id: str
    auth_ref: str = field(repr=False)
    party: str
    wish: Wish
    made_at: datetime
    status: str = STARTED
    person: str | None = None
    secret: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)
    leads_back: str | None = field(default=None, repr=False)
    payload: Mapping[str, Any] | None = field(default=None, repr=False)
    details: str | None = field(default=None, repr=False)

    @property
    def open(self) -> bool:
        """Tell whether anything can still become of it."""
        return self.status in _OPEN

    @property
    def scannable(self) -> bool:
        """Tell whether a service would show its code now."""
        return self.status == STARTED and self.wish.user_info_type == INFERRED and not self.wish.same_device


class Transactions:
    """All transactions of the last ten minutes, at most `MOST`; threads may share them.

    `sign` makes the details of a payload. Services read their own only.
    """

    def __init__(self, people: Iterable[SimPerson], clock: Clock, sign: Callable[[Mapping[str, Any]], str]) -> None:
        self._people = {person.id: person for person in people if "freja" in person.eids}
        self._clock, self._sign = clock, sign
        self._kept: OrderedDict[str, Transaction] = OrderedDict()  # by authRef, the oldest first
        self._rejected: dict[str, datetime] = {}  # when somebody lost two at once
        self._approved: str | None = None  # what was signed last
        self._earlier: str | None = None  # and what was before that
        self._lock = threading.Lock()

    # What services do.

    def start(self, party: str, wish: Wish) -> Transaction:
        """Start one. A person named by number has it in the app at once. Raises FrejaError (2000)."""
        with self._lock:
            self._forget()
            named = self._named(wish)
            if named is not None:
                self._check_calm(named)
            began = self._keep(self._new(party, wish))
            return self._opened(began, named) if named is not None else began

    def read(self, party: str, auth_ref: str) -> Transaction:
        """Return one as it is now. Raises FrejaError (1100) for what this service may not read."""
        with self._lock:
            return self._read(party, auth_ref)

    def recent(self, party: str) -> tuple[Transaction, ...]:
        """Return all of this service's, the oldest first."""
        with self._lock:
            self._forget()
            return tuple(self._aged(kept) for kept in tuple(self._kept.values()) if kept.party == party)

    def cancel(self, party: str, auth_ref: str) -> None:
        """Cancel one. Raises FrejaError (1100), also when it has ended already, which is our choice."""
        with self._lock:
            kept = self._read(party, auth_ref)
            if not kept.open:
                raise FrejaError(1100)
            self._keep(replace(kept, status=RP_CANCELED))

    def earlier(self, than: Transaction) -> str | None:
        """Return the signed result of an approval before this one, or None."""
        return self._approved if self._approved != than.details else self._earlier

    # What people do.

    def waiting(self) -> tuple[Transaction, ...]:
        """Return those that are open, the newest first."""
        with self._lock:
            now = [self._aged(kept) for kept in tuple(self._kept.values())]
        return tuple(kept for kept in reversed(now) if kept.open)

    def look(self, auth_ref: str) -> Transaction:
        """Return one as the app finds it by its reference. Unreadable unless it is open."""
        with self._lock:
            kept = self._kept.get(auth_ref)
            return _usable(self._aged(kept) if kept is not None else None)

    def deliver(self, auth_ref: str, leads_back: str | None) -> Transaction:
        """Have one in an app, nobody's yet, and remember where that leads back to. Unreadable unless it is open."""
        with self._lock:
            kept = self._kept.get(auth_ref)
            usable = _usable(self._aged(kept) if kept is not None else None)
            return self._keep(replace(usable, status=DELIVERED, leads_back=leads_back))

    def act(self, name: str, person: SimPerson, outcome: str, ip: str) -> Transaction:
        """Do what a person does. Unreadable for what is no more or somebody else's, ValueError for nonsense."""
        if outcome not in OUTCOMES:
            raise ValueError(f"Freja knows the outcomes {', '.join(OUTCOMES)}")
        if person.id not in self._people:
            raise ValueError(f"{person.id} has no Freja eID")
        if outcome == "approve" and person.habit in OUTCOMES:
            outcome = person.habit
        with self._lock:
            found = next((kept for kept in self._kept.values() if kept.id == name), None)
            opened = self._opened(_usable(self._aged(found) if found is not None else None), person)
            if not opened.open or outcome == "open":
                return opened
            return self._keep(self._ended(opened, person, outcome, ip))

    # With the lock held.

    def _new(self, party: str, wish: Wish) -> Transaction:
        return Transaction(
            id=secrets.token_hex(6),
            # 64 letters, the last of which go wrong for whoever does not encode them.
            auth_ref=secrets.token_urlsafe(45) + "+/-_",
            party=party,
            wish=wish,
            made_at=self._clock.now(),
            secret=base64.b64encode(secrets.token_bytes(32)).decode() if wish.dynamic else None,
            cookie=None if wish.cookie is None else wish.cookie or secrets.token_urlsafe(24),
        )

    def _keep(self, transaction: Transaction) -> Transaction:
        self._kept[transaction.auth_ref] = transaction
        return transaction

    def _forget(self) -> None:
        """Drop those that are too old, and the oldest where there are too many."""
        now = self._clock.now()
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if now - oldest.made_at < READABLE and len(self._kept) < MOST:
                return
            self._kept.popitem(last=False)

    def _aged(self, kept: Transaction) -> Transaction:
        if kept.open and self._clock.now() - kept.made_at >= LIFE:
            return self._keep(replace(kept, status=EXPIRED))
        return kept

    def _read(self, party: str, auth_ref: str) -> Transaction:
        kept = self._kept.get(auth_ref)
        if kept is None or kept.party != party or self._clock.now() - kept.made_at >= READABLE:
            raise FrejaError(1100)
        return self._aged(kept)

    def _named(self, wish: Wish) -> SimPerson | None:
        # Nobody is told whether there is such a user: a transaction of nobody expires.
        if wish.named is None:
            return None
        return next((p for p in self._people.values() if (p.country, p.number) == wish.named), None)

    def _check_calm(self, person: SimPerson) -> None:
        rejected = self._rejected.get(person.id)
        if rejected is not None and self._clock.now() - rejected < LIFE:
            raise FrejaError(2000)

    def _opened(self, kept: Transaction, person: SimPerson) -> Transaction:
        """Return it in the person's app; rejected, if they have another there (Freja's guard against relayed ones)."""
        if kept.person not in (None, person.id):
            raise Unreadable("somebody else has opened it")
        theirs = [self._aged(other) for other in tuple(self._kept.values()) if other.person == person.id]
        others = [other for other in theirs if other.open and other.id != kept.id]
        for other in others:
            self._keep(replace(other, status=REJECTED))
        if others:
            self._rejected[person.id] = self._clock.now()
        return self._keep(replace(kept, person=person.id, status=REJECTED if others else DELIVERED))

    def _ended(self, opened: Transaction, person: SimPerson, outcome: str, ip: str) -> Transaction:
        if outcome != "approve":
            return replace(opened, status=_ENDS[outcome])
        if LEVELS.index(person.freja_level) < LEVELS.index(opened.wish.level):
            # The real app offers to raise the level first; what a service sees of it is our choice.
            return replace(opened, status=REJECTED)
        payload = self._payload(opened, person, ip)
        self._earlier, self._approved = self._approved, self._sign(payload)
        return replace(opened, status=APPROVED, payload=payload, details=self._approved)

    def _payload(self, opened: Transaction, person: SimPerson, ip: str) -> dict[str, Any]:
        now = self._clock.now()
        approval = Approval(person=person, party=opened.party, ip=ip, today=now.date())
        told = attributes_of(approval, opened.wish.attributes)
        return {
            "authRef": opened.auth_ref,
            "status": APPROVED,
            "userInfoType": opened.wish.user_info_type,
            "userInfo": opened.wish.user_info,
            "minRegistrationLevel": opened.wish.level,
            "timestamp": int(now.timestamp() * 1000),
            **({"requestedAttributes": told} if told else {}),
        }


def _usable(kept: Transaction | None) -> Transaction:
    if kept is None:
        raise Unreadable("there is no such transaction")
    if not kept.open:
        raise Unreadable("it has ended")
    return kept
