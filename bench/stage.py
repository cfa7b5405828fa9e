"""Everything a measurement runs on: stores, the stand-in and brokers, each a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import redis

from bench import bankid, machine, post_office, templates, upstream
from bench.driver import LOOPBACK
from bench.visit import ISSUER, PORTAL, PORTAL_CALLBACK, PORTAL_SECRET
from idbroker.client import secret_digest
from tests.servers import free_port, postgres_database, postgres_server, redis_server

PATIENCE = 90.0


class DidNotStart(RuntimeError):
    """A process ended, or did not answer in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Two addresses, and the processes behind them by name; none for files."""

    name: str
    transient: str
    durable: str
    processes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One running broker."""

    stores: Stores
    port: int
    pid: int

    @property
    def ports(self) -> Mapping[str, int]:
        """Return where its public address listens on this machine."""
        return {ISSUER: self.port}

    @property
    def workers(self) -> list[int]:
        """Return its worker processes: all but the one that watches over them."""
        return machine.tree(self.pid)[1:] or [self.pid]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """The running MitID stand-in."""

    port: int
    pid: int

    @property
    def issuer(self) -> str:
        """Return its address."""
        return f"http://{LOOPBACK}:{self.port}"

    def behave(self, behaviour: upstream.Behaviour) -> None:
        """Make it behave so from now on."""
        fields = {
            "persons": behaviour.persons,
            "latency": behaviour.latency,
            "corrupt": behaviour.corrupt,
        }
        body = urlencode(fields)
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        connection.request("PUT", upstream.CONTROL, body)
        if connection.getresponse().status != 200:
            raise RuntimeError("the stand-in does not follow")
        connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBankID:
    """The running simulator of BankID: the port its phones are worked by."""

    port: int
    pid: int

    def call(self, what: str, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Work it, or ask what it noted (bench/bankid.py); for when nobody else is to be served meanwhile."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PATIENCE)
        connection.request("POST", bankid.CONTROL + what, json.dumps(told or {}))
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"the simulator: HTTP {answer.status}")
        found: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOffice:
    """The running mail server and gateway."""

    port: int
    mail_port: int
    pid: int

    @property
    def address(self) -> str:
        """Return where codes are asked for."""
        return f"http://{LOOPBACK}:{self.port}"


