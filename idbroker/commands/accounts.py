"""`idbroker accounts`: people who sign in without an eID."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from idbroker import config
from idbroker.accounts.account import Account
from idbroker.accounts.activation import Enrolled, Invitation, Invited
from idbroker.accounts.entries import exempt_at
from idbroker.app import House, config_path, open_house
from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.clock import SystemClock
from idbroker.errors import OperatorError
from idbroker.events import Event
from idbroker.messages.addresses import NotAnAddress, email, mobile, shown
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.otp.one_time import Limited

SCHEMA = "idbroker.accounts/1"
_COUNTRIES = ("DK", "SE", "FI")
_LONGEST_INPUT = 10_000
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
clinic_option = click.option("--clinic", "clinic_id", required=True, help="The clinic's id: idbroker clinics list.")
_person = click.option("--person", help="By the id that stands in the events, in place of the number.")
_country = click.option("--country", type=click.Choice(_COUNTRIES), help="Whose number [the clinics' country].")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@dataclass(frozen=True, slots=True)
class Room:
    """What the commands about people work with."""

    house: House

    @property
    def now(self) -> datetime:
        """Return the moment."""
        return self.house.clock.now()

    @property
    def by(self) -> str:
        """Return who does this, as the machine knows them."""
        return doer(os.getuid(), os.environ)

    def clinic(self, clinic_id: str) -> Clinic:
        """Return a clinic. OperatorError when there is none."""
        found = self.house.settings.clinics.find(clinic_id)
        if found is None:
            raise OperatorError(f"there is no clinic {clinic_id}", hint="idbroker clinics list", exit_code=2)
        return found

    def client(self, client_id: str, clinic: Clinic) -> Client:
        """Return a clinic's client. OperatorError when it has none of that id."""
        found = self.house.clients.find(client_id)
        if found is None or found.clinic != clinic.id:
            raise OperatorError(f"{clinic.id} has no client {client_id}", hint="idbroker clients list", exit_code=2)
        return found

    def number(self, text: str, country: str | None) -> NationalNumber:
        """Read a national number. OperatorError, which does not repeat it."""
        return _number(text, country or self._country(), self.now)

    def account(self, person: str | None, country: str | None) -> Account:
        """Return the account of a person, or of a number that is asked for. OperatorError when there is none."""
        accounts = self.house.rooms.counter.records.accounts
        found = accounts.of(person) if person else accounts.find(self.number(_asked_number(), country))
        if found is None:
            raise OperatorError("there is no such account", exit_code=2)
        return found

    def record(self, kind: str, person: str) -> None:
        """Keep an event that says who did it."""
        self.house.given.events.record(Event(at=self.now, kind=kind, person=person, detail={"by": self.by}))

    def _country(self) -> str:
        countries = {clinic.country for clinic in self.house.settings.clinics.by_id.values()}
        if len(countries) != 1:
            raise OperatorError("the clinics are in several countries", hint="add --country", exit_code=2)
        return next(iter(countries))


@contextmanager
def opened(given: str | None) -> Iterator[Room]:
    """Open the stores, the keys and the rooms. What is to be sent is kept, and sent by the workers within seconds."""
    path = config_path(given)
    house = open_house(config.load(path), path.parent, clock=SystemClock())
    try:
        # No courier here: a command ends in a moment, and would break off what it has begun to send.
        house.rooms.counter.messages.close()
        house.webhooks.close()
        house.durable.migrate()
        yield Room(house)
    finally:
        house.close()


@click.group()
def accounts() -> None:
    r"""Invite people who have no eID, see and end their accounts.

    What is personal is asked for, or read from a pipe: an argument would stay in the shell's history and stand in
    the list of processes.

    \b
    Examples:
      idbroker accounts invite --clinic clinea --client portal
      idbroker accounts show
      idbroker accounts disable --person 5f0c…
    """


