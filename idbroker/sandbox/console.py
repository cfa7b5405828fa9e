"""The sandbox's own pages on the issuer: start, people, inbox, clock, faults, one's own app, reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from idbroker.errors import OperatorError
from idbroker.sandbox.api import turn_clock
from idbroker.sandbox.custody import NoSuchPair
from idbroker.sandbox.faults import parse_fault
from idbroker.sandbox.guard import foreign_page, wrong_host
from idbroker.sandbox.jsonwire import Wrong
from idbroker.sandbox.midnight import Calendar
from idbroker.sandbox.patient_list import patient_list
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.portal.services import SERVICES
from idbroker.sandbox.register import NAME as FAMILIES
from idbroker.sandbox.skin import page
from idbroker.sandbox.snippets import snippets
from idbroker.sandbox.valtuudet import PROVIDER as VALTUUDET
from idbroker.sandbox.world import RegistrationRefused, World

_COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_COUNTRIES = {"DK": "Denmark", "SE": "Sweden", "FI": "Finland"}
_EIDS = {
    "mitid": "MitID",
    "bankid": "BankID",
    "freja": "Freja",
    "suomifi": "suomi.fi",
    "borgeradgang": "the citizen gateway",
    "fallback": "password and code",
}
# What carries messages, or knows who may act for whom; and what can be wrong with it besides.
_CHANNELS = {
    "email": "E-mail",
    "sms": "Text messages",
    FAMILIES: "The region’s register of guardians",
    VALTUUDET: "Suomi.fi e-Authorizations",
}
# What the buttons of the panel do to an eID.
_FAULTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "fine": ("Works", {}),
    "down": ("Down", {"down": True}),
    "slow": ("Slow: 3 seconds", {"slow": 3}),
    "busy": ("Too busy: HTTP 429", {"status": 429}),
}
_CHANNEL_FAULTS: Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "email": {
        "refuses": ("Refuses: SMTP 550", {"status": 550}),
        "greylists": ("Not now: SMTP 451", {"status": 451}),
        "drops": ("Delivers, and hangs up", {"lies": ["drops"]}),
    },
    "sms": {
        "busy": _FAULTS["busy"],
        "refuses": ("Refuses: HTTP 400", {"status": 400}),
        "drops": ("Delivers, and hangs up", {"lies": ["drops"]}),
    },
    FAMILIES: {"nonsense": ("Answers with a web page", {"lies": ["nonsense"]})},
    VALTUUDET: {"skewed": ("Its clock is ten minutes ahead", {"lies": ["skewed_clock"]})},
}
_INBOX_SECONDS = 10
_CODE_SECONDS = 10  # a code is shown for thirty seconds, and taken for half a minute longer
# Where a login may go wrong, and what to see then.
_TRIES = (
    ("The booked visit", "Open video visit 2031 at Min Hälsa before you log in: the login ends at that very visit."),
    ("An old code", "Take a code’s text from GET orders of the API, wait ten seconds, and type it into the phone."),
    ("Nobody opens the app", "Leave the code alone for half a minute: the login page asks for a new order by itself."),
    ("Cancel, or something worse", "Be Åke, or choose Something else happens on the phone: the login page says why."),
    ("The phone is elsewhere", "Give the phone another address and open the app by the login page’s link."),
    ("No Plus, no entry", "Be somebody whose Freja is not Plus: Min Hälsa needs more than that proves."),
    ("Too early", "Follow Aino’s invitation in the inbox: one can ask to join once the clock has got there."),
    (
        "The gateway",
        "Log in to Patientportalen through borgeradgang: MitID again, by way of an authority.",
    ),
    ("Out everywhere", "Log in at two portals in one go, log out at one, and reload the other: it has been told."),
    ("Not a patient", "Log in to Neuroreg as somebody else than Björn: only its register’s patients get in."),
    (
        "No eID at all",
        "At Patientportalen be Oda: CPR number, password, and the code in the inbox. People has what to type.",
    ),
    ("Somebody new", "Be Nikolaj at Patientportalen: register, and approve him by POST enrolments of the API."),
    ("Another clinic", "Be Tove, whom one clinic knows: Patientportalen of Test klinik 2 asks once."),
    ("Yes first", "Aleris video asks for a yes before MitID opens, and shows what it is told."),
    ("The mail is down", "Break e-mail, and log in with a password twice: the second page says so, or sends a text."),
    ("An outage", "Break an eID and open a login page; then let it work again."),
    ("For a child", "Be Björn at Min Hälsa: it asks whether it is about him or Saga. Be Patrik: nobody is offered."),
    ("A custody that changes", "Be Sara at Min Hälsa for Wilma; take the custody away under Families, and reload."),
    ("A birthday", "Log in as Mie at Patientportalen with her password, and go past midnight under Clock."),
    ("A level too high", "Ask for the level high at a Swedish portal: no eID there gives it."),
)
_LATER = 4  # midnights after the next that change something
# Why somebody may not act, in words: by what the register has.
_WHYS = {
    "care_order": "the child is in care",
    "no_custody": "has no custody",
    "withdrawn": "the right was taken away",
    "shared_out": "the custody was divided",
    "protected": "the child’s address is protected",
    "deceased": "the child has died",
}
_JUMPS = (("16 minutes", 16 * 60), ("1 hour", 3600), ("1 day", 86400), ("30 days", 30 * 86400))


def console(world: World, reset: Callable[[], None]) -> Blueprint:
    """Return the routes, for the application that serves the issuer."""
    routes = Blueprint("console", __name__)
    panels = _Panels(world, reset)
    for path, show in (
        ("/", panels.start), ("/inbox", panels.inbox), ("/sandbox/people", panels.people),
        ("/sandbox/families", panels.families), ("/sandbox/staff", panels.staff),
        ("/sandbox/patients.csv", panels.sample),
        ("/sandbox/clock", panels.clock), ("/sandbox/break", panels.break_), ("/sandbox/connect", panels.connect),
        ("/sandbox/reset", panels.reset),
    ):  # fmt: skip
        routes.add_url_rule(path, show.__name__, show)
    for path, do in (
        ("/sandbox/clock", panels.move), ("/sandbox/break/<provider>", panels.spoil), ("/sandbox/keys", panels.rotate),
        ("/sandbox/connect", panels.register), ("/sandbox/reset", panels.renew), ("/sandbox/families", panels.turn),
    ):  # fmt: skip
        routes.add_url_rule(path, do.__name__, do, methods=["POST"])
    routes.before_request(_guard)
    return routes


def _guard() -> Response | None:
    why = wrong_host(request) or (foreign_page(request) if request.method == "POST" else None)
    return Response(f"{why}\n", 403, content_type="text/plain; charset=utf-8") if why else None


class _Panels:
    """The pages. Each post leads back to its page by a redirect, so that a reload does nothing twice."""

    def __init__(self, world: World, reset: Callable[[], None]) -> None:
        self._world, self._reset = world, reset

    # ---- pages -----------------------------------------------------------------------------------

    def start(self) -> Response:
        """Show what there is: portals, people, panels."""
        known = set(self._world.house.providers)
        groups = self._groups()
        waiting = [name for name, people in groups.items() if not any(known.intersection(p.eids) for p in people)]
        return self._page(
            "start", services=SERVICES, portals=self._world.addresses.portals, groups=groups, waiting=waiting,
            tries=_TRIES, staff=self._world.staff(),
        )  # fmt: skip

    def inbox(self) -> Response:
        """Show the messages; the page follows by itself, without a script, until it is held still."""
        still = "still" in request.args
        response = self._page("inbox", messages=self._world.inbox.list(), still=still)
        if not still:
            response.headers["Refresh"] = str(_INBOX_SECONDS)
        return response

    def people(self) -> Response:
        """Show everybody with number and story."""
        return self._page(
            "people", groups=self._groups(), titles=_EIDS, acting=self._world.custody, called=self._called()
        )

    def families(self) -> Response:
        """Show who may act for whom, with a switch for each."""
        called = self._called()
        pairs = [(called[one.guardian], called[one.ward], one) for one in self._world.custody.all()]
        groups = {name: [pair for pair in pairs if pair[1].country == code] for code, name in _COUNTRIES.items()}
        return self._page("families", groups=groups, whys=_WHYS)

    def staff(self) -> Response:
        """Show who works at the clinics; the page follows their authenticator apps by itself, without a script."""
        programs, clinics = self._world.programs, self._world.house.settings.clinics
        response = self._page("staff", staff=self._world.staff(), programs=programs, clinic=clinics.find)
        response.headers["Refresh"] = str(_CODE_SECONDS)
        return response

    def sample(self) -> Response:
        """Give a list of patients to import."""
        response = Response(patient_list(self._world.people), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="patients.csv"'
        response.headers["Cache-Control"] = "no-store"
        return response

    def clock(self) -> Response:
        """Show the time."""
        return self._clock_page()

    def break_(self) -> Response:
        """Show what is broken."""
        titles = {name: provider.title for name, provider in self._world.house.providers.items()} | _CHANNELS
        parts = [(name, titles[name], _faults_of(name), self._state(name)) for name in titles if self._breaks(name)]
        return self._page("break", parts=parts, rotated=request.args.get("rotated", ""))

    def connect(self) -> Response:
        """Ask for a redirect URI."""
        return self._page("connect", uri="", mistakes=(), registered=None)

    def reset(self) -> Response:
        """Ask whether to begin anew."""
        return self._page("reset", done=request.args.get("done") == "yes")

    # ---- posts -----------------------------------------------------------------------------------

    def move(self) -> Response:
        """Move the clock, or set it to Danish time."""
        try:
            turn_clock(self._world.clock, _clock_wish())
        except (Wrong, ValueError):
            return self._clock_page(wrong=True, status=400)
        return redirect("/sandbox/clock", 303)

    def turn(self) -> Response:
        """Take custody away, or give it back, in all registers at once."""
        barred = request.form.get("barred", "")
        with suppress(NoSuchPair, ValueError):  # a form of ours sends neither
            self._world.custody.change(
                request.form.get("guardian", ""), request.form.get("ward", ""), {"barred": barred}
            )
        return redirect("/sandbox/families", 303)

    def spoil(self, provider: str) -> Response:
        """Break an eID or a channel, or heal it."""
        fault = _faults_of(provider).get(request.form.get("fault", ""))
        if fault is not None and self._breaks(provider):
            self._world.faults.set(provider, fault[1])
        return redirect("/sandbox/break", 303)

    def rotate(self) -> Response:
        """Rotate the signing keys."""
        try:
            self._world.rotate_keys()
        except OperatorError:  # the clock was moved to before the keys were made
            return redirect("/sandbox/break?rotated=no", 303)
        return redirect("/sandbox/break?rotated=yes", 303)

    def register(self) -> Response:
        """Register a portal and show how to connect it; the secret is shown this once."""
        uri = request.form.get("redirect_uri", "").strip()
        try:
            registered = self._world.register({"redirect_uris": [uri]})
        except RegistrationRefused as error:
            return self._page("connect", uri=uri, mistakes=error.mistakes, registered=None, status=400)
        ready = snippets(self._world.addresses.issuer, registered.client.id, registered.secret or "", uri)
        return self._page("connect", uri=uri, mistakes=(), registered=registered, snippets=ready)

    def renew(self) -> Response:
        """Begin anew."""
        self._reset()
        return redirect("/sandbox/reset?done=yes", 303)

    # ---- how -------------------------------------------------------------------------------------

    def _breaks(self, name: str) -> bool:
        return name in self._world.faults.known

    def _state(self, name: str) -> str:
        """Return which of the buttons was pressed last; what only the API can break is none of them."""
        now = self._world.faults.of(name)
        return next((word for word, (_, wish) in _faults_of(name).items() if parse_fault(wish) == now), "")

    def _clock_page(self, **values: Any) -> Response:
        now, clinics = self._world.clock.now(), self._world.house.settings.clinics
        calendar = Calendar(
            people=self._world.people,
            custody=self._world.custody,
            clinics=tuple(clinics.by_id.values()),
            services=tuple(self._world.house.settings.clients),
        )
        return self._page(
            "clock", now=now.astimezone(_COPENHAGEN), jumps=_JUMPS, last=calendar.last(now),
            midnights=calendar.next(now), later=calendar.later(now, _LATER), **values,
        )  # fmt: skip

    def _called(self) -> dict[str, SimPerson]:
        return {person.id: person for person in self._world.people}

    def _groups(self) -> dict[str, list[SimPerson]]:
        groups: dict[str, list[SimPerson]] = {name: [] for name in _COUNTRIES.values()}
        for person in self._world.people:
            groups[_COUNTRIES[person.country]].append(person)
        return groups

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        return page(f"console/{name}.html", status=status, panel=name, issuer=self._world.addresses.issuer, **values)


def _faults_of(name: str) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    if name not in _CHANNEL_FAULTS:
        return _FAULTS
    return {**{word: _FAULTS[word] for word in ("fine", "down", "slow")}, **_CHANNEL_FAULTS[name]}


def _clock_wish() -> dict[str, Any]:
    if "at" in request.form:
        return {"now": request.form["at"]}
    if "plus" in request.form:
        return {"plus": int(request.form["plus"])}
    local = datetime.fromisoformat(request.form.get("now", "")).replace(tzinfo=_COPENHAGEN)
    return {"now": local.isoformat()}
