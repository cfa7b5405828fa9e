"""Mail servers that misbehave: at each step, what was surely not taken, what never will be, and what nobody knows."""

from __future__ import annotations

import base64
import contextlib
import time

import pytest

from idbroker.messages.message import NotSent, Unsure
from tests import servers
from tests.messages.mail_servers import DRIBBLE, DROP, ENDLESS, HANG, scripted_server
from tests.messages.test_mail import make_mail, make_message

SHORT = 0.4  # how long a server is waited for here, in seconds
BEFORE = ("greeting", "EHLO", "MAIL", "RCPT", "DATA")  # the message itself has not begun
GARBAGE = ("hello\r\n", "2\r\n", "\x00\xff\r\n", "999 x\r\n", "150 x\r\n", "399 x\r\n", "x" * 10_000 + "\r\n")


def refused(step: str, said: str) -> NotSent:
    """Return how a message was not sent to a server that says something at one step."""
    with scripted_server({step: said}) as server:
        with pytest.raises(NotSent) as caught:
            make_mail(server.port, timeout=SHORT).send(make_message())
        assert server.taken == []
    return caught.value


@pytest.mark.parametrize("said", [DROP, HANG, ENDLESS, DRIBBLE, *GARBAGE])
@pytest.mark.parametrize("step", BEFORE)
def test_lost_before_the_message(step: str, said: str) -> None:
    """A server that breaks before the message begins has not taken it: it is the channel's fault, and tried again."""
    began = time.monotonic()

    error = refused(step, said)

    assert (error.for_good, error.outage) == (False, True)
    assert time.monotonic() - began < 10
    assert "example" not in str(error)


@pytest.mark.parametrize("said", ["421 going down\r\n", "450 busy\r\n", "451 local\r\n", "452 full\r\n"])
@pytest.mark.parametrize("step", [*BEFORE, "."])
def test_not_now(step: str, said: str) -> None:
    """A transient no at any step, the end included, is a no: the server has not taken it (RFC 5321, 4.2.1)."""
    with scripted_server({step: said}) as server, pytest.raises(NotSent) as caught:
        make_mail(server.port, timeout=SHORT).send(make_message())

    assert not caught.value.for_good
    # One mailbox that is busy says nothing of the others; a server that will not begin, or goes away, does.
    assert caught.value.outage == (step in ("greeting", "EHLO", "MAIL") or said.startswith("421"))


@pytest.mark.parametrize("said", ["550 nobody\r\n", "550-no\r\n550 body\r\n", "552 full\r\n", "554 spam\r\n"])
@pytest.mark.parametrize("step", ["RCPT", "DATA", "."])
def test_never(step: str, said: str) -> None:
    """A permanent no to the recipient or the message is for good, and no fault of the channel's (RFC 5321, 4.2.1)."""
    with scripted_server({step: said}) as server, pytest.raises(NotSent) as caught:
        make_mail(server.port, timeout=SHORT).send(make_message())

    assert (caught.value.for_good, caught.value.outage) == (True, False)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("greeting", "554 no mail here\r\n"),
        ("EHLO", "550 not you\r\n"),
        ("EHLO", "502 what\r\n"),
        ("MAIL", "550 not you\r\n"),
        ("RCPT", "530 log in first\r\n"),
        ("DATA", "250 ok\r\n"),
        ("DATA", "221 bye\r\n"),
    ],
)
def test_a_no_to_ourselves(step: str, said: str) -> None:
    """What is refused to everybody, and a yes where none is due, are the channel's fault: not the message's end."""
    error = refused(step, said)

    assert (error.for_good, error.outage) == (False, True)


@pytest.mark.parametrize("said", [DROP, HANG, ENDLESS, DRIBBLE, *GARBAGE, "354 go on\r\n"])
def test_lost_after_the_message(said: str) -> None:
    """Once the final dot is sent, only a definite answer says whether the message was taken."""
    with scripted_server({".": said}) as server:
        with pytest.raises(Unsure) as caught:
            make_mail(server.port, timeout=SHORT).send(make_message())

        assert len(server.taken) == 1
    assert "example" not in str(caught.value)


@pytest.mark.parametrize("said", [DROP, HANG, ENDLESS, "500 what\r\n", "hello\r\n"])
def test_lost_after_the_yes(said: str) -> None:
    """What becomes of the good-bye changes nothing: the message is sent."""
    with scripted_server({"QUIT": said}) as server:
        make_mail(server.port).send(make_message())

        assert len(server.taken) == 1


def test_nobody_there() -> None:
    """A server that is down is the channel's fault."""
    with pytest.raises(NotSent) as caught:
        make_mail(servers.free_port()).send(make_message())

    assert (caught.value.for_good, caught.value.outage) == (False, True)
    assert caught.value.detail == "connecting: ConnectionRefusedError"


@pytest.mark.parametrize("said", [DROP, HANG, "535 no\r\n", "454 not now\r\n", "hello\r\n", "250 ok\r\n"])
def test_lost_while_logging_in(said: str) -> None:
    """A login that breaks or is refused is the channel's fault."""
    with scripted_server({"EHLO": "250-mail.test\r\n250 AUTH PLAIN\r\n", "AUTH": said}) as server:
        mail = make_mail(server.port, timeout=SHORT, username="u", password="p")
        with pytest.raises(NotSent) as caught:
            mail.send(make_message())

        assert "MAIL" not in server.steps
    assert (caught.value.for_good, caught.value.outage) == (False, True)


@pytest.mark.parametrize(("answer", "taken"), [("235 ok\r\n", 1), ("535 no\r\n", 0)])
def test_one_way_to_log_in(answer: str, taken: int) -> None:
    """A password is tried once, by the first way that both know: every further try counts towards a lock."""
    says = {"EHLO": "250-mail.test\r\n250 AUTH CRAM-MD5 LOGIN\r\n", "AUTH": "334 UGFzc3dvcmQ6\r\n"}
    word = base64.b64encode(b"word").decode()
    with scripted_server({**says, word.upper(): answer}) as server:
        mail = make_mail(server.port, username="u", password="word")
        with contextlib.nullcontext() if taken else pytest.raises(NotSent):
            mail.send(make_message())

        assert server.steps.count("AUTH") == 1
        assert len(server.taken) == taken


@pytest.mark.parametrize("offered", ["SIZE 9", "AUTH GSSAPI"])
def test_no_way_to_log_in(offered: str) -> None:
    """Where no login that we know is offered, nothing is sent without one."""
    with scripted_server({"EHLO": f"250-mail.test\r\n250 {offered}\r\n"}) as server:
        with pytest.raises(NotSent) as caught:
            make_mail(server.port, username="u", password="p").send(make_message())

        assert "MAIL" not in server.steps
    assert caught.value.outage
