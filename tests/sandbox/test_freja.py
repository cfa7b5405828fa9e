"""The simulated Freja answers as the real service does."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES, SimFreja
from idbroker.sandbox.pki import server_context
from tests.sandbox.freja_rp import SERVICE, USUAL, Rp, by_number, packed, serve_freja, wish

pytest_plugins = ["tests.sandbox.freja_fixtures"]
FORM = "application/x-www-form-urlencoded"


def b64(value: Any) -> str:
    """Return what userInfo of the type SSN is."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_starts_a_transaction(rp: Rp) -> None:
    """A start is answered with a reference of 64 letters, among them those that need escaping."""
    begun = rp.start()

    assert set(begun) == {"authRef"}
    assert len(begun["authRef"]) == 64
    assert set("+/-_") <= set(begun["authRef"])
    assert rp.look(begun) == {"authRef": begun["authRef"], "status": "STARTED"}


def test_bodies_are_raw_or_forms(rp: Rp) -> None:
    """A "+" of the base64 may come as it is or escaped, under either content type; other fields are passed over."""
    sent = wish(*USUAL, note=">>>???~~~")  # base64 of it holds both + and /
    text = packed("initAuthRequest", sent)
    assert {"+", "/"} <= set(text)

    answers = [
        rp.post("initAuthentication", text),
        rp.post("initAuthentication", text, FORM),
        rp.post("initAuthentication", text, "application/json; charset=UTF-8"),
        rp.post("initAuthentication", f"relyingPartyId=party&{text}"),
        rp.form("initAuthentication", sent, relyingPartyId="party"),
    ]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert len({answer.get_json()["authRef"] for answer in answers}) == 5
    assert answers[0].mimetype == "application/json"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 1000),
        ("other=e30=", 1000),
        ("initAuthRequest=%%%", 1000),
        ("initAuthRequest=e30", 1000),
        ("initAuthRequest=" + base64.urlsafe_b64encode(b'{"x": ">>>???"}').decode(), 1000),
        ("initAuthRequest=" + base64.b64encode(b"{").decode(), 1010),
        ("initAuthRequest=" + base64.b64encode(b"[]").decode(), 1010),
        ("initAuthRequest=" + base64.b64encode(b"\xff").decode(), 1010),
        ("initAuthRequest=" + base64.b64encode(b"[" * 20_000).decode(), 1010),
        ("initAuthRequest=" + "A" * 70_000, 1000),
    ],
)
def test_bodies_that_do_not_read(rp: Rp, body: str, code: int) -> None:
    """What cannot be read is answered with 400: 1000 for the parameter, 1010 for its JSON."""
    answer = rp.post("initAuthentication", body)

    assert (answer.status_code, answer.get_json()["code"]) == (400, code)
    assert answer.get_json()["message"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"userInfoType": None}, 1001),
        ({"userInfoType": "ORG_ID"}, 1001),
        ({"userInfo": ""}, 1002),
        ({"userInfo": "somebody"}, 1002),
        ({"userInfo": 7}, 1002),
        ({"userInfoType": "EMAIL", "userInfo": "nobody"}, 1002),
        ({"userInfoType": "EMAIL", "userInfo": "a@" + "x" * 255}, 1002),
        ({"userInfoType": "PHONE", "userInfo": "0701740605"}, 1002),
        ({"userInfoType": "UPI", "userInfo": "1"}, 1002),
        ({"userInfoType": "SSN", "userInfo": "198706192394"}, 1002),
        ({"userInfoType": "SSN", "userInfo": b64({"country": "SE", "ssn": "1987"})}, 1002),
        ({"userInfoType": "SSN", "userInfo": b64({"country": ["SE"], "ssn": "198706192394"})}, 1002),
        ({"userInfoType": "SSN", "userInfo": b64([])}, 1002),
        ({"minRegistrationLevel": "HIGH"}, 1007),
        ({"minRegistrationLevel": ["PLUS"]}, 1007),
        ({"attributesToReturn": "SSN"}, 2002),
        ({"attributesToReturn": ["SSN"]}, 2002),
        ({"attributesToReturn": [{"attribute": "SHOE_SIZE"}]}, 2002),
        ({"attributesToReturn": [{"attribute": {}}]}, 2002),
        ({"attributesToReturn": [{"attribute": "INTEGRATOR_SPECIFIC_USER_ID"}]}, 1009),
        *[
            ({"minRegistrationLevel": "BASIC", "attributesToReturn": [{"attribute": name}]}, 2002)
            for name in ("BASIC_USER_INFO", "DATE_OF_BIRTH", "SSN")
        ],
        ({"userConfirmationMethod": "FACE"}, 1000),
        ({"minRegistrationLevel": "BASIC", "userConfirmationMethod": "DEFAULT_AND_FACE"}, 1000),
        ({"originDeviceDetails": "here"}, 1000),
        ({"originDeviceDetails": {"flowType": "NO_DEVICE"}}, 1000),
        ({"originDeviceDetails": {"frejaCookie": 7}}, 1000),
        ({"useDynamicQrCode": "yes"}, 1000),
        ({"userInfoType": "EMAIL", "userInfo": "a@people.example", "useDynamicQrCode": True}, 1000),
    ],
)
def test_wrong_members_have_their_codes(rp: Rp, changed: dict[str, Any], code: int) -> None:
    """Each wrong member of initAuthRequest is refused by Freja's number for it."""
    status = 400 if code == 1000 else 422

    assert rp.code("initAuthentication", {**wish(), **changed}) == (status, code)


