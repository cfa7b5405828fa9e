"""One browser in one transaction: found by its cookie, led on by steps."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from flask import request
from werkzeug.wrappers import Response

from idbroker.errors import Gone, OAuthError
from idbroker.keeping import Kept
from idbroker.oidc.parameters import MOST_OCTETS, Parameters, parse_form
from idbroker.steps import Already, Answered, GoTo, Show, Step
from idbroker.transaction import Stage, Transaction
from idbroker.visitor import Visitor, visitor
from idbroker.web.browser import TransactionCookie
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site

_FORM = "application/x-www-form-urlencoded"
_NO_COOKIE = TransactionCookie(made_at=0, secret="", client_id="", language="")


class Steering:
    """Finds the transaction of a request, and turns the broker's steps into answers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens = Screens(site)

    def load(self, name: str) -> tuple[Kept[Transaction], TransactionCookie]:
        """Return a transaction and this browser's cookie for it. Raises what Broker.load does."""
        cookie = self._site.cookies.transaction(request, name) or _NO_COOKIE
        try:
            return self._site.broker.load(name, cookie.secret), cookie
        except Gone as error:
            raise self.gone(error, cookie) from error

    def late(self, name: str) -> tuple[Kept[Transaction], TransactionCookie]:
        """Return a transaction whose time was up a moment ago, and its cookie. Raises what Broker.load does."""
        cookie = self._site.cookies.transaction(request, name) or _NO_COOKIE
        try:
            return self._site.broker.late(name, cookie.secret), cookie
        except Gone as error:
            raise self.gone(error, cookie) from error

    def gone(self, error: Gone, cookie: TransactionCookie) -> Gone:
        """Return the error with what the cookie knows of the way back."""
        return Gone(error.detail, client_id=cookie.client_id, language=cookie.language)

    def visitor(self) -> Visitor:
        """Return the browser in front of us, as eIDs in apps are told."""
        return visitor(request.remote_addr, request.user_agent.string, self._site.cookies.device(request))

    def answer(self, step: Step) -> Response:
        """Lead the browser where the broker says."""
        match step:
            case GoTo(url=url, transaction=transaction):
                response = see_other(url)
                if transaction.away is not None:
                    self._site.cookies.keep_away(response, transaction.id)
                return response
            case Show(transaction=transaction):
                return self._shown(transaction)
            case Already(transaction=transaction):
                return see_other(f"/t/{transaction.id}/choose")
            case Answered():
                return self._answered(step)

    def _shown(self, transaction: Transaction) -> Response:
        response = see_other(f"/t/{transaction.id}/{page_of(transaction)}")
        if transaction.wait is not None and transaction.wait.visitor.device_id is not None:
            self._site.cookies.keep_device(request, response, transaction.wait.visitor.device_id)
        return response

    def _answered(self, step: Answered) -> Response:
        response = self._screens.deliver(step.response, step.language)
        if step.session_secret is not None:
            self._site.cookies.keep_session(response, step.session_secret)
        if step.provider is not None:
            self._site.cookies.keep_comforts(response, step.language, step.provider)
        return response


def page_of(transaction: Transaction) -> str:
    """Return the name of the page a transaction is at."""
    if transaction.wait is not None:
        return "wait"
    return transaction.form.page if transaction.form else "choose"


def posted_fields(most: int = MOST_OCTETS) -> Parameters:
    """Return the fields of the form that was posted, of at most so many octets."""
    if request.mimetype != _FORM:
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded")
    request.max_content_length = most
    return parse_form(request.get_data(cache=False), most)


def mint_nonce(secret: str, shown: str = "") -> str:
    """Return a form's one-time value, which only the browser with this cookie can have been given.

    `shown` is what the form is about, where that may change while it lies open.
    """
    value = secrets.token_urlsafe(9)
    return f"{value}.{_mac(secret, value, shown)}"


def is_our_nonce(nonce: str, secret: str, shown: str = "") -> bool:
    """Tell whether a form was given to this browser, about this: a page elsewhere cannot make one (CSRF)."""
    value, _, mac = nonce.partition(".")
    return hmac.compare_digest(mac.encode(), _mac(secret, value, shown).encode())


def shown_by(transaction: Transaction) -> str:
    """Return what tells one question's page from another: which it is, what it offers, and about whom.

    The attack is nobody's but time's: two tabs, and "yes" in the older one is said of another child than it shows.
    """
    if transaction.stage is not Stage.PROVED or transaction.form is None:
        return ""
    acting = transaction.about.acting if transaction.about is not None else None
    parts = (transaction.form.page.encode(), (acting.ward if acting else "").encode(), transaction.provider_state)
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _mac(secret: str, value: str, shown: str) -> str:
    return hmac.digest(secret.encode(), f"form\n{value}\n{shown}".encode(), "sha256").hex()[:24]
