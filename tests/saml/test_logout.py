"""Logout, both ways (SAML profiles, 4.4; standards row S36)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import bindings, logout, names
from idbroker.saml.assertion import NameID
from idbroker.saml.bindings import REQUEST, RESPONSE
from idbroker.saml.logout import LogoutRequest, LogoutResponse, Message
from tests.saml.idp import IDP, NAMESPACES, NOW, SP, at, certificate, key, posted, seal, sign
from tests.saml.test_bindings import deflated, query

SLO = "https://broker.example.test/saml/slo"
MINUTE = timedelta(minutes=1)
NAME = NameID(value="AAdz", format=names.TRANSIENT, name_qualifier=IDP, sp_name_qualifier=SP)
NAMED = f'<saml:NameID Format="{names.TRANSIENT}" NameQualifier="{IDP}" SPNameQualifier="{SP}">AAdz</saml:NameID>'


def expected(**changes: Any) -> logout.Expected:
    """Return what a logout message of the provider must be."""
    usual: dict[str, Any] = {
        "idp": IDP,
        "slo_url": SLO,
        "certificates": (certificate("idp"),),
        "now": NOW,
        "keys": (key("sp"),),
    }
    return logout.Expected(**(usual | changes))


def message(kind: str, inside: str, issuer: str = f"<saml:Issuer>{IDP}</saml:Issuer>", **changes: str) -> str:
    """Return a message of the provider's, unsigned."""
    usual = {"ID": "_m1", "Version": "2.0", "IssueInstant": at(NOW), "Destination": SLO}
    attributes = " ".join(f'{name}="{value}"' for name, value in {**usual, **changes}.items() if value)
    return f"<samlp:{kind} {NAMESPACES} {attributes}>{issuer}{inside}</samlp:{kind}>"


def request(inside: str = f"{NAMED}<samlp:SessionIndex>_s1</samlp:SessionIndex>", **changes: str) -> str:
    """Return the provider's LogoutRequest."""
    return message("LogoutRequest", inside, **changes)


def response(*codes: str, **changes: str) -> str:
    """Return the provider's LogoutResponse."""
    inside = ""
    for code in reversed(codes or ("Success",)):
        inside = f'<samlp:StatusCode Value="{names.STATUS}{code}">{inside}</samlp:StatusCode>'
    return message("LogoutResponse", f"<samlp:Status>{inside}</samlp:Status>", **({"InResponseTo": "_ours"} | changes))


def by_query(text: str, name: str = REQUEST, **changes: Any) -> Message:
    """Return what is read from a message that comes by Redirect."""
    return logout.read_query(query((name, deflated(text.encode()))).encode(), expected(**changes))[0]


def by_post(text: str, name: str = REQUEST, **changes: Any) -> Message:
    """Return what is read from a message that comes by POST, signed."""
    return logout.read_posted(name, posted(sign(text)), expected(**changes))


def refused(text: str, why: str, name: str = REQUEST, **changes: Any) -> None:
    """Assert that a message is refused on both ways, and why."""
    for way in (by_query, by_post):
        with pytest.raises(Untrusted, match=why):
            way(text, name, **changes)


def test_requests() -> None:
    """A request is read by both ways: name with qualifiers, sessions, end."""
    end = NOW + 3 * MINUTE
    told = LogoutRequest(
        id="_m1",
        issued=NOW,
        issuer=IDP,
        destination=SLO,
        name_id=NAME,
        session_indexes=("_s1",),
        not_on_or_after=end,
    )

    assert by_query(request(NotOnOrAfter=at(end))) == by_post(request(NotOnOrAfter=at(end))) == told
    assert told.acceptable_until == end
    assert replace(told, not_on_or_after=None).acceptable_until == NOW + 5 * MINUTE
    assert "AAdz" not in repr(told)


def test_a_request_for_all_sessions() -> None:
    """Without a SessionIndex all of them are meant (SAML core, 3.7.1); with several, these."""
    for inside, indexes in ((NAMED, ()), (NAMED + "<samlp:SessionIndex>a</samlp:SessionIndex>" * 2, ("a", "a"))):
        found = by_query(request(inside))
        assert isinstance(found, LogoutRequest)
        assert found.session_indexes == indexes


@pytest.mark.parametrize(
    "method", ["http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"]
)
def test_an_encrypted_name(method: str) -> None:
    """A name that is encrypted is opened, after the signature verified; with AES-CBC where that is allowed."""
    inside = seal(NAMED.replace("<saml:NameID", f"<saml:NameID {NAMESPACES}"), around="saml:EncryptedID", method=method)

    found = by_query(request(inside), cbc=True)
    assert isinstance(found, LogoutRequest)
    assert found.name_id == NAME
    if method.endswith("cbc"):
        refused(request(inside), "a method that is not allowed")
    refused(request(inside), "decryption: failed", keys=(), cbc=True)


@pytest.mark.parametrize(
    ("codes", "complete"),
    [
        (("Success",), True),
        (("Success", "PartialLogout"), False),
        (("Responder", "PartialLogout"), False),
        (("Requester",), False),
    ],
)
def test_responses(codes: tuple[str, ...], complete: bool) -> None:
    """A response says whether the session ended everywhere, and what it answers."""
    for way in (by_query, by_post):
        found = way(response(*codes), RESPONSE)
        assert isinstance(found, LogoutResponse)
        assert (found.in_response_to, found.complete) == ("_ours", complete)
        assert found.statuses == tuple(names.STATUS + code for code in codes)


