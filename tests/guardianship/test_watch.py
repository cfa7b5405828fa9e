"""What acts for a ward is judged again while it runs: a register's no reaches running sessions within a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Standing
from idbroker.clock import StoppedClock
from idbroker.guardianship.delegation import Delegation
from idbroker.guardianship.watch import GRACE, LEASE, MOST, OWN_AGAIN, SOON
from tests.door import claims_of
from tests.guardianship.acting_house import ActingHouse, Ward, open_acting_house

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
WITHIN = timedelta(seconds=55)  # and five seconds until a worker looks


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[ActingHouse]:
    """Give a clinic, its own register and one of the test's."""
    with open_acting_house(tmp_path, clock, client={"refresh": "rotate"}) as opened:
        yield opened


def told_of(house: ActingHouse, life: timedelta = 30 * SECOND) -> Ward:
    """Return a child that only the test's register knows, whose word is good for so long."""
    ward = house.child(3)
    house.folk.life = life
    house.folk.ties[house.guardian()] = (ward.tie(),)
    return ward


def watched(house: ActingHouse, after: timedelta = timedelta()) -> int:
    """Let time go by, and have a worker look; return how many go on."""
    house.clock.move(after)
    return house.house.wards.watch.deliver(house.clock.now())


def ends(house: ActingHouse) -> list[tuple[str, str]]:
    """Return why anything ended."""
    return [(event.detail["why"], event.detail.get("reason", "")) for event in house.events("acting.ended")]


def running(house: ActingHouse) -> tuple[Delegation, ...]:
    """Return what anna acts by."""
    return house.house.durable.delegations.of_guardian(house.guardian())


# ---- a register changes its mind -----------------------------------------------------------------


def test_a_right_that_is_gone_ends_within_a_minute(house: ActingHouse) -> None:
    """Custody ends in a register: a minute later neither the access token nor the refresh token is any good."""
    told_of(house)
    tokens = house.acts(scope="openid offline_access")
    house.folk.ties.clear()

    assert watched(house, WITHIN) == 0
    assert not house.lives(tokens)
    assert house.refresh(tokens["refresh_token"]).status_code == 400
    assert ends(house) == [("register", "no_relation")]
    assert running(house) == ()


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"barred": "care_order"}, "care_order"), ({"deceased": True}, "deceased"), ({"protected": True}, "protected")],
)
def test_what_a_register_says_against_it(house: ActingHouse, said: dict[str, object], reason: str) -> None:
    """A care order, a death, a protected address: each ends what runs, with its reason in the ward's trail alone."""
    ward = told_of(house)
    tokens = house.acts()
    house.folk.ties[house.guardian()] = (ward.tie(**said),)
    watched(house, WITHIN)

    assert not house.lives(tokens)
    (event,) = house.events("acting.ended")
    assert (event.person, event.detail["reason"]) == (ward.person, reason)


def test_another_register_bars(house: ActingHouse) -> None:
    """A clinic's own note is no answer to a register that bars: that outweighs it while it runs, too."""
    ward = house.ward(4)
    tokens = house.acts()
    house.folk.ties[house.guardian()] = (ward.tie(barred="care_order"),)
    watched(house, WITHIN)

    assert (house.lives(tokens), ends(house)) == (False, [("register", "care_order")])


def test_it_goes_on(house: ActingHouse) -> None:
    """What still holds goes on, and its register is asked once for each life of its word."""
    told_of(house, life=30 * SECOND)
    tokens = house.acts()
    asked = len(house.folk.asked)
    for _ in range(6):
        assert watched(house, 31 * SECOND) == 1
        assert watched(house, SECOND) == 0  # not due

    assert len(house.folk.asked) == asked + 6
    assert house.lives(tokens)


def test_a_word_is_kept_for_its_life(house: ActingHouse) -> None:
    """A register that states ten minutes is not asked before: how soon a change is seen is its operator's choice."""
    told_of(house, life=10 * MINUTE)
    house.acts()
    asked = len(house.folk.asked)
    assert watched(house, 9 * MINUTE) == 0
    assert len(house.folk.asked) == asked
    assert watched(house, MINUTE) == 1
    assert len(house.folk.asked) == asked + 1


