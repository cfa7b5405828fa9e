"""E-mail through real servers: over TLS, authenticated, in plain text, and never without what was asked for."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.messages.mail import Mail, Settings, mistakes
from idbroker.messages.message import Channel, Message, NotSent
from tests.conftest import NOW
from tests.messages.mail_servers import HOST, LOGIN, Papers, Real, make_papers, real_server, scripted_server

TEXT = "123456 är din kod till Ögonkliniken.\n\n.\n.prick i början\nDela den inte med någon.\n"


def make_message(**changes: Any) -> Message:
    """Return a message to somebody."""
    usual: dict[str, Any] = {
        "id": "code|t1|1",
        "channel": Channel.EMAIL,
        "to": "somebody@example.org",
        "subject": "123456 är din kod till Ögonkliniken",
        "text": TEXT,
        "kind": "code",
        "ends_at": NOW + timedelta(minutes=5),
    }
    return Message(**{**usual, **changes})


def make_mail(port: int, **changes: Any) -> Mail:
    """Return a sender to a server on this machine, of little patience."""
    usual: dict[str, Any] = {
        "host": HOST,
        "port": port,
        "security": "none",
        "sender": "noreply@broker.test",
        "sender_name": "Ögonkliniken, Malmö",
        "timeout": 5.0,
    }
    return Mail(Settings(**{**usual, **changes}), clock=StoppedClock(NOW))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Make the server's certificate."""
    return make_papers(tmp_path_factory.mktemp("mail"))


@contextmanager
def starttls(papers: Papers) -> Iterator[tuple[Real, Mail]]:
    """Give a server that demands STARTTLS and a login, and a sender that knows both."""
    with real_server(papers, login=True) as server:
        yield server, make_mail(server.port, **login(papers), security="starttls")


@contextmanager
def implicit(papers: Papers) -> Iterator[tuple[Real, Mail]]:
    """Give the same with TLS from the first octet."""
    with real_server(papers, implicit=True, login=True) as server:
        yield server, make_mail(server.port, **login(papers), security="tls")


def login(papers: Papers) -> dict[str, Any]:
    """Return the settings of a login over TLS."""
    return {"username": LOGIN[0], "password": LOGIN[1], "ca_file": Path(papers.certificate)}


@pytest.mark.parametrize("serving", [starttls, implicit])
def test_taken_over_tls(papers: Papers, serving: Callable[[Papers], AbstractContextManager[tuple[Real, Mail]]]) -> None:
    """Over STARTTLS and implicit TLS a message arrives, authenticated, as it was written."""
    with serving(papers) as (server, mail):
        mail.send(make_message())

    ((sender, to, read),) = server.taken
    assert (sender, to) == ("noreply@broker.test", ["somebody@example.org"])
    assert read.get_content().replace("\r\n", "\n") == TEXT
    assert server.tls == [True]
    assert server.logins


def test_what_it_says(papers: Papers) -> None:
    """The headers are those of an automatic letter (RFC 5322, 3.6; RFC 3834, 5), with an id, all in seven bits."""
    with starttls(papers) as (server, mail):
        mail.send(make_message())
        mail.send(make_message())

    (_, _, read), (_, _, again) = server.taken
    assert read["Subject"] == "123456 är din kod till Ögonkliniken"
    assert str(read["From"]) == '"Ögonkliniken, Malmö" <noreply@broker.test>'
    assert read["To"] == "somebody@example.org"
    assert read["Date"].datetime == NOW
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["Content-Type"] == 'text/plain; charset="utf-8"'
    assert read["Message-ID"] == again["Message-ID"]
    assert read["Message-ID"] == f"<{hashlib.sha256(b'message|code|t1|1').hexdigest()[:32]}@broker.test>"
    assert all(raw.isascii() and b"\n" not in raw.replace(b"\r\n", b"") for raw in server.raw)


@pytest.mark.parametrize("text", ["", ".", "a\rb\r\n.\r\nc\nd", "x" * 5000, "\r\n.\r\nMAIL FROM:<evil@example.org>"])
def test_any_text(papers: Papers, text: str) -> None:
    """Whatever a text holds, it stays one message: no line of it ends the message (SMTP smuggling)."""
    with starttls(papers) as (server, mail):
        mail.send(make_message(text=text))

    ((_, _, read),) = server.taken
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert read.get_content().replace("\r\n", "\n").rstrip("\n") == lines.rstrip("\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "a@b.test\r\nBcc: c@d.test"},
        {"to": "a@b.test\nRCPT TO:<c@d.test>"},
        {"to": "a@b.test>,<c@d.test"},
        {"to": "a@b.test,c@d.test"},
        {"to": "a@b.test c@d.test"},
        {"to": "nobody"},
        {"to": ""},
        {"subject": "code\r\nBcc: c@d.test"},
        {"subject": "code\n\nother text"},
        {"subject": "code\u2028more"},
        {"text": "\ud800"},
    ],
)
def test_no_injection(changes: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A break in an address or a subject is refused for good, before anybody is asked (CWE-93)."""
    with scripted_server() as server:
        with pytest.raises(NotSent) as refused:
            make_mail(server.port).send(make_message(**changes))

        assert server.came == 0
    assert refused.value.for_good
    assert not refused.value.outage
    assert "b.test" not in str(refused.value)


def test_a_wrong_password(papers: Papers) -> None:
    """A login that is refused is the channel's fault, and tells nobody the password."""
    with real_server(papers, login=True) as server:
        wrong = {**login(papers), "password": "battery staple"}
        with pytest.raises(NotSent) as refused:
            make_mail(server.port, **wrong, security="starttls").send(make_message())

    assert (refused.value.for_good, refused.value.outage, refused.value.detail) == (False, True, "AUTH: 535")
    assert server.taken == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["stranger", "name"])
