"""Our metadata for an identity provider: what it says, who can verify it, and when it becomes another."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.errors import OperatorError
from idbroker.keyset import Use
from idbroker.providers import NoKeys
from idbroker.providers._saml import CHAINS, OurMetadata
from idbroker.providers.suomifi import EIDAS2, EIDAS3, LOA2, LOA3, Settings, SuomiFi, make
from idbroker.saml.publishing import Contact, Display, Organization
from tests.providers.saml_party import World, make_world
from tests.saml import test_publishing
from tests.saml.idp import certificate
from tests.saml.metadata_documents import base64_of
from tests.saml.test_xmlsec1 import run

world = pytest.fixture(make_world)
schema = test_publishing.schema
MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
ALL = {"fi": "Terveysasema", "sv": "Hälsostation", "en": "Health centre"}
URLS = {language: f"https://clinic.example.test/{language}" for language in ALL}
WHOLE: dict[str, Any] = {
    "service_names": ALL,
    "display": Display(names=ALL, descriptions=ALL, privacy_statements=URLS),
    "organization": Organization(names=ALL, display_names=ALL, urls=URLS),
    "contacts": (Contact(kind="technical", given_name="Service", surname="Desk", email="desk@clinic.example.test"),),
}


def suomifi(world: World, **more: Any) -> SuomiFi:
    """Return the provider, with all that suomi.fi wants to know of us."""
    return make("suomifi", Settings(**world.table(**{**WHOLE, **more})), world.means())


def parsed(world: World, provider: SuomiFi | None = None, **more: Any) -> etree._Element:
    """Return our metadata of now."""
    return etree.fromstring((provider or suomifi(world, **more)).metadata(world.clock.now()))


def traits(root: etree._Element) -> dict[str, list[str]]:
    """Return our entity attributes, by name."""
    found = root.iterfind(f"{MD}Extensions//{{*}}Attribute")
    return {str(one.get("Name")).removeprefix(OID): [value.text or "" for value in one] for one in found}


OID = "urn:oid:1.2.246.517.3003.111."


def test_addresses(world: World) -> None:
    """The document's own address is our entity id, and names the addresses that the broker has for this provider."""
    root = parsed(world)
    places = [(one.tag.removeprefix(MD), one.get("Location")) for one in root.iter() if one.get("Location")]

    assert root.get("entityID") == "https://broker.example.test/metadata/suomifi"
    assert set(places) == {
        ("AssertionConsumerService", "https://broker.example.test/callback/suomifi"),
        ("SingleLogoutService", "https://broker.example.test/logout/suomifi"),
    }


def test_entity_id(world: World) -> None:
    """An operator who is already known by another entity id keeps it, in the document and in requests."""
    assert parsed(world, entity_id="urn:clinic:broker").get("entityID") == "urn:clinic:broker"


@pytest.mark.parametrize(
    ("more", "methods", "eidas"),
    [
        ({}, [LOA2, LOA3], "none"),
        ({"methods": (LOA3,)}, [LOA3], "none"),
        ({"eidas": "full"}, [LOA2, LOA3, EIDAS2, EIDAS3], "full"),
        ({"eidas": "form", "foreign": True}, [LOA2, LOA3, EIDAS2, EIDAS3, "urn:oid:1.2.246.517.3002.110.7"], "form"),
        ({"environment": "test"}, [LOA2, LOA3, "urn:oid:1.2.246.517.3002.110.999"], "none"),
    ],
)
def test_methods(world: World, more: dict[str, Any], methods: list[str], eidas: str) -> None:
    """suomi.fi reads from our metadata which methods to offer: those that the settings accept, and no others."""
    told = traits(parsed(world, **more))

    assert (told["FinnishAuthMethod"], told["14"]) == (methods, [eidas])


@pytest.mark.parametrize(("cipher", "told"), [("AES-GCM", ["AES-GCM"]), ("AES-CBC", ["AES-CBC"]), ("any", None)])
def test_traits(world: World, cipher: str, told: list[str] | None) -> None:
    """It says whether the register must know the person, and what to encrypt with; endpoints are always checked."""
    found = traits(parsed(world, cipher=cipher, cbc=True, vtj_required=False))

    assert (found["3"], found["4"], found.get("26")) == (["false"], ["false"], told)


@pytest.mark.parametrize(("extent", "count"), [("limited", 7), ("medium", 16), ("large", 18)])
def test_attributes(world: World, extent: str, count: int) -> None:
    """No more is asked for than the licence of the service lets us be told."""
    asked = [str(one.get("Name")) for one in parsed(world, extent=extent).iter(f"{MD}RequestedAttribute")]

    assert len(asked) == count
    assert not [name for name in asked if "PersonIdentifier" in name or "3002.111.17" in name]


def test_ciphers(world: World) -> None:
    """Who must not use AES-CBC with us is not told that they may."""

    def named(*, cbc: bool) -> str:
        return " ".join(str(one.get("Algorithm")) for one in parsed(world, cbc=cbc).iter(f"{MD}EncryptionMethod"))

    assert "cbc" in named(cbc=True)
    assert "cbc" not in named(cbc=False)


