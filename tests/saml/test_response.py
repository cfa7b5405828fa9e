"""What a response must be to be believed, field by field (SAML profiles, 4.1.4; standards rows S26 to S34 and S39)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from idbroker.errors import Cancelled, Refused, Untrusted
from idbroker.saml import names
from idbroker.saml.assertion import Assertion, NameID
from idbroker.saml.response import Expected, read
from tests.saml.idp import (
    ACS,
    ATTRIBUTES,
    IDP,
    LOA2,
    NAMESPACES,
    NOW,
    REQUEST,
    SP,
    SUCCESS,
    Says,
    at,
    certificate,
    enveloped,
    expected,
    key,
    loosely,
    plain,
    posted,
    response,
    seal,
    sign,
)

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def refused(text: str, why: str, expecting: Expected | None = None) -> None:
    """Assert that a response is not believed, for this reason, and that the reason quotes nothing of it."""
    with pytest.raises(Untrusted) as caught:
        read(posted(text), expecting or expected())
    assert re.search(why, caught.value.detail), caught.value.detail
    assert not any(value in caught.value.detail for value in [*ATTRIBUTES.values(), IDP, SP, "evil"] if value != "true")


def believed(says: Says | None = None, **changes: Any) -> Assertion:
    """Return what is read from a response of the usual kind."""
    return read(posted(response(says)), expected(**changes))


def test_everything_is_read() -> None:
    """What was asserted comes out whole: name with its qualifiers, session, context, moments, attributes."""
    found = believed(Says(session_end=at(NOW + timedelta(minutes=30))))

    assert found == Assertion(
        id="_assertion1",
        issuer=IDP,
        issued=NOW,
        name_id=NameID(value="AAdzZWNyZXQx", format=names.TRANSIENT, name_qualifier=IDP, sp_name_qualifier=SP),
        context=LOA2,
        authenticated_at=NOW - timedelta(seconds=30),
        not_on_or_after=NOW + timedelta(minutes=5),
        session_index="_session1",
        session_not_on_or_after=NOW + timedelta(minutes=30),
        attributes={name: (value,) for name, value in ATTRIBUTES.items()},
    )
    assert found.one("urn:oid:1.2.246.21") == ATTRIBUTES["urn:oid:1.2.246.21"]
    assert found.one("urn:oid:9") is None


def test_nothing_personal_is_shown() -> None:
    """The value may be logged: neither the name nor an attribute is in its representation."""
    shown = repr(believed())

    assert not [value for value in [*ATTRIBUTES.values(), "AAdzZWNyZXQx", "_session1"] if f"'{value}'" in shown]


def test_oiosaml() -> None:
    """OIOSAML: the response is not signed, the encrypted assertion is, and it is found in a name of its own form."""
    subject = f'<saml:NameID Format="{names.PERSISTENT}">https://data.gov.dk/model/core/eid/person/uuid/1</saml:NameID>'
    text = enveloped(seal(sign(Says(subject=subject, context="urn:other").assertion())))

    found = read(posted(text), expected(response_signed=False, contexts=None))

    assert found.name_id == NameID(value="https://data.gov.dk/model/core/eid/person/uuid/1", format=names.PERSISTENT)


def test_the_response_alone_may_be_signed() -> None:
    """Where the provider signs the response only, it covers the assertion in it; encrypted or not."""
    for inside in (seal(Says().assertion()), Says().assertion()):
        text = sign(enveloped(inside))
        assert read(posted(text), expected(assertion_signed=False, encrypted=False)).id == "_assertion1"
        refused(text, "assertion: not signed", expected(encrypted=False))
    with pytest.raises(ValueError, match="must be signed"):
        expected(assertion_signed=False, response_signed=False)


def test_an_encrypted_name() -> None:
    """A name that is encrypted by itself, inside the signed assertion, is read too."""
    name = f'<saml:NameID {NAMESPACES} Format="{names.PERSISTENT}">somebody</saml:NameID>'
    says = Says(subject=seal(name, around="saml:EncryptedID"))

    assert believed(says).name_id.value == "somebody"
    other = Says(subject=seal(Says().assertion(), around="saml:EncryptedID"))
    refused(response(other), "shape: another element")


@pytest.mark.parametrize("text", ["", "AAAA", "%%%", "PHg+", "PHg+\x00", "é"])
def test_noise_is_refused(text: str) -> None:
    """What is not base64 of well-formed XML is refused like anything else that is not believed."""
    with pytest.raises(Untrusted):
        read(text, expected())


def test_line_breaks_in_base64_are_read() -> None:
    """Base64 may come in lines (RFC 2045), and has no other spelling than one."""
    text = posted(response())
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))

    assert read(lines, expected()).id == "_assertion1"
    with pytest.raises(Untrusted, match="base64"):
        read(text[:-4] + "!" + text[-4:], expected())


def test_signatures_that_are_wanted() -> None:
    """A response or an assertion without the signature that is wanted is refused, and so is a clear assertion."""
    refused(plain(), "response: not signed", expected(encrypted=False))
    refused(plain(), "not encrypted", expected(response_signed=False))
    refused(enveloped(Says().assertion()), "assertion: not signed", loosely())
    refused(sign(enveloped(seal(Says().assertion()))), "assertion: not signed")


def test_a_signature_that_is_not_wanted_must_verify() -> None:
    """One signature too many is verified like the others: nothing that does not verify is passed over."""
    refused(sign(plain(), by="somebody"), "signature: not by", loosely())
    inside = sign(Says().assertion(), by="somebody")
    refused(sign(enveloped(inside)), "signature: not by", expected(assertion_signed=False, encrypted=False))


def test_rollover() -> None:
    """Two signing certificates of theirs and two keys of ours, in any order: either will do (S38)."""
    both = (certificate("next"), certificate("idp"))
    keys = (key("next"), key("sp"))

    assert believed(certificates=both, keys=keys).id == "_assertion1"
    assert believed(certificates=both[::-1], keys=keys[::-1]).id == "_assertion1"
    refused(response(), "signature: not by", expected(certificates=both[:1]))
    refused(response(), "signature: not by", expected(certificates=()))
    refused(response(), "decryption: failed", expected(keys=keys[:1]))
    refused(response(), "decryption: failed", expected(keys=()))


def test_s26_two_assertions() -> None:
    """S26 (CVE-2026-2092): the victim's encrypted assertion first, the attacker's own signed one second."""
    victim, attacker = seal(Says(name_id="victim").assertion()), sign(Says(name_id="evil").assertion())

    for both in (victim + attacker, attacker + victim, seal(attacker) + attacker):
        refused(enveloped(both), "more than one", expected(response_signed=False, encrypted=False))
        refused(sign(enveloped(both)), "more than one", expected(encrypted=False))
    refused(enveloped(victim), "assertion: not signed", expected(response_signed=False))


@pytest.mark.parametrize("value", ["", "_other", REQUEST + " ", REQUEST.upper()])
def test_s29_in_response_to(value: str) -> None:
    """S29: unsolicited, to another browser's request, or the two places that name it apart: refused."""
    refused(response(InResponseTo=value), "response: to another request")
    refused(response(Says(data={"InResponseTo": value})), "assertion: to another request")
    refused(response(), "response: to another request", expected(request_id="_other"))


