"""Where messages go: a real mail server and an SMS gateway, which a visit asks for the code that was sent to it.

POST /sms takes our webhook's form; GET /code?to=ADDRESS waits for the next code there and gives it, each once;
GET /taken tells how many messages came and when the first and the last did; POST /clear forgets all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"
READY, CODE, TAKEN, CLEAR, SMS = "/ready", "/code", "/taken", "/clear", "/sms"
PATIENCE = 20.0  # seconds that a visit waits for its code
_SIX_DIGITS = re.compile(r"\b[0-9]{6}\b")


@dataclass(kw_only=True)
class Taken:
    """What came by one channel: how many, and the moments of the first and the last."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def note(self) -> None:
        """Count one that came now."""
        self.last = time.perf_counter()
        self.first = self.first if self.count else self.last
        self.count += 1


@dataclass(kw_only=True)
class PostOffice:
    """Keeps the codes that came, by address, until they are asked for."""

    codes: dict[str, asyncio.Queue[str]] = field(default_factory=lambda: defaultdict(asyncio.Queue))
    taken: dict[str, Taken] = field(default_factory=lambda: defaultdict(Taken))

    def take(self, channel: str, to: str, text: str) -> None:
        """Note one message."""
        self.taken[channel].note()
        found = _SIX_DIGITS.search(text)
        if found is not None:
            self.codes[to].put_nowait(found[0])

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take an e-mail; the name is the library's."""
        read = message_from_bytes(envelope.original_content or b"", EmailMessage, policy=default)
        body = read.get_body(("plain",))
        for address in envelope.rcpt_tos:
            self.take("email", address, "" if body is None else str(body.get_content()))
        return "250 Taken"

    # ---- over HTTP -------------------------------------------------------------------------------

    async def answer(self, method: str, target: str, body: bytes) -> Mapping[str, Any]:
        """Answer one request."""
        parts = urlsplit(target)
        routes: Mapping[tuple[str, str], Callable[[], Coroutine[Any, Any, Mapping[str, Any]]]] = {
            ("GET", READY): self._ready,
            ("POST", SMS): lambda: self._sms(json.loads(body)),
            ("GET", CODE): lambda: self._code(parse_qs(parts.query)["to"][0]),
            ("GET", TAKEN): self._told,
            ("POST", CLEAR): self._cleared,
        }
        return await routes[(method, parts.path)]()

    async def _ready(self) -> Mapping[str, Any]:
        return {}

    async def _sms(self, message: Mapping[str, str]) -> Mapping[str, Any]:
        self.take("sms", message["to"], message["text"])
        return {}

    async def _code(self, to: str) -> Mapping[str, Any]:
        try:
            return {"code": await asyncio.wait_for(self.codes[to].get(), PATIENCE)}
        except TimeoutError:
            return {}

    async def _told(self) -> Mapping[str, Any]:
        return {
            channel: {"count": each.count, "first": each.first, "last": each.last}
            for channel, each in self.taken.items()
        }

    async def _cleared(self) -> Mapping[str, Any]:
        self.codes.clear()
        self.taken.clear()
        return {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after another, until it is closed."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
                length = re.search(r"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                text = json.dumps(await self.answer(method, target, body)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # whoever asked has gone
        finally:
            writer.close()


async def _serve(http: int, mail: int) -> None:
    office, loop = PostOffice(), asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(office, hostname="mail.bench.test"), LOOPBACK, mail, backlog=512)
    server = await asyncio.start_server(office.serve, LOOPBACK, http, backlog=512)
    async with smtp, server:
        await server.serve_forever()


@click.command()
@click.option("--port", type=int, required=True, help="Of the gateway, and of whoever asks for codes.")
@click.option("--mail-port", type=int, required=True)
def main(port: int, mail_port: int) -> None:
    """Serve on loopback until ended."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # it would log every line that is said
    asyncio.run(_serve(port, mail_port))


if __name__ == "__main__":
    main()
