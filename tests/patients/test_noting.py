"""Who may act for whom, as clinics note it, at the door: what it opens, and that its end ends what runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.accounts.account import Enrolment, Standing
from idbroker.client import API_SCOPES
from idbroker.clock import StoppedClock
from idbroker.errors import NotAllowed
from idbroker.guardianship.delegation import Delegation
from idbroker.guardianship.records import Guardianship
from idbroker.patients.noting import ENDINGS, Noted, Said, WhyNot
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.door import SECRET, claims_of
from tests.guardianship.acting_house import ALONE, ActingHouse, Ward, open_acting_house

PORTAL = "https://portal.test/logout"
TAKEN: list[dict[str, Any]] = []  # what the portal heard
PATIENCE = 10.0
WIDE = "openid profile offline_access acting_for"
CLIENTS: dict[str, dict[str, Any]] = {
    "journal": {**ALONE, "api": list(API_SCOPES), "redirect_uris": [], "post_logout_redirect_uris": []}
}
BO = Actor(id="b" * 32, clinic="clinea", role=Role.APPROVER)
CECILIA = Actor(id="c" * 32, clinic="clinea", role=Role.ADMINISTRATOR)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all, whose portal hears of logouts."""
    folder, client = tmp_path_factory.mktemp("noting"), {"backchannel_logout_uri": PORTAL}
    with open_acting_house(
        folder, StoppedClock(NOW), client=client, clients=CLIENTS, clinic={"mandates": ["VISIT"]}
    ) as house:
        vars(house.house.backchannel)["post"] = _posted
        yield house


def _posted(address: str, form: dict[str, str]) -> int:
    """Take a logout token as the portal does."""
    assert address == PORTAL
    TAKEN.append(claims_of(form["logout_token"]))
    return 200


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def handle(house: ActingHouse, ward: Ward) -> str:
    """Return what the clinic knows a child by."""
    found = house.records.enrolments.find(ward.person, "clinea")
    assert found is not None
    return found.handle


def held(house: ActingHouse, ward: Ward) -> tuple[Guardianship, ...]:
    """Return who may act for a child."""
    return house.house.durable.guardianships.of_ward(ward.person)


def called(house: ActingHouse, method: str, path: str, body: object = None) -> requests.Response:
    """Call the API as the clinic's own program."""
    got = house.post("/token", {"grant_type": "client_credentials"}, auth=("journal", SECRET)).json()
    headers = {"Authorization": f"Bearer {got['access_token']}"}
    return requests.request(method, f"{house.issuer}/api/v1{path}", json=body, headers=headers, timeout=10)


def told(house: ActingHouse, ward: Ward) -> list[str]:
    """Return the sid of each logout of a ward that the portal hears of; the courier may be about to tell by itself."""
    until, sub = time.monotonic() + PATIENCE, house.sub(ward.person)
    while not (found := [one["sid"] for one in TAKEN if one["sub"] == sub]) and time.monotonic() < until:
        house.house.backchannel.deliver(house.clock.now())
        threading.Event().wait(0.01)
    return found


def over(house: ActingHouse, tokens: dict[str, Any]) -> bool:
    """Tell whether nothing of a sign-in works any more: userinfo, and the refresh token."""
    refreshed = house.refresh(tokens["refresh_token"])
    dead = refreshed.status_code == 400 and refreshed.json()["error"] == "invalid_grant"
    return dead and house.userinfo(tokens["access_token"]).status_code == 401


def number(house: ActingHouse, who: str) -> dict[str, str]:
    """Return one of the cast's numbers, as programs send it."""
    return {"country": "DK", "value": (house.people[who].number or "").replace("-", "")}


