"""One sign-in, from accepted request to grant, and the store it is kept in between steps."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.acting import About, Acting
from idbroker.identity import Identity
from idbroker.request import SigninRequest
from idbroker.visitor import Device, Visitor


class Transient(Protocol):
    """Short-lived state shared by all workers. Every method is one atomic step on the server.

    Keys are ASCII, at most 200 characters. A part in braces, as in `t:{4f..}`, is the hash tag
    that keeps the keys of one transaction on one Redis Cluster node. Values are at most 256 KiB.
    An entry whose time is up is as good as absent. Raises StoreError when the store is away.
    """

    def put(self, key: str, value: bytes, life: timedelta) -> None:
        """Keep a value, replacing what was there."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        ...

    def take(self, key: str) -> bytes | None:
        """Return the value and delete it: of many callers at once exactly one gets it."""
        ...

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace `old` by `new` if `old` is still there; `old=None` means only if absent."""
        ...

    def count(self, key: str, life: timedelta) -> int:
        """Add one and return the sum. Life starts at the first count and is not prolonged."""
        ...


class Stage(enum.StrEnum):
    """Where a transaction is."""

    OPEN = "open"
    PROVING = "proving"
    PROVED = "proved"  # who it is is known; something is asked before the grant
    GRANTED = "granted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Why the person is back at the choice: a string's key, the eID it is about, the code to tell us."""

    key: str
    provider: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingForm:
    """A page of ours that the provider asked for, as shown now.

    With an `action`, it is a form that posts itself there: to the eID.
    """

    page: str
    action: str | None = field(default=None, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)


class Progress(enum.StrEnum):
    """How far an order in an app is."""

    WAITING = "waiting"  # nobody has opened it: its code may be shown
    OPENED = "opened"  # somebody has it in their app: its code is hidden
    LAPSED = "lapsed"  # nobody opened it in time: a new one may take its place


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingWait:
    """An order in an app, as last looked at.

    `since` is when the person began to wait, through however many orders. `returned` says that the
    app led back to the browser that began. `proof` is what the eID proved: it tells us once, so it
    is kept (sealed, as all of a transaction) until the browser comes for it.
    """

    device: Device
    visitor: Visitor
    since: datetime
    progress: Progress = Progress.WAITING
    says: str = "b.st.start"
    returned: bool = False
    proof: Identity | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who somebody proved to be, while something is still to be asked.

    `session` is the key of the sign-on that the proof is of, None for a new one; then nothing about that changes.
    `question` is which one is asked, `at` when the proof came to us. `mark` is of the account as it was then, for
    a proof by password. `before` is whom it was about when this sign-on last reached the same client.
    """

    person: str
    identity: Identity = field(repr=False)
    question: str
    at: datetime
    session: str | None = None
    mark: str = ""
    before: Acting | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What somebody had filled in on a page when its time was up: for the same person, after another proof."""

    person: str
    page: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the client was told through the browser, and when."""

    at: datetime
    redirect_uri: str
    mode: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One sign-in. A move returns a new value; the store keeps the newest.

    `binding` is the hash of the secret in the browser's cookie. `provider_state` is opaque bytes
    that only the provider named in `provider` reads, or the question in `proof`. `outcome` is what the client
    was told at the end, so that a repeated last step gets the same answer. `wish` is what the person came
    for besides signing in: `self` or `child`, to register; `accepted` the version of the clinic's terms that
    was accepted before the proof; `claimed` the person whose password was typed here, and waits for an eID. `about`
    is who it was said to be about, `away` the register at whose own page the person chooses that. `moved_at` is when
    the person last did something here, `known_at` since when it is known, or half known, who somebody is; `left` is
    what they had filled in when the time was up.
    """

    id: str
    binding: str
    request: SigninRequest
    language: str
    opened_at: datetime
    stage: Stage = Stage.OPEN
    provider: str | None = None
    handle: str | None = None
    provider_state: bytes = field(default=b"", repr=False)
    form: PendingForm | None = None
    wait: PendingWait | None = None
    notice: Notice | None = None
    tried: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    outcome: Outcome | None = field(default=None, repr=False)
    proof: Proof | None = None
    wish: str = ""
    accepted: str | None = None
    claimed: str | None = None
    about: About | None = None
    away: str | None = None
    moved_at: datetime | None = None
    known_at: datetime | None = None
    left: Typed | None = None

    def proving(
        self,
        provider: str,
        handle: str,
        state: bytes,
        form: PendingForm | None = None,
        wait: PendingWait | None = None,
    ) -> Transaction:
        """Move on: the person is at the eID. A later handle makes an earlier one worthless.

        Who proves something now may be another person than before: nothing of what that one has said stays. The
        attack: a parent chooses a child, and whoever signs in next in that tab acts for it.
        """
        return replace(
            self,
            stage=Stage.PROVING,
            provider=provider,
            handle=handle,
            provider_state=state,
            form=form,
            wait=wait,
            notice=None,
            proof=None,
            accepted=self.accepted if self.proof is None else None,
            about=None,
            away=None,
        )

    def asking(self, proof: Proof, state: bytes, form: PendingForm) -> Transaction:
        """Move on: the person is known, and is asked something.

        What was filled in before the time was up is filled in again for the same person. The attack: somebody leaves
        a page half filled in, and whoever signs in next in that browser would read it.
        """
        left = self.left if self.left is not None and self.left.person == proof.person else None
        if left is not None and left.page == form.page:
            form, left = replace(form, values={**form.values, **left.values}), None
        return replace(
            self,
            stage=Stage.PROVED,
            provider=proof.identity.provider,
            handle=None,
            provider_state=state,
            form=form,
            wait=None,
            notice=None,
            proof=proof,
            away=None,
            left=left,
        )

    def gone_to(self, register: str, handle: str, state: bytes) -> Transaction:
        """Move on: the person is known, and chooses at a register's own page who it is about."""
        return replace(self, away=register, handle=handle, provider_state=state)

    def reopened(self, notice: Notice | None) -> Transaction:
        """Move back to the choice, with a notice saying why; the way just tried goes last."""
        tried = (*(p for p in self.tried if p != self.provider), *((self.provider,) if self.provider else ()))
        return replace(
            self,
            stage=Stage.OPEN,
            provider=None,
            handle=None,
            provider_state=b"",
            form=None,
            wait=None,
            notice=notice,
            tried=tried,
            proof=None,
            about=None,
            away=None,
            # Who comes after somebody who had proved who they are may be another person: they read for themselves.
            accepted=self.accepted if self.proof is None else None,
        )

    def came_for(self, wish: str) -> Transaction:
        """Return it with what the person came for; nothing is proved yet."""
        return replace(self.reopened(None), wish=wish, tried=self.tried)

    def agreed(self, version: str) -> Transaction:
        """Return it with the terms accepted, at the choice."""
        return replace(self, form=None, accepted=version)

    def ended(self, stage: Stage, outcome: Outcome) -> Transaction:
        """Move to the end: what the eID gave is forgotten, what the browser was told is kept a while."""
        return replace(
            self,
            stage=stage,
            provider_state=b"",
            form=None,
            wait=None,
            notice=None,
            proof=None,
            outcome=outcome,
            left=None,
        )

    def answered(self, nonce: str, location: str) -> Transaction:
        """Remember where a form's post led, so that the same post again leads there again."""
        newest = dict(list(self.answers.items())[-3:])
        return replace(self, answers={**newest, nonce: location})