@accounts.command()
@clinic_option
@click.option("--client", "client_id", required=True, help="The service that the link leads to.")
@click.option("--language", type=click.Choice(LANGUAGES), help="To write in [the clinic's first].")
@click.option(
    "--no-eid", is_flag=True, help="They can have no eID: asks why. Without it the first sign-in asks for one."
)
@_country
@as_json
@click.pass_obj
def invite(
    given: str | None,
    *,
    clinic_id: str,
    client_id: str,
    language: str | None,
    no_eid: bool,
    country: str | None,
    as_json: bool,
) -> None:
    r"""Enrol somebody and send a link to choose a password: by e-mail, by SMS, or both. Again sends again.

    \b
    Asked for: number, e-mail, mobile, given name, family name. From a pipe, one JSON object:
      {"number": "…", "email": "…", "phone": "…", "given_name": "…", "family_name": "…", "no_eid": "why"}
    Exit codes: 0 done, 2 no such clinic, number or address, 3 three were sent within the hour.
    """
    with opened(given) as room:
        clinic = room.clinic(clinic_id)
        client = room.client(client_id, clinic)
        told = _told_of_somebody(no_eid=no_eid)
        invitation = Invitation(
            number=_number(told.get("number", ""), country or clinic.country, room.now),
            contacts=_contacts(told, clinic),
            clinic=clinic,
            client=client,
            by=room.by,
            given_name=told.get("given_name") or None,
            family_name=told.get("family_name") or None,
            language=language or clinic.offered_languages[0],
            exempt=told.get("no_eid") or None,
        )
        receipt = room.house.rooms.activation.invite(invitation, room.now)
    _print_receipt(receipt, as_json)


@accounts.command()
@_person
@_country
@as_json
@click.pass_obj
def show(given: str | None, person: str | None, country: str | None, as_json: bool) -> None:
    """Show one account, masked. Exit codes: 0 shown, 2 none such."""
    with opened(given) as room:
        account = room.account(person, country)
        enrolments = room.house.rooms.counter.records.enrolments.of(account.person)
        sign_ons = len(room.house.signout.of_person(account.person))
    document = {
        **_shown(account),
        "exempt": any(exempt_at(account, one) is not None for one in enrolments),
        "enrolments": {one.clinic: one.standing.value for one in enrolments},
        "sign_ons": sign_ons,
    }
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "account": document}))
        return
    for name, value in document.items():
        click.echo(f"{name}\t{_line(value)}")


@accounts.command()
@_person
@_country
@_yes
@click.pass_obj
def disable(given: str | None, person: str | None, country: str | None, yes: bool) -> None:
    """Let nobody sign in by this account; end its sign-ons and links. Exit codes: 0 done, 2 none such, 130 no."""
    with opened(given) as room:
        account = room.account(person, country)
        _confirmed(yes, f"Disable the account of {account.person}?")
        _change(room, account, lambda now: replace(now, disabled=True))
        _end(room, account, "disabled")
        room.record("account.disabled", account.person)
    click.echo(f"ok: {account.person} is disabled")


@accounts.command()
@_person
@_country
@click.pass_obj
def enable(given: str | None, person: str | None, country: str | None) -> None:
    """Let somebody sign in by their account again. Exit codes: 0 done, 2 none such."""
    with opened(given) as room:
        account = room.account(person, country)
        _change(room, account, lambda now: replace(now, disabled=False))
        room.record("account.enabled", account.person)
    click.echo(f"ok: {account.person} may sign in")


@accounts.command()
@_person
@_country
@_yes
@click.pass_obj
def remove(given: str | None, person: str | None, country: str | None, yes: bool) -> None:
    """Remove an account, its enrolments and links; what was agreed to stays. Exit codes: 0 done, 2 none, 130 no."""
    with opened(given) as room:
        account = room.account(person, country)
        _confirmed(yes, f"Remove the account of {account.person}? It cannot be had again")
        # Disabled first: nobody signs in between the end of the sign-ons and the end of the account.
        _change(room, account, lambda now: replace(now, disabled=True))
        _end(room, account, "removed")
        room.house.rooms.counter.records.accounts.remove(account.person)
        room.record("account.removed", account.person)
    click.echo(f"ok: {account.person} has no account")


# ---- asking --------------------------------------------------------------------------------------


def _confirmed(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError("not done: nobody can be asked here", hint="add --yes", exit_code=2)
    click.confirm(question, abort=True)


def _asked_number() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("National number", hide_input=True))
    return _piped().strip()


