"""What the broker says comes next: a page, an eID, an answer to the client, words for a failure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable
from idbroker.keeping import Kept
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.transaction import Transaction

TOO_LOW = "level_too_low"
_REF_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A new transaction; `secret` goes into the browser's cookie for it."""

    kept: Kept[Transaction]
    secret: str = field(repr=False)

    @property
    def transaction(self) -> Transaction:
        """Return it."""
        return self.kept.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """The person sees a page of this transaction: the choice, or the form it is at."""

    transaction: Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTo:
    """The person goes to an eID's own page."""

    transaction: Transaction
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The client is answered. `session_secret` is a new sign-on's cookie, None where nothing changes."""

    response: AuthorizationResponse = field(repr=False)
    language: str
    session_secret: str | None = field(default=None, repr=False)
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Already:
    """The sign-in was finished a while ago; the person is shown the way to the service."""

    transaction: Transaction


Step = Show | GoTo | Answered | Already


def new_ref() -> str:
    """Return a short code that a person can read out on the telephone: no I, O, 0 or 1."""
    return "".join(secrets.choice(_REF_LETTERS) for _ in range(6))


_REFUSAL_NOTICES = {
    TOO_LOW: "e.loa",
    "blocked": "e.blocked",
    "confirm_first": "e.confirm",
    "no_contact": "e.nocontact",
    "expired": "e.expired",
    "not_this_device": "b.e.here",
    "bankid_busy": "b.e.busy",
    "bankid_cert": "b.e.cert",
    "bankid_expired": "b.e.exp",
    "bankid_face": "b.e.face",
    "bankid_failed": "b.e.again",
    "bankid_lost": "b.e.again",
    "bankid_mrtd": "b.e.mrtd",
    "bankid_nfc": "b.e.nfc",
    "bankid_old_app": "b.e.old",
    "bankid_risk": "b.e.risk",
    "bankid_several": "b.e.several",
    "bankid_step": "b.e.step",
    "bankid_superseded": "b.e.twice",
    "freja_disabled": "b.e.off",
    "freja_expired": "b.e.exp",
    "freja_lost": "b.e.again",
    "freja_rejected": "b.e.again",
    "not_a_citizen": "e.work",
    "outgrown": "e.outgrown",
    "too_many": "x.429",
    "too_young": "e.young",
    "vtj_not_verified": "e.vtj",
}


def notice_of(error: ProviderError, *, in_app: bool = False) -> str:
    """Return the key of the words a person gets. What verified badly and what never came look alike."""
    match error:
        case Cancelled():
            return "b.e.cancel" if in_app else "e.back"
        case Unreachable():
            return "c.down"
        case Refused(reason=reason):
            return _REFUSAL_NOTICES.get(reason, "e.refused")
        case _:
            return "e.failed"
