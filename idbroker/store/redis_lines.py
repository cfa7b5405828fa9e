"""Connections to Redis: one server, a master that Sentinel watches over, or a cluster.

redis-py's connections are used without its client: per command the client and its pool cost several
times what sending and reading cost, and they repeat commands that must not be repeated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from redis import RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import Connection, SSLConnection
from redis.exceptions import ReadOnlyError, ResponseError
from redis.retry import Retry
from redis.sentinel import Sentinel

from idbroker.store.addresses import RedisAddress

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 2.0

Part = str | bytes | int

# redis-py types these in part only, so they are called as what they are: untyped.
TCP: Any = Connection
TLS: Any = SSLConnection
SENTINEL: Any = Sentinel
CLUSTER: Any = RedisCluster
NODE: Any = ClusterNode


class Lines(Protocol):
    """Whoever carries a command to Redis and its answer back, once."""

    def call(self, *command: Part) -> Any:
        """Return the answer. Raises redis-py's errors; never sends a command twice."""
        ...

    def close(self) -> None:
        """Close what is open; a later call opens it again."""
        ...

    def before_fork(self) -> None:
        """Prepare for a fork."""
        ...

    def after_fork_in_child(self) -> None:
        """Start anew, without touching what is the parent's."""
        ...


class Line(Protocol):
    """The part of redis-py's connection that is used here."""

    def connect(self) -> None:
        """Connect, if it is not yet."""
        ...

    def disconnect(self) -> None:
        """Close the socket."""
        ...

    def can_read(self, timeout: float) -> bool:
        """Tell whether there is something to read."""
        ...

    def send_command(self, *command: Part) -> None:
        """Send a command."""
        ...

    def read_response(self) -> Any:
        """Return the answer."""
        ...


def open_lines(address: RedisAddress) -> Lines:
    """Return the lines to an address. Nothing is sent yet, except to a cluster."""
    match address.kind:
        case "cluster":
            return ClusterLines(address)
        case "sentinel":
            return DirectLines(lambda: _connection(address, *_master(address)))
        case _:
            return DirectLines(lambda: _connection(address, *address.hosts[0]))


class DirectLines:
    """Idle connections to one server, kept and lent; as many as there are callers at once."""

    def __init__(self, make: Callable[[], Line]) -> None:
        self._make = make
        self._idle: deque[Line] = deque()

    def call(self, *command: Part) -> Any:
        """Return the answer to a command that is sent once."""
        connection = self._borrow()
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except ReadOnlyError:
            # A master that was demoted: none of the connections leads to the new one.
            connection.disconnect()
            self.close()
            raise
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            # Half an answer may still be on its way: it must not be read as the next command's.
            connection.disconnect()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().disconnect()

    def before_fork(self) -> None:
        """Leave everything: a child's copy of a socket does no harm while unused."""

    def after_fork_in_child(self) -> None:
        """Start with no connection: two processes reading one socket would take each other's answers."""
        self._idle = deque()

    def _borrow(self) -> Line:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if _fresh(connection):
                return connection
            connection.disconnect()
        connection = self._make()
        connection.connect()
        return connection


class ClusterLines:
    """A cluster's nodes; redis-py follows the slots as they move."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._cluster: Any = None

    def call(self, *command: Part) -> Any:
        """Return the answer of the node that holds the key."""
        if self._cluster is None:
            self._cluster = _cluster(self._address)
        return self._cluster.execute_command(*command)

    def close(self) -> None:
        """Close all connections."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()

    def before_fork(self) -> None:
        """Leave everything: a child's copy of a socket does no harm while unused."""

    def after_fork_in_child(self) -> None:
        """Start with no connection."""
        self._cluster = None


def _fresh(connection: Line) -> bool:
    """Tell whether an idle connection is still there: a closed one can be read, to its end."""
    try:
        return not connection.can_read(timeout=0)
    except Exception:  # noqa: BLE001 - whatever it is, the answer is no
        return False


def _connection(address: RedisAddress, host: str, port: int) -> Line:
    kind = TLS if address.tls else TCP
    tls = {"ssl_ca_certs": address.ca_file} if address.tls else {}
    connection: Line = kind(
        host=host,
        port=port,
        db=address.database,
        username=address.username,
        password=address.password,
        **_patience(),
        **tls,
    )
    return connection


def _master(address: RedisAddress) -> tuple[str, int]:
    """Ask the sentinels who the master is; the first that answers is believed."""
    tls = {"ssl": True, "ssl_ca_certs": address.ca_file} if address.tls else {}
    options = {**_patience(), **tls, "password": address.sentinel_password}
    sentinel = SENTINEL(list(address.hosts), sentinel_kwargs=options)
    try:
        host, port = sentinel.discover_master(address.service)
    finally:
        for one in sentinel.sentinels:
            one.close()
    return str(host), int(port)


def _cluster(address: RedisAddress) -> Any:
    tls = {"ssl": True, "ssl_ca_certs": address.ca_file} if address.tls else {}
    return CLUSTER(
        startup_nodes=[NODE(host, port) for host, port in address.hosts],
        username=address.username,
        password=address.password,
        **_patience(),
        **tls,
    )


def _patience() -> dict[str, Any]:
    """Return short timeouts, the plain protocol, and no repeating: whether that is safe we know better."""
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
