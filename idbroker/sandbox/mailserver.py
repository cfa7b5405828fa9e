"""A mail server that delivers into the inbox, and fails as real ones do (RFC 5321)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from idbroker.sandbox.faults import Fault, Faults
from idbroker.sandbox.inbox import Inbox

MOST_OCTETS = 1024 * 1024
LIES = (
    "drops",  # takes the message, delivers it, and hangs up without having said so
    "refuses_content",  # takes the recipient, and refuses what the message says
)
_WORDS = {450: "Mailbox busy", 451: "Greylisted, come back later", 550: "No such mailbox here", 552: "Mailbox full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimMail:
    """What the server is of one world: where it delivers, and what is broken."""

    inbox: Inbox
    faults: Faults

    @property
    def fault(self) -> Fault:
        """Return what is wrong now. `status` is the reply to each recipient."""
        return self.faults.of("email")


@contextmanager
def serving_mail(sock: socket.socket, now: Callable[[], SimMail]) -> Iterator[None]:
    """Serve a listening socket, each message for the world of that moment, until the block ends."""
    # The library logs every line of the conversation, addresses and all.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    server = _Server(sock, now)
    server.start()
    try:
        yield
    finally:
        now().faults.clear()  # whoever still waits for a slow answer gets it
        server.stop()


class _Server(Controller):
    """Listens at a socket that is there already, so that everybody knows the port before the first world."""

    def __init__(self, sock: socket.socket, now: Callable[[], SimMail]) -> None:
        host, port = sock.getsockname()[:2]
        super().__init__(_Desk(now), hostname=host, port=port, data_size_limit=MOST_OCTETS, server_hostname="sandbox")
        self._sock, self._now = sock, now

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._sock)

    def factory(self) -> SMTP:
        """Return what speaks on one connection."""
        return _Line(self.handler, self._now, **self.SMTP_kwargs)


class _Line(SMTP):
    """One connection; while the server is down it is cut before a word was said."""

    def __init__(self, desk: _Desk, now: Callable[[], SimMail], **options: Any) -> None:
        super().__init__(desk, **options)
        self._now = now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up."""
        super().connection_made(transport)
        if self._now().fault.down and isinstance(transport, asyncio.Transport):
            transport.abort()


class _Desk:
    """What the server says to each command; the names are the library's."""

    def __init__(self, now: Callable[[], SimMail]) -> None:
        self._now = now

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Greet, as late as the fault says."""
        session.host_name = hostname
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._now().faults.suffer, "email")
        return responses

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or refuse."""
        status = self._now().fault.status
        if status is not None:
            return f"{status} {_WORDS.get(status, 'Not now' if status < 500 else 'Refused')}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver a message to everybody it is for."""
        world = self._now()
        if "refuses_content" in world.fault.lies:
            return "554 Looks like something nobody asked for"
        text, subject = _read(envelope.original_content or b"")
        for address in envelope.rcpt_tos:
            world.inbox.add("email", address, text, subject=subject)
        if "drops" in world.fault.lies and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "250 Taken"


def _read(content: bytes) -> tuple[str, str]:
    """Return the plain text and the subject of an e-mail."""
    read = message_from_bytes(content, EmailMessage, policy=default)
    body = read.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return str(text).replace("\r\n", "\n").rstrip("\n"), str(read.get("Subject", ""))
