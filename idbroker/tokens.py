"""What clients do with a grant: redeem, refresh, look up, revoke."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from idbroker.client import Client, Clients
from idbroker.clock import Clock
from idbroker.codec import Codec
from idbroker.errors import OAuthError
from idbroker.events import Event, Events
from idbroker.grant import Grant, LiveToken, RefreshToken, RefreshTokens
from idbroker.keeping import Shelf
from idbroker.oidc import bearer, jose, token
from idbroker.oidc.secret import Secret, new_secret
from idbroker.sealing import Sealer
from idbroker.transaction import Transient

GRANT_SLACK = timedelta(minutes=5)
# Each time somebody else was faster, that somebody is done: this outlasts all threads of a host.
_TRIES = 200
MOST_LIVE = 100  # access tokens of one family at a time; the oldest give way


class Keys(Protocol):
    """Our signing keys."""

    def signing(self, alg: str) -> jose.Signer:
        """Return the key that signs by an algorithm now."""
        ...

    def verification_key(self, kid: str) -> Any | None:
        """Return a published key of ours, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Redeems and looks up. One grant is one record: its code, its live tokens, and so its whole family.

    `died` tells whether a clinic has noted a person's death.
    """

    issuer: str
    clock: Clock
    grants: Shelf[Grant]
    refresh_tokens: RefreshTokens
    clients: Clients
    events: Events
    keys: Keys
    sealer: Sealer
    died: Callable[[str, str], bool] = lambda _person, _clinic: False

    # ---- the token endpoint ----------------------------------------------------------------------

    def redeem(self, client: Client, request: token.CodeRequest) -> Mapping[str, Any]:
        """Redeem a code, exactly once whatever the number of parallel tries. Raises OAuthError."""
        now = self.clock.now()
        kept = self.grants.get(request.code.family)
        if kept is None or not token.is_code_of(request, kept.value):
            raise OAuthError("invalid_grant", "The code is not valid", detail="no such code")
        try:
            token.check_redemption(token.Redemption(grant=kept.value, client=client, request=request, now=now))
        except OAuthError as error:
            # Whoever else holds this code: nothing that came of it, or could, is good any more.
            self.revoke_family(kept.value, why=error.detail)
            raise
        if self._is_dead(kept.value):
            # Noted while the sign-in was under way: what ended their grants then had not seen this one.
            self.revoke_family(kept.value, why="deceased")
            raise OAuthError("invalid_grant", "The code is not valid", detail="deceased")
        access = self._access_token(kept.value, client, kept.value.scopes, now)
        spent = kept.value.spent(access.kept)
        # Before the code is spent, not after: whoever ends the family from then on finds the token.
        refresh = self._first_refresh_token(spent, client, now)
        if not self.grants.swap(spent.id, kept.raw, spent, client.access_token_life + GRANT_SLACK):
            self.refresh_tokens.revoke(family=spent.id)
            return self.redeem(client, request)  # somebody was faster: the code is found spent now, or gone
        return self._response(spent, client, access, refresh, now, renewed=False)

    def refresh(self, client: Client, request: token.RefreshRequest) -> Mapping[str, Any]:
        """Give new tokens for a refresh token. Raises OAuthError."""
        now = self.clock.now()
        found = self.refresh_tokens.find(request.token.digest)
        kept = token.check_refresh(found, client, now)
        grant = _GRANTS.unpack(self.sealer.open(kept.grant, kept.digest.encode()))
        if grant.ended(now) or not token.takes(client, grant) or self._is_dead(grant):
            raise OAuthError("invalid_grant", "The refresh token is not valid", detail="what it rests on is over")
        # A scope taken from the client since is not given again.
        still = tuple(scope for scope in grant.scopes if scope in client.scopes)
        scopes = token.narrowed(request.scopes, still)
        if client.refresh == "rotate" and not self.refresh_tokens.use(kept.digest, now):
            # Used before: it was stolen, or its thief was first. Both lose (RFC 9700, 4.14.2).
            self.revoke_family(grant, why="refresh token used twice")
            raise OAuthError("invalid_grant", "The refresh token is not valid", detail="used before")
        access = self._access_token(grant, client, scopes, now)
        self._add_live(grant, client, access.kept, now)
        again = self._refresh_token(grant, client, kept.expires_at, now) if client.refresh == "rotate" else None
        if self.refresh_tokens.find(kept.digest) is None:
            # The family was ended while we worked on it: what we just added must go too.
            self.end_family(grant.id)
            raise OAuthError("invalid_grant", "The refresh token is not valid", detail="revoked meanwhile")
        return self._response(grant, client, access, again, now, renewed=True)

    def presented(self, client: Client, text: str) -> tuple[Grant, LiveToken] | None:
        """Return what a living access token of this client's own stands for; None for any other."""
        found = self._live(text)
        return found if found is not None and found[0].client_id == client.id else None

    def issue(self, client: Client, grant: Grant) -> Mapping[str, Any] | None:
        """Give the one access token of a grant whose code nobody has; None if the family has ended meanwhile."""
        now = self.clock.now()
        kept = self.grants.get(grant.id)
        access = self._access_token(grant, client, grant.scopes, now)
        life = client.access_token_life + GRANT_SLACK
        if kept is None or not self.grants.swap(grant.id, kept.raw, kept.value.spent(access.kept), life):
            return None
        return self._response(grant, client, access, None, now, renewed=True)

    def _is_dead(self, grant: Grant) -> bool:
        """Tell whether the clinic has noted a death since: of who signed in, or of whom it is about."""
        return any(self.died(one, grant.clinic) for one in (grant.person, grant.ward) if one is not None)

    def _access_token(self, grant: Grant, client: Client, scopes: tuple[str, ...], now: datetime) -> token.AccessToken:
        signer = self.keys.signing(client.id_token_alg) if client.access_token == "jwt" else None
        return token.new_access_token(grant, client, scopes, issuer=self.issuer, now=now, signer=signer)

    def _response(
        self,
        grant: Grant,
        client: Client,
        access: token.AccessToken,
        refresh_token: str | None,
        now: datetime,
        *,
        renewed: bool,
    ) -> Mapping[str, Any]:
        text = token.id_token(
            grant,
            issuer=self.issuer,
            now=now,
            access_token=access.text,
            signer=self.keys.signing(client.id_token_alg),
            renewed=renewed,
        )
        return token.response(access, text, refresh_token, now)

    def _first_refresh_token(self, grant: Grant, client: Client, now: datetime) -> str | None:
        if client.refresh == "never" or "offline_access" not in grant.scopes:
            return None
        until = now + client.refresh_life
        return self._refresh_token(grant, client, until if grant.until is None else min(until, grant.until), now)

    def _refresh_token(self, grant: Grant, client: Client, expires_at: datetime, now: datetime) -> str:
        """Make one. A rotated one ends when the first would have: a family has an absolute end (ASVS 10.4.8)."""
        secret = new_secret(grant.id)
        renewable = replace(grant, live=(), nonce=None, code_spent=True)
        self.refresh_tokens.add(
            RefreshToken(
                digest=secret.digest,
                family=grant.id,
                client_id=client.id,
                session=grant.session,
                person=grant.person,
                grant=self.sealer.seal(_GRANTS.pack(renewable), secret.digest.encode()),
                issued_at=now,
                expires_at=expires_at,
            )
        )
        return secret.text

    def _add_live(self, grant: Grant, client: Client, live: LiveToken, now: datetime) -> None:
        life = client.access_token_life + GRANT_SLACK
        for _ in range(_TRIES):
            kept = self.grants.get(grant.id)
            base = kept.value if kept else replace(grant, live=(), code_spent=True)
            more = base.with_token(live, now)
            more = replace(more, live=more.live[-MOST_LIVE:])
            if self.grants.swap(grant.id, kept.raw if kept else None, more, life):
                return
        raise _busy()

    # ---- looking up ------------------------------------------------------------------------------

    def userinfo(self, text: str) -> Mapping[str, Any]:
        """Return what an access token's client may know. Raises bearer.BearerError."""
        found = self._live(text)
        if found is None:
            raise bearer.BearerError("invalid_token", "The access token is not valid", status=401)
        return bearer.userinfo(*found)

    def introspect(self, client: Client, text: str) -> Mapping[str, Any]:
        """Describe a token to a client that may know: its own, or any if it is registered to introspect."""
        found = self._live(text)
        if found is None or not (client.introspect or found[0].client_id == client.id):
            return {"active": False}
        return bearer.introspection(*found, client, self.issuer)

    def client_of(self, text: str) -> str | None:
        """Return the id of the client an access token was given to, for its CORS origins."""
        found = self._live(text)
        return found[0].client_id if found else None

    def _live(self, text: str) -> tuple[Grant, LiveToken] | None:
        secret = bearer.read(text, self.keys.verification_key, self.issuer)
        kept = self.grants.get(secret.family) if secret else None
        live = bearer.live_token(kept.value, secret, self.clock.now()) if kept and secret else None
        if kept is None or live is None:
            return None
        client = self.clients.find(kept.value.client_id)
        good = client is not None and not client.disabled and token.takes(client, kept.value)
        return (kept.value, live) if good else None

    # ---- ending ----------------------------------------------------------------------------------

    def revoke(self, client: Client, text: str) -> None:
        """Revoke one of the client's own tokens; a refresh token takes its family along (RFC 7009, 2.1)."""
        secret = bearer.read(text, self.keys.verification_key, self.issuer)
        if secret is None:
            return
        refresh = self.refresh_tokens.find(secret.digest)
        if refresh is not None:
            if refresh.client_id == client.id:
                self.end_family(refresh.family)
            return
        self._revoke_access(client, secret)

    def _revoke_access(self, client: Client, secret: Secret) -> None:
        for _ in range(_TRIES):
            kept = self.grants.get(secret.family)
            if kept is None or kept.value.client_id != client.id:
                return
            without = kept.value.without_token(secret.digest)
            if self.grants.swap(secret.family, kept.raw, without, client.access_token_life + GRANT_SLACK):
                return
        raise _busy()  # never "done" for what was not done (RFC 7009, 2.2.1)

    def revoke_family(self, grant: Grant, *, why: str) -> None:
        """End a family because something about it is wrong, and record why."""
        self.end_family(grant.id)
        self.events.record(
            Event(
                at=self.clock.now(),
                kind="grant.revoked",
                client=grant.client_id,
                clinic=grant.clinic,
                provider=grant.provider,
                person=grant.person,
                detail={"why": why},
            )
        )

    def end_family(self, family: str) -> None:
        """End a family: its code, its access tokens, its refresh tokens.

        Refresh tokens go first and last. First, so that a refresh under way finds its token gone and
        takes back what it added; last, so that a code redeemed meanwhile leaves none behind.
        """
        self.refresh_tokens.revoke(family=family)
        self.grants.take(family)
        self.refresh_tokens.revoke(family=family)

    def end_person(self, person: str, *, but: str | None = None, client_id: str | None = None) -> None:
        """End a person's refresh tokens, however long the sign-ons that they came of are over.

        Those of the sign-on `but` stay; with a `client_id` only that client's end.
        """
        for family in self.refresh_tokens.families(person, but=but, client_id=client_id):
            self.end_family(family)  # its access tokens, too
        self.refresh_tokens.revoke(person=person, but=but, client_id=client_id)

    def end_session(self, session: str) -> None:
        """End the refresh tokens that rest on a sign-on which is over."""
        self.refresh_tokens.revoke(session=session)


_GRANTS = Codec(Grant)


def _busy() -> OAuthError:
    return OAuthError("temporarily_unavailable", "Try again", status=503, detail="too many changes at once")


def once(transient: Transient, clock: Clock) -> Callable[[str, datetime], bool]:
    """Return a `use_once`: True exactly once per name until its time, across all workers."""

    def use_once(name: str, until: datetime) -> bool:
        key = f"j:{hashlib.sha256(name.encode()).hexdigest()}"
        life = max(until - clock.now(), timedelta(seconds=1))
        return transient.swap(key, None, b"1", life)

    return use_once
