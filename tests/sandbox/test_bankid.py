"""The simulated BankID speaks the Relying Party API v6.0 as BankID does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idbroker.sandbox.bankid import PREFIX, SimBankID
from idbroker.sandbox.bankid_certificates import Parties, Unauthorized
from idbroker.sandbox.bankid_lies import STRANGER
from idbroker.sandbox.pki import new_authority
from tests.sandbox.bankid_loopback import JSON, Rp, encoded, relying_party, serve_bankid

pytest_plugins = ["tests.sandbox.bankid_fixtures"]

_MEMBERS = st.sampled_from(
    [
        *("endUserIp", "userVisibleData", "userNonVisibleData", "userVisibleDataFormat", "returnUrl", "returnRisk"),
        *("app", "web", "requirement", "personalNumber", "certificatePolicies", "risk", "pinCode", "mrtd"),
        *("referringDomain", "userAgent", "deviceIdentifier", "appIdentifier", "orderRef"),
    ]
)
UNKNOWN = "131daac9-16c6-4618-beb0-365768f37288"


@pytest.fixture
def base(bankid: SimBankID) -> Iterator[str]:
    """Serve it, with mutual TLS."""
    with serve_bankid(bankid) as base:
        yield base


def refusal(answer: Any) -> tuple[int, str]:
    """Return status and errorCode of an answer."""
    return answer.status_code, answer.get_json()["errorCode"]


def test_places_and_tells_an_order_over_mutual_tls(bankid: SimBankID, base: str) -> None:
    """Over the wire: four tokens for an order, its state as often as one asks, one connection for all of it."""
    with relying_party(bankid) as session:
        placed = session.post(f"{base}/auth", json={"endUserIp": "192.0.2.7"})
        told = [session.post(f"{base}/collect", json={"orderRef": placed.json()["orderRef"]}) for _ in range(2)]
        cancelled = session.post(f"{base}/cancel", json={"orderRef": placed.json()["orderRef"]})

    assert placed.headers["Content-Type"] == JSON
    assert set(placed.json()) == {"orderRef", "autoStartToken", "qrStartToken", "qrStartSecret"}
    assert all(len(token) == 36 for token in placed.json().values())
    pending = {"orderRef": placed.json()["orderRef"], "status": "pending", "hintCode": "outstandingTransaction"}
    assert [answer.json() for answer in told] == [pending, pending]
    assert (cancelled.status_code, cancelled.json()) == (200, {})


@pytest.mark.parametrize("who", ["expired_client", "unknown_client", None])
def test_lets_only_services_in(bankid: SimBankID, base: str, who: str | None) -> None:
    """Without a certificate of a service that is valid now, there is no connection."""
    with relying_party(bankid) as session:
        session.cert = who and (str(getattr(bankid, f"{who}_certificate")), str(getattr(bankid, f"{who}_key")))
        with pytest.raises(requests.ConnectionError):
            session.post(f"{base}/auth", json={"endUserIp": "192.0.2.7"})


def test_refuses_certificates_that_no_server_checked(rp: Rp, bankid: SimBankID) -> None:
    """Served without mutual TLS, or behind a server that lets anybody in, it still says unauthorized."""
    strangers = Parties(new_authority("Nobody", now=rp.clock.now()).certificate)
    for pem in (None, "", "no certificate", bankid.unknown_client_certificate.read_text()):
        assert refusal(rp.post("auth", {}, environ_base={"SSL_CLIENT_CERT": pem})) == (401, "unauthorized")

    with pytest.raises(Unauthorized):
        strangers.party(bankid.client_certificate.read_text())


def test_an_order_is_of_one_service(rp: Rp, bankid: SimBankID) -> None:
    """Another service's certificate neither collects nor cancels it."""
    order = rp.auth()
    rp.certificate = bankid.other_client_certificate.read_text()

    for call in ("collect", "cancel"):
        assert refusal(rp.post(call, {"orderRef": order["orderRef"]})) == (400, "invalidParameters")


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        (JSON, 200),
        ("application/json; charset=utf-8", 415),
        ("application/json;charset=UTF-8", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_takes_one_content_type(rp: Rp, type_: str, status: int) -> None:
    """`application/json`, and no charset behind it."""
    assert rp.post("auth", {"endUserIp": "192.0.2.7"}, headers={"Content-Type": type_}).status_code == status


def test_knows_its_paths_and_method(rp: Rp) -> None:
    """What is not there is notFound, and everything that is takes POST only."""
    assert refusal(rp.post("nothing", {})) == (404, "notFound")
    assert refusal(rp.http.post("/", json={})) == (404, "notFound")
    assert refusal(rp.http.get(f"{PREFIX}/auth")) == (405, "methodNotAllowed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000])
def test_refuses_what_is_no_object(rp: Rp, body: bytes) -> None:
    """The body is a JSON object."""
    answer = rp.http.post(
        f"{PREFIX}/auth", data=body, content_type=JSON, environ_base={"SSL_CLIENT_CERT": rp.certificate}
    )

    assert refusal(answer) == (400, "invalidParameters")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS | st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(body=st.dictionaries(_MEMBERS, _VALUES, max_size=8), call=st.sampled_from(["auth", "collect", "cancel"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_whatever_comes(rp: Rp, body: dict[str, Any], call: str) -> None:
    """Any JSON is an order or invalidParameters."""
    answer = rp.post(call, {"endUserIp": "192.0.2.7", **body})

    assert answer.status_code == 200 or refusal(answer) == (400, "invalidParameters")


def test_refuses_a_body_that_is_too_big(rp: Rp) -> None:
    """A megabyte is more than anybody has to ask."""
    assert rp.post("auth", {"endUserIp": "192.0.2.7", "x": "y" * 1_000_000}).status_code == 400


WEB = {"referringDomain": "login.example.se", "userAgent": "Mozilla", "deviceIdentifier": "d" * 64}


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"endUserIp": "2001:db8::7"},
        {"userVisibleData": encoded("Hej\r\nå")},
        {"userVisibleData": "A" * 1500, "userVisibleDataFormat": "plaintext"},
        {"userVisibleData": encoded("# Hej"), "userVisibleDataFormat": "simpleMarkdownV1"},
        {"userNonVisibleData": "/+8="},
        {"returnUrl": "https://login.example.se/" + "x" * 487},
        {"web": WEB},
        {"web": {"userAgent": "u" * 256}},
        {"app": {"appIdentifier": "se.example"}},
        {"app": {"deviceOS": "IOS 16.7.7"}, "web": None},
        {"requirement": {}},
        {"requirement": {"pinCode": True, "mrtd": True, "cardReader": "class1", "risk": "LOW"}},
        {"requirement": {"certificatePolicies": ["1.2.752.78.*", "1.2.3.4.25"], "risk": "moderate"}},
        {"somethingNew": {"x": 1}, "personalNumber": "of version 5", "requirement": {"new": 1}},
    ],
)
def test_takes_what_the_api_takes(rp: Rp, wish: dict[str, Any]) -> None:
    """Everything at its limits; what is not known is ignored."""
    assert len(rp.auth(**wish)) == 4


@pytest.mark.parametrize(
    ("wish", "member"),
    [
        ({"endUserIp": None}, "endUserIp"),
        ({"endUserIp": "localhost"}, "endUserIp"),
        ({"endUserIp": "192.0.2.7:80"}, "endUserIp"),
        ({"endUserIp": "::ffff:192.0.2.7"}, "endUserIp"),
        ({"endUserIp": "fe80::1%eth0"}, "endUserIp"),
        ({"endUserIp": 7}, "endUserIp"),
        ({"userVisibleData": ""}, "userVisibleData"),
        ({"userVisibleData": "A" * 1504}, "userVisibleData"),
        ({"userVisibleData": "no base64"}, "userVisibleData"),
        ({"userVisibleData": "YWE"}, "userVisibleData"),
        ({"userVisibleData": "__8="}, "userVisibleData"),
        ({"userVisibleData": "å"}, "userVisibleData"),
        ({"userVisibleData": "/w=="}, "userVisibleData"),
        ({"userVisibleData": ["YQ=="]}, "userVisibleData"),
        ({"userNonVisibleData": "A" * 1504}, "userNonVisibleData"),
        ({"userNonVisibleData": "YQ==\n"}, "userNonVisibleData"),
        ({"userVisibleDataFormat": "html"}, "userVisibleDataFormat"),
        ({"returnUrl": "https://login.example.se/" + "x" * 488}, "returnUrl"),
        ({"returnUrl": ""}, "returnUrl"),
        ({"returnRisk": "true"}, "returnRisk"),
        ({"web": WEB, "app": {"appIdentifier": "se.example"}}, "app and web"),
        ({"web": {}}, "web"),
        ({"app": {"unknown": "x"}}, "app"),
        ({"web": "x"}, "web"),
        ({"web": {"referringDomain": "https://login.example.se"}}, "referringDomain"),
        ({"web": {"referringDomain": "SE.se"}}, "referringDomain"),
        ({"web": {"referringDomain": "se"}}, "referringDomain"),
        ({"web": {"referringDomain": "x" * 254}}, "referringDomain"),
        ({"web": {"userAgent": "u" * 257}}, "userAgent"),
        ({"web": {"deviceIdentifier": "d" * 65}}, "deviceIdentifier"),
        ({"app": {"deviceOS": 7}}, "deviceOS"),
        ({"requirement": []}, "requirement"),
        ({"requirement": {"personalNumber": "8706192393"}}, "personalNumber"),
        ({"requirement": {"personalNumber": "19870619-2393"}}, "personalNumber"),
        ({"requirement": {"personalNumber": "198706192394"}}, "personalNumber"),
        ({"requirement": {"pinCode": 1}}, "pinCode"),
        ({"requirement": {"mrtd": "yes"}}, "mrtd"),
        ({"requirement": {"cardReader": "class3"}}, "cardReader"),
        ({"requirement": {"certificatePolicies": []}}, "certificatePolicies"),
        ({"requirement": {"certificatePolicies": "1.2.3"}}, "certificatePolicies"),
        ({"requirement": {"certificatePolicies": ["1.2.*"]}}, "certificatePolicies"),
        ({"requirement": {"certificatePolicies": ["1.2.752.78.1*"]}}, "certificatePolicies"),
        ({"requirement": {"certificatePolicies": [7]}}, "certificatePolicies"),
        ({"requirement": {"risk": "high"}}, "risk"),
    ],
)
def test_refuses_what_the_api_refuses(rp: Rp, wish: dict[str, Any], member: str) -> None:
    """Each mistake is invalidParameters, and places no order."""
    answer = rp.post("auth", {"endUserIp": "192.0.2.7", **wish})

    assert refusal(answer) == (400, "invalidParameters")
    assert answer.get_json()["details"] == f"Invalid parameter: {member}"
    assert rp.bankid.phone.waiting() == ()


@pytest.mark.parametrize("ref", [None, "", 7, "x" * 65, UNKNOWN])
@pytest.mark.parametrize("call", ["collect", "cancel"])
def test_refuses_an_order_that_is_none(rp: Rp, call: str, ref: object) -> None:
    """An orderRef is a text, and of an order."""
    assert refusal(rp.post(call, {"orderRef": ref})) == (400, "invalidParameters")


def test_no_token_is_another(rp: Rp) -> None:
    """An order is collected by its reference, not by what browsers are shown."""
    order = rp.auth()
    for name in ("autoStartToken", "qrStartToken", "qrStartSecret"):
        assert refusal(rp.post("collect", {"orderRef": order[name]})) == (400, "invalidParameters")
    assert refusal(rp.post("collect", {"orderRef": rp.id()})) == (400, "invalidParameters")


def test_completion_has_what_the_api_tells(rp: Rp) -> None:
    """completionData: person, device, date of issue, step-up, evidence; no hintCode, no risk unless it is asked."""
    order = rp.auth()
    rp.act("approve", ip="198.51.100.4")
    told = rp.collect(order)
    completion = told["completionData"]

    assert set(told) == {"orderRef", "status", "completionData"}
    assert set(completion) == {"user", "device", "bankIdIssueDate", "stepUp", "signature", "ocspResponse"}
    bjorn = rp.people["bjorn"]
    assert completion["user"] == {
        "personalNumber": bjorn.number,
        "name": bjorn.name,
        "givenName": bjorn.given_name,
        "surname": bjorn.family_name,
    }
    assert completion["device"]["ipAddress"] == "198.51.100.4"
    assert len(completion["device"]["uhi"]) == 28
    assert completion["bankIdIssueDate"] == "2026-05-05"
    assert completion["stepUp"] == {"mrtd": False}


@pytest.mark.parametrize(
    ("wish", "lie", "risk"),
    [
        ({}, "risk_high", None),
        ({"returnRisk": True}, None, "low"),
        ({"returnRisk": True}, "risk_moderate", "moderate"),
        ({"returnRisk": True}, "risk_high", "high"),
        ({"returnRisk": True}, "no_risk", None),
        ({"requirement": {"risk": "moderate"}}, "risk_moderate", "moderate"),
    ],
)
def test_tells_the_risk_when_asked(rp: Rp, wish: dict[str, Any], lie: str | None, risk: str | None) -> None:
    """`risk` is there for returnRisk or a requirement, if it could be computed."""
    rp.faults.set("bankid", {"lies": [lie] if lie else []})

    assert rp.complete(**wish).get("risk") == risk


@pytest.mark.parametrize(("allowed", "lie"), [("low", "risk_moderate"), ("MODERATE", "risk_high")])
def test_blocks_a_risk_above_what_was_required(rp: Rp, allowed: str, lie: str) -> None:
    """requirement.risk: an order above it fails with transactionRiskBlocked."""
    rp.faults.set("bankid", {"lies": [lie]})
    order = rp.auth(requirement={"risk": allowed})
    rp.act("approve")

    assert rp.hint(order) == "failed/transactionRiskBlocked"


def test_document_is_read_when_required(rp: Rp) -> None:
    """requirement.mrtd: the step-up is told of."""
    assert rp.complete(requirement={"mrtd": True})["stepUp"] == {"mrtd": True}


def test_breaks_as_asked(rp: Rp) -> None:
    """Down is a page with 503; a status has BankID's errorCode; 429 says when to come back."""
    order = rp.auth()
    answers = []
    for wish in ({"down": True}, {"status": 503}, {"status": 500}, {"status": 408}, {"status": 429}, {"status": 418}):
        rp.faults.set("bankid", wish)
        answers.append(rp.post("collect", {"orderRef": order["orderRef"]}))
    rp.faults.clear()

    assert [answer.status_code for answer in answers] == [503, 503, 500, 408, 429, 418]
    assert answers[0].mimetype == "text/html"
    assert [answer.get_json()["errorCode"] for answer in answers[1:4]] == [
        "maintenance",
        "internalError",
        "requestTimeout",
    ]
    assert answers[4].headers["RateLimit-Reset"] == "7"
    assert rp.hint(order) == "pending/outstandingTransaction"


@pytest.mark.parametrize(
    ("lie", "status", "start"),
    [
        ("maintenance", 503, '{"errorCode": "maintenance"'),
        ("new_error", 400, '{"errorCode": "somethingNew"'),
        ("too_many", 429, "{"),
        ("garbage_json", 200, '{"orderRef": "131d'),
        ("list_json", 200, "[]"),
        ("html_body", 200, "<!doctype"),
        ("huge_body", 200, '{"padding": "xxx'),
    ],
)
def test_lies_on_the_wire(rp: Rp, lie: str, status: int, start: str) -> None:
    """What is answered whatever was asked; the order is none the worse for it."""
    order = rp.auth()
    rp.faults.set("bankid", {"lies": [lie]})
    answer = rp.post("collect", {"orderRef": order["orderRef"]})
    rp.faults.clear()

    assert answer.status_code == status
    assert answer.text.startswith(start)
    assert rp.hint(order) == "pending/outstandingTransaction"


def test_lies_about_an_order(rp: Rp) -> None:
    """Another order's reference, hints and states of the future, tokens that are no text."""
    order = rp.auth()
    told = {}
    for lie in ("other_order", "new_hint", "new_status"):
        rp.faults.set("bankid", {"lies": [lie]})
        told[lie] = rp.collect(order)
    rp.faults.set("bankid", {"lies": ["bad_tokens"]})

    assert told["other_order"]["orderRef"] != order["orderRef"]
    assert told["new_hint"]["hintCode"] == "somethingPending"
    assert told["new_status"]["status"] == "paused"
    assert {str(token) for token in rp.auth().values()} == {"7"}


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("wrong_person", lambda c: c["user"]["personalNumber"] == STRANGER.number),
        ("wrong_ip", lambda c: c["device"]["ipAddress"] == "203.0.113.99"),
        ("no_user", lambda c: "user" not in c),
        ("no_signature", lambda c: "signature" not in c),
        ("no_ocsp", lambda c: "ocspResponse" not in c),
        ("foreign_number", lambda c: len(c["user"]["personalNumber"]) == 10),
    ],
)
def test_lies_about_the_person(rp: Rp, lie: str, told: Any) -> None:
    """What is told of the person is not what was proved."""
    rp.faults.set("bankid", {"lies": [lie]})

    assert told(rp.complete())


def test_loses_the_last_answer(rp: Rp, bankid: SimBankID, base: str) -> None:
    """The connection drops while an end is told; it was told, so asking again finds no order. A start is told."""
    with relying_party(bankid) as session:
        rp.faults.set("bankid", {"lies": ["lost_response"]})
        ref = {"orderRef": session.post(f"{base}/auth", json={"endUserIp": "192.0.2.7"}).json()["orderRef"]}
        assert session.post(f"{base}/collect", json=ref).json()["status"] == "pending"
        rp.act("approve")
        with pytest.raises(requests.ConnectionError):
            session.post(f"{base}/collect", json=ref, timeout=5)
        assert session.post(f"{base}/collect", json=ref).json()["errorCode"] == "invalidParameters"


def test_issues_when_needed(rp: Rp) -> None:
    """A BankID is the same from one login to the next, and made anew when the clock has passed its end."""
    dates = [rp.complete()["bankIdIssueDate"] for _ in range(2)]
    rp.clock.move(timedelta(days=5000))
    dates.append(rp.complete()["bankIdIssueDate"])

    assert dates == ["2026-05-05", "2026-05-05", "2040-01-12"]
