"""The API under attack: tokens, others' patients, bodies that two parsers read differently, ways around the door."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from idbroker.accounts.records import new_handle
from idbroker.oidc.secret import new_family, new_secret
from tests.api.api_house import BASE, Api
from tests.oidc.making import make_client, make_grant

OPERATIONS = [
    ("POST", "/patients", "patients.write"),
    ("POST", "/patients/bulk", "patients.write"),
    ("POST", "/patients/search", "patients.read"),
    ("GET", "/patients/{}", "patients.read"),
    ("PATCH", "/patients/{}", "patients.write"),
    ("POST", "/patients/{}/access", "patients.write"),
    ("POST", "/patients/{}/death", "register"),
    ("DELETE", "/patients/{}/death", "register"),
    ("POST", "/patients/{}/custody", "register"),
    ("GET", "/enrolments?standing=asked", "enrolments"),
    ("POST", "/enrolments/{}/approve", "enrolments"),
    ("POST", "/enrolments/{}/decline", "enrolments"),
]
OF_ONE: list[tuple[str, str, Any]] = [
    ("GET", "/patients/{}", None),
    ("PATCH", "/patients/{}", {"language": "sv"}),
    ("POST", "/patients/{}/access", {"channels": ["email"]}),
    ("POST", "/patients/{}/death", {"on": "2026-11-20"}),
    ("DELETE", "/patients/{}/death", None),
    ("POST", "/patients/{}/custody", {"on": "2026-11-20"}),
    ("POST", "/enrolments/{}/approve", None),
    ("POST", "/enrolments/{}/decline", {"reason": "not ours"}),
]
MARK = {"If-Match": '"000000000000000000000000"'}


# ---- who calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_another_scope_opens_nothing(shared: Api, method: str, path: str, scope: str) -> None:
    """RFC 6750, 3.1: every operation wants its own scope; all the others together are not enough."""
    others = " ".join({"patients.read", "patients.write", "enrolments", "register", "webhooks"} - {scope})
    answer = shared.call(method, path.format(new_handle()), token=shared.token(scope=others))

    assert (answer.status_code, answer.get_json()["code"]) == (403, "insufficient_scope")
    assert answer.headers["WWW-Authenticate"].endswith(f'error="insufficient_scope", scope="{scope}"')


def test_a_persons_token_opens_nothing(shared: Api) -> None:
    """Token confusion: what a portal got for a person, whatever its scopes are called, is no token of the API's."""
    code = new_secret(new_family())
    grant = make_grant(make_client(), code, scopes=("openid", "patients.read"))
    shared.office.house.grants.put(grant.id, grant, timedelta(minutes=5))
    answer = shared.call("POST", "/patients/search", {}, token=code.text)

    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "no_token"),
        ("Bearer", 400, "invalid_request"),
        ("Bearer a, Bearer b", 400, "invalid_request"),
        ("Basic am91cm5hbDp4", 400, "invalid_request"),
        ("Bearer none", 401, "invalid_token"),
        (f"Bearer {'a' * 22}.{'b' * 43}", 401, "invalid_token"),
        ("Bearer " + "a" * 8000, 401, "invalid_token"),
    ],
)
def test_only_one_bearer_token_opens(shared: Api, authorization: str | None, status: int, code: str) -> None:
    """RFC 6750, 3: without a token, or with what is none, there is a challenge, and nothing else."""
    answer = shared.call("GET", "/enrolments?standing=asked", headers={"Authorization": authorization})

    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="idbroker"')


def test_a_token_in_the_address_is_refused(shared: Api) -> None:
    """RFC 9700, 4.3.2: addresses are logged and kept: a good token there is refused, even beside a good header."""
    answer = shared.call("GET", f"/enrolments?standing=asked&access_token={shared.token()}")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


def test_calls_are_counted_by_client(api: Api) -> None:
    """ASVS 2.4.1: 600 calls a minute; then 429 until the minute is over, for this client and no other."""
    tallies, minute = api.office.house.given.tallies, api.office.clock.now().strftime("%Y-%m-%dT%H:%M")
    for _ in range(600):
        tallies.add(f"api|all|journal|{minute}", timedelta(minutes=2))
    spent = api.call("GET", "/enrolments?standing=asked")
    others = api.call("GET", "/enrolments?standing=asked", by="other")
    api.office.clock.move(timedelta(minutes=1))

    assert (spent.status_code, spent.get_json()["code"]) == (429, "too_many_requests")
    assert int(spent.headers["Retry-After"]) == 60
    assert others.status_code == 200
    assert api.call("GET", "/enrolments?standing=asked").status_code == 200


