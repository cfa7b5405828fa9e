"""How keys look on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from idbroker.keychecks import Finding, Level
from idbroker.keyset import CHAINS, ENCRYPTION, FIXED, Key, KeySet, Record, Rules, State, Use
from idbroker.rotation import Plan, Step, TooEarly

SCHEMA = "idbroker.keys/1"
_CACHED = {
    Use.OIDC_SIGN: "clients may cache {}",
    Use.OIDC_ENC: "brokers may cache {}",
    Use.SAML_SIGN: "SAML metadata validity {}",
    Use.SAML_ENC: "SAML metadata validity {}",
    Use.DATA: "workers need {} to see it",
}
_NEEDS = {
    Use.OIDC_SIGN: "key-set cache time and skew",
    Use.OIDC_ENC: "key-set cache time and skew",
    Use.SAML_SIGN: "SAML metadata validity and skew",
    Use.SAML_ENC: "SAML metadata validity and skew",
    Use.DATA: "until every worker has it",
}
_HELD = {Use.OIDC_ENC: "nobody holds a key set that names it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What we write to: its width, whether a person reads it, whether one answers, and their time zone."""

    width: int = 80
    terminal: bool = False
    asks: bool = False
    zone: tzinfo | None = None

    @classmethod
    def found(cls) -> Screen:
        """Return the terminal or pipe this process has."""
        return cls(
            width=shutil.get_terminal_size().columns,
            terminal=sys.stdout.isatty(),
            asks=sys.stdin.isatty() and sys.stderr.isatty(),
        )

    def moment(self, at: datetime) -> str:
        """Return a moment: local with its zone for people, RFC 3339 for pipes."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M %Z") if self.terminal else utc(at)

    def clock(self, at: datetime) -> str:
        """Return the time of day, to the second."""
        return at.astimezone(self.zone).strftime("%H:%M:%S")


class Names:
    """Keys by as few first characters as tell them apart, at least four."""

    def __init__(self, keys: KeySet) -> None:
        self._kids = [key.kid for key in keys.keys]

    def short(self, kid: str | None) -> str:
        """Return the short name; `(new)` for a key that is still to be made."""
        if kid is None:
            return "(new)"
        length = next(n for n in range(4, len(kid) + 5) if sum(k[:n] == kid[:n] for k in self._kids) < 2)
        return kid[:length]


def utc(at: datetime) -> str:
    """Return a moment by RFC 3339, in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(length: timedelta) -> str:
    """Return a length of time in the largest unit that still tells something."""
    seconds = int(length.total_seconds())
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 90 * 60:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds <= 96 * 3600 else f"{seconds // 86400} days"


def counted(number: int) -> str:
    """Return so many keys, in words."""
    return "1 key" if number == 1 else f"{number} keys"


def table(rows: Sequence[Sequence[str]], screen: Screen, *, head: int, indent: int = 2, headings: bool = True) -> str:
    """Return rows under their first: tabs to a pipe, columns to a terminal, blocks to a narrow one.

    A block has the first `head` cells on one line, the others below it.
    """
    if not screen.terminal:
        return "\n".join("\t".join(row) for row in rows)
    rows, blocks = (rows if headings else rows[1:]), rows[1:]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if max(map(len, lines)) <= screen.width:
        return "\n".join(lines)
    return "\n".join(_block(row, head, screen.width, indent) for row in blocks)


def wrapped(text: str, screen: Screen) -> str:
    """Return a sentence in lines as wide as the terminal."""
    return textwrap.fill(text, screen.width) if screen.terminal else text


def in_order(keys: Sequence[Key]) -> list[Key]:
    """Return keys by use and algorithm, each chain's oldest first."""
    return sorted(keys, key=lambda key: (CHAINS.index(key.chain), key.published_at))


def key_rows(
    keys: KeySet, chosen: Sequence[Key], rules: Rules, now: datetime, screen: Screen, alarms: Mapping[str, str]
) -> list[list[str]]:
    """Return the list of keys, headings first. An alarm, by `kid`, says more than what comes next."""
    names = Names(keys)
    rows = [["USE", "KEY", "ALG", "STATE", "SINCE", "NEXT"]]
    for key in chosen:
        what = f"! {alarms[key.kid]}" if key.kid in alarms else next_of(key, rules, now, screen)
        rows.append([key.use, names.short(key.kid), key.alg, key.state, screen.moment(key.since), what])
    return rows


