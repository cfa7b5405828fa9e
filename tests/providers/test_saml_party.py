"""What a SAML party believes of an answer: once, to our own request, in this transaction."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from idbroker.errors import Untrusted
from idbroker.providers import Post, Redirect
from idbroker.providers._saml import Party
from tests.providers.saml_party import SSO, TESSA, Journey, World, make_world
from tests.saml.metadata_documents import POST, REDIRECT

world = pytest.fixture(make_world)


def test_both_bindings(world: World) -> None:
    """A request travels as the operator says, to that binding's own address, signed either way."""
    by_redirect = Journey(world, world.party(binding="redirect"))
    by_post = Journey(world, world.party(binding="post"))

    assert isinstance(by_redirect.begun, Redirect)
    assert isinstance(by_post.begun, Post)
    assert by_redirect.came.root.get("Destination") == SSO[REDIRECT]
    assert by_post.came.root.get("Destination") == SSO[POST] == by_post.begun.action
    assert by_post.came.relay_state == by_redirect.came.relay_state == "handle-1"
    assert by_post.finish(by_post.honest()).attributes == {name: (value,) for name, value in TESSA.items()}


def test_requests_are_apart(world: World) -> None:
    """No two requests have the same ID, which nobody could guess (SAML core, 1.3.4)."""
    party = world.party()

    assert len({Journey(world, party).came.id for _ in range(20)}) == 20


# ---- memory (S30, S31, S40) ---------------------------------------------------------------------------


def test_replay(world: World) -> None:
    """The same assertion is believed once, whichever worker it comes to (profiles, 4.1.4.5; S30)."""
    journey, other = Journey(world), world.party()
    reply = journey.honest()
    journey.finish(reply)

    for party in (journey.party, other):
        with pytest.raises(Untrusted, match="used before"):
            journey.finish(reply, party=party)


def test_replay_to_the_end(world: World) -> None:
    """It is remembered for as long as it could be believed, the clocks' skew and all, and not refused for age alone."""
    journey = Journey(world)
    reply = journey.honest()
    journey.finish(reply)
    world.clock.move(timedelta(minutes=5, seconds=59))
    journey.asked = world.asked()

    with pytest.raises(Untrusted, match="used before"):
        journey.finish(reply, party=world.party())


def test_replay_at_once(world: World) -> None:
    """Of eight workers that get the same answer at the same moment one believes it."""
    journey = Journey(world)
    reply, parties = journey.honest(), [world.party() for _ in range(8)]
    start, believed = threading.Barrier(8), []

    def worker(party: Party) -> None:
        party.source.get(world.clock.now())
        start.wait(10)
        try:
            believed.append(journey.finish(reply, party=party))
        except Untrusted:
            return

    threads = [threading.Thread(target=worker, args=(party,)) for party in parties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(believed) == 1


def test_replayed_in_another_response(world: World) -> None:
    """An assertion that was believed is not believed in a new envelope either."""
    journey = Journey(world)
    says = world.idp.says(journey.came)
    journey.finish(world.idp.answer(journey.came, says))

    with pytest.raises(Untrusted, match="used before"):
        journey.finish(world.idp.answer(journey.came, says, ID="_response2"))


def test_a_lie_uses_nothing_up(world: World) -> None:
    """A bad copy of an answer, come first, does not spoil the true one: only what verified is remembered."""
    journey = Journey(world)
    says = world.idp.says(journey.came)
    with pytest.raises(Untrusted):
        journey.finish(world.idp.answer(journey.came, says, by="evil"))

    assert journey.finish(world.idp.answer(journey.came, says)).id == says.id


# ---- whose answer it is (S28, S29) --------------------------------------------------------------------


@pytest.mark.parametrize("handle", ["handle-2", "", "handle-1 ", "HANDLE-1", "håndtag"])
def test_relay_state_of_another(world: World, handle: str) -> None:
    """An answer that comes with another transaction's RelayState is not this one's."""
    journey = Journey(world)

    with pytest.raises(Untrusted, match="RelayState"):
        journey.finish({**journey.honest(), "RelayState": handle})


def test_without_relay_state(world: World) -> None:
    """An answer that comes without any is nobody's."""
    journey = Journey(world)
    reply = journey.honest()
    del reply["RelayState"]

    with pytest.raises(Untrusted, match="RelayState"):
        journey.finish(reply)


def test_answer_to_another_request(world: World) -> None:
    """An answer to a request that another browser made signs nobody in here (login CSRF, S29)."""
    attackers, victims = Journey(world), Journey(world)

    with pytest.raises(Untrusted, match="another request"):
        victims.finish(attackers.honest())


def test_renewed_request(world: World) -> None:
    """Who began anew has a new request: the answer to the earlier one is too late."""
    party = world.party()
    first, second = Journey(world, party), Journey(world, party)

    with pytest.raises(Untrusted, match="another request"):
        second.finish(first.honest())


def test_for_another_provider_of_ours(world: World) -> None:
    """Two tables for one identity provider are two parties: what was for one is not for the other (mix-up)."""
    one, other = Journey(world, world.party("one")), Journey(world, world.party("other"))
    says = world.idp.says(one.came, data={"InResponseTo": other.came.id})
    reply = world.idp.answer(one.came, says, InResponseTo=other.came.id)

    with pytest.raises(Untrusted, match="address"):
        other.finish(reply)


@pytest.mark.parametrize("state", [b"", b"{}", b"null", b"[1]", b'{"id":7}', b"\xff", b'{"id":"_1","force":true}'])
def test_a_state_of_something_else(world: World, state: bytes) -> None:
    """What another kind of provider remembered, before the table was changed, is refused and breaks nothing."""
    journey = Journey(world)
    reply = journey.honest()
    journey.state = state

    with pytest.raises(Untrusted, match="state"):
        journey.finish(reply)


def test_nothing_posted(world: World) -> None:
    """A form without a response is no answer."""
    journey = Journey(world)

    with pytest.raises(Untrusted):
        journey.finish({"RelayState": "handle-1"})
