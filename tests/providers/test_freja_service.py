"""Freja's service, broken, refusing or somebody else's: what the person is told, and what the operator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import ProviderError, Refused, Unreachable
from idbroker.providers import Wait
from tests.providers.freja_service import (
    Desk,
    Folder,
    Service,
    freja_context,
    new_desk,
    new_folder,
    new_stamp,
    open_desk,
    served,
    settings,
)

CALLS: dict[str, Callable[[Desk, Wait], object]] = {
    "initAuthentication": lambda desk, _: desk.begin(),
    "getOneResult": lambda desk, begun: desk.look(begun),
    "cancel": lambda desk, begun: desk.provider.drop(begun.state),
}


@pytest.fixture
def desk(tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with open_desk(tmp_path, clock) as made:
        yield made


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize(("code", "reason"), [(1005, "freja_disabled"), (1100, "freja_lost"), (2000, "freja_rejected")])
def test_what_the_person_can_mend_is_told(desk: Desk, status: int, code: int, reason: str) -> None:
    """Three of Freja's codes have words for the person, whatever HTTP status carries them."""
    begun = desk.begin()
    for method in ("initAuthentication", "getOneResult"):
        desk.service.canned[method] = status, json.dumps({"code": code, "message": "So"}).encode()

        with pytest.raises(Refused) as stopped:
            CALLS[method](desk, begun)
        assert stopped.value.reason == reason
        assert stopped.value.detail == f"freja {method}: HTTP {status}, code {code}"


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("code", [0, 1000, 1001, 1004, 1008, 1010, 1011, 1012, 2002, 9999])
def test_our_mistakes_are_the_operators_to_read(desk: Desk, method: str, code: int) -> None:
    """The person hears that Freja does not answer; the log has the code."""
    begun = desk.begin()
    desk.service.canned[method] = 422, json.dumps({"code": code, "message": "about 198706192393"}).encode()

    with pytest.raises(Unreachable) as stopped:
        CALLS[method](desk, begun)
    assert stopped.value.detail == f"freja {method}: HTTP 422, code {code}"


NONSENSE = [b"", b"<html>", b"[]", b"null", b"7", b'{"code": "1100"}', b'{"code": true}', b'{"code": -1}', b"\xff"]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 502, 503])
def test_a_broken_service_is_unreachable(desk: Desk, method: str, status: int) -> None:
    """Nothing was learnt, whatever the page says: an order may still be good."""
    begun = desk.begin()
    for body in NONSENSE:
        desk.service.canned[method] = status, body
        with pytest.raises(Unreachable, match=f"HTTP {status}$"):
            CALLS[method](desk, begun)


def test_a_server_error_is_not_read(desk: Desk) -> None:
    """Of a 500 no code counts: what it refuses it may do the next time."""
    desk.service.canned["initAuthentication"] = 500, b'{"code": 2000}'

    with pytest.raises(Unreachable):
        desk.begin()


ANSWERS = [
    (204, b""),
    (200, b""),
    (200, b"[]"),
    (200, b"{}"),
    (200, b'{"authRef": null, "status": null}'),
    (200, b'{"authRef": "", "status": 7}'),
    (200, b'{"authRef": "a", "authRef": "b", "status": "STARTED", "status": "APPROVED"}'),
    (200, b'{"authRef": "\xc3\xa5", "status": ["APPROVED"]}'),
    (200, json.dumps({"authRef": "x" * 513}).encode()),
    (200, b'{"authRef": "a\\nb"}'),
    (200, b" " * 2_000_000),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=[str(number) for number in range(len(ANSWERS))])
def test_an_answer_that_makes_no_sense_is_none(desk: Desk, status: int, body: bytes) -> None:
    """204, no JSON, a member twice, no reference, two megabytes: unreachable, for an order and for a look."""
    begun = desk.begin()
    desk.service.canned = {"initAuthentication": (status, body), "getOneResult": (status, body)}

    for method in desk.service.canned:
        with pytest.raises(Unreachable):
            CALLS[method](desk, begun)


@pytest.mark.parametrize("answer", [(200, b""), (200, b"{}"), (204, b"")])
def test_dropping_needs_no_answer(desk: Desk, answer: tuple[int, bytes]) -> None:
    """That it was taken is enough."""
    begun = desk.begin()
    desk.service.canned["cancel"] = answer

    desk.provider.drop(begun.state)


def test_an_order_that_was_not_heard_of_is_looked_at_again(desk: Desk) -> None:
    """After an answer went missing the next look finds the order as it is."""
    begun = desk.begin()
    desk.service.canned["getOneResult"] = 503, b""
    with pytest.raises(Unreachable):
        desk.look(begun)

    desk.service.canned.clear()
    desk.service.approve()
    assert desk.proved(begun).number is not None


# ---- mutual TLS ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Give two authorities."""
    return new_folder(tmp_path)


def test_only_our_certificate_is_let_in(folder: Folder, clock: StoppedClock) -> None:
    """Mutual TLS: a certificate that Freja did not issue gets no answer, and the person is told that none came."""
    service = Service(clock, new_stamp("signing 1", clock.now()))
    with served(service, freja_context(folder)) as address:
        certificate, key = folder.pair("stranger", folder.stranger)
        usual = settings(folder, address, service.stamp)
        desk = new_desk(service, replace(usual, certificate_file=certificate, key_file=key))

        with pytest.raises(Unreachable):
            desk.begin()
        assert service.calls == []
        desk.close()


def test_only_freja_is_spoken_to(folder: Folder, clock: StoppedClock) -> None:
    """E4: a server certified by anybody but the root that is set is not Freja."""
    service = Service(clock, new_stamp("signing 1", clock.now()))
    context = freja_context(folder)
    context.load_cert_chain(*folder.pair("impostor", folder.stranger, server=True))
    with served(service, context) as address:
        desk = new_desk(service, settings(folder, address, service.stamp))

        with pytest.raises(Unreachable):
            desk.begin()
        assert service.calls == []
        desk.close()


def test_a_server_that_is_gone_is_unreachable(folder: Folder, clock: StoppedClock) -> None:
    """Every call says so, in its own time."""
    service = Service(clock, new_stamp("signing 1", clock.now()))
    with served(service, freja_context(folder)) as address:
        desk = new_desk(service, settings(folder, address, service.stamp))
        begun = desk.begin()
    desk.close()

    for call in CALLS.values():
        with pytest.raises(ProviderError) as stopped:
            call(desk, begun)
        assert isinstance(stopped.value, Unreachable)


def test_a_look_that_finds_nothing_new_packs_nothing(desk: Desk, clock: StoppedClock) -> None:
    """Most looks: the state stays the same bytes, so that whoever keeps it need not write."""
    begun = desk.begin()
    clock.move(timedelta(seconds=5))

    looked = desk.look(begun)
    assert isinstance(looked, Wait)
    assert looked.state is begun.state
