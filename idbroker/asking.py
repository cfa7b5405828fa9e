"""What is asked between the proof and the grant: the questions there are, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from idbroker.accounts.question import Onward, Proved, Question, Settled, Stopped
from idbroker.accounts.records import Records
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.errors import NotFound
from idbroker.form import Form
from idbroker.identity import Identity, LoA
from idbroker.policy import accepted_providers
from idbroker.providers import Provider
from idbroker.transaction import PendingForm, Transaction
from idbroker.visit import Visit

# Where somebody first types an address, a password or a child.
_CHANGING = frozenset({"contact", "differ", "child"})
FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question's page, and whose it is."""

    question: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Begins and goes on with questions. `issuer` is our address, whose host messages name."""

    issuer: str
    providers: Mapping[str, Provider]
    questions: tuple[Question, ...] = ()
    records: Records | None = None

    def mark(self, person: str, identity: Identity) -> str:
        """Return what tells whether the account behind a password has changed since it was proved; "" for eIDs."""
        if identity.loa is not LoA.LOW:
            return ""
        account = None if self.records is None else self.records.accounts.of(person)
        if account is None:
            return "none"
        told = (account.password, account.password_set_at, account.disabled, account.guardian, account.created_at)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def concerns(self, client: Client, clinic: Clinic, wish: str) -> bool:
        """Tell whether anything could be asked here at all: most clinics ask nothing, and look nothing up."""
        asks = clinic.terms is not None or client.consent != "never" or client.acting != "never"
        return bool(self.questions) and (asks or self.knows_people(client, clinic, wish))

    def bars(self, person: str | None, clinic: Clinic) -> bool:
        """Tell whether a clinic that asks nothing has a question all the same: it has noted that somebody has died.

        The attack: whoever has a dead person's eID, or the sign-on that they left open, reads on as them.
        """
        return self.records is not None and person is not None and self.records.died(person, clinic.id)

    def knows_people(self, client: Client, clinic: Clinic, wish: str) -> bool:
        """Tell whether people are known here by their national number, whatever the client is told of it."""
        asked = bool(wish) or clinic.registration != "unneeded" or client.acting != "never"
        return asked or self._has_accounts(client, clinic)

    def first(self, visit: Visit, proved: Proved) -> Asked | Settled | None:
        """Return what is to be asked first; None when nothing is; Settled where one has its answer unasked."""
        for question in self.questions:
            begun = question.begin(visit, proved)
            if isinstance(begun, Form):
                return Asked(question=question.name, form=begun)
            if begun is not None:
                return begun
        return None

    def resume(
        self, visit: Visit, proved: Proved, asked: Asked, reply: Mapping[str, str]
    ) -> Asked | Settled | Stopped | Onward:
        """Go on with an answer. NotFound for a question that is no more."""
        question = next((one for one in self.questions if one.name == asked.question), None)
        if question is None:
            raise NotFound("no such question")
        result = question.resume(visit, proved, asked.form, reply)
        return Asked(question=question.name, form=result) if isinstance(result, Form) else result

    def needs_fresh(self, asked: Asked) -> bool:
        """Tell whether the answer changes how the person is known: not on the strength of an old proof (ASVS 7.5.1)."""
        return asked.form.page in _CHANGING

    @property
    def host(self) -> str:
        """Return our host as messages name it."""
        return urlsplit(self.issuer).hostname or ""

    def _has_accounts(self, client: Client, clinic: Clinic) -> bool:
        """Tell whether people sign in by password here: an eID's sign-in then confirms who they are."""
        names = accepted_providers(client, clinic)
        return any(self.providers[name].loa is LoA.LOW for name in names if name in self.providers)


def pending(form: Form) -> PendingForm:
    """Return a question's page as a transaction keeps it."""
    return PendingForm(page=form.page, values=form.values, errors=form.errors)


def form_of(transaction: Transaction) -> Form:
    """Return the page that a transaction shows, as its question made it. NotFound when it shows none."""
    form = transaction.form
    if form is None:
        raise NotFound("nothing is asked")
    return Form(page=form.page, state=transaction.provider_state, values=form.values, errors=form.errors)
