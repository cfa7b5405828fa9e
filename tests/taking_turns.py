"""Two callers step by step, in an order of our choice: races that happen every time, or never."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

PATIENCE = 20.0


class Turns:
    """Lets two threads through one store call at a time, in the order of `order`; then whoever comes."""

    def __init__(self, order: Iterable[int]) -> None:
        self._order: Iterator[int] = iter(order)
        self._changed = threading.Condition()
        self._local = threading.local()
        self._done: set[int] = set()
        self._next: int | None = None
        self._advance()

    def watch(self, store: Any) -> Any:
        """Return the store with every call waiting for its turn."""
        return _Watched(store, self._wait)

    def run(self, *callers: Callable[[], object]) -> list[object]:
        """Run two callers at once; return what each returned, or the exception that it raised."""
        answers: list[object] = [None] * len(callers)

        def call(number: int) -> None:
            self._local.number = number
            try:
                answers[number] = callers[number]()
            except Exception as error:  # noqa: BLE001 -- an answer like any other; the test looks at it
                answers[number] = error
            finally:
                self._finish(number)

        threads = [threading.Thread(target=call, args=(number,)) for number in range(len(callers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a caller hangs"
        return answers

    def _wait(self) -> None:
        number = getattr(self._local, "number", None)
        if number is None:
            return
        with self._changed:
            assert self._changed.wait_for(lambda: self._next in (None, number), PATIENCE)
            self._advance()
            self._changed.notify_all()

    def _finish(self, number: int) -> None:
        with self._changed:
            self._done.add(number)
            if self._next == number:
                self._advance()
            self._changed.notify_all()

    def _advance(self) -> None:
        self._next = next((number for number in self._order if number not in self._done), None)


class _Watched:
    def __init__(self, inner: Any, wait: Callable[[], None]) -> None:
        self._inner = inner
        self._wait = wait

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            self._wait()
            return method(*arguments, **named)

        return called