# ---- custody --------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_custody_ends_what_runs_at_once(house: ActingHouse, named: bool) -> None:
    """A change of custody: userinfo 401, refresh invalid_grant, and the client hears of that sid and the ward's sub."""
    ward = house.ward(301 + named)
    house.note(ward, "ludvig")
    tokens = house.acts(scope=WIDE)
    sid = claims_of(tokens["id_token"])["sid"]
    body = {"on": house.today.isoformat(), **({"guardian": number(house, "anna")} if named else {})}
    answer = called(house, "POST", f"/patients/{handle(house, ward)}/custody", body)

    assert (answer.status_code, answer.json()["ended"]) == (200, True)
    assert over(house, tokens)
    assert told(house, ward) == [sid]
    assert [row.guardian for row in held(house, ward)] == ([house.guardian("ludvig")] if named else [])
    ended = house.events("acting.ended", ward.person)
    assert {one.detail["why"] for one in ended} == {"custody"}
    assert house.events("guardianship.ended", ward.person)[0].detail["by"] == "client:journal"


def test_the_guardian_stays_for_themselves(house: ActingHouse) -> None:
    """What ends is for the ward: the guardian's own tokens, of the same sign-on, go on."""
    ward, browser = house.ward(303), house.browser()
    own = house.acts(browser, who="self", scope=WIDE)
    page = browser.authorize(acting_for="ask", scope=WIDE)
    tokens = house.tokens(browser.press(page, who="0"))
    called(house, "POST", f"/patients/{handle(house, ward)}/custody", {"on": house.today.isoformat()})

    assert over(house, tokens)
    assert house.lives(own)


def test_another_guardians_right_ends_nothing_of_hers(house: ActingHouse) -> None:
    """Named is who has lost custody: everybody else acts on; a number that is nobody's ends nothing."""
    ward = house.ward(304)
    house.note(ward, "ludvig")
    tokens, at = house.acts(scope=WIDE), f"/patients/{handle(house, ward)}/custody"
    on = {"on": house.today.isoformat()}

    assert called(house, "POST", at, {**on, "guardian": number(house, "ludvig")}).json()["ended"] is True
    nobody = {"country": "DK", "value": "6201800099"}
    assert called(house, "POST", at, {**on, "guardian": nobody}).json()["ended"] is False
    assert house.lives(tokens)
    assert [row.guardian for row in held(house, ward)] == [house.guardian("anna")]


# ---- noted and ended by programs ------------------------------------------------------------------


def test_noted_and_ended_by_a_program(house: ActingHouse) -> None:
    """POST notes, and opens; GET tells; DELETE ends what runs; each again is harmless (RFC 9110, 9.2.2)."""
    ward = house.child(305)
    at = f"/patients/{handle(house, ward)}/guardians"
    anna = number(house, "anna")
    body = {"number": anna, "relation": "custody"}
    made = called(house, "POST", at, body)
    assert made.status_code == 201
    assert called(house, "POST", at, body).status_code == 200

    tokens = house.acts(scope=WIDE)
    assert claims_of(tokens["id_token"])["sub"] == house.sub(ward.person)
    shown = called(house, "GET", at).json()["guardians"]
    grown = ward.born.replace(year=ward.born.year + 13)
    assert [(one["id"], one["relation"], one["limit_on"]) for one in shown] == [
        (made.json()["id"], "custody", grown.isoformat())
    ]
    assert shown[0]["number"]["value"] == anna["value"]
    assert shown[0]["name"] is None

    ended = [called(house, "DELETE", f"{at}/{made.json()['id']}").status_code for _ in range(2)]
    assert ended == [204, 404]
    assert over(house, tokens)
    assert called(house, "GET", at).json() == {"guardians": []}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"number": "own"}, 409, "guardian_self"),
        ({"number": {"country": "DK", "value": "6101104005"}}, 409, "guardian_age"),
        ({"until": "2026-01-01"}, 409, "until_past"),
        ({"relation": "Custody!"}, 422, "invalid"),
        ({"powers": ["<script>"]}, 422, "invalid"),
        ({"relation": "mandate", "powers": ["ALL"]}, 409, "mandate_not_taken"),
        ({"relation": "mandate", "powers": []}, 409, "mandate_no_powers"),
        ({"relation": "mandate"}, 409, "mandate_no_powers"),
        ({"powers": [f"p{one}" for one in range(21)]}, 422, "invalid"),
        ({"number": {"country": "DK", "value": "9999999999"}}, 422, "invalid"),
    ],
)
def test_what_is_refused(house: ActingHouse, changed: dict[str, Any], status: int, code: str) -> None:
    """Each refusal has its own code, tells nothing of what was sent, and notes nothing."""
    ward = house.child(306)
    sent = {"number": number(house, "anna"), "relation": "custody", **changed}
    sent["number"] = {"country": "DK", "value": ward.number.value} if sent["number"] == "own" else sent["number"]
    answer = called(house, "POST", f"/patients/{handle(house, ward)}/guardians", sent)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert held(house, ward) == ()


