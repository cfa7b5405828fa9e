"""Addresses that open the Freja app, and what its QR codes say.

Sources: Freja's developer documentation (Authentication Service; Dynamic QR Code Implementation, beta).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from idbroker.visitor import Browser, System, Visitor

SCHEME = "frejaeid://bindUserToTransaction"
ADDRESSES: Mapping[str, str] = {
    "test": "https://app.test.frejaeid.com/freja",
    "production": "https://app.prod.frejaeid.com/freja",
}
# On iOS an https address opens in Safari. These open it in the browser that began, as its makers document.
_IOS: Mapping[Browser, Callable[[str], str]] = {
    Browser.CHROME: lambda url: _rescheme(url, "googlechrome", "googlechromes"),
    Browser.EDGE: lambda url: f"microsoft-edge-{url}",
    Browser.FIREFOX: lambda url: f"firefox://open-url?url={quote(url, safe='')}",
    Browser.OPERA_TOUCH: lambda url: f"touch-{url}",
}
SECRETS: Mapping[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "base64": lambda text: base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_"),
}


def app_link(base: str, reference: str, back: str | None = None) -> str:
    """Return the address that opens one order in the app. `back` is where the app leads when it is done.

    A reference may hold `+`, `/` and `-`, so all of it is escaped.
    """
    action = {} if base == SCHEME else {"action": "bindUserToTransaction"}
    origin = {} if back is None else {"originAppScheme": back}
    return f"{base}?{urlencode({**action, 'transactionReference': reference, **origin}, quote_via=quote, safe='')}"


def way_back(url: str, visitor: Visitor) -> str:
    """Return the address by which an app leads back to this very browser."""
    spell = _IOS.get(visitor.browser) if visitor.system is System.IOS else None
    return url if spell is None else spell(url)


def moving_reference(reference: str, secret: bytes, seconds: int, *, padded: bool) -> str:
    """Return the reference as it is for one second: a code filmed and shown elsewhere is soon worth nothing (E2)."""
    mac = base64.urlsafe_b64encode(hmac.digest(secret, str(seconds).encode(), "sha256")).decode()
    return f"{reference}.{seconds}.{mac if padded else mac.rstrip('=')}"


def read_secret(text: str, spelled: str) -> bytes:
    """Return the key that a qrCodeSecret is. ValueError when it is not spelled so."""
    try:
        return SECRETS[spelled](text)
    except binascii.Error as error:
        raise ValueError("a secret that does not read") from error


def _rescheme(url: str, plain: str, secure: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{secure if scheme == 'https' else plain}://{rest}"
