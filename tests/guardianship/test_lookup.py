"""A register asked by the lookup protocol: what it says is read strictly, and kept for as long as it says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from werkzeug.wrappers import Request, Response

from idbroker import config
from idbroker.clinic import Clinic
from idbroker.errors import ConfigError, ProviderError, Unreachable, Untrusted
from idbroker.guardianship.lookup import LookupRegister, Settings, make, mistakes
from idbroker.guardianship.tie import Guardian, Tie
from idbroker.identity import Identity, LoA
from idbroker.numbers import parse
from idbroker.providers._http import kept_session
from tests.sandbox.loopback import serve

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CLINIC = Clinic(id="region", name="Region", country="SE", providers=("bankid",))
SAGA, ALMA, GROWN = "202005042383", "201806232383", "198706192393"
WARD: Mapping[str, Any] = {
    "country": "SE",
    "number": SAGA,
    "given_name": "Saga",
    "family_name": "Provsson",
    "birthdate": "2020-05-04",
    "relation": "custody",
    "powers": [],
    "until": None,
    "protected": False,
    "deceased": False,
    "barred": "",
}


def guardian(number: str | None = "198706192393") -> Guardian:
    """Return Björn, as his eID proved him."""
    told = None if number is None else parse(number, "SE", now=NOW.date())
    came = Identity(
        provider="bankid", issuer="bankid", subject="b", loa=LoA.SUBSTANTIAL, proved_at=NOW, number=told
    )  # fmt: skip
    return Guardian(person="p", identity=came)


@dataclass(kw_only=True)
class Office:
    """A register over real HTTP: it answers what a test says, and keeps what it was asked."""

    body: bytes = b'{"wards": [], "expires_in": 20}'
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    asked: list[Request] = field(default_factory=list)

    def says(self, **said: Any) -> None:
        """Answer with a JSON object from now on."""
        self.body = json.dumps({"wards": [dict(WARD)], "expires_in": 20, **said}).encode()

    def __call__(self, environ: Any, start: Any) -> Any:
        """Serve one question."""
        question = Request(environ)
        question.get_data()
        self.asked.append(question)
        return Response(self.body, self.status, headers=dict(self.headers))(environ, start)


@dataclass(frozen=True, kw_only=True)
class Line:
    """The register, and our end of the line to it."""

    office: Office
    register: LookupRegister

    def wards(self) -> tuple[Tie, ...]:
        """Ask for everybody."""
        return self.register.wards(guardian(), CLINIC, NOW).ties


def _register(address: str, folder: Path) -> LookupRegister:
    token = folder / "token"
    token.write_text("the-token-that-it-knows-us-by\n")
    made = make(
        "folk", Settings(address=address, token_file=str(token)), lambda **rest: kept_session(**rest, sandbox=True)
    )
    assert isinstance(made, LookupRegister)
    return made


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Give a register that has nobody, and what asks it."""
    office = Office()
    with serve(lambda _: office) as address:
        yield Line(office=office, register=_register(f"{address}/guardians", tmp_path))


# ---- what is asked ---------------------------------------------------------------------------------


def test_numbers_stand_in_the_body(line: Line) -> None:
    """Both numbers go in the body of a POST with the token in its header: nothing is in the URL, which is logged."""
    line.register.about(guardian(), parse(SAGA, "SE", now=NOW.date()), CLINIC, NOW)

    asked = line.office.asked[0]
    assert (asked.method, asked.full_path) == ("POST", "/guardians?")
    assert asked.headers["Authorization"] == "Bearer the-token-that-it-knows-us-by"
    assert asked.get_json() == {
        "guardian": {"country": "SE", "number": "198706192393"},
        "ward": {"country": "SE", "number": SAGA},
    }


def test_who_has_no_number_is_not_asked_about(line: Line) -> None:
    """A guardian without a national number has no wards here, and nobody is bothered with the question."""
    answer = line.register.wards(guardian(None), CLINIC, NOW)

    assert (answer.ties, line.office.asked) == ((), [])


# ---- what is said ----------------------------------------------------------------------------------


def test_reads_everything(line: Line) -> None:
    """All members of a ward come out as a tie, and the answer is good for its stated seconds."""
    told = {
        "relation": "grandparent",
        "powers": ["journal", "booking"],
        "until": "2027-01-31",
        "protected": True,
        "deceased": True,
        "barred": "care_order",
        "nickname": "unknown members are passed over",
    }
    line.office.says(wards=[{**WARD, **told}], expires_in=90, note={"and": "so are these"})

    answer = line.register.wards(guardian(), CLINIC, NOW)

    assert answer.ties == (
        Tie(
            number=parse(SAGA, "SE", now=NOW.date()), given_name="Saga", family_name="Provsson",
            birthdate=date(2020, 5, 4), relation="grandparent", powers=("journal", "booking"),
            until=date(2027, 1, 31), protected=True, deceased=True, barred="care_order",
        ),
    )  # fmt: skip
    assert (answer.register, answer.asked_at, answer.good_until) == ("folk", NOW, NOW + timedelta(seconds=90))


