"""Mail servers for the tests: a real one (aiosmtpd), and one that says whatever a test wants at any step."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509

from tests import servers
from tests.certificates import make_certificate

HOST = "127.0.0.1"
LOGIN = ("broker", "correct horse")
PATIENCE = 20.0

DROP = "drop"  # hang up
HANG = "hang"  # say nothing until the test is over
ENDLESS = "endless"  # lines without end
DRIBBLE = "dribble"  # one octet now and then, for ever


@dataclass(frozen=True)
class Papers:
    """A server's certificate and key, and the certificate as what clients trust."""

    certificate: str
    key: str

    def context(self) -> ssl.SSLContext:
        """Return what a server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_papers(folder: Path, *, name: str | None = None) -> Papers:
    """Make a certificate of this machine's address, or of another name."""
    folder.mkdir(exist_ok=True)
    names = x509.IPAddress(IPv4Address(HOST)) if name is None else x509.DNSName(name)
    return Papers(*make_certificate(folder, names))


# ---- a real one ------------------------------------------------------------------------------------


@dataclass
class Real:
    """What a real server took, and from whom."""

    port: int = 0
    taken: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        """Take a message."""
        read = message_from_bytes(envelope.content, policy=default)
        assert isinstance(read, EmailMessage)
        self.raw.append(envelope.content)
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, read))
        self.tls.append(server.transport.get_extra_info("cipher") is not None)
        return "250 taken"

    def login(self, _server: Any, _session: Any, _envelope: Any, mechanism: str, told: Any) -> AuthResult:
        """Let the one account in."""
        self.logins.append(mechanism)
        right = isinstance(told, LoginPassword) and (told.login.decode(), told.password.decode()) == LOGIN
        return AuthResult(success=right, handled=False)


@contextmanager
def real_server(papers: Papers | None, *, implicit: bool = False, login: bool = False, **more: Any) -> Iterator[Real]:
    """Run aiosmtpd: with STARTTLS demanded, TLS from the first octet, or neither."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    real = Real(port=servers.free_port())
    options: dict[str, Any] = {"hostname": HOST, "port": real.port, "ready_timeout": PATIENCE, **more}
    if papers and implicit:
        options["ssl_context"] = papers.context()
        options["auth_require_tls"] = False  # from the first octet on it does not know that it is on TLS
    elif papers:
        options |= {"tls_context": papers.context(), "require_starttls": True}
    if login:
        options |= {"authenticator": real.login, "auth_required": not implicit}
    controller = Controller(real, **options)
    controller.start()
    try:
        yield real
    finally:
        controller.stop()


# ---- one that misbehaves ---------------------------------------------------------------------------

MANNERS: Mapping[str, str] = {
    "greeting": "220 mail.test\r\n",
    "EHLO": "250-mail.test\r\n250 SIZE 1000000\r\n",
    "HELO": "250 mail.test\r\n",
    "AUTH": "235 welcome\r\n",
    "MAIL": "250 ok\r\n",
    "RCPT": "250 ok\r\n",
    "DATA": "354 go on\r\n",
    ".": "250 taken\r\n",
    "QUIT": "221 bye\r\n",
    "STARTTLS": "220 go on\r\n",
}


@dataclass
class Scripted:
    """A server that answers each step by `says`, and with good manners where that says nothing.

    `taken` are the messages whose final dot it read, `steps` what it was asked, connection after connection.
    """

    papers: Papers | None = None
    says: dict[str, str] = field(default_factory=dict)
    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    came: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    reached: dict[str, threading.Event] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def when(self, step: str) -> threading.Event:
        """Return what is set once a step was reached."""
        with self.lock:
            return self.reached.setdefault(step, threading.Event())

    def serve(self, sock: socket.socket) -> None:
        """Have one conversation."""
        with self.lock:
            self.came += 1
        with contextlib.suppress(OSError, EOFError), sock:
            sock.settimeout(PATIENCE)
            self._answer(sock, "greeting")
            if self._converse(sock) == "STARTTLS" and self.papers:
                with self.papers.context().wrap_socket(sock, server_side=True) as secured:
                    self._converse(secured)

    def _converse(self, sock: socket.socket) -> str:
        """Answer until the end, or until TLS begins; return what came last."""
        with sock.makefile("rb") as lines:
            step = "greeting"
            while step not in ("", "QUIT", "STARTTLS"):
                step = lines.readline().decode("utf-8", "replace").strip().split(" ")[0].upper()
                self._answer(sock, step)
                if step == "DATA" and "DATA" not in self.says:
                    self._take(lines)
                    self._answer(sock, ".")
            return step

    def _take(self, lines: Any) -> None:
        content = b""
        while (line := lines.readline()) != b".\r\n":
            if not line:
                raise EOFError
            content += line
        with self.lock:
            self.taken.append(content)

    def _answer(self, sock: socket.socket, step: str) -> None:
        if not step:
            raise EOFError
        with self.lock:
            self.steps.append(step)
        self.when(step).set()
        said = self.says.get(step, MANNERS.get(step, "500 what\r\n"))
        if said == DROP:
            raise EOFError
        if said == HANG:
            self.over.wait(PATIENCE)
            raise EOFError
        if said == ENDLESS:
            while not self.over.is_set():
                sock.sendall(b"250-" + b"x" * 1000 + b"\r\n")
        if said == DRIBBLE:
            while not self.over.wait(0.1):
                sock.sendall(b"2")
        sock.sendall(said.encode())


@contextmanager
def scripted_server(says: Mapping[str, str] | None = None, papers: Papers | None = None) -> Iterator[Scripted]:
    """Run one on loopback."""
    script = Scripted(papers=papers, says=dict(says or {}))
    threads: list[threading.Thread] = []
    listening = socket.create_server((HOST, 0))
    script.port = listening.getsockname()[1]

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                threads.append(threading.Thread(target=script.serve, args=(sock,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield script
    finally:
        script.over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
