"""From transactions and errors to pages with their headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any
from urllib.parse import quote

from flask import request
from werkzeug.wrappers import Response

from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import NotFound
from idbroker.farewell import Farewell
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.providers import App
from idbroker.request import SigninRequest
from idbroker.transaction import Notice, PendingForm, PendingWait, Transaction
from idbroker.web import views, young
from idbroker.web.closing import closing
from idbroker.web.headers import origin_of, page_headers, see_other
from idbroker.web.site import Site
from idbroker.words import negotiate

_RETURN = "b.st.back"


class Screens:
    """Fills in the views and wraps the pages into answers."""

    def __init__(self, site: Site) -> None:
        self._site = site

    # ---- language --------------------------------------------------------------------------------

    def language(self, wished: Iterable[str] = (), offered: tuple[str, ...] = LANGUAGES) -> str:
        """Return the language for this request: wished by the service, used here before, the browser's."""
        used_before, _ = self._site.cookies.comforts(request)
        switched = request.args.get("lang", "")[:8] if b"lang=" in request.query_string else ""
        first = [language for language in (switched, *wished, used_before) if language]
        return negotiate(first, request.headers.get("Accept-Language"), offered)

    def language_for(self, asked: SigninRequest) -> str:
        """Return the language to begin a request in, among those its clinic offers."""
        _, clinic = self._site.broker.parties(asked)
        return self.language(asked.ui_locales, clinic.offered_languages)

    def offered(self, transaction: Transaction, language: str) -> str:
        """Return a language if the clinic offers it, else the one spoken so far."""
        _, clinic = self._site.broker.parties(transaction.request)
        return language if language in clinic.offered_languages else transaction.language

    # ---- pages of a transaction ------------------------------------------------------------------

    def choose(self, transaction: Transaction, nonce: str) -> Response:
        """Show the choice of a way to sign in."""
        client, clinic = self._site.broker.parties(transaction.request)
        _, last = self._site.cookies.comforts(request)
        names = self._site.broker.ways(transaction)
        down = transaction.notice.provider if transaction.notice and transaction.notice.key == "c.down" else None
        notice = transaction.notice
        view = views.ChooseView(
            frame=self._frame(transaction, client, clinic),
            action=f"/t/{transaction.id}/choose",
            nonce=nonce,
            ways=tuple(self._way(name, note_down=name == down, last_used=name == last) for name in names),
            notice=self._notice(notice) if notice and notice.key != "c.down" else None,
            register=clinic.takes_registrations,
            child_age=clinic.limits.but(client.ages).grown_up,
            wish=transaction.wish,
            acts=client.acting != "never" and clinic.limits.but(client.ages).guardian_until > 0,
        )
        origins = [origin for name in names for origin in self._site.origins(name)]
        levels = {name: known.loa for name, known in self._site.broker.providers.items()}
        view = young.fitted(view, client, clinic, levels, notice.provider if notice else None)
        return self._page(self._site.pages.choose(view), [origin_of(transaction.request.redirect_uri), *origins])

    def form(self, transaction: Transaction, nonce: str) -> Response:
        """Show the form a provider asked for; one for the eID itself posts itself there (SAML bindings, 3.5)."""
        client, clinic = self._site.broker.parties(transaction.request)
        form = transaction.form or PendingForm(page="choose")
        if form.action is not None:
            return self.post_to(form.action, form.values, transaction.language)
        others = [name for name in self._site.broker.ways(transaction) if name != transaction.provider]
        shut = bool(form.values.get("locked"))
        view = views.FormView(
            frame=replace(self._frame(transaction, client, clinic), about=_acted_for(transaction)),
            action=f"/t/{transaction.id}/{form.page}",
            nonce=nonce,
            page=form.page,
            values={**self._as_now(form.values), **_terms(form, clinic, transaction.language)},
            errors=form.errors,
            eid=self._title(transaction.provider or ""),
            ways=tuple(map(self._way, others)) if shut else (),
            elsewhere=f"/t/{transaction.id}/choose",
        )
        # Chromium holds the way to a register's own page against form-action, as the way to an eID.
        onward = others if shut else [form.values["elsewhere"]] if form.values.get("elsewhere") else []
        origins = [origin for name in onward for origin in self._site.origins(name)]
        return self._page(self._site.pages.form(view), [origin_of(transaction.request.redirect_uri), *origins])

    def _as_now(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Return a form's values with what has become of the code since: a dead channel is said at the next look."""
        if not values.get("message"):
            return values
        dead = self._site.undelivered(values)
        return {**values, "dead": "1" if dead else "", **({"again": ""} if dead else {})}

    def register(self, transaction: Transaction, nonce: str) -> Response:
        """Ask who is to be registered: the person, or a child of theirs; posts `who`."""
        client, clinic = self._site.broker.parties(transaction.request)
        titles = [self._title(name) for name in self._site.broker.ways(transaction)]
        view = views.FormView(
            frame=self._frame(transaction, client, clinic),
            action=f"/t/{transaction.id}/register",
            nonce=nonce,
            page="register",
            values={"age": str(clinic.limits.but(client.ages).grown_up), "eids": ", ".join(filter(None, titles))},
        )
        return self._page(self._site.pages.form(view), [origin_of(transaction.request.redirect_uri)])

    def fields(  # noqa: PLR0913 - the one door for every page outside a sign-in
        self,
        page: str,
        values: Mapping[str, str],
        errors: Mapping[str, str],
        *,
        client: Client | None,
        language: str,
        action: str,
        nonce: str,
        status: int = 200,
        rows: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> Response:
        """Show a form outside a transaction's own: a forgotten password, a link that was sent, My page.

        With an `action` the language is switched by posting `lang` there, else by asking for the page again.
        """
        clinic = self._site.clinics.find(client.clinic) if client else None
        offered = clinic.offered_languages if clinic else LANGUAGES
        if action:
            frame = replace(self._plain_frame(client, language), languages=offered, switch_path=None)
        else:
            frame = self._plain_frame(client, self.language([language], offered))
        view = views.FormView(
            frame=frame, action=action, nonce=nonce, page=page, values=values, errors=errors, rows=rows or {}
        )
        return self._page(self._site.pages.form(view), status=status)

    def post_to(
        self,
        action: str,
        fields: Mapping[str, str],
        language: str,
        *,
        onward: Sequence[str] = (),
        target: str | None = None,
        framed: Sequence[str] = (),
    ) -> Response:
        """Send the browser somewhere by a form that posts itself.

        `onward` are origins, and `target` an address, that it may be redirected to from there; `framed` are
        origins that may show the page in a frame.
        """
        view = views.FormPostView(frame=views.Frame(language=language, languages=()), action=action, fields=fields)
        origins = [origin_of(action), *onward, *([origin_of(target)] if target else [])]
        return self._page(self._site.pages.form_post(view), origins, ancestors=tuple(framed))

    def wait(self, transaction: Transaction, nonce: str) -> Response:
        """Show the page that waits for an app."""
        client, clinic = self._site.broker.parties(transaction.request)
        provider, wait = transaction.provider or "", _pending(transaction)
        view = views.WaitView(
            frame=self._frame(transaction, client, clinic),
            base=f"/t/{transaction.id}",
            nonce=nonce,
            way=self._way(provider),
            eid=self._site.waits.app(transaction),
            device=wait.device,
            state=state_of(wait),
            says=wait.says,
        )
        return self._page(self._site.pages.wait(view), [origin_of(transaction.request.redirect_uri)], frames=True)

    def code(self, transaction: Transaction, **shown: Any) -> Response:
        """Show the small document with the code, or what is said in its place: `shown` are CodeView's fields."""
        client, clinic = self._site.broker.parties(transaction.request)
        eid = self._site.waits.app(transaction) if transaction.wait else ""
        view = views.CodeView(frame=self._frame(transaction, client, clinic), eid=eid, **shown)
        return self._page(self._site.pages.code(view), framed=True)

    def says(self, transaction: Transaction) -> str:
        """Return the words of the page that waits, as they are now."""
        _, clinic = self._site.broker.parties(transaction.request)
        eid, says = self._site.waits.app(transaction), _pending(transaction).says
        return self._site.pages.says(says, eid=eid, language=transaction.language, country=clinic.country)

    def already(self, transaction: Transaction) -> Response:
        """Show that this sign-in is finished, with the way to the service."""
        client, clinic = self._site.broker.parties(transaction.request)
        frame = replace(
            self._frame(transaction, client, clinic, live=False),
            language=self.language([transaction.language], clinic.offered_languages),
            **_switch(),
        )
        back, own = client.way_back, f"/me/{clinic.id}"
        own_href = None if back and back.endswith(own) else own  # My page is a service too
        view = views.WayBackView(frame=frame, back_href=back, own_href=own_href)
        return self._page(self._site.pages.already(view))

    def _frame(self, transaction: Transaction, client: Client, clinic: Clinic, *, live: bool = True) -> views.Frame:
        return views.Frame(
            language=transaction.language,
            languages=clinic.offered_languages if live else (),
            country=clinic.country,
            service=client.called(transaction.language, transaction.request.door),
            clinic=clinic.name,
            phone=clinic.phone,
            help_href=clinic.help_url,
            privacy_href=clinic.privacy_url,
            cancel_href=f"/t/{transaction.id}/cancel" if live else None,
            zone=clinic.zone,
            whence={"t": transaction.id},
            **closing(transaction if live else None, self._site.clock.now()),
        )

    def _notice(self, notice: Notice) -> views.Notice:
        return views.Notice(key=notice.key, eid=self._named_in(notice), ref=notice.ref)

    def _named_in(self, notice: Notice) -> str | None:
        """Return what an eID is called in a notice: where it is about the app, as the app is called."""
        known = self._site.broker.providers.get(notice.provider or "")
        if isinstance(known, App) and notice.key.startswith("b."):
            return known.short
        return self._title(notice.provider) if notice.provider else None

    def _way(self, name: str, **seen: bool) -> views.Way:
        return views.way(name, self._title(name), self._site.kinds.get(name, ""), **seen)

    def _title(self, provider: str) -> str:
        return known.title if (known := self._site.broker.providers.get(provider)) else provider

    # ---- answers to the client -------------------------------------------------------------------

    def deliver(self, response: AuthorizationResponse, language: str) -> Response:
        """Send an authorization response by the browser: in the query, or as a form that posts itself."""
        if response.mode != "form_post":
            return see_other(response.url)
        return self.post_to(response.redirect_uri, response.parameters, language)

    # ---- pages outside a transaction -------------------------------------------------------------

    def gone(self, client_id: str | None, language: str | None) -> Response:
        """Show that the time is up, with the way back to the service if we still know which."""
        client = self._site.clients.find(client_id) if client_id else None
        frame = self._plain_frame(client, self.language([language or ""]))
        back = client.way_back if client else None
        return self._page(self._site.pages.gone(views.WayBackView(frame=frame, back_href=back)), status=410)

    def problem(
        self,
        problem: views.Problem,
        *,
        status: int,
        ref: str | None = None,
        explanation: str | None = None,
        client: Client | None = None,
    ) -> Response:
        """Show what went wrong; the explanation for developers only in the sandbox."""
        view = views.ProblemView(
            frame=self._plain_frame(client),
            problem=problem,
            ref=ref,
            back_href=client.way_back if client else None,
            explanation=explanation if self._site.sandbox else None,
        )
        return self._page(self._site.pages.problem(view), status=status)

    def logged_out(self, client: Client | None, language: str) -> Response:
        """Show that the person is signed out."""
        frame = self._plain_frame(client, language)
        back = client.way_back if client else None
        return self._page(self._site.pages.logged_out(views.WayBackView(frame=frame, back_href=back, shared=True)))

    def telling(self, farewell: Farewell) -> Response:
        """Show the page that goes on by itself, when its frames have told services that the sign-on is over."""
        view = views.TellingView(
            frame=self._leaving_frame(farewell), frames=farewell.frames, onward_href=f"/goodbye/{farewell.id}/on"
        )
        return self._page(self._site.pages.telling(view), frame_origins=[origin_of(url) for url in farewell.frames])

    def farewell(self, farewell: Farewell) -> Response:
        """Show what has ended, and whether the eID has said so too."""
        client = self._site.clients.find(farewell.client_id) if farewell.client_id else None
        found = [self._site.clients.find(name) for name in farewell.services]
        services = [one.called(farewell.language) for one in found if one is not None]
        view = views.FarewellView(
            frame=self._leaving_frame(farewell),
            back_href=farewell.target or (client.way_back if client else None),
            ended=(*services, *map(self._title, farewell.ended)),
            unsure=tuple(map(self._title, farewell.unsure)),
        )
        return self._page(self._site.pages.farewell(view))

    def _leaving_frame(self, farewell: Farewell) -> views.Frame:
        client = self._site.clients.find(farewell.client_id) if farewell.client_id else None
        return replace(self._plain_frame(client, farewell.language), languages=())

    def stayed(self, client: Client | None, language: str) -> Response:
        """Show that the person stayed signed in."""
        frame = self._plain_frame(client, language)
        back = client.way_back if client else None
        return self._page(self._site.pages.stayed(views.WayBackView(frame=frame, back_href=back)))

    def confirm_logout(
        self,
        client: Client | None,
        language: str,
        fields: dict[str, str],
        target: str | None,
    ) -> Response:
        """Ask whether to sign out."""
        view = views.LogoutView(frame=self._plain_frame(client, language), action="/logout", fields=fields)
        origins = [origin_of(target)] if target else []
        return self._page(self._site.pages.confirm_logout(view), origins)

    def document(self, view: views.DocumentView) -> Response:
        """Show help, privacy or the accessibility statement."""
        return self._page(self._site.pages.document(view))

    def _plain_frame(self, client: Client | None, language: str | None = None) -> views.Frame:
        clinic = self._site.clinics.find(client.clinic) if client else None
        spoken = language or self.language()
        return views.Frame(
            language=spoken,
            **_switch(),
            country=clinic.country if clinic else None,
            service=client.called(spoken) if client else None,
            clinic=clinic.name if clinic else None,
            phone=clinic.phone if clinic else None,
            zone=clinic.zone if clinic else UTC,
            whence={"client": client.id} if client else {},
        )

    def _page(
        self,
        html: str,
        origins: Iterable[str] = (),
        *,
        status: int = 200,
        **framing: Any,
    ) -> Response:
        response = Response(html, status=status, content_type="text/html; charset=utf-8")
        headers = page_headers(tuple(origins), https=self._site.https, **framing)
        response.headers.update(headers)
        response.headers["Vary"] = "Cookie, Accept-Language"
        return response


def state_of(wait: PendingWait) -> views.WaitState:
    """Return which of its parts the page that waits shows."""
    if wait.says == _RETURN:
        return views.WaitState.RETURNING
    return views.WaitState(wait.progress.value)


def _acted_for(transaction: Transaction) -> str | None:
    """Return the name of whom this sign-in is about, when that is somebody else; "" for one without a name."""
    about = transaction.about
    return (about.acting.name or "") if about is not None and about.acting is not None else None


def _terms(form: PendingForm, clinic: Clinic, language: str) -> Mapping[str, str]:
    """Return the text of the terms that a form is about, in the language that is spoken now."""
    version = form.values.get("terms") or form.values.get("version")
    if clinic.terms is None or clinic.terms.version != version:
        return {}
    return {"text": clinic.terms.text(language), "text_lang": clinic.terms.spoken(language)}


def _pending(transaction: Transaction) -> PendingWait:
    if transaction.wait is None:
        raise NotFound("nothing is waited for")
    return transaction.wait


def _switch() -> dict[str, Any]:
    """Return how a page without a form of its own switches language: by being asked for again.

    Not what an eID sent: its address holds a code or a message, which has no business in a page.
    """
    if request.method != "GET" or request.path.startswith(("/callback/", "/logout/", "/metadata/")):
        return {"languages": ()}
    again = {name: value for name, value in request.args.items() if name != "lang"}
    # Encoded anew, with one slash in front: whatever the path holds, this is an address of ours.
    path = "/" + quote(request.path.lstrip("/"))
    return {"languages": LANGUAGES, "switch_path": path, "switch_fields": again}
