"""Fetching from addresses that others named (a client's `jwks_uri`), without being sent where they want."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import certifi
import urllib3

MOST_OCTETS = 256 * 1024
Resolve = Callable[[str, int], tuple[str, ...]]


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host."""
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Tell whether an address is on the open internet: not ours, not loopback, not a cloud's metadata."""
    return ipaddress.ip_address(address).is_global


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedFetch:
    """Gets one https document from a public address; OSError for everything else.

    Stops server-side request forgery: the name is resolved once, every address must be public, and
    the connection goes to that very address (no second look-up to rebind), with the certificate
    checked for the name; no redirect is followed; time and size are bounded (standards J17). `trust` is
    a file of certificates to trust instead of the public ones.
    """

    resolve: Resolve = resolve
    public: Callable[[str], bool] = is_public
    trust: str | None = None
    connect_seconds: float = 3.0
    read_seconds: float = 5.0

    def __call__(self, url: str) -> bytes:
        """Return the body."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise OSError("not a plain https address")
        port = parts.port or 443
        addresses = self.resolve(parts.hostname, port)
        if not addresses or not all(self.public(address) for address in addresses):
            raise OSError("not a public address")
        return self._get(parts.hostname, addresses[0], port, parts.path or "/", parts.query)

    def _get(self, host: str, address: str, port: int, path: str, query: str) -> bytes:
        timeout = urllib3.Timeout(connect=self.connect_seconds, read=self.read_seconds)
        with urllib3.HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            retries=False,
            server_hostname=host,
            assert_hostname=host,
            ca_certs=self.trust or certifi.where(),
            maxsize=1,
        ) as pool:
            try:
                response = pool.request(
                    "GET",
                    f"{path}?{query}" if query else path,
                    headers={"Host": host, "Accept": "application/json"},
                    redirect=False,
                    preload_content=False,
                )
                body = response.read(MOST_OCTETS + 1, decode_content=False)
            except urllib3.exceptions.HTTPError as error:
                raise OSError("could not be fetched") from error
        if response.status != 200 or len(body) > MOST_OCTETS:
            raise OSError("not a document of a reasonable size")
        return bytes(body)