def test_relay_states_go_along() -> None:
    """What the provider sends along by Redirect is read from the signed query, to be sent back."""
    text = query((REQUEST, deflated(request().encode())), ("RelayState", "theirs"))

    assert logout.read_query(text.encode(), expected())[1] == "theirs"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Destination": "https://evil.example.test/slo"}, "another address"),
        ({"Destination": ""}, "another address"),
        ({"Version": "1.1"}, "another version"),
        ({"issuer": "<saml:Issuer>evil</saml:Issuer>"}, "another issuer"),
        ({"IssueInstant": at(NOW - 7 * MINUTE)}, "too old"),
        ({"IssueInstant": at(NOW + 2 * MINUTE)}, "from the future"),
        ({"NotOnOrAfter": at(NOW - 2 * MINUTE)}, "over"),
        ({"inside": ""}, "shape: LogoutRequest lacks"),
        ({"inside": NAMED + NAMED}, "too many"),
        ({"inside": NAMED.replace("AAdz", " ")}, "a name of nobody"),
        ({"inside": NAMED.replace("NameID", "BaseID")}, "shape: LogoutRequest lacks"),
    ],
)
def test_s36_requests_that_are_not_for_us(changes: dict[str, str], why: str) -> None:
    """S36: signed, but kept too long, for another, from another, or about nobody: refused."""
    refused(request(**changes), why)


def test_s36_an_issuer_is_named() -> None:
    """S36: a message that does not say from whom it comes is refused."""
    with pytest.raises(Untrusted, match="no Issuer"):
        by_query(request(issuer=""))


def test_s36_unsigned() -> None:
    """S36: unsigned, signed by another, signed twice over: refused."""
    with pytest.raises(Untrusted, match="not signed"):
        logout.read_posted(REQUEST, posted(request()), expected())
    with pytest.raises(Untrusted, match="not by a key"):
        logout.read_posted(REQUEST, posted(sign(request(), by="evil")), expected())
    with pytest.raises(Untrusted, match="not signed"):
        logout.read_query(f"SAMLRequest={deflated(request().encode())}".encode(), expected())
    with pytest.raises(Untrusted, match="in the message and in the query"):
        by_query(sign(request()))
    wrapped = re.sub("(<saml:NameID.*</saml:NameID>)", r"\1<samlp:Extensions>\1</samlp:Extensions>", sign(request()))
    with pytest.raises(Untrusted, match="shape"):
        logout.read_posted(REQUEST, posted(wrapped), expected())


def test_s36_one_for_the_other() -> None:
    """S36: a response where a request belongs, a request where a response belongs, or something else."""
    refused(response(), "shape: another element", REQUEST)
    refused(request(), "shape: another element", RESPONSE)
    refused(response(InResponseTo=""), "a response to nothing", RESPONSE)
    with pytest.raises(Untrusted, match="neither"):
        by_post(request(), "SAMLart")


def test_s36_responses_lead_nowhere() -> None:
    """S36: a response holds no address to go to: what it answers is looked up, and says where."""
    found = by_query(response(), RESPONSE)

    assert [value for value in vars_of(found) if str(value).startswith("http")] == [IDP, SLO]


def vars_of(found: Message) -> list[object]:
    """Return all the values of a message."""
    return [getattr(found, name) for name in type(found).__slots__]


def test_ours_are_read() -> None:
    """What we send is what such a reader takes: by Redirect and by POST, requests and responses."""
    for ours in (
        LogoutRequest(
            id="_1",
            issued=NOW,
            issuer=SP,
            destination=SLO,
            name_id=NAME,
            session_indexes=("a", "b"),
            not_on_or_after=NOW + MINUTE,
        ),
        LogoutRequest(id="_1", issued=NOW, issuer=SP, destination=SLO, name_id=NameID(value="x")),
        LogoutResponse(id="_1", issued=NOW, issuer=SP, destination=SLO, in_response_to="_m1"),
        LogoutResponse(
            id="_1",
            issued=NOW,
            issuer=SP,
            destination=SLO,
            in_response_to="_m1",
            statuses=(names.RESPONDER, names.PARTIAL_LOGOUT),
        ),
    ):
        name, at_them = logout.relayed(ours), expected(idp=SP, certificates=(certificate("sp"),))
        url = bindings.redirect_url(SLO, name, ours.element(), key=key("sp"), relay_state="h")
        form = bindings.post_form(SLO, name, ours.element(), key=key("sp"), certificate=certificate("sp"))

        assert logout.read_query(urlsplit(url).query.encode(), at_them) == (ours, "h")
        assert logout.read_posted(name, form.fields[name], at_them) == ours


def test_our_names_come_out_as_they_came_in() -> None:
    """The NameID we name at logout is the one we were told, qualifiers and all (SAML profiles, 4.4.4.1)."""
    told = by_query(request())
    assert isinstance(told, LogoutRequest)

    assert etree.tostring(told.name_id.element()).decode().replace(f' xmlns:saml="{names.SAML}"', "") == NAMED
