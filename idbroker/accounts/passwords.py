"""Passwords: which may be chosen, how they are kept, and that checking them holds up nobody else.

Sources: NIST SP 800-63B-4, 3.1.1 (passwords) and 3.2.2 (rate limiting), OWASP ASVS 5.0, 6.2; argon2id is RFC 9106.
"""

from __future__ import annotations

import base64
import functools
import math
import os
import re
import secrets
import sys
import threading
import unicodedata
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import TypeVar

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from zxcvbn import matching, scoring  # type: ignore[import-untyped]  # ships no types

from idbroker.clinic import PasswordRules
from idbroker.errors import BrokerError, StoreError

LONGEST = 128  # characters, which are code points (SP 800-63B-4, 3.1.1.1: at least 64 must be allowed)
MOST_BYTES = 1024
SHORTEST = 8  # whatever a clinic says (SP 800-63B-4, 3.1.1.1: a password that is one of two factors)
GUESSES = 10**8  # fewer and it is refused: below zxcvbn's 3 of 4

_NICE = 10  # a tenth of the processor, when eID sign-ins want the rest
_SALT, _DIGEST = 16, 32  # bytes (RFC 9106, 3.1)
_JUDGED = 72  # characters that zxcvbn is shown
_CRAFTED = 16  # of a password with many signs that may stand for letters: each combination costs a look-up
_MANY_SIGNS = 6
_OWN = 4  # letters and digits that must be the password's own, besides what is known of the person
_SIGNS = frozenset("4@8({[<36910!|$5+7%2")
_UNTYPED = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, NUL among them; half a letter; ends of lines
_SMALLEST_KIB, _LARGEST_KIB = 19456, 1048576  # the least is OWASP's, with two passes
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[passwords]`: what one hash costs (argon2id), and how many are made at once, in each worker.

    64 MiB and two passes take 113 ms on the core they were chosen on. `at_once` hashes run in a worker and up to
    `waiting` wait, each no longer than `patience`: then the person is asked to try again in a moment.

    After `tries` wrong ones a number's passwords are closed for the `window`; so are those typed at one
    `address` of the network after so many wrong ones within it; after so many at one `clinic`, those typed there at
    addresses with a wrong one. ASVS 6.1.1: accounts/desk.py.
    """

    memory_kib: int = 65536
    passes: int = 2
    lanes: int = 1
    at_once: int = 1
    waiting: int = 8
    patience: timedelta = timedelta(seconds=10)
    tries: int = 5
    address: int = 30
    clinic: int = 600
    window: timedelta = timedelta(minutes=15)


def mistakes(settings: Settings) -> list[str]:
    """Return what is wrong with the settings, in words for the operator."""
    rules = (
        (
            _SMALLEST_KIB <= settings.memory_kib <= _LARGEST_KIB,
            f"memory_kib must be {_SMALLEST_KIB} to {_LARGEST_KIB}: less is guessed cheaply, more fills the machine",
        ),
        (2 <= settings.passes <= 20, "passes must be 2 to 20"),
        (1 <= settings.lanes <= 8, "lanes must be 1 to 8"),
        (1 <= settings.at_once <= 16, "at_once must be 1 to 16: each takes memory_kib of memory, in each worker"),
        (0 <= settings.waiting <= 1000, "waiting must be 0 to 1000"),
        (
            timedelta(seconds=1) <= settings.patience <= timedelta(seconds=25),
            "patience must be 1 to 25 seconds: a browser's request waits as long",
        ),
        (1 <= settings.tries <= 10, "tries must be 1 to 10"),
        (settings.tries <= settings.address, "address is less than tries"),
        (settings.address <= settings.clinic, "clinic is less than address"),
        (timedelta(minutes=1) <= settings.window <= timedelta(days=1), "window must be 1 minute to 1 day"),
    )
    return [words for holds, words in rules if not holds]


class Busy(BrokerError):
    """Too many passwords are being checked just now; nothing was compared."""

    code = "busy"


class Unfit(BrokerError):
    """A text that can be no password: too long, or with signs that nobody types. It never carries the text."""

    code = "unfit_password"


def normal(password: str) -> str:
    """Return a password as it is hashed: NFC, and nothing else changed or cut (SP 800-63B-4, 3.1.1.2; ASVS 6.2.8).

    Raises Unfit before any work that grows with the length: a megabyte must cost nobody anything (O12).
    """
    if len(password) > MOST_BYTES or len(password.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise Unfit("too long")
    text = unicodedata.normalize("NFC", password)
    if len(text) > LONGEST:
        raise Unfit("too long")
    if any(unicodedata.category(letter) in _UNTYPED for letter in text):
        raise Unfit("signs")  # and no library below is trusted with what it would cut at a NUL
    return text


class Hasher:
    """Hashes and verifies, in a few threads of its own that stand back for everybody else's.

    Each method waits for its turn and raises Busy when too many wait, or the wait is too long.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._argon2 = PasswordHasher(
            time_cost=self._settings.passes,
            memory_cost=self._settings.memory_kib,
            parallelism=self._settings.lanes,
            hash_len=_DIGEST,
            salt_len=_SALT,
            type=Type.ID,
        )
        kind = (self._settings.memory_kib, self._settings.passes, self._settings.lanes)
        self._nobodys = {kind: _nobodys(*kind)}
        self._begin_anew()
        begin = weakref.WeakMethod(self._begin_anew)
        os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin_anew(self) -> None:
        """Start with no thread: a child that was forked has none of its parent's."""
        self._pool = ThreadPoolExecutor(self._settings.at_once, thread_name_prefix="passwords", initializer=_stand_back)
        self._room = threading.BoundedSemaphore(self._settings.at_once + self._settings.waiting)

    @property
    def full(self) -> bool:
        """Tell whether as many wait as may, at this moment."""
        if self._room.acquire(blocking=False):
            self._room.release()
            return False
        return True

    def hash(self, password: str) -> str:
        """Return what is kept of a password, in argon2's own spelling. Raises Unfit, Busy."""
        text = normal(password)
        try:
            return self._in_turn(lambda: self._argon2.hash(text))
        except HashingError as error:
            raise Busy("no memory to hash in") from error

    def verify(self, encoded: str | None, password: str) -> bool:
        """Tell whether this is the password. Raises Busy; StoreError for a hash that does not read.

        Without a hash it works as long and says no: whether somebody has a password is nobody's to time (O7). Where
        hashes of other parameters than today's have been seen, every no costs one of each kind, or their time would
        tell who had a password before `[passwords]` was changed. A worker knows the kinds that it has met since it
        began: to the first such no in each, and to that only, time still tells. What is right costs one.

        What can be no password is never one, and costs nothing, whosever it would be.
        """
        try:
            text = normal(password)
        except Unfit:
            return False
        return self._in_turn(lambda: self._compared(encoded, text))

    def needs_rehash(self, encoded: str) -> bool:
        """Tell whether a hash was made with other parameters than today's. Raises StoreError."""
        try:
            return self._argon2.check_needs_rehash(encoded)
        except InvalidHashError as error:
            raise StoreError("a kept password does not read") from error

    def close(self) -> None:
        """Stop: who waits is told Busy."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _compared(self, encoded: str | None, text: str) -> bool:
        own = None if encoded is None else _kind(encoded)
        if encoded is not None and own is not None:
            self._nobodys.setdefault(own, _nobodys(*own))
            if self._matches(encoded, text):
                return True
        for kind, nobodys in tuple(self._nobodys.items()):
            if kind != own:
                self._matches(nobodys, text)
        return False

    def _matches(self, encoded: str, text: str) -> bool:
        try:
            return self._argon2.verify(encoded, text)
        except VerifyMismatchError:
            return False
        except InvalidHashError as error:
            raise StoreError("a kept password does not read") from error
        except VerificationError as error:  # it was not compared: wrong would count as a try
            raise Busy("no memory to verify in") from error

    def _in_turn(self, work: Callable[[], Result]) -> Result:
        """Let a thread of ours do it, and wait."""
        room = self._room
        if not room.acquire(blocking=False):
            raise Busy("too many wait")
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            room.release()
            raise Busy("closed") from error
        future.add_done_callback(lambda _: room.release())
        return self._result(future)

    def _result(self, future: Future[Result]) -> Result:
        try:
            return future.result(self._settings.patience.total_seconds())
        except CancelledError as error:
            raise Busy("closed") from error
        except TimeoutError as error:
            if future.cancel():
                raise Busy("waited too long") from error
        return future.result()  # it has begun, and ends by itself


def _stand_back() -> None:
    """Let this thread run when no other wants to: on Linux a priority is a thread's own, elsewhere the process's."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _kind(encoded: str) -> tuple[int, int, int]:
    """Return by which parameters a hash was made: memory, passes, lanes."""
    try:
        found = extract_parameters(encoded)
    except InvalidHashError as error:
        raise StoreError("a kept password does not read") from error
    return found.memory_cost, found.time_cost, found.parallelism


def _nobodys(memory_kib: int, passes: int, lanes: int) -> str:
    """Return a hash of no password, which costs as much to compare with as anybody's."""
    salt, digest = (_base64(secrets.token_bytes(length)) for length in (_SALT, _DIGEST))
    return f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()


# ---- which may be chosen -------------------------------------------------------------------------


def least(rules: PasswordRules) -> int:
    """Return how many characters a new password has at least, for the words that say so (`n`)."""
    return max(SHORTEST, rules.least)


def weakness(password: str, rules: PasswordRules, words: Iterable[str] = ()) -> str | None:
    """Return the key of what is wrong with a new password; None when it may be chosen.

    `words` are what others know of the person and the place: name, number, e-mail address, clinic, service
    (ASVS 6.1.2, 6.2.11). f.e.long, f.e.signs, f.e.short (which says `n`: `least`), f.e.mixed where the clinic's
    rules demand it, f.e.common: on a list of what many choose, or soon guessed (SP 800-63B-4, 3.1.1.2).
    """
    try:
        text = normal(password)
    except Unfit as error:
        return "f.e.signs" if error.detail == "signs" else "f.e.long"
    if len(text) < least(rules):
        return "f.e.short"
    if rules.mixed and not _is_mixed(text):
        return "f.e.mixed"
    return "f.e.common" if _is_guessed(text, dict.fromkeys(_parts(words))) else None


def _is_mixed(text: str) -> bool:
    return any(map(str.islower, text)) and any(map(str.isupper, text)) and any(map(str.isdigit, text))


def _is_guessed(text: str, known: Mapping[str, None]) -> bool:
    nordic, context = _nordic(), {word: rank for rank, word in enumerate(known, 1)}
    runs = {_once(run) for run in re.findall(r"[^\W\d_]+", text.casefold())}
    if runs and sum(_listed(run, (nordic, context)) for run in runs) <= 2:
        return True  # nothing but digits and signs around one word of the lists, or two
    if _without(text, context) < _OWN:
        return True
    # zxcvbn's own call keeps the words it is given in a table of the module, for every thread to see.
    tables = {**matching.RANKED_DICTIONARIES, "nordic": nordic, "context": context}
    return _guesses(_shown(text), tables) < GUESSES


def _guesses(shown: str, tables: Mapping[str, Mapping[str, int]]) -> int:
    return int(scoring.most_guessable_match_sequence(shown, matching.omnimatch(shown, tables))["guesses"])


def _without(text: str, words: Iterable[str]) -> int:
    """Return how many letters and digits are left without the words, whatever stands between their parts."""
    bare = "".join(filter(str.isalnum, text.casefold()))
    for word in sorted(words, key=len, reverse=True):
        bare = bare.replace(word, "")
    return len(bare)


def _shown(text: str) -> str:
    """Return as much of it as is judged: what all of it is worth at the least, in milliseconds."""
    return text[: _CRAFTED if len(_SIGNS.intersection(text)) > _MANY_SIGNS else _JUDGED]


def _listed(run: str, lists: Sequence[Mapping[str, int]]) -> float:
    """Return of how many words of the lists a run of letters is: one, two, or more than anybody counts."""

    def known(word: str) -> bool:
        return any(word in one for one in lists)

    if known(run):
        return 1
    return 2 if any(known(run[:cut]) and known(run[cut:]) for cut in range(2, len(run) - 1)) else math.inf


def _once(run: str) -> str:
    """Return a word that is written several times as written once."""
    repeated = re.fullmatch(r"(.{3,}?)\1+", run)
    return repeated[1] if repeated else run


def _parts(words: Iterable[str]) -> Iterator[str]:
    """Return what to look for of each: its words, and all of it in one; of an address what is before its host."""
    for word in words:
        parts = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", word).casefold().partition("@")[0])
        for part in ("".join(parts), *parts):
            yield from (way for way in _spellings(part) if len(way) >= 3)


@functools.cache
def _nordic() -> Mapping[str, int]:
    """Return the list of what people here choose, by rank, in each spelling."""
    lines = (resources.files(__package__) / "nordic_passwords.txt").read_text("utf-8").splitlines()
    words = [word for line in lines if not line.startswith("#") for word in line.split()]
    ranks: dict[str, int] = {}
    for rank, word in enumerate(words, 1):
        for way in _spellings(word):
            ranks.setdefault(way, rank)
    return ranks


def _spellings(word: str) -> tuple[str, ...]:
    """Return a word with its own letters, and as it is typed where those are missing."""
    return tuple(dict.fromkeys((word, *(word.translate(table) for table in _FOLDED))))


_FOLDED = (
    str.maketrans("åäöøéá", "aaooea", ""),
    str.maketrans({"å": "aa", "ä": "ae", "ö": "oe", "ø": "oe", "æ": "ae"}),
)
