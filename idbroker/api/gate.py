"""Who calls, and whether they may: the token, its scope, how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Request

from idbroker.api.problems import Problem
from idbroker.client import Client
from idbroker.credentials import Credentials
from idbroker.keeping import Tallies
from idbroker.oidc import bearer
from idbroker.staff.member import Actor, Role

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many calls of a kind a client may make in a minute of the clock (UTC)."""

    kind: str
    most: int


ORDINARY = Rate(kind="all", most=600)
HEAVY = Rate(kind="many", most=20)  # a list of a thousand each


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Lets calls through."""

    credentials: Credentials
    tallies: Tallies

    def client(self, incoming: Request, scope: str) -> Client:
        """Return whose call it is. Raises Problem with the challenge that RFC 6750, 3 wants.

        The token counts from the header alone: addresses and bodies are logged and kept (RFC 9700, 4.3.2).
        """
        try:
            text = bearer.from_header(one_header(incoming, "Authorization"), elsewhere="access_token" in incoming.args)
        except bearer.BearerError as error:
            code = error.code or "no_token"
            raise Problem(code, headers={"WWW-Authenticate": error.challenge}, detail=error.detail) from error
        held = self.credentials.find(text)
        if held is None:
            raise _refused("invalid_token")
        if scope not in held.scopes:
            raise _refused("insufficient_scope", f', scope="{scope}"')
        return held.client

    def count(self, client: Client, rate: Rate, now: datetime) -> None:
        """Count a call, before anything is looked at. Raises Problem when the minute's are spent."""
        minute = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
        if self.tallies.add(f"api|{rate.kind}|{client.id}|{minute}", 2 * MINUTE) > rate.most:
            raise Problem("too_many_requests", headers={"Retry-After": str(60 - now.second)})


def actor(client: Client, role: Role) -> Actor:
    """Return who acts at the client's clinic: the program itself, in the role that the operation's scope stands for."""
    return Actor(id=f"client:{client.id}", clinic=client.clinic, role=role)


def one_header(incoming: Request, name: str) -> str | None:
    """Return a header's value; two of them would let two readers see two requests."""
    values = incoming.headers.getlist(name)
    if len(values) > 1:
        raise Problem("wrong_header")
    return values[0] if values else None


def _refused(code: str, more: str = "") -> Problem:
    challenge = f'Bearer realm="idbroker", error="{code}"{more}'
    return Problem(code, headers={"WWW-Authenticate": challenge})
