"""What clinic staff do with accounts, for scripts: invite people, and answer who asked to be taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Flask
from werkzeug.wrappers import Response

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.activation import Enrolled, Invitation
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.errors import NotFound
from idbroker.messages import addresses
from idbroker.messages.addresses import NotAnAddress
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.otp.one_time import Limited
from idbroker.sandbox.jsonwire import Wrong, answer, moment, sent
from idbroker.sandbox.people import LISTED, SimPerson
from idbroker.sandbox.seeding import BY, number_of
from idbroker.sandbox.world import World

_INVITE = {"person", "number", "country", "email", "phone", "clinic", "given_name", "family_name", "exempt", "language"}
_HOW = (
    'send {"person": "nikolaj", "clinic": "clinea", "email": "n@example.test"}; instead of person "number" and '
    '"country"; and "phone", "exempt" (why they cannot use an eID), "language", "given_name", "family_name"'
)
_DECIDE = 'send {"answer": "approve"} or {"answer": "decline", "reason": "..."}'


def add_account_calls(app: Flask, world: World) -> None:
    """Add the calls."""
    calls = _Calls(world)
    for path, method, call in (
        ("/accounts/invite", "POST", calls.invite),
        ("/enrolments", "GET", calls.enrolments),
        ("/enrolments/<clinic>/<person>", "POST", calls.decide),
    ):
        app.add_url_rule(path, f"{method} {path}", call, methods=[method])


class _Calls:
    """What staff may do."""

    def __init__(self, world: World) -> None:
        self._world, self._rooms = world, world.house.rooms
        self._records = self._rooms.counter.records

    def invite(self) -> Response:
        """Make an account and send the link to activate it; whoever has one is enrolled, and told so."""
        wish = sent()
        if not {"clinic"} <= set(wish) <= _INVITE or not all(isinstance(value, str) for value in wish.values()):
            raise Wrong(_HOW)
        person, clinic, client = self._whom(wish), *self._where(wish["clinic"])
        done = self._rooms.activation.invite(
            Invitation(
                number=self._number(wish, person, clinic),
                contacts=_contacts(wish, clinic.country) or _known(person),
                clinic=clinic,
                client=client,
                by=BY,
                given_name=wish.get("given_name") or (person.given_name if person else None),
                family_name=wish.get("family_name") or (person.family_name if person else None),
                language=wish.get("language") or clinic.offered_languages[0],
                exempt=wish.get("exempt") or None,
            ),
            self._world.clock.now(),
        )
        if isinstance(done, Limited):
            raise Wrong(f"too many links were sent; again at {moment(done.until)}", status=409)
        if isinstance(done, Enrolled):
            return answer({"enrolled": True, "at": moment(done.at)})
        return answer({"sent": dict(done.sent), "until": moment(done.until)}, status=201)

    def enrolments(self) -> Response:
        """Return who is patient where, and who waits for an answer."""
        names = self._names()
        found = {(one.person, one.clinic): one for one in self._all(names)}
        return answer([self._told(one, names) for one in found.values()])

    def decide(self, clinic: str, person: str) -> Response:
        """Approve or decline; the first answer counts."""
        wish = sent()
        names = self._names()
        person_id = next((key for key, one in names.items() if one.id == person), person)
        try:
            kept = self._decision(wish)(person_id, clinic)
        except NotFound as error:
            raise Wrong("nobody has asked for that: see GET enrolments", status=404) from error
        return answer({**self._told(kept[0], names), "first": kept[1]})

    # ---- how -------------------------------------------------------------------------------------

    def _decision(self, wish: Mapping[str, Any]) -> Callable[[str, str], tuple[Enrolment, bool]]:
        approving, now = self._rooms.approving, self._world.clock.now()
        reason = wish.get("reason", "")
        if wish.get("answer") not in ("approve", "decline") or not isinstance(reason, str):
            raise Wrong(_DECIDE)

        def decided(person: str, clinic: str) -> tuple[Enrolment, bool]:
            if wish["answer"] == "approve":
                done = approving.approve(person, clinic, BY, now)
            else:
                done = approving.decline(person, clinic, BY, reason, now)
            return done.enrolment, done.first

        return decided

    def _whom(self, wish: Mapping[str, str]) -> SimPerson | None:
        if "person" not in wish:
            return None
        found = next((one for one in self._world.people if one.id == wish["person"]), None)
        if found is None:
            raise Wrong("there is no such person: see GET people")
        return found

    def _where(self, name: str) -> tuple[Clinic, Client]:
        clinic = self._world.house.settings.clinics.find(name)
        client = next((one for one in self._world.house.settings.clients if one.clinic == name), None)
        if clinic is None or client is None:
            known = ", ".join(self._world.house.settings.clinics.by_id)
            raise Wrong(f"there is no clinic {name[:40]!r}: one of {known}")
        return clinic, client

    def _number(self, wish: Mapping[str, str], person: SimPerson | None, clinic: Clinic) -> NationalNumber:
        now = self._world.clock.now()
        try:
            if person is not None:
                return number_of(person, now)
            number = parse(wish.get("number", ""), wish.get("country", clinic.country), now=now.date())
        except (NotANumber, KeyError) as error:
            raise Wrong("number and country must be a national number, or person somebody who has one") from error
        # Whoever has that number in life would be written to, as far as they could tell.
        if not (number.value in LISTED if number.country == "SE" else number.is_test):
            raise Wrong("that number could be a real person's: only those kept for tests are taken")
        return number

    def _names(self) -> dict[str, SimPerson]:
        """Return the cast by the ids that the broker has for them."""
        now = self._world.clock.now()
        accounts = self._records.accounts
        return {accounts.person(number_of(one, now), now): one for one in self._world.people if one.number is not None}

    def _all(self, names: Mapping[str, SimPerson]) -> Iterator[Enrolment]:
        for person in names:
            yield from self._records.enrolments.of(person)
        for clinic in self._world.house.settings.clinics.by_id:
            yield from self._records.enrolments.asked(clinic)

    def _told(self, one: Enrolment, names: Mapping[str, SimPerson]) -> dict[str, Any]:
        def called(person: str | None) -> str | None:
            return names[person].id if person is not None and person in names else person

        told = {
            "clinic": one.clinic,
            "person": called(one.person),
            "handle": one.handle,
            "standing": one.standing.value,
            "asked_at": moment(one.asked_at),
            "decided_at": None if one.decided_at is None else moment(one.decided_at),
            "by": one.by,
            "reason": one.reason if one.standing is Standing.DECLINED else None,
            "guardian": called(one.guardian),
            "told": dict(one.told) or None,
        }
        return {name: value for name, value in told.items() if value is not None}


def _contacts(wish: Mapping[str, str], country: str) -> dict[Channel, str]:
    found = {}
    try:
        if wish.get("email"):
            found[Channel.EMAIL] = addresses.email(wish["email"])
        if wish.get("phone"):
            found[Channel.SMS] = addresses.mobile(wish["phone"], country)
    except NotAnAddress as error:
        raise Wrong(f"email or phone is not one that can be written to: {error.reason}") from error
    return found


def _known(person: SimPerson | None) -> dict[Channel, str]:
    contacts = {} if person is None else {Channel(channel): to for channel, to in person.contacts.items()}
    if not contacts:
        raise Wrong("email or phone: where the link goes")
    return contacts
