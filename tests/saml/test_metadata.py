"""What is read from an identity provider's metadata (SAML metadata 2.0)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from idbroker.saml.metadata import MAX_AGE, Binding, Endpoint, IdentityProvider, fingerprint, read
from tests.saml.metadata_documents import (
    ENTITY_ID,
    LOGOUT,
    NOW,
    SIGN_ON,
    SOAP,
    SOON,
    base64_of,
    certificate,
    curved,
    described,
    entities,
    entity,
    role,
    signed,
)

OTHER_ID = "https://other.example.test/idp"


def reading(document: bytes | str, **options: Any) -> IdentityProvider:
    """Read a document; one given as text is signed first."""
    octets = signed(document) if isinstance(document, str) else document
    known = {"signer_certificates": [certificate("federation")], "now": NOW, "entity_id": ENTITY_ID}
    return read(octets, **{**known, **options})


def test_whole() -> None:
    """A usual document is read whole: keys, addresses, formats, wishes."""
    keys = described(certificate("idp")) + described(certificate("secret"), use="encryption")

    found = reading(entity(role(keys=keys)))

    assert found == IdentityProvider(
        entity_id=ENTITY_ID,
        signing=(certificate("idp"),),
        encryption=(certificate("secret"),),
        sign_on={
            Binding.REDIRECT: "https://idp.example.test/redirect",
            Binding.POST: "https://idp.example.test/post",
        },
        logout=(
            Endpoint(
                binding=Binding.POST,
                location="https://idp.example.test/out",
                response_location="https://idp.example.test/out/answer",
            ),
            Endpoint(binding=Binding.REDIRECT, location="https://idp.example.test/out"),
        ),
        name_ids=("urn:oasis:names:tc:SAML:2.0:nameid-format:transient",),
        wants_signed_requests=True,
        valid_until=NOW + MAX_AGE,
    )


def test_two_signing_certificates() -> None:
    """During a rollover both certificates are believed, in their order (suomi.fi, NemLog-in)."""
    keys = described(certificate("idp")) + described(certificate("next"))

    assert reading(entity(role(keys=keys))).signing == (certificate("idp"), certificate("next"))


def test_key_without_use() -> None:
    """A key without `use` is for both: signing and encryption (metadata 2.4.1.1)."""
    found = reading(entity(role(keys=described(certificate("idp"), use=None))))

    assert (found.signing, found.encryption) == ((certificate("idp"),), (certificate("idp"),))


def test_key_named_twice() -> None:
    """A certificate that is listed twice counts once."""
    keys = described(certificate("idp")) + described(certificate("idp"), use=None)

    assert reading(entity(role(keys=keys))).signing == (certificate("idp"),)


def test_pss_certificate() -> None:
    """A certificate that its issuer signed with RSASSA-PSS is read, as NemLog-in's all are (OCES3)."""
    keys = described(certificate("idp", 3072, pss=True))

    assert reading(entity(role(keys=keys))).signing == (certificate("idp", 3072, pss=True),)


def test_elliptic_curve() -> None:
    """A key on an elliptic curve counts, and one that is too short does not."""
    keys = described(curved("idp")) + described(certificate("short", 1024))

    assert reading(entity(role(keys=keys))).signing == (curved("idp"),)


@pytest.mark.parametrize("options", [{"use": "signing"}, {"use": None}])
def test_certificate_of_another_role(options: dict[str, Any]) -> None:
    """Keys of another role of the same entity are not the identity provider's."""
    other = role(keys=described(certificate("other"), **options), kind="AttributeAuthorityDescriptor", sign_on="")

    assert reading(entity(other, role())).signing == (certificate("idp"),)


def test_rollover_of_the_signer() -> None:
    """Two signers may be configured: the document may be signed by either."""
    both = [certificate("federation"), certificate("federation 2")]

    for signer in ("federation", "federation 2"):
        assert reading(signed(entity(), signer), signer_certificates=both).entity_id == ENTITY_ID


@pytest.mark.parametrize(
    "spelling", [str, str.upper, lambda hexed: ":".join(hexed[i : i + 2] for i in range(0, 64, 2))]
)
def test_pinned_fingerprint(spelling: Any) -> None:
    """The signer may be pinned by the SHA-256 of its certificate, however an operator spells it."""
    pinned = spelling(fingerprint(certificate("federation")))

    found = reading(entity(), signer_certificates=[], signer_fingerprints=[pinned])

    assert found.entity_id == ENTITY_ID


def test_trusted_file() -> None:
    """A file that the operator trusts needs no signature: NemLog-in's has none."""
    found = reading(entity().encode(), signer_certificates=[], file_trusted=True)

    assert found.signing == (certificate("idp"),)


