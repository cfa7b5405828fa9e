"""The kept session: bounded in time and size, going nowhere else, carrying nothing over."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from flask import Flask, Response, redirect, request
from werkzeug.serving import make_server

from idbroker.providers._http import TooBig, kept_session
from idbroker.sandbox.tls import Kept
from tests.certificates import make_certificate
from tests.sandbox.loopback import serve


def upstream(_address: str) -> Flask:  # noqa: C901 - one route after another
    """Return an upstream with bad manners."""
    app = Flask(__name__)

    @app.route("/echo", methods=["GET", "POST"])
    def echo() -> dict[str, Any]:
        return {"headers": dict(request.headers), "form": request.form, "json": request.get_json(silent=True)}

    @app.route("/cookie")
    def cookie() -> Response:
        return Response("{}", headers={"Set-Cookie": "person=anna"})

    @app.route("/redirect/<int:status>")
    def elsewhere(status: int) -> Any:
        return redirect("/echo", status)

    @app.route("/bytes/<int:number>")
    def some(number: int) -> Response:
        return Response(b"x" * number)

    @app.route("/stream")
    def stream() -> Response:
        return Response(b"x" * 65536 for _ in range(800))

    @app.route("/port")
    def port() -> str:
        return str(request.environ["REMOTE_PORT"])

    @app.route("/short")
    def short() -> Response:
        return Response(iter([b"xxx"]), headers={"Content-Length": "10"})

    @app.route("/bomb")
    def bomb() -> Response:
        return Response(gzip.compress(b"0" * 20_000_000), headers={"Content-Encoding": "gzip"})

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve that upstream."""
    with serve(upstream) as url:
        yield url


@pytest.fixture
def session() -> Iterator[Callable[..., requests.Session]]:
    """Give a maker of sessions, closed at the end."""
    made: list[requests.Session] = []

    def make(**options: Any) -> requests.Session:
        made.append(kept_session(**({"sandbox": True} | options)))
        return made[-1]

    yield make
    for each in made:
        each.close()


Sessions = Callable[..., requests.Session]


def test_sends_forms_json_and_credentials(session: Sessions, address: str) -> None:
    """What our calls have arrives: form, JSON, headers, credentials."""
    kept = session()

    told = kept.post(address + "/echo", data={"a": "b"}, headers={"X-Own": "1"}, auth=("u", "p")).json()
    assert (told["form"], told["headers"]["X-Own"]) == ({"a": "b"}, "1")
    assert told["headers"]["Authorization"].startswith("Basic ")
    assert kept.post(address + "/echo", json={"a": 1}).json()["json"] == {"a": 1}
    assert kept.get(address + "/echo", params={"q": "ø"}).status_code == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error(session: Sessions, address: str, status: int) -> None:
    """No back-channel call is ever led elsewhere (SSRF)."""
    with pytest.raises(requests.TooManyRedirects):
        session().get(f"{address}/redirect/{status}")


def test_stops_at_the_cap(session: Sessions, address: str) -> None:
    """Fifty megabytes are given up at the cap; the cap itself is not."""
    kept = session(cap=100_000)

    assert len(kept.get(address + "/bytes/100000").content) == 100_000
    for path in ("/bytes/100001", "/stream"):
        with pytest.raises(TooBig):
            kept.get(address + path)


def test_unpacks_nothing(session: Sessions, address: str) -> None:
    """A few kilobytes that would unpack to twenty megabytes are not unpacked: no packed answer is asked for."""
    with pytest.raises(requests.exceptions.ContentDecodingError):
        session().get(address + "/bomb")


def test_a_short_answer_is_none(session: Sessions, address: str) -> None:
    """An answer that ends before the length it gave is an error, and never read as a whole one."""
    with pytest.raises(requests.ConnectionError):
        session().get(address + "/short")


def test_a_connection_that_was_closed_is_not_used(session: Sessions, address: str) -> None:
    """A server that closes kept connections, as they all do in the end, costs nobody a call."""
    kept = session()

    ports = {kept.get(address + "/port", headers={"Connection": "close"}).text for _ in range(3)}
    assert len(ports) == 3


