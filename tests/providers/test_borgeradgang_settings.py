"""What an operator may decide about a Danish gateway, and what our metadata says of us (OIOSAML 3.0.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from idbroker.errors import ConfigError
from idbroker.providers import Means, NoKeys
from idbroker.providers.borgeradgang import CHAINS, Settings, make
from idbroker.saml import names
from tests.providers.oiosaml_party import CPR, EID, LOA_4, PRIVILEGES, Danish

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


def mistakes(danish: Danish, **more: Any) -> list[str]:
    """Return what is wrong with a table."""
    with pytest.raises(ConfigError) as caught:
        make("eid", Settings(**danish.table(**more)), danish.means())
    assert {where for where, _ in caught.value.mistakes} == {"providers.eid"}
    return [what for _, what in caught.value.mistakes]


def described(danish: Danish, **more: Any) -> etree._Element:
    """Return our metadata."""
    return etree.fromstring(danish.provider(**more).metadata(danish.clock.now()))


def asked_for(root: etree._Element) -> list[str]:
    """Return the attributes that a document asks for."""
    return [one.get("Name", "") for one in root.iter(f"{MD}RequestedAttribute")]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"gateway": "sundhed"}, "gateway: one of"),
        ({"environment": "devtest4"}, "environment: one of"),
        ({"profile": "2"}, "profile: one of"),
        ({"cpr": "guess"}, "cpr: one of"),
        ({"cpr": "attribute", "public": False}, "cpr: a private service"),
        ({"binding": "post"}, "binding: redirect"),
        ({"logout_bindings": ()}, "logout_bindings"),
        ({"logout_bindings": ("redirect", "redirect")}, "logout_bindings"),
        ({"logout_bindings": ("soap",)}, "logout_bindings"),
        ({"attributes": {"shoe_size": ("urn:x",)}}, "attributes: of"),
        ({"attributes": {"number": ()}}, "attributes: of"),
        ({"levels": {"1": "lowest"}}, "levels"),
        ({"levels": {}}, "levels"),
        ({"person_uri": ""}, "person_uri"),
        ({"hosts": ("https://login.example.dk/",)}, "hosts"),
        ({"app_switch_ios": "app.example.dk"}, "app_switch_ios"),
        ({"skew": timedelta(minutes=6)}, "skew"),
        ({"metadata_file": None}, "metadata_url or metadata_file"),
        ({"idp": "", "gateway": "seb"}, "idp: is missing"),
        ({"cpr": "match"}, "service_certificate_file, service_key_file"),
        ({"cpr": "match", "gateway": "seb"}, "cpr_match_url"),
        ({"cpr": "match", "cpr_match_url": "http://services.example.dk/"}, "cpr_match_url: an https"),
    ],
)
def test_mistakes(danish: Danish, more: dict[str, Any], what: str) -> None:
    """What cannot work is said at the start, in words that name the setting."""
    if "cpr_match_url" in what:
        file = danish.folder / "there"
        file.write_text("")
        more = {"service_certificate_file": file, "service_key_file": file, **more}
        danish.means = lambda: Means(clock=danish.clock, http=lambda **_: None)  # type: ignore[method-assign, arg-type]

    found = mistakes(danish, **more)

    assert any(one.startswith(what) for one in found), found


def test_all_mistakes_at_once(danish: Danish) -> None:
    """An operator is told of every mistake, not of the first."""
    found = mistakes(danish, binding="post", cpr="attribute", public=False, hosts=("x/y",), idp="", gateway="seb")

    assert len(found) == 4


def test_files_that_do_not_read(danish: Danish) -> None:
    """Files for the match that are not there, or that are no certificates, are said by name."""
    missing = danish.folder / "missing"
    found = mistakes(
        danish,
        cpr="match",
        service_certificate_file=missing,
        service_key_file=missing,
        service_passphrase_file=missing,
        service_root_file=missing,
    )
    assert [one.partition(":")[0] for one in found] == [
        f"service_{name}_file" for name in ("certificate", "key", "passphrase", "root")
    ]
    missing.write_text("no certificate")

    assert "do not load" in mistakes(danish, cpr="match", service_certificate_file=missing, service_key_file=missing)[0]


@pytest.mark.parametrize(
    ("environment", "profile", "idp"),
    [
        ("test", "3", "https://saml.test-nemlog-in.dk/"),
        ("test", "4", "https://saml.test-nemlog-in.dk"),
        ("production", "3", "https://saml.nemlog-in.dk"),
        ("production", "4", "https://saml.nemlog-in.dk"),
    ],
)
def test_what_nemlogin_is_called(danish: Danish, environment: Any, profile: Any, idp: str) -> None:
    """NemLog-in's names are known, octet by octet: a slash more is another party."""
    settings = Settings(environment=environment, profile=profile).filled()

    assert settings.idp == idp
    assert settings.skew == timedelta(minutes=3)


