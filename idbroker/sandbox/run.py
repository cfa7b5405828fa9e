"""Nine servers in one process, on this machine's own addresses."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

from idbroker.errors import OperatorError
from idbroker.sandbox.bankid import SimBankID
from idbroker.sandbox.freja import SimFreja
from idbroker.sandbox.mailserver import serving_mail
from idbroker.sandbox.pki import server_context
from idbroker.sandbox.portal.services import SERVICES
from idbroker.sandbox.scenes import Scene, Scenes
from idbroker.sandbox.tables import Addresses
from idbroker.sandbox.tls import Kept, secure

LOOPBACK = "127.0.0.1"
MOST_PORTS = 100
_BACKLOG = 128
_SERVERS = 9
MOST_PORT = 65535 - _SERVERS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A sandbox that answers: its addresses, and whether it got the port it was asked for."""

    issuer: str
    portals: dict[str, str]
    sms: str
    mail: str
    moved: bool

    @property
    def ready_line(self) -> dict[str, Any]:
        """Return what scripts are told when everything answers."""
        return {
            "ready": True,
            "issuer": self.issuer,
            "api": f"{self.issuer}/sandbox/api",
            "inbox": f"{self.issuer}/inbox",
            "portals": self.portals,
            "sms": self.sms,
            "smtp": self.mail,
        }


@contextmanager
def running(host: str, port: int, home: Path) -> Iterator[Running]:
    """Serve a sandbox until the block ends. Port 0 takes free ones; a busy one gives way to the next.

    Raises OperatorError when nothing is free, or the folder holds keys that are not a sandbox's.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(sock) for sock in _listen_all(host, port)]
        issuer, portals, mitid, suomifi, borgeradgang, bankid, freja, sms, mail = sockets
        addresses = Addresses(
            issuer=f"http://localhost:{_port(issuer)}",
            portals=f"http://localhost:{_port(portals)}",
            # Another host than ours: their pages are as foreign to the browser as the real ones.
            mitid=f"http://{LOOPBACK}:{_port(mitid)}",
            suomifi=f"http://{LOOPBACK}:{_port(suomifi)}",
            borgeradgang=f"http://{LOOPBACK}:{_port(borgeradgang)}",
            bankid=f"https://{LOOPBACK}:{_port(bankid)}",
            freja=f"https://{LOOPBACK}:{_port(freja)}",
            sms=f"http://{LOOPBACK}:{_port(sms)}",
            mail=_port(mail),
        )
        scenes = Scenes(home, addresses)
        stack.callback(scenes.close)
        stack.enter_context(_serving(issuer, scenes.application(lambda scene: scene.issuer)))
        stack.enter_context(_serving(portals, scenes.application(lambda scene: scene.portals)))
        stack.enter_context(_serving(mitid, scenes.application(lambda scene: scene.mitid)))
        stack.enter_context(_serving(suomifi, scenes.application(lambda scene: scene.world.suomi)))
        stack.enter_context(_serving(borgeradgang, scenes.application(lambda scene: scene.world.borgeradgang.app)))
        stack.enter_context(_serving(sms, scenes.application(lambda scene: scene.world.sms)))
        stack.enter_context(serving_mail(mail, lambda: scenes.now.world.mail))
        for sock, scene_of in ((bankid, lambda scene: scene.world.bankid), (freja, lambda scene: scene.world.freja)):
            stack.enter_context(_serving_secure(sock, scenes, scene_of))
        yield Running(
            issuer=addresses.issuer,
            portals={service.id: f"{addresses.portals}/{service.id}/" for service in SERVICES},
            sms=addresses.sms,
            mail=f"smtp://{LOOPBACK}:{addresses.mail}",
            moved=port not in (0, _port(issuer)),
        )


class _Quiet(WSGIRequestHandler):
    """Keeps connections open, and says nothing: a log line would hold codes."""

    protocol_version = "HTTP/1.1"
    server_version = "idbroker-sandbox"
    sys_version = ""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""


@contextmanager
def _serving(sock: socket.socket, app: WSGIApplication) -> Iterator[None]:
    host, port = sock.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet, fd=sock.fileno())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _serving_secure(
    sock: socket.socket, scenes: Scenes, pick: Callable[[Scene], SimBankID | SimFreja]
) -> Iterator[None]:
    host, port = sock.getsockname()[:2]
    app = scenes.application(lambda scene: pick(scene).app)
    server = make_server(host, port, app, threaded=True, request_handler=Kept, fd=sock.fileno())
    secure(server, lambda: _context(pick(scenes.now)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _context(sim: SimBankID | SimFreja) -> ssl.SSLContext:
    return server_context(sim.server_certificate, sim.server_key, sim.client_authority)


def _listen_all(host: str, port: int) -> list[socket.socket]:
    """Return nine listening sockets: on the port asked for or the next free ones, or anywhere for 0."""
    sockets: list[socket.socket] = []
    try:
        for _ in range(_SERVERS):
            after = _port(sockets[-1]) + 1 if sockets else port
            sockets.append(_listen(host, after if port else 0))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    for candidate in range(port, min(port + MOST_PORTS, 65536)) if port else (0,):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
            sock.listen(_BACKLOG)
            return sock
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE:
                raise OperatorError(f"cannot listen on {host}: {error.strerror}", code="listen") from error
    raise OperatorError(f"no free port from {port} on", hint="choose another with --port", code="listen")


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port
