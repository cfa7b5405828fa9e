"""Whether an upstream answers just now: never asked when it was heard of late, and never waited for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.wrappers import Request, Response

from idbroker.clock import StoppedClock
from idbroker.errors import Unreachable
from idbroker.providers._oidc.flow import OpenIdClient
from idbroker.providers._oidc.pulse import HEARD, SILENT, WITHIN, Pulse
from idbroker.providers._oidc.upstream import Upstream
from tests.providers.upstream import means
from tests.sandbox.loopback import serve

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class Looks:
    """A look that counts itself, and answers or not."""

    def __init__(self) -> None:
        self.count, self.well = 0, True

    def __call__(self) -> None:
        """Look."""
        self.count += 1
        if not self.well:
            raise Unreachable("test")


def test_a_thread_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker short of threads for a moment: nobody meets an error, and the eID is asked again a little later."""
    looks = Looks()
    pulse = Pulse(looks, within=WITHIN)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", none_left)
        assert not pulse.beats(NOW)

    assert not pulse.beats(NOW + SILENT / 2)
    assert looks.count == 0
    assert pulse.beats(NOW + SILENT)


def test_the_well_are_looked_at_once_in_a_while() -> None:
    """Not every logout asks: once a minute, and not at all while people sign in."""
    looks = Looks()
    pulse = Pulse(looks)
    assert all(pulse.beats(NOW + timedelta(seconds=second)) for second in range(30))
    assert looks.count == 1
    pulse.heard(NOW + HEARD)
    assert pulse.beats(NOW + HEARD + timedelta(seconds=59))
    assert looks.count == 1
    assert pulse.beats(NOW + 2 * HEARD)
    assert looks.count == 2


def test_the_silent_are_left_alone_for_a_moment() -> None:
    """While it is down nobody waits for what another has just learnt; a sign-in that works ends that at once."""
    looks = Looks()
    looks.well, pulse = False, Pulse(looks)
    assert [pulse.beats(NOW + timedelta(seconds=second)) for second in range(10)] == [False] * 10
    assert looks.count == 1
    looks.well = True
    assert pulse.beats(NOW + SILENT)
    looks.well = False
    assert not pulse.beats(NOW + SILENT + HEARD)
    pulse.heard(NOW + SILENT + HEARD)
    assert pulse.beats(NOW + SILENT + HEARD)


def test_a_look_that_hangs_holds_nobody() -> None:
    """The attack, or the weather: a name that never resolves. Many wait for one look, each no longer than they must."""
    hangs, looks = threading.Event(), []

    def look() -> None:
        looks.append(1)
        hangs.wait(10)

    pulse, said = Pulse(look, within=0.05), []
    threads = [threading.Thread(target=lambda: said.append(pulse.beats(NOW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    later = pulse.beats(NOW + SILENT)
    hangs.set()
    assert (said, later, len(looks)) == ([False] * 8, False, 1)
    assert WITHIN == 2.0


@contextmanager
def upstream(answer: Callable[[Request], Response], clock: StoppedClock) -> Iterator[OpenIdClient]:
    """Give a client of an upstream that answers so."""
    with serve(lambda _: Request.application(answer)) as address:
        client = OpenIdClient(Upstream(issuer=address, client_id="us", client_secret="s"), means(clock))
        yield client
        client.http.close()


@pytest.mark.parametrize(("status", "alive"), [(200, True), (404, True), (500, False), (503, False)])
def test_what_counts_as_an_answer(clock: StoppedClock, status: int, alive: bool) -> None:
    """A proxy that says 503 stands before nobody; whoever finds nothing there is at least awake."""
    with upstream(lambda _: Response("{}", status), clock) as client:
        assert client.answers(clock.now()) is alive


def test_nobody_there(clock: StoppedClock) -> None:
    """A refused connection is no answer."""
    with serve(lambda _: Request.application(lambda _: Response())) as address:
        pass
    client = OpenIdClient(Upstream(issuer=address, client_id="us", client_secret="s"), means(clock))
    assert not client.answers(clock.now())


def test_who_is_slow_is_not_waited_for(clock: StoppedClock) -> None:
    """Two seconds are the most that a logout waits (decision 0018), whatever a server does with its octets."""
    over = threading.Event()

    def drip(_: Request) -> Response:
        def octets() -> Iterator[bytes]:
            while not over.wait(0.2):
                yield b" "

        return Response(octets(), mimetype="application/json")

    with upstream(drip, clock) as client:
        began = time.monotonic()
        assert not client.answers(clock.now())
        took = time.monotonic() - began
        over.set()
    assert took < WITHIN + 1