def test_the_clinics_own_note_is_looked_at_again(house: ActingHouse) -> None:
    """A note that ended in the very moment of a sign-in is found by the second look, within a minute."""
    ward = house.ward(4)
    tokens = house.acts()
    assert house.house.durable.guardianships.end("clinea", ward.person, house.clock.now(), "custody") == 1

    assert watched(house, WITHIN) == 0
    assert not house.lives(tokens)


def test_no_longer_a_patient(house: ActingHouse) -> None:
    """Nobody acts for whom the clinic has since declined; the rules are those of this moment."""
    ward = house.ward(4)
    tokens = house.acts()
    enrolments = house.records.enrolments
    settings = house.house.settings.clinics.by_id["clinea"]
    object.__setattr__(settings, "registration", "off")
    enrolments.change(ward.person, "clinea", lambda one: replace(one, standing=Standing.DECLINED) if one else None)
    watched(house, WITHIN)

    assert (house.lives(tokens), ends(house)) == (False, [("register", "not_a_patient")])


def test_the_service_takes_no_guardians_any_more(house: ActingHouse) -> None:
    """A service that was set to `never`, or disabled, has nobody acting at it a minute later."""
    house.ward(4)
    tokens = house.acts()
    client = house.house.clients.find("portal")
    object.__setattr__(client, "acting", "never")
    watched(house, WITHIN)

    assert (house.lives(tokens), ends(house)) == (False, [("service", "not_offered")])


# ---- a register does not answer ------------------------------------------------------------------


def test_a_short_break_throws_nobody_out(house: ActingHouse) -> None:
    """A register that is down is waited for: the visit goes on, and when it is back nothing has happened."""
    told_of(house)
    tokens = house.acts(scope="openid offline_access")
    house.folk.down = True
    for _ in range(5):
        watched(house, MINUTE)
    house.folk.down = False
    watched(house, MINUTE)

    assert (len(running(house)), ends(house)) == (1, [])
    assert house.refresh(tokens["refresh_token"]).status_code == 200


def test_a_long_one_ends_it(house: ActingHouse) -> None:
    """A quarter of an hour after its word ran out, what nobody vouches for is over."""
    told_of(house, life=30 * SECOND)
    tokens = house.acts(scope="openid offline_access")
    house.folk.down = True
    minutes = 0
    while running(house) and minutes < 30:
        watched(house, MINUTE)
        minutes += 1

    assert GRACE < minutes * MINUTE <= GRACE + 2 * MINUTE
    assert ends(house) == [("register", "unanswered")]
    assert house.refresh(tokens["refresh_token"]).status_code == 400


def test_a_worker_that_stops_does_not_begin_it_anew(house: ActingHouse) -> None:
    """Restarts in the middle of a silence: whoever took it and went leaves it to others, with the time it has had."""
    told_of(house)
    house.acts()
    house.folk.down = True
    minutes = 0
    while running(house) and minutes < 40:
        watched(house, MINUTE)
        if minutes % 3 == 0:
            house.house.durable.delegations.due(house.clock.now() + SOON, LEASE, MOST)  # and carried by nobody
        minutes += 1

    assert GRACE < minutes * MINUTE <= GRACE + 4 * MINUTE
    assert ends(house) == [("register", "unanswered")]


def test_two_breaks_are_not_one(house: ActingHouse) -> None:
    """Once a register has answered, the quarter of an hour begins anew."""
    told_of(house)
    house.acts()
    for _ in range(2):
        house.folk.down = True
        for _ in range(10):
            watched(house, MINUTE)
        house.folk.down = False
        watched(house, MINUTE)

    assert (len(running(house)), ends(house)) == (1, [])


def test_a_register_that_is_down_rests(house: ActingHouse) -> None:
    """One that hangs is not asked for each of a hundred delegations: it would hold every thread."""
    told_of(house)
    for _ in range(5):
        house.acts()
    house.folk.down = True
    asked = len(house.folk.asked)
    house.house.wards.watch.threads = 1
    watched(house, MINUTE)

    assert len(house.folk.asked) - asked <= house.house.wards.watch.threads * 4


