"""Another process that takes a list in, and is killed: `python -m tests.patients.import_worker URL COUNT STATEMENT`."""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import event
from sqlalchemy.engine import Engine

from idbroker.clock import StoppedClock
from idbroker.store import open_durable
from tests.conftest import NOW
from tests.patients.list_house import ListHouse, make_list


def main(url: str, count: str, dies_before: str) -> None:
    """Take a list in, and die before the second statement that begins with some words."""
    durable = open_durable(url, StoppedClock(NOW))
    left = [2]

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        left[0] -= statement.startswith(dies_before)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", look)
    ListHouse(durable=durable, now=NOW).take(make_list(int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
