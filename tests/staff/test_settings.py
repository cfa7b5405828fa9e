"""What `[staff]` may say, and what stops the start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from idbroker.staff.settings import Settings, mistakes

THERE: dict[str, Any] = {"issuer": "https://sso.test", "client_id": "us", "client_secret_file": "/nowhere"}


@pytest.mark.parametrize(
    "good",
    [{}, THERE, {**THERE, "end_session": "off", "prompt": "login"}, {**THERE, "max_age": timedelta()}],
)
def test_what_is_good(good: dict[str, Any]) -> None:
    """The defaults, a provider, and all that may be asked of one."""
    assert mistakes(Settings(**good)) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({**THERE, "end_session": "put"}, "end_session is one of post, get, off"),
        ({**THERE, "prompt": "none"}, "prompt is login, or left out"),
        ({**THERE, "max_age": timedelta(seconds=-1)}, "max_age must not be below 0"),
        ({"prompt": "login"}, "prompt and max_age are for an issuer"),
        ({"max_age": timedelta()}, "prompt and max_age are for an issuer"),
    ],
)
def test_what_is_not(wrong: dict[str, Any], said: str) -> None:
    """`prompt = "none"` would let in whoever the provider knows; a setting that nothing reads is a slip."""
    assert mistakes(Settings(**wrong)) == [said]
