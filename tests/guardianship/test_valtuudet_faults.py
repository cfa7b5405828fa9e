"""Suomi.fi e-Authorizations broken, hostile, replayed, slow: always one family of errors, and nobody acts on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from werkzeug.wrappers import Response

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Unreachable, Untrusted
from idbroker.guardianship._hypa.calls import Hypa
from idbroker.providers._http import kept_session
from idbroker.sandbox.valtuudet_lies import ANSWERS, BODIES, LIES
from tests.conftest import NOW
from tests.guardianship.valtuudet_register import CLINIC, Office, choose, open_office
from tests.sandbox.loopback import serve

# What each lie comes to; all others are Unreachable: it does not speak its protocol.
_COMES_TO: dict[str, type[ProviderError]] = {
    "nobody": Cancelled,
    "two": Untrusted,
    "stranger": Untrusted,
    "path_person": Untrusted,
    "unchosen": Untrusted,
    "other_person": Untrusted,
    "refused_code": Untrusted,
    "expired_session": Cancelled,
}


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give the register, and the simulator that it asks."""
    with open_office(tmp_path, clock) as opened:
        yield opened


def _after_choosing(office: Office, *lies: str) -> ProviderError:
    """Have it lie once the person has chosen; return what that comes to."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.lie(*lies)
    with pytest.raises(ProviderError) as stopped:
        office.back(away, reply)
    return stopped.value


@pytest.mark.parametrize("lie", sorted(ANSWERS["register"]))
def test_lies_at_the_beginning(office: Office, lie: str) -> None:
    """A session or user that could change an address or a header leads nobody anywhere."""
    office.lie(lie)

    with pytest.raises(Unreachable):
        office.leave()


@pytest.mark.parametrize(
    "lie",
    sorted(
        {lie for call in ("token", "delegate", "authorizationlist") for lie in ANSWERS[call]}
        - {"no_roles", "guardian_role"}
        | {"refused_code", "expired_session"}
    ),
)
def test_lies_about_the_choice(office: Office, lie: str) -> None:
    """Every other shape, somebody never chosen, somebody else's answer: one family, and nobody acts."""
    stopped = _after_choosing(office, lie)

    assert type(stopped) is _COMES_TO.get(lie, Unreachable)
    assert "valtuudet" in stopped.detail


def test_every_lie_is_told() -> None:
    """No lie of the simulator goes without a test here."""
    told = {lie for call in ANSWERS.values() for lie in call} | set(BODIES)
    others = {"skewed_clock", "redirecting", "expired_session", "refused_code", "unregister_fails"}

    assert told | others | {"sends_error", "sends_both"} == LIES


@pytest.mark.parametrize("lie", sorted(ANSWERS["rest"]))
def test_lies_without_a_page(office: Office, lie: str) -> None:
    """Neither a yes nor a no is no answer, however like one it looks."""
    office.lie(lie)

    with pytest.raises(Unreachable):
        office.about()


@pytest.mark.parametrize("lie", sorted({*BODIES, "redirecting"}))
def test_bodies(office: Office, lie: str) -> None:
    """A body that is huge, slow, deep, no JSON or another JSON, or a redirect, is Unreachable at every call."""
    office.lie(lie)
    with pytest.raises(Unreachable):
        office.leave()
    with pytest.raises(Unreachable):
        office.about()

    office.lie()
    assert type(_after_choosing(office, lie)) is Unreachable


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 500}, {"status": 418}])
def test_down(office: Office, fault: dict[str, object]) -> None:
    """While it is down nobody is sent there, nobody comes back, and it is not asked without a page."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.faults.set("valtuudet", fault)

    for call in (office.leave, office.about, lambda: office.back(away, reply)):
        with pytest.raises(Unreachable) as stopped:
            call()
        assert "HTTP" in stopped.value.detail


def test_slow(office: Office) -> None:
    """Who waits for it waits for a bounded time."""
    office.faults.set("valtuudet", {"slow": 10})

    with pytest.raises(Unreachable) as stopped:
        office.about()
    assert "Timeout" in stopped.value.detail
    office.faults.clear()


def test_nobody_there(office: Office) -> None:
    """A server that is not there is Unreachable, and the words have no address."""
    register = office.set_up(address="http://127.0.0.1:9")

    with pytest.raises(Unreachable) as stopped:
        register.leave(office.guardian(), CLINIC, "http://127.0.0.1:9/x", NOW)
    assert stopped.value.detail == "valtuudet: no answer (ConnectTimeout)"
    assert stopped.value.__cause__ is None


# ---- clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-6, 6])
def test_clock_skew(office: Office, minutes: int) -> None:
    """Clocks more than five minutes apart: the log says so, and by how much, for nothing else would tell."""
    office.theirs.move(timedelta(minutes=minutes))

    with pytest.raises(Unreachable) as stopped:
        office.leave()
    assert f"our clock is {-60 * minutes:+d} s from the register's" in stopped.value.detail


@pytest.mark.parametrize("minutes", [-5, 5])
def test_clock_within(office: Office, minutes: int) -> None:
    """Five minutes are taken."""
    office.theirs.move(timedelta(minutes=minutes))

    assert office.leave().register == "valtuudet"


@pytest.mark.parametrize("said", ["Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 01 Jan 2026 00:00:00 +99999999999999", "x"])
def test_a_date_that_is_none(said: str) -> None:
    """The attack: a moment before the calendar, and whoever signs in meets a fault in the place of a sentence."""
    with (
        serve(lambda _: Response(b"", 500, headers={"Date": said})) as address,
        pytest.raises(Unreachable, match="HTTP 500"),
    ):
        Hypa(
            address=address,
            client_id="c",
            api_key="k",
            oauth_password="o",
            rest_key="r",
            http=kept_session(sandbox=True),
        ).allowed("131052-308T", "131052-308T", None, NOW)


def test_clock_skew_midway(office: Office) -> None:
    """Clocks that come apart while somebody chooses are no expired session: the operator is told, not the person."""
    stopped = _after_choosing(office, "skewed_clock")

    assert type(stopped) is Unreachable
    assert "our clock is -600 s" in stopped.detail


def test_wrong_key(office: Office) -> None:
    """A key that the register does not take is Unreachable, without a word of clocks that agree."""
    office.sim.api_key_file.write_text("another")
    register = office.set_up()

    with pytest.raises(Unreachable) as stopped:
        register.leave(office.guardian(), CLINIC, "http://127.0.0.1:9/x", NOW)
    assert stopped.value.detail == "valtuudet register: HTTP 401"


def test_wrong_password(office: Office) -> None:
    """A wrong OAuth password is ours to mend: it is no fault of the person's, and not told as one."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.sim.oauth_password_file.write_text("another")

    with pytest.raises(Unreachable) as stopped:
        office.set_up().returned(office.guardian(), CLINIC, away, reply, NOW)
    assert stopped.value.detail == "valtuudet token: HTTP 401"


