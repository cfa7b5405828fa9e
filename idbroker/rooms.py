"""What people without an eID need, put together: messages, codes, the desk, and what is asked after the proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests

from idbroker import config
from idbroker.accounts import warning
from idbroker.accounts.activation import Activation
from idbroker.accounts.agreeing import Agreeing
from idbroker.accounts.approving import Answering, Approving
from idbroker.accounts.child import Child
from idbroker.accounts.children import Children
from idbroker.accounts.choosing import Begun
from idbroker.accounts.custody import Custody
from idbroker.accounts.desk import Desk
from idbroker.accounts.families import Ending, Families
from idbroker.accounts.joining import Joining
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Aim, Linking, Origin
from idbroker.accounts.own import OwnPage, Pending, SignOns
from idbroker.accounts.passwords import Hasher
from idbroker.accounts.question import Question
from idbroker.accounts.reaching import Reaching
from idbroker.accounts.reconciling import Reconciling
from idbroker.accounts.records import Records
from idbroker.accounts.recovery import TASK, Recovery, rules_of
from idbroker.accounts.registering import Registering
from idbroker.accounts.releasing import Releasing
from idbroker.accounts.vouching import known_by
from idbroker.accounts.warning import Warnings
from idbroker.client import Clients
from idbroker.clock import Clock
from idbroker.events import Events, History
from idbroker.keeping import SealedTransient, Shelf, Tallies
from idbroker.messages.courier import Ailing, Messages
from idbroker.messages.mail import Mail
from idbroker.messages.message import Channel, Delivery, Outbox, Sender
from idbroker.messages.sms import make_sms
from idbroker.otp.app_codes import AppCodes
from idbroker.otp.one_time import OneTimeCodes
from idbroker.otp.sending import CodesByMessage, Epoch, Slot
from idbroker.otp.throttle import Round, Throttle
from idbroker.sealing import Sealer
from idbroker.words import Words


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the rooms stand on: the stores, our keys, the configuration, and a way to make connections."""

    settings: config.Settings
    clock: Clock
    sealed: SealedTransient
    tallies: Tallies
    sealer: Sealer
    clients: Clients
    events: Events
    outbox: Outbox
    records: Records
    http: Callable[..., requests.Session]
    words: Words


@dataclass(frozen=True, kw_only=True)
class Counter:
    """What the fallback needs, and all who write to people: made before the eIDs."""

    records: Records
    messages: Messages
    tasks: dict[str, Any]
    codes: OneTimeCodes
    throttle: Throttle
    hasher: Hasher
    letters: Letters
    desk: Desk
    custody: Custody

    def undelivered(self, values: Mapping[str, str]) -> bool:
        """Tell whether the code that a page waits for has not been sent, or its channel does not work just now."""
        channel, message = values.get("channel", ""), values.get("message", "")
        if not message or channel not in set(Channel):
            return False
        state = self.codes.delivery(message)
        return state is Delivery.FAILED or (state is not Delivery.SENT and not self.codes.works(Channel(channel)))

    def close(self) -> None:
        """Let go of threads."""
        self.messages.close()
        self.hasher.close()


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """All of it."""

    counter: Counter
    recovery: Recovery
    activation: Activation
    approving: Approving
    own: OwnPage
    children: Children
    questions: tuple[Question, ...]


def open_counter(given: Given) -> Counter:
    """Return the desk and all it needs. OSError for a password file of a channel that does not read."""
    settings, sealed = given.settings, given.sealed
    tasks: dict[str, Any] = {}
    messages = Messages(
        outbox=given.outbox,
        sealer=given.sealer,
        senders=_senders(given),
        tasks=tasks,
        clock=given.clock,
        events=given.events,
        health=Shelf(sealed, "h", Ailing),
    )
    throttle = Throttle(tallies=given.tallies, rounds=Shelf(sealed, "o", Round), sealer=given.sealer)
    codes = CodesByMessage(
        slots=Shelf(sealed, "c", Slot),
        epochs=Shelf(sealed, "e", Epoch),
        throttle=throttle,
        sealer=given.sealer,
        post=messages,
        say=given.words,
        settings=settings.codes,
    )
    hasher = Hasher(settings.passwords)
    letters = Letters(
        post=messages,
        say=given.words,
        clinics=settings.clinics,
        clients=given.clients,
        issuer=settings.server.issuer,
        clock=given.clock,
        sealer=given.sealer,
        knows=known_by(given.records.accounts, given.records.enrolments),
    )
    warnings = Warnings(post=messages, accounts=given.records.accounts, letters=letters)
    tasks[warning.TASK] = warnings.carry_out
    custody = Custody(enrolments=given.records.enrolments, events=given.events)
    desk = Desk(
        accounts=given.records.accounts,
        enrolments=given.records.enrolments,
        hasher=hasher,
        throttle=throttle,
        codes=codes,
        app_codes=AppCodes(throttle=throttle, tallies=given.tallies, settings=settings.codes),
        events=given.events,
        settings=settings.passwords,
        warnings=warnings,
        stands=custody.stands,
    )
    return Counter(
        records=given.records,
        messages=messages,
        tasks=tasks,
        codes=codes,
        throttle=throttle,
        hasher=hasher,
        letters=letters,
        desk=desk,
        custody=custody,
    )


