"""The CPR match of a private service: a form of ours, three tries, and NemLog-in's service over mutual TLS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from idbroker.clock import SystemClock
from idbroker.errors import Refused, Unreachable, Untrusted
from idbroker.identity import Identity
from idbroker.providers import Form
from idbroker.sandbox.people import cpr
from idbroker.sandbox.pki import named, new_authority, server_context, write_certificates, write_pair
from idbroker.sandbox.tls import SecureServer
from tests.providers.oiosaml_party import CPR, NUMBER, PERSON, UUID, Danish, Visit

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

OTHER = cpr(date(1990, 1, 1), 121)
PATH = "/api/uuidmatch/subjectmatchescpr"


@dataclass
class Register:
    """The service: it knows whose number is whose, and answers otherwise on request."""

    folder: Path
    asked: list[dict[str, str]] = field(default_factory=list)
    status: str = "200 OK"
    says: bytes | None = None
    address: str = ""

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one question."""
        self.asked.append(json.loads(environ["wsgi.input"].read()))
        answer = self.says
        if answer is None:
            asked = self.asked[-1]
            answer = b'"Match"' if (asked["cpr"], asked["subjectNameID"]) == (NUMBER, PERSON) else b'"NoMatch"'
        start(self.status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return what a private service's table says of it."""
        return {
            "public": False,
            "cpr": "match",
            "cpr_match_url": f"{self.address}{PATH}",
            "service_certificate_file": self.folder / "ours.crt",
            "service_key_file": self.folder / "ours.key",
            "service_root_file": self.folder / "root.crt",
        } | more


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """Serve it for a module: TLS, and nobody without a certificate of the authority for services."""
    folder = tmp_path_factory.mktemp("match")
    now = SystemClock().now()  # TLS asks the machine
    root, services = (new_authority(name, now=now) for name in ("Root", "Services"))
    for name, authority in (("server", root), ("ours", services), ("stranger", root)):
        key = ec.generate_private_key(ec.SECP256R1())
        extra = [(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)]
        write_pair(folder, name, authority.issue(named(name), key.public_key(), now=now, extensions=extra), key)
        if name == "ours":
            secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"for a test"))
            (folder / "sealed.key").write_bytes(secret)
    write_certificates(folder / "root.crt", root.certificate)
    write_certificates(folder / "services.crt", services.certificate)
    register = Register(folder)
    context = server_context(folder / "server.crt", folder / "server.key", folder / "services.crt")
    server = SecureServer("127.0.0.1", 0, register, lambda: context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    register.address = f"https://127.0.0.1:{server.server_port}"
    yield register
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def register(served: Register) -> Register:
    """Give it as new."""
    served.asked.clear()
    served.status, served.says = "200 OK", None
    return served


def proved(danish: Danish, register: Register, **more: Any) -> tuple[Visit, Form]:
    """Return somebody who has signed in and is asked for their number."""
    visit = danish.begin(danish.provider(**register.settings(**more)))
    shown = visit.end(but={CPR: None})
    assert isinstance(shown, Form), shown
    return visit, shown


def typed(visit: Visit, shown: Form, number: str | None) -> Any:
    """Send the form, or look at it."""
    return visit.provider.resume(visit.asked, shown.state, {} if number is None else {"number": number})


def test_a_match(danish: Danish, register: Register) -> None:
    """The number that was typed is the person's: the service says so, asked by our name and theirs."""
    visit, shown = proved(danish, register)
    assert (shown.page, shown.values, shown.errors) == ("cpr", {"number": ""}, {})

    identity = typed(visit, shown, f"{NUMBER[:6]}-{NUMBER[6:]}")

    assert isinstance(identity, Identity)
    assert (identity.subject, identity.number and identity.number.value) == (UUID, NUMBER)
    entity = "https://broker.example.test/metadata/eid"
    assert register.asked == [{"cpr": NUMBER, "subjectNameID": PERSON, "entityID": entity}]


def test_a_key_with_a_passphrase(danish: Danish, register: Register) -> None:
    """Our key for the service may be encrypted."""
    secret = danish.folder / "passphrase"
    secret.write_text("for a test\n")

    visit, shown = proved(
        danish, register, service_key_file=register.folder / "sealed.key", service_passphrase_file=secret
    )

    assert isinstance(typed(visit, shown, NUMBER), Identity)


def test_only_when_a_number_is_wanted(danish: Danish, register: Register) -> None:
    """Nobody is asked for a number that no service wants."""
    visit = danish.begin(danish.provider(**register.settings()), want_number=False)

    assert isinstance(visit.end(but={CPR: None}), Identity)


def test_a_number_that_was_sent_is_not_taken(danish: Danish, register: Register) -> None:
    """Whoever may only have it compared asks, though it came with the assertion."""
    visit = danish.begin(danish.provider(**register.settings()))

    assert isinstance(visit.end(), Form)


def test_three_tries(danish: Danish, register: Register) -> None:
    """Another's number is refused, and after the third there is no fourth: nobody can be guessed."""
    visit, shown = proved(danish, register)
    for left in ("2", "1"):
        shown = typed(visit, shown, OTHER)
        assert (shown.errors, shown.values["left"]) == ({"number": "q.e.match"}, left)

    with pytest.raises(Refused) as caught:
        typed(visit, shown, OTHER)

    assert caught.value.reason == "cpr_match_failed"


def test_a_mistyped_number_is_no_try(danish: Danish, register: Register) -> None:
    """What can be no number is not sent, and costs no try."""
    visit, shown = proved(danish, register)

    again = typed(visit, shown, "1" * 100)

    assert (again.errors, again.values) == ({"number": "p.e.id"}, {"number": "1" * 64})
    assert register.asked == []


def test_looking_again(danish: Danish, register: Register) -> None:
    """Whoever reloads the page, or goes back to the gateway's answer, sees the form again."""
    visit, shown = proved(danish, register)

    assert typed(visit, shown, None) == shown


def test_fifteen_minutes(danish: Danish, register: Register) -> None:
    """After a quarter of an hour at an open browser the person must sign in again."""
    visit, shown = proved(danish, register)
    danish.clock.move(timedelta(minutes=15, seconds=1))
    visit.asked = danish.asked()

    with pytest.raises(Refused) as caught:
        typed(visit, shown, NUMBER)

    assert (caught.value.reason, register.asked) == ("cpr_match_failed", [])


def test_a_session_of_before_is_not_enough(danish: Danish, register: Register) -> None:
    """Who may type a number shows anew who they are: a session found open gives nobody tries at its person's number."""
    visit = danish.begin(danish.provider(**register.settings()))

    with pytest.raises(Untrusted, match="before we asked"):
        visit.end(but={CPR: None}, authenticated=danish.clock.now() - timedelta(minutes=25))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("200 OK", b'"match"'),
        ("200 OK", b"true"),
        ("200 OK", b"Match"),
        ("200 OK", b'["Match"]'),
        ("200 OK", b'{"Match": "Match"}'),
        ("200 OK", b""),
        ("200 OK", b"\xff"),
        ("200 OK", b"[" * 100_000),
        ("302 Found", b'"Match"'),
        ("400 Bad Request", b'"Match"'),
        ("503 Busy", b'"NoMatch"'),
    ],
)
def test_neither_yes_nor_no(danish: Danish, register: Register, status: str, says: bytes) -> None:
    """Only a plain yes is a match; anything else is no answer, and costs no try."""
    visit, shown = proved(danish, register)
    register.status, register.says = status, says

    with pytest.raises(Unreachable):
        typed(visit, shown, NUMBER)

    register.status, register.says = "200 OK", None
    assert isinstance(typed(visit, shown, NUMBER), Identity)