class Stage:
    """Starts what is asked for in one folder, and ends it all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cores = machine.cores()
        self.ends = ExitStack()
        self._production: Production | None = None
        # Whatever is started from here on runs beside the broker, not on its core.
        os.sched_setaffinity(0, self.cores.rest)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.close()

    def sqlite(self) -> Stores:
        """Return two files."""
        return Stores(name="sqlite", transient="sqlite:///var/transient.db", durable="sqlite:///var/idbroker.db")

    def production(self) -> Production:
        """Return the Redis and the PostgreSQL, started when first asked for."""
        self._production = self._production or Production(self)
        return self._production

    def stand_in(self) -> StandIn:
        """Start the stand-in."""
        port = free_port()
        redirect_uri = f"{ISSUER}/callback/mitid"
        command = ["-m", "bench.upstream", "--port", str(port), "--redirect-uri", redirect_uri]
        return StandIn(port=port, pid=self._run("upstream", command, self.cores.rest, port))

    def broker(self, stores: Stores, stand_in: StandIn, *, threads: int = 32, at: Path | None = None) -> Broker:
        """Start a broker with one worker on its own core, and wait until it answers. `at` is another checkout."""
        name = f"broker-{stores.name}-{threads}"
        port = free_port()
        path = self.configure(name, stores, port=port, mitid=stand_in.issuer, threads=threads)
        pid = self._run(name, ["-m", "bench.app", str(path)], self.cores.broker, port, at=at)
        return Broker(stores=stores, port=port, pid=pid)

    def post_office(self) -> PostOffice:
        """Start the mail server and the gateway."""
        port, mail_port = free_port(), free_port()
        command = ["-m", "bench.post_office", "--port", str(port), "--mail-port", str(mail_port)]
        pid = self._run("post-office", command, self.cores.rest, port, post_office.READY)
        return PostOffice(port=port, mail_port=mail_port, pid=pid)

    def fallback_broker(self, stores: Stores, stand_in: StandIn, office: PostOffice) -> Broker:
        """Start a broker for MitID and the fallback with one worker on its own core, and wait until it answers."""
        port, name = free_port(), f"broker-fallback-{stores.name}"
        path = self.configure_fallback(name, stores, stand_in, office, port=port)
        pid = self._run(name, ["-m", "bench.app", str(path)], self.cores.broker, port)
        return Broker(stores=stores, port=port, pid=pid)

    def bankid(self) -> SimulatedBankID:
        """Start the simulator of BankID."""
        port = free_port()
        command = ["-m", "bench.bankid", "--port", str(port), "--folder", str(self.folder / "bankid")]
        pid = self._run("bankid", command, self.cores.rest, port, bankid.CONTROL)
        return SimulatedBankID(port=port, pid=pid)

    def bankid_broker(self, stores: Stores, simulated: SimulatedBankID, *, workers: int) -> Broker:
        """Start a broker for BankID on all cores, and wait until it answers."""
        port = free_port()
        path = self.configure_bankid("broker-bankid", stores, simulated, port=port, workers=workers)
        pid = self._run("broker-bankid", ["-m", "bench.app", str(path)], self.cores.broker | self.cores.rest, port)
        return Broker(stores=stores, port=port, pid=pid)

    def configure(self, name: str, stores: Stores, *, port: int, mitid: str, threads: int, keys: str = "keys") -> Path:
        """Write a configuration file for MitID and return where."""
        table = templates.MITID.format(issuer=mitid, client_id=upstream.CLIENT_ID, client_secret=upstream.CLIENT_SECRET)
        eid = {"table": table, "country": "DK", "clinic": 'providers = ["mitid"]', "client": ""}
        return self._write(name, stores, eid, port=port, workers=1, threads=threads, keys=keys)

    def configure_fallback(
        self, name: str, stores: Stores, stand_in: StandIn, office: PostOffice, *, port: int
    ) -> Path:
        """Write a configuration file for MitID and the fallback, with a clinic that takes registrations."""
        upstreams = templates.MITID.format(
            issuer=stand_in.issuer, client_id=upstream.CLIENT_ID, client_secret=upstream.CLIENT_SECRET
        )
        channels = templates.FALLBACK.format(mail_port=office.mail_port, address=office.address, secret="s" * 32)
        eid = {
            "table": upstreams + channels,
            "country": "DK",
            "clinic": 'providers = ["mitid", "fallback"]\nregistration = "automatic"',
            "client": 'minimum = "low"',
        }
        return self._write(name, stores, eid, port=port, workers=1, threads=32, keys="keys")

    def configure_bankid(
        self, name: str, stores: Stores, simulated: SimulatedBankID, *, port: int, workers: int = 1
    ) -> Path:
        """Write a configuration file for BankID and return where."""
        eid = {"table": templates.BANKID.format(**simulated.call("")), "country": "SE", **templates.ONLY_BANKID}
        return self._write(name, stores, eid, port=port, workers=workers, threads=32, keys="keys")

    def _write(self, name: str, stores: Stores, eid: Mapping[str, str], **server: Any) -> Path:
        path = self.folder / f"{name}.toml"
        text = templates.WHOLE.format(
            issuer=ISSUER,
            stores=f'transient = "{stores.transient}"\ndurable = "{stores.durable}"',
            log="info",
            portal=PORTAL,
            callback=PORTAL_CALLBACK,
            digest=secret_digest(PORTAL_SECRET),
            **eid,
            **server,
        )
        path.write_text(text, encoding="utf-8")
        return path

    def cold_start(self, stores: Stores) -> float:
        """Return the seconds from the start of the real `idbroker serve` to its first discovery answer."""
        port, name = free_port(), f"cold-{stores.name}"
        # Real people's MitID is https, and is not called before somebody signs in.
        mitid = "https://mitid.bench.test"
        path = self.configure(name, stores, port=port, mitid=mitid, threads=32, keys="keys-cold")
        began = time.perf_counter()
        command = ["-m", "idbroker.cli", "--config", str(path), "serve"]
        with self._process(name, command, self.cores.broker) as process:
            self._until_answer(name, process, port, pause=0.002)
            return time.perf_counter() - began

    def _run(
        self,
        name: str,
        command: list[str],
        cores: frozenset[int],
        port: int,
        target: str = upstream.DISCOVERY,
        *,
        at: Path | None = None,
    ) -> int:
        """Start a process that is ended with the stage, and wait until it answers."""
        process = self.ends.enter_context(self._process(name, command, cores, at))
        self._until_answer(name, process, port, target)
        return process.pid

    def _until_answer(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        port: int,
        target: str = upstream.DISCOVERY,
        *,
        pause: float = 0.02,
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while get(port, target) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart((self.folder / f"{name}.log").read_text(errors="replace")[-2000:])
            time.sleep(pause)

    @contextmanager
    def _process(
        self, name: str, command: list[str], cores: frozenset[int], at: Path | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        home = at or Path.cwd()
        on = ",".join(map(str, sorted(cores)))
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["taskset", "-c", on, sys.executable, *command],
                stdout=log,
                stderr=log,
                cwd=home,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])},
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Production:
    """A running Redis and PostgreSQL, with as many databases as are asked for."""

    def __init__(self, stage: Stage) -> None:
        self.ends = stage.ends
        self._postgres = self.ends.enter_context(postgres_server())
        folder = stage.folder / "redis"
        folder.mkdir()
        self._redis = self.ends.enter_context(redis_server(folder))
        self._made = 0
        with redis.Redis.from_url(self._redis) as client, psycopg.connect(self._postgres) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            postgres = machine.parent_of(row[0]) if row else 0
            self._processes = {"redis": int(client.info()["process_id"]), "postgres": postgres}

    def stores(self, name: str = "production") -> Stores:
        """Make an empty database in each."""
        durable = self.ends.enter_context(postgres_database(self._postgres, f"bench_{name}"))
        transient = f"{self._redis.removesuffix('/0')}/{self._made}"
        self._made += 1
        return Stores(name=name, transient=transient, durable=durable, processes=self._processes)


def get(port: int, target: str) -> int:
    """Return the status of an answer; 0 for none."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