@pytest.mark.parametrize("age", [13, 44])
def test_nobody_is_noted_for_who_is_grown(house: ActingHouse, age: int) -> None:
    """From the birthday on nobody has custody of them; a power of attorney may be noted."""
    ward = house.child(307, age)
    at, note = handle(house, ward), house.house.offices.noting.note
    now, guardian = house.clock.now(), house.guardian("ludvig")

    assert note(BO, at, guardian, Said(), now) is WhyNot.GROWN
    assert called(house, "POST", f"/patients/{at}/guardians",
                  {"number": number(house, "ludvig"), "relation": "custody"}).json()["code"] == "ward_age"  # fmt: skip
    mandate = {"number": number(house, "ludvig"), "relation": "mandate", "powers": ["VISIT"]}
    assert called(house, "POST", f"/patients/{at}/guardians", mandate).status_code == 201


def test_a_carer_notes_and_ends_nothing(house: ActingHouse) -> None:
    """Approvers do, and administrators: a carer sees."""
    ward = house.ward(308)
    carer = Actor(id="a" * 32, clinic="clinea", role=Role.CARER)
    noting, at, now = house.house.offices.noting, handle(house, ward), house.clock.now()

    assert len(noting.of(carer, at, now)) == 1
    for act in (
        lambda: noting.note(carer, at, house.guardian("ludvig"), Said(), now),
        lambda: noting.end(carer, at, held(house, ward)[0].id, ENDINGS[0], now),
    ):
        with pytest.raises(NotAllowed):
            act()


# ---- approvals and deaths -------------------------------------------------------------------------


def asked(house: ActingHouse, ward: Ward) -> None:
    """Have anna ask to register a child."""

    def ask(before: Enrolment | None) -> Enrolment:
        assert before is not None
        return Enrolment(
            person=ward.person,
            clinic="clinea",
            standing=Standing.ASKED,
            asked_at=house.clock.now(),
            guardian=house.guardian(),
            handle=before.handle,
            entry=before.entry,
        )

    assert house.records.enrolments.change(ward.person, "clinea", ask) is not None


def test_an_approval_lets_the_guardian_act(house: ActingHouse) -> None:
    """Who was approved with a child's registration is in the local register, by the approver, and acts; once."""
    ward = house.child(309)
    asked(house, ward)
    queue, now = house.house.offices.queue, house.clock.now()
    for _ in range(2):
        queue.approve(BO, handle(house, ward), now)

    (row,) = held(house, ward)
    assert (row.guardian, row.basis, row.by) == (house.guardian(), "clinic", BO.id)
    assert row.limit_on == ward.born.replace(year=ward.born.year + 13)
    assert claims_of(house.acts(scope=WIDE)["id_token"])["sub"] == house.sub(ward.person)
    assert len(house.events("guardianship.noted", ward.person)) == 1


def test_a_decline_leaves_who_was_noted_before(house: ActingHouse) -> None:
    """The attack: a stranger claims a child, is declined, and the real guardian's right is gone with that."""
    ward = house.child(310)
    house.note(ward, "ludvig")
    asked(house, ward)
    house.house.offices.queue.decline(BO, handle(house, ward), "not theirs", house.clock.now())

    assert [row.guardian for row in held(house, ward)] == [house.guardian("ludvig")]


