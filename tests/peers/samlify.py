"""samlify as an identity provider: suomi.fi to one table of ours, the Danish gateway to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from idbroker.providers._oiosaml.gateways import ATTRIBUTES
from idbroker.providers._oiosaml.gateways import PERSON as CITIZEN
from idbroker.providers.suomifi import LOA2
from idbroker.saml import names
from idbroker.sandbox.people import SimPerson
from tests.door import Browser, Door
from tests.peers.node import Peer, run
from tests.peers.saml_world import make_pair, open_saml_door, our_metadata

FINN, DANE = "suomi", "gateway"


@dataclass(kw_only=True)
class Samlify:
    """A running samlify, and where its keys and its metadata lie."""

    peer: Peer
    folder: Path
    address: str

    @property
    def metadata_file(self) -> Path:
        """Return where its metadata is put for us."""
        return self.folder / "idp.xml"

    def signs_with(self, pair: str) -> None:
        """Have it use a pair of keys from now on."""
        self.peer.does("set", pair={"key": self._read(f"{pair}.key"), "certificate": self._read(f"{pair}.crt")})

    def describe(self, *more: str) -> None:
        """Write its metadata for us, with the certificates of more pairs."""
        document = self.peer.does("metadata", more=[self._read(f"{pair}.crt") for pair in more])
        self.metadata_file.write_text(document)

    def knows(self, door: Door) -> None:
        """Give it our metadata as it is now, and everybody who may sign in."""
        parties = {name: _party(name, our_metadata(door, name), door.people) for name in (FINN, DANE)}
        self.peer.does("set", parties=parties)

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text()


@contextmanager
def samlify(folder: Path) -> Iterator[tuple[Door, Samlify]]:
    """Serve it and the broker; each has read the other's metadata."""
    folder.joinpath("idp").mkdir()
    with run("samlidp.mjs") as peer:
        idp = Samlify(peer=peer, folder=folder / "idp", address=str(peer.does("listen")))
        for pair in ("first", "second"):
            make_pair(idp.folder, pair)
        peer.does("set", cipher=names.AES256_GCM, encrypt_to=0, slo="redirect", parties={})
        idp.signs_with("first")
        idp.describe()
        with open_saml_door(folder, lambda _: _tables(idp)) as door:
            idp.knows(door)
            yield door, idp


def _tables(idp: Samlify) -> Mapping[str, Mapping[str, Any]]:
    shared = {"idp": f"{idp.address}/idp", "metadata_file": idp.metadata_file, "environment": "test", "skew": 180}
    return {
        FINN: {"kind": "suomifi", **shared},
        DANE: {"kind": "borgeradgang", "gateway": "seb", "public": True, **shared},
    }


def _party(name: str, document: bytes, people: Mapping[str, SimPerson]) -> dict[str, Any]:
    says: Callable[[SimPerson], dict[str, Any]] = _finn if name == FINN else _dane
    return {
        "document": document.decode(),
        # OIOSAML wants the assertion signed, and leaves the response alone.
        "message_signed": name == FINN,
        "format": names.TRANSIENT if name == FINN else names.PERSISTENT,
        "context": LOA2 if name == FINN else "https://data.gov.dk/concept/core/nsis/loa/Substantial",
        "people": {one.id: says(one) for one in people.values() if one.number is not None},
    }


def _finn(person: SimPerson) -> dict[str, Any]:
    attributes = {
        "urn:oid:1.2.246.21": person.number,
        "urn:oid:1.2.246.517.3002.111.2": "true",
        "urn:oid:2.16.840.1.113730.3.1.241": person.name,
    }
    return {"attributes": attributes}


def _dane(person: SimPerson) -> dict[str, Any]:
    told = {
        "version": "OIO-SAML-3.0",
        "level": "Substantial",
        "number": person.number,
        "name": person.name,
        "given_name": person.given_name,
        "family_name": person.family_name,
    }
    attributes = {ATTRIBUTES[word][0]: value for word, value in told.items()}
    return {"name_id": f"{CITIZEN}{person.uuid}", "attributes": attributes}


def left_there(idp: Samlify, browser: Browser, party: str) -> requests.Response:
    """Leave at the identity provider, which tells one party."""
    return browser.get(f"{idp.address}/leave?party={party}")
