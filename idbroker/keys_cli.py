"""`idbroker keys`: look at our keys, exchange them safely, take one out of use at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from idbroker import keys_print as shown
from idbroker.errors import OperatorError
from idbroker.keychecks import Finding, Level, findings, unreadable
from idbroker.keymaking import public_pem
from idbroker.keyring import out_of_date
from idbroker.keys_context import (
    BUSY,
    CLOSED,
    DONE,
    FAILED,
    MAYBE,
    REFUSED,
    SPAN,
    UNCONFIRMED,
    WRONG,
    KeysContext,
    KeysGroup,
    as_json,
    ask,
    confirm,
    do,
    epilog,
    plan_text,
    say_nothing_to_do,
    unconfirmed,
    with_context,
)
from idbroker.keys_outside import export, import_
from idbroker.keyset import CERTIFICATE_SOON, KeySet, State, Use
from idbroker.rotation import (
    REASONS,
    Plan,
    TooEarly,
    find_key,
    plan_back,
    plan_retirement,
    plan_revocation,
    plan_rewrapped,
    plan_rotation,
    repeats,
)

USES = tuple(use.value for use in Use)


@click.group(
    cls=KeysGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(["idbroker keys list", "idbroker keys plan"], "each command's --help has its own"),
)
def keys() -> None:
    """Look at our keys, exchange them safely, take one out of use at once.

    A key is staged (published), active (signs), retiring (still verifies or opens), retired (gone).
    """


keys.add_command(export)
keys.add_command(import_)


def keys_opened_by(opens: Callable[[Any], KeysContext]) -> click.Group:
    """Return the group for a larger tool: `opens` makes the context from that tool's own `ctx.obj`, when needed."""

    @click.pass_context
    def begin(ctx: click.Context) -> None:
        ctx.obj = functools.partial(opens, ctx.obj)

    return KeysGroup(
        "keys",
        callback=begin,
        commands=keys.commands,
        help=keys.help,
        epilog=keys.epilog,
        context_settings=keys.context_settings,
    )


@keys.command(
    "list",
    epilog=epilog(["idbroker keys list", "idbroker keys list --use oidc-sign --json"], DONE, FAILED, WRONG, CLOSED),
)
@click.option("--use", type=click.Choice(USES), help="Only keys of this use.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only keys in this state.")
@as_json
@with_context
def list_(context: KeysContext, *, use: str | None, state: str | None, as_json: bool) -> None:
    """List the keys; those that are gone only with --state retired."""
    held, now = context.store.load(), context.now
    chosen = [key for key in held.keys if (key.state == state if state else key.alive) and (not use or key.use == use)]
    if as_json:
        click.echo(shown.to_json({"keys": [shown.key_object(key, context.rules) for key in chosen]}))
        return
    found = findings(held, context.rules, now, CERTIFICATE_SOON)
    alarms = {one.kid: one.message for one in found if one.kid is not None}
    rows = shown.key_rows(held, shown.in_order(chosen), context.rules, now, context.screen, alarms)
    click.echo(shown.table(rows, context.screen, head=4))
    if context.screen.terminal:
        count = len(alarms.keys() & {key.kid for key in chosen})
        attention = f", {count} need{'s' if count == 1 else ''} attention: idbroker keys check" if count else ""
        click.echo(f"{shown.counted(len(chosen))}{attention}", err=True)


@keys.command(
    "show", epilog=epilog(["idbroker keys show a7f3", "idbroker keys show a7f3 --pem"], DONE, FAILED, WRONG, CLOSED)
)
@click.argument("kid")
@click.option("--pem", is_flag=True, help="Write the public key, or the certificate, as PEM.")
@as_json
@with_context
def show(context: KeysContext, *, kid: str, pem: bool, as_json: bool) -> None:
    """Show one key: the public part, never the other. KID may be its first characters."""
    key = find_key(context.store.load(), kid)
    if pem:
        click.echo(public_pem(key), nl=False)
    elif as_json:
        click.echo(shown.to_json({"keys": [shown.key_object(key, context.rules)]}))
    else:
        click.echo(shown.key_lines(key, context.rules, context.screen))


