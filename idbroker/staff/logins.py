"""User names: how they are written, so that two that look alike are one."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 64
_LOGIN = re.compile(r"[a-z0-9._@-]{1,64}", re.ASCII)


def login_of(text: str) -> str | None:
    """Return a user name as it is kept: small letters, digits and `._@-`; None for a text that can be none.

    Wide and ligated letters are brought home (NFKC); those of other alphabets that look like ours are refused, or
    somebody could be added whose name reads as a colleague's (homographs).
    """
    if len(text) > 4 * LONGEST:
        return None
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    return plain if _LOGIN.fullmatch(plain) else None
