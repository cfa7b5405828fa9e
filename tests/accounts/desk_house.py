"""A desk with all that it stands on: real stores, real hashing (at cheap parameters), a real courier."""

from __future__ import annotations

import queue
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from idbroker.accounts.account import Account, Contact
from idbroker.accounts.desk import Desk
from idbroker.accounts.passwords import Hasher, Settings
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.keeping import SealedTransient, Shelf, Tallies
from idbroker.messages.courier import Ailing, Messages
from idbroker.messages.message import Channel, Message, NotSent
from idbroker.numbers import NationalNumber, parse
from idbroker.otp import settings as codes_settings
from idbroker.otp.app_codes import AppCodes
from idbroker.otp.sending import CodesByMessage, Epoch, Slot
from idbroker.otp.throttle import Round, Throttle
from idbroker.otp.tries import Tries
from idbroker.sealing import Sealer, SealingKeys
from idbroker.store import Durable, open_durable, open_transient
from idbroker.visit import Visit
from idbroker.words import Words
from tests.conftest import NOW
from tests.oidc.making import make_client

PATIENCE = 10.0
PASSWORD = "tre blå cykler"
ANNA, EMIL, LARS = (parse(number, "DK", now=NOW.date()) for number in ("7403850101", "7408174103", "8111114105"))
CHEAP = Settings(memory_kib=1024, passes=1)  # below what the settings allow, and only for tests
CLINIC = Clinic(id="clinic", name="The clinic", country="DK", providers=("fallback",))
EMAIL = Contact(channel=Channel.EMAIL, address="somebody@example.org", verified_at=NOW)
SMS = Contact(channel=Channel.SMS, address="+4520123456", verified_at=NOW)


class Pigeonhole:
    """A channel's wire: keeps what was sent, or refuses it."""

    def __init__(self) -> None:
        self.taken: queue.Queue[Message] = queue.Queue()
        self.refused: queue.Queue[Message] = queue.Queue()
        self.refuses = False

    def send(self, message: Message) -> None:
        """Take a message."""
        if self.refuses:
            self.refused.put(message)
            raise NotSent("refused", for_good=True)
        self.taken.put(message)


@dataclass(kw_only=True)
class Drawn:
    """Draws codes, and remembers them."""

    codes: list[str] = field(default_factory=list)

    def draw(self) -> str:
        """Draw one."""
        self.codes.append(f"{secrets.randbelow(10**6):06d}")
        return self.codes[-1]


@dataclass(kw_only=True)
class DeskHouse:
    """The desk, and what a test looks at or turns."""

    clock: StoppedClock
    durable: Durable
    sealer: Sealer
    tallies: Tallies
    throttle: Throttle
    post: Messages
    wires: dict[Channel, Pigeonhole]
    desk: Desk
    drawn: Drawn

    def visit(self, transaction: str = "t1", **changes: Any) -> Visit:
        """Return one browser's visit, now."""
        visit = Visit(
            transaction=transaction,
            clinic=CLINIC,
            client=make_client(),
            language="en",
            now=self.clock.now(),
            host="login.example.org",
            ip="192.0.2.1",
        )
        return replace(visit, **changes)

    def account(self, number: NationalNumber = ANNA, password: str | None = PASSWORD, **changes: Any) -> Account:
        """Return a new account, kept."""
        account = Account(
            person=self.desk.accounts.person(number, NOW),
            number=number,
            given_name="Anna",
            password=None if password is None else self.desk.hasher.hash(password),
            password_set_at=None if password is None else NOW,
            contacts=(EMAIL, SMS),
            confirmed_at=NOW,
            created_at=NOW,
        )
        account = replace(account, **changes)
        assert self.desk.accounts.add(account)
        return account

    def code(self, channel: Channel = Channel.SMS) -> str:
        """Return the code that was sent next by a channel."""
        text = self.wires[channel].taken.get(timeout=PATIENCE).text
        found: list[str] = re.findall(r"\b[0-9]{6}\b", text)
        return found[0]

    def tries(self) -> Tries:
        """Return what counts codes."""
        return Tries(throttle=self.throttle, settings=codes_settings.Settings())

    def refused(self, channel: Channel = Channel.SMS) -> None:
        """Wait until a channel has refused a message, and that is kept."""
        self.wires[channel].refused.get(timeout=PATIENCE)
        self.post.close()  # what is under way ends first

    def events(self, *kinds: str) -> list[Event]:
        """Return what was recorded, of some kinds or of all."""
        events = self.durable.events.since(NOW - timedelta(days=1), limit=100_000)
        return [event for event in events if not kinds or event.kind in kinds]


@contextmanager
def desk_house(folder: Path, clock: StoppedClock, settings: Settings = CHEAP) -> Iterator[DeskHouse]:
    """Give a desk on SQLite files."""
    durable = open_durable(f"sqlite:///{folder}/broker.db", clock)
    durable.migrate()
    transient = open_transient(f"sqlite:///{folder}/transient.db", clock)
    keys = SealingKeys(data={1: secrets.token_bytes(32)}, newest=1, index=secrets.token_bytes(32))
    sealed, sealer, tallies = SealedTransient(transient, lambda: keys), Sealer(lambda: keys), Tallies(transient)
    throttle = Throttle(tallies=tallies, rounds=Shelf(sealed, "r", Round), sealer=sealer)
    wires = {Channel.SMS: Pigeonhole(), Channel.EMAIL: Pigeonhole()}
    post = Messages(
        outbox=durable.messages,
        sealer=sealer,
        senders=wires,
        tasks={},
        clock=clock,
        events=durable.events,
        health=Shelf(sealed, "h", Ailing),
        draw=timedelta,
    )
    hasher, drawn = Hasher(settings), Drawn()
    house = DeskHouse(
        clock=clock,
        durable=durable,
        sealer=sealer,
        tallies=tallies,
        throttle=throttle,
        post=post,
        wires=wires,
        desk=Desk(
            accounts=Accounts(durable.account_rows, sealer),
            enrolments=Enrolments(durable.enrolment_rows, sealer),
            hasher=hasher,
            throttle=throttle,
            codes=CodesByMessage(
                slots=Shelf(sealed, "o", Slot),
                epochs=Shelf(sealed, "e", Epoch),
                throttle=throttle,
                sealer=sealer,
                post=post,
                say=Words(),
                settings=codes_settings.Settings(),
                draw=drawn.draw,
            ),
            app_codes=AppCodes(throttle=throttle, tallies=tallies, settings=codes_settings.Settings()),
            events=durable.events,
            settings=settings,
        ),
        drawn=drawn,
    )
    try:
        yield house
    finally:
        post.close()
        hasher.close()
        transient.close()
        durable.close()
