"""Short-lived state in Redis (or Valkey), shared by the workers of all hosts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from redis.exceptions import ConnectionError as Dropped
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from idbroker.errors import StoreError
from idbroker.store.addresses import RedisAddress
from idbroker.store.forks import follow_forks
from idbroker.store.limits import checked_key, checked_value, milliseconds
from idbroker.store.redis_lines import Part, open_lines

PREFIX = "idb:"
SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
COUNT = """
local sum = redis.call('INCR', KEYS[1])
if sum == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return sum
"""
DIGESTS = {script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (SWAP, COUNT)}

Answer = TypeVar("Answer")


class RedisTransient:
    """A `Transient` on Redis. Every method is one round trip.

    Time is the server's own: entries end by its clock, whatever ours is moved to. `get` and `put`
    are repeated once when the connection drops; `take`, `swap` and `count` never are, for they may
    have been done before the answer was lost.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._lines = open_lines(address)
        follow_forks(self._lines)

    def put(self, key: str, value: bytes, life: timedelta) -> None:
        """Keep a value, replacing what was there."""
        command = ("SET", _name(key), checked_value(value), "PX", milliseconds(life))
        _answer(lambda: self._twice(*command))

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        name = _name(key)
        found: bytes | None = _answer(lambda: self._twice("GET", name))
        return found

    def take(self, key: str) -> bytes | None:
        """Return the value and delete it: of many callers at once exactly one gets it."""
        name = _name(key)
        taken: bytes | None = _answer(lambda: self._lines.call("GETDEL", name))
        return taken

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace `old` by `new` if `old` is still there; `old=None` means only if absent."""
        name, value, ends = _name(key), checked_value(new), milliseconds(life)
        if old is None:
            return _answer(lambda: self._lines.call("SET", name, value, "PX", ends, "NX")) is not None
        return bool(_answer(lambda: self._script(SWAP, name, old, value, ends)))

    def count(self, key: str, life: timedelta) -> int:
        """Add one and return the sum. Life starts at the first count and is not prolonged."""
        name, ends = _name(key), milliseconds(life)
        return int(_answer(lambda: self._script(COUNT, name, ends)))

    def ping(self) -> None:
        """Return if Redis answers. StoreError otherwise."""
        _answer(lambda: self._twice("GET", f"{PREFIX}ping"))

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        self._lines.close()

    def _twice(self, *command: Part) -> Any:
        """Send a command that may be repeated; the second time only when the connection dropped."""
        try:
            return self._lines.call(*command)
        except Dropped:
            return self._lines.call(*command)

    def _script(self, script: str, key: str, *arguments: Part) -> Any:
        """Run a script by its digest; a server that does not know it yet has not run it, and gets the text."""
        try:
            return self._lines.call("EVALSHA", DIGESTS[script], 1, key, *arguments)
        except NoScriptError:
            return self._lines.call("EVAL", script, 1, key, *arguments)


def _answer(ask: Callable[[], Answer]) -> Answer:
    """Return the answer. Whatever Redis or the network says instead becomes a StoreError."""
    try:
        return ask()
    except (RedisError, RedisClusterException, OSError) as error:
        raise StoreError("Redis does not answer") from error


def _name(key: str) -> str:
    return PREFIX + checked_key(key)
