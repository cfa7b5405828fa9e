"""What clients are told when a sign-on has ended (Back-Channel Logout 1.0), and what their answers do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from idbroker.backchannel import BACK_OFF, TRIED_FOR, LogoutNotice, notices_for
from idbroker.clock import StoppedClock
from idbroker.keyset import Use
from idbroker.person import pairwise_subject
from idbroker.store import open_durable
from tests import servers
from tests.backchannel_house import PERSON, House, Portals, make_session, open_house, open_portals
from tests.oidc.making import ISSUER

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def portals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portals]:
    """Serve the clients' servers once."""
    with open_portals(tmp_path_factory.mktemp("portals")) as opened:
        yield opened


@pytest.fixture
def house(portals: Portals, tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Open a house with a store in a file."""
    opened = open_house(tmp_path, portals, open_durable(f"sqlite:///{tmp_path}/broker.db", clock), clock)
    yield opened
    portals.heal()
    opened.close()


def read(house: House, text: str, client_id: str, alg: str = "ES256") -> dict[str, Any]:
    """Verify a logout token with PyJWT, by the one key its header may name."""
    header = jwt.get_unverified_header(text)
    assert (header["alg"], header["typ"]) == (alg, "logout+jwt")
    key = jwt.PyJWK(house.keyring.signing(alg).key.as_dict(private=False) | {"alg": alg})
    options: Any = {"verify_exp": False, "verify_iat": False}  # the machine's time is not the test's
    claims: dict[str, Any] = jwt.decode(text, key, algorithms=[alg], audience=client_id, issuer=ISSUER, options=options)
    return claims


# ---- who is told, and what -------------------------------------------------------------------------


def test_who_is_told(house: House, clock: StoppedClock) -> None:
    """One notice per client, not per grant; none for clients without an address, closed ones, and ones that went."""
    house.client("a")
    house.client("b")
    house.client("silent", backchannel_logout_uri=None)
    house.client("closed", disabled=True)
    session = make_session(1, "a", "b", "a", "silent", "closed", "gone")

    notices = notices_for(session, house.durable.clients, clock.now())

    assert notices == tuple(
        LogoutNotice(
            client_id=name,
            sid=session.sid(name),
            person=PERSON,
            due_at=clock.now(),
            ends_at=clock.now() + timedelta(hours=24),
        )
        for name in ("a", "b")
    )
    assert notices_for(make_session(1), house.durable.clients, clock.now()) == ()


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_what_is_told(house: House, portals: Portals, clock: StoppedClock, alg: str) -> None:
    """One form field; sub and sid as in the client's ID tokens, signed as those are (2.4, 2.5)."""
    client = house.client("a", id_token_alg=alg, sector="portals.test")
    (notice,) = house.ended(1, "a")

    assert house.courier().deliver(clock.now()) == 1

    (form,) = portals.forms["a"]
    assert set(form) == {"logout_token"}
    claims = read(house, form["logout_token"], "a", alg)
    assert claims["sid"] == notice.sid
    assert claims["sub"] == pairwise_subject(house.keyring.secret(Use.SUBJECT), client.subject_sector, PERSON)
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims
    assert house.durable.logout_notices.count() == 0
    assert house.events() == []


def test_each_client_hears_its_own(house: House, portals: Portals, clock: StoppedClock) -> None:
    """Two clients can compare neither the sid nor, in different sectors, the sub."""
    for name in "ab":
        house.client(name, sector=f"{name}.test")
    house.ended(1, "a", "b")

    assert house.courier().deliver(clock.now()) == 2

    a, b = (read(house, portals.told(name)[0], name) for name in "ab")
    assert a["sid"] != b["sid"]
    assert a["sub"] != b["sub"]
    assert a["jti"] != b["jti"]


# ---- what an answer does ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204])
def test_heard(house: House, portals: Portals, clock: StoppedClock, status: int) -> None:
    """200 says that it is done, and so does the 204 that some frameworks make of it (2.8)."""
    house.client("a")
    house.ended(1, "a")
    portals.says["a"] = [status]

    assert house.courier().deliver(clock.now()) == 1
    assert house.durable.logout_notices.count() == 0


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302, 307, 201])
def test_refused(house: House, portals: Portals, clock: StoppedClock, status: int) -> None:
    """A client that says no is asked once more, in case it did not know our key; then its no is an event."""
    house.client("a")
    (notice,) = house.ended(1, "a")
    portals.says["a"] = [status, status]
    courier = house.courier()

    assert courier.deliver(clock.now()) == 0
    assert house.events() == []
    assert house.durable.logout_notices.count() == 1
    clock.move(BACK_OFF[0])
    assert courier.deliver(clock.now()) == 0

    (event,) = house.events()
    assert (event.kind, event.client, event.person) == ("logout.refused", "a", PERSON)
    hashed = hashlib.sha256(notice.sid.encode()).hexdigest()[:16]
    assert event.detail == {"sid": hashed, "tries": "2", "status": str(status)}
    assert house.durable.logout_notices.count() == 0
    assert len(portals.told("a")) == 2
    assert portals.told("elsewhere") == []