def test_unknown_members_are_passed_over(rp: Rp) -> None:
    """What the service has never heard of does not disturb it; the level is BASIC unless one is asked for."""
    answer = rp.call("initAuthentication", {"userInfoType": "INFERRED", "userInfo": "N/A", "colour": "blue"})

    assert answer.status_code == 200
    rp.act("approve", "elin")
    assert rp.status(answer.get_json()) == "APPROVED"


@pytest.mark.parametrize(
    ("path", "method", "content_type", "status"),
    [
        ("initAuthentication", "GET", "", 405),
        ("initAuthentication", "POST", "text/plain", 415),
        ("initAuthentication", "POST", "", 415),
        ("elsewhere", "POST", "application/json", 404),
        ("../../sign/1.0/initSignature", "POST", "application/json", 404),
    ],
)
def test_what_is_not_there(rp: Rp, path: str, method: str, content_type: str, status: int) -> None:
    """Other methods, types and paths have the usual statuses."""
    answer = rp.http.open(SERVICE + path, method=method, content_type=content_type or None)

    assert answer.status_code == status


@pytest.mark.parametrize("method", ["getOneResult", "cancel"])
@pytest.mark.parametrize("reference", ["nobody", "", 7, None, ["x"]])
def test_references_that_are_not(rp: Rp, method: str, reference: object) -> None:
    """A reference that was never given is 1100."""
    assert rp.code(method, {"authRef": reference}) == (422, 1100)


def test_services_see_their_own_only(rp: Rp) -> None:
    """An authRef of one relying party is 1100 to another, to read and to cancel; getResults shows none of it."""
    begun, other = rp.start(), rp.other()

    assert other.code("getOneResult", begun) == (422, 1100)
    assert other.code("cancel", begun) == (422, 1100)
    assert other.call("getResults", {"includePrevious": "ALL"}).get_json() == {"authenticationResults": []}
    assert rp.status(begun) == "STARTED"


def test_people_have_another_name_at_each_service(rp: Rp) -> None:
    """The relyingPartyUserId is 64 hexadecimal digits, the same each time, and another for another service."""

    def name(party: Rp) -> str:
        return str(party.approved()["requestedAttributes"]["relyingPartyUserId"])

    first, other = name(rp), name(rp.other())
    assert len(first) == len(other) == 64
    assert int(first, 16) != int(other, 16)
    assert name(rp) == first


def test_results_of_ten_minutes(rp: Rp) -> None:
    """All of the last ten minutes can be had, whatever became of it; includePrevious is ALL (1200)."""
    old = rp.start()
    rp.clock.move(timedelta(minutes=9))
    rp.approved()
    begun = rp.start()

    told = rp.call("getResults", {"includePrevious": "ALL"}).get_json()["authenticationResults"]
    assert [one["status"] for one in told] == ["EXPIRED", "APPROVED", "STARTED"]
    assert (told[0]["authRef"], told[2]["authRef"]) == (old["authRef"], begun["authRef"])
    rp.clock.move(timedelta(minutes=1))
    told = rp.call("getResults", {"includePrevious": "ALL"}).get_json()["authenticationResults"]
    assert [one["status"] for one in told] == ["APPROVED", "STARTED"]
    assert rp.code("getResults", {"includePrevious": "SOME"}) == (422, 1200)


