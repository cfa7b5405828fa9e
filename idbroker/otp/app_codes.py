"""Codes of an authenticator app: time-based one-time passwords (RFC 6238)."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

import pyotp

from idbroker.keeping import Tallies
from idbroker.otp import codes
from idbroker.otp.one_time import Locked, Wrong
from idbroker.otp.settings import Settings
from idbroker.otp.throttle import Throttle
from idbroker.otp.tries import Tries

STEP = 30  # seconds (RFC 6238, 5.2)
WINDOW = (-1, 0, 1)  # a phone's clock is off, and people type slowly
# Longer than any step is taken: three of them.
REMEMBERED = timedelta(minutes=5)


def new_secret() -> str:
    """Return a new secret, 160 random bits in base32 (RFC 4226, 4 R6): sealed wherever it is kept."""
    return pyotp.random_base32()


def uri(secret: str, account: str, issuer: str) -> str:
    """Return the `otpauth:` address to show as a QR code, by which an app takes the secret in."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def step_of(secret: str, typed: str, now: datetime, after_step: int) -> int | None:
    """Return the time step that a typed code is of, if it is now's or a neighbour's; else None.

    Only steps later than `after_step`, the last one used, are taken: the same code again is a replay, which the
    algorithm itself does not notice (RFC 6238, 5.2). All steps are computed and compared in constant time. Keep
    what is returned, and of several callers at once believe one (`AppCodes`).
    """
    code = codes.typed(typed) or ""
    app = pyotp.TOTP(secret)
    steps = [int(now.timestamp()) // STEP + offset for offset in WINDOW]
    alike = [hmac.compare_digest(app.generate_otp(step).encode(), code.encode()) for step in steps]
    # The latest that fits: should two steps have one code, it does not come back as the later's.
    return max((step for step, same in zip(steps, alike, strict=True) if same and step > after_step), default=None)


class AppCodes:
    """Checks an authenticator app's codes, counted together with those sent by message."""

    def __init__(self, *, throttle: Throttle, tallies: Tallies, settings: Settings) -> None:
        self._tries = Tries(throttle=throttle, settings=settings)
        self._tallies = tallies

    def check(
        self, *, person: str, purpose: str, secret: str, typed: str, after_step: int, now: datetime
    ) -> int | Wrong | Locked:
        """Count a try, then compare; return the step of a right code, to be kept as the last used.

        Of many callers with one code one gets the step, whether or not the account has been saved in between
        (ASVS 6.5.1). May raise StoreError.
        """
        left = self._tries.spend(person, purpose, now)
        if isinstance(left, Locked):
            return left
        step = step_of(secret, typed, now, after_step)
        if step is not None and self._first_use(person, step):
            self._tries.clear(person, purpose)
            return step
        return (self._tries.locked(person, purpose, now) if left == 0 else None) or Wrong(left=left)

    def _first_use(self, person: str, step: int) -> bool:
        return self._tallies.add(f"app step|{person}|{step}", REMEMBERED) == 1