def test_little_is_enough(line: Line) -> None:
    """Country and number make a ward: custody, of somebody whose birth date the number tells."""
    line.office.says(wards=[{"country": "SE", "number": SAGA}])

    tie = line.wards()[0]
    assert (tie.relation, tie.basis, tie.name, tie.born) == ("custody", "register", None, date(2020, 5, 4))


def test_a_mandate_says_what_it_rests_on(line: Line) -> None:
    """A power of attorney is told apart from custody, for it does not end with childhood."""
    line.office.says(wards=[{**WARD, "relation": "mandate", "powers": ["all"]}])

    assert [(tie.relation, tie.basis) for tie in line.wards()] == [("mandate", "power_of_attorney")]


@pytest.mark.parametrize("told", [[], [{**WARD, "number": ALMA, "birthdate": None}]])
def test_a_ward_that_is_not_in_the_answer(line: Line, told: list[dict[str, Any]]) -> None:
    """Asked about one ward and told of none, or of another: no tie, which is an answer and no error."""
    line.office.says(wards=told)

    assert line.register.about(guardian(), parse(SAGA, "SE", now=NOW.date()), CLINIC, NOW).ties == ()


def _ward(**members: Any) -> Callable[[], bytes]:
    return lambda: json.dumps({"wards": [{**WARD, **members}], "expires_in": 20}).encode()


def _said(**members: Any) -> Callable[[], bytes]:
    return lambda: json.dumps({"wards": [WARD], "expires_in": 20, **members}).encode()


STRANGE: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no object": lambda: b"[]",
    "cut short": lambda: _said()()[:-1],
    "another encoding": lambda: _said()().decode().encode("utf-16"),
    "a member twice": lambda: b'{"wards": [], "wards": [], "expires_in": 20}',
    "a member of a ward twice": lambda: _said()().replace(b'"barred"', b'"barred": "care_order", "barred"'),
    "not a number": lambda: b'{"wards": [], "expires_in": 20, "x": NaN}',
    "half a letter": _ward(given_name="\ud800"),
    "deep": lambda: b"[" * 100_000,
    "no wards": lambda: b'{"expires_in": 20}',
    "no life": lambda: b'{"wards": []}',
    "a life of words": _said(expires_in="20"),
    "a life of parts": _said(expires_in=0.5),
    "a life that is true": _said(expires_in=True),
    "a life too long": _said(expires_in=3601),
    "a life that is over": _said(expires_in=-1),
    "wards by name": _said(wards={"saga": WARD}),
    "a ward that is a number": _said(wards=[SAGA]),
    "a hundred and one": _said(wards=[WARD] * 101),
    "a ward twice": _said(wards=[WARD, {**WARD, "relation": "foster"}]),
    "a ward twice, spelt otherwise": _said(wards=[WARD, {**WARD, "number": "20200504-2383"}]),
    "too large": _said(more="x" * 300_000),
    "no number": lambda: b'{"wards": [{"country": "SE"}], "expires_in": 20}',
    "a number that is none": _ward(number="202005042384"),
    "a number that is an integer": _ward(number=202005042383),
    "a country without rules": _ward(country="NO"),
    "a name that is a list": _ward(given_name=["Saga"]),
    "a name turned round": _ward(given_name="Sa\u202ega"),
    "a name without end": _ward(family_name="x" * 201),
    "a birthdate with a time": _ward(birthdate="2020-05-04T00:00:00Z"),
    "a birthdate in seconds": _ward(birthdate=1588550400),
    "a day that is none": _ward(until="2026-02-30"),
    "a day without hyphens": _ward(until="20270131"),
    "a relation of two words": _ward(relation="mother of"),
    "powers that are a word": _ward(powers="all"),
    "powers without end": _ward(powers=["x"] * 51),
    "protected in words": _ward(protected="false"),
    "deceased as a number": _ward(deceased=0),
    "no reason": _ward(barred=None),
    "a reason nobody knows": _ward(barred="moved"),
    "two birth dates that are not the numbers'": _said(
        wards=[{**WARD, "birthdate": "2020-05-05"}, {**WARD, "number": ALMA, "birthdate": "2018-06-24"}]
    ),
}


@pytest.mark.parametrize("how", STRANGE)
def test_strange_answers(line: Line, how: str) -> None:
    """Whatever two programs could read differently, or the protocol does not say, is not believed."""
    line.office.body = STRANGE[how]()

    with pytest.raises(Untrusted) as refused:
        line.wards()

    assert SAGA not in refused.value.detail
    assert "Saga" not in refused.value.detail


