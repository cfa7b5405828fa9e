"""We and the simulated gateways, through a browser's eyes: every outcome, every lie, and logout both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from lxml import html

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ConfigError, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Form, Message, Redirect
from idbroker.providers.borgeradgang import Borgeradgang, Settings, make
from idbroker.sandbox.borgeradgang import SimGateway, make_borgeradgang
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.saml_lies import MEANINGS
from tests.providers.oiosaml_party import Danish
from tests.sandbox.loopback import serve

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

OUT = "https://broker.example.test/logout/eid"
# What is no lie to a service of OIOSAML: the response is not signed anyway, metadata is cached, nothing was asked.
_HONEST = {"unsigned_response", "no_number", "old_authn_instant", "next_key", "no_sso"}
_CIPHERS = {word for word in MEANINGS if word.startswith("aes")}
_IN_METADATA = {word for word in MEANINGS if word.startswith("metadata_")}
_LOGOUT = {word for word in MEANINGS if word.startswith("logout_")}
_LIES = sorted(MEANINGS.keys() - _HONEST - _CIPHERS - _IN_METADATA - _LOGOUT - {"lower_context", "replayed"})


@dataclass
class Sandbox:
    """A simulated gateway, ourselves as a service of it, and a browser."""

    world: Danish
    gateway: SimGateway
    faults: Faults
    services: dict[str, bytes]
    people: dict[str, SimPerson]
    name: str
    browser: requests.Session = field(default_factory=requests.Session)

    def provider(self, **more: Any) -> Borgeradgang:
        """Return our side, known to the gateway by our metadata."""
        settings: dict[str, Any] = {
            "gateway": "seb",
            "environment": "test",
            "public": True,
            "idp": self.gateway.entity_id,
            "metadata_url": self.gateway.metadata_url,
            "metadata_signer_file": self.gateway.signer_certificate,
        }
        made = make("eid", Settings(**(settings | more)), self.world.means())
        self.services[made._party.entity_id] = made.metadata(self.world.clock.now())
        return made

    def lie(self, *lies: str) -> None:
        """Have it tell these lies, and no others."""
        self.faults.set(self.name, {"lies": list(lies)})

    def sign_in(self, provider: Borgeradgang, person: str = "anna", outcome: str = "approve", **asked: Any) -> Any:
        """Go all the way, to whatever it ends in."""
        wanted = self.world.asked(**asked)
        sent = provider.begin(wanted)
        assert isinstance(sent, Redirect)
        page = self.browser.get(sent.url)
        if "SAMLResponse" not in page.text:
            page = self.browser.post(page.url, {"person": person, "outcome": outcome})
        return provider.resume(wanted, sent.state, fields_of(page))

    def message(self, url: str) -> Message:
        """Return a message that a browser brings to our logout address by Redirect."""
        return Message(now=self.world.clock.now(), url=OUT, query=urlsplit(url).query.encode())


def fields_of(page: requests.Response) -> dict[str, str]:
    """Return what a page would post by itself."""
    assert page.status_code == 200, page.text
    root = html.fromstring(page.text)
    return {str(one.get("name")): str(one.get("value")) for one in root.iterfind(".//input") if one.get("name")}


def _sandbox(world: Danish, clock: StoppedClock, folder: Path, *, nemlogin: bool) -> Iterator[Sandbox]:
    people = cast(clock.now().date())
    name = "nemlogin" if nemlogin else "borgeradgang"
    faults, services = Faults({name: frozenset({*MEANINGS, "oiosaml_4"})}), dict[str, bytes]()
    made: list[SimGateway] = []

    def simulator(origin: str) -> Flask:
        made.append(
            make_borgeradgang(people, clock, faults, origin, lambda: services, folder=folder, nemlogin=nemlogin)
        )
        return made[0].app

    with serve(simulator):
        sandbox = Sandbox(world, made[0], faults, services, {one.id: one for one in people}, name)
        yield sandbox
        sandbox.browser.close()


@pytest.fixture
def sandbox(danish: Danish, clock: StoppedClock, tmp_path: Path) -> Iterator[Sandbox]:
    """Serve the citizen gateway."""
    yield from _sandbox(danish, clock, tmp_path, nemlogin=False)


@pytest.fixture
def nemlogin(danish: Danish, clock: StoppedClock, tmp_path: Path) -> Iterator[Sandbox]:
    """Serve NemLog-in."""
    yield from _sandbox(danish, clock, tmp_path, nemlogin=True)


def test_through_the_gateway(sandbox: Sandbox) -> None:
    """A citizen signs in: their number, at the level they have; their origin is where the way leads."""
    provider = sandbox.provider()

    identity = sandbox.sign_in(provider)

    anna = sandbox.people["anna"]
    assert isinstance(identity, Identity)
    assert identity.number is not None
    assert (identity.number.value, identity.name, identity.birthdate) == (anna.number, anna.name, anna.born)
    assert identity.loa is LoA.HIGH
    assert sandbox.gateway.metadata_url.startswith(provider.origins[0])


def test_through_nemlogin(nemlogin: Sandbox) -> None:
    """NemLog-in is another table of the same module."""
    identity = nemlogin.sign_in(nemlogin.provider(gateway="nemlogin"))

    assert identity.number.value == nemlogin.people["anna"].number


def test_the_same_at_every_sign_in(sandbox: Sandbox) -> None:
    """Who comes twice is the same, and without a second look at MitID where the gateway has a session."""
    provider = sandbox.provider()

    first, second = sandbox.sign_in(provider), sandbox.sign_in(provider)

    assert (first.subject, first.upstream_names[1]) == (second.subject, second.upstream_names[1])


def test_a_power_of_attorney(sandbox: Sandbox) -> None:
    """Susan has Gerda's power of attorney: it is about Gerda's number."""
    identity = sandbox.sign_in(sandbox.provider(), "susan")

    assert [power.number.value for power in identity.powers] == [sandbox.people["gerda"].number]


def test_a_private_service(sandbox: Sandbox) -> None:
    """A private service gets no number and no powers; the number is typed and compared."""
    settings = {"public": False, "cpr": "match", "cpr_match_url": sandbox.gateway.match_url}
    provider = sandbox.provider(**settings)
    asked = sandbox.world.asked()

    shown = sandbox.sign_in(provider, "susan")

    assert isinstance(shown, Form)
    end = provider.resume(asked, shown.state, {"number": sandbox.people["susan"].number or ""})
    assert isinstance(end, Identity)
    assert end.powers == ()
    assert end.number is not None


@pytest.mark.parametrize(
    ("person", "outcome", "error", "reason"),
    [
        ("anna", "cancel", Cancelled, None),
        ("anna", "blocked", Cancelled, None),
        ("susan", "lower_level", Refused, "level_too_low"),
        ("carl", "approve", Cancelled, None),
    ],
)
def test_outcomes(sandbox: Sandbox, person: str, outcome: str, error: type[ProviderError], reason: str | None) -> None:
    """However the person ends it, the words fit."""
    provider = sandbox.provider()

    with pytest.raises(error) as caught:
        sandbox.sign_in(provider, person, outcome)

    assert getattr(caught.value, "reason", None) == reason


def test_without_a_number(sandbox: Sandbox) -> None:
    """Who has MitID and no CPR number is let in without one."""
    assert sandbox.sign_in(sandbox.provider(), "anna", "no_cpr").number is None


def test_version_4(sandbox: Sandbox) -> None:
    """A gateway that has gone on to 4.0 is understood by a table of that profile, and by no other."""
    sandbox.lie("oiosaml_4")

    assert sandbox.sign_in(sandbox.provider(profile="4")).loa is LoA.HIGH
    with pytest.raises(Untrusted, match="version"):
        sandbox.sign_in(sandbox.provider())


@pytest.mark.parametrize("lie", _LIES)
def test_lies(sandbox: Sandbox, lie: str) -> None:
    """No lie signs anybody in."""
    provider = sandbox.provider()
    sandbox.lie(lie)

    with pytest.raises(Untrusted):
        sandbox.sign_in(provider)


def test_a_weaker_way_than_asked(sandbox: Sandbox) -> None:
    """A way that is weaker than was asked for is refused by what the assertion says."""
    provider = sandbox.provider()
    sandbox.lie("lower_context")

    with pytest.raises(Refused) as caught:
        sandbox.sign_in(provider)

    assert caught.value.reason == "level_too_low"


def test_replayed(sandbox: Sandbox) -> None:
    """The answer of before, to the letter, is no answer to another request."""
    provider = sandbox.provider()
    sandbox.sign_in(provider)
    sandbox.lie("replayed")

    with pytest.raises(Untrusted):
        sandbox.sign_in(provider)


def test_not_acting_anew(sandbox: Sandbox) -> None:
    """Who must act now, and is told of from before, is not believed to have."""
    provider = sandbox.provider()
    sandbox.lie("old_authn_instant")

    with pytest.raises(Untrusted, match="before we asked"):
        sandbox.sign_in(provider, fresh=True)


@pytest.mark.parametrize("manner", sorted({"next_key", "unsigned_response"} | {c for c in _CIPHERS if "gcm" in c}))
def test_other_ways_of_being_honest(sandbox: Sandbox, manner: str) -> None:
    """What a gateway may do tomorrow works today."""
    provider = sandbox.provider()
    sandbox.lie(manner)

    assert isinstance(sandbox.sign_in(provider), Identity)


def test_cbc_cannot_be_set(sandbox: Sandbox) -> None:
    """S27: no setting makes us offer AES-CBC, which nobody signs around here."""
    with pytest.raises(ConfigError, match="cbc"):
        sandbox.provider(cbc=True)


@pytest.mark.parametrize("cipher", sorted(c for c in _CIPHERS if "cbc" in c))
def test_cbc(sandbox: Sandbox, cipher: str) -> None:
    """S27: AES-CBC under no signature is refused: whoever may send it again and again can read it."""
    provider = sandbox.provider()
    sandbox.lie(cipher)

    with pytest.raises(Untrusted):
        sandbox.sign_in(provider)


@pytest.mark.parametrize("lie", sorted(_IN_METADATA))
def test_metadata(sandbox: Sandbox, lie: str) -> None:
    """Metadata that is not the gateway's own, or is over, is none."""
    sandbox.lie(lie)

    with pytest.raises(Unreachable):
        sandbox.provider().begin(sandbox.world.asked())


