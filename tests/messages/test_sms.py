"""Text messages through four kinds of gateway, in each one's own wire format; and gateways that misbehave."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.messages.message import Channel, Message, NotSent, Sender, Unsure
from idbroker.messages.sms import Settings, make_sms, mistakes
from idbroker.providers._http import kept_session
from tests import servers
from tests.conftest import NOW
from tests.messages.gateway import Gateway, gateway
from tests.messages.mail_servers import Papers, make_papers

ACCOUNT = "AC" + "0" * 32
SERVICE = "MG" + "1" * 32
SECRET = "s" * 32
TO = "+46701740605"
TEXT = "123456 är din kod – dela den inte.\n\n@id.example.org #123456"
PLAIN = TEXT.replace("–", "-")
SHORT = 0.5

KINDS: dict[str, dict[str, Any]] = {
    "46elks": {"username": "u123", "password": "p:456"},
    "gatewayapi": {"token": "t.o-k_en"},
    "twilio": {"username": ACCOUNT, "password": "auth token"},
    "webhook": {"secret": SECRET},
}
PATHS = {"46elks": "/a1/sms", "gatewayapi": "/rest/mtsms", "twilio": "", "webhook": "/sms"}


def make_message(**changes: Any) -> Message:
    """Return a message to somebody."""
    usual: dict[str, Any] = {
        "id": "code|t1|2",
        "channel": Channel.SMS,
        "to": TO,
        "text": TEXT,
        "kind": "code",
        "ends_at": NOW + timedelta(minutes=5),
    }
    return Message(**{**usual, **changes})


def make_settings(kind: str, url: str, **changes: Any) -> Settings:
    """Return the settings of a kind at an address."""
    return Settings(**{"kind": kind, "sender": "Klinikken", "address": url + PATHS[kind], **KINDS[kind], **changes})


def http(**options: Any) -> requests.Session:
    """Make the kept session of the product, of less patience."""
    patient = {"timeout": (SHORT, SHORT), "deadline": timedelta(seconds=2 * SHORT)}
    return kept_session(**{**options, **patient}, sandbox=True)


@contextlib.contextmanager
def sms(kind: str, url: str, **changes: Any) -> Iterator[Sender]:
    """Give the sender to an address, and close its connections."""
    made: list[requests.Session] = []

    def kept(**options: Any) -> requests.Session:
        made.append(http(**options))
        return made[-1]

    yield make_sms(make_settings(kind, url, **changes), kept)
    for each in made:
        each.close()


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """Serve a gateway."""
    with gateway() as opened:
        yield opened


# ---- four formats ----------------------------------------------------------------------------------


def test_46elks(gate: Gateway) -> None:
    """46elks: a form, Basic authentication, and the text kept out of the gateway's own history."""
    with sms("46elks", gate.url) as sender:
        sender.send(make_message())

    (heard,) = gate.heard
    assert (heard.path, heard.user) == ("/a1/sms", ("u123", "p:456"))
    assert heard.form == {"from": "Klinikken", "to": TO, "message": PLAIN, "dontlog": "message"}


@pytest.mark.parametrize(("text", "encoding"), [(TEXT, None), ("ŝ 123456", "UCS2")])
def test_gatewayapi(gate: Gateway, text: str, encoding: str | None) -> None:
    """GatewayAPI: JSON, the token as a user, the number without +, another alphabet only where it must be."""
    with sms("gatewayapi", gate.url, sender="+4570101010") as sender:
        sender.send(make_message(text=text))

    (heard,) = gate.heard
    told = json.loads(heard.body)
    assert (heard.path, heard.user) == ("/rest/mtsms", ("t.o-k_en", ""))
    assert told.pop("encoding", None) == encoding
    assert told == {
        "sender": "4570101010",
        "message": text.replace("–", "-"),
        "recipients": [{"msisdn": int(TO[1:])}],
    }


@pytest.mark.parametrize(("sender", "name"), [("Klinikken", "From"), (SERVICE, "MessagingServiceSid")])
def test_twilio(gate: Gateway, sender: str, name: str) -> None:
    """Twilio: a form at the account's address, from a sender or by a Messaging Service; 201 is its yes."""
    gate.status = 201
    with sms("twilio", gate.url, sender=sender) as way:
        way.send(make_message())

    (heard,) = gate.heard
    assert heard.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert heard.user == (ACCOUNT, "auth token")
    assert heard.form == {"To": TO, name: sender, "Body": PLAIN}