@keys.command(
    "check",
    epilog=epilog(
        ["idbroker keys check || notify-someone", "idbroker keys check --warn 30d --json"],
        "0 all is well",
        FAILED,
        WRONG,
        CLOSED,
        "6 warning",
        "7 act now",
    ),
)
@click.option("--warn", type=SPAN, default="90d", show_default=True, help="Warn so long before a certificate ends.")
@as_json
@with_context
def check(context: KeysContext, *, warn: timedelta, as_json: bool) -> None:
    """Say what to do about the keys, for cron and monitoring."""
    held = context.store.load()
    concerns = [Finding(level=Level.WARNING, code="place", message=text) for text in context.concerns()]
    found = [*unreadable(held, context.store), *findings(held, context.rules, context.now, warn), *concerns]
    levels = {one.level for one in found}
    worst = Level.ACT if Level.ACT in levels else Level.WARNING if levels else None
    if as_json:
        click.echo(shown.to_json({"worst": worst or "ok", "checks": [shown.finding_object(one) for one in found]}))
    elif found:
        click.echo(shown.table(shown.finding_rows(found, held), context.screen, head=2))
    else:
        click.echo(f"all is well with {shown.counted(len(held.alive()))}", err=True)
    click.get_current_context().exit({None: 0, Level.WARNING: 6, Level.ACT: 7}[worst])


@keys.command(
    "plan", epilog=epilog(["idbroker keys plan", "idbroker keys plan --use data"], DONE, FAILED, WRONG, REFUSED, CLOSED)
)
@click.option("--use", type=click.Choice(USES), default="oidc-sign", show_default=True, help="Which keys.")
@click.option("--if-older-than", "older", type=SPAN, help="Only if the active key is older, as 60d.")
@as_json
@with_context
def plan_(context: KeysContext, *, use: str, older: timedelta | None, as_json: bool) -> None:
    """Show what rotate would do now. Nothing is changed."""
    held = context.store.load()
    plan = _planned(context, held, Use(use), older, back=False)
    _show_planned(context, plan, held, shown.options_of(use, older), as_json=as_json)


@keys.command(
    "rotate",
    epilog=epilog(
        [
            "idbroker keys rotate",
            "idbroker keys rotate --plan 7Q2M",
            "idbroker keys rotate --if-older-than 60d --yes",
            "idbroker keys rotate --back",
        ],
        MAYBE,
        FAILED,
        UNCONFIRMED,
        REFUSED,
        CLOSED,
        BUSY,
    ),
)
@click.option("--use", type=click.Choice(USES), default="oidc-sign", show_default=True, help="Which keys.")
@click.option("--if-older-than", "older", type=SPAN, help="Only if the active key is older, as 60d.")
@click.option("--plan", "plan_id", metavar="ID", help="Do exactly what was shown under this name, without asking.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--back", is_flag=True, help="Undo the last rotation.")
@as_json
@with_context
def rotate(
    context: KeysContext,
    *,
    use: str,
    older: timedelta | None,
    plan_id: str | None,
    dry_run: bool,
    yes: bool,
    back: bool,
    as_json: bool,
) -> None:
    """Let the staged keys sign, and stage new ones. Refused while a verifier may not know them."""
    held = context.store.load()
    action = "back" if back else "rotate"
    if not dry_run and repeats(held, context.rules, context.now, Use(use), action, plan_id):
        say_nothing_to_do(as_json=as_json, why="this was done a moment ago")
        return
    plan = _planned(context, held, Use(use), older, back=back)
    if plan_id is not None and plan.id != plan_id.upper():
        raise out_of_date(plan_id.upper())
    if not plan.steps:
        say_nothing_to_do(as_json=as_json, why="no key is that old")
    elif dry_run:
        _show_planned(context, plan, held, shown.options_of(use, older, back=back), as_json=as_json)
    else:
        if plan_id is None:
            click.echo(plan_text(context, plan, held), err=True)
        if not yes and plan_id is None:
            question = "Undo the rotation now? [y/N] " if back else "Rotate now? [y/N] "
            if ask(context, question, "--yes").lower() not in {"y", "yes"}:
                raise unconfirmed("not confirmed")
        do(context, plan, as_json=as_json)


@keys.command(
    "revoke",
    epilog=epilog(
        ["idbroker keys revoke a7f3 --reason compromised"],
        MAYBE,
        FAILED,
        UNCONFIRMED,
        REFUSED,
        CLOSED,
        BUSY,
    ),
)
@click.argument("kid")
@click.option("--reason", type=click.Choice(REASONS), required=True, help="Goes into the history.")
@click.option("--confirm", "last", metavar="LAST4", help="The last four characters of the whole name, typed.")
@as_json
@with_context
def revoke(context: KeysContext, *, kid: str, reason: str, last: str | None, as_json: bool) -> None:
    """Take a key out of use at once; its successor signs, even before everybody can know it.

    A lost key still verifies what it signed. A compromised one does not: people may have to sign in again.
    """
    held = context.store.load()
    key = find_key(held, kid)
    plan = plan_revocation(held, context.rules, context.now, key, reason)
    if not plan.steps:
        say_nothing_to_do(as_json=as_json, why="this key is gone already")
        return
    click.echo(plan_text(context, plan, held), err=True)
    if last is None:
        last = ask(context, f"Type the last four characters of {key.kid}: ", "--confirm LAST4")
    if last != key.kid[-4:]:
        raise unconfirmed("these are not the key's last four characters")
    do(context, plan, as_json=as_json)


