"""Idura and Signicat: the same eID, other words on the wire."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from idbroker.clock import StoppedClock
from idbroker.errors import Refused, Untrusted
from idbroker.identity import LoA
from idbroker.providers.mitid import MitID
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.op import OpenIdProvider, Paths, Wanted
from idbroker.sandbox.op_web import add_op_routes
from idbroker.sandbox.people import cpr
from tests.providers.conftest import Broker
from tests.providers.upstream import CLIENTS, Journey, journey, visit
from tests.sandbox.loopback import serve

NUMBER = cpr(date(1985, 3, 14), 101)
UUID = "9a5fa6a9-52d1-4d5e-a7a2-0a5c3e5d8c11"
IDURA = {
    "identityscheme": "dkmitid",
    "authenticationtype": "urn:grn:authn:dk:mitid:high",
    "authenticationmethod": "app:1700000000000:SUBSTANTIAL:SUBSTANTIAL:HIGH:HIGH",
    "sessionindex": "session-1",
    "uuid": UUID,
    "cprNumberIdentifier": NUMBER,
    "birthdate": "1985-03-14",
    "dateofbirth": "1985-03-14",
    "age": "41",
    "name": "Anna Prøvesen",
    "loA": "SUBSTANTIAL",
    "ial": "SUBSTANTIAL",
    "aal": "HIGH",
    "fal": "HIGH",
    "country": "DK",
}
SIGNICAT_ID = {"sid": "session-2", "idp_id": UUID}
SIGNICAT = {
    "name": "Anna Prøvesen",
    "given_name": "Anna",
    "family_name": "Prøvesen",
    "birthdate": "1985-03-14",
    "nin": NUMBER,
    "nin_type": "PERSON",
    "nin_issuing_country": "DK",
    "mitid_has_cpr": "true",
    "mitid_uuid": UUID,
    "mitid_loa": "SUBSTANTIAL",
    "mitid_ial": "SUBSTANTIAL",
    "mitid_aal": "SUBSTANTIAL",
    "mitid_fal": "HIGH",
    "mitid_name_and_address_protection": "false",
}


@dataclass
class Elsewhere:
    """Another broker, which approves at once with the claims it is given."""

    issuer: str
    op: OpenIdProvider
    id_claims: Mapping[str, Any] = field(default_factory=dict)
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    wanted: Wanted | None = None

    def authorize(self) -> Response:
        """Approve."""
        self.wanted = self.op.read(request.args)
        return redirect(self.op.approve(self.wanted, f"{{{UUID}}}", self.id_claims, self.userinfo), 303)

    def parameter(self, name: str) -> str | None:
        """Return what was asked for."""
        assert self.wanted is not None
        return self.wanted.parameters.get(name)


@pytest.fixture
def elsewhere(clock: StoppedClock) -> Iterator[Elsewhere]:
    """Serve another broker."""
    made: list[Elsewhere] = []

    def broker(address: str) -> Flask:
        paths = Paths(authorize="/oauth2/authorize", token="/oauth2/token", jwks="/.well-known/jwks")
        op = OpenIdProvider(issuer=address, clock=clock, clients=CLIENTS, paths=paths)
        made.append(Elsewhere(address, op))
        app = Flask(__name__)
        add_op_routes(app, op, Faults(), "elsewhere")
        app.add_url_rule("/oauth2/authorize", "authorize", made[0].authorize, methods=["GET", "POST"])
        return app

    with serve(broker):
        yield made[0]


Dialects = Callable[..., Journey]


@pytest.fixture
def speak(elsewhere: Elsewhere, clock: StoppedClock) -> Iterator[Dialects]:
    """Give a maker of journeys in a dialect."""
    begun: list[Journey] = []

    def make(dialect: str, **more: Any) -> Journey:
        begun.append(journey(elsewhere.issuer, clock, "public", broker=dialect, **more))
        claims = {"idura": (IDURA, {}), "signicat": (SIGNICAT_ID, SIGNICAT)}[dialect]
        elsewhere.id_claims, elsewhere.userinfo = claims
        return begun[-1]

    yield make
    for each in begun:
        each.close()


@pytest.mark.parametrize(
    ("dialect", "session", "parts"),
    [("idura", "session-1", (None, None)), ("signicat", "session-2", ("Anna", "Prøvesen"))],
)
def test_reads_the_same_person(
    speak: Dialects, elsewhere: Elsewhere, dialect: str, session: str, parts: tuple[str | None, str | None]
) -> None:
    """Number, name, birth date, level and session come out of either broker's claims."""
    identity = speak(dialect).go()

    assert identity.number is not None
    assert (identity.number.value, identity.name) == (NUMBER, "Anna Prøvesen")
    assert (identity.birthdate, identity.loa) == (date(1985, 3, 14), LoA.SUBSTANTIAL)
    assert (identity.issuer, identity.subject) == (elsewhere.issuer, f"{{{UUID}}}")
    assert (identity.upstream_names[0], identity.given_name, identity.family_name) == (f"sid:{session}", *parts)


