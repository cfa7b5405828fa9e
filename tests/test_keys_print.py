"""How keys look: on a terminal, on a narrow one, in a pipe, as JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keys_cli import keys
from idbroker.keys_context import KeysContext
from idbroker.keys_print import Names, Screen, span
from idbroker.keyset import Change, Key, KeySet, Record, State, Use

GOLDEN = Path(__file__).parent / "golden" / "keys"
WIDE = Screen(width=120, terminal=True, asks=True, zone=UTC)
NARROW = replace(WIDE, width=40)
PIPE = Screen(width=80, terminal=False, zone=UTC)
DAY = timedelta(days=1)
# The public keys of RFC 7517, A.1.
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


def _run(context: KeysContext, *arguments: str) -> Result:
    return CliRunner().invoke(keys, list(arguments), obj=context)


def _shown_key(kid: str, use: Use, alg: str, state: State, since: datetime, ends: datetime | None = None) -> Key:
    key = Key(
        kid=kid.ljust(43, "0"),
        use=use,
        alg=alg,
        state=State.STAGED,
        created_at=since,
        published_at=since,
        public=EC if use is not Use.DATA else None,
        number=1 if use is Use.DATA else None,
        ends_at=ends,
    )
    return key if state is State.STAGED else key.become(State.ACTIVE, since).become(state, since)


@pytest.fixture
def drawn(tmp_path: Path) -> KeysContext:
    """Return keys that look the same in every run."""
    at = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    shown = (
        _shown_key("a7f3", Use.OIDC_SIGN, "ES256", State.ACTIVE, at - 82 * DAY),
        _shown_key("c41e", Use.OIDC_SIGN, "ES256", State.STAGED, at - 1.5 * DAY),
        _shown_key("77b0", Use.OIDC_SIGN, "ES256", State.RETIRING, at - 82 * DAY),
        _shown_key("c4d2", Use.OIDC_SIGN, "RS256", State.ACTIVE, at - 95 * DAY),
        _shown_key("c4d9", Use.OIDC_SIGN, "RS256", State.STAGED, at - DAY / 8),
        _shown_key("0c77", Use.SAML_SIGN, "RS256", State.ACTIVE, at - 355 * DAY, at + 8 * DAY),
        _shown_key("9be0", Use.SAML_SIGN, "RS256", State.STAGED, at - DAY / 12, at + 700 * DAY),
        _shown_key("41c2", Use.OIDC_ENC, "RSA-OAEP", State.ACTIVE, at - 20 * DAY),
        _shown_key("d00d", Use.OIDC_ENC, "RSA-OAEP", State.STAGED, at - 20 * DAY),
        _shown_key("be11", Use.SAML_ENC, "RSA-OAEP-256", State.ACTIVE, at - 355 * DAY, at + 70 * DAY),
        _shown_key("e0e0", Use.SAML_ENC, "RSA-OAEP-256", State.STAGED, at - 4 * DAY, at + 1700 * DAY),
        _shown_key("0ff1", Use.SAML_ENC, "RSA-OAEP-256", State.RETIRING, at - 4 * DAY, at + 70 * DAY),
        _shown_key("11d0", Use.DATA, "A256GCM", State.ACTIVE, at - DAY),
        _shown_key("5555", Use.OIDC_SIGN, "ES256", State.RETIRED, at - 95 * DAY),
    )
    step = Change(kid=shown[0].kid, use=Use.OIDC_SIGN, alg="ES256", was=State.STAGED, becomes=State.ACTIVE)
    record = Record(at=at - 82 * DAY, who="anna", action="revoke", plan="7Q2M", reason="lost", steps=(step,))
    store = KeyFiles(tmp_path / "keys")
    with store.changing("test", at) as change:
        change.save(KeySet(), shown, (), record)
    return KeysContext(store=store, clock=StoppedClock(at), who="anna", screen=WIDE, clients=lambda: 12)


SCREENS = {"table": WIDE, "narrow": NARROW, "pipe": PIPE}
GOLDEN_RUNS: dict[str, Sequence[str]] = {
    "list": ["list"],
    "list-retired": ["list", "--state", "retired"],
    "show": ["show", "a7f3"],
    "plan": ["plan"],
    "plan-saml": ["rotate", "--dry-run", "--use", "saml-sign"],
    "plan-saml-enc": ["plan", "--use", "saml-enc"],
    "plan-oidc-enc": ["rotate", "--dry-run", "--use", "oidc-enc"],
    "retire": ["retire", "--dry-run"],
    "history": ["history"],
}


@pytest.mark.parametrize("name", GOLDEN_RUNS)
@pytest.mark.parametrize("screen", [*SCREENS, "json"])
def test_golden(drawn: KeysContext, name: str, screen: str) -> None:
    """Tables, narrow terminals, pipes and JSON look as agreed (K2); GOLDEN=write draws them anew."""
    shown = replace(drawn, screen=SCREENS.get(screen, PIPE))
    result = _run(shown, *GOLDEN_RUNS[name], *(["--json"] if screen == "json" else []))
    text = f"{result.stdout}--- stderr\n{result.stderr}--- exit {result.exit_code}\n"
    path = GOLDEN / f"{name}.{screen}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)

    assert text == path.read_text()


@pytest.mark.parametrize("arguments", [*GOLDEN_RUNS.values(), ["check"], ["plan", "--use", "data"]])
def test_forty_columns(drawn: KeysContext, arguments: Sequence[str]) -> None:
    """On a terminal of forty columns no line of a command's output is longer (K7)."""
    result = _run(replace(drawn, screen=NARROW), *arguments)

    unbroken = [line for line in result.stdout.splitlines() if " " in line.strip() and "--plan" not in line]
    assert all(len(line) <= 40 for line in unbroken)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=89), "89 s"),
        (timedelta(minutes=89), "89 min"),
        (timedelta(hours=96), "96 h"),
        (timedelta(days=8), "8 days"),
    ],
)
def test_span(length: timedelta, words: str) -> None:
    """A length of time is told in the largest unit that tells something."""
    assert span(length) == words


def test_short_names() -> None:
    """A name is shown as short as it stays the only one, and never shorter than four characters."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    kids = ("abcd1", "abcd2", "xyz12345")
    names = Names(KeySet(keys=tuple(_shown_key(kid, Use.OIDC_SIGN, "ES256", State.STAGED, at) for kid in kids)))

    assert [names.short(kid.ljust(43, "0")) for kid in kids] == ["abcd1", "abcd2", "xyz1"]
    assert names.short(None) == "(new)"