def _told_of_somebody(*, no_eid: bool) -> Mapping[str, str]:
    if sys.stdin.isatty():
        reason = {"no_eid": asked_why("Why they can have no eID")} if no_eid else {}
        optional = (
            ("email", "E-mail"),
            ("phone", "Mobile"),
            ("given_name", "Given name"),
            ("family_name", "Family name"),
        )
        number = str(click.prompt("National number", hide_input=True))
        return {"number": number, **{name: str(click.prompt(words, default="")) for name, words in optional}, **reason}
    try:
        document = json.loads(_piped())
    except ValueError as error:
        raise OperatorError("what was piped in is not JSON", exit_code=2) from error
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise OperatorError("what was piped in is not one object of texts", exit_code=2)
    if no_eid and not document.get("no_eid", "").strip():
        raise OperatorError("--no-eid needs to know why", hint='"no_eid": "…" in what is piped in', exit_code=2)
    return document


def asked_why(question: str) -> str:
    """Return a reason, asked for or piped in: it says how somebody is, and an argument stays in the shell's history.

    OperatorError for none.
    """
    reason = str(click.prompt(question)).strip() if sys.stdin.isatty() else _piped().strip()
    if not reason:
        raise OperatorError("no reason was given", exit_code=2)
    return reason


def doer(uid: int, environment: Mapping[str, str]) -> str:
    """Return a user as the machine knows them; whom sudo acts for as root, and as nobody else.

    Stops who sets a variable from signing in another's name: LOGNAME and SUDO_USER are anybody's to write.
    """
    if uid == 0 and environment.get("SUDO_USER"):
        return environment["SUDO_USER"]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a number without a name
        return f"uid {uid}"


def _piped() -> str:
    return sys.stdin.read(_LONGEST_INPUT)


def _number(text: str, country: str, now: datetime) -> NationalNumber:
    try:
        return parse(text, country, now=now.date())
    except NotANumber as error:
        raise OperatorError(f"that is no national number of {country} ({error.reason})", exit_code=2) from None


def _contacts(told: Mapping[str, str], clinic: Clinic) -> dict[Channel, str]:
    found: dict[Channel, str] = {}
    for channel, name in ((Channel.EMAIL, "email"), (Channel.SMS, "phone")):
        text = told.get(name, "").strip()
        try:
            if text:
                found[channel] = email(text) if channel is Channel.EMAIL else mobile(text, clinic.country)
        except NotAnAddress as error:
            raise OperatorError(f"nothing can be sent to that {name} ({error.reason})", exit_code=2) from None
    if not found:
        raise OperatorError("there is neither an e-mail address nor a mobile number", exit_code=2)
    return found


# ---- doing and telling ---------------------------------------------------------------------------


def _change(room: Room, account: Account, change: Callable[[Account], Account]) -> None:
    room.house.rooms.counter.records.accounts.change(account.person, change)


def _end(room: Room, account: Account, why: str) -> None:
    """End what a person has here: sign-ons with their tokens, codes, links (ASVS 7.4.2)."""
    counter = room.house.rooms.counter
    counter.records.links.end_all(account.person)
    counter.codes.revoke(account.person)
    room.house.signout.end_person(account.person, why)


def _print_receipt(receipt: Invited | Enrolled | Limited, as_json: bool) -> None:
    if isinstance(receipt, Limited):
        until = receipt.until.isoformat()
        raise OperatorError("three links were sent within the hour", hint=f"again after {until}", exit_code=3)
    document: dict[str, Any] = {"person": receipt.person, "at": receipt.at.isoformat()}
    if isinstance(receipt, Invited):
        sent = {channel.value: address for channel, address in receipt.sent.items()}
        document |= {"sent": sent, "until": receipt.until.isoformat()}
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "invited": document}, ensure_ascii=False))
        return
    for name, value in document.items():
        click.echo(f"{name}\t{_line(value)}")
    if isinstance(receipt, Enrolled):
        click.echo("The person has an account in use: enrolled and told, no link was sent.", err=True)


def _shown(account: Account) -> dict[str, Any]:
    return {
        "person": account.person,
        "number": account.number.masked,
        "language": account.language,
        "contacts": {
            contact.channel.value: shown(contact.channel, contact.address)
            + ("" if contact.verified_at else " (not verified)")
            for contact in account.contacts
        },
        "app": account.app_secret is not None,
        "password_set_at": _moment(account.password_set_at),
        "confirmed_at": _moment(account.confirmed_at),
        "disabled": account.disabled,
        "created_at": _moment(account.created_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items()) or "-"
    return "-" if value is None else str(value)
