"""Suomi.fi e-Authorizations, asked as it wants to be asked: checksum, session, page, code, roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ConfigError, Unreachable, Untrusted
from idbroker.guardianship._hypa.answers import tie
from idbroker.guardianship._hypa.checksum import HEADER, checksum, header, stamp
from idbroker.guardianship.tie import CUSTODY, MANDATE
from idbroker.guardianship.valtuudet import Settings, make, mistakes
from idbroker.numbers import NationalNumber, parse
from tests.conftest import NOW
from tests.guardianship.valtuudet_register import BACK, CLINIC, Office, choose, identity, open_office

VECTOR = {
    "key": "3ba56df8-88b8-4805-9b04-2f8e7a61",
    "path_and_query": (
        "/service/hpa/user/register/ed4b7ae7/080297-915A?requestId=02fd35dc-99e6-477b-b6e2-03f02cbf3666"
    ),
    "timestamp": "2017-02-09T10:29:42.090000+00:00",
}
HEALTH = "http://valtuusrekisteri.suomi.fi/terveydenhuollon_asioiden_hoito"
_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give the register, and the simulator that it asks."""
    with open_office(tmp_path, clock) as opened:
        yield opened


# ---- the checksum ------------------------------------------------------------------------------------


def test_published_vector() -> None:
    """The checksum is DVV's: their key, path and moment give their value."""
    assert checksum(**VECTOR) == "GeRKoGmGd0RFk33s2vNHutJf/TrEdwSM2Vb7qWXLESY="


def test_header() -> None:
    """The header names the client, the moment as it was signed, and the checksum; whatever zone we count in."""
    moment = datetime(2017, 2, 9, 12, 29, 42, 90_000, tzinfo=timezone(timedelta(hours=2)))

    assert stamp(moment) == VECTOR["timestamp"]
    assert header("ed4b7ae7", VECTOR["key"], VECTOR["path_and_query"], moment) == (
        f"ed4b7ae7 {VECTOR['timestamp']} GeRKoGmGd0RFk33s2vNHutJf/TrEdwSM2Vb7qWXLESY="
    )


@pytest.mark.parametrize("part", ["key", "path_and_query", "timestamp"])
def test_everything_is_signed(part: str) -> None:
    """Another key, path, query or moment gives another checksum."""
    assert checksum(**{**VECTOR, part: VECTOR[part] + "0"}) != checksum(**VECTOR)


def test_moment_without_fraction() -> None:
    """A moment on the whole second has its microseconds, too: the register reads one form."""
    assert stamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000+00:00"


# ---- the whole way -----------------------------------------------------------------------------------


def test_chosen(office: Office) -> None:
    """A mother who chooses her child has custody of it, by its number and name, for the register's stated life."""
    answer = office.go("aino", "onni")

    (found,) = answer.ties
    assert found.number == office.number("onni")
    assert (found.given_name, found.family_name) == ("Onni", "Koehenkilö")
    assert (found.relation, found.basis, found.barred, found.powers) == (CUSTODY, "register", "", ())
    assert (answer.register, answer.asked_at) == ("valtuudet", NOW)
    assert answer.good_until == NOW + timedelta(seconds=599)


def test_calls_in_order(office: Office) -> None:
    """Register, page, token, delegate, authorization list, unregister: each once, and the session is ended there."""
    office.go()

    words = [urlsplit(url).path.split("/")[1:5] for url in office.asked]
    assert [word[-1] if word[0] == "oauth" else "/".join(word[2:]) for word in words] == [
        "user/register",
        "authorize",
        "token",
        "api/delegate",
        "api/authorizationlist",
        "user/unregister",
    ]
    assert office.sim.sessions.open == 0


@pytest.mark.parametrize(("language", "lang"), [("fi", "fi"), ("sv", "sv"), ("en", "en"), ("da", "en")])
def test_page(office: Office, language: str, lang: str) -> None:
    """The browser is sent with the user that the register named, and a language that it has; with no number."""
    url = office.leave(language=language).url

    query = parse_qs(urlsplit(url).query)
    assert query["lang"] == [lang]
    assert (query["redirect_uri"], query["response_type"]) == ([BACK], ["code"])
    assert (office.people["aino"].number or "") not in unquote(url)


def test_token_call(office: Office) -> None:
    """Code, grant type and address go in the query, as the interface has it; the password only in the header."""
    office.go()

    sent = next(url for url in office.asked if url.startswith("/oauth/token"))
    assert set(parse_qs(urlsplit(sent).query)) == {"code", "grant_type", "redirect_uri"}
    assert office.sim.service.oauth_password not in "".join(office.asked)