# ---- replays, sessions, other people's ----------------------------------------------------------------


def test_code_twice(office: Office) -> None:
    """A code counts once (RFC 6749, 4.1.2): the same return again proves nothing."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.back(away, reply)

    with pytest.raises(Untrusted):
        office.back(away, reply)


def test_code_of_another_session(office: Office) -> None:
    """The attack: one's own code is planted in a victim's browser. Its token opens another session than theirs."""
    victim, attacker = office.leave("aino"), office.leave("leena")
    planted = choose(attacker.url, "eeli")

    with pytest.raises(Untrusted) as stopped:
        office.back(victim, planted, person="aino")
    assert stopped.value.detail == "valtuudet delegate: refused with HTTP 403"


def test_late_code(office: Office) -> None:
    """A code is worth something for 599 s."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.clock.move(timedelta(seconds=599))

    with pytest.raises(Untrusted):
        office.back(away, reply)


def test_expired_session(office: Office) -> None:
    """Who took longer than a session there lasts is asked again: 401 is no forgery and no outage."""
    away = office.leave()
    office.clock.move(timedelta(minutes=25))
    reply = choose(away.url, "onni")
    office.clock.move(timedelta(minutes=6))

    with pytest.raises(Cancelled) as stopped:
        office.back(away, reply)
    assert stopped.value.detail == "valtuudet delegate: the session there has expired"


@pytest.mark.parametrize(
    ("reply", "family"),
    [
        ({}, Untrusted),
        ({"code": ""}, Untrusted),
        ({"code": "x" * 1025}, Untrusted),
        ({"code": "never-given"}, Untrusted),
        ({"code": "a b&c=d/../\r\n"}, Untrusted),
        ({"error": "access_denied"}, Cancelled),
        ({"error": "something_new"}, Cancelled),
        ({"error": "access_denied", "code": "x"}, Cancelled),
        ({"error": "server_error"}, Unreachable),
        ({"error": "invalid_request"}, Unreachable),
    ],
)
def test_returns(office: Office, reply: dict[str, str], family: type[ProviderError]) -> None:
    """What a browser brings back is a code, a no, or the server's trouble; anything else proves nothing."""
    away = office.leave()

    with pytest.raises(ProviderError) as stopped:
        office.back(away, reply)
    assert type(stopped.value) is family


def test_server_trouble_at_the_page(office: Office) -> None:
    """An error that the register's own page sends is Unreachable; one beside a code is a no."""
    away = office.leave()
    office.lie("sends_error")
    with pytest.raises(Unreachable):
        office.back(away, choose(away.url, "onni"))

    office.lie("sends_both")
    with pytest.raises(Cancelled):
        office.back(away, choose(away.url, "onni"))


def test_unregister_hides_nothing(office: Office) -> None:
    """A session that cannot be ended is noted; what was said before counts all the same, a yes as a no."""
    office.lie("unregister_fails")

    with structlog.testing.capture_logs() as lines:
        assert [found.barred for found in office.go().ties] == [""]
        away = office.leave()
        with pytest.raises(Cancelled):
            office.back(away, choose(away.url, cancel="yes"))

    assert [line["event"] for line in lines] == ["register_session_left"] * 2


def test_no_roles_is_a_no(office: Office) -> None:
    """Nobody may act where no role is told: the tie says so, for the trail."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.lie("no_roles")

    assert [found.barred for found in office.back(away, reply).ties] == ["no_custody"]


def test_guardian_of_an_adult(office: Office) -> None:
    """A guardian appointed by a court is a mandate: the clinic's list says whether it takes those."""
    away = office.leave()
    reply = choose(away.url, "onni")
    office.lie("guardian_role")

    assert [(found.relation, found.powers) for found in office.back(away, reply).ties] == [("mandate", ("GUARDIAN",))]


def test_words_of_errors(office: Office) -> None:
    """No error's words hold a number, a name, a code or an address."""
    details = [_after_choosing(office, lie).detail for lie in ("stranger", "unchosen", "other_person", "refused_code")]

    for word in ("/", "?", "Onni", "Koehenkil", office.people["onni"].number or "", office.people["aino"].number or ""):
        assert word not in " ".join(details)
