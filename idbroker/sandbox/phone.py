"""The phone: pages that stand in for the apps of the simulated eIDs, as somebody's hand would use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from idbroker.sandbox.guard import foreign_page, wrong_host
from idbroker.sandbox.orders import Order, Phone, Unreadable
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.skin import page, skin
from idbroker.visitor import normal_address

APPS: Mapping[str, str] = {"bankid": "BankID", "freja": "Freja"}
HERE = "127.0.0.1"
ELSEWHERE = "203.0.113.7"  # kept for documents (RFC 5737): nobody's
LONGEST_CODE = 2000
_WEB = ("http", "https")


class Misused(Exception):
    """What was wanted of a phone cannot be: `words` say why, for a page and for a program."""

    def __init__(self, words: str, *, status: int = 400) -> None:
        super().__init__(words)
        self.words, self.status = words, status


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app on somebody's phone, and what it could open now."""

    name: str
    title: str
    orders: tuple[Order, ...] = field(repr=False)


def find_order(phones: Mapping[str, Phone], name: str) -> tuple[Phone, Order]:
    """Return an order that waits, with the phone that has it. Misused when there is none."""
    for phone in phones.values():
        for order in phone.waiting():
            if order.id == name:
                return phone, order
    raise Misused("there is no such order, or no longer: begin again on the login page", status=404)


def open_order(phone: Phone, order: Order) -> Order:
    """Read the code that the login page shows now. Misused when it shows none, Unreadable for one that is no good."""
    if order.code is None:
        raise Misused("the login page shows no code now: an app has opened it already", status=409)
    return phone.scan(order.code)


