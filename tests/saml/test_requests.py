"""What we ask for (SAML core, 3.4.1; OIOSAML 3.0.3; suomi.fi's technical description)."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from idbroker.saml import head, names
from idbroker.saml.names import saml, samlp
from idbroker.saml.requests import AuthnRequest, Comparison, app_switch, vetuma_language
from tests.saml.idp import ACS, IDP, LOA2, LOA3, NOW, SP


def request(**changes: Any) -> etree._Element:
    """Return the message of a request."""
    usual: dict[str, Any] = {"id": "_1", "issued": NOW, "issuer": SP, "destination": IDP, "acs_url": ACS}
    return AuthnRequest(**(usual | changes)).element()


def test_the_least() -> None:
    """A plain request: who asks, whom, where the answer goes; nothing is said that was not asked for."""
    assert etree.tostring(request()).decode() == (
        f'<samlp:AuthnRequest xmlns:samlp="{names.SAMLP}" xmlns:saml="{names.SAML}" ID="_1" Version="2.0" '
        f'IssueInstant="2026-11-22T09:00:00Z" Destination="{IDP}" AssertionConsumerServiceURL="{ACS}" '
        f'ProtocolBinding="{names.POST}"><saml:Issuer>{SP}</saml:Issuer>'
        f'<samlp:NameIDPolicy Format="{names.TRANSIENT}" AllowCreate="true"/></samlp:AuthnRequest>'
    )


def test_the_most() -> None:
    """Everything that can be asked for, in the schema's order."""
    made = request(
        force=True,
        passive=True,
        name_id_format=names.PERSISTENT,
        allow_create=False,
        contexts=(LOA2, LOA3),
        comparison=Comparison.MINIMUM,
        attribute_index=1,
        extensions=(vetuma_language("sv"), app_switch("iOS", "https://broker.example.test/app")),
    )

    assert [made.get(name) for name in ("ForceAuthn", "IsPassive", "AttributeConsumingServiceIndex")] == [
        "true",
        "true",
        "1",
    ]
    assert [etree.QName(child).localname for child in made] == [
        "Issuer",
        "Extensions",
        "NameIDPolicy",
        "RequestedAuthnContext",
    ]
    assert made[2].items() == [("Format", names.PERSISTENT), ("AllowCreate", "false")]
    assert made[3].get("Comparison") == "minimum"
    assert [child.text for child in made[3].iter(saml("AuthnContextClassRef"))] == [LOA2, LOA3]
    assert [child.tag for child in made[1]] == [f"{{{names.VETUMA}}}vetuma", f"{{{names.NL}}}AppSwitch"]
    assert [child.text for child in made[1].iter() if child.text] == ["sv", "iOS", "https://broker.example.test/app"]


def test_policies_can_be_left_out() -> None:
    """Without a format there is no NameIDPolicy: the provider's metadata rules."""
    assert request(name_id_format=None).find(samlp("NameIDPolicy")) is None


def test_extensions_stay_where_they_are() -> None:
    """An extension may be used again: a request takes a copy."""
    extension = vetuma_language("fi")

    first, second = (request(extensions=(extension,)) for _ in range(2))

    assert etree.tostring(first) == etree.tostring(second)
    assert extension.getparent() is None


def test_ids_are_not_guessed() -> None:
    """An ID has 160 bits of chance (SAML core, 1.3.4), begins like a name, and is never the same."""
    ids = {head.new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(one) == 41 and one.startswith("_") for one in ids)


@pytest.mark.parametrize("text", ['"/><evil/>', "<evil/>", "&evil;"])
def test_texts_are_texts(text: str) -> None:
    """Nothing we are told to put into a request becomes markup."""
    made = etree.fromstring(etree.tostring(request(issuer=text, destination=text, contexts=(text,))))

    assert (made[0].text, made.get("Destination")) == (text, text)
    assert not [one for one in made.iter() if "evil" in str(one.tag)]