def next_of(key: Key, rules: Rules, now: datetime, screen: Screen) -> str:
    """Return what will become of a key, in words."""
    match key.state:
        case State.STAGED:
            return _from(_may(key.use), rules.may_sign(key), now, screen)
        case State.RETIRING:
            ends = rules.may_go(key, key.since)
            return _from("may go", ends, now, screen) if ends is not None else "may go after a rewrap"
        case State.RETIRED:
            return f"revoked: {key.revoked}" if key.revoked else "gone"
        case State.ACTIVE:
            if key.use in FIXED:
                return "is never exchanged"
            if key.ends_at is not None:
                return f"certificate ends {key.ends_at:%Y-%m-%d}"
            return "retires at next rotation"


def plan_rows(plan: Plan, keys: KeySet, rules: Rules, screen: Screen) -> list[list[str]]:
    """Return a plan's steps, headings first."""
    names = Names(keys)
    rows = [["STEP", "KEY", "CHANGE", "WHY"]]
    for number, step in enumerate(plan.steps, 1):
        change = f"{step.was} -> {step.becomes}" if step.was is not None else f"-> {step.becomes}"
        rows.append([str(number), names.short(step.kid), change, step_words(step, plan.now, rules, screen)])
    return rows


def step_words(step: Step, now: datetime, rules: Rules, screen: Screen) -> str:
    """Return why a step may be taken, or what follows from it."""
    match step.becomes:
        case State.ACTIVE:
            return _active_words(step, now, rules)
        case State.RETIRING:
            return _retiring_words(step, screen)
        case State.STAGED:
            return f"{step.alg}, {_may(step.use)} from {screen.moment(step.moment or now)}"
        case State.RETIRED if step.moment is None:
            return "no longer trusted or needed"
        case State.RETIRED if step.use is Use.OIDC_SIGN:
            return "the last token it signed has ended"
        case State.RETIRED:
            return _HELD.get(step.use, "nobody holds metadata that names it")


def _retiring_words(step: Step, screen: Screen) -> str:
    if step.moment is None:
        return "opens what it sealed until a rewrap"
    until = screen.moment(step.moment)
    if step.use in ENCRYPTION:
        return f"opens what is encrypted to it, may go {until}"
    return f"last token it signed ends {until}" if step.use is Use.OIDC_SIGN else f"signs no more, may go {until}"


def _active_words(step: Step, now: datetime, rules: Rules) -> str:
    if step.moment is None:
        return f"{step.alg}, known to nobody yet" if step.early else f"{step.alg}, the first of its kind"
    if step.was is State.RETIRING:
        return "was first before, and opens still" if step.use in ENCRYPTION else "signed before, and is still public"
    cached = _CACHED[step.use].format(span(rules.caches(step.use)))
    return f"public for {span(now - step.moment)}, {cached}{': too short' if step.early else ''}"


def done_words(plan: Plan, keys: KeySet, rules: Rules, now: datetime, screen: Screen) -> str:
    """Return what was done, and how to undo it where that is possible."""
    new = [key.kid for key in keys.keys if key.state is State.ACTIVE and key.active_at == now]
    known = [step.kid for step in plan.steps if step.becomes is State.ACTIVE and step.kid is not None]
    names = Names(keys)
    signs = " and ".join(names.short(kid) for kid in dict.fromkeys([*known, *new]))
    done = f"{signs} in use since {screen.clock(now)}" if signs else f"{counted(len(plan.steps))} changed"
    if plan.action == "rotate" and any(step.becomes is State.RETIRING for step in plan.steps):
        command = f"idbroker keys rotate{options_of(plan.steps[0].use, None, back=True)}"
        return f"done: {done}. Undo within {span(rules.undo)}: {command}"
    staged = [key.kid for key in keys.keys if key.state is State.STAGED and key.created_at == now]
    if not signs and staged:
        return f"done: {' and '.join(map(names.short, staged))} staged since {screen.clock(now)}"
    return f"done: {done}"


def too_early(error: TooEarly, keys: KeySet, screen: Screen) -> tuple[str, str]:
    """Return the refusal and the hint, with the earliest time."""
    names, waits = Names(keys), error.waiting
    message = (
        f"{names.short(waits.key.kid)} has been public for {span(error.now - waits.key.published_at)}, "
        f"needs {span(waits.needs)} ({_NEEDS[waits.key.use]})"
    )
    emergency = f"In an emergency use: idbroker keys revoke {names.short(error.active)}"
    return message, f"earliest {screen.moment(waits.earliest)}. {emergency}"