def test_the_end_of_an_approved_guardian_is_the_approvals(house: ActingHouse) -> None:
    """Ended on the page, the approval of that guardian ends too: the child's password that they chose opens nothing."""
    ward = house.child(311)
    asked(house, ward)
    queue, at, now = house.house.offices.queue, handle(house, ward), house.clock.now()
    queue.approve(BO, at, now)
    house.house.offices.noting.end(BO, at, held(house, ward)[0].id, "custody", now)

    kept = house.records.enrolments.find(ward.person, "clinea")
    assert kept is not None
    assert (kept.guardian, kept.standing, held(house, ward)) == (None, Standing.APPROVED, ())


@pytest.mark.parametrize("own", [True, False])
def test_who_waits_when_custody_ends_is_answered(house: ActingHouse, own: bool) -> None:
    """The attack: a parent has asked, loses custody, and a colleague who knows nothing of that approves."""
    ward = house.child(316 + own)
    if not own:
        house.enrol(ward, by="guardian")
    asked(house, ward)
    at = handle(house, ward)
    called(house, "POST", f"/patients/{at}/custody", {"on": house.today.isoformat()})

    kept = house.records.enrolments.find(ward.person, "clinea")
    assert kept is not None
    assert kept.standing is (Standing.KNOWN if own else Standing.DECLINED)
    assert kept.guardian == (None if own else house.guardian())
    assert kept.handle not in {one.patient.handle for one in house.house.offices.queue.waiting(BO)}


@pytest.mark.parametrize("dead", ["ward", "guardian"])
def test_a_death_ends_all_of_it(house: ActingHouse, dead: str) -> None:
    """Nobody acts for the dead, and the dead act for nobody, at this clinic, at once; whatever register said so."""
    ward = house.ward(312 if dead == "ward" else 313)
    tokens = house.acts(scope=WIDE)
    if dead == "guardian":
        _enrol_anna(house)
    person = ward.person if dead == "ward" else house.guardian()
    found = house.records.enrolments.find(person, "clinea")
    assert found is not None
    body = {"on": house.today.isoformat()}
    assert called(house, "POST", f"/patients/{found.handle}/death", body).status_code == 200

    assert over(house, tokens)
    assert held(house, ward) == ()
    assert {one.detail["why"] for one in house.events("guardianship.ended", ward.person)} == {"deceased"}


def _enrol_anna(house: ActingHouse) -> None:
    anna = Ward(person=house.guardian(), number=house.child(999).number, born=house.people["anna"].born)
    house.enrol(anna)


def test_what_other_registers_said_ends_with_a_guardians_death(house: ActingHouse) -> None:
    """A delegation on another register's word is found by the guardian: no note of the clinic's leads to it."""
    ward, now = house.child(314), house.clock.now()
    one = Delegation(
        grant="no-such-grant",
        session="s",
        client="portal",
        clinic="clinea",
        sid="sid-1",
        guardian=house.guardian("ludvig"),
        ward=ward.person,
        register="folk",
        check_at=now + timedelta(hours=1),
        until=now + timedelta(hours=2),
    )
    house.house.durable.delegations.add(one)
    house.house.offices.noting.died(CECILIA, house.guardian("ludvig"), now)

    assert house.house.durable.delegations.of_ward(ward.person) == ()
    assert told(house, ward) == ["sid-1"]


def test_noted_by_many_at_once(house: ActingHouse) -> None:
    """Of two colleagues who note the same guardian one does; the other is told that it was there. One event."""
    ward = house.child(315)
    guardian, now, note = house.guardian("ludvig"), house.clock.now(), house.house.offices.noting.note
    first, second = (note(BO, handle(house, ward), guardian, Said(), now) for _ in range(2))

    assert isinstance(first, Noted)
    assert isinstance(second, Noted)
    assert (first.first, second.first, first.row) == (True, False, second.row)
    assert len(house.events("guardianship.noted", ward.person)) == 1