def test_bulk_calls_are_counted_too(shared: Api) -> None:
    """A thousand patients weigh more than one: twenty lists a minute."""
    token = shared.token()
    statuses = [shared.call("POST", "/patients/bulk", {"patients": []}, token=token).status_code for _ in range(21)]

    assert statuses == [422] * 20 + [429]


# ---- whose patient -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body"), OF_ONE)
def test_another_clinics_patient_is_as_none(shared: Api, method: str, path: str, body: Any) -> None:
    """API1:2023, BOLA: another clinic's handle, nobody's, and what cannot be one are told apart by nothing."""
    theirs = shared.entered(by="other")
    handles = (theirs, new_handle(), "x", "%00", "é" * 22, "a" * 5000)
    answers = [shared.call(method, path.format(handle), body, headers=MARK) for handle in handles]

    assert {(one.status_code, one.data) for one in answers} == {(404, answers[0].data)}
    assert len({tuple(sorted(one.headers.keys())) for one in answers}) == 1
    assert theirs not in answers[0].text


@pytest.mark.parametrize("path", ["/patients/..%2f..%2ftoken", "/patients/../../../token", "/patients/%2e%2e/bulk",
                                  "/patients//", "//patients", "/patients/", "/", "/patients;x/search"])  # fmt: skip
def test_no_path_leads_elsewhere(shared: Api, path: str) -> None:
    """CWE-22: steps upwards, encoded or not, and doubled slashes lead to nothing, and to no redirect."""
    answer = shared.call("POST", path, {})

    assert answer.status_code in (404, 405)
    assert "Location" not in answer.headers


def test_a_handle_is_never_guessed(shared: Api) -> None:
    """ASVS 8.2: a handle has 128 random bits, and tells nothing of the number."""
    one, other = shared.entered("anna"), shared.entered("bjorn")

    assert len(one) == len(other) == 22
    assert one[:8] != other[:8]


# ---- what is sent --------------------------------------------------------------------------------


def doubled(field: str = '"family_name": "Else"') -> str:
    """Return a body in which a member stands twice."""
    return '{"number": {"country": "DK", "value": "6101010001"}, "family_name": "Testsen", %s}' % field  # noqa: UP031


@pytest.mark.parametrize(
    "body",
    [
        doubled(),
        doubled('"family\\u005fname": "Else"'),
        '{"family_name": NaN}',
        '{"family_name": -Infinity}',
        '{"family_name": "\\ud800"}',
        '{"family_name": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "[]",
        "null",
        "",
        "{",
        '{"family_name": "x",}',
        "{} {}",
        b"\xef\xbb\xbf{}",
        b'{"family_name": "\xff"}',
        '{"family_name": "x"}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_with_two_readings_is_refused(shared: Api, body: str | bytes) -> None:
    """RFC 8259: members twice, NaN, half surrogates, endless nesting and numbers, other encodings: 400, no fault."""
    answer = shared.call("POST", "/patients", body)

    assert (answer.status_code, answer.get_json()["code"]) == (400, "not_json")


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "a\u202eb", "\u200b", " a", "a ", "\ue000", "\u2028", "\U000e0041"])
def test_a_name_is_plain_text(shared: Api, name: str) -> None:
    """CWE-158, CWE-451: NUL, lines, and signs that nobody sees or that turn text about stand in no name."""
    answer = shared.call("POST", "/patients", shared.who(family_name=name))

    assert {"pointer": "/family_name", "code": "not_plain"} in answer.get_json()["errors"]


@pytest.mark.parametrize(
    "member",
    ["handle", "standing", "person", "clinic", "guardian", "by", "entered_at", "deceased_on", "etag", "__class__",
     "model_config", "said", "\u0000", "6101010001"],
)  # fmt: skip
def test_nothing_is_assigned_that_is_not_offered(shared: Api, member: str) -> None:
    """API3:2023, mass assignment: a member that is not described is refused, and its name is not echoed."""
    answer = shared.call("POST", "/patients", {**shared.who(), member: "approved"})

    assert answer.get_json()["errors"] == [{"pointer": "", "code": "unknown_member"}]
    assert json.dumps(member)[1:-1] not in json.dumps(answer.get_json()["errors"])


