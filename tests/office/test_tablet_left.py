"""A colleague who works there no more: what they have begun for patients ends with that, at the services too."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.backchannel import LEASE
from idbroker.clock import StoppedClock
from idbroker.patients.assisting import LIFE
from idbroker.staff.member import Role
from idbroker.staff.roster import OPERATOR, Roster
from tests.door import SECRET
from tests.office.helping_house import Clinic, open_clinic

End = Callable[[Roster, str, Clinic], object]
BY_BASIC = {"Authorization": "Basic " + base64.b64encode(f"portal:{SECRET}".encode()).decode()}
ENDS: dict[str, End] = {
    "disabled": lambda roster, staff, clinic: roster.end(staff, OPERATOR, clinic.clock.now()),
    "removed": lambda roster, staff, clinic: roster.remove(staff, OPERATOR, clinic.clock.now()),
    "reset": lambda roster, staff, clinic: roster.reset(staff, OPERATOR, clinic.clock.now()),
    "role": lambda roster, staff, clinic: roster.role(staff, "neuroreg", None, OPERATOR, clinic.clock.now()),
    "administrator": lambda roster, staff, clinic: roster.end(staff, clinic.actor("cecilia"), clinic.clock.now()),
    "subject": lambda roster, staff, clinic: roster.subject(staff, "https://sso.test\nx", OPERATOR, clinic.clock.now()),
}


@pytest.fixture
def clinic(tmp_path: Path, clock: StoppedClock) -> Iterator[Clinic]:
    """Give a clinic with a tablet."""
    with open_clinic(tmp_path, clock) as opened:
        yield opened


def refreshed(clinic: Clinic, token: str) -> int:
    """Use a refresh token as the service would; return the status."""
    fields = {"grant_type": "refresh_token", "refresh_token": token}
    return clinic.browser().post("/token", data=fields, headers=BY_BASIC).status_code


def looked_up(clinic: Clinic, token: str) -> int:
    """Ask who an access token is about; return the status."""
    return clinic.browser().get("/userinfo", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.parametrize("how", ENDS)
def test_what_they_began_ends(clinic: Clinic, how: str) -> None:
    """The attack: who is dismissed goes on as a patient whom they have signed in on a device of their own."""
    tablet, _ = clinic.begun()
    tokens = clinic.redeemed(tablet)
    assert looked_up(clinic, tokens["access_token"]) == 200

    ENDS[how](clinic.house.offices.roster, clinic.member().id, clinic)

    assert looked_up(clinic, tokens["access_token"]) == 401
    assert "refresh_token" not in tokens or refreshed(clinic, tokens["refresh_token"]) == 400
    assert clinic.session(tablet) is None
    told = clinic.house.durable.logout_notices.due(clinic.clock.now(), LEASE, 10, each=10)
    assert [one.client_id for one in told] == ["portal"]
    assert clinic.told() == ["begun", "accepted", "ended"]


@pytest.mark.parametrize(
    "change",
    [
        lambda roster, staff, clinic: roster.role(staff, "clinea", None, OPERATOR, clinic.clock.now()),
        lambda roster, staff, clinic: roster.role(staff, "neuroreg", Role.APPROVER, OPERATOR, clinic.clock.now()),
    ],
    ids=["elsewhere", "another role"],
)
def test_what_they_may_still_do_goes_on(clinic: Clinic, change: End) -> None:
    """Who leaves another clinic, or may more here than before, has left no patient alone."""
    tablet, _ = clinic.begun()
    change(clinic.house.offices.roster, clinic.member().id, clinic)
    assert clinic.session(tablet) is not None


def test_nobody_elses_help_ends(clinic: Clinic) -> None:
    """A colleague of theirs helps the next patient, and goes on."""
    tablet, _ = clinic.begun()
    clinic.house.offices.roster.end(clinic.member("bo").id, OPERATOR, clinic.clock.now())
    assert clinic.session(tablet) is not None


def test_it_is_forgotten_by_itself(clinic: Clinic) -> None:
    """Whom they helped is known for as long as it runs, and no longer."""
    clinic.begun()
    helped, anna = clinic.house.offices.assisting.helped, clinic.member().id
    (person,) = helped.of(anna)
    now = clinic.clock.now() + LIFE
    clinic.clock.move(LIFE)
    helped.note(anna, "another", now, now + timedelta(minutes=1))
    assert person not in helped.of(anna)
    clinic.clock.move(timedelta(minutes=2))
    assert helped.of(anna) == ()