def make_phone(phones: Mapping[str, Phone], people: Iterable[SimPerson], issuer: str) -> Flask:
    """Return the application with everybody's phone, below one path of the issuer.

    `phones` are the apps by provider. A link that opens an app leads to the provider's name below that
    path, with the link's own query. `issuer` is where a person may be led back to.
    """
    app = Flask("idbroker.sandbox.phone", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.register_blueprint(skin())
    pages = _Pages(phones, people, issuer)
    for path, view in (
        ("/", pages.who), ("/<app>", pages.launch), ("/opened/<app>/<path:name>", pages.opened),
        ("/of/<person>", pages.home), ("/of/<person>/<app>/<path:name>", pages.order),
    ):  # fmt: skip
        app.add_url_rule(path, view.__name__, view)
    app.add_url_rule("/of/<person>/<app>", "scan", pages.scan, methods=["POST"])
    app.add_url_rule("/of/<person>/<app>/<path:name>", "act", pages.act, methods=["POST"])
    app.before_request(_guard)
    app.register_error_handler(Misused, pages.misused)
    app.register_error_handler(Unreadable, pages.unreadable)
    app.register_error_handler(HTTPException, pages.failed)
    return app


def _guard() -> Response | None:
    why = wrong_host(request) or (foreign_page(request) if request.method == "POST" else None)
    return Response(f"{why}\n", 403, content_type="text/plain; charset=utf-8") if why else None


class _Pages:
    """The pages. Who holds the phone and where it is are in the address: there may be several at once."""

    def __init__(self, phones: Mapping[str, Phone], people: Iterable[SimPerson], issuer: str) -> None:
        self._phones, self._issuer = phones, issuer
        self._people = {person.id: person for person in people if set(person.eids) & set(phones)}

    # ---- pages -----------------------------------------------------------------------------------

    def who(self) -> Response:
        """Ask who holds the phone."""
        return self._page("who", people=self._people.values())

    def home(self, person: str) -> Response:
        """Show what the apps of this phone could open now."""
        return self._home(self._person(person))

    def order(self, person: str, app: str, name: str) -> Response:
        """Show what the person reads in the app, and what they can do."""
        holder, phone = self._holding(person, app)
        return self._page(
            "order", person=holder, app=app, order=_waiting(phone, name), title=APPS.get(app, app),
            more=phone.outcomes[2:],
        )  # fmt: skip

    def launch(self, app: str) -> Response:
        """Open the app by its link on this device, as the login page's button does."""
        order = self._phone(app).follow(request.url)
        return redirect(self._at("opened", app=app, name=order.id), 303)

    def opened(self, app: str, name: str) -> Response:
        """Ask who holds the phone that an order was opened on by its link."""
        order = _waiting(self._phone(app), name)
        people = [person for person in self._people.values() if app in person.eids]
        return self._page("who", people=people, order=order, app=app, title=APPS.get(app, app))

    # ---- posts -----------------------------------------------------------------------------------

    def scan(self, person: str, app: str) -> Response:
        """Point the camera at the login page, or type what a code says."""
        holder, phone = self._holding(person, app)
        name, code = request.form.get("order"), request.form.get("code", "").strip()[:LONGEST_CODE]
        try:
            order = open_order(phone, _waiting(phone, name)) if name else phone.scan(code)
        except (Unreadable, Misused) as error:
            # What was typed is still there: one letter of it may be wrong.
            return self._home(holder, trouble=_sentence(str(error)), code=code, app=app, status=409)
        return redirect(self._at("order", person=holder.id, app=app, name=order.id), 303)

    def act(self, person: str, app: str, name: str) -> Response:
        """Do what a person does; go where the app leads back to, as apps do by themselves."""
        holder, phone = self._holding(person, app)
        returns_to = use(phone, name, holder, request.form.get("outcome", ""), _address())
        if returns_to is None:
            goes_on = any(order.id == name for order in phone.waiting())
            view = {"view": "order", "app": app, "name": name} if goes_on else {"view": "home", "done": app}
            return redirect(self._at(person=holder.id, **view), 303)
        if returns_to.startswith(f"{self._issuer}/"):
            return redirect(returns_to, 303)
        # Any other address may be a script: only the web's are made links.
        return self._page("away", person=holder, url=returns_to, web=urlsplit(returns_to).scheme in _WEB)

    # ---- what does not work ----------------------------------------------------------------------

    def misused(self, error: Misused) -> Response:
        """Say what cannot be."""
        return self._trouble(error.words, error.status)

    def unreadable(self, error: Unreadable) -> Response:
        """Say why a link or an order opens nothing."""
        return self._trouble(str(error), 409)

    def failed(self, error: HTTPException) -> Response:
        """Say that a request was no use."""
        status = error.code or 500
        words = "there is no such page on the phone" if status == 404 else error.name
        return self._trouble(words, status)

    # ---- how -------------------------------------------------------------------------------------

    def _home(self, person: SimPerson, *, status: int = 200, **values: object) -> Response:
        apps = [
            App(name=name, title=APPS.get(name, name), orders=_in_hand(phone, person))
            for name, phone in self._phones.items()
            if name in person.eids
        ]
        done = APPS.get(request.args.get("done", ""))
        return self._page("home", person=person, apps=apps, done=done, status=status, **values)

    def _page(self, name: str, *, status: int = 200, **values: object) -> Response:
        shown = page(
            f"phone/{name}.html", origins=(), status=status, at=self._at, address=_address(), here=HERE,
            elsewhere=ELSEWHERE, **values,
        )  # fmt: skip
        # A real app opens the browser anew. Here a form leads back, and Chromium holds every redirect that
        # follows, to the service too, against this page's policy.
        policy = shown.headers["Content-Security-Policy"]
        shown.headers["Content-Security-Policy"] = policy.replace("form-action 'self'", "form-action http: https:")
        return shown

    def _trouble(self, words: str, status: int) -> Response:
        # The address in the request may be the trouble: nothing here reads it again.
        return page("phone/trouble.html", status=status, at=url_for, trouble=_sentence(words))

    def _at(self, view: str, **values: Any) -> str:
        ip = _address()
        return url_for(view, **(values if ip == HERE else {**values, "ip": ip}))

    def _person(self, name: str) -> SimPerson:
        if name not in self._people:
            raise Misused("nobody of that name has an eID in an app", status=404)
        return self._people[name]

    def _phone(self, app: str) -> Phone:
        if app not in self._phones:
            raise Misused("there is no such app", status=404)
        return self._phones[app]

    def _holding(self, person: str, app: str) -> tuple[SimPerson, Phone]:
        holder, phone = self._person(person), self._phone(app)
        if app not in holder.eids:
            raise Misused(f"{holder.given_name} has no {APPS.get(app, app)}", status=404)
        return holder, phone


def use(phone: Phone, order: str, person: SimPerson, outcome: str, ip: str) -> str | None:
    """Do what a person does with an order; return where the app leads back to.

    Misused for somebody without that eID, for an outcome that is not known, and for an order that is
    no more or is somebody else's.
    """
    if phone.provider not in person.eids:
        raise Misused(f"{person.id} has no {APPS.get(phone.provider, phone.provider)}")
    if outcome not in phone.outcomes:
        raise Misused(f"outcome is one of {', '.join(phone.outcomes)}")
    try:
        return phone.act(order, person, outcome, ip=ip)
    except Unreadable as error:
        raise Misused(str(error), status=409) from error


def _in_hand(phone: Phone, person: SimPerson) -> tuple[Order, ...]:
    """Return what this person's app could open: not what is in somebody else's already."""
    return tuple(order for order in phone.waiting() if order.person in (None, person.id))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _waiting(phone: Phone, name: str) -> Order:
    return find_order({phone.provider: phone}, name)[1]


def _address() -> str:
    """Return where the phone is. Misused for what is no IP address."""
    given = request.args.get("ip", HERE)
    ip = normal_address(given)
    if ip is None:
        raise Misused("ip must be an IP address, like 203.0.113.7")
    return ip