def key_object(key: Key, rules: Rules) -> dict[str, Any]:
    """Return what is known of a key, as JSON: the public part only."""
    shown = {field.name: _plain(getattr(key, field.name)) for field in fields(key)}
    goes = rules.may_go(key, key.since) if key.state is State.RETIRING else None
    signs = rules.may_sign(key) if key.state is State.STAGED else None
    return {**shown, "since": utc(key.since), "may_sign_from": _plain(signs), "may_go_from": _plain(goes)}


def key_lines(key: Key, rules: Rules, screen: Screen) -> str:
    """Return all that is known of a key, a line each."""
    known = {**key_object(key, rules), "sandbox": "yes" if key.sandbox else "no"}
    known["public"] = json.dumps(key.public) if key.public else "none: a symmetric key"
    rows = [(name, " ".join(str(value).split("\n"))) for name, value in known.items() if value is not None]
    if not screen.terminal:
        return "\n".join("\t".join(row) for row in rows)
    return "\n".join(textwrap.fill(f"{name}: {value}", screen.width, subsequent_indent="  ") for name, value in rows)


def plan_object(plan: Plan, *, applied: bool) -> dict[str, Any]:
    """Return a plan as JSON."""
    steps = [{field.name: _plain(getattr(step, field.name)) for field in fields(step)} for step in plan.steps]
    waiting = [{"kid": one.key.kid, "earliest": utc(one.earliest)} for one in plan.waiting]
    return {
        "id": plan.id,
        "action": plan.action,
        "applied": applied,
        "reason": plan.reason,
        "steps": steps,
        "waiting": waiting,
    }


def finding_object(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON."""
    return {field.name: _plain(getattr(finding, field.name)) for field in fields(finding)}


def record_object(record: Record) -> dict[str, Any]:
    """Return an entry of the history as JSON."""
    shown = {field.name: _plain(getattr(record, field.name)) for field in fields(record) if field.name != "steps"}
    steps = [{field.name: _plain(getattr(step, field.name)) for field in fields(step)} for step in record.steps]
    return {**shown, "steps": steps}


def finding_rows(found: Sequence[Finding], keys: KeySet) -> list[list[str]]:
    """Return findings, headings first."""
    names = Names(keys)
    words = {Level.ACT: "act now", Level.WARNING: "warning"}
    rows = [["LEVEL", "KEY", "WHAT", "DO"]]
    return rows + [[words[one.level], names.short(one.kid) if one.kid else "-", one.message, one.hint] for one in found]


def record_rows(records: Sequence[Record], keys: KeySet, screen: Screen) -> list[list[str]]:
    """Return the history, headings first."""
    names = Names(keys)
    rows = [["WHEN", "WHO", "WHAT", "PLAN", "WHY", "KEYS"]]
    for one in records:
        steps = ", ".join(f"{names.short(step.kid)} {step.becomes}" for step in one.steps)
        rows.append([screen.moment(one.at), one.who, one.action, one.plan, one.reason or "-", steps])
    return rows


def options_of(use: str, older: timedelta | None, *, back: bool = False) -> str:
    """Return the options that lead to the same plan again."""
    parts = [f" --use {use}" if use != Use.OIDC_SIGN else "", " --back" if back else ""]
    return "".join([*parts, f" --if-older-than {int(older.total_seconds())}s" if older is not None else ""])


def to_json(members: Mapping[str, Any]) -> str:
    """Return one JSON object that names its schema."""
    return json.dumps({"schema": SCHEMA, **members}, ensure_ascii=False)


def _may(use: Use) -> str:
    # Others encrypt to a staged key already, if they like: it comes first when it takes over.
    return "may take over" if use in ENCRYPTION else "may sign"


def _plain(value: Any) -> Any:
    return utc(value) if isinstance(value, datetime) else value


def _from(what: str, moment: datetime, now: datetime, screen: Screen) -> str:
    if moment <= now:
        return f"{what} now"
    return f"{what} from {screen.moment(moment)} (in {span(moment - now)})"


def _block(row: Sequence[str], head: int, width: int, indent: int) -> str:
    first, *rest = " ".join(row[:head]), *row[head:]
    space = " " * indent
    lines = textwrap.wrap(first, width, subsequent_indent=space)
    for cell in rest:
        lines += textwrap.wrap(cell, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
    return "\n".join(lines)