@pytest.mark.parametrize(
    ("roles", "relation", "basis", "powers", "barred"),
    [
        (["ALL"], CUSTODY, "register", (), ""),
        (["ALL", HEALTH], CUSTODY, "register", (), ""),
        ([], CUSTODY, "register", (), "no_custody"),
        (["GUARDIAN"], MANDATE, "register", ("GUARDIAN",), ""),
        ([HEALTH, HEALTH], MANDATE, "power_of_attorney", (HEALTH,), ""),
        (["GUARDIAN", HEALTH], MANDATE, "power_of_attorney", ("GUARDIAN", HEALTH), ""),
        (["SOMETHING"], MANDATE, "power_of_attorney", ("SOMETHING",), ""),
    ],
)
def test_roles(roles: list[str], relation: str, basis: str, powers: tuple[str, ...], barred: str) -> None:
    """ALL is custody of a minor; GUARDIAN and themes are mandates; none is a no. An unknown word opens nothing."""
    found = tie(_number("010118A", 900), "A B", roles, family_first=False)

    assert (found.relation, found.basis, found.powers, found.barred) == (relation, basis, powers, barred)


@pytest.mark.parametrize(
    ("name", "family_first", "names"),
    [
        ("Onni Olavi Koe", False, ("Onni Olavi", "Koe")),
        ("Koe Onni Olavi", True, ("Onni Olavi", "Koe")),
        ("Onni", False, ("Onni", None)),
        (None, False, (None, None)),
        ("  ", False, (None, None)),
        ("Onni\u202e Koe", False, ("Koe", None)),
    ],
)
def test_names(name: str | None, family_first: bool, names: tuple[str | None, str | None]) -> None:
    """A whole name is cut at its last word, or its first by setting; words that turn text about are left out."""
    found = tie(_number("010118A", 900), name, ["ALL"], family_first=family_first)

    assert (found.given_name, found.family_name) == names


def test_mandate(office: Office) -> None:
    """A theme that an adult has given is a mandate with that power, which the clinic's own list then judges."""
    office.custody.change("aino", "jaana", {"relation": "mandate", "powers": [HEALTH]})

    (found,) = office.go("aino", "jaana").ties

    assert (found.relation, found.powers, found.basis) == (MANDATE, (HEALTH,), "power_of_attorney")


