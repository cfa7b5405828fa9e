"""Where people show that they know their password and have their address: the fallback's own eID, so to say.

What a stranger can do here, and cannot (ASVS 6.1.1, 6.3.1, 6.3.8; SP 800-63B-4, 3.2.2):

- Guess: each try is counted before it is compared, whoever makes it and from wherever. Five for a number, then
  fifteen minutes none; a hundred in a row, then none until the person has proved anew who they are.
- Learn who has an account: a number that nobody has is counted, locked and answered as any other, after the same
  statements, the same hashing and the same event. So is an account that is disabled or has no password.
- Keep somebody out: of this one way only. eIDs know nothing of these counts, and neither do codes.
- Try many numbers a few times each: wrong ones also count by network address, of IPv6 by what one customer has
  (/64, /56 or /48), and by clinic. Right ones do not, for a waiting room has one address; nor do they clear those
  counts, or one account of one's own would buy them.
- Close a clinic's passwords for everybody: when too many wrong ones were typed there, only addresses with a wrong
  one within the window are refused, so a list needs a fresh address for each guess, and patients still get in.
"""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from idbroker.accounts.account import Account
from idbroker.accounts.custody import Stands, unasked
from idbroker.accounts.entries import exempt_at
from idbroker.accounts.passwords import Busy, Hasher, Settings
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.accounts.warning import Warnings
from idbroker.clinic import Clinic
from idbroker.events import Event, Events
from idbroker.messages.message import Channel, Delivery
from idbroker.numbers import NationalNumber
from idbroker.otp.app_codes import AppCodes
from idbroker.otp.one_time import Limited, Locked, OneTimeCodes, Right, Sent, Spot, Verdict, Wrong
from idbroker.otp.throttle import Limit, Throttle
from idbroker.visit import Visit
from idbroker.visitor import Visitor

_log = structlog.get_logger("idbroker.accounts.desk")

APP = "app"  # the one way of `Clinic.codes` on which nothing is sent
PURPOSE = "login"
CEILING = Limit(most=100, per=timedelta(days=30))  # SP 800-63B-4, 3.2.2: no more failures in a row than these
# What one customer has of IPv6, by the length of its prefix, and how many times `address` wrong ones it may type.
_CUSTOMERS = {64: 1, 56: 2, 48: 4}
_TOLD_FROM = 3  # the wrong try from which the page says how many are left