@keys.command(
    "history",
    epilog=epilog(["idbroker keys history", "idbroker keys history --since 365d --json"], DONE, FAILED, WRONG, CLOSED),
)
@click.option("--since", type=SPAN, default="90d", show_default=True, help="How far back.")
@as_json
@with_context
def history(context: KeysContext, *, since: timedelta, as_json: bool) -> None:
    """Show who changed what, when and why."""
    records = [record for record in context.store.history() if record.at >= context.now - since]
    if as_json:
        click.echo(shown.to_json({"history": [shown.record_object(record) for record in records]}))
        return
    rows = shown.record_rows(records, context.store.load(), context.screen)
    click.echo(shown.table(rows, context.screen, head=1))


@keys.command(
    "retire",
    epilog=epilog(
        ["idbroker keys retire", "idbroker keys retire --use saml-enc --yes"],
        MAYBE,
        FAILED,
        UNCONFIRMED,
        CLOSED,
        BUSY,
    ),
)
@click.option("--use", type=click.Choice(USES), help="Only keys of this use.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@as_json
@with_context
def retire(context: KeysContext, *, use: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Let go of retiring keys that nobody needs any more. A rotation does so too, but may be years away."""
    held = context.store.load()
    plan = plan_retirement(held, context.rules, context.now, Use(use) if use else None)
    if not plan.steps:
        say_nothing_to_do(as_json=as_json, why="every retiring key is still needed")
    else:
        confirm(context, plan, held, "Let them go now? [y/N] ", yes=yes, dry_run=dry_run, as_json=as_json)


@keys.command(
    "rewrap",
    epilog=epilog(
        ["idbroker keys rewrap", "idbroker keys rewrap --batch 100 --resume"], DONE, FAILED, WRONG, CLOSED, BUSY
    ),
)
@click.option("--batch", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Values at a time.")
@click.option("--resume", is_flag=True, help="Go on where it was stopped. It always does: values tell their key.")
@as_json
@with_context
def rewrap(context: KeysContext, *, batch: int, resume: bool, as_json: bool) -> None:  # noqa: ARG001 -- see its help
    """Seal everything anew with the newest data key, then let the older ones go. May be stopped at any time."""
    if context.rewrappable is None:
        raise OperatorError("there is no store of sealed values", hint="set store.url", code="no_store")
    held = context.store.load()
    newest = max(key.number or 0 for key in held.keys if key.use is Use.DATA and key.state is State.ACTIVE)
    before = None
    while left := context.rewrappable.rewrap(newest, batch):
        if before is not None and left >= before:
            raise OperatorError(f"{left} values do not become fewer", code="stuck")
        click.echo(f"{left} values left", err=True)
        before = left
    plan = plan_rewrapped(context.store.load(), context.rules, context.now)
    if plan.steps:
        do(context, plan, as_json=as_json)
    else:
        say_nothing_to_do(
            as_json=as_json, why="everything is sealed with the newest key; older ones still open sessions"
        )


def _planned(context: KeysContext, held: KeySet, use: Use, older: timedelta | None, *, back: bool) -> Plan:
    if back:
        return plan_back(held, context.rules, context.now, use)
    try:
        return plan_rotation(held, context.rules, context.now, use, older)
    except TooEarly as error:
        message, hint = shown.too_early(error, held, context.screen)
        raise OperatorError(message, hint=hint, code=error.code, exit_code=error.exit_code) from error


def _show_planned(context: KeysContext, plan: Plan, held: KeySet, options: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(shown.to_json({"plan": shown.plan_object(plan, applied=False)}))
        return
    if not plan.steps:
        say_nothing_to_do(as_json=False, why="no key is that old")
        return
    prose = not context.screen.terminal
    click.echo(f"Plan {plan.id}. Nothing has been changed.", err=prose)
    click.echo(plan_text(context, plan, held))
    command = f"idbroker keys rotate{options} --plan {plan.id}"
    click.echo(f"Do it:  {command}" if len(command) + 8 <= context.screen.width else f"Do it:\n{command}", err=prose)
