"""Who is on the telephone: staff ask, the patient approves in their app, and nothing else is issued."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import structlog

from idbroker.accounts.records import Records
from idbroker.clinic import Clinic, Clinics
from idbroker.errors import NotFound, ProviderError, StoreError, Unreachable
from idbroker.events import Event
from idbroker.evidence import SealedEvidence, proof_of
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Limited, Locked
from idbroker.otp.throttle import Limit, Throttle
from idbroker.patients.call import LEASE, Call, Outcome, came_to, judged
from idbroker.patients.patient import Conflict, NotDone, Patient
from idbroker.patients.trail import made
from idbroker.sealing import Sealer
from idbroker.staff.member import Actor
from idbroker.words import Words

__all__ = ["LEASE", "LIFE", "PACE", "Call", "Calls", "Dialled", "Outcome", "Witness"]

_log = structlog.get_logger("idbroker.patients.telephone")

LIFE = timedelta(minutes=3)
PACE = timedelta(seconds=2)  # between two looks at the eID, which asks for no more
KEPT = timedelta(minutes=30)  # so long a page may show what came of it; the trail says it for ever
# Somebody who is rung up and asked again and again approves at last, to have peace (phishing by telephone).
OF_PATIENT = Limit(most=3, per=timedelta(minutes=10))
BY_STAFF = Limit(most=60, per=timedelta(hours=1))
_TRIES = 20


@runtime_checkable
class Dialled(Protocol):
    """An eID that can ask somebody by their number, who is on the telephone and not at a screen of ours.

    `dials` tells whether the operator lets it, `shows` whether its app shows what is said. All raise Cancelled,
    Refused, Unreachable or Untrusted, as every provider does, and nothing else.
    """

    title: str
    dials: bool
    shows: bool

    def dial(
        self,
        number: NationalNumber,
        said: str,
        *,
        by_clinic: bool,
        now: datetime,
        requirement: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Ask; return the order's state. `said` is shown in the app; `by_clinic` tells who called whom.

        `requirement` is what the clinic demands of this eID, as in `providers.Asked`.
        """
        ...

    def heard(self, state: bytes, now: datetime) -> Identity | None:
        """Return who approved, None while nobody has."""
        ...

    def hang_up(self, state: bytes) -> None:
        """Cancel the order."""
        ...


