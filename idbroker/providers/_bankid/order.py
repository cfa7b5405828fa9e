"""One order as we keep it between two looks: what BankID gave us, and what we asked to be signed."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from idbroker.errors import Unreachable
from idbroker.providers import Progress
from idbroker.visitor import Device

_TOKENS = ("orderRef", "autoStartToken", "qrStartToken", "qrStartSecret")
_TOKEN = re.compile(r"[0-9A-Za-z-]{1,64}")  # UUIDs, which go into links, codes and JSON as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The four tokens of an order (RP API 6.0, response of /auth). The secret is for this server alone."""

    order: str = field(repr=False)
    autostart: str = field(repr=False)
    qr_token: str = field(repr=False)
    qr_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order.

    `began` is when BankID's answer reached us, in milliseconds since 1970: the QR code counts from there.
    `visible` and `hidden` are in base64, exactly as sent, for they must come back signed. `returns`
    says whether the app was told the way back to the browser.
    """

    order: str
    autostart: str = field(repr=False)
    qr_token: str = field(repr=False)
    qr_secret: str = field(repr=False)
    began: int
    device: str
    progress: str = Progress.WAITING.value
    says: str = "b.st.start"
    returns: bool = False
    visible: str = ""
    hidden: str = ""

    def pack(self) -> bytes:
        """Return the order as bytes; equal orders give equal bytes."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @property
    def waiting(self) -> bool:
        """Tell whether nobody has opened it, as far as we know."""
        return self.progress == Progress.WAITING.value

    def at(self, progress: Progress, says: str) -> Order:
        """Return the order as it is after a look. One that was opened once never waits again."""
        return replace(self, progress=progress.value, says=says)

    def code(self, now: datetime) -> str | None:
        """Return the text of the animated QR code at a moment: whole seconds since the order began, and their HMAC.

        None once somebody has the order in their app, and for an order that is to be opened on this
        device: of that one nobody elsewhere may take a picture.
        """
        if not self.waiting or self.device != Device.OTHER.value:
            return None
        seconds = str(max(0, (milliseconds(now) - self.began) // 1000))
        mac = hmac.digest(self.qr_secret.encode("ascii"), seconds.encode("ascii"), "sha256").hex()
        return f"bankid.{self.qr_token}.{seconds}.{mac}"


def milliseconds(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def unpack(state: bytes) -> Order | None:
    """Return the order of some state; None for what is no order of this version's."""
    try:
        return Order(**json.loads(state))
    except (ValueError, TypeError):
        return None


def tokens(answer: object) -> Tokens:
    """Return the tokens in BankID's answer to a new order. Unreachable when one is missing or no text."""
    found = [answer.get(name) for name in _TOKENS] if isinstance(answer, dict) else []
    texts = [text for text in found if isinstance(text, str) and _TOKEN.fullmatch(text)]
    if len(texts) != len(_TOKENS):
        raise Unreachable("auth: an answer without its four tokens")
    order, autostart, qr_token, qr_secret = texts
    return Tokens(order=order, autostart=autostart, qr_token=qr_token, qr_secret=qr_secret)
