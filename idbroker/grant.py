"""What one client may know, after one sign-in, and the tokens given for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from idbroker.acting import Acting
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.identity import Identity
from idbroker.request import SigninRequest
from idbroker.session import Session

SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "profile": ("name", "given_name", "family_name", "birthdate"),
    "national_number": ("national_number", "national_number_country"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveToken:
    """An access token that was given out: the digest of its secret part, its scopes, its end."""

    digest: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One family: the code, and every token that came of it, live and die together.

    `claims` are the values released to userinfo, `id_token_claims` those released to the ID token. `act` is who acts
    for the person, as the client may know it (RFC 8693, 4.1); `until` when nothing of the family is good any more.
    Where that is a guardian, `subject` and the claims are the `ward`'s, `person` is the guardian, and `guardianship`
    says what they may do.
    The code is spent once `code_spent` is set; seeing it again revokes the family (RFC 9700, 4.5).
    """

    id: str
    client_id: str
    person: str
    clinic: str
    provider: str
    subject: str = field(repr=False)
    scopes: tuple[str, ...]
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    id_token_claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    auth_time: datetime
    acr: str
    amr: tuple[str, ...] = ()
    nonce: str | None = field(default=None, repr=False)
    redirect_uri: str
    act: Mapping[str, str] | None = field(default=None, repr=False)
    guardianship: Mapping[str, Any] | None = field(default=None, repr=False)
    ward: str | None = None
    until: datetime | None = None
    code_challenge: str | None = field(default=None, repr=False)
    code_digest: str
    code_expires_at: datetime
    code_spent: bool = False
    session: str | None = field(default=None, repr=False)
    sid: str | None = None
    live: tuple[LiveToken, ...] = field(default=(), repr=False)

    def ended(self, now: datetime) -> bool:
        """Tell whether its time is up, however long its tokens would live."""
        return self.until is not None and now >= self.until

    def spent(self, token: LiveToken) -> Grant:
        """Return it with the code used up and its first token given."""
        return replace(self, code_spent=True, live=(token,))

    def with_token(self, token: LiveToken, now: datetime) -> Grant:
        """Return it with one more token; those whose time is up are dropped."""
        return replace(self, live=(*(t for t in self.live if t.expires_at > now), token))

    def without_token(self, digest: str) -> Grant:
        """Return it without one token."""
        return replace(self, live=tuple(t for t in self.live if t.digest != digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """How one client is told of a sign-in: whom it is about, who signed in, the level, and until when it holds.

    `subject` and `actor` are the client's own names for two people: the same one, but for guardians.
    """

    subject: str = field(repr=False)
    actor: str = field(repr=False)
    acting: Acting | None = None
    acr: str
    until: datetime | None = None


def make_grant(
    request: SigninRequest,
    client: Client,
    clinic: Clinic,
    session: Session,
    *,
    spelled: Spelled,
    code: tuple[str, str],
    code_expires_at: datetime,
) -> Grant:
    """Return what this client may know after this sign-in; `code` is the family's id and the code's digest."""
    identity, acting, until = session.identity, spelled.acting, spelled.until
    claims, id_token_claims = released(whose(identity, acting), client, request)
    return Grant(
        id=code[0],
        client_id=client.id,
        person=session.person,
        clinic=clinic.id,
        provider=identity.provider,
        subject=spelled.subject,
        scopes=request.scopes,
        claims=claims,
        id_token_claims=id_token_claims,
        auth_time=identity.proved_at,
        acr=spelled.acr,
        amr=identity.amr,
        nonce=request.nonce,
        act=_act(identity, client, spelled.actor, acting),
        guardianship=None if acting is None else _guardianship(acting, until),
        ward=None if acting is None else acting.ward,
        until=until,
        redirect_uri=request.redirect_uri,
        code_challenge=request.code_challenge,
        code_digest=code[1],
        code_expires_at=code_expires_at,
        session=session.key,
        sid=session.sid(client.id, acting.ward if acting is not None else ""),
    )


def whose(identity: Identity, acting: Acting | None) -> Identity:
    """Return the identity that services are told of: the ward's name and number, proved as the guardian's were."""
    if acting is None:
        return identity
    return replace(
        identity,
        number=acting.number,
        name=acting.name,
        given_name=acting.given_name,
        family_name=acting.family_name,
        birthdate=acting.birthdate,
    )


def _act(identity: Identity, client: Client, actor: str, acting: Acting | None) -> dict[str, str] | None:
    if acting is not None:
        return {"sub": actor}
    assisted = identity.assisted
    return {"role": assisted.role} if assisted is not None and client.assisted == "role" else None


def _guardianship(acting: Acting, until: datetime | None) -> dict[str, Any]:
    """Return what a client is told of the right to act: no more than it rests on (RFC 8693 leaves that to us)."""
    return {
        "relation": acting.relation,
        "basis": acting.basis,
        "powers": list(acting.powers),
        "until": int((until or acting.until).timestamp()),
    }


def released(identity: Identity, client: Client, request: SigninRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the claims for userinfo and those for the ID token (Core 5.4, 5.5).

    A scope releases its claims to userinfo; a claim asked for by name goes where it was asked for,
    but never beyond the scopes the client is registered for. A claim that was not proved is left out.
    """
    known = proved_claims(identity)
    may = {claim for scope in client.scopes for claim in SCOPE_CLAIMS.get(scope, ())}
    if not client.national_number:
        may -= set(SCOPE_CLAIMS["national_number"])
    by_scope = {claim for scope in request.scopes for claim in SCOPE_CLAIMS.get(scope, ())}
    userinfo = may & (by_scope | set(request.claims_userinfo))
    id_token = may & set(request.claims_id_token)
    return {k: v for k, v in known.items() if k in userinfo}, {k: v for k, v in known.items() if k in id_token}


def wants_number(client: Client, request: SigninRequest) -> bool:
    """Tell whether the national number is asked for and may be given."""
    named = {*request.claims_userinfo, *request.claims_id_token} & set(SCOPE_CLAIMS["national_number"])
    return client.national_number and ("national_number" in request.scopes or bool(named))


def proved_claims(identity: Identity) -> dict[str, Any]:
    """Return what was proved, under the names of OpenID Connect Core 5.1 and our two for the number."""
    number = identity.number
    claims = {
        "name": identity.name,
        "given_name": identity.given_name,
        "family_name": identity.family_name,
        "birthdate": identity.birthdate.isoformat() if identity.birthdate else None,
        "national_number": number.value if number else None,
        "national_number_country": number.country if number else None,
    }
    return {name: value for name, value in claims.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token as kept: its digest, its family, and the grant it renews (sealed by the store's user)."""

    digest: str
    family: str
    client_id: str
    session: str | None = None
    person: str | None = None
    grant: bytes = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class RefreshTokens(Protocol):
    """Where refresh tokens are kept, across restarts."""

    def add(self, token: RefreshToken) -> None:
        """Keep one. Raises StoreError when the store is away."""
        ...

    def find(self, digest: str) -> RefreshToken | None:
        """Return it, used or not, or None."""
        ...

    def use(self, digest: str, now: datetime) -> bool:
        """Mark it used; of many callers at once exactly one is told True."""
        ...

    def revoke(
        self,
        *,
        family: str | None = None,
        session: str | None = None,
        person: str | None = None,
        but: str | None = None,
        client_id: str | None = None,
    ) -> int:
        """Remove all of a family, a session or a person (exactly one is given); return how many.

        Of a person's, those of the session `but` stay; with a `client_id` only that client's are removed.
        """
        ...

    def families(self, person: str, *, but: str | None = None, client_id: str | None = None) -> tuple[str, ...]:
        """Return the families of a person's, as `revoke` would take them."""
        ...

    def purge(self, now: datetime) -> int:
        """Remove those whose time is up; return how many."""
        ...
