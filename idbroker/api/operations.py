"""What an operation is: its place, its scope, its shapes. The routes and the document are both made of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter

from idbroker.api.gate import ORDINARY, Rate
from idbroker.client import Client, Clients
from idbroker.clinic import Clinics
from idbroker.patients.access import Access
from idbroker.patients.filing import Filing
from idbroker.patients.noting import Noting
from idbroker.patients.queue import Queue
from idbroker.patients.register import Register
from idbroker.staff.member import Actor, Role

_NAMED = re.compile(r"\\\{([a-z]+)\\\}")  # a name in braces, escaped


class Webhook(Protocol):
    """Where a client's news goes."""

    @property
    def url(self) -> str:
        """The address."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """Which news."""
        ...


class Webhooks(Protocol):
    """Where the addresses are kept. Every method may raise StoreError."""

    def set(self, client: Client, url: str, kinds: Sequence[str], now: datetime) -> str:
        """Keep one in the place of an earlier one; return the secret that news is signed with."""
        ...

    def get(self, client: Client) -> Webhook | None:
        """Return it."""
        ...

    def remove(self, client: Client) -> bool:
        """Forget it; tell whether there was one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Engines:
    """What operations work with."""

    register: Register
    queue: Queue
    access: Access
    filing: Filing
    noting: Noting
    clients: Clients
    clinics: Clinics
    webhooks: Webhooks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, checked: whose, when, of which patient, with which body; `mark` is the state that was read.

    `guardian` is the id of one who may act for the patient, where the path names one.
    """

    client: Client
    actor: Actor
    now: datetime
    today: date
    handle: str = ""
    guardian: str = ""
    body: Any = field(default=None, repr=False)
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of it; `lasting` lets the same request have the same answer."""

    status: int = 200
    body: BaseModel | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = True


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method at one path. `problems` are those beside what any operation may answer.

    `repeatable` takes an Idempotency-Key, `conditional` an If-Match; the answer of a `tagged` one has an ETag.
    """

    name: str
    method: str
    path: str
    scope: str
    summary: str
    work: Callable[[Engines, Call], Reply]
    answers: Mapping[int, type[BaseModel] | None]
    takes: TypeAdapter[Any] | None = None
    problems: tuple[str, ...] = ()
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeatable: bool = False
    conditional: bool = False
    tagged: bool = False
    rate: Rate = ORDINARY

    @property
    def role(self) -> Role:
        """Return in which role a program acts: what registers say is for administrators to write down."""
        return Role.ADMINISTRATOR if self.scope == "register" else Role.APPROVER

    def names_in(self, path: str) -> Mapping[str, str] | None:
        """Return what a path that is this operation's names: `handle`, `guardian`; None for another path."""
        found = re.fullmatch(_NAMED.sub("(?P<\\1>[^/]+)", re.escape(self.path)), path)
        return None if found is None else found.groupdict()
