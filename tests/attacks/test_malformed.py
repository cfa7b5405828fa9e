"""Octets no library would send: refused with the right number, never a fault, nothing kept (standards 2.5 A12, A27)."""

from __future__ import annotations

import pytest
import requests

from tests.door import SECRET, Door, authorize_url

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODIES: dict[str, bytes] = {
    "latin-1": b"client_id=portal&state=\xe6",
    "bad escape": b"client_id=portal&state=%ff%fe",
    "overlong": b"client_id=portal&state=%c0%af",
    "surrogate": b"client_id=portal&state=%ed%a0%80",
    "NUL": b"client_id=portal&state=%00",
    "raw NUL": b"client_id=\x00portal",
    "NUL name": b"%00=1",
    "half escape": b"client_id=portal&state=%",
    "many": b"&".join(b"p%d=1" % n for n in range(100)),
    "long": b"client_id=portal&state=" + b"x" * 40_000,
    "64 KiB": b"x" * 65_536,
    "too long": b"x" * 70_000,
    "long name": b"x" * 30_000 + b"=1",
    "only signs": b"&&==&=&;;",
    "brackets": b"client_id[]=portal&client_id[x]=y&__proto__=1",
    "json": b'{"client_id": "portal"}',
    "binary": bytes(range(256)),
}
PATHS = (
    "/authorize",
    "/callback/mitid",
    "/logout",
    "/t/aaaaaaaaaaaaaaaaaaaaaa/choose",
    "/token",
    "/revoke",
    "/introspect",
    "/userinfo",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_malformed_body_is_the_senders_fault(door: Door, path: str, body: bytes) -> None:
    """A12: whatever the octets, the answer is a 4xx (or a page that says no) and no session or code comes of it."""
    auth = ("portal", SECRET) if path in ("/token", "/revoke", "/introspect") else None
    before = door.stored()
    answer = requests.post(f"{door.issuer}{path}", data=body, headers=FORM, auth=auth, allow_redirects=False, timeout=5)

    assert answer.status_code < 500
    assert answer.status_code in (200, 303, 400, 401, 404, 410, 413)
    assert "code=" not in answer.headers.get("Location", "")
    if answer.status_code != 303:
        assert door.stored() == before


@pytest.mark.parametrize("path", ["/authorize", "/callback/mitid", "/logout", "/help", "/token", "/userinfo"])
@pytest.mark.parametrize(
    "query", [body for name, body in BODIES.items() if b"\x00" not in body], ids=lambda q: str(q[:16])
)
def test_a_malformed_query_is_the_senders_fault(door: Door, path: str, query: bytes) -> None:
    """A12: the same octets in a query: an error of the sender's, nothing kept."""
    raw = b"".join(bytes([octet]) if 0x21 <= octet < 0x7F else b"%%%02x" % octet for octet in query)
    before = door.stored()
    answer = door.raw(b"GET " + path.encode() + b"?" + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    status = int(answer.split()[1])
    assert status in (200, 400, 401, 404, 405, 413, 414)
    assert door.stored() == before


@pytest.mark.parametrize("octets", [b"state=\xe6\xff", b"state=a\x01b", b"state=\x7f"])
def test_raw_octets_in_the_request_line(door: Door, octets: bytes) -> None:
    """A12: octets that do not belong in a URL do not reach the client's answer unread."""
    answer = door.raw(
        b"GET /authorize?client_id=portal&" + octets + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    assert int(answer.split()[1]) == 400


def test_a_long_query_is_read(door: Door) -> None:
    """A12: five thousand characters are no reason to fall over, in a parameter we know or one we do not."""
    for asked in ({"x": "y" * 5000}, {"state": "y" * 3900}):
        assert door.browser().authorize(**asked).status_code == 200
    told = door.browser().fetch(authorize_url(state="y" * 5000))
    assert told.headers["Location"].startswith("https://portal.test/callback?error=invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "/t/%00/choose", "/t/%ff%fe/choose", "/t/aaaaaaaaaaaaaaaaaaaaaa/%0d%0aSet-Cookie:%20x=1", "/t/é/choose",
        "/t/ææææææææææææææææææææææ/choose", "/t/" + "a" * 5000 + "/choose", "/t/../t/x/choose", "/callback/%0d%0aX:1",
        "/%2fevil.test/", "http://evil.test//x/y",
        "/callback/nobody",
        "/callback/mitid/", "//evil.test/", "/%2e%2e/", "/authorize/", "/authorize;x", "/static/",
        "/static/%00", "/.well-known/", "/.git/config", "/t//choose", "/callback/", "/callback/%ff",
    ],
)  # fmt: skip
def test_odd_paths_are_not_found(door: Door, path: str) -> None:
    """A12: no path leads to a fault or, by its text, into a header."""
    before = door.stored()
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "TRACE"):
        answer = door.raw(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b".encode()
        )
        status = int(answer.split()[1])
        assert status in (303, 400, 404, 405, 410), (method, answer[:200])
        assert b"\r\nX:1" not in answer
        assert b"\r\nSet-Cookie: x" not in answer
    assert door.stored() == before


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/jwks.json", "/authorize", "/logout", "/t/x/choose"])
def test_other_methods_are_refused(door: Door, path: str) -> None:
    """A27: PUT, DELETE and PATCH do nothing, and the answer says which methods there are (RFC 9110, 15.5.6)."""
    for method in ("PUT", "DELETE", "PATCH"):
        answer = requests.request(method, f"{door.issuer}{path}", timeout=5)

        assert answer.status_code == 405
        assert "Allow" in answer.headers


def test_a_method_override_is_not_obeyed(door: Door) -> None:
    """A27: no header or field turns one method into another."""
    answer = requests.get(f"{door.issuer}/token", headers={"X-HTTP-Method-Override": "POST"}, timeout=5)

    assert answer.status_code == 405


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b", "text/plain"])
@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
def test_programs_send_forms_only(door: Door, path: str, kind: str) -> None:
    """A27: another content type than the form's is refused, not guessed at."""
    headers, auth = {"Content-Type": kind}, ("portal", SECRET)
    answer = requests.post(f"{door.issuer}{path}", data=b"token=x", headers=headers, auth=auth, timeout=5)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
