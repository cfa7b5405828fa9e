"""The broker's own provider before the simulated Freja, over mutual TLS: the truth is taken, every lie is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pytest

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import SAMORDNINGSNUMMER
from idbroker.providers import Asked, Means, Progress, Wait
from idbroker.providers._http import kept_session
from idbroker.providers.freja import FrejaApp, Settings, make
from idbroker.sandbox.freja import LIES, SimFreja
from idbroker.sandbox.orders import Unreadable
from idbroker.visitor import Device, Visitor
from tests.sandbox.freja_rp import APP, Rp, serve_freja

pytest_plugins = ["tests.sandbox.freja_fixtures"]
CALLBACK = "https://login.test/callback/freja"
# What is left of these once only the signed details are read is the truth, or a part of it.
NUMBERLESS = {"foreign_country", "no_number"}
TRUE = NUMBERLESS | {
    "outer_differs", "outer_auth_ref", "no_outer_attributes", "approved_early",
    "no_auth_ref", "number_auth_ref", "empty_auth_ref", "long_auth_ref", "script_auth_ref", "no_qr_secret",
}  # fmt: skip


@dataclass
class Broker:
    """The provider, as the broker works with it."""

    provider: FrejaApp
    rp: Rp

    def asked(self, **more: object) -> Asked:
        """Return what is asked now."""
        usual = Asked(
            transaction="t1",
            handle="handle-1",
            return_url=CALLBACK,
            loa=LoA.SUBSTANTIAL,
            language="sv",
            service="Kliniken",
            now=self.rp.clock.now(),
            want_number=True,
        )
        return replace(usual, **more)  # type: ignore[arg-type]

    def look(self, begun: Wait, **more: object) -> Wait | Identity:
        """Look at an order once."""
        return self.provider.resume(self.asked(**more), begun.state, {})

    def go(self, person: str = "bjorn", **more: object) -> Wait | Identity:
        """Begin, let somebody scan and approve, and look."""
        begun = self.provider.begin(self.asked(**more))
        code = self.provider.code(begun.state, self.rp.clock.now())
        order = self.rp.freja.phone.scan(code or "")
        self.rp.freja.phone.act(order.id, self.rp.people[person], "approve", ip="198.51.100.7")
        return self.look(begun, **more)


@pytest.fixture(scope="module")
def address(freja: SimFreja) -> Iterator[str]:
    """Give the address the simulator is served at."""
    with serve_freja(freja) as served:
        yield served


Made = Callable[..., Broker]


@pytest.fixture
def made(address: str, freja: SimFreja, rp: Rp) -> Iterator[Made]:
    """Give a maker of providers."""
    providers: list[FrejaApp] = []

    def maker(**more: object) -> Broker:
        settings = Settings(
            environment="test",
            address=address,
            server_root_file=freja.server_root,
            certificate_file=freja.client_certificate,
            key_file=freja.client_key,
            jws_certificate_files=(*freja.jws_certificates, freja.expired_certificate),
            app_link=APP,
            loa_level=True,
            network_info=True,
        )
        http = partial(kept_session, timeout=(2, 2), sandbox=True)
        means = Means(clock=rp.clock, http=http, sandbox=True)
        provider = make("freja", replace(settings, **more), means)  # type: ignore[arg-type]
        assert isinstance(provider, FrejaApp)
        providers.append(provider)
        return Broker(provider, rp)

    yield maker
    for provider in providers:
        provider._service.http.close()


@pytest.mark.parametrize("moving", [{}, {"dynamic_qr": True}, {"dynamic_qr": True, "dynamic_qr_padding": True},
                                    {"dynamic_qr": True, "dynamic_qr_secret": "base64"}])  # fmt: skip
def test_signs_in_by_a_code(made: Made, moving: Mapping[str, object]) -> None:
    """A person scans the page's code, however it is made, and approves: the broker knows who and from where."""
    identity = made(**moving).go()

    assert isinstance(identity, Identity)
    assert (identity.loa, identity.app_ip) == (LoA.SUBSTANTIAL, "198.51.100.7")
    assert identity.number is not None


