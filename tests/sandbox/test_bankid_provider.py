"""Our BankID provider and the simulated BankID understand each other, over mutual TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Asked, Means, Progress, Wait
from idbroker.providers._http import kept_session
from idbroker.providers.bankid import BankID, Settings, make
from idbroker.sandbox.bankid import LIES
from idbroker.visitor import Device, Visitor
from tests.sandbox.bankid_loopback import APP, Rp, serve_bankid

pytest_plugins = ["tests.sandbox.bankid_fixtures"]


@pytest.fixture
def provider(rp: Rp) -> Iterator[BankID]:
    """Give the provider, set up for the simulator."""
    with ExitStack() as stack:
        base = stack.enter_context(serve_bankid(rp.bankid))
        settings = Settings(
            environment="test",
            certificate_file=rp.bankid.client_certificate,
            key_file=rp.bankid.client_key,
            signing_root_files=(rp.bankid.signing_root,),
            server_root_file=rp.bankid.server_root,
            address=base,
            app_link=APP,
            relying_party="cn=FP Testcert 5,name=Test av BankID,serialNumber=5566304928,o=Testbank A AB (publ),c=SE",
        )

        def http(**options: Any) -> requests.Session:
            return stack.enter_context(kept_session(**options))

        yield make("bankid", settings, Means(clock=rp.clock, http=http, sandbox=True))


@pytest.fixture
def asked(rp: Rp) -> Asked:
    """Return what the broker asks."""
    return Asked(
        transaction="t",
        handle="h",
        return_url="https://login.test/callback/bankid",
        loa=LoA.SUBSTANTIAL,
        language="sv",
        service="Ålands Klinik",
        now=rp.clock.now(),
        visitor=Visitor(ip="127.0.0.1"),
    )


def test_signs_in_by_a_code(rp: Rp, provider: BankID, asked: Asked) -> None:
    """The code that the provider shows opens the app; who approves is who is proved."""
    began = provider.begin(asked)
    code = provider.code(began.state, rp.clock.now()) or ""
    opened = rp.bankid.phone.scan(code)
    waiting = provider.resume(asked, began.state, {})
    back = rp.bankid.phone.act(opened.id, rp.people["bjorn"], "approve")
    proved = provider.resume(asked, began.state, {})

    assert "Ålands Klinik" in opened.text
    assert isinstance(waiting, Wait)
    assert waiting.progress is Progress.OPENED
    assert back is None
    assert isinstance(proved, Identity)
    assert proved.number is not None
    assert proved.number.value == rp.people["bjorn"].number


def test_signs_in_by_a_link(rp: Rp, provider: BankID, asked: Asked) -> None:
    """The link that the provider gives opens the app, which leads back with the handle."""
    asked = replace(asked, device=Device.THIS)
    began = provider.begin(asked)
    opened = rp.bankid.phone.follow(provider.link(began.state, asked.visitor))
    back = rp.bankid.phone.act(opened.id, rp.people["bjorn"], "approve")

    assert back == "https://login.test/callback/bankid?state=h"
    assert isinstance(provider.resume(asked, began.state, {}), Identity)


def test_lapses_and_is_dropped(rp: Rp, provider: BankID, asked: Asked) -> None:
    """An order that nobody opens lapses; one that is dropped is in nobody's app."""
    began = provider.begin(asked)
    rp.clock.move(timedelta(seconds=31))
    lapsed = provider.resume(asked, began.state, {})
    provider.drop(provider.begin(asked).state)

    assert isinstance(lapsed, Wait)
    assert lapsed.progress is Progress.LAPSED
    assert rp.bankid.phone.waiting() == ()


@pytest.mark.parametrize(
    ("outcome", "error"), [("cancel", Cancelled), ("certificateErr", Refused), ("somethingNew", Refused)]
)
def test_ends_otherwise(rp: Rp, provider: BankID, asked: Asked, outcome: str, error: type[ProviderError]) -> None:
    """What a person or BankID refuses is told by its family."""
    began = provider.begin(asked)
    rp.act(outcome)
    with pytest.raises(error):
        provider.resume(asked, began.state, {})


# No lies to somebody who asks nothing of what they are about, or by RFC 8954.
_HARMLESS = {"wrapped_nonce", "wrong_ip", "risk_moderate", "no_risk", "new_hint", "bad_tokens"}


@pytest.mark.parametrize("lie", sorted(LIES - _HARMLESS))
def test_no_lie_signs_anybody_in(rp: Rp, provider: BankID, asked: Asked, lie: str) -> None:
    """Every lie about a completed order, its evidence or the wire ends without an identity."""
    began = provider.begin(asked)
    rp.faults.set("bankid", {"lies": [lie]})
    rp.act("approve")

    with pytest.raises((Untrusted, Unreachable, Refused)):
        provider.resume(asked, began.state, {})


@pytest.mark.parametrize("lie", sorted(_HARMLESS - {"bad_tokens"}))
def test_harmless_ones_do(rp: Rp, provider: BankID, asked: Asked, lie: str) -> None:
    """What is no lie, or nothing to this provider, is no reason to refuse."""
    began = provider.begin(asked)
    rp.faults.set("bankid", {"lies": [lie]})
    rp.act("approve")

    assert isinstance(provider.resume(asked, began.state, {}), Identity)


def test_wrong_tokens_make_no_order(rp: Rp, provider: BankID, asked: Asked) -> None:
    """Tokens that are no text: nothing that could be waited for."""
    rp.faults.set("bankid", {"lies": ["bad_tokens"]})
    with pytest.raises((Untrusted, Unreachable)):
        provider.begin(asked)
