"""One-time codes over a real transient store, as the composition root wires them; letters are read here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.keeping import SealedTransient, Shelf, Tallies
from idbroker.messages.message import Channel, Delivery, Message
from idbroker.otp import codes as codes_module
from idbroker.otp.app_codes import AppCodes
from idbroker.otp.one_time import Sent, Spot
from idbroker.otp.sending import CodesByMessage, Epoch, Slot
from idbroker.otp.settings import Settings
from idbroker.otp.throttle import Round, Throttle
from idbroker.sealing import Sealer, SealingKeys
from idbroker.store import TransientStore, open_transient
from idbroker.visit import Visit
from idbroker.words import Words

PHONE = "+46701740605"  # from a range that the Swedish regulator keeps for fiction, as is +46701740606
OTHER_PHONE = "+46701740606"
MAIL = "ada@example.com"
HOST = "login.example.com"
SERVICE = "Vårdportalen"
WORDS = Words()
ROOMY = Settings(
    address_quarter=500, address_day=500, person_quarter=500, person_day=500, browser_hour=500, prefix_hour=500
)
CLINIC = Clinic(id="kliniken", name="Kliniken", country="SE", providers=("bankid",))
CLIENT = Client(id="portal", name={"sv": SERVICE}, clinic="kliniken", redirect_uris=("https://portal.test/cb",))


class Letterbox:
    """Where messages go (`messages.message.Post`): they are read here. `broken` is a durable store that is away."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.broken = False
        self._adding = threading.Lock()

    def send(self, *messages: Message) -> None:
        """Take messages."""
        if self.broken:
            raise StoreError("the durable store does not answer")
        with self._adding:
            self.letters += messages

    def delivery(self, message_id: str) -> Delivery | None:
        """Say that what came here was sent."""
        return Delivery.SENT if any(letter.id == message_id for letter in self.letters) else None

    def works(self, channel: Channel) -> bool:
        """Say that text messages go, and e-mail does not."""
        return channel is Channel.SMS

    def code(self, number: int = -1) -> str:
        """Return the code in a letter: the first six digits of its text."""
        return self.letters[number].text[:6]


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything that a test touches."""

    store: TransientStore
    clock: StoppedClock
    throttle: Throttle
    codes: CodesByMessage
    app: AppCodes
    box: Letterbox

    def visit(self, **other: object) -> Visit:
        """Return a visit of now."""
        usual = Visit(
            transaction="t1", clinic=CLINIC, client=CLIENT, language="sv", now=self.clock.now(), host=HOST,
            ip="192.0.2.1",
        )  # fmt: skip
        return replace(usual, **other)  # type: ignore[arg-type]

    def send(self, where: Spot, **other: object) -> str:
        """Send a code that is not one press with the last; return it."""
        self.clock.move(timedelta(seconds=10))
        assert isinstance(self.codes.send(where, self.visit(**other)), Sent)
        return self.box.code()

    def check(self, where: Spot, typed: str) -> object:
        """Check what was typed, now."""
        return self.codes.check(where, typed, self.visit())


def spot(**other: object) -> Spot:
    """Return a spot: one person's sign-in by text message."""
    usual = Spot(transaction="t1", purpose="login", person="p1", channel=Channel.SMS, to=PHONE)
    return replace(usual, **other)  # type: ignore[arg-type]


def wrong(*right: str) -> str:
    """Return a code that none of these is."""
    return next(code for code in map("{:06d}".format, range(10)) if code not in right)


@contextmanager
def open_house(
    url: str,
    clock: StoppedClock,
    settings: Settings = ROOMY,
    keys: SealingKeys | None = None,
    draw: Callable[[], str] = codes_module.draw,
) -> Iterator[House]:
    """Open one-time codes over a transient store: a worker. The same `keys` make another worker of the same house."""
    store = open_transient(url, clock)
    found = keys or SealingKeys(data={1: os.urandom(32)}, newest=1, index=os.urandom(32))
    try:
        yield _house(store, clock, settings, found, draw)
    finally:
        store.close()


def _house(
    store: TransientStore, clock: StoppedClock, settings: Settings, keys: SealingKeys, draw: Callable[[], str]
) -> House:
    sealed, sealer, tallies, box = (
        SealedTransient(store, lambda: keys),
        Sealer(lambda: keys),
        Tallies(store),
        Letterbox(),
    )
    throttle = Throttle(tallies=tallies, rounds=Shelf(sealed, "l", Round), sealer=sealer)
    sending = CodesByMessage(
        slots=Shelf(sealed, "o", Slot), epochs=Shelf(sealed, "e", Epoch), throttle=throttle, sealer=sealer,
        post=box, say=WORDS, settings=settings, draw=draw,
    )  # fmt: skip
    app = AppCodes(throttle=throttle, tallies=tallies, settings=settings)
    return House(store=store, clock=clock, throttle=throttle, codes=sending, app=app, box=box)


def at_once(acts: Sequence[Callable[[], object]]) -> list[object]:
    """Do everything at the same moment, each in a thread of its own; return what came of each."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index: int) -> None:
        barrier.wait(60)
        results[index] = acts[index]()  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a caller hangs"
    return list(results)
