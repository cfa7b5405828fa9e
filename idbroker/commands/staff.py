"""`idbroker staff`: the people who work at a clinic."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from idbroker.clinic import LANGUAGES
from idbroker.commands.accounts import Room, as_json, opened
from idbroker.errors import OperatorError
from idbroker.staff.logins import login_of
from idbroker.staff.member import Member, Role
from idbroker.staff.roster import OPERATOR, Linked, Newcomer, Undone

SCHEMA = "idbroker.staff/1"
_ROLES = ", ".join(Role)
_login = click.argument("login")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_print = click.option("--print-link", is_flag=True, help="Print the link in place of sending it.")
_WRONG = {
    "s.st.e.taken": "somebody has that user name, or that subject",
    "s.st.e.login": "that is no user name: small letters a-z, digits and . _ - @, at most 64",
    "s.st.e.name": "that is no name: 1 to 100 characters",
    "s.st.e.email": "nothing can be sent to that e-mail address",
    "s.st.e.noemail": "there is no e-mail address",
    "s.st.e.subject": "there are no passwords here: the organisation's provider is the only way",
    "s.st.e.disabled": "they are disabled: enable them first",
}


@click.group()
def staff() -> None:
    r"""Add colleagues, say what they may do, help those who are locked out.

    Roles are carer, approver and administrator, each at one clinic; administrators do the same for their clinic at
    /staff/CLINIC/colleagues.

    \b
    Examples:
      idbroker staff add anna --name "Anna Berg" --email anna@clinic.example --role administrator@clinea
      idbroker staff list
      idbroker staff reset anna --print-link
    """


@staff.command()
@_login
@click.option("--name", required=True, help="As colleagues see it.")
@click.option("--email", help="Where the link goes.")
@click.option("--role", "roles", multiple=True, metavar="ROLE@CLINIC", help=f"One for each clinic: {_ROLES}.")
@click.option("--language", type=click.Choice(LANGUAGES), help="To write in [the first clinic's first].")
@click.option("--subject", help="Their sub at the organisation's OpenID provider: no password is chosen.")
@_print
@as_json
@click.pass_obj
def add(  # noqa: PLR0913 - each is an option
    given: str | None,
    *,
    login: str,
    name: str,
    email: str | None,
    roles: Sequence[str],
    language: str | None,
    subject: str | None,
    print_link: bool,
    as_json: bool,
) -> None:
    """Add somebody, and send a link to choose a password: three days, one use.

    Exit codes: 0 added, 2 no such clinic or role, a user name that is taken or cannot be, nowhere to send to.
    """
    with opened(given) as room:
        at = dict(_role_at(room, text) for text in roles)
        if not (email or print_link or subject):
            raise OperatorError(
                "nowhere to send the link to", hint="add --email, --print-link or --subject", exit_code=2
            )
        first = next(iter(at), None)
        newcomer = Newcomer(
            login=login,
            name=name,
            email=email,
            roles=at,
            language=language or (room.clinic(first).offered_languages[0] if first else "en"),
            subject=_subject(room, subject),
        )
        send = not (print_link or subject)
        done = room.house.offices.roster.add(newcomer, OPERATOR, room.now, send=send)
    linked = _checked(done)
    _print_link(linked, as_json=as_json, printed=print_link, linkless=subject is not None and not print_link)


@staff.command("list")
@click.option("--clinic", help="Who works there only.")
@as_json
@click.pass_obj
def list_(given: str | None, clinic: str | None, as_json: bool) -> None:
    """List who works where. Exit codes: 0 listed, 2 no such clinic."""
    with opened(given) as room:
        if clinic is not None:
            room.clinic(clinic)
        members = room.house.offices.roster.colleagues(clinic)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "staff": [_shown(member) for member in members]}))
        return
    for member in members:
        shown = _shown(member)
        roles = " ".join(f"{role}@{at}" for at, role in shown["roles"].items()) or "-"
        click.echo("\t".join((member.login, member.name, roles, ",".join(shown["ways"]) or "-", shown["state"])))


@staff.command()
@_login
@_yes
@click.pass_obj
def disable(given: str | None, login: str, yes: bool) -> None:
    """Let somebody in no longer; end their sign-ins and links. Exit codes: 0 done, 2 none such, 130 no."""
    with opened(given) as room:
        member = _member(room, login)
        _confirmed(yes, f"Disable {member.login}?")
        room.house.offices.roster.end(member.id, OPERATOR, room.now)
    click.echo(f"ok: {member.login} is disabled")


@staff.command()
@_login
@click.pass_obj
def enable(given: str | None, login: str) -> None:
    """Let somebody in again, with what they had. Exit codes: 0 done, 2 none such."""
    with opened(given) as room:
        member = _member(room, login)
        room.house.offices.roster.enable(member.id, OPERATOR, room.now)
    click.echo(f"ok: {member.login} may sign in")


@staff.command()
@_login
@_print
@_yes
@as_json
@click.pass_obj
def reset(given: str | None, login: str, print_link: bool, yes: bool, as_json: bool) -> None:
    """End somebody's password, app, passkeys and sign-ins; send a new link.

    Exit codes: 0 done, 2 none such, disabled, or nowhere to send to, 130 no.
    """
    with opened(given) as room:
        member = _member(room, login)
        _confirmed(yes, f"End how {member.login} signs in now?")
        done = room.house.offices.roster.reset(member.id, OPERATOR, room.now, send=not print_link)
    _print_link(_checked(done), as_json=as_json, printed=print_link, linkless=False)


@staff.command()
@_login
@_yes
@click.pass_obj
def remove(given: str | None, login: str, yes: bool) -> None:
    """Remove somebody; what the trail says of them stays. Exit codes: 0 done, 2 none such, 130 no."""
    with opened(given) as room:
        member = _member(room, login)
        _confirmed(yes, f"Remove {member.login}? It cannot be undone")
        room.house.offices.roster.remove(member.id, OPERATOR, room.now)
    click.echo(f"ok: {member.login} is removed")


@staff.command()
@_login
@click.argument("role", metavar="ROLE@CLINIC")
@click.pass_obj
def role(given: str | None, login: str, role: str) -> None:
    """Give somebody a role at a clinic; `none@CLINIC` takes it away. Exit codes: 0 done, 2 none such."""
    with opened(given) as room:
        member = _member(room, login)
        name, _, clinic = role.partition("@")
        room.clinic(clinic)
        new = None if name == "none" else _role(name)
        room.house.offices.roster.role(member.id, clinic, new, OPERATOR, room.now)
    click.echo(f"ok: {member.login} is {new or 'nothing'} at {clinic}")


@staff.command()
@_login
@click.argument("sub")
@click.pass_obj
def subject(given: str | None, login: str, sub: str) -> None:
    """Say how the organisation's OpenID provider names somebody (`sub`); `none` forgets it. Ends their sign-ins.

    Exit codes: 0 done, 2 none such, no provider, or the name is somebody else's.
    """
    with opened(given) as room:
        member = _member(room, login)
        new = None if sub == "none" else _subject(room, sub)
        done = room.house.offices.roster.subject(member.id, new, OPERATOR, room.now)
    if isinstance(done, Undone):
        raise OperatorError(_WRONG.get(done.key, "it was not done"), exit_code=2)
    click.echo(f"ok: {member.login} {'is known' if new else 'is not known'} to the organisation's provider")


# ---- how -----------------------------------------------------------------------------------------


def _member(room: Room, login: str) -> Member:
    name = login_of(login)
    found = room.house.offices.members.by_login(name) if name else None
    if found is None:
        raise OperatorError("nobody has that user name", hint="idbroker staff list", exit_code=2)
    return found


def _role_at(room: Room, text: str) -> tuple[str, Role]:
    name, _, clinic = text.partition("@")
    return room.clinic(clinic).id, _role(name)


def _role(name: str) -> Role:
    if name not in set(Role):
        raise OperatorError(f"there is no role {name[:20]!r}", hint=f"one of {_ROLES}, as in carer@CLINIC", exit_code=2)
    return Role(name)


def _subject(room: Room, subject: str | None) -> str | None:
    if subject is None:
        return None
    issuer = room.house.settings.staff.issuer
    if issuer is None:
        raise OperatorError(
            "there is no organisation's provider", hint="[staff] issuer in the configuration", exit_code=2
        )
    return f"{issuer}\n{subject}"


def _confirmed(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError("not done: nobody can be asked here", hint="add --yes", exit_code=2)
    click.confirm(question, abort=True)


def _checked(done: Linked | Undone) -> Linked:
    if isinstance(done, Undone):
        raise OperatorError(_WRONG.get(done.key, "it was not done"), exit_code=2)
    return done


def _print_link(linked: Linked, *, as_json: bool, printed: bool, linkless: bool) -> None:
    """Say what came of it. The link itself is printed only where it was asked for: whoever has it is that colleague."""
    member = linked.member
    document: dict[str, Any] = {"schema": SCHEMA, "staff": [_shown(member)], "sent": linked.sent}
    if not linkless:
        document["until"] = linked.until.isoformat()
    if printed:
        document["link"] = linked.address
    if as_json:
        click.echo(json.dumps(document))
        return
    if linkless:
        click.echo(f"ok: {member.login} signs in with the organisation")
    elif printed:
        click.echo(f"ok: {member.login} may choose a password until {linked.until:%Y-%m-%d %H:%M} UTC:")
        click.echo(linked.address)
    else:
        click.echo(f"ok: a link for {member.login} is on its way, good until {linked.until:%Y-%m-%d %H:%M} UTC")


def _shown(member: Member) -> dict[str, Any]:
    """Return one as it is printed: no secret of theirs, nor its hash."""
    ways = {
        "password": member.password is not None,
        "app": member.app_secret is not None,
        "passkey": bool(member.passkeys),
        "organisation": member.subject is not None,
    }
    return {
        "id": member.id,
        "login": member.login,
        "name": member.name,
        "email": member.email,
        "language": member.language,
        "roles": {clinic: role.value for clinic, role in sorted(member.roles.items())},
        "ways": [name for name, has in ways.items() if has],
        "state": "disabled" if member.disabled else "active" if any(ways.values()) else "invited",
    }
