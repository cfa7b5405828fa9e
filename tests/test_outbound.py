"""What is fetched from an address a client named, and what is not (standards J17)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator

import pytest
from cryptography import x509
from flask import Flask, Response, redirect
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

from idbroker.outbound import MOST_OCTETS, GuardedFetch, is_public
from tests.certificates import make_certificate

HOST = "keys.portal.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make the client's server a certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"), x509.DNSName(HOST))


@pytest.fixture(scope="module")
def port(certificate: tuple[str, str]) -> Iterator[int]:
    """Serve the client's documents over TLS; give the port."""
    app = Flask(__name__)

    @app.get("/jwks.json")
    def keys() -> Response:
        return Response('{"keys": []}', content_type="application/json")

    @app.get("/elsewhere")
    def elsewhere() -> AnyResponse:
        return redirect("/jwks.json")

    @app.get("/huge")
    def huge() -> Response:
        return Response(b"x" * (MOST_OCTETS + 1))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = make_server("127.0.0.1", 0, app, ssl_context=context, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(certificate: tuple[str, str]) -> GuardedFetch:
    """Return a fetch for which this machine is the internet."""
    return GuardedFetch(resolve=lambda *_: ("127.0.0.1",), public=lambda _: True, trust=certificate[0])


def test_a_document(fetch: GuardedFetch, port: int) -> None:
    """A document on https with the right certificate is fetched."""
    assert fetch(f"https://{HOST}:{port}/jwks.json") == b'{"keys": []}'


@pytest.mark.parametrize("path", ["elsewhere", "huge", "missing"])
def test_only_a_document(fetch: GuardedFetch, port: int, path: str) -> None:
    """A redirect leads where an attacker wants us; a huge body, or none, is no key set."""
    with pytest.raises(OSError, match="reasonable size"):
        fetch(f"https://{HOST}:{port}/{path}")


def test_anothers_certificate(fetch: GuardedFetch, port: int) -> None:
    """Whoever answers at the address must prove the name that was asked for."""
    with pytest.raises(OSError, match="could not be fetched"):
        fetch(f"https://other.portal.test:{port}/jwks.json")


@pytest.mark.parametrize(
    "url",
    ["http://keys.portal.test/", "file:///etc/passwd", "https://user@keys.portal.test/", "https://", "gopher://x/"],
)
def test_only_plain_https(fetch: GuardedFetch, url: str) -> None:
    """Other schemes, and a user part that hides the host, are not fetched."""
    with pytest.raises(OSError, match="not a plain https address"):
        fetch(url)


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("10.1.2.3",), ("169.254.169.254",), ("::1",), ("::ffff:127.0.0.1",), ("fe80::1",), (),
     ("8.8.8.8", "192.168.0.1")],
)  # fmt: skip
def test_inside_addresses(addresses: tuple[str, ...]) -> None:
    """A name that leads inside, even with one address among good ones, is not connected to (SSRF, rebinding)."""
    fetch = GuardedFetch(resolve=lambda *_: addresses)

    with pytest.raises(OSError, match="not a public address"):
        fetch("https://keys.portal.test/jwks.json")


def test_the_open_internet() -> None:
    """Addresses of the open internet pass."""
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")
