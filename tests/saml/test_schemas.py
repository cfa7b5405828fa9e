"""Against SAML's own schemas: what we send is valid, and what has our shape is valid too."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, shape, signing, xml
from idbroker.saml.assertion import NameID
from idbroker.saml.logout import LogoutRequest, LogoutResponse
from idbroker.saml.requests import AuthnRequest, app_switch, vetuma_language
from tests.saml.idp import ACS, IDP, LOA2, NOW, SP, Says, certificate, enveloped, key, seal, sign
from tests.saml.test_mutants import rearranged
from tests.servers import missing

pytestmark = pytest.mark.peers

SCHEMAS = (Path("/usr/share/xml/opensaml"), Path("/usr/share/xml/xmltooling"))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """Return the schema of the protocol, as Debian's opensaml-schemas has it."""
    if not all(folder.exists() for folder in SCHEMAS):
        missing("SAML's schemas", "install opensaml-schemas and xmltooling-schemas")
    folder = tmp_path_factory.mktemp("schemas")
    for file in [file for one in SCHEMAS for file in one.glob("*.xsd")]:
        # They name one another by addresses on the web; here they lie side by side.
        text = re.sub(r"""(schemaLocation=["'])[^"']*/""", r"\1", file.read_text(encoding="utf-8"))
        (folder / file.name).write_text(text, encoding="utf-8")
    return etree.XMLSchema(file=str(folder / "saml-schema-protocol-2.0.xsd"))


REQUEST = AuthnRequest(id="_1", issued=NOW, issuer=SP, destination=IDP, acs_url=ACS)
EXTENSIONS = (vetuma_language("fi"), app_switch("Android", ACS))
LOGOUT = LogoutRequest(id="_1", issued=NOW, issuer=SP, destination=IDP, name_id=NameID(value="x", name_qualifier=IDP))
MESSAGES = [
    REQUEST,
    replace(REQUEST, force=True, passive=True, contexts=(LOA2,), attribute_index=0, extensions=EXTENSIONS),
    replace(REQUEST, name_id_format=None),
    LOGOUT,
    replace(LOGOUT, session_indexes=("a", "b"), not_on_or_after=NOW + timedelta(minutes=1)),
    LogoutResponse(id="_1", issued=NOW, issuer=SP, destination=IDP, in_response_to="_2"),
    LogoutResponse(
        id="_1", issued=NOW, issuer=SP, destination=IDP, in_response_to="_2", statuses=(names.RESPONDER, names.SUCCESS)
    ),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_ours(message: AuthnRequest | LogoutRequest | LogoutResponse, schema: etree.XMLSchema) -> None:
    """Whatever we send is valid, signed and unsigned."""
    schema.assertValid(message.element())
    schema.assertValid(etree.fromstring(signing.signed(message.element(), key("sp"), certificate("sp"))))


# Without certificates in KeyInfo: what is in there is left open by us, for it is never read.
GOOD = [
    sign(enveloped(seal(sign(Says().assertion()))), keyinfo=False),
    enveloped(seal(sign(Says().assertion()), beside=True)),
    sign(enveloped(sign(Says(session_end="2026-11-22T10:00:00Z").assertion(), keyinfo=False)), keyinfo=False),
]
CHANGES = st.lists(
    st.tuples(st.sampled_from(["copy", "move", "drop"]), st.integers(0, 80), st.integers(0, 80), st.integers(0, 4)),
    min_size=0,
    max_size=2,
)


@settings(max_examples=600)
@given(which=st.integers(0, len(GOOD) - 1), changes=CHANGES)
def test_our_shape_is_narrower(schema: etree.XMLSchema, which: int, changes: list[tuple[str, int, int, int]]) -> None:
    """What the table lets pass, the schemas let pass: it leaves nothing out that they ask for."""
    root = etree.fromstring(GOOD[which])
    for change in changes:
        root = rearranged(root, *change)
    try:
        parsed = xml.parse(etree.tostring(root))
        shape.check(parsed, names.RESPONSE)
    except Untrusted:
        return

    schema.assertValid(parsed)
