"""`idbroker sandbox`: everything works, nothing is real."""

from __future__ import annotations

import ipaddress
import json
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

import click

from idbroker import logs
from idbroker.errors import OperatorError
from idbroker.sandbox.run import LOOPBACK, MOST_PORT, Running, running

_INTERRUPTED = 130


@click.command()
@click.option("--port", type=click.IntRange(0, MOST_PORT), default=8080, show_default=True, help="0 takes free ports.")
@click.option("--json", "for_scripts", is_flag=True, help="Print one JSON line when ready, and nothing else.")
@click.option("--host", default=LOOPBACK, show_default=True, help="An address of this machine alone.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep everything in this folder.")
@click.option("--i-know-this-is-open", "open_", is_flag=True, help="Allow a --host that others can reach.")
def sandbox(port: int, for_scripts: bool, host: str, data: Path | None, open_: bool) -> None:
    r"""Try everything: simulated people, no real eID, data gone when you stop.

    Serves the broker on the port, then the demo portals and the simulated MitID, suomi.fi, citizen
    gateway, BankID, Freja, SMS gateways and mail server on the next ones; a busy port gives way to
    the next free one.

    \b
    Examples:
      idbroker sandbox
      idbroker sandbox --port 0 --json
    Exit codes: 0 stopped (SIGTERM), 1 no port free, 2 wrong use, 3 refused by a safety rule,
    130 interrupted (Ctrl-C).
    """
    began = time.monotonic()
    check_host(host, open_=open_)
    logs.set_up("warning" if for_scripts else "info", "text")
    ended = _Ended()
    with ExitStack() as stack:
        home = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idbroker-sandbox-")))
        here = stack.enter_context(running(host, port, home))
        _announce(here, port, time.monotonic() - began, for_scripts=for_scripts)
        ended.wait()
    if ended.by == signal.SIGINT:
        raise SystemExit(_INTERRUPTED)


def check_host(host: str, *, open_: bool) -> None:
    """Refuse an address that others can reach: whoever can would be anybody they like."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise OperatorError(f"{host} is not an address", hint="use 127.0.0.1", code="host", exit_code=2) from None
    if not loopback and not open_:
        raise OperatorError(
            f"others could reach {host}, and be anybody they like in this sandbox",
            hint="leave --host out, or say --i-know-this-is-open",
            code="open",
            exit_code=3,
        )


class _Ended:
    """Waits for Ctrl-C or SIGTERM, wherever they come in the start; `by` is which it was."""

    def __init__(self) -> None:
        self.by: int | None = None
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def wait(self) -> None:
        """Return when the sandbox is to end."""
        self._event.wait()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self.by = number
        self._event.set()


def _announce(here: Running, wished: int, seconds: float, *, for_scripts: bool) -> None:
    if for_scripts:
        click.echo(json.dumps(here.ready_line))
        return
    if here.moved:
        click.echo(f"port {wished} is busy: the next free one is used")
    click.echo(f"idbroker sandbox {_version()} - simulated people, no real eID, data gone when you stop")
    click.echo(f"  Start here   {here.issuer}")
    click.echo(f"  Inbox        {here.issuer}/inbox       (SMS and e-mail)")
    click.echo(f"  Discovery    {here.issuer}/.well-known/openid-configuration")
    for name, address in here.portals.items():
        click.echo(f"  {name:<15} {address}")
    click.echo(f"ready in {seconds:.1f} s")


def _version() -> str:
    try:
        return version("idbroker")
    except PackageNotFoundError:
        return "(not installed)"