def test_asks_idura_in_its_words(speak: Dialects, elsewhere: Elsewhere) -> None:
    """Idura: the level in `acr_values`, the text in `login_hint`, the number by the scope `ssn`; a hint only pushed."""
    speak("idura").go(number_hint=NUMBER)

    text = base64.b64encode("Log ind på Klinikken".encode()).decode()
    assert elsewhere.parameter("acr_values") == "urn:grn:authn:dk:mitid:substantial"
    assert elsewhere.parameter("login_hint") == f"message:{text} sub:{NUMBER}"
    assert (elsewhere.parameter("scope"), elsewhere.parameter("ui_locales")) == ("openid ssn", "da")

    speak("idura", pushed=False).go(number_hint=NUMBER)
    assert elsewhere.parameter("login_hint") == f"message:{text}"


def test_asks_signicat_in_its_words(speak: Dialects, elsewhere: Elsewhere) -> None:
    """Signicat: the eID in `acr_values`, the number by the scope `nin`, no text without a signed request."""
    speak("signicat").go(language="fi")

    assert elsewhere.parameter("acr_values") == "idp:mitid"
    assert elsewhere.parameter("scope") == "openid profile idp-id mitid-extra nin"
    assert (elsewhere.parameter("login_hint"), elsewhere.parameter("ui_locales")) == (None, "en")


@pytest.mark.parametrize(("dialect", "claim"), [("idura", "loA"), ("signicat", "mitid_loa")])
def test_the_level_is_the_one_received(speak: Dialects, elsewhere: Elsewhere, dialect: str, claim: str) -> None:
    """A lower level is refused, a missing or unknown one not believed; what was asked for is no answer."""
    there = speak(dialect)
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({claim: "LOW"}, Refused),
        ({claim: None}, Untrusted),
        ({claim: "EXTREME"}, Untrusted),
        ({claim: 3}, Untrusted),
    ]
    id_claims, userinfo = elsewhere.id_claims, elsewhere.userinfo
    for change, error in wrong:
        elsewhere.id_claims = {**id_claims, **change} if claim in id_claims else id_claims
        elsewhere.userinfo = {**userinfo, **change} if claim in userinfo else userinfo
        with pytest.raises(error):
            there.go()


def test_signicats_protected_people_have_no_name(speak: Dialects, elsewhere: Elsewhere) -> None:
    """With `mitid_name_and_address_protection` no name is taken over, should one be there."""
    there = speak("signicat")
    for flag in ("true", True):
        elsewhere.userinfo = {**SIGNICAT, "mitid_name_and_address_protection": flag}
        identity = there.go()
        assert (identity.protected, identity.name, identity.family_name) == (True, None, None)


def test_what_was_signed_goes_before_what_was_fetched(speak: Dialects, elsewhere: Elsewhere) -> None:
    """Userinfo cannot overrule a claim of the ID token."""
    there = speak("signicat")
    elsewhere.id_claims = {**SIGNICAT_ID, "mitid_loa": "LOW"}

    with pytest.raises(Refused):
        there.go()


@pytest.mark.parametrize("number", ["0000000000", "abc", "31028512345"])
def test_a_number_that_is_none_is_not_believed(speak: Dialects, elsewhere: Elsewhere, number: str) -> None:
    """Digits that are no CPR number end the sign-in: they would become somebody's identity."""
    there = speak("idura")
    elsewhere.id_claims = {**IDURA, "cprNumberIdentifier": number}

    with pytest.raises(Untrusted):
        there.go()


def test_a_hyphen_in_the_number_does_not_count(speak: Dialects, elsewhere: Elsewhere) -> None:
    """Brokers write the number with and without a hyphen."""
    there = speak("idura")
    elsewhere.id_claims = {**IDURA, "cprNumberIdentifier": f"{NUMBER[:6]}-{NUMBER[6:]}"}

    number = there.go().number
    assert number is not None
    assert number.value == NUMBER


def test_two_upstreams_answers_do_not_mix(speak: Dialects, broker: Broker, travel: Callable[..., Journey]) -> None:
    """B1: an answer of one upstream is not taken at another's address, nor one begun at another taken over."""
    here, there = travel(), speak("idura")
    begun, elsewhere = here.begin(), there.begin()

    with pytest.raises(Untrusted, match="iss"):
        here.back(begun, visit(elsewhere.url))
    with pytest.raises(Untrusted, match="iss"):
        here.back(elsewhere, visit(begun.url))


def test_what_a_provider_can_prove(speak: Dialects) -> None:
    """The highest level is MitID's own, whichever broker brings it."""
    assert isinstance(speak("idura").provider, MitID)
    assert speak("idura").provider.loa is LoA.HIGH