def test_tables_that_are_told(danish: Danish) -> None:
    """What is set goes before what a table has."""
    table = danish.table(level_uri="urn:l:", versions=("1",), cpr_match_url="https://match.example.dk/")

    settings = Settings(**table).filled()

    assert (settings.idp, settings.level_uri, settings.versions) == (table["idp"], "urn:l:", ("1",))
    assert settings.cpr_match_url == "https://match.example.dk/"


def test_the_keys_it_needs() -> None:
    """It names the chains of keys that are made when it is first configured."""
    assert {chain.alg for chain in CHAINS} == {"RS256", "RSA-OAEP-256"}


def test_a_public_service_asks(danish: Danish) -> None:
    """A public service asks for the number and for powers of attorney."""
    found = asked_for(described(danish))

    assert {CPR, PRIVILEGES} <= set(found)
    assert LOA_4 not in found


@pytest.mark.parametrize("profile", ["3", "4"])
def test_a_private_service_does_not_ask(danish: Danish, profile: str) -> None:
    """A private service asks for neither, whatever words its table has for them."""
    attributes = {
        "number": ("urn:x:cpr", CPR),
        "privileges": ("urn:x:privileges",),
        "name": (PRIVILEGES, CPR, "urn:x:name"),
    }

    found = asked_for(described(danish, public=False, profile=profile, attributes=attributes))

    assert "urn:x:name" in found
    assert not {CPR, PRIVILEGES, "urn:x:cpr", "urn:x:privileges"} & set(found)
    assert b"cprNumber" not in danish.provider(public=False).metadata(danish.clock.now())


def test_other_attributes_are_asked_for(danish: Danish) -> None:
    """What a table reads under another name, our metadata asks for under that name."""
    found = asked_for(described(danish, attributes={"number": ("urn:x:cpr",)}, profile="4"))

    assert found[-2:] == ["urn:x:cpr", LOA_4]
    assert len(set(found)) == len(found)


def test_what_a_gateway_must_find(danish: Danish) -> None:
    """Requests signed, assertions wanted signed, a name that lasts, one place for answers, two for logout."""
    root = described(danish)
    role = root.find(f"{MD}SPSSODescriptor")

    assert role is not None
    assert root.get("entityID") == "https://broker.example.test/metadata/eid"
    assert (role.get("AuthnRequestsSigned"), role.get("WantAssertionsSigned")) == ("true", "true")
    assert [one.text for one in role.iter(f"{MD}NameIDFormat")] == [names.PERSISTENT]
    assert [one.get("Location") for one in role.iter(f"{MD}AssertionConsumerService")] == [
        "https://broker.example.test/callback/eid"
    ]
    assert {one.get("use") for one in role.iter(f"{MD}KeyDescriptor")} == {"signing", "encryption"}


@pytest.mark.parametrize("order", [("redirect", "post"), ("post", "redirect"), ("post",)])
def test_logout_in_order(danish: Danish, order: tuple[str, ...]) -> None:
    """NemLog-in takes the first place for logout that our metadata has: the operator says which that is."""
    root = described(danish, logout_bindings=order)

    found = [one.get("Binding", "").rpartition("-")[2].lower() for one in root.iter(f"{MD}SingleLogoutService")]
    assert found == list(order)


def test_settings_can_be_checked_without_keys(danish: Danish) -> None:
    """A table is judged without our keys, which `idbroker check` does not open."""
    means = Means(clock=danish.clock, http=danish.means().http)

    provider = make("eid", Settings(**danish.table()), means)

    assert isinstance(means.keys, NoKeys)
    assert provider.title == "MitID"
    assert f"{EID}cprNumber" == CPR