def test_leaving(sandbox: Sandbox) -> None:
    """Who signs out here is signed out at the gateway: it says so, and asks the next one to act."""
    provider = sandbox.provider()
    identity = sandbox.sign_in(provider)
    leaving = sandbox.world.leaving(identity.upstream_logout)
    sent = provider.leave(leaving)
    assert isinstance(sent, Redirect)

    back = sandbox.browser.get(sent.url, allow_redirects=False)

    assert back.headers["Location"].startswith(OUT)
    assert provider.left(leaving, sent.state, sandbox.message(back.headers["Location"])) is True
    assert sandbox.sign_in(provider, "susan").subject != identity.subject


def test_being_sent_away(sandbox: Sandbox) -> None:
    """Who signs out at the gateway is signed out here: it asks by the first address of our metadata."""
    provider = sandbox.provider()
    identity = sandbox.sign_in(provider)

    asking = sandbox.browser.get(sandbox.gateway.logout_url)
    page = sandbox.browser.post(asking.url, allow_redirects=False)

    assert page.headers["Location"].startswith(OUT)
    summons = provider.summoned(sandbox.message(page.headers["Location"]))
    assert set(summons.names) & set(identity.upstream_names)
    answer = provider.dismissed(summons, sandbox.world.clock.now(), complete=True)
    assert isinstance(answer, Redirect)
    assert sandbox.browser.get(answer.url).status_code == 200


