"""What each SMS gateway wants to be asked: from a message to an HTTP request."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from idbroker.messages import gsm
from idbroker.messages.message import Message

SIGNATURE = "Idbroker-Signature"

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are at a gateway. `key` is its password, token or signing secret."""

    sender: str
    username: str
    key: str = field(repr=False)
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One POST."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)


Ask = Callable[[Account, Message, str], Call]


def ask_46elks(account: Account, message: Message, text: str) -> Call:
    """Ask 46elks: https://46elks.com/docs/send-sms. The text is kept out of its history: it holds codes."""
    return Call(
        url=account.address or "https://api.46elks.com/a1/sms",
        body=_form({"from": account.sender, "to": message.to, "message": text, "dontlog": "message"}),
        headers=_FORM,
        auth=(account.username, account.key),
    )


def ask_gatewayapi(account: Account, message: Message, text: str) -> Call:
    """Ask GatewayAPI: https://gatewayapi.com/docs/apis/rest. Numbers without +; other alphabets only if told."""
    content: dict[str, Any] = {
        "sender": account.sender.removeprefix("+"),
        "message": text,
        "recipients": [{"msisdn": int(message.to[1:])}],
    }
    if gsm.septets(text) is None:
        content["encoding"] = "UCS2"
    return Call(
        url=account.address or "https://gatewayapi.com/rest/mtsms",
        body=_json(content),
        headers=_JSON,
        auth=(account.key, ""),
    )


def ask_twilio(account: Account, message: Message, text: str) -> Call:
    """Ask Twilio: https://www.twilio.com/docs/messaging/api/message-resource."""
    base = (account.address or "https://api.twilio.com").rstrip("/")
    name = "MessagingServiceSid" if account.sender.startswith("MG") and len(account.sender) == 34 else "From"
    return Call(
        url=f"{base}/2010-04-01/Accounts/{quote(account.username, safe='')}/Messages.json",
        body=_form({"To": message.to, name: account.sender, "Body": text}),
        headers=_FORM,
        auth=(account.username, account.key),
    )


def ask_webhook(account: Account, message: Message, text: str) -> Call:
    """Ask whoever takes our own form: JSON, and its HMAC-SHA-256 in hexadecimal.

    The signature is over the whole body, which says which message it is and until when it is of use: what
    somebody sends a second time is known by its id, and what they send later by its end.
    """
    body = _json(
        {
            "id": message.id,
            "to": message.to,
            "from": account.sender,
            "text": text,
            "kind": message.kind,
            "ends_at": message.ends_at.isoformat(),
        }
    )
    signature = hmac.new(account.key.encode(), body, "sha256").hexdigest()
    return Call(
        url=account.address or "",
        body=body,
        headers={**_JSON, "Idempotency-Key": message.id, SIGNATURE: f"sha256={signature}"},
    )


def _form(values: Mapping[str, str]) -> bytes:
    return urlencode(values).encode("ascii")


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


GATEWAYS: Mapping[str, Ask] = {
    "46elks": ask_46elks,
    "gatewayapi": ask_gatewayapi,
    "twilio": ask_twilio,
    "webhook": ask_webhook,
}
