"""Two at once on one family, in every order of their steps: nothing is left of what was ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial

import pytest

from idbroker.client import Client
from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.store import open_durable, open_transient
from idbroker.tokens import once
from tests.conftest import NOW
from tests.keystores import key_folder
from tests.oidc.making import make_client
from tests.taking_turns import Turns
from tests.token_house import SCOPES, House, at_once, make_tokens, secret

# After six turns both are at their end, or nearly: what is left is done as it comes.
ORDERS = [*itertools.product((0, 1), repeat=6)]
Racing = Callable[[Turns, Client], House]


@pytest.fixture(scope="module")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Racing]:
    """Give a function that puts a house on real stores where every call waits for its turn."""
    clock = StoppedClock(NOW)
    keyring = Keyring(KeyFiles(key_folder(tmp_path_factory.mktemp("races"))))
    transient, durable = open_transient("sqlite://", clock), open_durable("sqlite://", clock)
    durable.migrate()

    def make(turns: Turns, client: Client) -> House:
        watched = turns.watch(transient), turns.watch(durable.refresh_tokens)
        return House(tokens=make_tokens(*watched, durable, keyring, clock), clock=clock, client=client)

    yield make
    transient.close()
    durable.close()


@pytest.fixture
def portal() -> Client:
    """Return the portal."""
    return make_client(refresh="keep", scopes=SCOPES)


def left_over(house: House, answers: list[object]) -> list[object]:
    """Return the answers of which something still works."""
    given = [answer for answer in answers if isinstance(answer, Mapping)]
    return [a for a in given if house.is_live(a) or ("refresh_token" in a and house.can_refresh(a))]


def refusals(answers: list[object]) -> list[object]:
    """Return what is neither an answer, nothing, nor invalid_grant."""
    return [a for a in answers if isinstance(a, Exception) and getattr(a, "code", "") != "invalid_grant"]


def test_two_redeem_in_every_order(racing: Racing, portal: Client) -> None:
    """Whatever the order of their steps, one of two is served, and nothing of the family is left."""
    for order in ORDERS:
        turns = Turns(order)
        house = racing(turns, portal)
        code = house.code()
        answers = turns.run(partial(house.redeem, code), partial(house.redeem, code))

        assert len([answer for answer in answers if isinstance(answer, Mapping)]) == 1, order
        assert not refusals(answers), order
        assert not left_over(house, answers), order


def test_redeem_against_the_familys_end_in_every_order(racing: Racing, portal: Client) -> None:
    """A code redeemed while its family is ended leaves nothing behind, whatever the order of the steps."""
    for order in ORDERS:
        turns = Turns(order)
        house = racing(turns, portal)
        code = house.code()
        answers = turns.run(partial(house.redeem, code), partial(house.tokens.end_family, code.family))

        assert not refusals(answers), order
        assert not left_over(house, answers), order
        assert not house.tokens.refresh_tokens.revoke(family=code.family), order


@pytest.mark.parametrize("policy", ["keep", "rotate"])
def test_refresh_against_the_familys_end_in_every_order(racing: Racing, policy: str) -> None:
    """A refresh token used while its family is ended leaves nothing behind, whatever the order of the steps."""
    client = make_client(refresh=policy, scopes=SCOPES)
    for order in ORDERS:
        turns = Turns(order)
        house = racing(turns, client)
        first = house.redeem(house.code())
        family = secret(first["refresh_token"]).family
        answers = turns.run(partial(house.refresh, first["refresh_token"]), partial(house.tokens.end_family, family))

        assert not refusals(answers), order
        assert not left_over(house, [first, *answers]), order
        assert not house.tokens.refresh_tokens.revoke(family=family), order


def test_two_rotate_in_every_order(racing: Racing) -> None:
    """Two uses of one rotating token: at most one is served, and nothing of the family is left (A7)."""
    client = make_client(refresh="rotate", scopes=SCOPES)
    for order in ORDERS:
        turns = Turns(order)
        house = racing(turns, client)
        first = house.redeem(house.code())
        answers = turns.run(*[partial(house.refresh, first["refresh_token"])] * 2)

        assert len([answer for answer in answers if isinstance(answer, Mapping)]) <= 1, order
        assert not refusals(answers), order
        assert not left_over(house, [first, *answers]), order


# ---- used once -----------------------------------------------------------------------------------


def test_once(clock: StoppedClock) -> None:
    """A name counts once until its time, whatever text it is, then again."""
    use_once = once(open_transient("sqlite://", clock), clock)
    until = NOW + timedelta(seconds=60)

    assert [use_once(name, until) for name in ("a", "a", "b", "ø\n" * 500)] == [True, False, True, True]
    clock.move(timedelta(seconds=59))
    assert not use_once("a", until)
    clock.move(timedelta(seconds=1))
    assert use_once("a", clock.now() + timedelta(seconds=60))


def test_once_of_many(clock: StoppedClock) -> None:
    """Of fifty threads exactly one is told True."""
    use_once = once(open_transient("sqlite://", clock), clock)
    answers = at_once(lambda _: {"first": use_once("a", NOW + timedelta(seconds=60))})

    assert [answer for answer in answers if answer == {"first": True}] == [{"first": True}]