@pytest.mark.parametrize("name", ["stranger", "server"])
def test_without_our_certificate(danish: Danish, register: Register, name: str) -> None:
    """The service answers nobody but its customers: it demands a certificate of its own authority."""
    pair = {
        f"service_{one}_file": register.folder / f"{name}.{end}"
        for one, end in (("certificate", "crt"), ("key", "key"))
    }
    visit, shown = proved(danish, register, **pair)

    with pytest.raises(Unreachable):
        typed(visit, shown, NUMBER)

    assert register.asked == []


def test_another_server(danish: Danish, register: Register) -> None:
    """A number goes to no server but one that our trust knows."""
    visit, shown = proved(danish, register, service_root_file=register.folder / "services.crt")

    with pytest.raises(Unreachable):
        typed(visit, shown, NUMBER)

    assert register.asked == []


def test_a_state_that_is_none(danish: Danish, register: Register) -> None:
    """A form's state that does not read is refused."""
    visit, _ = proved(danish, register)

    with pytest.raises(Untrusted):
        visit.provider.resume(visit.asked, b"match:{}", {"number": NUMBER})


def test_the_state_tells_nobody(danish: Danish, register: Register) -> None:
    """What is shown and logged of somebody at the form holds no name and no number."""
    _, shown = proved(danish, register)

    assert UUID not in repr(shown)
