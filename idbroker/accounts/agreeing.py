"""Whether somebody accepts a clinic's terms: asked once for each version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from idbroker.accounts.account import Agreed, Consent
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.records import Records, new_consent_id
from idbroker.clinic import Terms
from idbroker.codec import Codec
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """Which version the page shows."""

    version: str


_codec = Codec(_Shown)


@dataclass(frozen=True, kw_only=True)
class Agreeing:
    """The question about terms. Who registers accepts them on the page that is checked at the end.

    It comes after Joining: who only claims to be somebody's guardian is stopped there, and accepts nothing as the
    child. Once the clinic has approved them, whoever first signs in as the child accepts for it: the guardian by
    the password, or the child by its own eID. That is asked once for each version.

    `Proved.accepted` is what was accepted in this very transaction, on a page of ours: nothing else may be kept.
    """

    records: Records
    events: Events
    name = "terms"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return the terms; None where there are none, or this version was accepted."""
        terms = visit.clinic.terms
        if terms is None or proved.wish or self.accepted(visit, proved.person):
            return None
        if proved.accepted == terms.version:
            self.accept(visit, proved)
            return None
        return _page(visit, terms)

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with yes or no."""
        if reply.get("do") == "no":
            return Stopped(kind="terms.refused")
        terms = visit.clinic.terms
        if terms is not None and _codec.unpack(form.state).version != terms.version:
            return _page(visit, terms)  # it was replaced while they read: nobody accepts what they did not see
        self.accept(visit, proved)
        return Settled()

    def accepted(self, visit: Visit, person: str) -> bool:
        """Tell whether somebody accepted the version of now, or there are no terms."""
        terms = visit.clinic.terms
        if terms is None:
            return True
        current = self.records.consents.current(person, Agreed.TERMS, visit.clinic.id)
        return current is not None and current.version == terms.version

    def accept(self, visit: Visit, proved: Proved) -> None:
        """Keep that they accept the version of now. Once is enough."""
        terms = visit.clinic.terms
        if terms is None or self.accepted(visit, proved.person):
            return
        self.records.consents.give(
            Consent(
                id=new_consent_id(),
                person=proved.person,
                kind=Agreed.TERMS,
                about=visit.clinic.id,
                version=terms.version,
                language=visit.language,
                given_at=visit.now,
            )
        )
        self.events.record(_accepted(visit, proved, terms))


def _page(visit: Visit, terms: Terms) -> Form:
    values = {"clinic": visit.clinic.name, "version": terms.version, "text": terms.text(visit.language)}
    return Form(page="terms", state=_codec.pack(_Shown(version=terms.version)), values=values)


def _accepted(visit: Visit, proved: Proved, terms: Terms) -> Event:
    # The digest tells later which words a version had, should somebody have changed them under the same version.
    digest = hashlib.sha256(terms.text(visit.language).encode()).hexdigest()
    return Event(
        at=visit.now,
        kind="terms.accepted",
        transaction=visit.transaction,
        client=visit.client.id,
        clinic=visit.clinic.id,
        person=proved.person,
        detail={"version": terms.version, "language": visit.language, "sha256": digest},
    )