def test_signs_in_by_a_link(made: Made) -> None:
    """On the same device the app leads back to the transaction's own handle."""
    broker = made()
    begun = broker.provider.begin(broker.asked(device=Device.THIS))

    order = broker.rp.freja.phone.follow(broker.provider.link(begun.state, Visitor()))

    back = broker.rp.freja.phone.act(order.id, broker.rp.people["samir"], "approve")
    assert back == f"{CALLBACK}?state=handle-1"
    identity = broker.look(begun)
    assert isinstance(identity, Identity)
    assert identity.number is not None
    assert identity.number.kind == SAMORDNINGSNUMMER


def test_follows_a_rotation(made: Made, freja: SimFreja) -> None:
    """A provider that was told of both certificates goes on when the next one signs."""
    broker = made()
    freja.rotate()

    assert isinstance(broker.go(), Identity)
    freja.rotate()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [("cancel", Cancelled), ("REJECTED", Refused), ("EXPIRED", Refused)],
)
def test_failures(made: Made, outcome: str, error: type[ProviderError]) -> None:
    """What a person does in the app is what the broker hears."""
    broker = made()
    begun = broker.provider.begin(broker.asked())
    broker.rp.act("open")
    opened = broker.look(begun)
    assert isinstance(opened, Wait)
    assert opened.progress is Progress.OPENED

    broker.rp.act(outcome)

    with pytest.raises(error):
        broker.look(opened)


@pytest.mark.parametrize("person", ["elin", "eero", "dagny"])
def test_too_low_a_level(made: Made, person: str) -> None:
    """Where Plus is asked for nobody else comes in; where less will do, nobody's foreign number is taken."""
    broker = made()
    with pytest.raises(Refused):
        broker.go(person)

    identity = broker.go(person, loa=LoA.LOW)

    assert isinstance(identity, Identity)
    assert (identity.loa, identity.number) == (LoA.LOW, None)


def test_a_drop_ends_it(made: Made) -> None:
    """An order that the broker drops can be opened by nobody."""
    broker = made()
    begun = broker.provider.begin(broker.asked())
    code = broker.provider.code(begun.state, broker.rp.clock.now())

    broker.provider.drop(begun.state)

    with pytest.raises(Unreadable):
        broker.rp.freja.phone.scan(code or "")


@pytest.mark.parametrize("lie", sorted(LIES - {"slow_drip"}))
def test_no_lie_makes_a_sign_in_wrong(made: Made, rp: Rp, lie: str) -> None:
    """Told while a result is read, a lie proves nothing, or nothing but the truth."""
    broker = made()
    rp.approved("samir")
    begun = broker.provider.begin(broker.asked())
    rp.act("approve")
    rp.faults.set("freja", {"lies": [lie]})

    try:
        found = broker.look(begun)
    except (Untrusted, Refused, Unreachable):
        found = begun

    assert isinstance(found, Identity) == (lie in TRUE)
    if isinstance(found, Identity):
        number = None if lie in NUMBERLESS else rp.people["bjorn"].number
        assert (found.number.value if found.number else None) == number


@pytest.mark.parametrize("lie", sorted(LIES - {"slow_drip"}))
def test_no_lie_breaks_a_start(made: Made, rp: Rp, lie: str) -> None:
    """Told while an order is made, a lie makes it, or the broker says that Freja cannot be reached."""
    broker = made(dynamic_qr=True)
    rp.faults.set("freja", {"lies": [lie]})

    try:
        begun = broker.provider.begin(broker.asked())
    except (Refused, Unreachable):
        return

    code = broker.provider.code(begun.state, rp.clock.now())
    assert rp.freja.phone.scan(code or "").status == "DELIVERED_TO_MOBILE"
