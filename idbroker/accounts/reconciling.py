"""Which address is right, where the clinic's differ from the account's: asked once for each difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from idbroker.accounts.account import Account, Contact, Enrolment
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.reaching import FIELDS, Page, Reached, Reaching, Typed, reached, read
from idbroker.accounts.records import Records
from idbroker.codec import Codec
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.visit import Visit

_BOUND = ("mine", "clinic")
_CHOICES = (*_BOUND, "other")


class Letters(Protocol):
    """Who writes to people that an address of theirs has changed."""

    def contact_changed(self, before: Account, after: Account, visit: Visit) -> None:
        """Tell every address known before and after (ASVS 6.3.7). May raise StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What somebody chose, and how far the codes have come; `bound` is who may type no third address."""

    reached: Reached = field(default_factory=Reached)
    chosen: str = ""
    bound: bool = False
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


_codec = Codec(_Choice)


@dataclass(frozen=True, kw_only=True)
class Reconciling:
    """The question about addresses.

    The attack: somebody with a password and the mailbox signs in by a code that came there, types a telephone of
    their own here, and from then on signs in with two factors. So who has shown no eID chooses between what was
    verified before and what the clinic has, which is the clinic's word and still needs its code; nothing is typed.
    """

    records: Records
    events: Events
    reaching: Reaching
    letters: Letters
    name = "contacts"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return both sides' addresses; None when they are the same, or were asked about."""
        found = None if proved.acts else self._sides(visit, proved)
        state = _Choice(bound=proved.identity.loa < LoA.SUBSTANTIAL)
        return None if found is None else _form(_page(visit, *found, state), state)

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with a choice, or with a code."""
        found = self._sides(visit, proved)
        if found is None:
            return Settled()  # another tab was faster
        account, enrolment = found
        state = _codec.unpack(form.state)
        if form.page == "code":
            return self._code(visit, proved, account, enrolment, state, reply)
        return self._chosen(visit, proved, account, enrolment, reply)

    def _sides(self, visit: Visit, proved: Proved) -> tuple[Account, Enrolment] | None:
        # Staff vouched for this person, who showed nothing of their own: whoever is at the screen would move where
        # codes go, to an address that the same staff have written down.
        if proved.wish or proved.identity.assisted is not None:
            return None
        enrolment = self.records.enrolments.find(proved.person, visit.clinic.id)
        if enrolment is None or not enrolment.told:
            return None
        account = self.records.accounts.of(proved.person)
        if account is None or not _differing(visit, account, enrolment):
            return None
        return account, enrolment

    def _chosen(
        self, visit: Visit, proved: Proved, account: Account, enrolment: Enrolment, reply: Mapping[str, str]
    ) -> Form | Settled:
        bound = proved.identity.loa < LoA.SUBSTANTIAL
        state = _Choice(
            chosen=reply.get("choice", "") if reply.get("choice") in (_BOUND if bound else _CHOICES) else "",
            bound=bound,
            email=reply.get("email", "")[:100],
            phone=reply.get("phone", "")[:100],
        )
        if state.chosen == "mine":
            return self._settled(visit, proved, enrolment)
        if not state.chosen:
            return _form(_page(visit, account, enrolment, state, {"choice": "k.e.choice"}), state)
        wanted = _wanted(visit, account, enrolment, state)
        if isinstance(wanted, Typed):
            return _form(_page(visit, account, enrolment, state, wanted.errors), state)
        taken = self.reaching.take(visit, reached(account.contacts), wanted)
        if isinstance(taken, Typed):
            return _form(_page(visit, account, enrolment, state, _placed(state, taken.errors)), state)
        return self._onward(visit, proved, account, enrolment, replace(state, reached=taken))

    def _code(
        self,
        visit: Visit,
        proved: Proved,
        account: Account,
        enrolment: Enrolment,
        state: _Choice,
        reply: Mapping[str, str],
    ) -> Form | Settled:
        if reply.get("do") == "back":
            return _form(_page(visit, account, enrolment, state), state)
        so_far, page = self.reaching.check(visit, proved.person, state.reached, reply)
        state = replace(state, reached=so_far)
        return self._onward(visit, proved, account, enrolment, state) if page is None else _form(page, state)

    def _onward(
        self, visit: Visit, proved: Proved, account: Account, enrolment: Enrolment, state: _Choice
    ) -> Form | Settled:
        if state.reached.unproved is not None:
            so_far, page = self.reaching.send(visit, proved.person, state.reached)
            return _form(page, replace(state, reached=so_far))
        self._replace(visit, proved, account, state.reached)
        return self._settled(visit, proved, enrolment)

    # ---- what is written -------------------------------------------------------------------------

    def _replace(self, visit: Visit, proved: Proved, seen: Account, state: Reached) -> None:
        """Put the new addresses in the old ones' place, and tell the old ones (ASVS 6.3.7)."""
        new = [contact for contact in state.contacts if not _has(seen, contact)]
        if not new:
            return

        def change(account: Account) -> Account:
            for contact in new:
                account = account.with_contact(contact)
            return account

        # Told first: whoever breaks in between has told of a change that was none, never kept one quiet.
        self.letters.contact_changed(seen, change(seen), visit)
        self.records.accounts.change(proved.person, change)
        # Links and codes that lie in the old mailbox must open nothing that is no longer reached there.
        self.records.links.end_all(proved.person)
        self.reaching.codes.revoke(proved.person)
        for contact in new:
            self._record(visit, proved, "contact.changed", {"channel": contact.channel.value})

    def _settled(self, visit: Visit, proved: Proved, enrolment: Enrolment) -> Settled:
        told = enrolment.told

        def change(before: Enrolment | None) -> Enrolment | None:
            return None if before is None else replace(before, settled={**before.settled, **told})

        self.records.enrolments.change(proved.person, visit.clinic.id, change)
        self._record(visit, proved, "contact.settled", {"channels": " ".join(sorted(told))})
        return Settled()

    def _record(self, visit: Visit, proved: Proved, kind: str, detail: Mapping[str, str]) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                provider=proved.identity.provider,
                person=proved.person,
                detail={"loa": proved.identity.loa.word, **detail},
            )
        )