def test_webhook(gate: Gateway) -> None:
    """A webhook: JSON whose every octet is signed, with an id to know it by and an end to refuse it after."""
    gate.status = 204
    gate.body = ""
    with sms("webhook", gate.url) as sender:
        sender.send(make_message())

    (heard,) = gate.heard
    signature = hmac.digest(SECRET.encode(), heard.body, "sha256").hex()
    assert heard.headers["Idbroker-Signature"] == f"sha256={signature}"
    assert heard.headers["Idempotency-Key"] == "code|t1|2"
    assert json.loads(heard.body) == {
        "id": "code|t1|2",
        "to": TO,
        "from": "Klinikken",
        "text": PLAIN,
        "kind": "code",
        "ends_at": "2026-11-22T09:05:00+00:00",
    }


def test_where_they_are() -> None:
    """Without an address each is at its own, over https."""
    asked: list[str] = []

    class Asked(requests.Session):
        def post(self, url: Any, *_: Any, **__: Any) -> Any:
            asked.append(str(url))
            raise requests.ConnectTimeout

    for kind in ("46elks", "gatewayapi", "twilio"):
        with Asked() as session, pytest.raises(NotSent):
            make_sms(make_settings(kind, "", address=None), lambda session=session, **_: session).send(make_message())

    assert asked == [
        "https://api.46elks.com/a1/sms",
        "https://gatewayapi.com/rest/mtsms",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
    ]


# ---- what an answer means --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "for_good", "outage"),
    [
        (400, True, False),
        (422, True, False),
        (413, True, False),
        (408, False, False),
        (401, False, True),
        (402, False, True),
        (403, False, True),
        (404, False, True),
        (429, False, True),
        (500, False, True),
        (502, False, True),
        (503, False, True),
        (302, False, True),
    ],
)
def test_a_no(gate: Gateway, kind: str, status: int, for_good: bool, outage: bool) -> None:
    """A no to the message is for good; one to us, or to everybody, is the channel's fault and is tried again."""
    gate.status, gate.body = status, f'{{"message": "no such number {TO}"}}'
    with sms(kind, gate.url) as sender, pytest.raises(NotSent) as caught:
        sender.send(make_message())

    assert (caught.value.for_good, caught.value.outage) == (for_good, outage)
    assert TO[1:] not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there(kind: str) -> None:
    """A gateway that nothing connects to has nothing."""
    with sms(kind, f"http://127.0.0.1:{servers.free_port()}") as sender, pytest.raises(NotSent) as caught:
        sender.send(make_message())

    assert (caught.value.for_good, caught.value.outage) == (False, True)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_answers_there(kind: str) -> None:
    """A gateway whose host drops every packet was told nothing: the message is tried again."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):  # nobody accepts them: the system drops all that come after
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with sms(kind, f"http://127.0.0.1:{full.getsockname()[1]}") as sender, pytest.raises(NotSent) as caught:
            sender.send(make_message())

    assert (caught.value.for_good, caught.value.outage) == (False, True)


def test_a_certificate_that_is_not_theirs(tmp_path: Path) -> None:
    """Who has no certificate that we trust is told nothing: no login, no number, no code."""
    heard: list[bytes] = []
    with (
        raw_gateway(b"", make_papers(tmp_path), heard) as url,
        sms("46elks", url) as sender,
        pytest.raises(NotSent) as caught,
    ):
        sender.send(make_message())

    assert (caught.value.for_good, caught.value.outage, heard) == (False, True, [])


@pytest.mark.parametrize("kind", KINDS)
def test_slow(gate: Gateway, kind: str) -> None:
    """A gateway that has been told and does not answer may have sent: nobody sends again."""
    gate.slow = threading.Event()
    with sms(kind, gate.url) as sender, pytest.raises(Unsure):
        sender.send(make_message())

    assert len(gate.heard) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 2",
    ],
)
def test_garbage(said: bytes) -> None:
    """An answer that breaks off, or is none, leaves nobody knowing."""
    with raw_gateway(said) as url, sms("46elks", url) as sender, pytest.raises(Unsure):
        sender.send(make_message())


@contextlib.contextmanager
def raw_gateway(said: bytes, papers: Papers | None = None, heard: list[bytes] | None = None) -> Iterator[str]:
    """Serve one that reads a request, says something and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as plain:
            plain.settimeout(5)
            with papers.context().wrap_socket(plain, server_side=True) if papers else plain as sock:
                request = sock.recv(65536)
                if heard is not None and request:
                    heard.append(request)
                sock.sendall(said)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if papers else ''}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        thread.join(10)
        listening.close()


