"""What guardianship needs, put together: the registers, the question of who it is about, and what watches over both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from idbroker.accounts.account import Enrolment
from idbroker.accounts.approving import Answering
from idbroker.accounts.families import Ending
from idbroker.accounts.vouching import vouched
from idbroker.errors import ConfigError
from idbroker.guardianship.absent import Absent
from idbroker.guardianship.approvals import Approvals
from idbroker.guardianship.birthdays import Birthdays
from idbroker.guardianship.delegation import Delegation, Delegations
from idbroker.guardianship.families import RegisteredFamilies
from idbroker.guardianship.judging import Judging
from idbroker.guardianship.kinds import kind
from idbroker.guardianship.local import LocalRegister
from idbroker.guardianship.powers import Powers
from idbroker.guardianship.records import AGAINST, ENDED_BY_CLINIC, Guardianships
from idbroker.guardianship.registers import Registers
from idbroker.guardianship.tie import REGISTER, Answer
from idbroker.guardianship.watch import Silence, Watch
from idbroker.guardianship.who import Who
from idbroker.keeping import Shelf
from idbroker.numbers import NationalNumber, parse
from idbroker.otp.throttle import Limit, Throttle
from idbroker.patients.merging import MergeRows
from idbroker.patients.noting import Noting
from idbroker.person import number_row, pairwise_subject
from idbroker.rooms import Counter, Given
from idbroker.signout import Signout
from idbroker.staff.member import Actor, Role
from idbroker.visit import Visit

_TYPED = Limit(most=10, per=timedelta(hours=1))  # numbers of children that one person types
_DAILY = Limit(most=1, per=timedelta(days=1))


@dataclass(frozen=True, kw_only=True)
class Wards:
    """All of it."""

    registers: Registers
    judging: Judging
    guardianships: Guardianships
    delegations: Delegations
    who: Who
    noting: Noting
    families: RegisteredFamilies
    watch: Watch
    birthdays: Birthdays
    approvals: Approvals

    def start(self) -> None:
        """Begin to watch over what acts for wards and what was approved, and to tell of birthdays."""
        self.watch.start()
        self.birthdays.start()
        self.approvals.start()

    def close(self) -> None:
        """Let go of threads."""
        self.watch.close()
        self.birthdays.close()
        self.approvals.close()

    @property
    def answered(self) -> Answering:
        """Note what clinics answer to those who register a child."""
        return self.noting.answered

    @property
    def ending(self) -> Ending:
        """End what a clinic has approved, noted and opened for a guardian of whom a register says no."""
        return self._ended

    def _ended(self, enrolment: Enrolment, guardian: str, why: str, now: datetime) -> None:
        by = Actor(id=REGISTER, clinic=enrolment.clinic, role=Role.APPROVER)
        # A register's no lasts as long as the register says it. The clinic's own, by the same word, bars for good.
        self.noting.end_of(by, enrolment, guardian, REGISTER if why in ENDED_BY_CLINIC else why, now)
        records, person = self.noting.records, enrolment.person
        account = records.accounts.of(person)
        if account is not None and account.guardian == guardian and not vouched(account, records.enrolments.of(person)):
            records.links.end_all(person)  # one lies in the former guardian's mailbox


class Tables(Protocol):
    """What of the durable store guardianship needs."""

    @property
    def guardianships(self) -> Guardianships:
        """What clinics have noted."""
        ...

    @property
    def delegations(self) -> Delegations:
        """What acts for a ward now."""
        ...

    @property
    def merges(self) -> MergeRows:
        """Persons as they lie there."""
        ...


def open_wards(
    given: Given,
    counter: Counter,
    tables: Tables,
    subject_secret: Callable[[], bytes],
    signout: Signout,
    besides: Callable[[datetime], None],
) -> Wards:
    """Return it; `besides` is what else its watch looks at. ConfigError for registers whose settings cannot work."""
    guardianships, delegations = tables.guardianships, tables.delegations
    named = _named(given)
    registers = Registers(
        always=(LocalRegister(rows=guardianships, records=given.records), Powers()),
        by_name={name: one for name, one in named.items() if not hasattr(one, "leave")},
        elsewhere={name: one for name, one in named.items() if hasattr(one, "leave")},
        kept=Shelf(given.sealed, "G", Answer),
    )
    judging = Judging(registers=registers, records=given.records)
    who = Who(
        judging=judging,
        events=given.events,
        subject=lambda person, visit: pairwise_subject(subject_secret(), visit.client.subject_sector, person),
        may_try=lambda person, visit: _may_try(counter.throttle, person, visit),
        return_url=lambda name: f"{given.settings.server.issuer}/callback/{name}",
        rows=guardianships,
        clients=given.clients,
    )
    absent = Absent(
        registers=replace(registers, always=(), elsewhere={}),  # Suomi.fi wants the guardian there
        paces={name: given.settings.registers[name].settings.ask_again for name in registers.by_name},
        clinics=given.settings.clinics,
        records=given.records,
        rows=guardianships,
        number_of=lambda person, now: _number_of(given, tables.merges, person, now),
    )
    noting = Noting(
        records=given.records,
        rows=guardianships,
        delegations=delegations,
        clinics=given.settings.clinics,
        clients=given.clients,
        sign_ons=signout,
        events=given.events,
        end_acting=signout.end_acting,
        number_of=lambda person, now: _number_of(given, tables.merges, person, now),
        letters=counter.letters,
    )
    wards = Wards(
        registers=registers,
        judging=judging,
        guardianships=guardianships,
        delegations=delegations,
        who=who,
        noting=noting,
        families=RegisteredFamilies(
            judging=judging, guardianships=guardianships, events=given.events, clients=given.clients
        ),
        watch=_watch(given, judging, signout, guardianships, besides),
        birthdays=Birthdays(
            clock=given.clock,
            rows=guardianships,
            records=given.records,
            letters=counter.letters,
            clinics=given.settings.clinics,
            clients=given.clients,
        ),
        approvals=Approvals(
            clock=given.clock,
            rows=guardianships,
            records=given.records,
            clinics=given.settings.clinics,
            absent=absent,
            custody=counter.custody,
            first_today=lambda clinic, now: _is_within(counter.throttle, f"silent {clinic}", _DAILY, now),
        ),
    )
    counter.custody.serve(absent, wards.ending)
    return wards


def _watch(
    given: Given, judging: Judging, signout: Signout, rows: Guardianships, besides: Callable[[datetime], None]
) -> Watch:
    def end(one: Delegation, why: str, reason: str) -> None:
        if reason in AGAINST:
            rows.forget_used(one.clinic, one.guardian, (one.ward,))
        signout.end_delegation(one, why, reason)

    return Watch(
        clock=given.clock,
        delegations=signout.delegations,
        judging=judging,
        clients=given.clients,
        clinics=given.settings.clinics,
        sessions=signout.sessions,
        of_person=signout.of_person,
        end=end,
        silences=Shelf(given.sealed, "N", Silence),
        besides=besides,
    )


def _number_of(given: Given, rows: MergeRows, person: str, now: datetime) -> NationalNumber | None:
    """Return a number that a person is recognised by, whether they have ever come here or not."""
    found = rows.person(person)
    sealed = [(key.digest, key.sealed) for key in found.keys if key.kind == "number"] if found is not None else []
    for digest, value in sealed:
        if value is not None:
            country, _, text = given.sealer.open(value, number_row(digest)).decode().partition(":")
            return parse(text, country, now=now.date())
    return None


def _may_try(throttle: Throttle, person: str, visit: Visit) -> bool:
    """Count a number that somebody typed: whose child is whose is not to be found out by trying."""
    return _is_within(throttle, f"ward {person}", _TYPED, visit.now)


def _is_within(throttle: Throttle, name: str, limit: Limit, now: datetime) -> bool:
    return isinstance(throttle.spend(name, limit, pause=limit.per, now=now), int)


def _named(given: Given) -> dict[str, Any]:
    """Return every register of the configuration, by name. ConfigError with all that is wrong with any."""
    made: dict[str, Any] = {}
    mistakes: list[tuple[str, str]] = []
    for name, table in given.settings.registers.items():
        try:
            made[name] = kind(table.kind).make(name, table.settings, given.http)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return made
