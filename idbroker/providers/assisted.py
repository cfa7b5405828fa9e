"""Staff sign a patient in on the patient's own screen, with their own credentials: where the clinic names this way.

What a clinic of today knows: user name and password on the screen that the patient then uses, then the patient's
number. Here an authenticator app's code is always asked besides, so that a password that was watched opens nothing;
no sign-in of the colleague comes of it, in no cookie and in no session; and the patient says that it is them. Level
low, whatever was shown. Pairing a tablet by a code (patients/assisting.py) needs no secret there at all, and is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.codec import Codec
from idbroker.errors import Cancelled, ConfigError, Refused, StoreError, Unreachable, Untrusted
from idbroker.form import Form
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, NotANumber, birthdate_of, parse
from idbroker.otp.one_time import Locked
from idbroker.patients.assisting import IDLE, Assisting
from idbroker.patients.pairing import NoSuchPatient
from idbroker.patients.patient import Conflict, NotDone, Patient
from idbroker.providers import Asked, Challenge, Means
from idbroker.staff import entrance
from idbroker.staff.entrance import Entrance
from idbroker.staff.member import Actor, Member

_PATIENCE = timedelta(minutes=5)  # between the colleague's password and the patient
_LONGEST = 128
_LONGEST_NUMBER = 64
_HIDDEN = {"mask": "1"}  # others see this screen
_CONFLICTS = {Conflict.DECEASED: "s.as.e.deceased", Conflict.NO_NUMBER: "s.as.e.no_number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[providers.NAME]` of kind `assisted`: `title` is what it is called. Services take it or not (`assisted`)."""

    title: str = "Staff"


def make(name: str, settings: Settings, means: Means) -> StaffDoor:
    """Return the provider. ConfigError when it has no name."""
    if not settings.title.strip():
        raise ConfigError([(f"providers.{name}", "title: is empty")])
    return StaffDoor(name, settings, means)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """How far one sign-in is: at the page `page`, since `at`; good for one transaction.

    `epoch` is the colleague's as their password was right: one that was ended since, or changed, goes no further.
    """

    transaction: str
    page: str = "staff"
    at: datetime
    staff: str = ""
    epoch: datetime | None = None
    number: NationalNumber | None = field(default=None, repr=False)


_CODEC = Codec(_Where)


