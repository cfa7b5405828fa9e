"""Where an identity provider's metadata comes from, and what is believed of it between two looks."""

from __future__ import annotations

import threading
import zlib
from datetime import datetime, timedelta

import requests
import structlog

from idbroker.errors import BrokerError, StoreError, Unreachable, Untrusted
from idbroker.providers import Means
from idbroker.providers._saml.settings import SamlSettings, signers
from idbroker.saml import metadata
from idbroker.saml.metadata import IdentityProvider, Keep, Lapsed, Take

REFRESH = timedelta(hours=1)
LONGEST = timedelta(hours=24)
PAUSE = timedelta(minutes=1)  # after a look that failed, and between two at a file
SOON = timedelta(seconds=5)
_PATIENCE = 5.0  # seconds that one thread waits for another's look
_log = structlog.get_logger("idbroker.saml")


class Source:
    """One identity provider's metadata, looked at again when it is due; threads may share it.

    Whoever finds it due looks, while the others go on with what there is. A look that fails changes
    nothing until the old copy's time has passed. What was fetched last is shared by all workers and
    outlives a restart, so that nobody is shut out because the source is down just then.
    """

    def __init__(self, name: str, settings: SamlSettings, means: Means) -> None:
        self._name, self._settings, self._means = name, settings, means
        self._signers = signers(settings)
        self._http = means.http() if settings.metadata_url is not None else None
        self._lock = threading.Lock()
        self._known: IdentityProvider | None = None
        self._fetched_at: datetime | None = None
        self._next: datetime | None = None

    def get(self, now: datetime) -> IdentityProvider:
        """Return what is believed now. Unreachable when there is nothing to believe."""
        if self._next is None or now >= self._next or self._lapsed(now):
            self._look(now)
        if self._known is None or self._lapsed(now):
            raise Unreachable("metadata: none that is good any more")
        return self._known

    def _lapsed(self, now: datetime) -> bool:
        return self._known is None or now >= self._known.valid_until

    def _look(self, now: datetime) -> None:
        # Who has nothing to go on with must wait for the one who looks; anybody else need not. Not for long:
        # a source that is slow must not hold every thread we have.
        if not self._lock.acquire(timeout=_PATIENCE if self._lapsed(now) else 0):
            return
        try:
            if self._next is None or now >= self._next:
                self._decide(now)
        finally:
            self._lock.release()

    def _decide(self, now: datetime) -> None:
        self._take_copy(now)
        if self._next is not None and now < self._next:
            return  # another worker has looked a while ago
        decision = metadata.newer(self._known, self._fetched(now), now)
        # Who has nothing keeps people out: the source is looked at again as soon as may be.
        self._next = now + (SOON if self._lapsed(now) else PAUSE)
        match decision:
            case Take(provider=provider, changed=changed):
                self._known, self._fetched_at = provider, now
                self._next = self._next_look(provider, now)
                if changed:
                    _log.info("metadata_changed", provider=self._name, keys=len(provider.signing))
            case Keep(reason=reason):
                _log.warning("metadata_kept", provider=self._name, reason=reason)
            case Lapsed(reason=reason):
                _log.error("metadata_lapsed", provider=self._name, reason=reason)

    def _take_copy(self, now: datetime) -> None:
        copy = self._copy()
        if copy is None or (self._fetched_at is not None and copy[0] <= self._fetched_at) or copy[0] > now:
            return
        try:
            provider = self._read(zlib.decompress(copy[1]), copy[0])
        except (BrokerError, zlib.error) as error:
            _log.warning("metadata_copy", provider=self._name, reason=str(error))
            return
        self._known, self._fetched_at = provider, copy[0]
        self._next = self._next_look(provider, copy[0])

    def _copy(self) -> tuple[datetime, bytes] | None:
        try:
            return self._means.copies.get(self._copy_name) if self._http is not None else None
        except StoreError as error:
            _log.warning("metadata_copy", provider=self._name, reason=error.code)
            return None

    def _share(self, octets: bytes, provider: IdentityProvider, now: datetime) -> None:
        try:
            self._means.copies.put(self._copy_name, now, zlib.compress(octets), provider.valid_until - now)
        except StoreError as error:
            # What was fetched is good, whoever else can have it.
            _log.warning("metadata_copy", provider=self._name, reason=error.code)

    @property
    def _copy_name(self) -> str:
        # Another address or another entity is another document: its copy must not be taken for this one's.
        return f"{self._name} {self._settings.idp} {self._settings.metadata_url}"

    def _fetched(self, now: datetime) -> IdentityProvider | BrokerError:
        try:
            octets = self._octets()
            provider = self._read(octets, now)
        except BrokerError as error:
            return error
        if self._http is not None:
            self._share(octets, provider, now)
        return provider

    def _octets(self) -> bytes:
        if self._http is None:
            return _file(self._settings)
        try:
            response = self._http.request("GET", self._settings.metadata_url or "")
        except requests.RequestException as error:
            raise Unreachable(f"metadata: {type(error).__name__}") from error
        if response.status_code != 200:
            raise Unreachable(f"metadata: HTTP {response.status_code}")
        return response.content

    def _next_look(self, provider: IdentityProvider, fetched_at: datetime) -> datetime:
        """Return when to look again: when they say, and never later than what there is lapses."""
        # The operator who has put a new file there waits for it.
        pause = PAUSE if self._http is None else min(provider.refresh_after or REFRESH, LONGEST)
        return min(fetched_at + pause, provider.valid_until)

    def _read(self, octets: bytes, fetched_at: datetime) -> IdentityProvider:
        return metadata.read(
            octets,
            signer_certificates=self._signers,
            signer_fingerprints=self._settings.metadata_signer_sha256,
            file_trusted=self._http is None,
            now=fetched_at,
            entity_id=self._settings.idp,
        )


def _file(settings: SamlSettings) -> bytes:
    try:
        return settings.metadata_file.read_bytes() if settings.metadata_file is not None else b""
    except OSError as error:
        raise Untrusted("metadata: the file does not read") from error
