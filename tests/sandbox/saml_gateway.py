"""The simulated Danish gateway with one service, for the tests of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from idbroker.clock import StoppedClock
from idbroker.saml.metadata import Binding
from idbroker.saml.national import danish_attributes
from idbroker.sandbox.borgeradgang import LIES, SimGateway, make_borgeradgang
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from tests.sandbox.saml_sp import Posted, Service, Xmlsec1, choose, idp_keys, only, posted

ORIGIN = "https://gateway.example.test"
PLACE = "/runtime/saml2/issue.idp"
SLO = "/runtime/saml2auth/logout.idp"
CORE, EID = "https://data.gov.dk/model/core/", "https://data.gov.dk/model/core/eid/"
CONCEPT = "https://data.gov.dk/concept/core/"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
POLICY = f'<samlp:NameIDPolicy Format="{PERSISTENT}" AllowCreate="true"/>'


def asking(clock: StoppedClock, *, public: bool = True, **more: Any) -> Service:
    """Return a service, public or private."""
    return Service(clock=clock, attributes=danish_attributes(public=public), **more)


def at_least(*contexts: str, comparison: str = "minimum") -> str:
    """Return a policy, and what level is asked for."""
    told = "".join(f"<saml:AuthnContextClassRef>{one}</saml:AuthnContextClassRef>" for one in contexts)
    return f'{POLICY}<samlp:RequestedAuthnContext Comparison="{comparison}">{told}</samlp:RequestedAuthnContext>'


class Gateway:
    """The simulator with one service."""

    def __init__(
        self, clock: StoppedClock, folder: Path, service: Service | None = None, *, nemlogin: bool = False
    ) -> None:
        self.service = service or asking(clock)
        self.provider = "nemlogin" if nemlogin else "borgeradgang"
        self.place = "/idp/saml/3.0/" if nemlogin else PLACE
        self.slo = "/idp/saml/3.0/" if nemlogin else SLO
        self.faults = Faults({self.provider: LIES})
        self.parties = {self.service.entity_id: self.service.metadata()}
        self.people = {person.id: person for person in cast(clock.now().date())}
        self.sim: SimGateway = make_borgeradgang(
            self.people.values(),
            clock,
            self.faults,
            ORIGIN,
            lambda: self.parties,
            folder=folder / "gateway",
            nemlogin=nemlogin,
            keys=idp_keys("gateway"),
        )
        self.client: FlaskClient = self.sim.app.test_client()
        self.xmlsec1 = Xmlsec1(folder)

    @property
    def keys(self) -> Any:
        """Return its keys."""
        return self.sim.app.extensions["idp"].keys

    def ask(self, inside: str = POLICY, service: Service | None = None, **changes: str) -> Any:
        """Ask for a sign-in by Redirect."""
        asker = service or self.service
        text = asker.authn(ORIGIN + self.place, inside=inside, **changes)
        return self.client.get(f"{self.place}?{asker.query(text)}")

    def sign_in(self, person: str = "anna", outcome: str = "approve", inside: str = POLICY, **fields: str) -> Posted:
        """Ask, choose, and return what is posted to the service."""
        page = self.ask(inside, ForceAuthn="true")
        return posted(choose(self.client, page, person=person, outcome=outcome, **fields))

    def told(self, response: Posted) -> Any:
        """Return the assertion of a response, opened by xmlsec1."""
        return only(self.xmlsec1.decrypted(response.octets, self.service.opener), ".//saml:Assertion")


REDIRECT_FIRST = (Binding.REDIRECT, Binding.POST)
POST_FIRST = (Binding.POST, Binding.REDIRECT)
