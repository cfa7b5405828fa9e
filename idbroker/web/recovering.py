"""The pages of a forgotten password, and of a link to choose one: in a sign-in, and from a message."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts import passwords
from idbroker.accounts.account import Purpose
from idbroker.accounts.choosing import Busy, Done, Spent, Weak
from idbroker.accounts.linking import Origin
from idbroker.accounts.posted import Posted
from idbroker.accounts.vouching import is_grown
from idbroker.clinic import COUNTRIES, LANGUAGES, Clinic, PasswordRules
from idbroker.errors import NotFound, PersonError
from idbroker.identity import LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.oidc.parameters import Parameters
from idbroker.transaction import Stage, Transaction
from idbroker.visit import Visit
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import Steering, is_our_nonce, mint_nonce, page_of, posted_fields

TYPED = timedelta(minutes=10)
DONE = timedelta(minutes=30)
_LONGEST_TYPED = 64
# What may be said about a password that was not taken: the address says which, and no text of anybody's choice.
_WEAK = {key.removeprefix("f.e."): key for key in ("f.e.short", "f.e.long", "f.e.mixed", "f.e.signs", "f.e.common")}
_BUSY = "busy"
_FIRST = (Purpose.ACTIVATE, Purpose.LETTER)


def recovering(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("recovering", __name__)
    forgotten, link = _Forgotten(site), _Link(site)

    @routes.get("/t/<name>/forgot")
    def forgot(name: str) -> Response:
        return forgotten.page(name)

    @routes.post("/t/<name>/forgot")
    def asked(name: str) -> Response:
        return forgotten.asked(name, posted_fields())

    @routes.get("/t/<name>/sent")
    def sent(name: str) -> Response:
        return forgotten.sent(name)

    @routes.get("/set/<token>")
    def opened(token: str) -> Response:
        """Show the page of a link. HEAD and GET use nothing up: mail scanners open every link (F2)."""
        return link.page(token)

    @routes.post("/set/<token>")
    def chosen(token: str) -> Response:
        return link.chosen(token, posted_fields())

    @routes.get("/set/done/<handle>")
    def done(handle: str) -> Response:
        return link.done(handle)

    return routes


class _Forgotten:
    """Within a sign-in: whose password is forgotten."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens, self._steering = Screens(site), Steering(site)

    def page(self, name: str) -> Response:
        """Ask for the number; one that was typed at the sign-in stands there already (WCAG 3.3.7)."""
        kept, cookie = self._steering.load(name)
        transaction = kept.value
        if _is_over(transaction) or not self._by_password(transaction):
            return see_other(f"/t/{name}/choose")
        typed = self._typed(transaction)
        errors = {"number": typed["error"]} if typed.get("error") else {}
        values = {**typed, "back_href": f"/t/{name}/{page_of(transaction)}"}
        return self._show("forgot", transaction, values, errors, mint_nonce(cookie.secret))

    def asked(self, name: str, fields: Parameters) -> Response:
        """Take the number, and say the same whoever it is."""
        kept, cookie = self._steering.load(name)
        transaction, here = kept.value, f"/t/{name}/forgot"
        nonce = fields.get("_n", "")
        if not is_our_nonce(nonce, cookie.secret) or _is_over(transaction):
            return see_other(here)
        if "lang" in fields:
            self._site.broker.say_in(kept, self._screens.offered(transaction, fields["lang"]))
            return see_other(here)
        if not self._by_password(transaction):
            return see_other(f"/t/{name}/choose")
        visit = self._visit(transaction)
        number = _number(fields, visit)
        if fields.get("do") == "country" or number is None:
            self._keep(transaction, fields, "" if fields.get("do") == "country" else "p.e.id")
            return see_other(here)
        self._site.recovery.ask(visit, number, nonce)
        self._site.requests.take(_typed_at(transaction))
        return see_other(f"/t/{name}/sent")

    def _by_password(self, transaction: Transaction) -> bool:
        """Tell whether a password is taken here, whatever the operator calls that way."""
        broker = self._site.broker
        return any(broker.providers[name].loa is LoA.LOW for name in broker.ways(transaction))

    def sent(self, name: str) -> Response:
        """Say where to look."""
        kept, _ = self._steering.load(name)
        if _is_over(kept.value):
            return see_other(f"/t/{name}/choose")
        return self._show("sent", kept.value, {"resume_href": f"/t/{name}/choose"}, {}, "")

    def _show(
        self, page: str, transaction: Transaction, values: Mapping[str, str], errors: Mapping[str, str], nonce: str
    ) -> Response:
        client, clinic = self._site.broker.parties(transaction.request)
        action = f"/t/{transaction.id}/forgot" if nonce else ""
        named = {"clinic": clinic.name, **values}
        return self._screens.fields(
            page, named, errors, client=client, language=transaction.language, action=action, nonce=nonce
        )

    def _visit(self, transaction: Transaction) -> Visit:
        client, clinic = self._site.broker.parties(transaction.request)
        return Visit(
            transaction=transaction.id,
            clinic=clinic,
            client=client,
            language=transaction.language,
            now=self._site.clock.now(),
            host=self._site.host,
            ip=request.remote_addr,
        )

    def _typed(self, transaction: Transaction) -> dict[str, str]:
        kept = self._site.requests.get(_typed_at(transaction))
        if kept is not None:
            return dict(kept.value)
        form = transaction.form
        if form is None or form.page != "password":
            return {}
        return {name: form.values[name] for name in ("number", "country") if name in form.values}

    def _keep(self, transaction: Transaction, fields: Parameters, error: str) -> None:
        typed = {name: fields.get(name, "")[:_LONGEST_TYPED] for name in ("number", "country", "mask")}
        if typed["country"] not in COUNTRIES:
            del typed["country"]
        self._site.requests.put(_typed_at(transaction), {**typed, "error": error}, TYPED)


