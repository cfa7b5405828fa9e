"""The sandbox's interface for scripts, below /sandbox/api: JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from idbroker.clock import MovableClock
from idbroker.errors import OperatorError
from idbroker.sandbox.api_accounts import add_account_calls
from idbroker.sandbox.custody import Custody, NoSuchPair
from idbroker.sandbox.guard import foreign_page, wrong_host
from idbroker.sandbox.inbox import Message
from idbroker.sandbox.jsonwire import Wrong, answer, moment, sent
from idbroker.sandbox.orders import Order
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.phone import HERE, Misused, find_order, use
from idbroker.sandbox.staff import AtWork
from idbroker.sandbox.world import Registered, RegistrationRefused, World
from idbroker.visitor import normal_address

FARTHEST = timedelta(days=50 * 365)


def make_api(world: World, reset: Callable[[], None]) -> Flask:
    """Return the interface of one world, to be mounted at /sandbox/api."""
    app = Flask("idbroker.sandbox.api", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    calls = _Calls(world, reset)
    for path, method, call in (
        ("/people", "GET", calls.people),
        ("/staff", "GET", calls.staff),
        ("/programs", "GET", calls.programs),
        ("/inbox", "GET", calls.inbox),
        ("/orders", "GET", calls.orders),
        ("/orders/<path:name>", "POST", calls.act),
        ("/custody", "GET", calls.custody),
        ("/custody/<guardian>/<ward>", "PUT", calls.entrust),
        ("/clock", "GET", calls.clock),
        ("/clock", "PUT", calls.move),
        ("/faults/<provider>", "PUT", calls.break_),
        ("/clients", "POST", calls.register),
        ("/keys/rotate", "POST", calls.rotate),
        ("/reset", "POST", calls.reset),
    ):
        app.add_url_rule(path, f"{method} {path}", call, methods=[method])
    add_account_calls(app, world)
    app.before_request(_guard)
    app.register_error_handler(Wrong, _told)
    app.register_error_handler(HTTPException, _http)
    return app


class _Calls:
    """What scripts may do."""

    def __init__(self, world: World, reset: Callable[[], None]) -> None:
        self._world, self._reset = world, reset

    def people(self) -> Response:
        """Return the cast."""
        return answer([_person(person) for person in self._world.people])

    def staff(self) -> Response:
        """Return who works at the clinics, what they type, and what their authenticator apps show now."""
        return answer([_staff(one) for one in self._world.staff()])

    def programs(self) -> Response:
        """Return the clinics' own programs, with what they get tokens by."""
        return answer([_program(one) for one in self._world.programs])

    def inbox(self) -> Response:
        """Return the messages, newest first; `?to=` takes one address."""
        return answer([_message(message) for message in self._world.inbox.list(request.args.get("to"))])

    def orders(self) -> Response:
        """Return what waits in the apps, the newest first within each eID."""
        return answer([_order(order) for phone in self._world.phones.values() for order in phone.waiting()])

    def act(self, name: str) -> Response:
        """Do in an app what a person does; answer how the order stands and where the app leads back to."""
        person, outcome, ip = self._wish()
        try:
            phone, _ = find_order(self._world.phones, name)
            returns_to = use(phone, name, person, outcome, ip)
        except Misused as error:
            raise Wrong(error.words, status=error.status) from error
        left = next((order.status for order in phone.waiting() if order.id == name), "ended")
        return answer({"status": left, "returns_to": returns_to})

    def _wish(self) -> tuple[SimPerson, str, str]:
        """Return who does what in an app, and from which address."""
        wish = sent()
        if not {"person", "outcome"} <= set(wish) <= {"person", "outcome", "ip"}:
            raise Wrong('send {"person": "bjorn", "outcome": "approve"}, and "ip" if the phone is elsewhere')
        person = next((one for one in self._world.people if one.id == wish["person"]), None)
        ip = normal_address(wish.get("ip", HERE)) if isinstance(wish.get("ip", HERE), str) else None
        if person is None:
            raise Wrong("there is no such person: see GET people")
        if ip is None:
            raise Wrong("ip must be an IP address, like 203.0.113.7")
        return person, wish["outcome"] if isinstance(wish["outcome"], str) else "", ip

    def custody(self) -> Response:
        """Return who may act for whom, and who may not, as all registers have it now."""
        return answer([_custody(one) for one in self._world.custody.all()])

    def entrust(self, guardian: str, ward: str) -> Response:
        """Change the custody of one pair, in all registers at once."""
        try:
            return answer(_custody(self._world.custody.change(guardian, ward, sent())))
        except NoSuchPair as error:
            words = 'these two are no pair: see GET custody. {"relation": "custody"} makes one of two of the cast'
            raise Wrong(words, status=404) from error
        except ValueError as error:
            raise Wrong(str(error)) from error

    def clock(self) -> Response:
        """Return the sandbox's time."""
        return answer({"now": moment(self._world.clock.now())})

    def move(self) -> Response:
        """Set the clock, or move it."""
        turn_clock(self._world.clock, sent())
        return self.clock()

    def break_(self, provider: str) -> Response:
        """Break an eID or a channel, or heal it with an empty object."""
        known = self._world.faults.known
        if provider not in known:
            raise Wrong(f"there is nothing called {provider[:40]!r} to break: one of {', '.join(known)}", status=404)
        try:
            fault = self._world.faults.set(provider, sent())
        except ValueError as error:
            raise Wrong(str(error)) from error
        return answer(
            {
                "down": fault.down, "slow": fault.slow.total_seconds(), "status": fault.status,
                "lies": sorted(fault.lies),
            }
        )  # fmt: skip

    def register(self) -> Response:
        """Register a portal."""
        try:
            registered = self._world.register(sent())
        except RegistrationRefused as error:
            words = "; ".join(_spelt(*mistake) for mistake in error.mistakes)
            raise Wrong(words, mistakes=error.mistakes) from error
        client = registered.client
        told = {
            "client_id": client.id,
            "client_secret": registered.secret,
            "issuer": self._world.addresses.issuer,
            "redirect_uris": client.redirect_uris,
            "post_logout_redirect_uris": client.post_logout_redirect_uris,
            "backchannel_logout_uri": client.backchannel_logout_uri,
            "frontchannel_logout_uri": client.frontchannel_logout_uri,
            "auth_method": client.auth_method,
            "scopes": client.scopes,
            "clinic": client.clinic,
        }
        return answer({name: value for name, value in told.items() if value is not None}, status=201)

    def rotate(self) -> Response:
        """Sign with new keys from now on."""
        try:
            return answer({"kid": self._world.rotate_keys()})
        except OperatorError as error:  # the clock was moved to before the keys were made
            raise Wrong(error.detail, status=409) from error

    def reset(self) -> Response:
        """Make everything as new."""
        self._reset()
        return answer({"reset": True})


