"""An import whose process is killed, on both stores."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from idbroker.patients.importing import Imported
from tests.patients.list_house import ListHouse, make_list

MANY = 4_500  # more than two parts are written


@pytest.mark.parametrize("before", ["INSERT INTO import_row", "INSERT INTO enrolment", "INSERT INTO event"])
def test_killed(lists: ListHouse, list_url: str, before: str) -> None:
    """Wherever the process dies, nothing of the list is there, and the list can be taken in afterwards."""
    command = [sys.executable, "-m", "tests.patients.import_worker", list_url, str(MANY), before]
    died = subprocess.run(command, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL
    assert lists.counts() == dict.fromkeys(("person", "person_key", "enrolment", "finding", "event"), 0)

    assert lists.take(make_list(3)) == Imported(new=3)
