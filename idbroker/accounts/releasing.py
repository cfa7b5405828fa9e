"""Whether a service may be told what it asks for: shown item by item, and again only when the list grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from idbroker.accounts.account import Agreed, Consent
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.records import Records, new_consent_id
from idbroker.codec import Codec
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.grant import released, whose
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """Which items the page shows."""

    items: tuple[str, ...]


_codec = Codec(_Shown)


@dataclass(frozen=True, kw_only=True)
class Releasing:
    """The question about what a service is told."""

    records: Records
    events: Events
    name = "consent"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return what would be released; None when nothing is, or all of it was agreed to."""
        if visit.client.consent != "ask":
            return None
        items = _items(visit, proved)
        if not items or self._covers(self._current(visit, proved), items, proved):
            return None
        return _page(visit, items)

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with yes or no."""
        if reply.get("do") == "no":
            return Stopped(kind="consent.refused")
        items, shown = _items(visit, proved), _codec.unpack(form.state).items
        if not set(items) <= set(shown):
            return _page(visit, items)  # the registration grew meanwhile: nobody agrees to what they did not see
        self._agree(visit, proved, shown)
        return Settled()

    def _current(self, visit: Visit, proved: Proved) -> Consent | None:
        return self.records.consents.current(_whom(proved), Agreed.RELEASE, visit.client.id)

    def _covers(self, consent: Consent | None, items: Mapping[str, str], proved: Proved) -> bool:
        if consent is None or not set(items) <= set(consent.items):
            return False
        # A service may want it asked anew (OpenID Connect Core, 3.1.2.1): what was given since then is the answer.
        return "consent" not in proved.request.prompt or consent.given_at >= proved.request.received_at

    def _agree(self, visit: Visit, proved: Proved, shown: tuple[str, ...]) -> None:
        current = self._current(visit, proved)
        if self._covers(current, dict.fromkeys(shown, ""), proved):
            return
        items = tuple(sorted({*shown, *(current.items if current else ())}))
        consent = Consent(
            id=new_consent_id(),
            person=_whom(proved),
            kind=Agreed.RELEASE,
            about=visit.client.id,
            items=items,
            language=visit.language,
            given_at=visit.now,
        )
        self.records.consents.give(consent)
        self.events.record(
            Event(
                at=visit.now,
                kind="consent.given",
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                person=_whom(proved),
                detail={"items": " ".join(items), "consent": consent.id, **_by(proved)},
            )
        )


def _whom(proved: Proved) -> str:
    """Return whose consent it is: what is told of a ward is theirs, whoever says yes for them."""
    acting = proved.about.acting if proved.about is not None else None
    return proved.person if acting is None else acting.ward


def _by(proved: Proved) -> dict[str, str]:
    return {"guardian": proved.person} if proved.acts else {}


def _items(visit: Visit, proved: Proved) -> dict[str, str]:
    """Return what the grant would release, as a page shows it."""
    identity = whose(proved.identity, proved.about.acting if proved.about is not None else None)
    told, in_token = released(identity, visit.client, proved.request)
    items = {name: str(value) for name, value in {**told, **in_token}.items()}
    if "national_number" in items and identity.number is not None:
        items["national_number"] = identity.number.display
    return items


def _page(visit: Visit, items: Mapping[str, str]) -> Form:
    purposes = visit.client.purpose
    values = {
        "items": " ".join(items),
        "purpose": purposes.get(visit.language) or purposes.get("en") or next(iter(purposes.values()), ""),
        "clinic": visit.clinic.name,
        "own": f"/me/{visit.clinic.id}",  # where it can be withdrawn
        **{f"value.{name}": value for name, value in items.items()},
    }
    return Form(page="consent", state=_codec.pack(_Shown(items=tuple(items))), values=values)
