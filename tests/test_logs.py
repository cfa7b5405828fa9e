"""What reaches the log of the libraries' own lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# In a process of its own: levels and processors are the whole process's.
SAYS = """
import logging, sys
from idbroker import logs

logs.set_up(sys.argv[1], "json")
library = logging.getLogger(sys.argv[2])
library.debug("a document and who signed it")
library.info("a document and who signed it")
library.warning("a certificate ends")
"""


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize(
    "library", ["signxml.processor", "authlib.oauth2", "urllib3.connectionpool", "werkzeug", "sqlalchemy.engine"]
)
def test_libraries_say_no_more_than_warnings(library: str, level: str) -> None:
    """Tokens, addresses with their codes and what people signed stay out, whatever level the operator sets."""
    command = [sys.executable, "-c", SAYS, level, library]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)

    assert said.stdout == ""
    assert said.stderr.count("\n") == 1
    assert "a certificate ends" in said.stderr
