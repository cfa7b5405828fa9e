"""What people read off paper or a screen and type: codes in letters, and passwords that we make ourselves."""

from __future__ import annotations

import secrets
import unicodedata

from idbroker.accounts.passwords import weakness
from idbroker.clinic import PasswordRules

# Nothing that looks like something else: no 0 and O, no 1, I and L.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"
_SIGNS = f"23456789{_LETTERS}"
LENGTH = 12  # of a code: 59 bits, counted before they are compared
_GROUP = 4
_WORD = 5  # of a password: three of them are 74 bits
_LONGEST = 64  # of what is typed


def draw() -> str:
    """Return a new code, as it is kept nowhere: twelve signs."""
    return "".join(secrets.choice(_SIGNS) for _ in range(LENGTH))


def shown(code: str) -> str:
    """Return a code as it is printed: in groups of four."""
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def typed(text: str) -> str | None:
    """Return the code that somebody typed, in capital or small letters and with any spaces; None if it can be none."""
    if len(text) > _LONGEST:
        return None
    code = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).upper()
    return code if len(code) == LENGTH and set(code) <= set(_SIGNS) else None


def lasting(rules: PasswordRules) -> str:
    """Return a new password that somebody types for years: groups of five signs, as many as the rules demand."""
    groups = max(3, -(-rules.least // (_WORD + 1)) + 1)
    while True:
        words = ["".join(secrets.choice(_SIGNS).lower() for _ in range(_WORD)) for _ in range(groups)]
        password = "-".join([words[0].upper(), *words[1:]] if rules.mixed else words)
        # By chance one may have no digit, or be soon guessed: it is judged as anybody's.
        if weakness(password, rules) is None:
            return password