def test_heard_at_the_second_try(house: House, portals: Portals, clock: StoppedClock) -> None:
    """A client that learnt our new key between two tries is told like any other, and nothing is recorded."""
    house.client("a")
    house.ended(1, "a")
    portals.says["a"] = [400]
    courier = house.courier()
    courier.deliver(clock.now())
    clock.move(BACK_OFF[0])

    assert courier.deliver(clock.now()) == 1
    assert house.events() == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_later_is_well(house: House, portals: Portals, clock: StoppedClock, status: int) -> None:
    """A client that is in trouble is tried again after ten seconds, not before, with a token that is fresh."""
    house.client("a")
    house.ended(1, "a")
    portals.says["a"] = [status]
    courier = house.courier()

    assert courier.deliver(clock.now()) == 0
    clock.move(BACK_OFF[0] - SECOND)
    assert courier.deliver(clock.now()) == 0
    assert len(portals.told("a")) == 1
    clock.move(SECOND)
    assert courier.deliver(clock.now()) == 1

    first, second = (read(house, text, "a") for text in portals.told("a"))
    assert first["jti"] != second["jti"]
    assert second["iat"] - first["iat"] == BACK_OFF[0].total_seconds()
    assert house.durable.logout_notices.count() == 0


def test_never_well(house: House, portals: Portals, clock: StoppedClock) -> None:
    """Tried after 10 s, 1 min, 5 min, 30 min, and every 2 h for a day; then it is an event that it was not told."""
    house.client("a")
    house.ended(1, "a")
    portals.says["a"] = [500] * 99
    courier, began, expected = house.courier(), clock.now(), 0

    while house.durable.logout_notices.count():
        assert clock.now() - began < TRIED_FOR
        courier.deliver(clock.now())
        expected += 1
        assert len(portals.told("a")) == expected
        wait = BACK_OFF[min(expected, len(BACK_OFF)) - 1]
        clock.move(wait - SECOND)
        courier.deliver(clock.now())
        assert len(portals.told("a")) == expected
        clock.move(SECOND)

    (event,) = house.events()
    assert (event.kind, event.client) == ("logout.undelivered", "a")
    assert event.detail["status"] == "500"
    assert expected == int(event.detail["tries"]) == 16


def test_nobody_answers(house: House, clock: StoppedClock) -> None:
    """A client whose server is down is tried again as one that is in trouble."""
    house.client("a", backchannel_logout_uri=f"https://portal.test:{servers.free_port()}/logout")
    house.ended(1, "a")
    courier = house.courier()

    assert courier.deliver(clock.now()) == 0

    assert house.durable.logout_notices.count() == 1
    assert house.events() == []
    clock.move(TRIED_FOR)
    courier.deliver(clock.now())
    (event,) = house.events()
    assert event.kind == "logout.undelivered"
    assert "status" not in event.detail


def test_an_address_inside_is_not_told(house: House, portals: Portals, clock: StoppedClock) -> None:
    """A22: a client that registered an address of our own network has us knock at none of our doors."""
    house.client("a")
    house.ended(1, "a")
    inside = house.courier(post=house.post(public=lambda _: False))

    assert inside.deliver(clock.now()) == 0
    assert portals.told("a") == []
    assert house.durable.logout_notices.count() == 1


@pytest.mark.parametrize("change", ["removed", "silent", "closed"])
def test_a_client_that_went_meanwhile(house: House, portals: Portals, clock: StoppedClock, change: str) -> None:
    """Nothing is sent to a client that was removed, closed, or wants to be told no more; that is an event."""
    client = house.client("a")
    house.ended(1, "a")
    match change:
        case "removed":
            house.durable.clients.remove(client.id)
        case "silent":
            house.client("a", backchannel_logout_uri=None)
        case _:
            house.client("a", disabled=True)

    assert house.courier().deliver(clock.now()) == 0

    assert [(event.kind, event.client) for event in house.events()] == [("logout.dropped", "a")]
    assert house.durable.logout_notices.count() == 0
    assert portals.told("a") == []


def test_events_hold_no_sid(house: House, portals: Portals, clock: StoppedClock) -> None:
    """Who reads events learns no sid, by which a client's front channel could be made to end a sign-on."""
    house.client("a")
    (notice,) = house.ended(1, "a", "gone")
    portals.says["a"] = [400, 400]
    courier = house.courier()
    for _ in range(2):
        courier.deliver(clock.now())
        clock.move(BACK_OFF[0])

    (event,) = house.events()

    assert notice.sid not in repr(event)