@pytest.mark.peers
@pytest.mark.parametrize("more", [{}, {"eidas": "full", "foreign": True, "extent": "large", "cbc": True}])
def test_schema(world: World, schema: etree.XMLSchema, more: dict[str, Any]) -> None:
    """It is as SAML's schemas want it, with one key of each kind and in the middle of a rollover."""
    schema.assertValid(parsed(world, **more))
    world.keys.signing, world.keys.sealing = ("ours", "ours-next"), ("sp", "sp-next")

    schema.assertValid(parsed(world, metadata_valid=timedelta(days=30), **more))


def verifies(folder: Path, document: bytes, by: str) -> bool:
    """Tell whether xmlsec1 verifies a metadata document with the certificate of a name."""
    (folder / "by.pem").write_bytes(certificate(by).public_bytes(Encoding.PEM))
    options = ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", "--pubkey-cert-pem", "by.pem"]
    return run(folder, document, "--verify", *options).returncode == 0


@pytest.mark.peers
def test_second_opinion(world: World, tmp_path: Path) -> None:
    """xmlsec1 verifies it with our signing certificate, and not when a word was changed."""
    document = suomifi(world).metadata(world.clock.now())

    assert verifies(tmp_path, document, "ours")
    assert not verifies(tmp_path, document, "evil")
    assert not verifies(tmp_path, document.replace(b"/callback/suomifi", b"/callback/evilevi"), "ours")


# ---- when it becomes another --------------------------------------------------------------------------


def test_the_same_until_something_changes(world: World) -> None:
    """Equal settings and keys give equal bytes, in every worker: who compares sees no change that is none."""
    one, other = suomifi(world), suomifi(world)
    first = one.metadata(world.clock.now())
    world.clock.move(timedelta(days=100))

    assert first == one.metadata(world.clock.now()) == other.metadata(world.clock.now())


def keys_in(root: etree._Element, use: str) -> list[str]:
    """Return the certificates for a use, in order."""
    found = [one for one in root.iter(f"{MD}KeyDescriptor") if one.get("use") == use]
    return ["".join(map(str, one.itertext())).strip() for one in found]


def shown(*names: str) -> list[str]:
    """Return certificates as metadata has them."""
    return [base64_of(certificate(name)).replace("\n", "") for name in names]


def test_a_staged_key(world: World) -> None:
    """A key that is to come is in it before it is used, behind the one that is: theirs must know it by then."""
    provider = suomifi(world)
    before = provider.metadata(world.clock.now())
    world.keys.signing, world.keys.sealing = ("ours", "ours-next"), ("sp", "sp-next")
    root = parsed(world, provider)

    assert provider.metadata(world.clock.now()) != before
    assert keys_in(root, "signing") == shown("ours", "ours-next")
    assert keys_in(root, "encryption") == shown("sp", "sp-next")


@pytest.mark.peers
def test_it_is_signed_with_the_key_that_signs(world: World, tmp_path: Path) -> None:
    """After the rollover the new key signs it, and the old one is behind."""
    provider = suomifi(world)
    provider.metadata(world.clock.now())
    world.keys.signing = ("ours-next", "ours")
    document = provider.metadata(world.clock.now())

    assert keys_in(etree.fromstring(document), "signing") == shown("ours-next", "ours")
    assert verifies(tmp_path, document, "ours-next")


def test_until_when(world: World) -> None:
    """Where it says until when it is true, that moves on once a day and not with every reader."""
    provider = suomifi(world, metadata_valid=timedelta(days=30))
    told = []
    for hours in (0, 14, 1, 24):
        world.clock.move(timedelta(hours=hours))
        told.append(parsed(world, provider).get("validUntil"))

    assert told == ["2026-12-22T00:00:00Z"] * 2 + ["2026-12-23T00:00:00Z", "2026-12-24T00:00:00Z"]


def test_threads(world: World) -> None:
    """Many readers at once get the same document."""
    provider, found = suomifi(world), []
    threads = [threading.Thread(target=lambda: found.append(provider.metadata(world.clock.now()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(found) == 8
    assert len(set(found)) == 1


def test_names_of_the_service(world: World) -> None:
    """Without names of its own a service is called by those shown, and else by our host."""
    shown_only = parsed(world, service_names={})
    bare = parsed(world, service_names={}, display=None)

    assert [one.text for one in shown_only.iter(f"{MD}ServiceName")] == list(ALL.values())
    assert [one.text for one in bare.iter(f"{MD}ServiceName")] == ["broker.example.test"]


def test_without_keys(world: World) -> None:
    """Without keys there is no document, and the operator is told what to do."""
    world.keys = NoKeys()  # type: ignore[assignment]  # what a start has that needs none
    party = world.party()

    with pytest.raises(OperatorError, match="key"):
        OurMetadata(party, name_id="urn:x", attributes=()).get(world.clock.now())


def test_a_start_makes_the_keys() -> None:
    """Who has such a provider has keys of both kinds made."""
    assert {chain.use for chain in CHAINS} == {Use.SAML_SIGN, Use.SAML_ENC}
