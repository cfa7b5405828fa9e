"""Where a store is: its URL, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from idbroker.errors import OperatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteAddress:
    """A SQLite file, or memory when there is no path; `host` is the name this machine goes by."""

    path: Path | None
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Redis: one server (`plain`), a `sentinel` group watching `service`, or a `cluster`."""

    kind: str
    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    service: str = ""
    database: int = 0
    ca_file: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def scheme_of(url: str) -> str:
    """Return the part of a URL before `://`, in lower case; empty when there is none."""
    return url.partition("://")[0].lower() if "://" in url else ""


def sqlite_address(url: str) -> SqliteAddress:
    """Read `sqlite:///relative/path`, `sqlite:////absolute/path` or `sqlite://` (memory).

    `?host=NAME` names this machine, for containers that get a new host name at every start.
    OperatorError when the URL is not one of these.
    """
    parts = urlsplit(url)
    if parts.netloc:
        raise _misread("sqlite", "a SQLite address has three slashes: sqlite:///var/broker.db")
    options = _options(parts, {"host"})
    path = unquote(parts.path[1:])
    return SqliteAddress(path=Path(path) if path and path != ":memory:" else None, host=options.get("host"))


def redis_address(url: str) -> RedisAddress:
    """Read `redis://`, `rediss://`, `redis+sentinel://a,b/service/0` or `redis+cluster://a,b`.

    `rediss+…` is the same over TLS. OperatorError when the URL is not one of these.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    options = _options(parts, {"ca_file", "sentinel_password"})
    login, _, where = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    service, database = _path(kind, [unquote(step) for step in parts.path.split("/") if step])
    return RedisAddress(
        kind=kind or "plain",
        hosts=tuple(_host(one, 26379 if kind == "sentinel" else 6379) for one in (where or "localhost").split(",")),
        tls=scheme == "rediss",
        username=unquote(username) or None,
        password=unquote(password) or None,
        service=service,
        database=database,
        ca_file=options.get("ca_file"),
        sentinel_password=options.get("sentinel_password"),
    )


def _path(kind: str, steps: list[str]) -> tuple[str, int]:
    """Return the service name (Sentinel only) and the database number."""
    service = steps.pop(0) if kind == "sentinel" and steps else ""
    if kind == "sentinel" and not service:
        raise _misread("redis", "name the service: redis+sentinel://host1,host2/mymaster/0")
    if len(steps) > 1 or not all(step.isdecimal() for step in steps):
        raise _misread("redis", "the path is the database's number: redis://localhost:6379/0")
    if kind == "cluster" and steps:
        raise _misread("redis", "a cluster has no database numbers: redis+cluster://host1,host2")
    return service, int(steps[0]) if steps else 0


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        return parts.hostname or "localhost", parts.port or port
    except ValueError as error:
        raise _misread("redis", "a port is a number: redis://localhost:6379/0") from error


def _options(parts: SplitResult, known: set[str]) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := sorted(options.keys() - known):
        raise _misread(parts.scheme, f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return options


def _misread(scheme: str, hint: str) -> OperatorError:
    """Return the error, without the URL: it may hold a password."""
    return OperatorError(f"the {scheme} store's address does not read", hint=hint, code="store_address", exit_code=2)
