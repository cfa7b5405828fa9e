"""The pages of a sign-in: the authorization endpoint, the choice, forms, and the way back from an eID."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import structlog
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.client import Client
from idbroker.errors import Gone, NotFound, OAuthError, ProviderError
from idbroker.keeping import Kept
from idbroker.oidc import authorize, logout
from idbroker.oidc.parameters import Parameters, parse_form
from idbroker.request import SigninRequest
from idbroker.steps import Answered, Opened, Step
from idbroker.transaction import PendingWait, Stage, Transaction
from idbroker.visitor import Device
from idbroker.web.browser import TransactionCookie
from idbroker.web.forms import typed
from idbroker.web.headers import see_other
from idbroker.web.lasting import Lasting
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import Steering, is_our_nonce, mint_nonce, page_of, posted_fields, shown_by

_log = structlog.get_logger("idbroker.web")
HANDED_ON = timedelta(seconds=60)
MOST_ANSWER = 192 * 1024  # octets: an assertion with powers of attorney, encrypted; a store takes 256 KiB
_ANEW = {"again": None, "this": Device.THIS, "other": Device.OTHER}
_WISHES = {"register": "self", "child": "child", "signin": ""}
_DUPLICATES = "\0duplicates"  # no parameter has a NUL in its name


def journey(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("journey", __name__)
    walk = _Walk(site)

    @routes.route("/authorize", methods=["GET", "POST"])
    def authorize_() -> Response:
        if request.method == "POST":
            return walk.asked_by_post(posted_fields())
        return walk.authorize(walk.handed_over(parse_form(request.query_string)))

    @routes.get("/t/<name>/<page>")
    def page(name: str, page: str) -> Response:
        return walk.page(name, page)

    @routes.post("/t/<name>/<page>")
    def post(name: str, page: str) -> Response:
        return walk.post(name, page, posted_fields())

    @routes.route("/callback/<provider>", methods=["GET", "POST"])
    def callback(provider: str) -> Response:
        return walk.called_back(provider)

    return routes


class _Walk:
    """Turns requests into steps of the broker, and steps into answers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens = Screens(site)
        self._steering = Steering(site)
        self._lasting = Lasting(site)

    # ---- cross-site posts ------------------------------------------------------------------------

    def asked_by_post(self, parameters: Parameters) -> Response:
        """Keep a request of a client of ours; of anybody else's nothing is stored."""
        client = authorize.find_client(parameters, self._site.clients)
        authorize.registered_redirect_uri(parameters, client)
        return self.handed_on("/authorize", parameters)

    def answered_by_post(self, provider: str, reply: Parameters) -> Response:
        """Keep an eID's answer to a transaction that waits for it; whose browser this is shows at the GET.

        One answer is kept for each: whoever has a transaction of their own could fill the store otherwise.
        """
        kept = self._site.broker.transactions.get(_named(reply))
        if kept is None:
            raise Gone("an answer to no living transaction")
        awaited = kept.value.provider == provider and kept.value.handle == _handle(reply)
        if not awaited:
            # Late, or not the eID's: the page that the transaction is at says the rest, in its own browser.
            return see_other(f"/t/{kept.value.id}/choose")
        return self.handed_on(f"/callback/{provider}", reply, f"answer.{kept.value.id}")

    def handed_on(self, path: str, parameters: Parameters, handle: str | None = None) -> Response:
        """Keep a cross-site post and go on by GET: our SameSite=Lax cookies only come with that.

        Duplicates are kept visible, so that the checks refuse them as they would in a query.
        """
        handle = handle or secrets.token_urlsafe(16)
        kept = dict(parameters)
        if parameters.duplicates:
            kept[_DUPLICATES] = " ".join(sorted(parameters.duplicates))
        self._site.requests.put(handle, kept, HANDED_ON)
        return see_other(f"{path}?continue={handle}")

    def handed_over(self, parameters: Parameters) -> Parameters:
        """Return the parameters of a kept post, or these."""
        if set(parameters) != {"continue"}:
            return parameters
        kept = self._site.requests.get(parameters["continue"][:64])
        if kept is None:
            raise NotFound("the kept post is gone")
        fields = dict(kept.value)
        duplicates = frozenset(fields.pop(_DUPLICATES, "").split())
        return Parameters(fields, duplicates)

    # ---- the authorization endpoint --------------------------------------------------------------

    def authorize(self, parameters: Parameters) -> Response:
        """Check the request and answer it, or open a transaction and show its page."""
        site = self._site
        try:
            asked = authorize.parse(
                parameters,
                site.clients,
                issuer=site.issuer,
                now=site.clock.now(),
                hinted_subject=self._hinted_subject,
                providers=tuple(site.broker.providers),
            )
            if asked.door is None and "door" in parameters:
                _log.warning("unknown_door", client=asked.client_id)
            language = self._screens.language_for(asked)
            _, clinic = site.broker.parties(asked)
            accepted = site.cookies.accepted(request).get(clinic.id)
            step = site.broker.accept(asked, site.cookies.session(request), language, accepted)
        except authorize.Refused as refused:
            return self._screens.deliver(refused.response, self._screens.language())
        if isinstance(step, Answered):
            return self._screens.deliver(step.response, step.language)
        return self._opened(step, asked)

    def _hinted_subject(self, hint: str, client: Client) -> str:
        read = logout.read_hint(hint, self._site.keys.verification_key, self._site.issuer)
        if read.client_id != client.id:
            raise OAuthError("invalid_request", "The id_token_hint is another client's")
        return read.subject

    def _opened(self, opened: Opened, asked: SigninRequest) -> Response:
        name = opened.transaction.id
        response = see_other(f"/t/{name}/{page_of(opened.transaction)}")
        if asked.provider_hint in self._site.broker.ways(opened.transaction):
            response = self._straight_on(opened, asked.provider_hint or "")
        cookie = TransactionCookie(
            made_at=int(self._site.clock.now().timestamp()),
            secret=opened.secret,
            client_id=asked.client_id,
            language=opened.transaction.language,
        )
        self._site.cookies.keep_transaction(request, response, name, cookie)
        return response

    def _straight_on(self, opened: Opened, provider: str) -> Response:
        """Skip the choice: the service named the eID."""
        return self._steering.answer(self._site.broker.choose(opened.kept, provider, "", self._steering.visitor()))

    # ---- pages and posts of one transaction ------------------------------------------------------

    def page(self, name: str, page: str) -> Response:
        """Show a page: the one asked for if it can be done again, else the one the transaction is at."""
        kept, cookie = self._steering.load(name)
        transaction = kept.value
        if transaction.stage in (Stage.GRANTED, Stage.STOPPED):
            return self._screens.already(transaction)
        if page == "cancel":
            return self._steering.answer(self._site.broker.cancel(kept))
        nonce = mint_nonce(cookie.secret, "" if page == "choose" else shown_by(transaction))
        return self._shown(kept, page, nonce) or see_other(f"/t/{name}/{page_of(transaction)}")

    def _shown(self, kept: Kept[Transaction], page: str, nonce: str) -> Response | None:
        """Return a page that can be shown as things are, or None."""
        transaction = kept.value
        at_terms = transaction.stage is Stage.OPEN and transaction.form is not None
        if page == "choose" and not at_terms:
            return self._screens.choose(transaction, nonce)
        if page == "register" and transaction.stage is Stage.OPEN and not at_terms:
            return self._screens.register(transaction, nonce)
        if page == "wait" and transaction.wait is not None:
            return self._wait(kept, nonce)
        if transaction.form is not None and transaction.form.page == page:
            return self._screens.form(transaction, nonce)
        return None

    def _wait(self, kept: Kept[Transaction], nonce: str) -> Response:
        try:
            self._site.waits.seen(kept, nonce)
            return self._screens.wait(kept.value, nonce)
        except ProviderError:  # the configuration has that app no more
            return self._steering.answer(self._site.broker.back(kept))

    def post(self, name: str, page: str, fields: Parameters) -> Response:
        """Do what a form of ours asks. A form that is not ours (CSRF) does nothing but show the page."""
        try:
            kept, cookie = self._steering.load(name)
        except Gone:
            return self._lasting.late(name, page, fields)
        nonce = fields.get("_n", "")
        again = f"reply:{nonce}" in kept.value.answers  # a second press: it leads where the first has led
        if not again and not is_our_nonce(nonce, cookie.secret, "" if page == "choose" else shown_by(kept.value)):
            asked = kept.value.stage is Stage.PROVED
            return see_other(f"/t/{name}/{page_of(kept.value) if asked else 'choose'}")
        if fields.get("do") == "more":
            return self._lasting.more(kept)
        if fields.get("do") == "late":  # another tab has asked for more time meanwhile
            return see_other(f"/t/{name}/{page_of(kept.value)}")
        asks_more = fields.get("do") == "forgot" and page == "password"
        if "lang" in fields or asks_more:
            spoken = self._screens.offered(kept.value, fields.get("lang", kept.value.language))
            at_form = kept.value.form is not None and kept.value.form.page == page
            self._site.broker.say_in(kept, spoken, typed(page, fields) if at_form else {})
            own = "forgot" if asks_more else "register" if page == "register" else page_of(kept.value)
            response = see_other(f"/t/{name}/{own}")
            # The page that says that the time is up knows no more than the cookie.
            self._site.cookies.keep_transaction(request, response, name, replace(cookie, language=spoken))
            return response
        response = self._steering.answer(self._posted(kept, page, fields, nonce))
        if page == "terms":
            self._remember_terms(response, name)
        return response

    def _remember_terms(self, response: Response, name: str) -> None:
        """Let this browser not be asked again before the eID; what somebody agreed to is noted with the person."""
        kept = self._site.broker.transactions.get(name)
        if kept is not None and kept.value.accepted is not None:
            _, clinic = self._site.broker.parties(kept.value.request)
            self._site.cookies.keep_accepted(request, response, clinic.id, kept.value.accepted)

    def _posted(self, kept: Kept[Transaction], page: str, fields: Parameters, nonce: str) -> Step:
        transaction, do = kept.value, fields.get("do", "")
        if page == "choose":
            return self._chosen(kept, fields, nonce)
        if page == "register":
            return self._site.broker.came_for(kept, fields.get("who", "self"))
        if page == "wait" and transaction.wait is not None:
            return self._waited(kept, transaction.wait, do, nonce)
        if transaction.form is not None and transaction.form.page == page:
            return self._filled_in(kept, fields, nonce)
        return self._site.broker.where_now(transaction)

    def _chosen(self, kept: Kept[Transaction], fields: Parameters, nonce: str) -> Step:
        if fields.get("do") in _WISHES and "provider" not in fields:
            return self._site.broker.came_for(kept, _WISHES[fields["do"]])
        # Enter in no field at all: the form's hidden default button means the first way.
        first = next(iter(self._site.broker.ways(kept.value)), "")
        return self._site.broker.choose(kept, fields.get("provider", first), nonce, self._steering.visitor())

    def _filled_in(self, kept: Kept[Transaction], fields: Parameters, nonce: str) -> Step:
        """Go on with a form: of terms before anything, of a provider, of a question after the proof."""
        transaction, broker, visitor = kept.value, self._site.broker, self._steering.visitor()
        session = self._site.cookies.session(request)
        reply = {k: v for k, v in fields.items() if not k.startswith("_")}
        match transaction.stage:
            case Stage.OPEN:
                return broker.agree(kept, yes=fields.get("do") != "no")
            case Stage.PROVED if fields.get("do") == "person":
                return broker.about_another(kept, nonce, session)
            case Stage.PROVED:
                return broker.answer(kept, reply, nonce, visitor, session)
            case Stage.PROVING if fields.get("do") == "back":
                return broker.back(kept)
            case _:
                provider, handle = transaction.provider or "", transaction.handle
                return broker.resume(kept, provider, reply, handle, session, nonce=nonce, visitor=visitor)

    def _waited(self, kept: Kept[Transaction], wait: PendingWait, do: str, nonce: str) -> Step:
        """Do what the page that waits asks; Enter, in no field at all, looks for news as its button does."""
        if do == "back":
            return self._site.broker.back(kept)
        if do in _ANEW:
            return self._site.broker.again(kept, _ANEW[do] or wait.device, nonce, self._steering.visitor())
        return self._site.waits.finish(kept, self._site.cookies.session(request), patient=True)

    def called_back(self, name: str) -> Response:
        """Take what an eID, or a register, sent back by the browser."""
        if name in self._site.registers and request.method == "GET":
            return self._chosen_elsewhere(name, parse_form(request.query_string))
        if name not in self._site.broker.providers:
            raise NotFound("no such provider")
        if request.method == "POST":
            return self.answered_by_post(name, posted_fields(MOST_ANSWER))
        return self.callback(name, self.handed_over(parse_form(request.query_string)))

    def callback(self, provider: str, reply: Mapping[str, str]) -> Response:
        """Take what an eID sent back, in the browser that went there and no other."""
        kept, _ = self._steering.load(_named(reply))
        session = self._site.cookies.session(request)
        return self._steering.answer(self._site.broker.resume(kept, provider, dict(reply), _handle(reply), session))

    def _chosen_elsewhere(self, register: str, reply: Parameters) -> Response:
        """Take what a register's own page sent back. It brings no name of ours: the browser's cookie has it."""
        name = self._site.cookies.away(request)
        kept, _ = self._steering.load(name)
        session = self._site.cookies.session(request)
        said = {} if reply.duplicates else dict(reply)
        step = self._site.broker.returned(kept, register, said, self._steering.visitor(), session)
        return self._steering.answer(step)


def _handle(reply: Mapping[str, str]) -> str:
    """Return what we gave the eID to bring back (OpenID Connect `state`, SAML `RelayState`)."""
    return reply.get("state", reply.get("RelayState", ""))


def _named(reply: Mapping[str, str]) -> str:
    """Return the transaction a reply names. NotFound when it names none."""
    name = _handle(reply).partition(".")[0]
    if len(name) != 22:
        raise NotFound("the reply names no transaction")
    return name
