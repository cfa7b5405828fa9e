"""Ending a sign-on: here, at every service it reached, and at the eID it came from; or because the eID ended it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from idbroker.client import Clients
from idbroker.clock import Clock
from idbroker.errors import NotFound, ProviderError, StoreError, Unreachable, Untrusted
from idbroker.events import Event, Events
from idbroker.farewell import LIFE, Afterwards, Errand, Farewell
from idbroker.guardianship.delegation import Delegation, Delegations
from idbroker.keeping import Kept, Shelf
from idbroker.oidc.logout import LogoutRequest
from idbroker.providers import Federated, Leaving, Message, Post, Provider, Redirect, Summons
from idbroker.session import Session, key_of
from idbroker.session_index import FOR_GOOD, SessionIndex
from idbroker.tokens import Tokens

MOST_SUCCESSORS = 8
_TRIES = 20
_NOBODY = LogoutRequest(client=None, hint=None, redirect_uri=None, state=None)
_HANDED_BACK = timedelta(hours=8)  # as long as the cookie of a sign-on that is over may lie on a tablet


@dataclass(frozen=True, kw_only=True)
class Signout:
    """Signs people out.

    `notify` makes sure that every client a sign-on reached will be told of its end, however often it is
    called; `wake` has that begin now. `ended` is told of each end, for whoever began the sign-on for somebody else.
    `delegations` are what acts for wards; `notify_one` tells the one client that one of them has ended.
    """

    issuer: str
    clock: Clock
    sessions: Shelf[Session]
    index: SessionIndex
    farewells: Shelf[Farewell]
    afterwards: Shelf[Afterwards]
    tokens: Tokens
    clients: Clients
    providers: Mapping[str, Provider]
    notify: Callable[[Session], None]
    wake: Callable[[], None]
    once: Callable[[str, datetime], bool]
    events: Events
    delegations: Delegations
    notify_one: Callable[[Delegation], None]
    ended: Callable[[Session, datetime], None] = lambda _session, _now: None

    def must_confirm(self, request: LogoutRequest, session: Session) -> bool:
        """Tell whether the person has to be asked first (RP-Initiated Logout 2; ASVS 10.6.2).

        A hint for the sign-on that is here shows that its client asks. Without one, or with one for
        another sign-on, any page on the web could have sent the browser.
        """
        hint = request.hint
        return hint is None or hint.sid not in {reached.sid for reached in session.reached}

    # ---- here ------------------------------------------------------------------------------------

    def session(self, secret: str | None) -> Session | None:
        """Return the sign-on of a cookie, idle for however long: what rests on it may still live, and end."""
        kept = self.sessions.get(self._newest(key_of(secret))) if secret else None
        return kept.value if kept is not None else None

    def end(self, secret: str, request: LogoutRequest, language: str) -> Farewell | None:
        """End the sign-on of a cookie and all that rests on it; return what is still to be done elsewhere.

        Asked again, by a second press or a reload, it returns the same: on a shared computer nobody may
        be told that they are out while the eID would let the next person in.
        """
        for _ in range(_TRIES):
            key = self._newest(key_of(secret))
            kept = self.sessions.get(key)
            if kept is None:
                return self._begun(key)
            farewell = self._farewell(kept.value, request, language)
            self.farewells.put(farewell.id, farewell, LIFE)
            mine = self.afterwards.swap(key, None, Afterwards(farewell=farewell.id), LIFE)
            begun = farewell if mine else self._begun(key)
            if begun is not None:
                # Another tab may be at a question with a proof of its own: on a shared computer it must not go on.
                self.index.end_person(kept.value.person, self.clock.now())
                self._end(kept, "asked")
                return begun
        raise StoreError("too many changes at once")

    def end_here(self, secret: str | None) -> None:
        """End the sign-on of a cookie, if it has one, with all that rests on it: the next person has the screen."""
        for _ in range(_TRIES):
            kept = self.sessions.get(self._newest(key_of(secret))) if secret else None
            if kept is None:
                return
            self.index.end_person(kept.value.person, self.clock.now())
            self._end(kept, "asked")
        raise StoreError("too many changes at once")

    def end_all(self, session: Session) -> None:
        """End all that rests on a sign-on that is no longer kept: another has taken its place, or must not."""
        self._end_rest(session, "replaced")

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        """End every sign-on of a person, but one, and what came of any (ASVS 7.4.2, 7.4.3); return how many."""
        found = [self.sessions.get(key) for key in self.index.of_person(person) if key != but]
        own = [kept for kept in found if kept is not None and kept.value.person == person]
        for kept in own:
            self._end(kept, why)
        # What is proved and waits for an answer must not become a sign-on afterwards.
        self.index.end_person(person, self.clock.now())
        # A refresh token may outlive its sign-on by weeks, and the index that found the sign-on.
        self.tokens.end_person(person, but=but)
        return len(own)

    def end_one(self, person: str, key: str) -> bool:
        """End one sign-on of a person at the person's wish; False if it is not theirs, or over."""
        kept = self.sessions.get(key)
        if kept is None or kept.value.person != person:
            return False
        self._end(kept, "asked")
        return True

    def end_client(self, person: str, client_id: str) -> None:
        """End what one client was given by a person's sign-ons (ASVS 10.4.9); they themselves live on."""
        for session in self.of_person(person):
            for reached in session.reached:
                if reached.client_id == client_id:
                    self.tokens.end_family(reached.grant)
            self._forget_acting(session, "asked", client_id)
        self.tokens.end_person(person, client_id=client_id)

    def end_acting(
        self,
        ward: str,
        why: str,
        *,
        clinic: str | None = None,
        guardian: str | None = None,
        client: str | None = None,
    ) -> int:
        """End what acts for a ward, at one clinic or client or at all, by one guardian or any; return how much it was.

        The guardian stays signed on: for themselves, and for others. The client hears of it as of a logout.
        """
        found = [
            one
            for one in self.delegations.of_ward(ward, clinic)
            if guardian in (None, one.guardian) and client in (None, one.client)
        ]
        for one in found:
            self.end_delegation(one, why)
        return len(found)

    def end_delegation(self, delegation: Delegation, why: str, reason: str = "") -> None:
        """End one: its tokens first, then whoever holds them is told, and only then it is forgotten."""
        self.tokens.end_family(delegation.grant)
        self.notify_one(delegation)
        detail = {"why": why, "reason": reason, "guardian": delegation.guardian}
        self._acting_ended(delegation.client, delegation.clinic, delegation.ward, detail)
        self.delegations.done(delegation.grant)
        self._mark_ended(delegation)
        self.wake()

    def _mark_ended(self, delegation: Delegation) -> None:
        """Mark it at the sign-on, too, or its client would be told of the same end again at every later one.

        It stays there: a service that renews in silence what was about a ward must not be given the guardian's own.
        """
        for _ in range(_TRIES):
            kept = self.sessions.get(self._newest(delegation.session))
            if kept is None:
                return
            marked = tuple(
                replace(reached, ended=True) if reached.grant == delegation.grant else reached
                for reached in kept.value.reached
            )
            ended = replace(kept.value, reached=marked)
            if ended == kept.value or self.sessions.swap(ended.key, kept.raw, ended, self.index.life):
                return

    def _forget_acting(self, session: Session, why: str, client_id: str | None = None) -> None:
        """Forget what acts for wards by a sign-on that is over, at one client or at all: nothing is left to judge."""
        for reached in session.reached:
            meant = client_id in (None, reached.client_id)
            if meant and reached.acting is not None and self.delegations.done(reached.grant):
                client = self.clients.find(reached.client_id)
                clinic = client.clinic if client is not None else None
                detail = {"why": why, "guardian": session.person}
                self._acting_ended(reached.client_id, clinic, reached.acting.ward, detail)

    def _acting_ended(self, client: str, clinic: str | None, ward: str, detail: Mapping[str, str]) -> None:
        """Write into the ward's own trail that somebody acts for them no more."""
        said = {name: word for name, word in detail.items() if word}
        now = self.clock.now()
        self.events.record(Event(at=now, kind="acting.ended", client=client, clinic=clinic, person=ward, detail=said))

    def of_person(self, person: str) -> tuple[Session, ...]:
        """Return a person's sign-ons, the newest first."""
        found = [self.sessions.get(key) for key in reversed(self.index.of_person(person))]
        return tuple(kept.value for kept in found if kept is not None and kept.value.person == person)

    def _newest(self, key: str) -> str:
        """Return the key of the sign-on that has taken this one's place, which a late logout means as well."""
        for _ in range(MOST_SUCCESSORS):
            kept = self.afterwards.get(key)
            if kept is None or kept.value.successor is None:
                return key
            key = kept.value.successor
        return key

    def _begun(self, key: str) -> Farewell | None:
        kept = self.afterwards.get(key)
        found = self.farewells.get(kept.value.farewell) if kept is not None and kept.value.farewell else None
        return found.value if found is not None else None

    def _end(self, kept: Kept[Session], why: str) -> None:
        # Before the sign-on is gone, so that a crash in between leaves nobody untold.
        self.notify(kept.value)
        self._noted(kept.value)
        session = self.sessions.take(kept.value.key)
        if session is not None:
            self._end_rest(session, why)

    def _end_rest(self, session: Session, why: str) -> None:
        self._noted(session)
        self.notify(session)
        for family in dict.fromkeys(reached.grant for reached in session.reached):
            self.tokens.end_family(family)
        self.tokens.end_session(session.key)
        self._forget_acting(session, why)
        event = Event(
            at=self.clock.now(),
            kind="session.ended",
            person=session.person,
            provider=session.identity.provider,
            detail={"why": why},
        )
        self.events.record(event)
        self.wake()
        if session.identity.assisted is not None:
            self._taken_back(session)

    def _noted(self, session: Session) -> None:
        """Note for staff that a sign-on of theirs ends, before it does: a "yes" pressed again must not revive it."""
        if session.identity.assisted is not None:
            self.ended(session, self.clock.now())

    def _taken_back(self, session: Session) -> None:
        """Note it for the screen: who presses "log out" there later is shown the end, never the service's page."""
        farewell = self._farewell(session, _NOBODY, session.language)
        if self.afterwards.swap(session.key, None, Afterwards(farewell=farewell.id), _HANDED_BACK) is not None:
            self.farewells.put(farewell.id, replace(farewell, frames=()), _HANDED_BACK)

    # ---- then elsewhere --------------------------------------------------------------------------

    def _farewell(self, session: Session, request: LogoutRequest, language: str) -> Farewell:
        assisted = session.identity.assisted
        return Farewell(
            id=secrets.token_urlsafe(16),
            language=language,
            client_id=request.client.id if request.client else None,
            # A screen that is handed on must not show the next patient the service of the one before, or who it was.
            target=request.target if assisted is None else None,
            services=tuple(dict.fromkeys(reached.client_id for reached in session.reached)),
            frames=self._frames(session),
            waiting=tuple(rests for rests in session.rests if rests.logout is not None),
            handed_back=assisted is not None,
            paired=assisted is not None and not assisted.screen,
        )

    def unfinished(self, name: str) -> Farewell | None:
        """Return a farewell if an eID is still to be told."""
        kept = self.farewells.get(name)
        return kept.value if kept is not None and kept.value.waiting else None

    def again(self, name: str) -> Farewell | None:
        """Return a farewell that is asked for once more, if an eID is still to be told: those that were down, too."""
        kept = self.farewells.get(name)
        anew = kept.value.again() if kept is not None else None
        if kept is not None and anew is not None and anew != kept.value:
            self.farewells.swap(name, kept.raw, anew, LIFE)
        return anew if anew is not None and anew.waiting else None

    def found(self, name: str) -> Kept[Farewell]:
        """Return a farewell by its id. NotFound when its time is up."""
        kept = self.farewells.get(name) if len(name) == 22 else None
        if kept is None:
            raise NotFound("no such farewell, or its time is up")
        return kept

    def leave(self, name: str) -> Farewell:
        """Return a farewell with the errand to the eID whose turn it is; without one there is nothing more to do."""
        for _ in range(_TRIES):
            kept = self.found(name)
            farewell = kept.value
            if farewell.errand is not None or not farewell.waiting:
                return farewell
            moved = self._asked(farewell)
            if self.farewells.swap(name, kept.raw, moved, LIFE) and (moved.errand or not moved.waiting):
                return moved
        raise StoreError("too many changes at once")

    def _asked(self, farewell: Farewell) -> Farewell:
        rests = farewell.waiting[0]
        provider = self.providers.get(rests.provider)
        if not isinstance(provider, Federated):
            return farewell.next(ended=None)
        try:
            sent = provider.leave(self._leaving(farewell))
        except ProviderError as error:
            self._record("logout.unfinished", rests.provider, error.detail or error.code)
            return farewell.next(ended=False, missed=isinstance(error, Unreachable))
        match sent:
            case Redirect(url=url, state=state):
                return farewell.sent(Errand(action=url), state)
            case Post(action=action, fields=fields, state=state):
                return farewell.sent(Errand(action=action, fields=fields), state)
            case None:
                return farewell.next(ended=None)

    def left(self, name: str, provider_name: str, message: Message) -> None:
        """Take an eID's answer.

        One that does not verify says that nothing is known: our own session has ended whatever it says.
        """
        kept, provider = self.found(name), self.providers.get(provider_name)
        farewell = kept.value
        if farewell.provider != provider_name or farewell.errand is None or not isinstance(provider, Federated):
            return  # the same answer again, or another eID's: nothing is believed
        try:
            ended = provider.left(self._leaving(farewell), farewell.state, message)
            if not ended:
                self._record("logout.unfinished", provider_name, "the eID has not ended all")
        except ProviderError as error:
            self._record("logout.untrusted", provider_name, error.detail or error.code)
            ended = False
        # Of two answers at once the first counts.
        self.farewells.swap(name, kept.raw, farewell.next(ended=ended), LIFE)

    # ---- because the eID says so -----------------------------------------------------------------

    def summoned(self, provider_name: str, message: Message) -> Redirect | Post | None:
        """End every sign-on that an eID says is over; return the answer that the browser carries, if it carries one.

        Raises Untrusted for what does not verify or came before, Unreachable, StoreError.
        """
        provider = self.providers.get(provider_name)
        if not isinstance(provider, Federated):
            raise NotFound("no such provider")
        summons = provider.summoned(message)
        over_at = FOR_GOOD if summons.for_good else summons.issued
        found = [self.sessions.get(key) for key in self.index.close(provider_name, summons.names, over_at)]
        # One that was proved afterwards is another: a message that was kept and sent again ends nothing (S36).
        meant = [kept for kept in found if kept is not None and _rests_on(kept.value, provider_name, summons)]
        for kept in meant:
            self._end(kept, "eid")
        # Only now: had the store been away in the midst, the same message must be able to end the rest.
        if not self.once(summons.id, summons.until):
            raise Untrusted("logout: said before")
        # Whom a frame would have to tell is not told from within the eID's own frame (SAML core, 3.7.3.2).
        untold = any(self._frames(kept.value) for kept in meant)
        return provider.dismissed(summons, self.clock.now(), complete=not untold)

    # ---- small words -----------------------------------------------------------------------------

    def _leaving(self, farewell: Farewell) -> Leaving:
        return Leaving(
            logout=farewell.waiting[0].logout or "",
            handle=farewell.id,
            return_url=f"{self.issuer}/logout/{farewell.provider}",
            language=farewell.language,
            now=self.clock.now(),
        )

    def _frames(self, session: Session) -> tuple[str, ...]:
        """Return where services are told in a frame, once for each of their sessions (Front-Channel Logout, 3)."""
        found: dict[str, None] = {}
        for reached in session.reached:
            client = self.clients.find(reached.client_id)
            if client is not None and not client.disabled and client.frontchannel_logout_uri is not None:
                joint = "&" if "?" in client.frontchannel_logout_uri else "?"
                query = urlencode({"iss": self.issuer, "sid": reached.sid})
                found[f"{client.frontchannel_logout_uri}{joint}{query}"] = None
        return tuple(found)

    def _record(self, kind: str, provider: str | None, why: str) -> None:
        self.events.record(Event(at=self.clock.now(), kind=kind, provider=provider, detail={"why": why}))


def _rests_on(session: Session, provider: str, summons: Summons) -> bool:
    names = set(summons.names)
    return any(
        rests.provider == provider and names & set(rests.names) and (summons.for_good or rests.issued <= summons.issued)
        for rests in session.rests
    )
