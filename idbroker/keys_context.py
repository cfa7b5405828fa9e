"""What the `idbroker keys` commands share: what they work with, how they ask, and how they fail."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol

import click

from idbroker.clock import Clock
from idbroker.errors import BrokerError, OperatorError
from idbroker.keymaking import KeyMaker, make_key
from idbroker.keyring import KeyStore, carry_out
from idbroker.keys_print import Names, Screen, done_words, key_object, plan_object, plan_rows, table, to_json, wrapped
from idbroker.keyset import SAML, KeySet, Rules, Use
from idbroker.rotation import Plan


class Rewrappable(Protocol):
    """Whoever holds sealed values."""

    def rewrap(self, newest: int, batch: int) -> int:
        """Seal up to `batch` values anew that another data key than `newest` sealed; return how many are left."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysContext:
    """What the commands work with.

    `who` goes into the history. `clients` counts the OpenID clients a rotation concerns, `concerns`
    are the store's own warnings, `rewrappable` holds what data keys have sealed.
    """

    store: KeyStore
    clock: Clock
    who: str
    rules: Rules = field(default_factory=Rules)
    screen: Screen = field(default_factory=Screen.found)
    clients: Callable[[], int] | None = None
    concerns: Callable[[], tuple[str, ...]] = tuple
    rewrappable: Rewrappable | None = None
    make: KeyMaker = make_key

    @property
    def now(self) -> datetime:
        """Return the moment."""
        return self.clock.now()


_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class _Span(click.ParamType[timedelta]):
    """A length of time: 90d, 12h, 30m, 45s."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it, or tell how it is written."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,6})([dhms])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a time; write 90d, 12h, 30m or 45s", param, ctx)
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


SPAN = _Span()
DONE, FAILED, WRONG = "0 done", "1 failed", "2 wrong use"
MAYBE, UNCONFIRMED = "0 done, or nothing to do", "2 wrong use, or confirmation needed"
REFUSED, CLOSED, BUSY = "3 refused by a safety rule", "4 key store closed", "5 plan out of date, or locked"


def epilog(examples: Sequence[str], *codes: str) -> str:
    """Return the end of a command's help: its examples and exit codes, one a line."""
    listed = "\n".join(f"  {line}" for line in examples)
    exits = "\n".join(f"  {code}" for code in (*codes, "130 interrupted"))
    return f"\b\nExamples:\n{listed}\n\n\b\nExit codes:\n{exits}"


class KeysGroup(click.Group):
    """Tells every error as `error:` and `hint:` lines, or as one JSON object, with its exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember whether JSON is wanted before anything can go wrong."""
        ctx.meta["idbroker.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            _tell(ctx, error.code, error.detail, error.hint, error.exit_code)
        except BrokerError as error:
            _tell(ctx, error.code, error.detail, "", 1)
        except click.UsageError as error:
            if not ctx.meta["idbroker.json"]:
                raise
            _tell(ctx, "usage", error.format_message(), "idbroker keys --help", 2)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


def _tell(ctx: click.Context, code: str, message: str, hint: str, exit_code: int) -> NoReturn:
    if ctx.meta["idbroker.json"]:
        click.echo(json.dumps({"error": {"code": code, "message": message, "hint": hint}}), err=True)
    else:
        click.echo(f"error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)
    ctx.exit(exit_code)


as_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")


def opened(ctx: click.Context) -> KeysContext:
    """Return what the command works with. `ctx.obj` is it, or opens it: --help must not need a configuration."""
    found = ctx.obj if isinstance(ctx.obj, KeysContext) else ctx.obj()
    if not isinstance(found, KeysContext):
        raise TypeError("ctx.obj is neither a KeysContext nor opens one")
    return found


def with_context(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its KeysContext as first argument."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        command(opened(click.get_current_context()), **arguments)

    return run


def ask(context: KeysContext, question: str, option: str) -> str:
    """Return what a person types; OperatorError (exit 2) naming the option where nobody can be asked."""
    if not context.screen.asks:
        raise unconfirmed(f"nobody can be asked here: use {option}")
    click.echo(question, err=True, nl=False)
    return sys.stdin.readline().strip()


def unconfirmed(why: str) -> OperatorError:
    """Return the error for a change that nobody confirmed."""
    return OperatorError(why, hint="nothing has been changed", code="unconfirmed", exit_code=2)


def say_nothing_to_do(*, as_json: bool, why: str) -> None:
    """Tell that all is done already: no error."""
    if as_json:
        click.echo(to_json({"plan": None, "why": why}))
    else:
        click.echo(f"nothing to do: {why}", err=True)


def confirm(
    context: KeysContext,
    plan: Plan,
    held: KeySet,
    question: str,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    make: KeyMaker | None = None,
) -> None:
    """Show a plan, and carry it out when that is wanted. OperatorError (exit 2) when it is not confirmed."""
    if dry_run and as_json:
        click.echo(to_json({"plan": plan_object(plan, applied=False)}))
        return
    click.echo(plan_text(context, plan, held), err=not dry_run)
    if dry_run:
        click.echo("Nothing has been changed.", err=True)
        return
    if not yes and ask(context, question, "--yes").lower() not in {"y", "yes"}:
        raise unconfirmed("not confirmed")
    do(context, plan, as_json=as_json, make=make)


def plan_text(context: KeysContext, plan: Plan, held: KeySet) -> str:
    """Return the plan's steps, and on a terminal whom it concerns and who must wait."""
    rows = plan_rows(plan, held, context.rules, context.screen)
    text = table(rows, context.screen, head=3, indent=5, headings=not context.screen.terminal)
    if not context.screen.terminal:
        return text
    names = Names(held)
    notes = [
        f"{names.short(one.key.kid)} ({one.key.alg}) waits: may sign from {context.screen.moment(one.earliest)}."
        for one in plan.waiting
    ]
    changes = plan.action != "retire" and any(step.use is Use.OIDC_SIGN for step in plan.steps)
    if context.clients is not None and changes:
        notes.append(f"Affects {context.clients()} OIDC clients.")
    if any(step.use in SAML and step.was is None for step in plan.steps):
        notes.append("Partners that install our metadata by hand must be given it again: it names the new key.")
    return "\n".join([text, *(wrapped(note, context.screen) for note in notes)])


def do(context: KeysContext, plan: Plan, *, as_json: bool, make: KeyMaker | None = None) -> None:
    """Carry out a plan and tell what was done."""
    now = context.now
    held = carry_out(context.store, plan, context.who, now, make or context.make)
    if as_json:
        new = [key for key in held.keys if key.created_at == now]
        objects = [key_object(key, context.rules) for key in new]
        click.echo(to_json({"plan": plan_object(plan, applied=True), "keys": objects}))
        return
    click.echo(wrapped(done_words(plan, held, context.rules, now, context.screen), context.screen))