@pytest.mark.parametrize("member", ["number", "birthdate", "checked", "deceased_on", "standing"])
def test_a_change_reaches_only_what_may_change(shared: Api, member: str) -> None:
    """API3:2023: who somebody is is not changed by PATCH."""
    handle = shared.entered()
    answer = shared.call("PATCH", f"/patients/{handle}", {member: None}, headers=MARK)

    assert answer.get_json()["errors"] == [{"pointer": "", "code": "unknown_member"}]


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
     "application/json; charset=utf-16", "application/json; charset=latin-1", "application/jsonp",
     "application/json, text/plain", "application/merge-patch+json", "application/json;x=y"],
)  # fmt: skip
def test_a_body_is_what_it_says(shared: Api, kind: str | None) -> None:
    """Content-type confusion, and forms posted across sites: JSON in UTF-8, said so, and nothing else."""
    answer = shared.call("POST", "/patients", shared.who(), headers={"Content-Type": kind})

    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused(shared: Api) -> None:
    """CWE-409: what is small on the wire may be large in memory."""
    answer = shared.call("POST", "/patients", shared.who(), headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415


def test_a_large_body_is_refused(shared: Api) -> None:
    """CWE-400: more than one MiB is not read; one MiB is."""
    fits, large = b" " * (1024 * 1024), b" " * (1024 * 1024 + 1)

    assert shared.call("POST", "/patients", fits).get_json()["code"] == "not_json"
    assert shared.call("POST", "/patients", large).get_json()["code"] == "too_large"


def test_a_large_body_of_untold_length_is_refused(shared: Api) -> None:
    """CWE-444: a chunked body is not cut off at the limit and taken for what is left of it."""
    octets = b"{}" + b" " * (1024 * 1024 - 2) + b"x"
    headers = {"Content-Type": "application/json"}
    chunked: dict[str, Any] = {"input_stream": io.BytesIO(octets), "environ_overrides": {"wsgi.input_terminated": True}}
    answer = shared.call("POST", "/patients", headers=headers, **chunked)

    assert (answer.status_code, answer.get_json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("body", ['{"reason": "x"}', "x", "[]", "null"])
def test_a_body_that_nobody_reads_is_refused(shared: Api, body: str) -> None:
    """Whoever sends something where nothing is taken is told, and does not take it for done."""
    answer = shared.call("POST", f"/enrolments/{shared.entered()}/approve", body)

    assert answer.get_json()["code"] == "no_body"


# ---- ways around ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_no_header_changes_the_method(shared: Api, name: str) -> None:
    """Method override: a POST is a POST, whatever a header says, and a proxy's rules for methods hold."""
    handle = shared.entered()
    answer = shared.call("POST", f"/patients/{handle}/death", {}, headers={name: "DELETE"})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "query",
    ["_method=DELETE", "debug=1", "standing=declined", "standing=", "standing=asked&standing=asked", "",
     "standing=asked&clinic=clinea", "%00=1"],
)  # fmt: skip
def test_no_parameter_is_let_by(shared: Api, query: str) -> None:
    """Parameter pollution: a parameter that is not known, or stands twice, or is another word, is refused."""
    answer = shared.call("GET", f"/enrolments?{query}")

    assert answer.status_code == 400
    assert answer.get_json()["code"] in ("unknown_parameter", "wrong_parameter")


def test_no_page_of_another_origin_reads_an_answer(shared: Api) -> None:
    """Fetch, 3.2: programs call this API, pages do not: no answer allows an origin, and no preflight is answered."""
    headers = {"Origin": "https://portal.test", "Access-Control-Request-Method": "POST"}
    asked = shared.call("OPTIONS", "/patients", headers=headers)
    answered = shared.call("GET", "/enrolments?standing=asked", headers=headers)

    assert asked.status_code == 405
    assert "Access-Control" not in f"{asked.headers}{answered.headers}"


def test_a_staff_cookie_opens_nothing(shared: Api) -> None:
    """CSRF: a signed-in colleague's browser cannot call the API: cookies count for nothing here."""
    answer = shared.office.client("cecilia").post(f"{BASE}/patients", json=shared.who())

    assert (answer.status_code, answer.get_json()["code"]) == (401, "no_token")


@pytest.mark.parametrize("path", ["/nowhere", "/patients/" + quote("../x"), "/openapi.json/x", "/Patients"])
def test_what_is_not_there_is_told_as_all_else(shared: Api, path: str) -> None:
    """RFC 9457: a path that is not there is a problem document too, not a page."""
    answer = shared.call("GET", path)

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.get_json()["code"] == "not_found"


def test_nothing_that_was_sent_is_echoed(shared: Api) -> None:
    """0011: no answer to a wrong request holds what was in it: not in a document, not in a header."""
    sent = shared.who(family_name="Zzyzx\x00", language="Zzyzx", Zzyzx="Zzyzx", contacts={"email": "Zzyzx"})
    answers = [
        shared.call("POST", "/patients", sent, headers={"Idempotency-Key": "Zzyzx Zzyzx"}),
        shared.call("POST", "/patients", sent),
        shared.call("GET", "/Zzyzx?Zzyzx=Zzyzx"),
        shared.call("GET", "/patients/Zzyzx?Zzyzx=Zzyzx"),
    ]

    assert not [one for one in answers if "Zzyzx" in one.text + str(one.headers)]