def _summoned(sandbox: Sandbox, provider: Borgeradgang) -> Any:
    """Return what we read when the person has signed out at the gateway."""
    asking = sandbox.browser.get(sandbox.gateway.logout_url)
    page = sandbox.browser.post(asking.url, allow_redirects=False)
    return provider.summoned(sandbox.message(page.headers["Location"]))


def test_the_first_logout_binding(sandbox: Sandbox) -> None:
    """The gateway takes the first address for logout that our metadata has: by POST, if that comes first."""
    provider = sandbox.provider(logout_bindings=("post", "redirect"))
    identity = sandbox.sign_in(provider)

    asking = sandbox.browser.get(sandbox.gateway.logout_url)
    fields = fields_of(sandbox.browser.post(asking.url, allow_redirects=False))

    summons = provider.summoned(Message(now=sandbox.world.clock.now(), url=OUT, fields=fields))
    assert set(summons.names) & set(identity.upstream_names)


@pytest.mark.parametrize(
    "lie",
    [
        "logout_unsigned_request",
        "logout_unknown_key",
        "logout_wrong_destination",
        "logout_other_issuer",
        "logout_expired",
    ],
)
def test_lies_about_being_sent_away(sandbox: Sandbox, lie: str) -> None:
    """A logout request that the gateway did not sign, or not for us now, ends nothing."""
    provider = sandbox.provider()
    sandbox.sign_in(provider)
    sandbox.lie(lie)

    with pytest.raises(Untrusted):
        _summoned(sandbox, provider)


@pytest.mark.parametrize("lie", ["logout_wrong_name", "logout_other_session"])
def test_somebody_else_is_sent_away(sandbox: Sandbox, lie: str) -> None:
    """A logout request about somebody else, or about another session, does not end this one."""
    provider = sandbox.provider()
    identity = sandbox.sign_in(provider)
    sandbox.lie(lie)

    assert not set(_summoned(sandbox, provider).names) & set(identity.upstream_names)


@pytest.mark.parametrize(
    "lie",
    [
        "logout_unsigned_response",
        "logout_unknown_key",
        "logout_response_to_another",
        "logout_response_wrong_destination",
    ],
)
def test_lies_about_having_left(sandbox: Sandbox, lie: str) -> None:
    """An answer that is not the gateway's to our own request does not say that anything has ended."""
    provider = sandbox.provider()
    leaving = sandbox.world.leaving(sandbox.sign_in(provider).upstream_logout)
    sent = provider.leave(leaving)
    assert isinstance(sent, Redirect)
    sandbox.lie(lie)

    back = sandbox.browser.get(sent.url, allow_redirects=False)

    with pytest.raises(Untrusted):
        provider.left(leaving, sent.state, sandbox.message(back.headers["Location"]))
