"""What is asked at an address a client named, and what is not (standards J17, A22)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from cryptography import x509
from flask import Flask, Response, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

from idbroker.backchannel import LEASE
from idbroker.outbound import MOST_OCTETS, GuardedFetch, GuardedPost, is_public
from tests.certificates import make_certificate

HOST = "keys.portal.test"
MIB = 1024 * 1024
FORM = {"logout_token": "a.b.c", "ø": "&="}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make the client's server a certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"), x509.DNSName(HOST))


@pytest.fixture(scope="module")
def told() -> list[dict[str, str]]:
    """Return the forms that the client's server was sent, with what came along."""
    return []


@pytest.fixture(scope="module")
def written() -> list[int]:
    """Return the pieces that the client's server wrote of an endless answer."""
    return []


@pytest.fixture(scope="module")
def port(certificate: tuple[str, str], told: list[dict[str, str]], written: list[int]) -> Iterator[int]:
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

    _takes_forms(app, told, written)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = make_server("127.0.0.1", 0, app, ssl_context=context, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def _takes_forms(app: Flask, told: list[dict[str, str]], written: list[int]) -> None:
    """Let the client's server be told of logouts, in ways."""

    def unread() -> Iterator[bytes]:
        for _ in range(100):
            written.append(MIB)
            yield b"x" * MIB

    @app.post("/logout")
    def logout() -> Response:
        told.append({**request.form, "host": request.host, "type": request.mimetype})
        return Response(status=int(request.args.get("say", "200")))

    @app.post("/away")
    def away() -> AnyResponse:
        return redirect("/logout", 307)

    @app.post("/endless")
    def endless() -> Response:
        return Response(unread(), content_type="application/octet-stream")


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
    with pytest.raises(OSError, match="could not be reached"):
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
    assert is_public("64:ff9b::8.8.8.8")


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "2002:7f00:1::1", "2002:a00:1::", "::ffff:10.0.0.1", "::",
     "0.0.0.0", "239.1.2.3", "ff02::1", "fd00::1", "100.64.0.1", "198.18.0.1", "fe80::1%eth0",  # noqa: S104
     "64:ff9b:1::7f00:1", "64:ff9b:1:abcd::a00:5", "::127.0.0.1", "::ffff:0:10.0.0.5", "::8.8.8.8", "fec0::5",
     "192.0.0.192", "192.0.0.8", "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::192.0.0.192", "2002:a83f:8110::",
     "192.88.99.1", "3fff::1", "5f00::1", "100:0:0:1::1", "2001:db8::1", "2001::7f00:1"],
)  # fmt: skip
def test_addresses_that_hide_one_of_ours(address: str) -> None:
    """An address that a gateway takes inside, all machines of a network, and what is nobody's, are not public."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://x:99999/",
        "https://x:y/",
        f"https://{'x' * 70}.localhost/",
        "https://x\x00y.localhost/",
        "https:///x",
    ],
)
def test_addresses_that_do_not_read(url: str) -> None:
    """Whatever is wrong with an address, it is one kind of error."""
    with pytest.raises(OSError):  # noqa: PT011 - the look-up of a name may fail in its own words
        GuardedFetch(public=lambda _: True)(url)


# ---- posting a form --------------------------------------------------------------------------------


@pytest.fixture
def post(certificate: tuple[str, str]) -> GuardedPost:
    """Return a post for which this machine is the internet."""
    return GuardedPost(resolve=lambda *_: ("127.0.0.1",), public=lambda _: True, trust=certificate[0])


@pytest.mark.parametrize("status", [200, 204, 400, 404, 500, 503])
def test_a_form(post: GuardedPost, port: int, told: list[dict[str, str]], status: int) -> None:
    """A form arrives as one, under the name that was asked for, and the status comes back."""
    assert post(f"https://{HOST}:{port}/logout?say={status}", FORM) == status
    assert told[-1] == {**FORM, "host": f"{HOST}:{port}", "type": "application/x-www-form-urlencoded"}


def test_a_redirect_is_not_followed(post: GuardedPost, port: int, told: list[dict[str, str]]) -> None:
    """A 307 would carry the form wherever an attacker wants it: its status is all there is of it."""
    before = len(told)

    assert post(f"https://{HOST}:{port}/away", FORM) == 307
    assert len(told) == before


def test_a_hundred_megabytes_are_not_read(post: GuardedPost, port: int, written: list[int]) -> None:
    """A server cannot fill our memory or our time: of 100 MB it gets rid of what the line's buffers hold."""
    assert post(f"https://{HOST}:{port}/endless", FORM) == 200
    assert sum(written) < 20 * MIB


