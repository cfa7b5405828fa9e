"""What colleagues read of a trail: words for whatever is recorded, by whomever."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import idbroker
from idbroker.accounts.account import Standing
from idbroker.accounts.families import OVER
from idbroker.clinic import LANGUAGES
from idbroker.events import Event
from idbroker.guardianship.rules import RULES
from idbroker.office.trails import why_of
from idbroker.patients.noting import DECEASED, DECLINED, ENDINGS, WITHDRAWN
from idbroker.words import Words
from tests.office.guardians_there import child_at
from tests.office_door import Office, text_of

ROOT = Path(idbroker.__file__).parent
# Where a reason stands among what a call is given, by what is called.
CALLS = {"Refusal": 0, "Kinship": 1, "_ended": 2, "_refused": 1}
MODULES = [*sorted(ROOT.glob("guardianship/**/*.py")), ROOT / "exchanging.py", ROOT / "accounts" / "families.py"]
WORDS = Words()


def _meant(value: ast.expr, module: str) -> Iterator[str]:
    """Yield what an expression may be, as far as it is written there; of a pattern its beginning and any page."""
    match value:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.Name(id=name) if name.isupper():
            yield str(getattr(import_module(module), name))
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_meant(body, module), *_meant(orelse, module))
        case ast.JoinedStr(values=[ast.Constant(value=str(begins)), *_]):
            yield f"{begins}consent"
        case _:
            return  # a word of somebody else's: it is found where that one writes it


def _of(node: ast.AST, module: str) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in CALLS:
            placed = node.args[CALLS[name] : CALLS[name] + 1]
            for value in (*placed, *(one.value for one in node.keywords if one.arg == "reason")):
                yield from _meant(value, module)
        case ast.FunctionDef(name=name) if name in {rule.__name__ for rule in RULES}:
            for one in ast.walk(node):
                if isinstance(one, ast.Return) and one.value is not None:
                    yield from _meant(one.value, module)
        case ast.AnnAssign(target=ast.Name(id="barred"), annotation=ast.Subscript(slice=ast.Tuple(elts=words))):
            for word in words:
                yield from _meant(word, module)
        case _:
            return


def recorded() -> tuple[str, ...]:
    """Return each reason that rules, registers, the question and what watches can record: read in the code itself."""
    found = {*ENDINGS, *OVER, DECEASED, DECLINED, WITHDRAWN, "register"}
    for path in MODULES:
        module = ".".join(("idbroker", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            found.update(_of(node, module))
    return tuple(sorted(found))


def test_the_reasons_are_found() -> None:
    """One of each place is among them: a search that finds nothing would let every reason pass."""
    known = {
        "level",
        "no_guardians",
        "shared_out",
        "no_relation",
        "too_many",
        "unanswered",
        "asks_consent",
        "no_number",
    }

    assert known <= {*recorded()}
    assert len(recorded()) >= len(RULES) + len(known)


@pytest.mark.parametrize("reason", recorded())
def test_every_reason_has_words(reason: str) -> None:
    """Whatever refuses or ends a guardian's right is said to colleagues in words, in all five languages."""
    said = [WORDS.say(why_of(reason), language, "DK") for language in LANGUAGES]

    assert all(said)
    assert reason not in said


@pytest.mark.parametrize("why", sorted(OVER))
def test_what_a_register_ended_is_said_in_words(office: Office, why: str) -> None:
    """An enrolment that ended by a register's no shows colleagues neither its code nor `register`, but words."""
    child, now = child_at(office), office.clock.now()
    declined = replace(child, standing=Standing.DECLINED, decided_at=now, by="register", reason=why)
    office.house.rooms.counter.records.enrolments.change(child.person, "clinea", lambda _: declined)
    event = Event(at=now, kind="guardianship.ended", clinic="clinea", person=child.person, detail={"by": "register"})
    office.house.durable.events.record(event)

    said = text_of(office.client("anna").get(f"/staff/clinea/patients/{child.handle}").text)
    assert said.count(why) == WORDS.say(why_of(why), "en", "DK").count(why)
    assert WORDS.say(why_of(why), "en", "DK") in said
    assert "a register" in said