def _spelt(setting: str, what: str) -> str:
    return what if what.startswith(f"{setting} ") else f"{setting}: {what}"


def turn_clock(clock: MovableClock, wish: Mapping[str, Any]) -> None:
    """Move a clock as a JSON object says: {"now": RFC 3339} or {"plus": seconds}. Wrong for anything else."""
    if set(wish) == {"plus"} and isinstance(wish["plus"], int | float) and not isinstance(wish["plus"], bool):
        _set_clock(clock, lambda: clock.now() + timedelta(seconds=wish["plus"]))
    elif set(wish) == {"now"} and isinstance(wish["now"], str):
        _set_clock(clock, lambda: _read_moment(wish["now"]))
    else:
        raise Wrong('send {"now": "2026-11-22T09:00:00Z"} or {"plus": 3600}')


def _set_clock(clock: MovableClock, when: Callable[[], datetime]) -> None:
    try:
        wanted = when()
    except (OverflowError, ValueError) as error:
        raise Wrong("that is not a moment with a time zone (RFC 3339)") from error
    # Certificates and tokens count in seconds since 1970, and birthdays in years of four digits.
    if not abs(wanted - clock.now()) <= FARTHEST:
        raise Wrong("that is more than 50 years away")
    clock.set(wanted)


def _read_moment(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("no time zone")
    return read.astimezone(UTC)


def _person(person: SimPerson) -> dict[str, Any]:
    told = {
        "id": person.id,
        "name": person.name,
        "country": person.country,
        "number": person.number,
        "born": person.born.isoformat(),
        "eids": list(person.eids),
        "relations": dict(person.relations),
        "story": person.story,
    }
    kept = {"password": person.password, "contacts": person.contacts or None, "clinics": person.clinics or None}
    return told | {name: value for name, value in kept.items() if value is not None}


def _custody(one: Custody) -> dict[str, Any]:
    return {
        "guardian": one.guardian, "ward": one.ward, "relation": one.relation, "barred": one.barred,
        "powers": list(one.powers), "until": None if one.until is None else one.until.isoformat(),
        "protected": one.protected, "deceased": one.deceased,
    }  # fmt: skip


def _staff(one: AtWork) -> dict[str, Any]:
    return {
        "login": one.sim.login, "name": one.sim.name, "role": one.sim.role.value, "language": one.sim.language,
        "clinics": list(one.clinics), "password": one.sim.password, "app_secret": one.app_secret, "code": one.code,
    }  # fmt: skip


def _program(one: Registered) -> dict[str, Any]:
    client = one.client
    return {
        "client_id": client.id, "client_secret": one.secret, "clinic": client.clinic, "scopes": list(client.api),
    }  # fmt: skip


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id, "provider": order.provider, "text": order.text, "status": order.status,
        "person": order.person, "code": order.code,
    }  # fmt: skip


def _message(message: Message) -> dict[str, Any]:
    told = {
        "id": message.id,
        "at": moment(message.at),
        "channel": message.channel,
        "to": message.to,
        "subject": message.subject or None,
        "text": message.text,
        "code": message.code,
        "link": message.link,
    }
    return {name: value for name, value in told.items() if value is not None}


def _guard() -> Response | None:
    why = wrong_host(request) or foreign_page(request)
    return answer({"error": why}, status=403) if why else None


def _told(error: Wrong) -> Response:
    mistakes = [{"setting": setting, "mistake": what} for setting, what in error.mistakes]
    return answer({"error": error.words, **({"mistakes": mistakes} if mistakes else {})}, status=error.status)


def _http(error: HTTPException) -> Response:
    words = {404: "there is no such call", 405: "this call has another method", 413: "the body is too large"}
    status = error.code or 500
    response = answer({"error": words.get(status, error.name)}, status=status)
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response
