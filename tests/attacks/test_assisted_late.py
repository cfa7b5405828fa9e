"""Attacks by a colleague who leaves between the patient's yes and the sign-on that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.codec import Codec
from idbroker.errors import NotFound
from idbroker.identity import Assisted
from idbroker.patients.pairing import Begun
from idbroker.signon import Signon
from idbroker.staff.roster import OPERATOR
from tests.office.helping_house import Clinic
from tests.office.staff_door import Screen, open_screen

SERVICE = {"clinic": "neuroreg", "assisted": "role", "initiate_login_uri": "https://portal.test/start"}


@pytest.fixture
def screen(tmp_path: Path, clock: StoppedClock) -> Iterator[Screen]:
    """Give a patient's own browser, at a service that asks for consent after the yes."""
    with open_screen(tmp_path, clock, client={**SERVICE, "consent": "ask"}) as opened:
        yield opened


def dismissed(clinic: Clinic) -> None:
    """Disable Dora."""
    clinic.house.offices.roster.end(clinic.member("dora").id, OPERATOR, clinic.clock.now())


def reset(clinic: Clinic) -> None:
    """End her password and factors: somebody else had them."""
    clinic.house.offices.roster.reset(clinic.member("dora").id, OPERATOR, clinic.clock.now(), send=False)


def renamed(clinic: Clinic) -> None:
    """Write down another name that the organisation has for her."""
    clinic.house.offices.roster.subject(clinic.member("dora").id, "https://op.test\nd", OPERATOR, clinic.clock.now())


def outside(clinic: Clinic) -> None:
    """Take her role at this clinic."""
    clinic.house.offices.roster.role(clinic.member("dora").id, "neuroreg", None, OPERATOR, clinic.clock.now())


ENDS = (dismissed, reset, renamed, outside)


@pytest.mark.parametrize("end", ENDS)
def test_the_page_after_the_yes_is_kept_open(screen: Screen, end: Callable[[Clinic], None]) -> None:
    """The attack: yes, then dismissed, and minutes later the page that waited: no code, no sign-on, nothing granted."""
    clinic = screen.clinic
    page = screen.press(screen.at_give(), do="yes")
    end(clinic)
    clinic.clock.move(timedelta(minutes=14))

    answer = screen.press(page, do="yes")

    assert "error=access_denied" in answer.headers["Location"]
    assert "code=" not in answer.headers["Location"]
    assert clinic.session(screen.browser) is None
    assert clinic.events("signin.granted") == []


def test_dismissed_in_the_moment_of_the_grant(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race: she may still when it is asked, and is gone before the sign-on is there; it ends as it begins."""
    clinic, keep = screen.clinic, Signon.keep
    page = screen.press(screen.at_give(), do="yes")

    def gone_meanwhile(self: Signon, *given: Any) -> None:
        dismissed(clinic)
        keep(self, *given)

    monkeypatch.setattr(Signon, "keep", gone_meanwhile)
    screen.press(page, do="yes")

    assert clinic.session(screen.browser) is None
    assert [event.kind for event in clinic.events("session.ended")] == ["session.ended"]


@pytest.mark.parametrize("end", ENDS)
def test_a_pairing_from_before(screen: Screen, end: Callable[[Clinic], None]) -> None:
    """A tablet that took the code of a colleague who was dismissed, or reset, since: its yes begins nothing."""
    clinic, now = screen.clinic, screen.clinic.clock.now()
    assisting, entrance = clinic.house.offices.assisting, clinic.house.offices.entrance
    dora = entrance.actor(clinic.member("dora"), "neuroreg")
    assert dora is not None
    begun = assisting.begin(dora, clinic.patient().handle, "portal", "passport", "unwell", now)
    assert isinstance(begun, Begun)
    assert assisting.claim(begun.code, "t", now) is not None
    end(clinic)

    with pytest.raises(NotFound):
        assisting.accept(begun.pairing.id, "t", now)


def test_what_an_older_version_kept_still_reads() -> None:
    """A sign-on from before an update says nothing of the colleague's epoch, and is read all the same."""
    kept = Codec(Assisted).unpack(b'{"staff":"s","role":"carer","clinic":"c","client":"p","pairing":"","screen":true}')

    assert kept == Assisted(staff="s", role="carer", clinic="c", client="p", screen=True)