def test_s30_replay_can_be_told() -> None:
    """S30: the same assertion in another response has the same ID, to be remembered as long as it is good."""
    first, second = believed(), read(posted(response(ID="_another")), expected(now=NOW + MINUTE))

    assert (first.id, first.issuer, first.not_on_or_after) == (second.id, second.issuer, second.not_on_or_after)
    sooner = believed(Says(data={"NotOnOrAfter": at(NOW + MINUTE)}))
    assert sooner.not_on_or_after == NOW + MINUTE


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (Says(conditions={"NotBefore": at(NOW + 2 * MINUTE)}), "Conditions begin later"),
        (Says(conditions={"NotOnOrAfter": at(NOW - 2 * MINUTE)}), "Conditions over"),
        (Says(conditions={"NotOnOrAfter": "tomorrow"}), "not a moment"),
        (Says(conditions={"NotOnOrAfter": "2026-11-22T09:05:00"}), "not a moment"),
        (Says(conditions={"NotOnOrAfter": "2026-11-22T10:05:00+01:00"}), "not a moment"),
        (Says(conditions={"NotOnOrAfter": "2026-02-30T09:05:00Z"}), "no such day"),
        (Says(conditions={"NotOnOrAfter": "9999-12-31T23:59:59Z"}), "not a moment"),
        (Says(audience=None), "for another audience"),
        (Says(audience="https://evil.example.test"), "for another audience"),
        (Says(audience=SP + "/"), "for another audience"),
        (Says(audience=SP.upper()), "for another audience"),
        (
            Says(
                restrictions=f"<saml:AudienceRestriction><saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction>"
                "<saml:AudienceRestriction><saml:Audience>evil</saml:Audience></saml:AudienceRestriction>"
            ),
            "for another audience",
        ),
        (Says(restrictions="<saml:AudienceRestriction></saml:AudienceRestriction>"), "shape: AudienceRestriction"),
        (Says(restrictions="<saml:ProxyRestriction Count='0'/>"), "shape: an element in Conditions"),
        (Says(data={"Recipient": ""}), "another recipient"),
        (Says(data={"Recipient": "https://evil.example.test/acs"}), "another recipient"),
        (Says(data={"NotOnOrAfter": ""}), "SubjectConfirmationData: not a moment"),
        (Says(data={"NotOnOrAfter": at(NOW - 2 * MINUTE)}), "SubjectConfirmationData over"),
        (Says(data={"NotBefore": at(NOW - MINUTE)}), "has to wait"),
        (Says(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), "not a bearer"),
        (Says(method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), "not a bearer"),
        (Says(session_end=at(NOW - 2 * MINUTE)), "AuthnStatement over"),
        (Says(issued=NOW + 2 * MINUTE), "from the future"),
        (Says(authenticated=NOW + 2 * MINUTE), "authenticated in the future"),
        (Says(name_id=" "), "a name of nobody"),
        (Says(subject=""), "shape: Subject lacks"),
        (Says(more="<saml:AttributeStatement/>"), "shape: AttributeStatement lacks"),
    ],
)
def test_s31_conditions(says: Says, why: str) -> None:
    """S31 (CVE-2026-41577, CVE-2026-1190): well signed, but over, to come, for another, or for anybody: refused."""
    refused(response(says), why)