def test_a_certificate_of_another(post: GuardedPost, port: int, told: list[dict[str, str]]) -> None:
    """Nothing is sent to whoever cannot prove the name, or whose certificate nobody vouches for."""
    before = len(told)
    unknown = GuardedPost(resolve=post.resolve, public=post.public)

    for asked, host in ((post, "other.portal.test"), (unknown, HOST)):
        with pytest.raises(OSError, match="could not be reached"):
            asked(f"https://{host}:{port}/logout", FORM)
    assert len(told) == before


def test_an_address_behind_one_that_does_not_answer(certificate: tuple[str, str], port: int) -> None:
    """Of a name's addresses the first that answers is taken: a portal may lack one of its two families."""
    post = GuardedPost(resolve=lambda *_: ("::1", "127.0.0.1"), public=lambda _: True, trust=certificate[0])

    assert post(f"https://{HOST}:{port}/logout", FORM) == 200


@pytest.mark.parametrize("drip", [b"", b"H"], ids=["silent", "dripping"])
def test_a_slow_answer_is_left(drip: bytes) -> None:
    """A server that says nothing, or one octet now and then, holds a thread no longer than the whole may take."""
    stop = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            opened, _ = listening.accept()
            with opened:
                while not stop.wait(0.02):
                    opened.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(OSError, match="could not be reached"):
            GuardedPost(sandbox=True, whole_seconds=0.3)(f"http://127.0.0.1:{listening.getsockname()[1]}/", FORM)
        took = time.monotonic() - began
        stop.set()
        thread.join(5)

    assert 0.2 < took < 2


def test_a_name_server_that_hangs_is_left() -> None:
    """A name that its owner's server never answers for holds no thread of ours, and no notice beyond its lease."""
    stop, asked = threading.Event(), []

    def resolve(host: str, _: int) -> tuple[str, ...]:
        asked.append(host)
        stop.wait(30)
        return ("8.8.8.8",)

    post = GuardedPost(resolve=resolve, lookup_seconds=0.02)
    began, words = time.monotonic(), []
    for _ in range(40):
        with pytest.raises(OSError) as failed:  # noqa: PT011 - its words are looked at below
            post("https://portal.test/logout", FORM)
        words.append(str(failed.value))
    took = time.monotonic() - began
    stop.set()

    assert took < 10
    assert len(asked) == 32
    assert words == ["the name was not looked up in time"] * 32 + ["too many names are being looked up"] * 8


def test_names_are_looked_up_again() -> None:
    """However many look-ups failed, in whatever way, the next has its turn."""

    def resolve(*_: object) -> tuple[str, ...]:
        raise socket.gaierror("no such name")

    post = GuardedPost(resolve=resolve)
    for _ in range(100):
        with pytest.raises(socket.gaierror):
            post("https://portal.test/logout", FORM)


def test_a_notice_is_sent_within_its_lease() -> None:
    """Whatever a client does to be slow, its notice is not told by a second worker while the first still tries."""
    post = GuardedPost()

    assert post.lookup_seconds + post.whole_seconds < LEASE.total_seconds() / 2


# ---- the sandbox's portals, on this machine --------------------------------------------------------


@pytest.fixture
def plain_port() -> Iterator[int]:
    """Serve a portal on plain http; give the port."""
    app = Flask(__name__)
    app.add_url_rule("/logout", view_func=lambda: Response(status=204), methods=["POST"])
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_sandbox_reaches_this_machine(plain_port: int) -> None:
    """In the sandbox a portal on loopback is told, by plain http."""
    post = GuardedPost(sandbox=True)

    assert post(f"http://localhost:{plain_port}/logout", FORM) == 204
    assert post(f"http://127.0.0.1:{plain_port}/logout", FORM) == 204


def test_production_does_not(plain_port: int, port: int) -> None:
    """In production neither http nor loopback is reached, under whatever name."""
    with pytest.raises(OSError, match="not a plain https address"):
        GuardedPost()(f"http://localhost:{plain_port}/logout", FORM)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        with pytest.raises(OSError, match="not a public address"):
            GuardedPost()(f"https://{host}:{port}/logout", FORM)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://portal.test/logout", ("8.8.8.8",)),
        ("http://portal.test/logout", ("127.0.0.1", "8.8.8.8")),
        ("http://portal.test/logout", ("10.0.0.1",)),
        ("https://portal.test/logout", ("10.0.0.1",)),
        ("https://portal.test/logout", ("127.0.0.1", "169.254.169.254")),
    ],
)
def test_the_sandbox_goes_no_further(url: str, addresses: tuple[str, ...]) -> None:
    """Plain http stays on this machine, and our network stays closed, in the sandbox too."""
    with pytest.raises(OSError, match="not a public address"):
        GuardedPost(sandbox=True, resolve=lambda *_: addresses)(url, FORM)
