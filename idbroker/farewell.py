"""Somebody on the way out: what has ended here, and what is still to be told elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from idbroker.session import Rests

LIFE = timedelta(minutes=30)  # suomi.fi shows a page of its own and waits for the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Where the browser goes to end an eID's session: an address, or a form that posts itself there."""

    action: str = field(repr=False)
    fields: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """One logout, from the moment that our own session ends.

    `id` goes to the eIDs and comes back (SAML RelayState, OpenID Connect `state`). `services` are the
    clients that were reached, `frames` the addresses of those that are told in a frame. `waiting` are the
    sessions at eIDs that are still to be ended, one after the other; `errand` and `state` belong to the
    first of them. `ended` are the eIDs that have said that theirs is over, `unsure` those that have not; `missed` are
    the sessions at those of them that were down, and were not asked.
    With `handed_back` it was a sign-in that staff made: the screen goes back to them (`paired`: it is the tablet).
    """

    id: str
    language: str
    client_id: str | None
    target: str | None = field(repr=False)
    services: tuple[str, ...] = ()
    frames: tuple[str, ...] = field(default=(), repr=False)
    waiting: tuple[Rests, ...] = field(default=(), repr=False)
    errand: Errand | None = None
    state: bytes = field(default=b"", repr=False)
    ended: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    missed: tuple[Rests, ...] = field(default=(), repr=False)
    handed_back: bool = False
    paired: bool = False

    @property
    def provider(self) -> str | None:
        """Return the eID whose turn it is."""
        return self.waiting[0].provider if self.waiting else None

    def sent(self, errand: Errand, state: bytes) -> Farewell:
        """Return it with the person gone to the eID: the same errand again leads there again."""
        return replace(self, errand=errand, state=state)

    def next(self, *, ended: bool | None, missed: bool = False) -> Farewell:
        """Return it with the eID's answer, None if it has nothing to end; what could end it there is forgotten.

        Not if it was `missed`: it was down, and is asked when the person presses again.
        """
        first, *rest = self.waiting
        return replace(
            self,
            waiting=tuple(rest),
            errand=None,
            state=b"",
            ended=(*self.ended, first.provider) if ended is True else self.ended,
            unsure=(*self.unsure, first.provider) if ended is False else self.unsure,
            missed=(*self.missed, first) if missed else self.missed,
        )

    def again(self) -> Farewell:
        """Return it as it is when the person presses once more: eIDs that were down are asked now."""
        if self.waiting or not self.missed:
            return self
        down = {rests.provider for rests in self.missed}
        unsure = tuple(provider for provider in self.unsure if provider not in down)
        return replace(self, waiting=self.missed, missed=(), unsure=unsure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """What became of a sign-on that is not there any more: the one in its place, or the logout that ended it."""

    successor: str | None = None
    farewell: str | None = None
