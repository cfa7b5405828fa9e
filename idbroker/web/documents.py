"""Help, the privacy notice, the accessibility statement: about the service that somebody comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import structlog
from flask import request
from werkzeug.wrappers import Response

from idbroker import policy
from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import Gone, StoreError, WrongBrowser
from idbroker.patients.assisting import PROVIDER
from idbroker.providers import App
from idbroker.transaction import Stage, Transaction
from idbroker.web import views
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import page_of

_PASSWORD = "fallback"
_log = structlog.get_logger("idbroker.web")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whence:
    """Where somebody comes from: a service, and their sign-in there if it is still under way."""

    client: Client | None = None
    under_way: Transaction | None = None


class Documents:
    """Our own pages beside a sign-in. Whatever they are told of it, they lead nowhere but here and to the service."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens = Screens(site)

    def show(self, name: str) -> Response:
        """Show one of them, as the service and its clinic have it."""
        whence = self._whence()
        client, under_way = whence.client, whence.under_way
        clinic = self._site.clinics.find(client.clinic) if client else None
        view = views.DocumentView(
            frame=self._frame(name, client, clinic, under_way),
            name=name,
            hours=round(self._site.broker.moves.signon.settings.absolute.total_seconds() / 3600) or 1,
            signed_days=self._site.broker.moves.signon.keep_evidence.days,
            by_country={} if clinic else self._by_country(),
            back_href=f"/t/{under_way.id}/{page_of(under_way)}" if under_way else None,
        )
        return self._screens.document(self._of(view, client, clinic) if client and clinic else view)

    def _of(self, view: views.DocumentView, client: Client, clinic: Clinic) -> views.DocumentView:
        """Return a page about one service: what there is at others is not said."""
        names = self._known(policy.accepted_providers(client, clinic))
        limits = clinic.limits.but(client.ages)
        back = client.way_back
        return replace(
            view,
            ways=self._ways(names),
            registration=clinic.registration,
            child_age=limits.grown_up if clinic.takes_registrations else 0,
            acts=client.acting != "never" and limits.guardian_until > 0,
            by_password=_PASSWORD in names,
            own_code=_PASSWORD in names and limits.code_until > 0,
            by_app=any(isinstance(self._site.broker.providers[name], App) for name in names),
            service_href=None if back == "/help" else back,
            own_href=f"/me/{clinic.id}",
        )

    # ---- where somebody comes from ---------------------------------------------------------------

    def _whence(self) -> _Whence:
        """Return it. While the stores are away nothing is known: help is there all the same."""
        try:
            name, client = request.args.get("t", "")[:64], request.args.get("client", "")[:128]
            return self._of_transaction(name) if name else _Whence(client=self._client(client))
        except StoreError as error:
            _log.warning("store_away", endpoint=request.endpoint, detail=error.detail)
            return _Whence()

    def _of_transaction(self, name: str) -> _Whence:
        """Return the sign-in that this browser has begun.

        The attack: a page is asked for with somebody else's, to learn of what service it is, or whether there is one.
        Without its cookie nothing is looked up, and with another the page is as for one that is over.
        """
        cookie = self._site.cookies.transaction(request, name)
        if cookie is None:
            return _Whence()
        try:
            transaction = self._site.broker.load(name, cookie.secret).value
        except (Gone, WrongBrowser):
            return _Whence(client=self._client(cookie.client_id))
        over = transaction.stage in (Stage.GRANTED, Stage.STOPPED)
        client = self._client(transaction.request.client_id)
        return _Whence(client=client, under_way=None if over else transaction)

    def _client(self, client_id: str) -> Client | None:
        known = self._site.clients.find(client_id) if client_id.isprintable() and client_id else None
        return None if known is None or known.disabled else known

    # ---- what there is ---------------------------------------------------------------------------

    def _frame(self, name: str, client: Client | None, clinic: Clinic | None, asked: Transaction | None) -> views.Frame:
        offered = clinic.offered_languages if clinic else LANGUAGES
        wished = [request.args.get("lang", "")[:8], *([asked.language] if asked else [])]
        language = self._screens.language(wished, offered)
        whence = {"t": asked.id} if asked else {"client": client.id} if client else {}
        bare = views.Frame(
            language=language, languages=offered, switch_path=f"/{name}", switch_fields=whence, whence=whence
        )
        if client is None or clinic is None:
            return bare
        return replace(
            bare,
            country=clinic.country,
            service=client.called(language, asked.request.door if asked else None),
            clinic=clinic.name,
            phone=clinic.phone,
            zone=clinic.zone,
        )

    def _by_country(self) -> Mapping[str, tuple[views.Way, ...]]:
        """Return the ways of each market's clinics: a Dane need not read what there is in Finland."""
        clinics = self._site.clinics.by_id.values()
        found = {
            country: [name for one in clinics if one.country == country for name in one.providers]
            for country in sorted({clinic.country for clinic in clinics})
        }
        return {country: self._ways(self._known(dict.fromkeys(names))) for country, names in found.items()}

    def _known(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self._site.broker.providers and name != PROVIDER)

    def _ways(self, names: Iterable[str]) -> tuple[views.Way, ...]:
        return tuple(
            views.way(name, self._site.broker.providers[name].title, self._site.kinds.get(name, "")) for name in names
        )