def test_carries_no_cookie_over(session: Sessions, address: str) -> None:
    """A cookie set in one person's call is not sent with another's."""
    kept = session()
    kept.get(address + "/cookie")

    assert "Cookie" not in kept.get(address + "/echo").json()["headers"]


def test_uses_no_proxy_of_the_environment(session: Sessions, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or netrc in the environment is not for these calls."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert session().get(address + "/echo").status_code == 200


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://localhost.evil.test/"]
)
def test_goes_by_http_to_this_machine_only(session: Sessions, url: str) -> None:
    """In the sandbox http is for loopback; other schemes are for nothing."""
    with pytest.raises(requests.exceptions.InvalidSchema):
        session().get(url)


def test_goes_by_https_only(session: Sessions, address: str) -> None:
    """Outside the sandbox there is no http, on this machine neither."""
    with pytest.raises(requests.exceptions.InvalidSchema):
        session(sandbox=False).get(address + "/echo")


@pytest.fixture
def dripping() -> Iterator[str]:
    """Serve an upstream that drips its headers, a byte at a time, and never ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        opened, _ = listening.accept()
        with opened:
            opened.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not stop.wait(0.02):
                try:
                    opened.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    stop.set()
    thread.join()
    listening.close()


def test_a_dripping_answer_has_a_deadline(session: Sessions, dripping: str) -> None:
    """Slow loris: bytes that keep coming do not prolong the whole, in the headers neither."""
    kept = session(timeout=(1, 1), deadline=timedelta(seconds=0.3))
    started = time.monotonic()

    with pytest.raises(requests.Timeout):
        kept.get(dripping)
    assert time.monotonic() - started < 3


@pytest.fixture
def keeping() -> Iterator[str]:
    """Serve the upstream so that connections are kept."""
    server = make_server("127.0.0.1", 0, upstream(""), threaded=True, request_handler=Kept)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_keeps_its_connection(session: Sessions, keeping: str) -> None:
    """Calls go over one kept connection, also after the deadline of an earlier one."""
    kept = session(deadline=timedelta(seconds=5))

    assert len({kept.get(keeping + "/port").text for _ in range(3)}) == 1


@pytest.fixture
def talkative() -> Iterator[str]:
    """Serve answers with another one behind each, in one piece, on one connection after another."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
    listening = socket.create_server(("127.0.0.1", 0))

    def talk(wire: socket.socket) -> None:
        with wire:
            while head := wire.recv(65536):
                path = head.split(b" ")[1]
                wire.sendall(answer % (len(path), path) + answer % (5, b"other"))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_what_comes_behind_an_answer_is_nobodys(session: Sessions, talkative: str) -> None:
    """Request smuggling backwards: a second answer behind the first is not the next person's."""
    kept = session()

    assert [kept.get(f"{talkative}/{name}").text for name in "abc"] == ["/a", "/b", "/c"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make a certificate for this machine, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@pytest.fixture
def secure(certificate: tuple[str, str]) -> Iterator[str]:
    """Serve over TLS to those who show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    server = make_server("127.0.0.1", 0, upstream(""), ssl_context=context, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_trusts_whom_it_is_told_to(session: Sessions, secure: str, certificate: tuple[str, str]) -> None:
    """Mutual TLS: with the right trust and our certificate it talks; without either it does not."""
    assert session(sandbox=False, trust=certificate[0], cert=certificate).get(secure + "/bytes/3").content == b"xxx"

    with pytest.raises(requests.exceptions.SSLError):
        session(sandbox=False, cert=certificate).get(secure + "/bytes/3")
    with pytest.raises(requests.ConnectionError):
        session(sandbox=False, trust=certificate[0]).get(secure + "/bytes/3")


def test_refuses_files_that_do_not_load(tmp_path: Path) -> None:
    """A missing certificate file stops the start, not the first sign-in."""
    with pytest.raises(OSError, match=r"."):
        kept_session(trust=str(tmp_path / "none.pem"))