class Witness(Protocol):
    """Keeps what is said together with what proves it. Raises StoreError."""

    def witnessed(self, event: Event, evidence: SealedEvidence | None, now: datetime) -> None:
        """Keep an event, and the evidence for it: both or neither."""
        ...


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Begins, looks at and ends them. Every method may raise StoreError; NotFound for what is not there.

    Many looks of one page, and two pages, ask the eID once in two seconds at most: who asks has the call for a
    moment, by a swap on the shelf, and another worker has it after that when they do not come back.
    """

    calls: Shelf[Call]
    going: Shelf[dict[str, str]]
    records: Records
    clinics: Clinics
    eids: Mapping[str, Dialled]
    throttle: Throttle
    witness: Witness
    sealer: Sealer
    keep_evidence: timedelta
    say: Words

    def ways(self, actor: Actor, handle: str) -> Mapping[str, str]:
        """Return the eIDs that this patient can be asked by, with their titles: those of the clinic that dial.

        They are the clinic's, whoever the patient is: that an eID is offered does not say that the patient has it.
        """
        number = self._patient(actor, handle).number
        return {name: eid.title for name, eid in self._eids(actor.clinic, number).items()}

    def title(self, provider: str) -> str:
        """Return what an eID is called; one that is no more, by its name."""
        eid = self.eids.get(provider)
        return provider if eid is None else eid.title

    def begin(
        self, actor: Actor, handle: str, provider: str, *, by_clinic: bool, now: datetime
    ) -> Call | Limited | NotDone:
        """Ask the patient; one call at a time for each patient, three in ten minutes (phishing by telephone).

        Where a call is going, that one is returned: two colleagues see the same, and the patient is asked once.
        NotDone for who is dead (DECEASED), has no number (NO_NUMBER), or an eID not to be asked here (NOT_HERE).
        """
        patient = self._patient(actor, handle)
        eid = self._askable(patient, actor.clinic, provider)
        if isinstance(eid, NotDone):
            return eid
        other = self._going(self.going.get(handle), now) or self._locked(actor, patient, now)
        if other is not None:
            return other
        kept = self._claim(self._new(actor, patient, provider, eid, by_clinic=by_clinic, now=now), now)
        if not isinstance(kept, Kept):
            return kept
        # Counted by whoever has the call alone: colleagues who are a moment late have asked nobody.
        limited = self._limited(actor, patient, now)
        if limited is not None:
            self.calls.take(kept.value.id)
            return limited
        return self._dialled(kept, eid, patient, now)

    def look(self, actor: Actor, call: str, now: datetime) -> Call:
        """Return how it is now."""
        kept = self._find(actor, call)
        if kept.value.noted or now < kept.value.asks_at:
            return kept.value.shown
        mine = self._swap(kept, replace(kept.value, asks_at=now + LEASE))
        if mine is None:
            return self._find(actor, call).value.shown
        return self._ask(mine, now) if mine.value.waits else self._note(mine, now)

    def end(self, actor: Actor, call: str, now: datetime) -> Call:
        """Hang up. What has ended stays as it is; an answer that comes afterwards counts no more."""
        for _ in range(_TRIES):
            kept = self._find(actor, call)
            if not kept.value.waits:
                return self.look(actor, call, now)
            ended = self._swap(kept, kept.value.ended(Outcome.CANCELLED, "ended", now))
            if ended is not None:
                self._hang_up(kept.value)
                return self._note(ended, now)
        raise StoreError("too many changes at once")

    # ---- beginning -------------------------------------------------------------------------------

    def _patient(self, actor: Actor, handle: str) -> Patient:
        enrolment = self.records.enrolments.by_handle(actor.clinic, handle)
        if enrolment is None:
            raise NotFound("no such patient at this clinic")
        return Patient(enrolment=enrolment, account=self.records.accounts.of(enrolment.person))

    def _askable(self, patient: Patient, clinic: str, provider: str) -> Dialled | NotDone:
        entry, number = patient.enrolment.entry, patient.number
        if entry is not None and entry.deceased_on is not None:
            return NotDone(why=Conflict.DECEASED)
        if number is None:
            return NotDone(why=Conflict.NO_NUMBER)
        return self._eids(clinic, number).get(provider) or NotDone(why=Conflict.NOT_HERE)

    def _eids(self, clinic: str, number: NationalNumber | None) -> dict[str, Dialled]:
        known = self.clinics.find(clinic)
        if known is None or number is None or number.country != "SE":  # no other country's eID is asked by number
            return {}
        return {name: self.eids[name] for name in known.providers if name in self.eids}

    def _going(self, claim: Kept[dict[str, str]] | None, now: datetime) -> Call | None:
        kept = None if claim is None else self.calls.get(claim.value["call"])
        return kept.value if kept is not None and kept.value.waits and now < kept.value.begun_at + LIFE else None

    def _locked(self, actor: Actor, patient: Patient, now: datetime) -> Limited | None:
        locks = [self.throttle.locked(name, now) for name in _limits(actor, patient)]
        return max((Limited(until=lock.until) for lock in locks if lock), key=lambda one: one.until, default=None)

    def _limited(self, actor: Actor, patient: Patient, now: datetime) -> Limited | None:
        for name, limit in _limits(actor, patient).items():
            spent = self.throttle.spend(name, limit, pause=limit.per, now=now)
            if isinstance(spent, Locked):
                return Limited(until=spent.until)
        return None

    def _new(
        self, actor: Actor, patient: Patient, provider: str, eid: Dialled, *, by_clinic: bool, now: datetime
    ) -> Call:
        if patient.number is None:
            raise NotFound("a patient without a number")
        return Call(
            id=secrets.token_hex(16),
            actor=actor,
            person=patient.enrolment.person,
            handle=patient.handle,
            provider=provider,
            number=patient.number,
            by_clinic=by_clinic,
            shows=eid.shows,
            begun_at=now,
            asks_at=now + LEASE,
        )

    def _claim(self, call: Call, now: datetime) -> Kept[Call] | Call:
        """Make this the patient's call; return the other one if a colleague was faster."""
        before = self.going.get(call.handle)
        going = self._going(before, now)
        if going is not None:
            return going
        kept = self.calls.put(call.id, call, LIFE + KEPT)
        if self.going.swap(call.handle, before.raw if before else None, {"call": call.id}, LIFE) is not None:
            return kept
        self.calls.take(call.id)
        faster = self._going(self.going.get(call.handle), now)
        if faster is None:
            raise StoreError("too many changes at once")
        return faster

    def _dialled(self, kept: Kept[Call], eid: Dialled, patient: Patient, now: datetime) -> Call:
        call, clinic = kept.value, self.clinics.by_id[kept.value.actor.clinic]
        self._announce(call, now)
        requirement = clinic.requirements.get(call.provider, {})
        try:
            state = eid.dial(
                call.number,
                self._said(clinic, patient),
                by_clinic=call.by_clinic,
                now=now,
                requirement=requirement,
            )
        except ProviderError as error:
            _log.info("call_refused", provider=call.provider, code=error.code, detail=error.detail)
            return self._over(kept, *came_to(error), now)
        begun = self._swap(kept, replace(call, state=state, asks_at=now + PACE))
        if begun is not None:
            return begun.value
        self._hang_up(replace(call, state=state))  # a colleague has ended it meanwhile
        return self._now(kept)

    def _announce(self, call: Call, now: datetime) -> None:
        """Put into the trail that somebody is about to be asked: nobody is without a word there, come what may."""
        try:
            self.witness.witnessed(self._event("patient.calling", call, now), None, now)
        except StoreError:
            self.calls.take(call.id)  # so that another may try
            raise

    def _said(self, clinic: Clinic, patient: Patient) -> str:
        """Return what the app shows, a line for each paragraph, in a language that the clinic speaks with them."""
        wished, offered = patient.enrolment.language, clinic.offered_languages
        language = wished if wished in offered else offered[0]
        return "\n".join(self.say.say(key, language, clinic=clinic.name) for key in ("s.tel.app", "s.tel.app.if"))

    # ---- looking ---------------------------------------------------------------------------------

    def _ask(self, mine: Kept[Call], now: datetime) -> Call:
        """Ask the eID once; the call is ours for a moment."""
        call, eid = mine.value, self.eids.get(mine.value.provider)
        if eid is None or not call.state:  # a worker was killed while it dialled, or the eID taken away
            return self._over(mine, Outcome.FAILED, "gone" if eid is None else "lost", now)
        if now >= call.begun_at + LIFE:
            self._hang_up(call)
            return self._over(mine, Outcome.EXPIRED, "", now)
        try:
            identity = eid.heard(call.state, now)
        except Unreachable as error:
            _log.warning("call_unreachable", provider=call.provider, detail=error.detail)
            return self._wait(mine, now, away=True)
        except ProviderError as error:
            _log.info("call_failed", provider=call.provider, code=error.code, detail=error.detail)
            return self._over(mine, *came_to(error), now)
        if identity is None:
            return self._wait(mine, now, away=False)
        outcome, reason = judged(call, identity)
        # Of somebody else nothing is kept: it would lie with this patient's.
        proof = identity.evidence if outcome is Outcome.CONFIRMED else {}
        return self._over(mine, outcome, reason, now, proof)

    def _wait(self, mine: Kept[Call], now: datetime, *, away: bool) -> Call:
        waiting = self._swap(mine, replace(mine.value, asks_at=now + PACE, away=away))
        return self._now(mine) if waiting is None else waiting.value

    def _over(
        self, mine: Kept[Call], outcome: Outcome, reason: str, now: datetime, proof: Mapping[str, str] | None = None
    ) -> Call:
        """End it; if a colleague has ended it meanwhile, that stands."""
        ended = self._swap(mine, mine.value.ended(outcome, reason, now, proof))
        return self._now(mine) if ended is None else self._note(ended, now)

    def _note(self, mine: Kept[Call], now: datetime) -> Call:
        """Put the end into the trail, with what proves it; then it may be shown."""
        call, at = mine.value, mine.value.ended_at or now
        seal, evidence = proof_of(call.proof, call.provider, at, keep=self.keep_evidence, sealer=self.sealer)
        event = self._event("patient.called", call, at, outcome=call.outcome.value, **evidence)
        self.witness.witnessed(event, None if seal is None else seal(call.person), now)
        _log.info("call_ended", provider=call.provider, outcome=call.outcome.value, reason=call.reason)
        noted = self._swap(mine, replace(call, noted=True, proof={}))
        return self._now(mine) if noted is None else noted.value

    def _event(self, kind: str, call: Call, at: datetime, **detail: str) -> Event:
        caller = "clinic" if call.by_clinic else "patient"
        more = {"reason": call.reason} if call.reason else {}
        event = made(kind, call.actor, call.person, at, caller=caller, **more, **detail)
        return replace(event, provider=call.provider)

    # ---- the shelf -------------------------------------------------------------------------------

    def _find(self, actor: Actor, call: str) -> Kept[Call]:
        kept = self.calls.get(call)
        if kept is None or kept.value.actor.clinic != actor.clinic:
            raise NotFound("no such call at this clinic")
        return kept

    def _now(self, mine: Kept[Call]) -> Call:
        return self._find(mine.value.actor, mine.value.id).value.shown

    def _swap(self, kept: Kept[Call], new: Call) -> Kept[Call] | None:
        return self.calls.swap(new.id, kept.raw, new, LIFE + KEPT)

    def _hang_up(self, call: Call) -> None:
        """Cancel the order, if it can be: left alone it lapses by itself."""
        eid = self.eids.get(call.provider)
        if eid is None or not call.state:
            return
        try:
            eid.hang_up(call.state)
        except ProviderError as error:
            _log.warning("call_not_cancelled", provider=call.provider, detail=error.detail)


def _limits(actor: Actor, patient: Patient) -> Mapping[str, Limit]:
    """Return what is counted: the person, not the clinic's record, or each clinic more would ring them up thrice."""
    return {f"calls by {actor.id}": BY_STAFF, f"calls to {patient.enrolment.person}": OF_PATIENT}