class _Link:
    """From a message: a password is chosen, with no sign-in and no cookie needed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens, self._steering = Screens(site), Steering(site)

    def page(self, token: str) -> Response:
        """Ask for the new password, or say that the link is of no more use."""
        now = self._site.clock.now()
        opened = self._site.recovery.open(token, now)
        if opened is None:
            return self._gone(token)
        link, account = opened.link, opened.account
        clinic = self._site.clinics.find(link.clinic)
        client = self._site.clients.find(link.client) if link.client else None
        language = self._language(link.language, clinic)
        rules = clinic.password if clinic else PasswordRules()
        said = request.args.get("e", "")[:16]
        values = {
            "number": account.number.masked,
            "least": str(passwords.least(rules)),
            "mixed": "1" if rules.mixed else "",
            "clinic": clinic.name if clinic else "",
            "service": client.called(language) if client else "",
            # That it is a child's, and never which: the link shows no more than that somebody reads that mailbox.
            "child": "1" if clinic and account.guardian and not is_grown(account, clinic, now) else "",
            "me_href": f"/me/{clinic.id}" if clinic else "",
            "activate": "1" if link.purpose in _FIRST else "",
            "busy": "1" if said == _BUSY else "",
        }
        errors = {"password": _WEAK[said]} if said in _WEAK else {}
        return self._screens.fields(
            "set",
            values,
            errors,
            client=client,
            language=language,
            action=f"/set/{token}?{urlencode({'lang': language})}",
            nonce=mint_nonce(token),
        )

    def chosen(self, token: str, fields: Parameters) -> Response:
        """Set the password. The secret in the address is what no other site has; the nonce tells one press from two."""
        here, nonce = f"/set/{token}", fields.get("_n", "")
        if "lang" in fields and fields["lang"] in LANGUAGES:
            return see_other(f"{here}?{urlencode({'lang': fields['lang']})}")
        if not is_our_nonce(nonce, token):
            return see_other(here)
        origin = self._site.recovery.origin(token)
        switched = request.args.get("lang", "")
        spoken = {"lang": switched} if switched in LANGUAGES else {}
        match self._site.recovery.choose(token, fields.get("password", ""), nonce, self._site.clock.now()):
            case Weak(key=key):
                return see_other(f"{here}?{urlencode({**spoken, 'e': key.removeprefix('f.e.')})}")
            case Busy():
                return see_other(f"{here}?{urlencode({**spoken, 'e': _BUSY})}")
            case Spent():
                return see_other(here)
            case Done() as done:
                return self._done(done, f"{token}\n{nonce}", origin, spoken)

    def _done(self, done: Done, form: str, origin: Origin | None, spoken: Mapping[str, str]) -> Response:
        """Lead to the page that says so; of who has only paper, nothing is known yet that codes could go to."""
        handle = hashlib.sha256(form.encode()).hexdigest()[:32]
        purpose = done.link.purpose if done.link is not None else None
        activate = "1" if purpose in _FIRST else ""
        self._site.requests.put(_done_at(handle), {**_carried(origin), "activate": activate}, DONE)
        if purpose is Purpose.LETTER:
            posted = Posted(recovery=self._site.recovery, shelf=self._site.requests)
            posted.begin(handle, done, self._site.clock.now())
        where = "/activate" if purpose is Purpose.LETTER else "/set/done"
        return see_other(f"{where}/{handle}" + (f"?{urlencode(spoken)}" if spoken else ""))

    def done(self, handle: str) -> Response:
        """Say that it is done, with the way on: back into the sign-in that it came of, if it lives in this browser."""
        kept = self._site.requests.get(_done_at(handle[:64]))
        if kept is None:
            raise NotFound("nothing was done here lately")
        told = kept.value
        client = self._site.clients.find(told.get("client", ""))
        clinic = self._site.clinics.find(told.get("clinic", ""))
        language = self._language(told.get("language", ""), clinic)
        resume = self._resumed(told.get("transaction"))
        values = {
            "activate": told.get("activate", ""),
            "resume_href": f"/t/{resume}/choose" if resume else "",
            "back_href": client.way_back if client else "",
        }
        return self._screens.fields("setdone", values, {}, client=client, language=language, action="", nonce="")

    def _gone(self, token: str) -> Response:
        origin = self._site.recovery.origin(token) or Origin(clinic="", language="")
        client = self._site.clients.find(origin.client) if origin.client else None
        clinic = self._site.clinics.find(origin.clinic)
        language = self._language(origin.language, clinic)
        resume = self._resumed(origin.transaction)
        values = {
            "clinic": clinic.name if clinic else "",
            "activate": "1" if origin.invited else "",
            "again_href": f"/t/{resume}/forgot" if resume else "",
            "back_href": client.way_back if client and not resume else "",
        }
        return self._screens.fields(
            "linkgone", values, {}, client=client, language=language, action="", nonce="", status=410
        )

    def _language(self, wished: str, clinic: Clinic | None) -> str:
        return self._screens.language([wished] if wished else [], clinic.offered_languages if clinic else LANGUAGES)

    def _resumed(self, name: str | None) -> str | None:
        """Return a transaction if it lives and this browser began it."""
        try:
            kept, _ = self._steering.load(name or "")
        except PersonError:
            return None
        return None if _is_over(kept.value) else name


def _is_over(transaction: Transaction) -> bool:
    return transaction.stage in (Stage.GRANTED, Stage.STOPPED)


def _number(fields: Parameters, visit: Visit) -> NationalNumber | None:
    country = fields.get("country", "")
    today = visit.now.astimezone(visit.clinic.zone).date()
    try:
        return parse(fields.get("number", ""), country if country in COUNTRIES else visit.clinic.country, now=today)
    except NotANumber:
        return None


def _carried(origin: Origin | None) -> dict[str, str]:
    if origin is None:
        return {}
    known = {"client": origin.client, "clinic": origin.clinic, "transaction": origin.transaction}
    return {"language": origin.language, **{name: value for name, value in known.items() if value}}


def _typed_at(transaction: Transaction) -> str:
    return f"forgot.{transaction.id}"


def _done_at(handle: str) -> str:
    return f"done.{handle}"