def _differing(visit: Visit, account: Account, enrolment: Enrolment) -> dict[Channel, str]:
    """Return the clinic's addresses that are not the account's, and were not asked about."""
    country = visit.clinic.country
    mine = {contact.channel: _plain(contact.channel, contact.address, country) for contact in account.contacts}
    return {
        channel: address
        for channel, address in enrolment.told.items()
        if channel in FIELDS
        and address
        and _plain(channel, address, country) != mine.get(channel)
        and enrolment.settled.get(channel) != address
    }


def _plain(channel: Channel, address: str, country: str) -> str:
    """Return an address so that two spellings of one are equal: clinics write theirs as they like."""
    name = FIELDS.get(channel, "")
    typed = read({name: address}, country)
    return typed.values.get(name, address).casefold()


def _has(account: Account, contact: Contact) -> bool:
    mine = account.contact(contact.channel)
    return mine is not None and mine.address == contact.address and mine.verified_at is not None


def _wanted(visit: Visit, account: Account, enrolment: Enrolment, state: _Choice) -> Mapping[str, str] | Typed:
    """Return the addresses that were chosen, with the account's own where none was: what a contact page would post."""
    if state.chosen == "clinic":
        chosen = {FIELDS[channel]: address for channel, address in _differing(visit, account, enrolment).items()}
    else:
        chosen = {name: text.strip() for name, text in (("email", state.email), ("phone", state.phone)) if text.strip()}
        if not chosen:
            return Typed(values={}, errors={"email": "r.e.one"})
    mine = reached(account.contacts)
    return {"email": mine.email, "phone": mine.phone, **chosen}


def _placed(state: _Choice, errors: Mapping[str, str]) -> Mapping[str, str]:
    """Return the mistakes where they can be mended: the clinic's addresses have no field here."""
    return errors if state.chosen == "other" else {"choice": next(iter(errors.values()))}


def _page(
    visit: Visit, account: Account, enrolment: Enrolment, state: _Choice, errors: Mapping[str, str] | None = None
) -> Page:
    mine = {FIELDS[contact.channel]: contact.address for contact in account.contacts if contact.channel in FIELDS}
    values = {
        "clinic": visit.clinic.name,
        "email": mine.get("email", ""),
        "phone": mine.get("phone", ""),
        "told_email": enrolment.told.get(Channel.EMAIL, ""),
        "told_phone": enrolment.told.get(Channel.SMS, ""),
        "own_email": state.email,
        "own_phone": state.phone,
        "choice": state.chosen,
        "bound": "1" if state.bound else "",
    }
    return Page(name="differ", values=values, errors=errors or {})


def _form(page: Page, state: _Choice) -> Form:
    return page.form(_codec.pack(state))
