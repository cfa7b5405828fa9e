"""A desk with what staff and forgetful people need: links, letters, invitations, decisions."""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.activation import Activation, Invitation
from idbroker.accounts.approving import Approving
from idbroker.accounts.choosing import Begun
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Aim, Linking, Origin
from idbroker.accounts.records import Enrolments
from idbroker.accounts.recovery import TASK, Recovery, rules_of
from idbroker.accounts.vouching import known_by
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import StoppedClock
from idbroker.keeping import SealedTransient, Shelf
from idbroker.messages.courier import Ailing, Messages
from idbroker.messages.message import Channel, Message
from idbroker.numbers import NationalNumber
from idbroker.sealing import SealingKeys
from idbroker.store import open_transient
from idbroker.visit import Visit
from idbroker.words import Words
from tests.accounts.desk_house import ANNA, PATIENCE, DeskHouse, desk_house
from tests.oidc.making import make_client

ISSUER = "https://login.example.org"
CLINIC = Clinic(id="clinea", name="Clinea", country="DK", providers=("fallback",), phone="+45 70 10 20 30")
SILENT = Clinic(id="silent", name="Stille", country="DK", providers=("fallback",))
CLIENT = make_client(name={"en": "Portal", "da": "Portalen"}, start_url="https://portal.example.org/start")
FORM = "the form's own value"
NEW = "fire grønne cykler"
_LINK = re.compile(rf"{re.escape(ISSUER)}/set/(\S+)")


@dataclass
class SignOnsEnded:
    """Whose sign-ons were ended, and which one was spared."""

    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        """Remember it."""
        self.asked.append((person, why, but))
        return 1


class ByHand(Messages):
    """The courier, who goes when the test says so, and is back when `deliver` returns."""

    def start(self) -> None:
        """Stay."""


@dataclass(kw_only=True)
class RecoveryHouse:
    """What a test works with: the desk's house, and these rooms on the same stores."""

    desk: DeskHouse
    post: ByHand
    letters: Letters
    linking: Linking
    recovery: Recovery
    activation: Activation
    approving: Approving
    enrolments: Enrolments
    ended: SignOnsEnded

    def visit(self, transaction: str = "t1", **changes: Any) -> Visit:
        """Return a browser's visit."""
        return self.desk.visit(transaction, **{"clinic": CLINIC, "client": CLIENT, **changes})

    def sent(self, channel: Channel = Channel.EMAIL) -> Message:
        """Send all that is due; return what was sent next by a channel."""
        self.post.deliver(self.desk.clock.now())
        return self.desk.wires[channel].taken.get(timeout=PATIENCE)

    def settled(self, channel: Channel = Channel.EMAIL) -> list[Message]:
        """Send all that is due; return what a channel was given since the last look."""
        self.post.deliver(self.desk.clock.now())
        taken = self.desk.wires[channel].taken
        found = []
        while True:
            try:
                found.append(taken.get_nowait())
            except queue.Empty:
                return found

    def link(self, number: NationalNumber = ANNA, form: str = FORM, channel: Channel = Channel.EMAIL) -> str:
        """Forget a password; return what stands in the link's address."""
        self.recovery.ask(self.visit(), number, form)
        message = self.sent(channel)
        while message.kind != "reset":  # a courier of its own may be under way with it: then it comes in a moment
            message = self.sent(channel)
        return token_in(message)

    def account(self, person: str) -> Account:
        """Return an account as it is now."""
        account = self.desk.desk.accounts.of(person)
        assert account is not None
        return account

    def invitation(self, number: NationalNumber = ANNA, **changes: Any) -> Invitation:
        """Return what staff say of somebody."""
        invitation = Invitation(
            number=number,
            contacts={Channel.EMAIL: "told@example.org", Channel.SMS: "+4520654321"},
            clinic=CLINIC,
            client=CLIENT,
            by="staff-7",
        )
        return replace(invitation, **changes)

    def asked(self, account: Account, **changes: Any) -> Enrolment:
        """Let a person ask for the clinic."""
        now = self.desk.clock.now()
        asked = Enrolment(
            person=account.person, clinic=CLINIC.id, standing=Standing.ASKED, asked_at=now, client=CLIENT.id
        )
        asked = replace(asked, **changes)
        assert self.enrolments.change(asked.person, asked.clinic, lambda _: asked)
        return asked

    def kinds(self, *kinds: str) -> list[str]:
        """Return the events of these kinds, in order."""
        return [event.kind for event in self.desk.events(*kinds)]


def token_in(message: Message) -> str:
    """Return what stands in a message's link, which is alone on its line."""
    found = [match[1] for line in message.text.splitlines() if (match := _LINK.fullmatch(line))]
    assert len(found) == 1, "a message has one link, alone on its line"
    return found[0]


@contextmanager
def recovery_house(folder: Path, clock: StoppedClock, more: Sequence[Clinic] = ()) -> Iterator[RecoveryHouse]:
    """Give the rooms on SQLite files."""
    with desk_house(folder, clock) as desk:
        transient = open_transient(f"sqlite:///{folder}/transient.db", clock)
        keys = SealingKeys(data={1: b"k" * 32}, newest=1, index=b"i" * 32)
        sealed = SealedTransient(transient, lambda: keys)
        desk.durable.clients.save(CLIENT)
        clinics = Clinics({clinic.id: clinic for clinic in (CLINIC, SILENT, *more)})
        post = ByHand(
            outbox=desk.durable.messages,
            sealer=desk.sealer,
            senders=desk.wires,
            tasks={},
            clock=clock,
            events=desk.durable.events,
            health=Shelf(sealed, "h", Ailing),
            draw=timedelta,
        )
        enrolments = Enrolments(desk.durable.enrolment_rows, desk.sealer)
        letters = Letters(
            post=post,
            say=Words(),
            clinics=clinics,
            clients=desk.durable.clients,
            issuer=ISSUER,
            clock=clock,
            sealer=desk.sealer,
            knows=known_by(desk.desk.accounts, enrolments),
        )
        linking = Linking(
            links=desk.durable.links,
            origins=Shelf(sealed, "k", Origin),
            aims=Shelf(sealed, "d", Aim),
            sealer=desk.sealer,
        )
        ended = SignOnsEnded()
        recovery = Recovery(
            accounts=desk.desk.accounts,
            enrolments=enrolments,
            linking=linking,
            letters=letters,
            post=post,
            hasher=desk.desk.hasher,
            codes=desk.desk.codes,
            throttle=desk.throttle,
            begun=Shelf(sealed, "b", Begun),
            events=desk.durable.events,
            rules=rules_of(clinics.find),
            sign_ons=ended,
            locks=desk.desk,
        )
        post.tasks = desk.post.tasks = {TASK: recovery.carry_out}
        activation = Activation(
            accounts=desk.desk.accounts,
            enrolments=enrolments,
            linking=linking,
            letters=letters,
            throttle=desk.throttle,
            events=desk.durable.events,
        )
        approving = Approving(
            accounts=desk.desk.accounts,
            enrolments=enrolments,
            links=desk.durable.links,
            letters=letters,
            events=desk.durable.events,
        )
        try:
            yield RecoveryHouse(
                desk=desk,
                post=post,
                letters=letters,
                linking=linking,
                recovery=recovery,
                activation=activation,
                approving=approving,
                enrolments=enrolments,
                ended=ended,
            )
        finally:
            post.close()
            transient.close()
