"""The Freja app's side: reading codes and links, and doing what people do with what they open.

Codes and links are `frejaeid://bindUserToTransaction?transactionReference=...`, the https address
`https://app...frejaeid.com/freja?action=bindUserToTransaction&transactionReference=...`, or the sandbox's
own address in the place of either. A code that moves has `<authRef>.<seconds>.<mac>` for a reference.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from idbroker.clock import Clock
from idbroker.sandbox.freja_orders import OUTCOMES, Transaction, Transactions
from idbroker.sandbox.orders import Order, Unreadable
from idbroker.sandbox.people import SimPerson

# How long a moving code may be read after it was shown, and before its second. Freja says neither.
LATE = timedelta(seconds=10)
EARLY = timedelta(seconds=2)
# The app has no words of the service's for it.
_ASKS = {True: "Log in", False: "Show who you are (somebody asked for you by your number)"}
_ACTION = "bindUserToTransaction"
_HOSTS = ("app.frejaeid.com", "app.prod.frejaeid.com", "app.test.frejaeid.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a code or link says: the reference, where to go afterwards, and a moving code's second and proof."""

    auth_ref: str = field(repr=False)
    leads_back: str | None = field(default=None, repr=False)
    window: int | None = None
    mac: str = field(default="", repr=False)


class FrejaPhone:
    """The app, for everybody who has one."""

    provider = "freja"
    outcomes: tuple[str, ...] = OUTCOMES

    def __init__(self, transactions: Transactions, clock: Clock, app_link: str) -> None:
        self._transactions, self._clock, self._app_link = transactions, clock, app_link

    def waiting(self) -> tuple[Order, ...]:
        """Return the orders that nobody has finished, the newest first."""
        return tuple(self._order(transaction) for transaction in self._transactions.waiting())

    def scan(self, content: str) -> Order:
        """Read a QR code's text. Raises Unreadable, also for a code that should move and does not."""
        pointer = self._read(content)
        transaction = self._transactions.look(pointer.auth_ref)
        if transaction.secret is not None:
            self._check_moving(pointer, transaction, transaction.secret)
        elif pointer.window is not None:
            raise Unreadable("it moves, and the service asked for one that does not")
        # The browser is on another device: the app leads nobody back.
        return self._order(self._transactions.deliver(pointer.auth_ref, None))

    def follow(self, link: str) -> Order:
        """Open the app by its link on the same device. Raises Unreadable."""
        pointer = self._read(link)
        if pointer.window is not None:
            raise Unreadable("a code to scan is no link")
        return self._order(self._transactions.deliver(pointer.auth_ref, pointer.leads_back))

    def act(self, order: str, person: SimPerson, outcome: str, *, ip: str = "127.0.0.1") -> str | None:
        """Do what a person does, and return where the app leads back to.

        `open` opens the order and leaves it so. A second order in the same person's app has both rejected.
        Raises Unreadable for an order that is no more or is somebody else's, ValueError for an outcome
        that is not known and for somebody who has no Freja eID.
        """
        done = self._transactions.act(order, person, outcome, ip)
        return None if done.open else done.leads_back

    def _order(self, transaction: Transaction) -> Order:
        wish = transaction.wish
        return Order(
            id=transaction.id,
            provider=self.provider,
            text=f"{_ASKS[wish.named is None]}. The service will be told: "
            f"{', '.join(wish.attributes) or 'nothing about you'}",
            status=transaction.status,
            person=transaction.person,
            code=code_of(transaction, self._app_link, self._clock.now()) if transaction.scannable else None,
        )

    def _read(self, content: str) -> Pointer:
        try:
            split = urlsplit(content)
            said = parse_qs(split.query, strict_parsing=True)
        except ValueError:
            raise Unreadable("it is no code of Freja's") from None
        if not self._is_ours(split, said) or len(said.get("transactionReference", ())) != 1:
            raise Unreadable("it is no code of Freja's")
        reference, *moving = said["transactionReference"][0].split(".")
        if moving and (len(moving) != 2 or not moving[0].isdecimal() or len(moving[0]) > 6):
            raise Unreadable("its reference is no reference of Freja's")
        return Pointer(
            auth_ref=reference,
            leads_back=said.get("originAppScheme", [None])[0],
            window=int(moving[0]) if moving else None,
            mac=moving[1] if moving else "",
        )

    def _is_ours(self, split: SplitResult, said: dict[str, list[str]]) -> bool:
        if split.scheme == "frejaeid":
            return split.netloc == _ACTION
        own = urlsplit(self._app_link)
        if (split.scheme, split.netloc, split.path) == (own.scheme, own.netloc, own.path):
            return said.get("action", [_ACTION]) == [_ACTION]
        real = split.scheme == "https" and split.netloc in _HOSTS and split.path == "/freja"
        return real and said.get("action") == [_ACTION]

    def _check_moving(self, pointer: Pointer, transaction: Transaction, secret: str) -> None:
        if pointer.window is None:
            raise Unreadable("it does not move, and the service asked for one that does")
        # Padded or not, and the secret as a text or as its bytes: Freja's documentation leaves both open.
        keys = (secret.encode(), base64.b64decode(secret))
        macs = (_mac(key, pointer.window).rstrip("=") for key in keys)
        if not any(hmac.compare_digest(mac.encode(), pointer.mac.rstrip("=").encode()) for mac in macs):
            raise Unreadable("its proof is wrong")
        # A code that was photographed and passed on comes too late.
        shown = transaction.made_at + timedelta(seconds=pointer.window)
        if not -EARLY <= self._clock.now() - shown <= LATE:
            raise Unreadable("it is out of date")


def code_of(transaction: Transaction, app_link: str, now: datetime) -> str:
    """Return what the QR code of a transaction says at this moment."""
    reference = transaction.auth_ref
    if transaction.secret is not None:
        window = int((now - transaction.made_at).total_seconds())
        reference = f"{reference}.{window}.{_mac(transaction.secret.encode(), window).rstrip('=')}"
    action = {"action": _ACTION} if app_link.startswith("http") and "action=" not in app_link else {}
    return f"{app_link}{'&' if '?' in app_link else '?'}{urlencode({**action, 'transactionReference': reference})}"


def _mac(key: bytes, window: int) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, str(window).encode(), "sha256")).decode()