def test_a_device_gets_its_cookie(rp: Rp) -> None:
    """Who tells of the device is given a frejaCookie with the result, and the same again when it comes back."""
    device = {"flowType": "ANOTHER_DEVICE", "userAgent": "Agent/1", "userIpAddress": "192.0.2.7"}

    cookie = rp.approved(sent=wish(originDeviceDetails=device))["frejaCookie"]

    again = rp.approved(sent=wish(originDeviceDetails={**device, "frejaCookie": cookie}))
    assert again["frejaCookie"] == cookie
    assert "frejaCookie" not in rp.approved()


@pytest.mark.parametrize(
    ("fault", "status"), [({"down": True}, 503), ({"status": 500}, 500), ({"status": 429}, 429), ({"status": 410}, 410)]
)
def test_suffers_faults(rp: Rp, freja_faults: Faults, fault: dict[str, Any], status: int) -> None:
    """The service can be down, or answer with a status; nothing happens meanwhile."""
    freja_faults.set("freja", fault)

    assert rp.call("initAuthentication", wish()).status_code == status
    assert rp.freja.phone.waiting() == ()


def test_speaks_over_mutual_tls(rp: Rp, freja: SimFreja) -> None:
    """Over TLS a service is who its certificate says, whichever connection it comes by."""
    other = [str(path) for path in freja.other_client("third")]
    ours = [str(freja.client_certificate), str(freja.client_key)]
    with serve_freja(freja) as address, requests.Session() as http:
        http.trust_env = False

        def call(method: str, body: str, cert: list[str]) -> requests.Response:
            kept = (cert[0], cert[1])
            url = f"{address}{SERVICE}{method}"
            return http.post(url, body, headers={"Content-Type": FORM}, cert=kept, verify=str(freja.server_root))

        begun = call("initAuthentication", packed("initAuthRequest", wish()), ours).json()
        body = packed("getOneAuthResultRequest", begun)
        assert call("getOneResult", body, ours).json()["status"] == "STARTED"
        assert call("getOneResult", body, other).json()["code"] == 1100
        assert rp.status(begun) == "STARTED"
        with pytest.raises(requests.exceptions.SSLError):
            http.post(address, verify=True)


def test_turns_away_who_has_no_certificate(freja: SimFreja) -> None:
    """Nobody comes in without a certificate of Freja's."""
    context = server_context(freja.server_certificate, freja.server_key, freja.client_authority)
    assert context.verify_mode is ssl.CERT_REQUIRED
    with serve_freja(freja) as address, requests.Session() as http:
        http.trust_env = False
        with pytest.raises(requests.ConnectionError):
            http.post(f"{address}{SERVICE}cancel", verify=str(freja.server_root), timeout=5)


def test_a_lost_response_has_its_effect(rp: Rp, freja: SimFreja, freja_faults: Faults) -> None:
    """The lie `lost_response` starts the transaction and hangs up at once: nobody learns its reference."""
    freja_faults.set("freja", {"lies": ["lost_response"]})
    with serve_freja(freja) as address, requests.Session() as http:
        http.trust_env = False
        cert = (str(freja.client_certificate), str(freja.client_key))
        with pytest.raises(requests.ConnectionError):
            http.post(
                f"{address}{SERVICE}initAuthentication",
                packed("initAuthRequest", wish()),
                headers={"Content-Type": FORM},
                cert=cert,
                verify=str(freja.server_root),
                timeout=5,
            )

    assert len(freja.phone.waiting()) == 1


def test_every_lie_is_known(freja_faults: Faults) -> None:
    """All lies can be asked for by name, and a misspelt one cannot."""
    assert {"forged_signature", "alg_none", "hs256", "replayed", "outer_differs", "lost_response", "too_many"} <= LIES

    with pytest.raises(ValueError, match="cannot lie so"):
        freja_faults.set("freja", {"lies": ["forged"]})


def test_by_number_nobody_is_told_who_exists(rp: Rp) -> None:
    """A transaction of a number that no user has is accepted as any other, and expires."""
    known, unknown = rp.people["bjorn"].number, rp.people["gunnel"].number

    answers = [rp.call("initAuthentication", by_number("SE", number)) for number in (known, unknown)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert rp.status(answers[1].get_json()) == "STARTED"
    rp.clock.move(timedelta(minutes=2))
    assert [rp.status(answer.get_json()) for answer in answers] == ["EXPIRED", "EXPIRED"]