@pytest.mark.parametrize("born", ["2020-05-05", "2026-11-23", "9990-12-31", "1849-12-31"])
def test_one_wrong_birth_date(line: Line, born: str) -> None:
    """A ward whose birth date is none, or not its number's, is left out; the others stand, and the operator is told."""
    line.office.says(wards=[{**WARD, "birthdate": born}, {**WARD, "number": ALMA, "birthdate": None}])
    with capture_logs() as logs:
        (tie,) = line.wards()

    assert tie.number is not None
    assert tie.number.value == ALMA
    told = {"event": "register_ward_doubtful", "log_level": "warning", "register": "folk", "wards": 1}
    assert logs == [told]


@pytest.mark.parametrize("said", [{}, {"barred": "no_custody"}, {"protected": True}])
def test_asked_about_a_ward_in_doubt_the_register_is_down(line: Line, said: Mapping[str, Any]) -> None:
    """The attack: it says no, of a wrong birth date; left out as a stranger, another register's yes would count."""
    line.office.says(wards=[{**WARD, "birthdate": "2020-05-05", **said}])
    saga, alma = (parse(value, "SE", now=NOW.date()) for value in (SAGA, ALMA))

    with pytest.raises(Untrusted) as refused:
        line.register.about(guardian(), saga, CLINIC, NOW)
    assert SAGA not in refused.value.detail
    assert line.register.about(guardian(), alma, CLINIC, NOW).ties == ()


def test_a_grown_person_is_nobodys_child_by_a_registers_word(line: Line) -> None:
    """The attack: a register says of somebody whose number is a grown person's that they were born in 2017."""
    line.office.says(wards=[{**WARD, "number": GROWN, "birthdate": "2017-01-01"}])

    assert line.wards() == ()
    number = parse(GROWN, "SE", now=NOW.date())
    assert Tie(number=number, birthdate=date(2017, 1, 1)).born == number.birthdate == date(1987, 6, 19)


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 429, 500, 503])
def test_no_answer(line: Line, status: int) -> None:
    """A register that says no, is broken or leads elsewhere has not answered (SSRF: a redirect is not followed)."""
    line.office.status, line.office.headers = status, {"Location": "http://127.0.0.1:9/", "Content-Type": "text/plain"}

    with pytest.raises(Unreachable):
        line.wards()
    assert len(line.office.asked) == 1


def test_a_page_for_people(line: Line) -> None:
    """A maintenance page with a status of success is not taken for a register with no wards."""
    line.office.headers = {"Content-Type": "text/html"}

    with pytest.raises(Untrusted):
        line.wards()


def test_nobody_listens(tmp_path: Path) -> None:
    """A register that is not there is unreachable."""
    with serve(lambda _: Office()) as address:
        register = _register(address, tmp_path)

    with pytest.raises(Unreachable):
        register.wards(guardian(), CLINIC, NOW)


def test_http_is_for_simulators(line: Line, tmp_path: Path) -> None:
    """Outside the sandbox nothing is sent in clear, even to this machine."""
    token = tmp_path / "token"
    token.write_text("t")
    settings = Settings(address=line.register.address, token_file=str(token))

    with pytest.raises(ProviderError):
        make("folk", settings, kept_session).wards(guardian(), CLINIC, NOW)
    assert line.office.asked == []


# ---- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://register.example.org/guardians", True), ("http://127.0.0.1:8089/g", True),
        ("http://localhost:8089/g", True), ("http://[::1]:8089/g", True), ("http://register.example.org/g", False),
        ("ftp://register.example.org/g", False), ("register.example.org", False), ("https://", False),
        ("https://me:secret@register.example.org/g", False), ("https://register.example.org/g#x", False),
        ("http://localhost.example.org/g", False), ("https://[::1/g", False), ("https://a.example/\n", False),
    ],
)  # fmt: skip
def test_addresses(address: str, good: bool) -> None:
    """An address is https, but on this machine: on the way others would read who is whose child."""
    assert (mistakes(Settings(address=address, token_file="t")) == ()) is good


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"two words", b"\xff", b"x" * 5000])
def test_tokens(tmp_path: Path, content: bytes | None) -> None:
    """A token that is not there, or is no single word, stops the start with the table's name."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    settings = Settings(address="https://register.example.org/g", token_file=str(tmp_path / "token"))

    with pytest.raises(ConfigError) as refused:
        make("folk", settings, kept_session)

    assert [where for where, _ in refused.value.mistakes] == ["registers.folk"]


def test_the_token_is_shown_to_nobody(line: Line) -> None:
    """A register that is logged by mistake shows neither its token nor the session that carries it."""
    assert "the-token" not in repr(line.register)
    assert {one.name for one in dataclasses.fields(line.register) if one.repr} == {"name", "address"}


def test_configuration() -> None:
    """`[registers.NAME]` of the kind `lookup` reads, and a misspelt address is told with its table."""
    table = {"kind": "lookup", "address": "http://register.example.org/g", "token_file": "token"}

    with pytest.raises(ConfigError) as refused:
        config.read({"server": {"issuer": "https://id.example.org"}, "registers": {"folk": table}})

    assert ("registers.folk", "address must be https (http only on localhost)") in refused.value.mistakes
