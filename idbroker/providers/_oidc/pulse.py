"""Whether an upstream answers just now: known from what was heard of it of late, or looked at, for two seconds.

Who leaves is sent to the upstream by their browser, and an upstream that is down leaves them at an error page of its
own, or at none. Looked at by a thread of its own, one at a time: a name that does not resolve would hold whoever asks
for longer than any timeout of ours says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from idbroker.errors import ProviderError

HEARD = timedelta(seconds=60)  # a well upstream is looked at once in so long, if nobody signs in meanwhile
SILENT = timedelta(seconds=15)  # while it is down nobody waits to learn what another has just learnt
WITHIN = 2.0
_log = structlog.get_logger("idbroker.oidc")


class Pulse:
    """What one worker knows of one upstream; threads may share it. `look` raises a ProviderError for no answer."""

    def __init__(self, look: Callable[[], None], *, within: float = WITHIN) -> None:
        self._look, self._within = look, within
        self._lock = threading.Lock()
        self._heard: datetime | None = None
        self._silent: datetime | None = None
        self._under_way: threading.Event | None = None

    def heard(self, now: datetime) -> None:
        """Note that it has just answered."""
        self._heard, self._silent = now, None

    def beats(self, now: datetime) -> bool:
        """Tell whether it answers, in `within` seconds at most."""
        if _is_young(self._heard, now, HEARD):
            return True
        if _is_young(self._silent, now, SILENT):
            return False
        self._looked(now).wait(self._within)
        if _is_young(self._heard, now, HEARD):
            return True
        self._silent = now
        return False

    def _looked(self, now: datetime) -> threading.Event:
        """Return what is set once somebody has looked: the look that is under way, or a new one."""
        with self._lock:
            if self._under_way is None:
                over = threading.Event()
                try:
                    threading.Thread(target=self._goes, args=(over, now), daemon=True).start()
                except RuntimeError:  # no thread to be had just now: silent, and looked at again when that has passed
                    _log.warning("upstream_silent", reason="no_thread")
                    over.set()
                    return over
                self._under_way = over
            return self._under_way

    def _goes(self, over: threading.Event, now: datetime) -> None:
        try:
            self._look()
            self.heard(now)
        except ProviderError as error:
            _log.warning("upstream_silent", reason=error.code, detail=error.detail)
        finally:
            with self._lock:
                self._under_way = None
            over.set()


def _is_young(at: datetime | None, now: datetime, life: timedelta) -> bool:
    return at is not None and abs(now - at) < life
