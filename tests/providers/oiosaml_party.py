"""A gateway of the tests' own that speaks OIOSAML, and we as a service of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import requests

from idbroker.identity import Identity
from idbroker.providers import Asked, Means, Redirect
from idbroker.providers._http import kept_session
from idbroker.providers.borgeradgang import Borgeradgang, Settings, make
from idbroker.sandbox.people import cpr
from tests.providers.saml_party import Came, Idp, World, read
from tests.saml.idp import IDP, Says, Sealing, seal, sign

CONCEPT = "https://data.gov.dk/concept/core/"
MODEL = "https://data.gov.dk/model/core/"
EID = f"{MODEL}eid/"
LOA, IAL, AAL = (f"{CONCEPT}nsis/{one}" for one in ("loa", "ial", "aal"))
LOA_4 = f"{CONCEPT}loa"
VERSION, CPR, BORN = f"{MODEL}specVersion", f"{EID}cprNumber", f"{EID}dateOfBirth"
PRIVILEGES = f"{EID}privilegesIntermediate"
UUID = "3f0c1f5e-6d2b-4b0e-9a41-7f5d1c1f6a10"
PERSON = f"{EID}person/uuid/{UUID}"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
NUMBER = cpr(date(1985, 3, 14), 111)  # day + 60, which CPR never gives
WARD = cpr(date(1944, 6, 12), 112)
DANE: Mapping[str, str] = {
    VERSION: "OIO-SAML-3.0",
    LOA: "Substantial",
    IAL: "High",
    AAL: "Substantial",
    f"{EID}fullName": "Dorte Prøvedatter Nielsen",
    f"{EID}firstName": "Dorte Prøvedatter",
    f"{EID}lastName": "Nielsen",
    f"{EID}cprUuid": "d5d3c2b1-0000-4000-8000-000000000001",
    BORN: "14-03-1985",
    CPR: NUMBER,
}
_BPP = "http://digst.dk/oiosaml/basic_privilege_profile"


def encoded(text: str) -> str:
    """Return a text in base64, as privileges travel."""
    return base64.b64encode(text.encode()).decode()


def listed(*groups: str, space: str = _BPP) -> str:
    """Return a list of privileges, as it travels."""
    return encoded(f'<?xml version="1.0"?><bpp:PrivilegeList xmlns:bpp="{space}">{"".join(groups)}</bpp:PrivilegeList>')


def group(number: str, *names: str, scope: str = "cprNumberIdentifier", inside: str = "") -> str:
    """Return what somebody of a number lets another do."""
    told = "".join(f"<Privilege>{name}</Privilege>" for name in names)
    return f'<PrivilegeGroup Scope="urn:dk:gov:saml:{scope}:{number}">{told}{inside}</PrivilegeGroup>'


@dataclass
class Danish(World):
    """We as a service of one gateway, whose metadata lies in a file; connections made here close with it."""

    folder: Path = field(kw_only=True)
    opened: list[requests.Session] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        self.idp.describe(signer=None)

    def means(self) -> Means:
        """Return what one worker has; sessions for mutual TLS as the product makes them."""
        return replace(super().means(), http=self._open)

    def _open(self, **options: Any) -> requests.Session:
        self.opened.append(kept_session(timeout=(2, 5), sandbox=True, **options))
        return self.opened[-1]

    def close(self) -> None:
        """Close every connection there was."""
        for session in self.opened:
            session.close()

    def table(self, **more: Any) -> dict[str, Any]:
        """Return the settings of a public service."""
        file = self.folder / "gateway.xml"
        file.write_bytes(self.idp.document)
        return {"idp": IDP, "metadata_file": file, "environment": "test", "public": True} | more

    def provider(self, **more: Any) -> Borgeradgang:
        """Return the provider."""
        return make("eid", Settings(**self.table(**more)), self.means())

    def begin(self, provider: Borgeradgang | None = None, **asked: Any) -> Visit:
        """Send somebody to the gateway."""
        provider = provider or self.provider()
        wanted = self.asked(**asked)
        sent = provider.begin(wanted)
        assert isinstance(sent, Redirect), sent
        return Visit(self, provider, wanted, sent.state, read(sent))

    def sign_in(
        self, provider: Borgeradgang | None = None, *, asked: Mapping[str, Any] | None = None, **told: Any
    ) -> Identity:
        """Go all the way, to an identity."""
        end = self.begin(provider, **(asked or {})).end(**told)
        assert isinstance(end, Identity), end
        return end


@dataclass
class Visit:
    """Somebody at the gateway."""

    world: Danish
    provider: Borgeradgang
    asked: Asked
    state: bytes
    came: Came

    def end(self, reply: Mapping[str, str] | None = None, **told: Any) -> Any:
        """Come back with what the gateway says."""
        return self.provider.resume(self.asked, self.state, reply or self.reply(**told))

    def reply(
        self, *, sealing: Sealing | None = None, by: str = "idp", response_by: str | None = None, **told: Any
    ) -> dict[str, str]:
        """Return what the browser posts: the assertion signed and sealed, the response not signed."""
        assertion = sign(says(self.world.idp, self.came, **told).assertion(), by=by)
        return self.world.idp.posted(self.came, seal(assertion, sealing or Sealing(to="sp")), by=response_by)


def says(idp: Idp, came: Came, **told: Any) -> Says:
    """Return the assertion about Dorte. `name`, `format`: her NameID; `but`: other attributes, or None for none."""
    name, kind = told.pop("name", PERSON), told.pop("format", PERSISTENT)
    attributes = {**DANE, **told.pop("but", {})}
    usual: dict[str, Any] = {
        "subject": f'<saml:NameID Format="{kind}">{name}</saml:NameID>',
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "context": "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
    }
    return idp.says(came, **(usual | told))