class StaffDoor:
    """User name and password, the app's code, the patient's number, and whether it is them."""

    loa = LoA.LOW
    origins: tuple[str, ...] = ()

    def __init__(self, name: str, settings: Settings, means: Means) -> None:
        self.title = settings.title
        self._name, self._assisting, self._entrance = name, means.assisting, means.entrance

    def begin(self, asked: Asked) -> Challenge:
        """Ask for the colleague's user name and password."""
        return self._step(asked).first()

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Go on with what was typed. Which page it was typed on is what our state says, never what was posted."""
        step, where = self._step(asked), _unpacked(state, asked)
        if reply.get("do") == "back":
            raise Cancelled("another way")
        result = step.staff(reply) if where.page == "staff" else step.after(where, reply)
        return replace(result, provider=self._name) if isinstance(result, Identity) else result

    def _step(self, asked: Asked) -> _Step:
        if self._assisting is None or self._entrance is None or asked.clinic is None or asked.client is None:
            raise Unreachable("there are no staff here")
        if asked.client.assisted == "never":
            raise Refused("assisted_elsewhere")
        return _Step(
            asked=asked, clinic=asked.clinic, client=asked.client, entrance=self._entrance, assisting=self._assisting
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One reply of one sign-in."""

    asked: Asked
    clinic: Clinic
    client: Client
    entrance: Entrance
    assisting: Assisting

    # ---- the colleague ---------------------------------------------------------------------------

    def first(self, login: str = "", *, errors: Mapping[str, str] | None = None, **values: str) -> Form:
        """Return the first page. A password never comes back."""
        mail = self.clinic.staff_email or ""
        known = {"login": login, "mail": mail, "market": self.clinic.country, "locked": "", "busy": "", **values}
        where = _Where(transaction=self.asked.transaction, at=self.asked.now)
        return Form(page="staff", state=_CODEC.pack(where), values=known, errors=errors or {})

    def staff(self, reply: Mapping[str, str]) -> Form:
        """Take user name and password: counted and compared as at the office's own door, by the same counts."""
        login, password = reply.get("login", "")[:_LONGEST], reply.get("password", "")
        if "login" not in reply and "password" not in reply:
            return self.first()
        if not login.strip() or not password:
            return self.first(login, errors={"login": "s.as.e.login"})
        found = self.entrance.password(login, password, self.asked.visitor.ip, self.asked.now)
        match found:
            case Locked():
                return self._locked(login, found)
            case entrance.Refused(why="busy"):
                return self.first(login, busy="1")
            case entrance.Refused():
                return self.first(login, errors={"login": "s.as.e.login"})
            case Member():
                return self._half(login, found)
            case _:
                assert_never(found)

    def _half(self, login: str, member: Member) -> Form:
        if self.entrance.actor(member, self.clinic.id) is None:
            # As if the password were wrong: this screen tells nobody who works where.
            return self.first(login, errors={"login": "s.as.e.login"})
        if member.app_secret is None:
            return self.first(login, errors={"login": "s.as.e.app"})
        now = self.asked.now
        where = _Where(
            transaction=self.asked.transaction, page="staffcode", at=now, staff=member.id, epoch=member.epoch
        )
        return _form(where)

    def _locked(self, login: str, locked: Locked) -> Form:
        if locked.recover:
            return self.first(login, errors={"login": "s.as.e.closed"})
        return self.first(login, locked=locked.until.isoformat())

    def after(self, where: _Where, reply: Mapping[str, str]) -> Form | Identity:
        """Go on behind the password, as long as the colleague may, and does not leave the screen alone."""
        member = self.entrance.members.of(where.staff)
        actor = None if member is None else self.entrance.actor(member, self.clinic.id)
        late = self.asked.now - where.at >= (IDLE if where.page == "give" else _PATIENCE)
        if member is None or actor is None or member.epoch != where.epoch or late:
            return self.first()
        match where.page:
            case "staffcode":
                return self._code(where, member, reply)
            case "assistedwho":
                return self._who(where, actor, reply)
            case _:
                return self._given(where, actor, reply)

    def _code(self, where: _Where, member: Member, reply: Mapping[str, str]) -> Form:
        if not reply.get("code", "").strip():
            return _form(where)
        verdict = self.entrance.code(member, reply["code"], self.asked.now)
        if isinstance(verdict, Locked):
            return self._locked(member.login, verdict)
        if not verdict:
            return _form(where, error={"code": "s.as.e.code"})
        # What counts from here is that both were shown: a password that is changed meanwhile ends it by the epoch.
        return _form(replace(where, page="assistedwho", at=self.asked.now), _HIDDEN)

    # ---- the patient -----------------------------------------------------------------------------

    def _who(self, where: _Where, actor: Actor, reply: Mapping[str, str]) -> Form:
        if "number" not in reply:
            return _form(where, _HIDDEN)
        number = self._number(reply)
        shown = {"number": reply.get("number", "")[:_LONGEST_NUMBER], "mask": "1" if reply.get("mask") else ""}
        if number is None:
            return _form(where, shown, error={"number": "p.e.id"})
        found = self.assisting.who(actor, number, self.client.id, self.asked.now)
        if not isinstance(found, Patient):
            return _form(where, shown, error={"number": _why(found)})
        born = birthdate_of(number, found.birthdate)
        values = {"name": found.name or "–", "year": str(born.year) if born else "–"}
        return _form(replace(where, page="give", at=self.asked.now, number=number), values)

    def _given(self, where: _Where, actor: Actor, reply: Mapping[str, str]) -> Form | Identity:
        number, do = where.number, reply.get("do", "")
        if number is None or do not in ("yes", "no"):
            return _form(replace(where, page="assistedwho", number=None), _HIDDEN)
        if do == "no":
            self.assisting.decline(actor, number, self.client.id, self.asked.now)
            raise Cancelled("it is somebody else")
        result = self.assisting.vouch(actor, number, self.client.id, self.asked.now)
        if isinstance(result, Identity):
            return result
        again = replace(where, page="assistedwho", number=None)
        return _form(again, _HIDDEN, error={"number": _why(result)})

    def _number(self, reply: Mapping[str, str]) -> NationalNumber | None:
        today = self.asked.now.astimezone(self.clinic.zone).date()
        try:
            return parse(reply.get("number", ""), self.clinic.country, now=today)
        except NotANumber:
            return None


def _why(found: NoSuchPatient | NotDone) -> str:
    return "s.as.e.nobody" if isinstance(found, NoSuchPatient) else _CONFLICTS.get(found.why, "s.as.e.not_here")


def _form(where: _Where, values: Mapping[str, str] | None = None, *, error: Mapping[str, str] | None = None) -> Form:
    return Form(page=where.page, state=_CODEC.pack(where), values=values or {}, errors=error or {})


def _unpacked(state: bytes, asked: Asked) -> _Where:
    try:
        where = _CODEC.unpack(state)
    except StoreError as error:
        raise Untrusted("a state that does not read") from error
    if where.transaction != asked.transaction:
        raise Untrusted("a state of another transaction")
    return where
