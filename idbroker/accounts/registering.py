"""What somebody fills in to be registered, or to register a child: addresses, a password if wanted, a last look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from idbroker.accounts.agreeing import Agreeing
from idbroker.accounts.passwords import Busy, Hasher, least, weakness
from idbroker.accounts.question import Proved
from idbroker.accounts.reaching import Page, Reached, Reaching, Typed
from idbroker.codec import Codec
from idbroker.form import Form
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit

PAGES = frozenset({"contact", "code", "childlogin", "newpassword", "check"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """The child that somebody registers."""

    number: NationalNumber = field(repr=False)
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)

    @property
    def name(self) -> str:
        """Return the whole name."""
        return f"{self.given_name} {self.family_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """How far somebody has come. Of the password only the hash is kept; `decided` once it was asked for."""

    reached: Reached = field(default_factory=Reached)
    password: str | None = field(default=None, repr=False)
    decided: bool = False
    ward: Ward | None = None

    @property
    def whom(self) -> str:
        """Return the pages' word for who is registered."""
        return "child" if self.ward else "self"


_codec = Codec(Draft)


@dataclass(frozen=True, kw_only=True)
class Registering:
    """Leads through the pages. Nothing is written before the last is sent. May raise StoreError."""

    reaching: Reaching
    hasher: Hasher
    agreeing: Agreeing

    def begin(self, visit: Visit, draft: Draft) -> Form:
        """Return the first page: where they can be reached."""
        return _form(self.reaching.page(visit, draft.reached, draft.whom), draft)

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Draft:
        """Go on: the next page, or the draft when it was sent off."""
        draft = _codec.unpack(form.state)
        match form.page:
            case "contact":
                return self._contact(visit, proved, draft, reply)
            case "code":
                return self._code(visit, proved, draft, reply)
            case "childlogin":
                return self._child_login(visit, proved, draft, reply)
            case "newpassword":
                return self._password(visit, proved, draft, reply)
            case _:
                return self._checked(visit, proved, form, reply)

    # ---- addresses -------------------------------------------------------------------------------

    def _contact(self, visit: Visit, proved: Proved, draft: Draft, reply: Mapping[str, str]) -> Form:
        taken = self.reaching.take(visit, draft.reached, reply)
        if isinstance(taken, Typed):
            return _form(self.reaching.page(visit, draft.reached, draft.whom, taken), draft)
        return self._onward(visit, proved, replace(draft, reached=taken))

    def _code(self, visit: Visit, proved: Proved, draft: Draft, reply: Mapping[str, str]) -> Form:
        if reply.get("do") == "back":
            return self.begin(visit, draft)
        reached, page = self.reaching.check(visit, proved.person, draft.reached, reply)
        draft = replace(draft, reached=reached)
        return self._onward(visit, proved, draft) if page is None else _form(page, draft)

    def _onward(self, visit: Visit, proved: Proved, draft: Draft) -> Form:
        """Return what comes after the addresses that were given: a code for the next, then what is still open."""
        if draft.reached.unproved is not None:
            reached, page = self.reaching.send(visit, proved.person, draft.reached)
            return _form(page, replace(draft, reached=reached))
        if draft.decided:
            return self._check(visit, proved, draft)
        return self._ask_password(visit, proved, draft)

    # ---- a password ------------------------------------------------------------------------------

    def _ask_password(self, visit: Visit, proved: Proved, draft: Draft) -> Form:
        if draft.ward is not None:
            return _form(Page(name="childlogin", values={"age": str(visit.limits.grown_up)}), draft)
        return _form(_password_page(visit, proved, draft), draft)

    def _child_login(self, visit: Visit, proved: Proved, draft: Draft, reply: Mapping[str, str]) -> Form:
        if reply.get("do") == "no":
            return self._check(visit, proved, replace(draft, password=None, decided=True))
        return _form(_password_page(visit, proved, draft), draft)

    def _password(self, visit: Visit, proved: Proved, draft: Draft, reply: Mapping[str, str]) -> Form:
        if reply.get("do") == "skip" and draft.ward is None:
            return self._check(visit, proved, replace(draft, password=None, decided=True))
        password = reply.get("password", "")
        error = weakness(password, visit.clinic.password, _known_words(visit, proved, draft))
        if error is not None:
            return _form(_password_page(visit, proved, draft, error), draft)
        try:
            hashed = self.hasher.hash(password)
        except Busy:
            return _form(_password_page(visit, proved, draft, "p.e.busy"), draft)
        return self._check(visit, proved, replace(draft, password=hashed, decided=True))

    # ---- a last look -----------------------------------------------------------------------------

    def _check(self, visit: Visit, proved: Proved, draft: Draft) -> Form:
        number, version = proved.identity.number, self._terms(visit, proved)
        values = {
            "name": draft.ward.name if draft.ward else _name(proved),
            "number": number.masked if number and not draft.ward else "",
            "email": draft.reached.email,
            "phone": draft.reached.phone,
            "password": "1" if draft.password else "",
            "terms": version,
            "text": visit.clinic.terms.text(visit.language) if version and visit.clinic.terms else "",
            "for": draft.whom,
            "child": draft.ward.number.masked if draft.ward else "",
        }
        return _form(Page(name="check", values=values), draft)

    def _checked(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Draft:
        draft = _codec.unpack(form.state)
        if reply.get("do") == "contact" or not draft.reached.complete:
            return self.begin(visit, draft)
        if reply.get("do") == "password":
            return self._ask_password(visit, proved, draft)
        if reply.get("do") or form.values.get("terms") != self._terms(visit, proved):
            return self._check(visit, proved, draft)  # other terms than were shown: nobody accepts them unseen
        return draft

    def _terms(self, visit: Visit, proved: Proved) -> str:
        """Return the version that is accepted by registering; empty where nothing is left to accept."""
        terms = visit.clinic.terms
        if terms is None or proved.accepted == terms.version or self.agreeing.accepted(visit, proved.person):
            return ""
        return terms.version


def _form(page: Page, draft: Draft) -> Form:
    """Return a page; whoever registers two children sees on each which of them it is about, as they said it."""
    ward = {"ward": draft.ward.given_name} if draft.ward else {}
    return replace(page, values={**page.values, **ward}).form(_codec.pack(draft))


def _name(proved: Proved) -> str:
    identity = proved.identity
    return identity.name or " ".join(part for part in (identity.given_name, identity.family_name) if part)


def _password_page(visit: Visit, proved: Proved, draft: Draft, error: str = "") -> Page:
    number = draft.ward.number if draft.ward else proved.identity.number
    values = {
        "number": number.masked if number else "",
        "least": str(least(visit.clinic.password)),
        "mixed": "1" if visit.clinic.password.mixed else "",
        "optional": "" if draft.ward else "1",
        "eid": "",  # the page knows what the eID of this sign-in is called
    }
    return Page(name="newpassword", values=values, errors={"password": error} if error else {})


def _known_words(visit: Visit, proved: Proved, draft: Draft) -> list[str]:
    """Return what others know of who registers, of the child and of the place: no password may be made of it."""
    number = proved.identity.number
    words = [_name(proved), number.value if number else "", draft.reached.email, draft.reached.phone]
    ward = [draft.ward.name, draft.ward.number.value] if draft.ward else []
    return [*words, *ward, visit.clinic.name, visit.service]