@dataclass(frozen=True, slots=True, kw_only=True)
class RightPassword:
    """It was this account's."""

    account: Account = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongPassword:
    """It was not, or there is no such account; `left` tries are left, told from the third on."""

    left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut:
    """Nothing was compared, whatever was typed, nor will be until then; None: until a new password is chosen."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class TooBusy:
    """Nothing was compared: many sign in just now."""


Answer = RightPassword | WrongPassword | LockedOut | TooBusy


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way that a code may come: `sms`, `email` or `app`. A dead one does not work just now."""

    channel: str
    dead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brake:
    """What wrong passwords count by besides their number; `by` is the word for it in events."""

    name: str
    by: str
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Checks passwords and codes. Every method may raise StoreError: who cannot count lets nobody guess."""

    accounts: Accounts
    enrolments: Enrolments
    hasher: Hasher
    throttle: Throttle
    codes: OneTimeCodes
    app_codes: AppCodes
    events: Events
    settings: Settings = field(default_factory=Settings)
    warnings: Warnings | None = None
    stands: Stands = unasked

    # ---- passwords -------------------------------------------------------------------------------

    def password(self, visit: Visit, number: NationalNumber, password: str) -> Answer:
        """Count a try, then compare."""
        if self.hasher.full:  # before it is counted: a crowd must not use up anybody's tries
            return TooBusy()
        left = self._spent(visit, number)
        if isinstance(left, LockedOut):
            return left
        account = self.accounts.find(number)
        kept = None if account is None or account.disabled else account.password
        try:
            right = self.hasher.verify(kept, password)
        except Busy:
            return TooBusy()
        # The attack: a stranger registers a child, and learns by whether the password just chosen is right whether
        # the clinic knew it. Looked up for everybody, numbers of nobody's too: the time must tell nothing either.
        enrolments = self.enrolments.of("" if account is None else account.person)
        # Registers are asked of who knows a child's password, and of nobody else: how long that takes tells no other.
        if account is None or not right or not self.stands(account, enrolments, visit.clinic.id, visit.now):
            return self._wrong(visit, number, account, left)
        self.reopen(number)
        return RightPassword(account=self._upgraded(account, password))

    def reopen(self, number: NationalNumber) -> None:
        """Give a number all its tries again: the password was right, or a new one has been chosen by recovery."""
        self.throttle.clear(_tried(number), self._limit(self.settings.tries))
        self.throttle.clear(_failed(number), CEILING)

    def _spent(self, visit: Visit, number: NationalNumber) -> int | LockedOut:
        """Count a try of a number, unless what it is typed at is locked; return how many are left."""
        braked = self._braked(visit)
        if braked is not None:
            return LockedOut(until=braked.until)
        if self.throttle.locked(_failed(number), visit.now):
            return LockedOut(until=None)
        left = self.throttle.spend(
            _tried(number), self._limit(self.settings.tries), pause=self.settings.window, now=visit.now
        )
        if isinstance(left, Locked):
            return LockedOut(until=left.until)
        in_a_row = self.throttle.spend(_failed(number), CEILING, pause=None, now=visit.now)
        return LockedOut(until=None) if isinstance(in_a_row, Locked) else left

    def _braked(self, visit: Visit) -> Locked | None:
        """Return why nothing is taken from this address: too many wrong ones, or any where a clinic has too many."""
        locks = (self.throttle.locked(brake.name, visit.now) for brake in self._networks(visit))
        locked = next((lock for lock in locks if lock is not None), None)
        stuffed = None if locked else self.throttle.locked(_clinics(visit).name, visit.now)
        if stuffed is None:
            return locked
        network = Visitor(ip=visit.ip).network
        clean = network is not None and self.throttle.locked(_erred(network), visit.now) is None
        return None if clean else stuffed

    def _wrong(self, visit: Visit, number: NationalNumber, account: Account | None, left: int) -> Answer:
        person = None if account is None else account.person
        self._record(visit, "password.wrong", person)
        self._brake(visit)
        if self.throttle.locked(_failed(number), visit.now):
            self._record(visit, "password.closed", person)
            return LockedOut(until=None)
        if left == 0:
            until = visit.now + self.settings.window
            self._record(visit, "password.locked", person)
            if self.warnings is not None:
                self.warnings.locked(visit, number, until)
            return LockedOut(until=until)
        return WrongPassword(left=left if self.settings.tries - left >= _TOLD_FROM else None)

    def _brake(self, visit: Visit) -> None:
        """Count a wrong one by what it counts by besides its number; the last of a window is told in the trail."""
        window, network = self.settings.window, Visitor(ip=visit.ip).network
        if network is not None:
            self.throttle.spend(_erred(network), self._limit(1), pause=window, now=visit.now)
        for brake in (*self._networks(visit), _clinics(visit)):
            most = self._limit(brake.times * (self.settings.clinic if brake.by == "clinic" else self.settings.address))
            if self.throttle.spend(brake.name, most, pause=window, now=visit.now) == 0:
                self._record(visit, "password.stuffing", None, by=brake.by)

    def _networks(self, visit: Visit) -> tuple[_Brake, ...]:
        """Return whose the address is: of IPv6 all that one customer may have, from each of which others could come."""
        if visit.ip is None or ":" not in visit.ip:
            return () if visit.ip is None else (_Brake(name=f"password|address|{visit.ip}", by="address"),)
        nets = {times: ipaddress.IPv6Network((visit.ip, bits), strict=False) for bits, times in _CUSTOMERS.items()}
        return tuple(_Brake(name=f"password|address|{net}", by="address", times=times) for times, net in nets.items())

    def _limit(self, most: int) -> Limit:
        return Limit(most=most, per=self.settings.window)

    def _upgraded(self, account: Account, password: str) -> Account:
        """Keep a password that was right by today's parameters; who is in a hurry upgrades the next time."""
        old = account.password
        if old is None or not self.hasher.needs_rehash(old):
            return account
        with contextlib.suppress(Busy):
            new = self.hasher.hash(password)
            # One that was changed meanwhile stays as it is.
            return (
                self.accounts.change(
                    account.person, lambda now: replace(now, password=new) if now.password == old else None
                )
                or account
            )
        _log.info("password_not_upgraded", person=account.person)
        return account

    # ---- codes -----------------------------------------------------------------------------------

    def account(self, person: str) -> Account | None:
        """Return a person's account, as it is now."""
        return self.accounts.of(person)

    def needs_eid(self, account: Account, clinic: Clinic) -> bool:
        """Tell whether an eID must confirm first who this is; not of whom this very clinic says they can use none.

        And of whose password another clinic's staff had sent to an address of their own choice (`Account.only_at`).
        """
        if not account.opens(clinic.id):
            return True
        if account.confirmed_at is not None:
            return False
        return exempt_at(account, self.enrolments.find(account.person, clinic.id)) is None

    def ways(self, account: Account, clinic: Clinic) -> tuple[Way, ...]:
        """Return how a code may reach this person, in the clinic's order; what does not work just now comes last."""
        open_ways = [self._way(account, channel) for channel in clinic.codes]
        ways = tuple(sorted((way for way in open_ways if way is not None), key=lambda way: way.dead))
        # Stops whoever reads a mailbox and nothing else: a link there, then a code there, would be one factor.
        return tuple(way for way in ways if way.channel != account.reset_by) or ways

    def _way(self, account: Account, channel: str) -> Way | None:
        if channel == APP:
            return Way(channel=APP) if account.app_secret else None
        contact = account.contact(Channel(channel))
        if (
            contact is None
            or contact not in account.reachable
            or not self.codes.takes(contact.channel, contact.address)
        ):
            return None
        return Way(channel=channel, dead=not self.codes.works(contact.channel))

    def send(self, visit: Visit, account: Account, channel: Channel) -> Sent | Limited:
        """Send a code to an address of theirs that was verified. ValueError when there is none."""
        spot = _spot(visit, account, channel)
        if spot is None:
            raise ValueError(f"no code goes by {channel}")
        return self.codes.send(spot, visit)

    def check(self, visit: Visit, account: Account, channel: str, typed: str) -> Verdict:
        """Count a try, then compare with what was sent to the address they have now, or with their app's code."""
        verdict = self._checked(visit, account, channel, typed)
        if isinstance(verdict, Right) and account.reset_by not in (None, channel):
            self.accounts.change(account.person, lambda now: replace(now, reset_by=None))
        return self._told(visit, account, channel, verdict)

    def _checked(self, visit: Visit, account: Account, channel: str, typed: str) -> Verdict:
        if channel == APP:
            return self._check_app(visit, account, typed)
        spot = _spot(visit, account, Channel(channel))
        return Wrong(left=0) if spot is None else self.codes.check(spot, typed, visit)

    def _told(self, visit: Visit, account: Account, channel: str, verdict: Verdict) -> Verdict:
        """Keep in the trail that a code was wrong, or none was looked at."""
        if isinstance(verdict, Wrong | Locked):
            kind = "code.wrong" if isinstance(verdict, Wrong) else "code.locked"
            self._record(visit, kind, account.person, channel=channel)
        return verdict

    def failed(self, message: str) -> bool:
        """Tell whether the message with a code was refused by whoever should have brought it."""
        return bool(message) and self.codes.delivery(message) is Delivery.FAILED

    def _check_app(self, visit: Visit, account: Account, typed: str) -> Verdict:
        """Take an app's code, each once (ASVS 6.5.1), counted together with the codes that are sent."""
        if account.app_secret is None:
            return Wrong(left=0)
        found = self.app_codes.check(
            person=account.person,
            purpose=PURPOSE,
            secret=account.app_secret,
            typed=typed,
            after_step=account.app_step,
            now=visit.now,
        )
        if isinstance(found, Wrong | Locked):
            return found
        return Right() if self._used(account, found) else Wrong(left=0)

    def _used(self, account: Account, step: int) -> bool:
        """Keep an app's newest step; of many at once one is told that it did."""
        kept = False

        def use(now: Account) -> Account | None:
            nonlocal kept
            kept = now.app_secret == account.app_secret and now.app_step < step and not now.disabled
            return replace(now, app_step=step) if kept else None

        self.accounts.change(account.person, use)
        return kept

    def _record(self, visit: Visit, kind: str, person: str | None, **detail: str) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                person=person,
                detail=detail,
            )
        )


def _spot(visit: Visit, account: Account, channel: Channel) -> Spot | None:
    contact = account.contact(channel)
    if contact is None or contact.verified_at is None:
        return None
    return Spot(
        transaction=visit.transaction, purpose=PURPOSE, person=account.person, channel=channel, to=contact.address
    )


def _clinics(visit: Visit) -> _Brake:
    return _Brake(name=f"password|clinic|{visit.clinic.id}", by="clinic")


def _erred(network: str) -> str:
    return f"password|erred|{network}"


def _tried(number: NationalNumber) -> str:
    return f"password|number|{number.key}"


def _failed(number: NationalNumber) -> str:
    return f"password|failures|{number.key}"
