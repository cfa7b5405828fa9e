"""The server of simulators with mutual TLS."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import requests
from cryptography import x509

from idbroker.clock import SystemClock
from idbroker.sandbox.bankid_certificates import Files, make_files
from idbroker.sandbox.pki import server_context
from idbroker.sandbox.tls import SecureServer


def echo(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """Answer with who asked, from where, and how much; be lost at /lost, wrong at /wrong."""
    if environ["PATH_INFO"] == "/lost":
        raise ConnectionAbortedError
    if environ["PATH_INFO"] == "/wrong":
        raise ZeroDivisionError
    length = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start("200 OK", [("Content-Type", "application/json")])
    told = {"port": environ["REMOTE_PORT"], "length": length, "certificate": environ["SSL_CLIENT_CERT"]}
    return [json.dumps(told).encode()]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return certificates for both sides."""
    return make_files(tmp_path, SystemClock().now())[0]


def context_of(files: Files) -> ssl.SSLContext:
    """Return the server's side."""
    return server_context(files.server.certificate, files.server.key, files.client_authority)


@contextmanager
def serving(context: Callable[[], ssl.SSLContext]) -> Iterator[str]:
    """Serve the echo; give its address."""
    server = SecureServer("127.0.0.1", 0, echo, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address(files: Files) -> Iterator[str]:
    """Give the address of the echo."""
    context = context_of(files)
    with serving(lambda: context) as address:
        yield address


@pytest.fixture
def session(files: Files) -> Iterator[requests.Session]:
    """Give a client with a certificate."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(files.server_root)
        session.cert = (str(files.client.certificate), str(files.client.key))
        yield session


def test_keeps_the_connection_and_names_the_client(address: str, files: Files, session: requests.Session) -> None:
    """One connection for all requests, bodies read to their end; each has the client's certificate."""
    told = [session.post(address, data=b"x" * length).json() for length in (0, 7, 100_000)]
    named = {x509.load_pem_x509_certificate(one["certificate"].encode()) for one in told}

    assert [one["length"] for one in told] == [0, 7, 100_000]
    assert len({one["port"] for one in told}) == 1
    assert named == {x509.load_pem_x509_certificate(files.client.certificate.read_bytes())}


def test_an_unfinished_handshake_holds_nobody_up(address: str, session: requests.Session) -> None:
    """Somebody who connects and says nothing leaves the others alone."""
    with socket.create_connection(("127.0.0.1", urlsplit(address).port or 0)):
        assert session.get(address, timeout=5).status_code == 200


def test_is_lost_on_request(address: str, session: requests.Session) -> None:
    """An application that loses the connection gives no answer, at once."""
    with pytest.raises(requests.ConnectionError):
        session.get(f"{address}/lost", timeout=5)


def test_certificates_may_change_while_it_runs(files: Files, session: requests.Session, tmp_path: Path) -> None:
    """A reset sandbox has new certificates: who connects from then on sees them, and must have theirs."""
    contexts = [context_of(files)]
    with serving(lambda: contexts[-1]) as address:
        before = session.get(address, timeout=5).status_code
        (tmp_path / "new").mkdir()
        contexts.append(context_of(make_files(tmp_path / "new", SystemClock().now())[0]))
        session.close()
        with pytest.raises(requests.exceptions.SSLError):
            session.get(address, timeout=5)

    assert before == 200


def test_says_what_is_wrong_with_itself_only(
    address: str, files: Files, session: requests.Session, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client without a certificate is no news; an application that fails is."""
    session.cert = None
    with pytest.raises(requests.ConnectionError):
        session.get(address, timeout=5)
    quiet = capfd.readouterr().err
    session.cert = (str(files.client.certificate), str(files.client.key))
    with pytest.raises(requests.ConnectionError):
        session.get(f"{address}/wrong", timeout=5)

    assert quiet == ""
    assert "ZeroDivisionError" in capfd.readouterr().err