def test_a_certificate_that_is_not_theirs(papers: Papers, tmp_path: Path, security: str, fault: str) -> None:
    """Who has no certificate of the host's name that we trust is told no login and no message."""
    other = make_papers(tmp_path / "other", name="elsewhere.test" if fault == "name" else None)
    trusted = other if fault == "name" else papers
    with real_server(other, implicit=security == "tls", login=True) as server:
        with pytest.raises(NotSent) as refused:
            make_mail(server.port, **login(trusted), security=security).send(make_message())

        assert (server.logins, server.taken) == ([], [])
    assert refused.value.outage
    assert "SSLCertVerificationError" in refused.value.detail


@pytest.mark.parametrize("said", ["454 not now\r\n", "250 ok\r\n", "500 what\r\n"])
@pytest.mark.parametrize("offered", [True, False])
def test_no_downgrade(said: str, offered: bool) -> None:
    """Where STARTTLS was struck out, or is refused, nothing is said in the clear (RFC 3207, 6)."""
    greeting = f"250-mail.test\r\n{'250-STARTTLS' if offered else '250-8BITMIME'}\r\n250 AUTH PLAIN\r\n"
    with scripted_server({"EHLO": greeting, "STARTTLS": said}) as server:
        with pytest.raises(NotSent) as refused:
            make_mail(server.port, security="starttls", username="u", password="p").send(make_message())

        assert set(server.steps) <= {"greeting", "EHLO", "STARTTLS"}
    assert refused.value.outage


def test_answers_slipped_in_before_tls(papers: Papers) -> None:
    """What was said before TLS is forgotten with it: nobody between answers for the server (CVE-2021-38371's kind)."""
    slipped = "220 go on\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n"
    says = {"EHLO": "250-mail.test\r\n250 STARTTLS\r\n", "STARTTLS": slipped, "RCPT": "550 nobody\r\n"}
    with scripted_server(says, papers) as server:
        mail = make_mail(server.port, security="starttls", ca_file=Path(papers.certificate))
        with pytest.raises(NotSent):
            mail.send(make_message())

        assert server.taken == []


@pytest.mark.parametrize("knows", [True, False])
def test_an_address_beyond_ascii(papers: Papers, knows: bool) -> None:
    """Only such an address asks for SMTPUTF8, and where that is not known it is refused for good (RFC 6531, 3.1)."""
    with real_server(None, enable_SMTPUTF8=knows) as server:
        mail, message = make_mail(server.port), make_message(to="björn@example.org")
        if knows:
            mail.send(message)
        else:
            with pytest.raises(NotSent) as refused:
                mail.send(message)
            assert (refused.value.for_good, refused.value.outage) == (True, False)

    assert [to for _, to, _ in server.taken] == ([["björn@example.org"]] if knows else [])


def test_password_from_a_file(papers: Papers, tmp_path: Path) -> None:
    """The password may lie in a file, whose last line break is not part of it."""
    (tmp_path / "password").write_text(LOGIN[1] + "\n")
    settings = {**login(papers), "password": None, "password_file": tmp_path / "password"}
    with real_server(papers, login=True) as server:
        make_mail(server.port, **settings, security="starttls").send(make_message())

    assert len(server.taken) == 1


GOOD: dict[str, Any] = {"host": "mail.example.org", "sender": "noreply@example.org"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"host": ""}, "host"),
        ({"host": "smtp://mail.example.org"}, "host"),
        ({"port": 0}, "port"),
        ({"security": "none"}, "security"),
        ({"host": "127.evil.example.org", "security": "none"}, "security"),
        ({"security": "maybe"}, "security"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": 600.0}, "timeout"),
        ({"sender": "noreply"}, "sender"),
        ({"sender": "a@b.dk, c@d.dk"}, "sender"),
        ({"sender_name": "a\nb"}, "sender_name"),
        ({"username": "u"}, "username"),
        ({"password": "p"}, "username"),
        ({"username": "u", "password": ""}, "password"),
        ({"username": "u", "password": "p", "password_file": Path("/nowhere")}, "password"),
        ({"username": "u", "password_file": Path("/nowhere")}, "password_file"),
        ({"ca_file": Path("/nowhere")}, "ca_file"),
    ],
)
def test_mistakes(changes: dict[str, Any], named: str) -> None:
    """Each mistake in [email] is told, by the setting's name and without its secret."""
    (told,) = mistakes(Settings(**{**GOOD, **changes}))

    assert told.startswith(named)


def test_no_mistakes() -> None:
    """What is right is not complained of; without TLS only where the server is this machine."""
    assert mistakes(Settings(**GOOD)) == []
    assert mistakes(Settings(**GOOD, username="u", password="p", security="tls", port=465)) == []
    for host in ("localhost", "127.0.0.1", "::1"):
        assert mistakes(Settings(**{**GOOD, "host": host}, security="none")) == []
    assert "s3cret" not in repr(Settings(**GOOD, username="u", password="s3cret"))


def test_a_certificate_file_that_is_none(tmp_path: Path) -> None:
    """A file that holds no certificate stops the start."""
    (tmp_path / "ca.pem").write_text("nothing")

    (told,) = mistakes(Settings(**GOOD, ca_file=tmp_path / "ca.pem"))
    assert told.startswith("ca_file")
    with pytest.raises((OSError, ssl.SSLError)):
        make_mail(25, ca_file=tmp_path / "ca.pem")
