"""E-mail, handed over to one mail server (RFC 5321; submission: RFC 6409), over TLS that nobody can take away."""

from __future__ import annotations

import hashlib
import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal

import certifi

from idbroker.clock import Clock, SystemClock
from idbroker.messages.addresses import NotAnAddress, email
from idbroker.messages.message import Message, NotSent, Unsure
from idbroker.outbound import leads_inside

_MOST_OCTETS = 64 * 1024  # of all that a server says
_WHOLE = 2  # so many timeouts for all of it
_LEAVING = 1.0  # seconds, for QUIT's answer
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029<>()\[\],;:\\\"]")
_NOT_WAITING = (421,)  # the server goes away, whatever it was asked (RFC 5321, 3.8)
_NOT_ALLOWED = (530, 534, 535, 538)  # it wants us authenticated, or otherwise (RFC 4954, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[email]`: the mail server that takes our messages, and whom they are from.

    `security` is `starttls` (demanded, never given up), `tls` from the first octet, or `none`, to this machine only.
    The server's certificate must be of `host`, by the public authorities or those in `ca_file`. The password is
    `password`, or what `password_file` holds. `timeout` is for connecting and for each answer, in seconds.
    """

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    sender: str
    sender_name: str = ""
    timeout: float = 10.0
    ca_file: Path | None = None

    @property
    def secret(self) -> str | None:
        """Return the password. Raises OSError and UnicodeDecodeError."""
        return self.password_file.read_text("utf-8").strip() if self.password_file else self.password


def mistakes(settings: Settings) -> list[str]:
    """Return everything that cannot work, in sentences for the operator."""
    return [*_place(settings), *_from(settings), *_login(settings)]


def _place(settings: Settings) -> Iterator[str]:
    if not settings.host or _CONTROL.search(settings.host) or " " in settings.host or "/" in settings.host:
        yield "host: the name of a mail server, without scheme or port"
    if not 1 <= settings.port <= 65535:
        yield "port: 1 to 65535"
    if settings.security not in ("starttls", "tls", "none"):
        yield "security: starttls, tls or none"
    # Codes in the clear would be read by whoever is on the way.
    if settings.security == "none" and not _is_here(settings.host):
        yield "security: none is for a mail server on this machine"
    if not 0 < settings.timeout <= 60:
        yield "timeout: above 0 and up to 60 seconds"
    if settings.ca_file is not None:
        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError):
            yield f"ca_file: no certificate in PEM reads at {settings.ca_file}"


def _from(settings: Settings) -> Iterator[str]:
    try:
        email(settings.sender)
    except NotAnAddress:
        yield "sender: one e-mail address, like noreply@example.org"
    if _CONTROL.search(settings.sender_name) or len(settings.sender_name) > 100:
        yield "sender_name: at most 100 characters, in one line"


def _login(settings: Settings) -> Iterator[str]:
    if settings.password is not None and settings.password_file is not None:
        yield "password: either password or password_file"
        return
    has_password = settings.password is not None or settings.password_file is not None
    if has_password != (settings.username is not None):
        yield "username and password: both or neither"
    try:
        if has_password and not ((settings.secret or "").isascii() and settings.secret):
            yield "password: is empty, or has other characters than ASCII's"
    except (OSError, UnicodeDecodeError):
        yield f"password_file: does not read: {settings.password_file}"


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1") or (host.startswith("127.") and leads_inside(host))


class Mail:
    """`Sender` by SMTP. Each message has a connection of its own: nothing that one left can reach the next."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Read the password and the certificates. Raises OSError or ssl.SSLError for files that do not load."""
        self._settings = settings
        self._secret = settings.secret
        self._clock = clock or SystemClock()
        self._from = Address(settings.sender_name, addr_spec=settings.sender)
        self._context = ssl.create_default_context(cafile=settings.ca_file or certifi.where())
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    def send(self, message: Message) -> None:
        """Hand a message over. Raises NotSent, or Unsure once the server may have all of it."""
        content = self._content(message)
        with self._connected() as server:
            self._address(server, message.to)
            self._hand_over(server, content)
            server.leave()

    # ---- what is sent ----------------------------------------------------------------------------

    def _content(self, message: Message) -> bytes:
        # A line break there would begin a header, or a command, of the attacker's choice (CWE-93).
        if _NO_ADDRESS.search(message.to) or message.to.count("@") != 1 or _CONTROL.search(message.subject):
            raise NotSent("an address or a subject that nobody may send", for_good=True)
        # Seven bits: no server on the way has to be asked for more, and nothing is rewritten.
        made = EmailMessage(SMTP.clone(cte_type="7bit", utf8=not message.to.isascii()))
        try:
            made["From"] = self._from
            local, _, domain = message.to.partition("@")
            made["To"] = Address(username=local, domain=domain)
            made["Subject"] = message.subject
            made["Date"] = format_datetime(self._clock.now())
            made["Message-ID"] = f"<{_digest(message.id)}@{self._from.domain}>"
            made["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5: no holiday notes in answer
            made.set_content(message.text)
            return re.sub(rb"(?m)^\.", b"..", re.sub(rb"\r\n|\r|\n", b"\r\n", made.as_bytes()))  # RFC 5321, 4.5.2
        except (ValueError, UnicodeError, IndexError):
            # The library's words quote what it could not write.
            raise NotSent("a message that cannot be written", for_good=True) from None

    # ---- to whom ---------------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[_Conversation]:
        """Give a conversation with the server we mean, over TLS, authenticated; close it whatever happens."""
        with _speaking("connecting"):
            server = self._reached()
        try:
            with _speaking("STARTTLS"):
                self._secured(server)
            with _speaking("AUTH"):
                if self._settings.username is not None and self._secret is not None:
                    server.log_in(self._settings.username, self._secret)
            yield server
        finally:
            server.close()

    def _reached(self) -> _Conversation:
        settings = self._settings
        ends = time.monotonic() + _WHOLE * settings.timeout
        place = (settings.host, settings.port, self._from.domain, settings.timeout)
        if settings.security == "tls":
            return _Secure(ends, *place, self._context)
        return _Conversation(ends, *place)

    def _secured(self, server: _Conversation) -> None:
        _check("EHLO", server.ehlo()[0], ours=True)
        if self._settings.security == "starttls":
            # Raises where the server does not offer it: somebody between may have struck it out (RFC 3207, 6).
            server.starttls(context=self._context)
            _check("EHLO", server.ehlo()[0], ours=True)

    def _address(self, server: _Conversation, to: str) -> None:
        options = [] if to.isascii() else ["SMTPUTF8"]
        if options and not server.has_extn("smtputf8"):
            raise NotSent("the server takes no such address", for_good=True)
        # Who refuses our own address refuses it for everybody.
        _check("MAIL FROM", _asked("MAIL FROM", lambda: server.mail(self._settings.sender, options)), ours=True)
        _check("RCPT TO", _asked("RCPT TO", lambda: server.rcpt(to)))

    def _hand_over(self, server: _Conversation, content: bytes) -> None:
        code = _asked("DATA", lambda: server.docmd("DATA"))
        if code != 354:
            _check("DATA", code)
            raise NotSent(f"DATA: {code}", outage=True)  # a yes that is not the one to go on
        with _speaking("the message"):
            server.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        try:
            # From here on the server may have all of it, and only its own word says whether it does.
            server.send(b".\r\n")
            code = server.getreply()[0]
        except (smtplib.SMTPException, OSError) as error:
            raise Unsure(f"the end of the message: {type(error).__name__}") from error
        if not (200 <= code < 300 or 400 <= code < 600):
            raise Unsure("the end of the message: no answer of SMTP's")
        _check("the end of the message", code)


def _digest(message_id: str) -> str:
    """Return what tells messages apart, and nothing else: an id may hold what is not for the person's mail server."""
    return hashlib.sha256(f"message|{message_id}".encode()).hexdigest()[:32]


@contextmanager
def _speaking(step: str) -> Iterator[None]:
    """Turn whatever breaks into NotSent. The server's own words are left out: they quote addresses."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"{step}: {error.smtp_code}", outage=True) from error
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        raise NotSent(f"{step}: {type(error).__name__}", outage=True) from error


def _asked(step: str, ask: Callable[[], tuple[int, bytes]]) -> int:
    with _speaking(step):
        return ask()[0]


def _check(step: str, code: int, *, ours: bool = False) -> None:
    """Return for a yes; NotSent for a no: for good if it is the address's or the message's (RFC 5321, 4.2.1)."""
    if 200 <= code < 300:
        return
    definite = 400 <= code < 600
    outage = ours or not definite or code in _NOT_WAITING or code in _NOT_ALLOWED
    raise NotSent(f"{step}: {code}", for_good=code >= 500 and not outage, outage=outage)


class _UntilDeadline(io.RawIOBase):
    """A socket's octets, until there were too many or the time is up.

    A timeout for each read lets a server that says one octet every nine seconds, or lines without end, keep a thread.
    """

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock, self._ends, self._left = sock, ends, _MOST_OCTETS
        self._each = sock.gettimeout()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some."""
        time_left = self._ends - time.monotonic()
        if time_left <= 0 or self._left <= 0:
            raise TimeoutError("too slow, or too much")
        self._sock.settimeout(time_left if self._each is None else min(time_left, self._each))
        read = self._sock.recv_into(buffer, min(len(buffer), self._left))
        self._left -= read
        return read


class _Conversation(smtplib.SMTP):
    """A connection to a mail server, bounded in all that it may say and in time."""

    def __init__(self, ends: float, host: str, port: int, name: str, timeout: float) -> None:
        self.ends = ends
        super().__init__(host, port, name, timeout)

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_UntilDeadline(self.sock, self.ends))
        return super().getreply()

    def log_in(self, username: str, password: str) -> None:
        """Authenticate, once: a wrong password that is tried in every way there is locks the account."""
        offered = self.esmtp_features.get("auth", "").upper().split()
        ways: dict[str, Any] = {"PLAIN": self.auth_plain, "LOGIN": self.auth_login, "CRAM-MD5": self.auth_cram_md5}
        way = next((name for name in ways if name in offered), None)
        if way is None:
            raise smtplib.SMTPNotSupportedError("no way to log in that we know")
        self.user, self.password = username, password
        self.auth(way, ways[way])

    def leave(self) -> None:
        """Say good-bye. The message is sent, whatever the answer is."""
        self.ends, self.file = time.monotonic() + _LEAVING, None
        with suppress(smtplib.SMTPException, OSError):
            self.docmd("QUIT")


class _Secure(_Conversation, smtplib.SMTP_SSL):
    """The same, over TLS from the first octet."""

    def __init__(self, ends: float, host: str, port: int, name: str, timeout: float, context: ssl.SSLContext) -> None:
        self.ends = ends
        smtplib.SMTP_SSL.__init__(self, host, port, name, timeout=timeout, context=context)
