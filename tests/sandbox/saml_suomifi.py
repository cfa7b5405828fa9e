"""The simulated suomi.fi with one service, for the tests of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from idbroker.clock import StoppedClock
from idbroker.saml.national import finnish_attributes, finnish_entity_attributes
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.suomifi import LIES, METHODS, SimSuomiFi, make_suomifi
from tests.sandbox.saml_sp import TRANSIENT, Posted, Service, Xmlsec1, choose, idp_keys, only, posted

ORIGIN = "https://suomifi.example.test"
PLACE = "/idp/profile/SAML2/Redirect/SSO"
ALL_METHODS = sorted({context for context, _ in METHODS.values()})
HETU = "urn:oid:1.2.246.21"
VERIFIED = "urn:oid:1.2.246.517.3002.111.2"
REGISTER = "urn:oid:1.2.246.517.2002.2."
VETUMA = (
    '<samlp:Extensions><vetuma xmlns="urn:vetuma:SAML:2.0:extensions"><LG>{}</LG></vetuma></samlp:Extensions>'
    f'<samlp:NameIDPolicy Format="{TRANSIENT}" AllowCreate="true"/>'
)


def asking(clock: StoppedClock, *, methods: list[str] | None = None, vtj_required: bool = True, **more: Any) -> Service:
    """Return a service with the large licence."""
    traits = finnish_entity_attributes(methods or ALL_METHODS, vtj_required=vtj_required, eidas="full")
    attributes = finnish_attributes(more.pop("extent", "large"), eidas=True, foreign=True)
    return Service(clock=clock, traits=traits, attributes=attributes, **more)


class House:
    """The simulator with one service."""

    def __init__(self, clock: StoppedClock, folder: Path, service: Service | None = None) -> None:
        self.service = service or asking(clock)
        self.faults = Faults({"suomifi": LIES})
        self.parties = {self.service.entity_id: self.service.metadata()}
        self.sim: SimSuomiFi = make_suomifi(
            cast(clock.now().date()),
            clock,
            self.faults,
            ORIGIN,
            lambda: self.parties,
            folder=folder / "suomifi",
            keys=idp_keys("suomi.fi"),
        )
        self.client: FlaskClient = self.sim.app.test_client()
        self.xmlsec1 = Xmlsec1(folder)

    @property
    def keys(self) -> Any:
        """Return its keys."""
        return self.sim.app.extensions["idp"].keys

    def ask(self, inside: str = VETUMA.format("en"), **changes: str) -> Any:
        """Ask for a sign-in by Redirect."""
        return self.client.get(
            f"{PLACE}?{self.service.query(self.service.authn(ORIGIN + PLACE, inside=inside, **changes))}"
        )

    def sign_in(self, person: str = "tessa", outcome: str = "approve", **fields: str) -> Posted:
        """Ask, choose, and return what is posted to the service."""
        return posted(choose(self.client, self.ask(ForceAuthn="true"), person=person, outcome=outcome, **fields))

    def told(self, response: Posted) -> Any:
        """Return the assertion of a response, opened by xmlsec1."""
        return only(self.xmlsec1.decrypted(response.octets, self.service.opener), ".//saml:Assertion")
