"""The simulated mail server: real SMTP in, the inbox out, and every way in which real ones fail."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from idbroker.clock import MovableClock
from idbroker.messages.mail import Mail, Settings
from idbroker.messages.message import Channel, Message, NotSent, Unsure
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.inbox import Inbox
from idbroker.sandbox.mailserver import LIES, SimMail, serving_mail

TO = "oda@example.test"


@dataclass(frozen=True, kw_only=True)
class Post:
    """A server that runs, its inbox and its faults, and how the product sends to it."""

    port: int
    inbox: Inbox
    faults: Faults
    mail: Mail

    def send(self, text: str, subject: str = "Koden") -> None:
        """Send as the product does."""
        ends_at = MovableClock().now() + timedelta(minutes=5)
        self.mail.send(
            Message(id="m1", channel=Channel.EMAIL, to=TO, subject=subject, text=text, kind="code", ends_at=ends_at)
        )


@pytest.fixture
def post() -> Iterator[Post]:
    """Give a server on a free port."""
    clock = MovableClock()
    inbox, faults = Inbox(clock), Faults({"email": LIES})
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        settings = Settings(host="127.0.0.1", port=port, security="none", sender="noreply@example.test", timeout=1.0)
        with serving_mail(sock, lambda: SimMail(inbox=inbox, faults=faults)):
            yield Post(port=port, inbox=inbox, faults=faults, mail=Mail(settings))


def test_delivers(post: Post) -> None:
    """A message of the product arrives whole, with its code, in the letters it was written in."""
    post.send("123456 er din kode til Lægerne på Åboulevarden.\nDel den ikke med nogen.", "123456 er din kode")

    message = post.inbox.list(TO)[0]
    assert message.text == "123456 er din kode til Lægerne på Åboulevarden.\nDel den ikke med nogen."
    assert (message.channel, message.subject, message.code) == ("email", "123456 er din kode", "123456")


def test_takes_the_link_out(post: Post) -> None:
    """The link of a message is taken out of it; digits in a link or a phone number are no code."""
    post.send("Vælg en adgangskode:\nhttp://localhost:8080/set/a-123456-b\nRing +45 70000002.")

    message = post.inbox.list()[0]
    assert (message.link, message.code) == ("http://localhost:8080/set/a-123456-b", None)


def test_any_program_may_send(post: Post) -> None:
    """Any SMTP client delivers, also to several people, and an HTML part is not what people read."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Æbler", "a@example.test", "b@example.test, c@example.test"
    mail.set_content("ren tekst")
    mail.add_alternative("<p>html</p>", subtype="html")
    with smtplib.SMTP("127.0.0.1", post.port, timeout=5) as client:
        client.send_message(mail)

    assert [(one.to, one.subject, one.text) for one in post.inbox.list()] == [
        ("c@example.test", "Æbler", "ren tekst"), ("b@example.test", "Æbler", "ren tekst"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "for_good"),
    [
        ({"down": True}, False), ({"status": 550}, True), ({"status": 451}, False), ({"status": 421}, False),
        ({"lies": ["refuses_content"]}, True), ({"slow": 5}, False),
    ],
)  # fmt: skip
def test_faults(post: Post, fault: dict[str, Any], for_good: bool) -> None:
    """Down, refused, greylisted or too slow: nothing is delivered, and the sender can tell whether to try again."""
    post.faults.set("email", fault)

    with pytest.raises(NotSent) as refused:
        post.send("123456")

    assert refused.value.for_good is for_good
    assert post.inbox.list() == ()
    post.faults.set("email", {})
    post.send("123456")
    assert len(post.inbox.list()) == 1


def test_drops_after_data(post: Post) -> None:
    """A server that takes a message and hangs up without a word has delivered it; the sender cannot know."""
    post.faults.set("email", {"lies": ["drops"]})

    with pytest.raises(Unsure):
        post.send("123456")

    assert len(post.inbox.list()) == 1


def test_slow_is_waited_for(post: Post) -> None:
    """A server that is slow, but not too slow, gets the message."""
    post.faults.set("email", {"slow": 0.2})

    post.send("123456")

    assert post.inbox.list()[0].code == "123456"
