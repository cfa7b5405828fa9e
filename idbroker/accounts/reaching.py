"""Where somebody can be reached: asked for, and shown to be theirs by a code to each address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from idbroker.accounts.account import Contact
from idbroker.form import Form
from idbroker.messages import addresses
from idbroker.messages.addresses import NotAnAddress
from idbroker.messages.message import Channel, Delivery
from idbroker.otp import codes
from idbroker.otp.one_time import Limited, Locked, Old, OneTimeCodes, Right, Sent, Spot, Wrong
from idbroker.visit import Visit

PURPOSE = "contact"
FIELDS: Mapping[Channel, str] = {Channel.EMAIL: "email", Channel.SMS: "phone"}

_LONGEST_KEPT = 100  # of what was typed wrong, to be shown again


# Where codes go one way only.
_MISSING = {"email": "r.e.mail", "phone": "r.e.phone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The addresses somebody gave, and what has been shown of them.

    `proved` may hold more than was given last: who goes back to an address needs no new code. `sent` is the
    newest code's, `again` when it was sent anew.
    """

    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    proved: tuple[Contact, ...] = ()
    sent: Sent | None = None
    again: datetime | None = None

    @property
    def given(self) -> tuple[tuple[Channel, str], ...]:
        """Return the addresses, by channel."""
        both = ((Channel.EMAIL, self.email), (Channel.SMS, self.phone))
        return tuple((channel, address) for channel, address in both if address)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Return those given that are shown to be theirs."""
        return tuple(contact for contact in self.proved if (contact.channel, contact.address) in self.given)

    @property
    def unproved(self) -> tuple[Channel, str] | None:
        """Return the next address that a code must go to."""
        proved = {(contact.channel, contact.address) for contact in self.proved}
        return next((one for one in self.given if one not in proved), None)

    @property
    def complete(self) -> bool:
        """Tell whether there is an address, and none without proof."""
        return bool(self.given) and self.unproved is None

    def with_proof(self, channel: Channel, address: str, now: datetime) -> Reached:
        """Return it with one address shown to be theirs."""
        contact = Contact(channel=channel, address=address, verified_at=now)
        return replace(self, proved=(*self.proved, contact), sent=None, again=None)


def reached(contacts: Iterable[Contact]) -> Reached:
    """Return what is known of somebody already: verified contacts, which need no new code."""
    known = {contact.channel: contact for contact in contacts if contact.verified_at is not None}
    address = {channel: contact.address for channel, contact in known.items()}
    return Reached(
        email=address.get(Channel.EMAIL, ""), phone=address.get(Channel.SMS, ""), proved=tuple(known.values())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page before it has its state."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)

    def form(self, state: bytes) -> Form:
        """Return it as a form."""
        return Form(page=self.name, state=state, values=self.values, errors=self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed as addresses: read where it could be, as it stood where not."""

    values: Mapping[str, str] = field(repr=False)
    errors: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Reaching:
    """Asks for addresses, and sends codes to them. Both may raise StoreError."""

    codes: OneTimeCodes

    # ---- the addresses ---------------------------------------------------------------------------

    def page(self, visit: Visit, state: Reached, whom: str, typed: Typed | None = None) -> Page:
        """Return the page that asks for them; `whom` is `self` or `child`."""
        shown = {"email": state.email, "phone": state.phone} if typed is None else typed.values
        values = {**shown, "clinic": visit.clinic.name, "for": whom}
        return Page(name="contact", values=values, errors={} if typed is None else typed.errors)

    def take(self, visit: Visit, state: Reached, reply: Mapping[str, str]) -> Reached | Typed:
        """Return the state with the addresses that were typed; what was typed, where one is no address."""
        typed = read(reply, visit.clinic.country)
        errors = dict(typed.errors)
        for name, key in self._unreachable(visit, state, typed.values).items():
            errors.setdefault(name, key)
        if errors:
            return Typed(values=typed.values, errors={name: errors[name] for name in FIELDS.values() if name in errors})
        return replace(state, email=typed.values["email"], phone=typed.values["phone"], sent=None, again=None)

    def _unreachable(self, visit: Visit, state: Reached, values: Mapping[str, str]) -> Mapping[str, str]:
        codes = [name for channel, name in FIELDS.items() if channel.value in visit.clinic.codes] or [*FIELDS.values()]
        if not any(values[name] for name in codes):
            # An address to which this clinic sends no codes would leave them without a way to sign in.
            return {codes[0]: "r.e.one" if len(codes) > 1 else _MISSING[codes[0]]}
        proved = {contact.address for contact in state.proved}
        wanted = [(name, channel) for channel, name in FIELDS.items() if values[name] and values[name] not in proved]
        reasons = {name: self._no_way(channel, values[name]) for name, channel in wanted}
        return {name: key for name, key in reasons.items() if key}

    def _no_way(self, channel: Channel, address: str) -> str:
        if not self.codes.takes(channel, address):
            return "r.e.abroad"
        return "" if self.codes.works(channel) else "r.e.unsent"

    # ---- a code to each --------------------------------------------------------------------------

    def send(self, visit: Visit, person: str, state: Reached, *, again: bool = False) -> tuple[Reached, Page]:
        """Send a code to the next address that needs one; return the page that asks for it."""
        spot = self._spot(visit, person, state)
        sent = self.codes.send(spot, visit)
        if isinstance(sent, Limited) and sent.recover:
            return state, self._code_page(spot, state, error="o.e.closed")
        if isinstance(sent, Limited):
            return state, self._code_page(spot, state, limited=sent.until.isoformat())
        fresh = replace(state, sent=sent, again=sent.at if again else None)
        return fresh, self._code_page(spot, fresh)

    def check(self, visit: Visit, person: str, state: Reached, reply: Mapping[str, str]) -> tuple[Reached, Page | None]:
        """Go on with a code page; without a page the address is shown to be theirs."""
        if state.unproved is None:
            return state, None
        spot = self._spot(visit, person, state)
        if reply.get("do") == "again":
            return self.send(visit, person, state, again=True)
        if reply.get("do") or codes.typed(reply.get("code", "")) is None:
            # It cannot be a code: no try is spent on a key pressed too early.
            return state, self._code_page(spot, state, error="" if reply.get("do") else "o.e.wrong")
        return self._judged(visit, person, state, reply["code"])

    def _judged(self, visit: Visit, person: str, state: Reached, typed: str) -> tuple[Reached, Page | None]:
        spot = self._spot(visit, person, state)
        match self.codes.check(spot, typed, visit):
            case Right():
                return state.with_proof(spot.channel, spot.to, visit.now), None
            case Wrong(left=left):
                return state, self._code_page(spot, state, error="o.e.wrong", left=str(left))
            case Locked(recover=True):
                return state, self._code_page(spot, state, error="o.e.closed")
            case Locked(until=until):
                return state, self._code_page(spot, state, locked=until.isoformat())
            case Old():
                fresh, page = self.send(visit, person, state, again=True)
                return fresh, replace(page, errors={"code": "o.e.old"})

    def _spot(self, visit: Visit, person: str, state: Reached) -> Spot:
        if state.unproved is None:
            raise AssertionError("no address needs a code")
        channel, address = state.unproved
        return Spot(transaction=visit.transaction, purpose=PURPOSE, person=person, channel=channel, to=address)

    def _code_page(
        self, spot: Spot, state: Reached, *, error: str = "", left: str = "", locked: str = "", limited: str = ""
    ) -> Page:
        values = {
            "channel": spot.channel.value,
            "shown": state.sent.shown if state.sent else addresses.shown(spot.channel, spot.to),
            "until": state.sent.until.isoformat() if state.sent else "",
            "again": state.again.isoformat() if state.again else "",
            "message": state.sent.message if state.sent else "",
            "others": "",  # the code shows that this address is theirs: it goes nowhere else
            "dead": "1" if self._is_dead(spot, state) else "",
            "left": left,
            "locked": locked,
            "limited": limited,
            "purpose": PURPOSE,
        }
        return Page(name="code", values=values, errors={"code": error} if error else {})

    def _is_dead(self, spot: Spot, state: Reached) -> bool:
        """Tell whether nobody need wait for the message."""
        failed = state.sent is not None and self.codes.delivery(state.sent.message) is Delivery.FAILED
        return failed or not self.codes.works(spot.channel)


def read(reply: Mapping[str, str], country: str) -> Typed:
    """Return the addresses that were typed, and what is wrong with them; a field left empty is no mistake."""
    ways: Mapping[str, Callable[[str], str]] = {
        "email": addresses.email,
        "phone": lambda text: addresses.mobile(text, country),
    }
    values, errors = {}, {}
    for name, way in ways.items():
        text = reply.get(name, "").strip()
        try:
            values[name] = way(text) if text else ""
        except NotAnAddress as error:
            values[name], errors[name] = text[:_LONGEST_KEPT], _mistake(name, error)
    return Typed(values=values, errors=errors)


def _mistake(name: str, error: NotAnAddress) -> str:
    if name == "email":
        return "r.e.mail"
    return "r.e.mob" if error.reason == "landline" else "r.e.phone"