def test_custody_ends_before_the_answer(office: Office) -> None:
    """Custody that ends between the choice and our question is a no, with its reason for the trail."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.custody.change("aino", "onni", {"barred": "care_order"})

    (found,) = office.back(away, reply).ties

    assert found.barred == "no_custody"


def test_cancelled(office: Office) -> None:
    """Whoever cancels there has chosen nobody, and their session there is ended."""
    away = office.leave()

    with pytest.raises(Cancelled):
        office.back(away, choose(away.url, cancel="yes"))
    assert office.sim.sessions.open == 0


def test_nothing_unasked(office: Office) -> None:
    """The register tells nothing unasked: nobody is listed, and no call is made."""
    assert office.register.wards(office.guardian(), CLINIC, NOW).ties == ()
    assert office.asked == []


def test_without_a_finnish_number(office: Office) -> None:
    """A guardian without a Finnish number is not known there, and nothing is asked of them."""
    elena = office.guardian("elena")

    assert not office.register.knows(elena)
    assert office.register.knows(office.guardian("aino"))
    assert office.register.about(elena, office.number("onni"), CLINIC, NOW).ties == ()
    with pytest.raises(Unreachable):
        office.register.leave(elena, CLINIC, BACK, NOW)
    assert office.asked == []


# ---- without a page ----------------------------------------------------------------------------------


def test_about(office: Office) -> None:
    """Asked without a page, it says yes or no about a child."""
    assert [found.barred for found in office.about("aino", "onni").ties] == [""]
    assert [found.barred for found in office.about("jaana", "onni").ties] == ["no_custody"]
    assert [found.barred for found in office.about("jaana", "veera").ties] == ["no_custody"]


def test_about_an_adult(office: Office) -> None:
    """Of an adult it is asked theme by theme, and only those that the operator has named; else nothing is asked."""
    office.custody.change("aino", "jaana", {"relation": "mandate", "powers": [HEALTH, "http://x.example/other"]})

    assert office.about("aino", "jaana").ties == ()
    assert office.asked == []
    register = office.set_up(issues=("http://x.example/none", HEALTH))
    (found,) = register.about(office.guardian(), office.number("jaana"), CLINIC, NOW).ties
    assert (found.relation, found.powers) == (MANDATE, (HEALTH,))


def test_about_without_that_interface(office: Office) -> None:
    """Without its key nothing is asked or known, and that is good for no time: another register may still say yes."""
    register = office.set_up(rest_key_file=None)

    answer = register.about(office.guardian(), office.number("onni"), CLINIC, NOW)

    assert (answer.ties, answer.good_until, office.asked) == ((), NOW, [])


def test_about_oneself(office: Office) -> None:
    """Nobody is asked whether they may act for themselves."""
    assert office.about("aino", "aino").ties == ()
    assert office.asked == []


# ---- numbers in addresses ----------------------------------------------------------------------------


def _number(start: str, individual: int) -> NationalNumber:
    check = _CHECKS[int(f"{start[:6]}{individual}") % 31]
    return parse(f"{start}{individual}{check}", "FI", now=date(2026, 11, 22))


@pytest.mark.parametrize("sign", "+-YXWVUABCDEF")
def test_every_century(office: Office, sign: str) -> None:
    """A number with any century sign is signed as it is sent: the "+" of the 1800s stays one, and is no space."""
    number = _number(f"010118{sign}", 903)
    guardian = replace(office.guardian(), identity=identity(number, NOW))

    office.register.leave(guardian, CLINIC, BACK, NOW)
    answer = office.register.about(guardian, office.number("onni"), CLINIC, NOW)

    assert [found.barred for found in answer.ties] == ["no_custody"]
    assert unquote(office.asked[0]).split("?")[0].endswith(f"/{number.value}")
    assert " " not in unquote(office.asked[0])
    assert "+" not in office.asked[0]


@given(
    born=st.dates(date(1900, 1, 1), date(1999, 12, 31)),
    individual=st.integers(900, 999),
    sign=st.sampled_from("+-YXWVUABCDEF"),
)
def test_every_number(shared: Office, born: date, individual: int, sign: str) -> None:
    """Any number that there can be passes the register's check of the path as it was sent, and is kept nowhere."""
    century = {"+": 1800, **dict.fromkeys("ABCDEF", 2000)}.get(sign, 1900)
    day = f"{born:%d%m%y}"
    if date(century + born.year % 100, born.month, min(born.day, 28)) > date(2026, 1, 1) or day == "290200":
        return
    number = _number(f"{day}{sign}", individual)

    began = shared.register.hypa.register(number.value, NOW)

    assert shared.sim.sessions.get(began.session).guardian == number.value  # type: ignore[union-attr]
    assert not [url for url in vars(shared.register.hypa.http)["_known"] if number.value[:6] in url]
    assert number.value[:6] not in repr(shared.register)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give one for many examples."""
    with open_office(tmp_path_factory.mktemp("valtuudet"), StoppedClock(NOW)) as opened:
        yield opened


def test_nothing_is_kept_by_the_connection(office: Office) -> None:
    """The kept session remembers no address of a call: each holds a number or a session."""
    office.go()
    office.about()

    assert vars(office.register.hypa.http)["_known"] == {}


def test_no_number_in_the_log(office: Office) -> None:
    """What fails is logged without address, number, code or token; the privacy of every test here looks on."""
    office.lie("unregister_fails")

    with structlog.testing.capture_logs() as lines:
        office.go()

    (line,) = lines
    assert (line["event"], line["code"]) == ("register_session_left", "unreachable")
    assert "/service" not in repr(lines)
    assert (office.people["aino"].number or "") not in repr(lines)


# ---- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"address": "ftp://x.example"}, "https"),
        ({"address": "http://x.example"}, "https"),
        ({"address": "https://x.example/"}, "origin"),
        ({"address": "https://x.example/service"}, "origin"),
        ({"client_id": "a/b"}, "client_id"),
        ({"life": timedelta()}, "life"),
        ({"life": timedelta(seconds=600)}, "life"),
        ({"hosts": ("https://x.example",)}, "hosts"),
    ],
)
def test_mistakes(wish: dict[str, object], word: str) -> None:
    """What cannot work is said with its setting: an answer is not held longer than the register's own 599 s."""
    good = Settings(address="https://x.example", client_id="ed4b7ae7", api_key_file="a", oauth_password_file="b")

    assert mistakes(good) == ()
    assert any(word in one for one in mistakes(replace(good, **wish)))  # type: ignore[arg-type]


def test_key_files(office: Office, tmp_path: Path) -> None:
    """Key files that are missing, empty or unreadable are all said at once, with the register's table."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe")
    wrong = replace(
        office.settings,
        api_key_file=str(tmp_path / "none"),
        oauth_password_file=str(empty),
        rest_key_file=str(binary),
    )

    with pytest.raises(ConfigError) as stopped:
        make("hypa", wrong, office.http)

    assert {where for where, _ in stopped.value.mistakes} == {"registers.hypa"}
    assert [what.split()[0] for _, what in stopped.value.mistakes] == [
        "api_key_file",
        "oauth_password_file",
        "rest_key_file",
    ]


def test_origins(office: Office) -> None:
    """A form may lead to its page: to its own host, and to those that the operator names."""
    assert office.register.origins == (office.address,)
    assert office.set_up(hosts=("valtuudet.suomi.fi",)).origins[1:] == ("https://valtuudet.suomi.fi",)


def test_header_goes_with_every_service_call(office: Office) -> None:
    """A call without its checksum is refused: by the simulator, as by the register."""
    session = office.http()

    assert session.get(f"{office.address}/service/hpa/user/unregister/x", params={}).status_code == 401
    wrong = {HEADER: header("5a4db0c5", "another key", "/service/hpa/user/unregister/x", NOW)}
    assert session.get(f"{office.address}/service/hpa/user/unregister/x", params={}, headers=wrong).status_code == 401


def test_another_came_back(office: Office) -> None:
    """What somebody began is not finished by somebody else, though the browser has the answer."""
    away = office.leave("aino")

    with pytest.raises(Untrusted):
        office.back(away, choose(away.url, "onni"), person="jaana")
