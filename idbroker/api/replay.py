"""The same request again, answered again, and done once (draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from idbroker.api.problems import Problem
from idbroker.api.wire import Written
from idbroker.client import Client
from idbroker.keeping import Shelf

LIFE = timedelta(hours=24)
AT_WORK = timedelta(minutes=5)  # longer than any request takes; then the key is free, if its worker is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A request that came with a key: what it said, as a digest, and once it is done what was answered."""

    said: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Remembers answers, sealed, by client and key: another client's key is another key."""

    shelf: Shelf[Repeatable]

    def once(self, client: Client, key: str, said: str, work: Callable[[], Written]) -> Written:
        """Do the work, or give the answer that it had. Raises Problem key_reused or in_progress.

        What failed on our side is not remembered: it may be asked for again.
        """
        name = hashlib.sha256(f"{client.id}\n{key}".encode()).hexdigest()
        ours = self.shelf.swap(name, None, Repeatable(said=said), AT_WORK)
        if ours is None:
            return self._again(name, said, client, key, work)
        try:
            answer = work()
        except BaseException:
            self.shelf.take(name)
            raise
        if not answer.lasting or answer.status >= 500 or answer.status == 429:
            self.shelf.take(name)
            return answer
        body = zlib.compress(answer.body.encode())
        done = Repeatable(said=said, status=answer.status, headers=answer.headers, body=body)
        self.shelf.put(name, done, LIFE)
        return answer

    def _again(self, name: str, said: str, client: Client, key: str, work: Callable[[], Written]) -> Written:
        kept = self.shelf.get(name)
        if kept is None:
            return self.once(client, key, said, work)  # it failed, or its time was up, between our two looks
        if kept.value.said != said:
            raise Problem("key_reused")
        if not kept.value.status:
            raise Problem("in_progress", headers={"Retry-After": "2"})
        headers = {**kept.value.headers, "Idempotency-Replayed": "true"}
        return Written(status=kept.value.status, headers=headers, body=zlib.decompress(kept.value.body).decode())


def fingerprint(method: str, path: str, body: bytes) -> str:
    """Return what tells one request from another."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()
