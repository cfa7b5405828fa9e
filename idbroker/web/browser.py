"""What we keep in the browser: a cookie per transaction, for the sign-on, for itself, for small comforts."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from flask import Request
from werkzeug.wrappers import Response

MOST_TRANSACTIONS = 8
TRANSACTION_DAYS = 7
COMFORT_DAYS = 365
DEVICE_DAYS = 365
FAREWELL_MINUTES = 30
FAMILIAR_DAYS = 90
MOST_FAMILIAR = 12  # colleagues who share one computer
_DEVICE = re.compile(r"[A-Za-z0-9_-]{22}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionCookie:
    """A transaction's cookie: when it was made, the secret, and what the way back needs if all else is gone."""

    made_at: int
    secret: str = field(repr=False)
    client_id: str
    language: str

    def text(self) -> str:
        """Return it as a cookie's value."""
        return f"{self.made_at}.{self.secret}.{self.language}.{self.client_id}"

    @classmethod
    def read(cls, text: str) -> TransactionCookie | None:
        """Return it, or None for a value that is not of ours; a malformed cookie is as good as none."""
        parts = text.split(".", 3)
        if len(parts) != 4 or not parts[0].isdecimal() or len(text) > 512 or not text.isprintable():
            return None  # nothing unprintable goes on to a database, which may not take it as text
        return cls(made_at=int(parts[0][:12]), secret=parts[1], language=parts[2], client_id=parts[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookies:
    """Names, reads and sets our cookies.

    Over https each has the `__Host-` prefix: no sub-domain and no plain-http page can plant one
    (login CSRF, session fixation). On a loopback http address (the sandbox) browsers and scripts do
    not send Secure cookies, so there they are plain.
    """

    secure: bool

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def _set(self, response: Response, name: str, value: str, max_age: int | None, *, same_site: str = "Lax") -> None:
        response.set_cookie(
            self._name(name), value, max_age=max_age, secure=self.secure, httponly=True, samesite=same_site, path="/"
        )

    def _drop(self, response: Response, full_name: str) -> None:
        response.delete_cookie(full_name, secure=self.secure, httponly=True, samesite="Lax", path="/")

    # ---- transactions ----------------------------------------------------------------------------

    def transaction(self, request: Request, name: str) -> TransactionCookie | None:
        """Return the cookie of one transaction."""
        text = request.cookies.get(self._name(f"t-{name[:8]}"))
        return TransactionCookie.read(text) if text else None

    def keep_transaction(self, request: Request, response: Response, name: str, cookie: TransactionCookie) -> None:
        """Set the cookie of a transaction; of more than eight the oldest goes."""
        prefix, own = self._name("t-"), self._name(f"t-{name[:8]}")
        found = {n: v for n, v in request.cookies.items() if n.startswith(prefix) and n != own}
        others = {n: TransactionCookie.read(v) for n, v in found.items()}
        by_age = sorted(others, key=lambda n: others[n].made_at if others[n] else 0)  # type: ignore[union-attr]
        for stale in by_age[: max(0, len(by_age) - MOST_TRANSACTIONS + 1)]:
            self._drop(response, stale)
        self._set(response, f"t-{name[:8]}", cookie.text(), TRANSACTION_DAYS * 86400)

    # ---- the sign-on -----------------------------------------------------------------------------

    def session(self, request: Request) -> str | None:
        """Return the secret of the sign-on."""
        return request.cookies.get(self._name("s"))

    def keep_session(self, response: Response, secret: str) -> None:
        """Set it; it ends with the browser, and with the limits kept on our side."""
        self._set(response, "s", secret, None)

    def drop_session(self, response: Response) -> None:
        """Remove it."""
        self._drop(response, self._name("s"))

    def farewell(self, request: Request) -> str:
        """Return the id of the logout that this browser is at, or nothing."""
        return request.cookies.get(self._name("f"), "")

    def keep_farewell(self, response: Response, name: str) -> None:
        """Set it."""
        self._set(response, "f", name, FAREWELL_MINUTES * 60)

    def away(self, request: Request) -> str:
        """Return the transaction that went to a register's own page last, or nothing."""
        return request.cookies.get(self._name("r"), "")

    def keep_away(self, response: Response, name: str) -> None:
        """Set it: such a page brings nothing back that would name the transaction (login CSRF: it is bound here)."""
        self._set(response, "r", name, FAREWELL_MINUTES * 60)

    # ---- staff, and the clinic's tablet ----------------------------------------------------------

    def staff(self, request: Request) -> str | None:
        """Return the secret of a colleague's sign-in: a cookie of its own, never the patients'."""
        return request.cookies.get(self._name("w"))

    def keep_staff(self, response: Response, secret: str) -> None:
        """Set it; no page elsewhere makes a browser send it (CSRF), not even by a link."""
        self._set(response, "w", secret, None, same_site="Strict")

    def drop_staff(self, response: Response) -> None:
        """Remove it."""
        self._drop(response, self._name("w"))

    def familiar(self, request: Request) -> tuple[str, ...]:
        """Return the tokens of colleagues who have signed in with this browser before: one for each."""
        prefix = self._name("k-")
        return tuple(value for name, value in request.cookies.items() if name.startswith(prefix) and len(value) <= 128)

    def keep_familiar(self, request: Request, response: Response, token: str) -> None:
        """Set a colleague's, named by the first eight signs of it; of more than twelve the oldest go."""
        prefix, name = self._name("k-"), f"k-{token[:8]}"
        others = {one: value for one, value in request.cookies.items() if one.startswith(prefix)}
        others.pop(self._name(name), None)
        by_age = sorted(others, key=lambda one: others[one][33:43])
        for stale in by_age[: max(0, len(by_age) - MOST_FAMILIAR + 1)]:
            self._drop(response, stale)
        self._set(response, name, token, FAMILIAR_DAYS * 86400, same_site="Strict")

    def entering(self, request: Request) -> str:
        """Return the secret of a browser in which a colleague is about to sign in, or nothing."""
        known = request.cookies.get(self._name("e"), "")
        return known if _SECRET.fullmatch(known) else ""

    def keep_entering(self, response: Response, secret: str) -> None:
        """Set it; it comes along on the way back from the organisation's own sign-in, so it is not strict."""
        self._set(response, "e", secret, None)

    def drop_entering(self, response: Response) -> None:
        """Remove it."""
        self._drop(response, self._name("e"))

    def tablet(self, request: Request) -> str | None:
        """Return the secret of a tablet that is being paired."""
        return request.cookies.get(self._name("p"))

    def keep_tablet(self, response: Response, secret: str) -> None:
        """Set it."""
        self._set(response, "p", secret, None, same_site="Strict")

    def drop_tablet(self, response: Response) -> None:
        """Remove it."""
        self._drop(response, self._name("p"))

    # ---- the browser itself ----------------------------------------------------------------------

    def device(self, request: Request) -> str:
        """Return this browser's own number, a new one if it has none: eIDs warn a person of a strange device."""
        known = request.cookies.get(self._name("d"), "")
        return known if _DEVICE.fullmatch(known) else secrets.token_urlsafe(16)

    def keep_device(self, request: Request, response: Response, device: str) -> None:
        """Remember it for a year, if it is new."""
        if request.cookies.get(self._name("d")) != device:
            self._set(response, "d", device, DEVICE_DAYS * 86400)

    # ---- terms -----------------------------------------------------------------------------------

    def accepted(self, request: Request) -> dict[str, str]:
        """Return which version of whose terms this browser has accepted, by clinic; no personal data."""
        parts = (part.partition("=") for part in request.cookies.get(self._name("a"), "")[:1024].split("|"))
        return {clinic: version for clinic, equals, version in parts if equals}

    def keep_accepted(self, request: Request, response: Response, clinic: str, version: str) -> None:
        """Remember it for a year."""
        newest = {**{c: v for c, v in self.accepted(request).items() if c != clinic}, clinic: version}
        text = "|".join(f"{c}={v}" for c, v in list(newest.items())[-MOST_TRANSACTIONS:])
        self._set(response, "a", text, COMFORT_DAYS * 86400)

    # ---- comforts --------------------------------------------------------------------------------

    def comforts(self, request: Request) -> tuple[str | None, str | None]:
        """Return the language and the way to sign in used last on this device; no personal data."""
        language, _, provider = request.cookies.get(self._name("l"), "").partition(".")
        return language or None, provider or None

    def keep_comforts(self, response: Response, language: str, provider: str) -> None:
        """Remember both for a year."""
        self._set(response, "l", f"{language}.{provider}", COMFORT_DAYS * 86400)