def test_s31_the_last_moment() -> None:
    """Not on or after: the skew's last microsecond is good, the next is over; before: likewise."""
    end = NOW + timedelta(minutes=5) + MINUTE

    assert believed(now=end - timedelta(microseconds=1)).id
    refused(response(), "Conditions over", expected(now=end))
    assert believed(Says(conditions={"NotBefore": at(NOW + MINUTE)})).id
    refused(response(Says(conditions={"NotBefore": at(NOW + MINUTE + SECOND)})), "begin later")
    refused(response(), "Conditions over", expected(skew=timedelta(), now=end - MINUTE))


def test_several_audiences() -> None:
    """Of several audiences of one restriction we need only be one (SAML core, 2.5.1.4)."""
    says = Says(
        restrictions="<saml:AudienceRestriction><saml:Audience>other</saml:Audience>"
        f"<saml:Audience>\n {SP}\n</saml:Audience></saml:AudienceRestriction><saml:OneTimeUse/>"
    )

    assert believed(says).id


@pytest.mark.parametrize(
    "confirmations",
    [
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>',
        "<saml:SubjectConfirmation/>",
        "",
    ],
)
def test_s31_no_confirmation(confirmations: str) -> None:
    """An assertion that nobody may bear, or two may, is refused."""
    text = re.sub("<saml:SubjectConfirmation .*</saml:SubjectConfirmation>", confirmations, Says().assertion())
    twice = re.sub("(<saml:SubjectConfirmation .*</saml:SubjectConfirmation>)", r"\1\1", Says().assertion())

    refused(enveloped(sign(text)), "SubjectConfirmation", loosely())
    refused(enveloped(sign(twice)), "more than one SubjectConfirmation", loosely())


@pytest.mark.parametrize("destination", ["", "https://evil.example.test/acs", ACS + "/", ACS + "?x=1"])
def test_s31_destination(destination: str) -> None:
    """S31: a response that was sent to another service, and forwarded to us, is refused."""
    refused(response(Destination=destination), "for another address")


def test_s32_issuers() -> None:
    """S32: one provider speaks for another, with its own key or in another's response: refused."""
    other = "<saml:Issuer>https://evil.example.test</saml:Issuer>"
    refused(response(issuer=other), "from another issuer")
    refused(response(Says(issuer="https://evil.example.test")), "from another issuer")
    refused(sign(enveloped(seal(sign(Says().assertion(), by="evil"))), by="evil"), "not by a key")
    formatted = f'<saml:Issuer Format="{names.PERSISTENT}">{IDP}</saml:Issuer>'
    refused(response(issuer=formatted), "no entity")
    qualified = f'<saml:Issuer NameQualifier="evil">{IDP}</saml:Issuer>'
    refused(response(issuer=qualified), "no entity")
    refused(enveloped(sign(Says().assertion()), issuer=""), "no Issuer", loosely())
    spelt = f'<saml:Issuer Format="{names.ENTITY}">{IDP}</saml:Issuer>'
    assert read(posted(response(issuer=spelt)), expected()).issuer == IDP


def test_s33_context() -> None:
    """S33: another way of signing in than was allowed, and one from before we asked (ForceAuthn), are refused."""
    refused(response(Says(context="http://ftn.ficora.fi/2017/loatest2")), "another context")
    refused(response(), "another context", expected(contexts=frozenset()))
    refused(response(Says(authenticated=NOW - 2 * MINUTE)), "before we asked", expected(authenticated_after=NOW))
    assert believed(authenticated_after=NOW).context == LOA2
    refused(enveloped(sign(_without("AuthnStatement"))), "no AuthnStatement", loosely())
    refused(enveloped(sign(_without("AuthnContextClassRef"))), "shape: AuthnContext lacks", loosely())


