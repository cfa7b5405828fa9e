"""What Suomi.fi e-Authorizations says, read strictly: a session, a token, who was chosen, what may be done for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from idbroker.errors import Unreachable
from idbroker.guardianship.tie import MANDATE, NO_CUSTODY, Tie
from idbroker.numbers import NationalNumber

ALL = "ALL"  # a guardian of a minor
GUARDIAN = "GUARDIAN"  # of an adult, appointed by a court (rule 021.001.2.2.3)
POWER_OF_ATTORNEY = "power_of_attorney"
MOST_CHOSEN = 40

# They become part of an address and of a header: nothing that could end either.
Word = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._~-]{1,256}$")]
Secret = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._~+/=-]{1,4096}$")]
Text = Annotated[str, StringConstraints(strict=True, max_length=300)]
Role = Annotated[str, StringConstraints(strict=True, pattern=r"^[\x21-\x7e]{1,300}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A session at the register, of somebody who has still to choose."""

    session: Annotated[Word, Field(validation_alias="sessionId")] = field(repr=False)
    user: Annotated[Word, Field(validation_alias="userId")] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the code was worth."""

    value: Annotated[Secret, Field(validation_alias="access_token")] = field(repr=False)
    kind: Annotated[Text, Field(validation_alias="token_type")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who was chosen: `person` is their national number."""

    person: Annotated[Text, Field(validation_alias="personId")] = field(repr=False)
    name: Text | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What may be done for one person; none: nothing. Some answers repeat whom they are about."""

    roles: Annotated[tuple[Role, ...], Field(max_length=100)]
    person: Annotated[Text | None, Field(validation_alias="personId")] = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Whether one may act for another: ALLOWED, DISALLOWED, UNKNOWN."""

    result: Text


BEGAN = TypeAdapter(Began)
TOKEN = TypeAdapter(Token)
CHOSEN = TypeAdapter(Annotated[tuple[Principal, ...], Field(max_length=MOST_CHOSEN)])
ROLES = TypeAdapter(Roles)
RESULT = TypeAdapter(Result)

Shape = TypeVar("Shape")


def read(shape: TypeAdapter[Shape], body: bytes, call: str) -> Shape:
    """Return an answer. Unreachable when it is of another shape."""
    try:
        return shape.validate_json(body)
    except ValidationError:
        # Without the cause: it repeats what was sent, numbers and names.
        raise Unreachable(f"valtuudet {call}: an answer of another shape") from None


def tie(number: NationalNumber, name: str | None, roles: Sequence[str], *, family_first: bool) -> Tie:
    """Return what roles come to: custody of a minor, a mandate with its powers, or that there is no right."""
    said: dict[str, Any] = dict(zip(("given_name", "family_name"), _names(name or "", family_first), strict=True))
    if ALL in roles:
        return Tie(number=number, **said)
    if not roles:
        return Tie(number=number, **said, barred=NO_CUSTODY)
    basis = "register" if set(roles) == {GUARDIAN} else POWER_OF_ATTORNEY
    return Tie(number=number, **said, relation=MANDATE, basis=basis, powers=tuple(dict.fromkeys(roles)))


def _names(name: str, family_first: bool) -> tuple[str | None, str | None]:
    """Return given and family name of a whole one: which comes first is not said anywhere."""
    words = [word for word in name.split() if word.isprintable()]
    cut = len(words) - 1 or 1
    given, family = (words[1:], words[:1]) if family_first else (words[:cut], words[cut:])
    return (" ".join(given) or None, " ".join(family) or None)
