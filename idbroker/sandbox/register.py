"""A register of guardians as a region would run one: the lookup protocol of docs/registers.md, over the cast."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from idbroker.sandbox.custody import Custodies, Custody
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.sim_person import SimPerson

NAME = "familieregister"
MOUNT = f"/{NAME}"
_PATH = "/guardians"
LIFE = 20  # seconds for which an answer is good: short enough to watch a change arrive
LIES = (
    "nonsense",  # answers 200 with a page for people
    "wrong_types",  # its wards are an object
    "bad_number",  # a ward's number is none
    "doubled",  # a ward stands twice
    "too_many",  # more wards than anybody has
    "too_large",  # an answer of a megabyte
    "long_life",  # is good for a day
    "other_ward",  # asked of one ward, tells of another as well
)


@dataclass(frozen=True, kw_only=True)
class SimRegister:
    """The register of one world: whom it knows, what is broken, and the token that the broker has."""

    people: tuple[SimPerson, ...] = field(repr=False)
    custody: Custodies
    faults: Faults
    token: str = field(repr=False)


def table(address: str, token: str, folder: Path) -> Mapping[str, Any]:
    """Return the table of `[registers.familieregister]`, its token written into a folder."""
    file = folder / "register.token"
    file.touch(0o600)
    file.write_text(token, encoding="ascii")
    # As often as may be: a custody that is taken away in the panel is seen within two minutes, with nobody there.
    asked = {"ask_again": "1 min"}
    return {"kind": "lookup", "address": f"{address}{MOUNT}{_PATH}", "token_file": str(file), **asked}


def make_register(sim: SimRegister) -> Flask:
    """Return the application, to be mounted at MOUNT."""
    app = Flask("idbroker.sandbox.register", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 4096
    app.add_url_rule(_PATH, "ask", _Desk(sim).ask, methods=["POST"])
    return app


class _Desk:
    """Answers one question at a time."""

    def __init__(self, sim: SimRegister) -> None:
        self._sim = sim
        self._ids = {(one.country, one.number): one for one in sim.people if one.number is not None}

    def ask(self) -> Response:
        """Answer who may act for whom, or whether one may act for one."""
        fault = self._sim.faults.suffer(NAME)
        if fault.answer is not None:
            return Response(status=fault.answer)
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._bearer):
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        question = request.get_json()
        guardian = self._person(question, "guardian")
        ward = self._person(question, "ward") if "ward" in question else None
        wards = self._wards(guardian, ward, asked="ward" in question)
        if "other_ward" in fault.lies:
            wards = [*wards, *(self._told(one) for one in self._sim.custody.all()[:1])]
        return _lying(wards, fault.lies) or _answer({"wards": wards, "expires_in": LIFE})

    @property
    def _bearer(self) -> bytes:
        return f"Bearer {self._sim.token}".encode()

    def _person(self, question: Any, what: str) -> SimPerson | None:
        """Return who is asked about, None for somebody the register does not know."""
        named = question.get(what) if isinstance(question, dict) else None
        if not isinstance(named, dict) or not {"country", "number"} <= set(named):
            raise BadRequest
        return self._ids.get((str(named["country"]), str(named["number"])))

    def _wards(self, guardian: SimPerson | None, ward: SimPerson | None, *, asked: bool) -> list[dict[str, Any]]:
        if guardian is None:
            return []
        found: Iterable[Custody] = self._sim.custody.wards_of(guardian.id)
        return [self._told(one) for one in found if not asked or (ward is not None and one.ward == ward.id)]

    def _told(self, custody: Custody) -> dict[str, Any]:
        ward = next(one for one in self._sim.people if one.id == custody.ward)
        names = {} if custody.protected else {"given_name": ward.given_name, "family_name": ward.family_name}
        return {
            "country": ward.country,
            "number": ward.number,
            **names,
            "birthdate": ward.born.isoformat(),
            "relation": custody.relation,
            "powers": list(custody.powers),
            "until": None if custody.until is None else custody.until.isoformat(),
            "protected": custody.protected,
            "deceased": custody.deceased,
            "barred": custody.barred,
        }


def _lying(wards: list[dict[str, Any]], lies: frozenset[str]) -> Response | None:
    """Return the answer that one of the lies makes of the truth, None if none does."""
    said: Mapping[str, Any] = {
        "wrong_types": {"wards": {}, "expires_in": LIFE},
        "bad_number": {"wards": [{**ward, "number": "1234"} for ward in wards], "expires_in": LIFE},
        "doubled": {"wards": [*wards, *wards], "expires_in": LIFE},
        "too_many": {"wards": (wards * 101)[:101], "expires_in": LIFE},
        "too_large": {"wards": wards, "expires_in": LIFE, "more": "x" * 1_000_000},
        "long_life": {"wards": wards, "expires_in": 86400},
    }
    if "nonsense" in lies:
        return Response("<!doctype html><title>Maintenance</title>", content_type="text/html")
    return next((_answer(said[lie]) for lie in sorted(lies & set(said))), None)


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), content_type="application/json")