def _without(name: str) -> str:
    return re.sub(f"<saml:{name}.*</saml:{name}>", "", Says().assertion())


S = names.STATUS


@pytest.mark.parametrize(
    ("codes", "error", "reason"),
    [
        (("Requester", "AuthnFailed"), Cancelled, None),
        (("Responder", "AuthnFailed"), Cancelled, None),
        (("Responder", "NoAuthnContext"), Refused, "level_too_low"),
        (("Responder", "RequestDenied"), Refused, "eid_refused"),
        (("Responder",), Refused, "eid_refused"),
        (("evil", "worse"), Refused, "eid_refused"),
    ],
)
def test_status(codes: tuple[str, ...], error: type[Cancelled], reason: str | None) -> None:
    """What the person or the provider did is told apart; its words are not repeated."""
    text = sign(enveloped("", status=_status(*codes) + "<samlp:StatusMessage>evil &lt;b></samlp:StatusMessage>"))

    with pytest.raises(error) as caught:
        read(posted(text), expected())

    assert reason is None or getattr(caught.value, "reason", None) == reason
    assert "evil" not in caught.value.detail


def _status(*codes: str) -> str:
    inside = ""
    for code in reversed(codes):
        inside = f'<samlp:StatusCode Value="{S}{code}">{inside}</samlp:StatusCode>'
    return inside


def test_a_cancel_must_be_for_us() -> None:
    """A failure is believed as much as a success: signed where that is wanted, and in answer to our request."""
    text = enveloped("", status=_status("Requester", "AuthnFailed"))

    refused(text, "response: not signed")
    refused(sign(enveloped("", status=_status("Requester", "AuthnFailed"), InResponseTo="_other")), "another request")
    with pytest.raises(Cancelled):
        read(posted(text), loosely())


@pytest.mark.parametrize(
    "status",
    [
        _status("Success", "AuthnFailed"),
        _status("Requester", "Success"),
        _status("Requester", "AuthnFailed"),
        _status("Success", "Success"),
    ],
)
def test_s34_status_and_assertion(status: str) -> None:
    """S34: a failure that brings an assertion, or a success that hides a failure, is refused."""
    refused(sign(enveloped(seal(sign(Says().assertion())), status=status)), "contradicts itself")


def test_s34_no_status() -> None:
    """S34: no status is no success, and neither is a success without an assertion."""
    without = response().replace(f"<samlp:Status>{SUCCESS}</samlp:Status>", "")
    refused(without, "shape: Response lacks")
    refused(enveloped(sign(Says().assertion()), status=""), "shape: Status lacks", loosely())
    refused(sign(enveloped("")), "no assertion")


@pytest.mark.parametrize("version", ["1.1", "2.1", "", "2.0 "])
def test_version(version: str) -> None:
    """Only SAML 2.0 is spoken here (SAML core, 4)."""
    refused(response(Version=version), "another version|lacks an attribute")
    changed = Says().assertion().replace('Version="2.0"', f'Version="{version}"')
    refused(enveloped(sign(changed)), "another version", loosely())


def test_attributes() -> None:
    """Values come as they are: several, none, empty, escaped; an attribute that is there twice is refused (S12)."""
    several = "<saml:AttributeStatement><saml:Attribute Name='a'><saml:AttributeValue>1</saml:AttributeValue>"
    several += "<saml:AttributeValue> 2 &amp; &lt;3&gt;</saml:AttributeValue></saml:Attribute>"
    several += "<saml:Attribute Name='b'/><saml:Attribute Name='c'><saml:AttributeValue/></saml:Attribute>"
    end = "</saml:AttributeStatement>"

    found = believed(Says(more=several + end))

    assert [found.attributes[name] for name in "abc"] == [("1", " 2 & <3>"), (), ("",)]
    with pytest.raises(Untrusted, match="several values"):
        found.one("a")
    refused(response(Says(more=several + "<saml:Attribute Name='a'/>" + end)), "an attribute twice")
    nested = several.replace("2 &amp; &lt;3&gt;", "<saml:Assertion/>")
    refused(response(Says(more=nested + end)), "an element in AttributeValue")


def test_s39_texts_are_texts() -> None:
    """S39: markup in a name or value comes out as text, for the pages to escape; no error repeats it."""
    script = "&lt;script>alert(1)&lt;/script>"
    found = believed(Says(name_id=script, attributes={"a": script}))

    assert found.name_id.value == found.one("a") == "<script>alert(1)</script>"
    refused(response(issuer=f"<saml:Issuer>evil{script}</saml:Issuer>"), "^head: from another issuer$")