def test_a_connection_for_each(gate: Gateway) -> None:
    """Each message has a connection of its own: one that was kept may be gone, and nobody would know how far it got."""
    with sms("46elks", gate.url) as sender:
        sender.send(make_message())
        sender.send(make_message())

    assert [heard.headers["Connection"] for heard in gate.heard] == ["close", "close"]


@pytest.mark.parametrize("to", ["0701740605", "46701740605", "+46701740605,+46701740606", "+46 70", "", "a@b.dk"])
def test_no_number(gate: Gateway, to: str) -> None:
    """What is no number in E.164 is asked of nobody."""
    with sms("46elks", gate.url) as sender, pytest.raises(NotSent) as caught:
        sender.send(make_message(to=to))

    assert (caught.value.for_good, caught.value.outage, gate.heard) == (True, False, [])


# ---- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        ("pigeon", {}, "kind"),
        ("46elks", {"sender": "Øjenklinik"}, "sender"),
        ("46elks", {"sender": "TwelveLetter"}, "sender"),
        ("46elks", {"sender": SERVICE}, "sender"),
        ("46elks", {"sender": "12"}, "sender"),
        ("46elks", {"username": None}, "username"),
        ("46elks", {"password": None}, "password"),
        ("46elks", {"password": ""}, "password"),
        ("46elks", {"password_file": Path("/nowhere")}, "password"),
        ("46elks", {"password": None, "password_file": Path("/nowhere")}, "password_file"),
        ("46elks", {"token": "t"}, "token"),
        ("gatewayapi", {"token": None}, "token"),
        ("gatewayapi", {"username": "u"}, "username"),
        ("gatewayapi", {"address": "http://gatewayapi.eu/rest/mtsms"}, "address"),
        ("gatewayapi", {"address": "gatewayapi.eu"}, "address"),
        ("gatewayapi", {"address": "https://u:p@gatewayapi.eu/"}, "address"),
        ("gatewayapi", {"address": "https://[x"}, "address"),
        ("twilio", {"username": "me"}, "username"),
        ("webhook", {"address": None}, "address"),
        ("webhook", {"secret": "short"}, "secret"),
        ("webhook", {"secret_file": Path("/nowhere")}, "secret"),
    ],
)
def test_mistakes(kind: str, changes: dict[str, Any], named: str) -> None:
    """Each mistake in [sms] is told, by the setting's name and without its secret."""
    usual = {"kind": kind, "sender": "Klinikken", "address": "https://gateway.test/sms", **KINDS.get(kind, {})}
    told = mistakes(Settings(**{**usual, **changes}))

    assert [each.split(":")[0] for each in told] == [named]


@pytest.mark.parametrize("kind", KINDS)
def test_no_mistakes(kind: str, tmp_path: Path) -> None:
    """What is right is not complained of, http to this machine included; a secret may lie in a file."""
    assert mistakes(make_settings(kind, "https://gateway.test")) == []
    assert mistakes(make_settings(kind, "http://127.0.0.1:8080")) == []
    name = next(name for name in KINDS[kind] if name != "username")
    (tmp_path / "secret").write_text(f"{KINDS[kind][name]}\n")
    from_file = make_settings(kind, "https://gateway.test", **{name: None, f"{name}_file": tmp_path / "secret"})
    assert mistakes(from_file) == []
    assert from_file.key == KINDS[kind][name]
    assert KINDS[kind][name] not in repr(make_settings(kind, "https://gateway.test"))
