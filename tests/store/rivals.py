"""Callers that want the same thing at the same moment: threads here, and threads in other processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from idbroker.clock import SystemClock
from idbroker.person import PersonKey
from idbroker.store import Durable, TransientStore, open_durable, open_transient

LIFE = timedelta(minutes=5)
THREADS = 8
PROCESSES = 2
PATIENCE = 30.0
KEYS = (PersonKey(kind="number", digest=b"n" * 32, sealed=b"sealed"), PersonKey(kind="upstream", digest=b"u" * 32))

TRANSIENT: dict[str, Callable[[TransientStore, str], object]] = {
    "take": lambda store, key: store.take(key) is not None,
    "swap": lambda store, key: store.swap(key, b"old", b"new", LIFE),
    "swap_absent": lambda store, key: store.swap(key, None, b"new", LIFE),
    "count": lambda store, key: store.count(key, LIFE),
}
DURABLE: dict[str, Callable[[Durable, str], object]] = {
    "meet": lambda store, _: store.persons.meet(KEYS, SystemClock().now()),
    "use": lambda store, key: store.refresh_tokens.use(key, SystemClock().now()),
    "migrate": lambda store, _: store.migrate(),
}


def fight(url: str, tasks: tuple[str, ...], key: str = "") -> dict[str, list[str]]:
    """Return, by task, what each of 8 threads here and 8 in each of 2 other processes was answered, as words."""
    command = [sys.executable, "-m", "tests.store.rivals", url, ",".join(tasks), key]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    others = [subprocess.Popen(command, **pipes) for _ in range(PROCESSES)]  # type: ignore[call-overload]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    answers = {task: _at_once(url, task, key) for task in tasks}
    for other in others:
        written, _ = other.communicate(timeout=PATIENCE)
        assert other.returncode == 0
        for task, line in zip(tasks, written.splitlines(), strict=True):
            answers[task] += line.split()
    return answers


def _at_once(url: str, task: str, key: str) -> list[str]:
    together = threading.Barrier(THREADS)
    store, call = _opened(url, task)

    def one(_: int) -> str:
        together.wait(PATIENCE)
        return str(call(store, key_of(task, key)))

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(one, range(THREADS)))
    finally:
        store.close()


def key_of(task: str, key: str) -> str:
    """Return the key that a task is about."""
    return f"{task}:{key}" if task in TRANSIENT else key


def _opened(url: str, task: str) -> tuple[Durable | TransientStore, Callable[..., object]]:
    if task in TRANSIENT:
        return open_transient(url, SystemClock()), TRANSIENT[task]
    return open_durable(url, SystemClock()), DURABLE[task]


def main(url: str, tasks: str, key: str) -> None:
    """Fight in a process of its own: say ready, wait for the word, tell the answers, a line for each task."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for task in tasks.split(","):
        sys.stdout.write(" ".join(_at_once(url, task, key)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