def test_comments() -> None:
    """Comments between elements, as people write them into files, do no harm."""
    text = entity(first="<!-- ours -->").replace("</md:EntityDescriptor>", "<!-- end --></md:EntityDescriptor>")

    assert reading(text).signing == (certificate("idp"),)
    assert reading(text.encode(), signer_certificates=[], file_trusted=True).signing == (certificate("idp"),)


@pytest.mark.parametrize(("wanted", "other"), [("https://saml.example.test/", "https://saml.example.test")])
def test_slash(wanted: str, other: str) -> None:
    """Ids that differ by a slash are two parties, each found under its own id (NemLog-in 3.0 and 4.0)."""
    slash = entity(entity_id=wanted)
    bare = entity(role(keys=described(certificate("other"))), entity_id=other)
    document = signed(entities(slash, bare))

    assert reading(document, entity_id=wanted).signing == (certificate("idp"),)
    assert reading(document, entity_id=other).signing == (certificate("other"),)


def test_nested_federation() -> None:
    """An entity is found among others, and in federations of federations (metadata 2.3.1)."""
    inner = entities(entity(entity_id=OTHER_ID), entity())

    assert reading(entities(entity(entity_id=f"{OTHER_ID}/2"), inner)).entity_id == ENTITY_ID


@pytest.mark.parametrize("where", ["root", "inner", "entity", "role"])
def test_valid_until(where: str) -> None:
    """The earliest validUntil of all that enclose the role holds (metadata 4.3.1)."""
    until = {one: f'validUntil="{SOON}"' if one == where else "" for one in ("root", "inner", "entity", "role")}
    late = 'validUntil="2026-12-10T09:00:00Z"'
    described_role = role(attributes=until["role"] or late)
    inner = entities(entity(described_role, attributes=until["entity"] or late), attributes=until["inner"] or late)

    found = reading(entities(inner, attributes=until["root"] or late))

    assert found.valid_until == NOW + timedelta(days=7)


@pytest.mark.parametrize("stated", ["", 'validUntil="2046-01-01T00:00:00Z"'])
def test_maximum_age(stated: str) -> None:
    """A copy is believed no longer than the maximum age, whatever it says of itself."""
    assert reading(entity(attributes=stated), max_age=timedelta(days=2)).valid_until == NOW + timedelta(days=2)


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("PT6H", timedelta(hours=6)),
        ("P1D", timedelta(days=1)),
        ("P0Y0M30DT0H0M0.000S", timedelta(days=30)),
        ("P1Y2M3DT4H5M6S", timedelta(days=365 + 56 + 3, hours=4, minutes=5, seconds=6)),
        ("PT0S", timedelta(minutes=5)),
    ],
)
def test_cache_duration(stated: str, meant: timedelta) -> None:
    """CacheDuration says when to ask again, though never without a pause."""
    assert reading(entity(attributes=f'cacheDuration="{stated}"')).refresh_after == meant


def test_shortest_cache_duration() -> None:
    """The shortest cacheDuration of all that enclose the role holds (metadata 4.3.1)."""
    inside = entity(role(attributes='cacheDuration="PT2H"'), attributes='cacheDuration="PT3H"')

    assert reading(entities(inside, attributes='cacheDuration="P1D"')).refresh_after == timedelta(hours=2)


def test_unknown_bindings() -> None:
    """Endpoints of bindings that we do not speak are passed over; of one binding the first counts."""
    shibboleth = SIGN_ON.replace("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", "urn:mace:shibboleth:1.0:x")
    twice = SIGN_ON + SIGN_ON.replace("idp.example.test", "second.example.test")

    assert set(reading(entity(role(sign_on=shibboleth))).sign_on) == {Binding.POST}
    assert reading(entity(role(sign_on=twice))).sign_on[Binding.POST] == "https://idp.example.test/post"


def test_order_of_logout() -> None:
    """Logout endpoints keep the document's order, and answers go where it says (metadata 2.2.2)."""
    soap = f'<md:SingleLogoutService Binding="{SOAP}" Location="https://idp.example.test/soap"/>'

    found = reading(entity(role(logout=soap + LOGOUT)))

    assert [one.binding for one in found.logout] == [Binding.SOAP, Binding.POST, Binding.REDIRECT]
    assert [one.for_answers.rpartition("/")[2] for one in found.logout] == ["soap", "answer", "out"]


def test_loopback() -> None:
    """Simulators on this machine may speak plain http."""
    local = SIGN_ON.replace("https://idp.example.test", "http://127.0.0.1:8443")

    assert reading(entity(role(sign_on=local))).sign_on[Binding.POST] == "http://127.0.0.1:8443/post"


def test_folded_certificate() -> None:
    """Certificates in lines, with tabs and at any indent, are read as they are written by hand."""
    folded = "\n\t\t" + base64_of(certificate("idp")).replace("\n", "\n\t\t") + "\n"

    assert reading(entity(role(keys=described(folded)))).signing == (certificate("idp"),)
