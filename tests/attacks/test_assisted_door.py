"""Attacks on the ways in which staff sign patients in: at a tablet, and on the patient's own screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.staff.member import Role
from tests.office.staff_door import PASSWORD, SECRET, Screen, at, changed, open_screen
from tests.office_door import ISSUER, nonces_of, text_of


@pytest.fixture
def screen(tmp_path: Path, clock: StoppedClock) -> Iterator[Screen]:
    """Give a patient's own browser, at a clinic that has a tablet too."""
    with open_screen(tmp_path, clock) as opened:
        yield opened


# ---- on the patient's screen ---------------------------------------------------------------------


def test_guessed_here_is_guessed_there(screen: Screen) -> None:
    """Wrong passwords count as at the office's own door: this one is no second set of tries."""
    page = screen.at_staff()
    for _ in range(5):
        page = screen.press(page, login="dora", password="wrong")

    locked = screen.press(page, login="dora", password=PASSWORD)

    assert at(locked) == "staff"
    entrance, now = screen.clinic.house.offices.entrance, screen.clinic.clock.now()
    assert type(entrance.password("dora", PASSWORD, "203.0.113.1", now)).__name__ == "Locked"


def test_one_sentence_for_all(screen: Screen) -> None:
    """Nobody learns who works here: unknown, wrong, disabled and elsewhere are answered alike (ASVS 6.3.8)."""
    hashed = screen.clinic.house.rooms.counter.hasher.hash(PASSWORD)
    screen.clinic.hire("gone", password=hashed, app_secret=SECRET, disabled=True)
    screen.clinic.hire("away", password=hashed, app_secret=SECRET, roles={"clinea": Role.CARER})

    said = {text_of(screen.at_code(login, password).text).replace(login, "") for login, password in
            (("nobody", PASSWORD), ("dora", "wrong"), ("gone", PASSWORD), ("away", PASSWORD))}  # fmt: skip

    assert len(said) == 1


def test_a_password_alone_opens_nothing(screen: Screen) -> None:
    """The code is always asked, whatever is posted: what page it is our own state says."""
    page = screen.at_code()
    number = screen.clinic.number("bjorn").value

    for fields in ({"number": number}, {"do": "yes"}, {"code": "000000", "number": number, "do": "yes"}):
        after = screen.press(page, **fields)
        assert at(after) == "staffcode"
    assert screen.clinic.told() == []


def test_a_code_once(screen: Screen) -> None:
    """A code that was watched over a shoulder is spent."""
    assert at(screen.at_who()) == "assistedwho"
    other = Screen(screen.clinic)

    assert at(other.press(other.at_code(), code=screen.code)) == "staffcode"


@pytest.mark.parametrize(
    "what", [{"disabled": True}, {"roles": {"clinea": Role.CARER}}], ids=["disabled", "no role here"]
)
def test_dismissed_meanwhile(screen: Screen, what: dict[str, Any]) -> None:
    """Somebody who was dismissed between the password and the yes signs nobody in."""
    page = screen.at_give()
    changed(screen.clinic, **what)

    assert at(screen.press(page, do="yes")) == "staff"
    assert screen.clinic.session(screen.browser) is None


def test_a_form_sent_again(screen: Screen) -> None:
    """The form of a sign-in that is over, sent again, leads nowhere but to what came of it; not after its end."""
    page = screen.at_give()
    screen.press(page, do="yes")
    session = screen.clinic.session(screen.browser)
    assert session is not None
    screen.clinic.house.signout.end_one(session.person, session.key)

    screen.press(page, do="yes")

    assert screen.clinic.session(screen.browser) is None
    assert screen.clinic.told() == ["begun", "accepted"]


# ---- at the tablet -------------------------------------------------------------------------------


def test_no_cookie_planted_beforehand(screen: Screen) -> None:
    """Session fixation: whoever planted the tablet's cookies before knows neither of those that count afterwards."""
    clinic, tablet = screen.clinic, screen.clinic.tablet()
    host = urlsplit(ISSUER).netloc
    for name in ("__Host-s", "__Host-p"):
        tablet.set_cookie(name, "planted", domain=host, secure=True)
    thief = clinic.tablet(ip="203.0.113.5")
    thief.set_cookie("__Host-p", "planted", domain=host, secure=True)

    code, _ = clinic.code(clinic.client(), clinic.patient())
    page = clinic.typed(tablet, code)
    pairing = str(tablet.get_cookie("__Host-p", domain=host)).split("=")[1].split(".")[0]
    thief.set_cookie("__Host-p", f"{pairing}.planted", domain=host, secure=True)

    assert thief.get("/tablet/give").headers["Location"] == "/tablet"
    tablet.post("/tablet/give", data={"_n": nonces_of(page.text)[0], "do": "yes"})
    cookie = tablet.get_cookie("__Host-s", domain=host)
    assert cookie is not None
    assert cookie.value != "planted"
    assert clinic.session(tablet) is not None


def test_no_form_of_another_page(screen: Screen) -> None:
    """CSRF: a form without the value that only this tablet was given takes no code, and says no yes."""
    clinic, tablet = screen.clinic, screen.clinic.tablet()
    code, _ = clinic.code(clinic.client(), clinic.patient())
    tablet.get("/tablet")

    assert tablet.post("/tablet", data={"_n": "x.y", "code": code}).headers["Location"] == "/tablet"
    clinic.typed(tablet, code)
    tablet.post("/tablet/give", data={"do": "yes"})
    assert clinic.session(tablet) is None


def test_yes_after_the_end(screen: Screen) -> None:
    """The tab of the patient before: its yes, sent again after the end, signs nobody in."""
    clinic, tablet = screen.clinic, screen.clinic.tablet()
    code, page = clinic.code(clinic.client(), clinic.patient())
    nonce = nonces_of(clinic.typed(tablet, code).text)[0]
    tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"})
    clinic.post(clinic.client(), page)

    again = tablet.post("/tablet/give", data={"_n": nonce, "do": "yes"})

    assert again.headers["Location"] == "/tablet?e=over"
    assert "/t/" in clinic.authorize(tablet).headers["Location"]


def test_typed_far_away(screen: Screen) -> None:
    """A code read out to a thief: they see a name and a year, the colleague sees them at once, and ends it."""
    clinic, thief = screen.clinic, screen.clinic.tablet(ip="203.0.113.66")
    code, page = clinic.code(clinic.client(), clinic.patient())

    seen = text_of(clinic.typed(thief, code).text)
    told = clinic.state(page)
    clinic.post(clinic.client(), page)
    answer = thief.get("/tablet/give")

    assert clinic.number("bjorn").display not in seen
    assert "203.0.113.66" in told
    assert answer.headers["Location"] == "/tablet"


def test_the_client_closed_meanwhile(screen: Screen) -> None:
    """A sign-on by staff at a service that was switched off since opens it no more."""
    clinic = screen.clinic
    tablet, _ = clinic.begun()
    portal = clinic.site.clients.find("portal")
    assert portal is not None
    vars(clinic.house.clients)["_configured"]["portal"] = _never(portal)

    assert "/t/" in clinic.authorize(tablet).headers["Location"]


def _never(client: Any) -> Any:
    return type(client)(
        **{**{name: getattr(client, name) for name in client.__dataclass_fields__}, "assisted": "never"}
    )