def test_what_the_rules_refuse_does_not_wait(house: ActingHouse) -> None:
    """While a register is down, what another one bars, or the age, ends at once all the same."""
    told_of(house)
    house.acts()
    object.__setattr__(house.house.settings.clinics.by_id["clinea"], "ages", {"guardian_until": 5})
    watched(house, MINUTE)

    assert ends(house) == [("register", "age")]


# ---- the sign-on behind it -----------------------------------------------------------------------


def test_an_idle_sign_on_is_judged_all_the_same(house: ActingHouse) -> None:
    """Refresh tokens outlive idleness: the proof lies with the sign-on, and is judged by until that is gone."""
    ward = told_of(house)
    tokens = house.acts(scope="openid offline_access")
    assert watched(house, timedelta(hours=2)) == 1
    assert house.refresh(tokens["refresh_token"]).status_code == 200

    house.folk.ties[house.guardian()] = (ward.tie(barred="withdrawn"),)
    watched(house, WITHIN)
    assert ends(house) == [("register", "withdrawn")]


def test_without_a_sign_on_nobody_can_judge(house: ActingHouse) -> None:
    """A sign-on that is gone from the store takes along what acts by it: a right that nobody can judge is over."""
    told_of(house)
    tokens = house.acts()
    (one,) = running(house)
    house.house.sessions.take(one.session)
    watched(house, WITHIN)

    assert (house.lives(tokens), ends(house)) == (False, [("signed_out", "")])


def test_a_step_up_goes_on(house: ActingHouse) -> None:
    """A new proof of the same person takes the sign-on's place; what acted by the old one is judged by the new."""
    told_of(house)
    browser = house.browser()
    tokens = house.acts(browser)
    (one,) = running(house)
    house.acts(browser, prompt="login")

    assert watched(house, WITHIN) == 2
    assert house.house.sessions.get(one.session) is None
    assert house.lives(tokens)
    assert {row.sid for row in running(house)} >= {claims_of(tokens["id_token"])["sid"]}


def test_not_before_the_sign_on_is_there(house: ActingHouse) -> None:
    """A worker that looks in the very moment of a sign-in finds nothing to end: it lies there for a while first."""
    house.ward(4)
    tokens = house.acts()
    (one,) = running(house)

    assert watched(house) == 0
    assert one.check_at - house.clock.now() >= SOON
    assert (house.lives(tokens), ends(house)) == (True, [])


# ---- many ----------------------------------------------------------------------------------------


def test_each_is_looked_at_by_one_worker(house: ActingHouse) -> None:
    """Of two workers at once each delegation goes to one, and both together see all."""
    told_of(house)
    for _ in range(6):
        house.acts()
    house.clock.move(MINUTE)
    watch = house.house.wards.watch
    other = replace(watch)
    try:
        seen = watch.deliver(house.clock.now()) + other.deliver(house.clock.now())
    finally:
        other.close()

    assert seen == 6


def test_what_is_over_is_forgotten(house: ActingHouse) -> None:
    """What has ended by itself is not judged, and is gone an hour later."""
    told_of(house)
    house.acts()
    assert watched(house, timedelta(hours=9)) == 0

    assert running(house) == ()


def test_a_batch_at_once(house: ActingHouse) -> None:
    """More than one batch is looked at without waiting for the next time; what is not due is left alone."""
    house.ward(4)
    house.acts()
    (one,) = running(house)
    delegations = house.house.durable.delegations
    for number in range(MOST + 10):
        delegations.add(replace(one, grant=f"{one.grant}{number}"))
    delegations.done(one.grant)
    (session,) = house.house.signout.of_person(house.guardian())
    (reached,) = session.reached
    many = tuple(replace(reached, grant=f"{one.grant}{number}") for number in range(MOST + 10))
    house.house.sessions.put(session.key, replace(session, reached=many), timedelta(hours=1))

    assert watched(house, MINUTE) == MOST + 10
    assert watched(house, OWN_AGAIN - 10 * SECOND) == 0
    assert watched(house, 10 * SECOND) == MOST + 10