class Guarding(Protocol):
    """What guardianship brings (wards.py)."""

    @property
    def who(self) -> Question:
        """Asks who a sign-in is about: before all else, as the others ask on behalf of whom it is about."""
        ...

    @property
    def answered(self) -> Answering:
        """Is told of each answer of a clinic's to somebody who asked."""
        ...

    @property
    def families(self) -> Families:
        """What registers know of whose children."""
        ...

    @property
    def ending(self) -> Ending:
        """Ends what a clinic has approved, once a register says no."""
        ...


def open_rooms(given: Given, counter: Counter, sign_ons: SignOns, history: History, guarding: Guarding) -> Rooms:
    """Return the rest: `sign_ons` ends what a person has here, `history` is what the trail knows of them."""
    records, letters, events = given.records, counter.letters, given.events
    linking = Linking(
        links=records.links,
        origins=Shelf(given.sealed, "k", Origin),
        aims=Shelf(given.sealed, "d", Aim),
        sealer=given.sealer,
    )
    recovery = Recovery(
        accounts=records.accounts,
        enrolments=records.enrolments,
        linking=linking,
        letters=letters,
        post=counter.messages,
        hasher=counter.hasher,
        codes=counter.codes,
        throttle=counter.throttle,
        begun=Shelf(given.sealed, "b", Begun),
        events=events,
        rules=rules_of(given.settings.clinics.find),
        sign_ons=sign_ons,
        locks=counter.desk,
        stands=counter.custody.stands_for_letter,
    )
    counter.tasks[TASK] = recovery.carry_out
    approving = Approving(
        accounts=records.accounts,
        enrolments=records.enrolments,
        links=records.links,
        letters=letters,
        events=events,
        answered=guarding.answered,
        linking=linking,
    )
    return Rooms(
        counter=counter,
        recovery=recovery,
        activation=Activation(
            accounts=records.accounts,
            enrolments=records.enrolments,
            linking=linking,
            letters=letters,
            throttle=counter.throttle,
            events=events,
        ),
        approving=approving,
        children=Children(
            records=records, recovery=recovery, events=events, families=guarding.families, ending=guarding.ending
        ),
        own=OwnPage(
            records=records,
            codes=counter.codes,
            told=letters,
            events=events,
            history=history,
            sign_ons=sign_ons,
            pending=Shelf(given.sealed, "y", Pending),
        ),
        questions=(guarding.who, *_questions(given, counter, sign_ons, guarding, approving)),
    )


def _questions(
    given: Given, counter: Counter, sign_ons: SignOns, guarding: Guarding, approving: Approving
) -> tuple[Question, ...]:
    records, events = given.records, given.events
    reaching = Reaching(codes=counter.codes)
    agreeing = Agreeing(records=records, events=events)
    registering = Registering(reaching=reaching, hasher=counter.hasher, agreeing=agreeing)
    return (
        # First who is taken at all: nobody accepts terms in the name of somebody that they have not shown to be.
        Joining(records=records, events=events, registering=registering, letters=counter.letters, sign_ons=sign_ons),
        agreeing,
        Child(
            records=records,
            events=events,
            registering=registering,
            families=guarding.families,
            approving=approving,
            ending=guarding.ending,
        ),
        Reconciling(records=records, events=events, reaching=reaching, letters=counter.letters),
        Releasing(records=records, events=events),
    )


def _senders(given: Given) -> dict[Channel, Sender]:
    settings = given.settings
    senders: dict[Channel, Sender] = {}
    if settings.email is not None:
        senders[Channel.EMAIL] = Mail(settings.email)
    if settings.sms is not None:
        senders[Channel.SMS] = make_sms(settings.sms, given.http)
    return senders
