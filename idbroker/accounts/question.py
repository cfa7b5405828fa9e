"""What is asked between the proof and the grant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from idbroker.acting import About, Acting
from idbroker.form import Form
from idbroker.identity import Identity
from idbroker.request import SigninRequest
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Somebody has proved who they are, in this sign-in or in the sign-on that it rests on.

    `wish` is what they came for: "" to sign in, `self` to register, `child` to register a child.
    `accepted` is the version of the clinic's terms that was accepted before the proof; `claimed` the person whose
    password was typed in this very sign-in, before the eID. `about` is who it was said to be about; `before` whom it
    was about when this sign-on last reached the same client.
    """

    person: str
    identity: Identity = field(repr=False)
    request: SigninRequest
    wish: str = ""
    accepted: str | None = None
    claimed: str | None = None
    about: About | None = None
    before: Acting | None = field(default=None, repr=False)

    @property
    def acts(self) -> bool:
        """Tell whether it is about somebody else than who signed in."""
        return self.about is not None and self.about.acting is not None


@dataclass(frozen=True, slots=True)
class Settled:
    """A question has its answer. `wished` says that what they came for is done: they go on to sign in.

    With `about` it is said who it is about.
    """

    wished: bool = False
    about: About | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """The person goes to a page that is not ours, and comes back to the same question with `do` = returned."""

    url: str = field(repr=False)
    register: str
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The sign-in ends: the client is told `error` (RFC 6749, 4.1.2.1), the trail `kind`."""

    error: str = "access_denied"
    kind: str = "signin.declined"


class Question(Protocol):
    """Something to ask between the proof and the grant: two methods, as a provider has (design.md, 6).

    After every Settled all questions are begun anew, in their order, until none has anything to ask: what
    was answered must be kept where `begin` finds it. Both may raise StoreError, and nothing else.
    """

    @property
    def name(self) -> str:
        """What it is kept under while it is asked."""
        ...

    def begin(self, visit: Visit, proved: Proved) -> Form | Settled | None:
        """Return what to ask; None when there is nothing to; Settled where it has its answer without being asked."""
        ...

    def resume(
        self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]
    ) -> Form | Settled | Stopped | Onward:
        """Go on with what was answered to `form`: the next page of the same question, or its end."""
        ...
