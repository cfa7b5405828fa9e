"""Swedish BankID when it does not answer as it should: every row of its errors (RP API v6.0), and worse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import SystemClock
from idbroker.errors import ProviderError, Refused, Unreachable
from idbroker.providers import Progress, Wait
from idbroker.providers.bankid import BankID
from idbroker.sandbox.pki import new_authority, write_certificates
from tests.providers.bankid_party import NOW, Party

pytest_plugins = ["tests.providers.bankid_fixtures"]

Call = Callable[[BankID, Wait, Party], Any]


CALLS: dict[str, Call] = {
    "auth": lambda bankid, _, party: bankid.begin(party.asked()),
    "collect": lambda bankid, begun, party: bankid.resume(party.asked(), begun.state, {}),
    "cancel": lambda bankid, begun, _: bankid.drop(begun.state),
}


def said(party: Party, call: str, status: int, body: object, **headers: str) -> ProviderError | None:
    """Return what a call comes to when it is answered so."""
    party.wire.instead = None
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.wire.say(status, body, **headers)
    try:
        CALLS[call](bankid, begun, party)
    except ProviderError as error:
        return error
    return None


# HTTP status, errorCode, and what it is at a start and at a look: a reason, or None for Unreachable.
ROWS = [
    (400, "alreadyInProgress", "bankid_busy", "bankid_busy"),
    (400, "canceled", "bankid_superseded", "bankid_superseded"),
    (400, "cancelled", "bankid_superseded", "bankid_superseded"),
    (400, "invalidParameters", None, "bankid_lost"),
    (401, "unauthorized", None, None),
    (403, "unauthorized", None, None),
    (404, "notFound", None, None),
    (405, "methodNotAllowed", None, None),
    (408, "requestTimeout", None, None),
    (415, "unsupportedMediaType", None, None),
    (429, "tooManyRequests", None, None),
    (500, "internalError", None, None),
    (503, "maintenance", None, None),
    (400, "somethingNew", "bankid_failed", "bankid_failed"),
    (502, "somethingNew", None, None),
]


@pytest.mark.parametrize(("status", "code", "at_start", "at_look"), ROWS)
def test_every_error_is_what_it_is(
    party: Party, status: int, code: str, at_start: str | None, at_look: str | None
) -> None:
    """What is about the person is Refused with its reason; what is about servers or us is Unreachable."""
    for call, reason in (("auth", at_start), ("collect", at_look)):
        error = said(party, call, status, {"errorCode": code, "details": "Sample"})

        assert isinstance(error, Unreachable if reason is None else Refused)
        assert getattr(error, "reason", None) == reason
        assert error.detail == f"{call}: HTTP {status} {code} (Sample)"


@pytest.mark.parametrize(("status", "code", "at_start", "at_look"), ROWS)
def test_every_error_of_dropping(
    party: Party, status: int, code: str, at_start: str | None, at_look: str | None
) -> None:
    """An order that has ended is left alone (invalidParameters); all else is Unreachable, as for any app."""
    error = said(party, "cancel", status, {"errorCode": code})

    assert (error is None) == (code == "invalidParameters")
    assert error is None or type(error) is Unreachable


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"x"', b"\xff", b'{"errorCode": 7}', b'{"errorCode": "<b>\\n"}']
)
@pytest.mark.parametrize("status", [400, 404, 503])
def test_error_that_says_nothing(party: Party, status: int, body: bytes) -> None:
    """A proxy's page, an empty body, or no code at all: Unreachable, with the status for the operator."""
    for call in CALLS:
        error = said(party, call, status, body)

        assert isinstance(error, Unreachable)
        assert error.detail == f"{call}: HTTP {status}"


def test_operator_reads_the_reason_and_no_number(party: Party) -> None:
    """BankID's own words are for the log, without what may be somebody's number, a line break or a page of text."""
    details = "Invalid\npersonalNumber 19870619-2393 " + "x" * 500
    error = said(party, "auth", 400, {"errorCode": "invalidParameters", "details": details})

    assert error is not None
    assert error.detail.startswith("auth: HTTP 400 invalidParameters (InvalidpersonalNumber … xxx")
    assert len(error.detail) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"orderRef": "1", "status": "pending"}',
        b'{"orderRef": "%(order)s"}',
        b'{"orderRef": "%(order)s", "status": "paused"}',
        b'{"orderRef": "%(order)s", "status": ["pending"]}',
    ],
)
def test_answer_that_is_none(party: Party, body: bytes) -> None:
    """200 with something else than the answer to this order: Unreachable, and the order is looked at again."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    order = begun.state.split(b'"order":"')[1].split(b'"')[0]
    party.wire.say(200, body.replace(b"%(order)s", order))
    with pytest.raises(Unreachable):
        bankid.resume(party.asked(), begun.state, {})
    party.wire.instead = None

    assert party.look(bankid, begun).progress is Progress.WAITING


@pytest.mark.parametrize("hint", ["null", "7", "[]", "{}"])
def test_hint_that_is_no_text(party: Party, hint: str) -> None:
    """A hintCode of another shape is one that is not known."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    order = begun.state.split(b'"order":"')[1].split(b'"')[0].decode()
    party.wire.say(200, f'{{"orderRef": "{order}", "status": "pending", "hintCode": {hint}}}'.encode())
    found = party.look(bankid, begun)
    party.wire.say(200, f'{{"orderRef": "{order}", "status": "failed", "hintCode": {hint}}}'.encode())

    assert (found.progress, found.says) == (Progress.OPENED, "b.st.work")
    with pytest.raises(Refused):
        bankid.resume(party.asked(), begun.state, {})


@pytest.mark.parametrize("lie", ["bad_tokens", "garbage_json", "list_json", "html_body", "huge_body"])
def test_start_that_gives_no_order(party: Party, lie: str) -> None:
    """An answer without four tokens that can go into links, codes and JSON as they are begins nothing."""
    party.faults.set("bankid", {"lies": [lie]})

    with pytest.raises(Unreachable):
        party.provider().begin(party.asked())


@pytest.mark.parametrize("token", ['"', "a b", "a&redirect=https://evil.example", "", "x" * 65, "å", None])
def test_token_that_would_be_more_than_a_token(party: Party, token: object) -> None:
    """Each of the four is checked."""
    bankid = party.provider()
    tokens = dict.fromkeys(("orderRef", "autoStartToken", "qrStartToken", "qrStartSecret"), "fine")
    for name in tokens:
        party.wire.say(200, {**tokens, name: token})
        with pytest.raises(Unreachable):
            bankid.begin(party.asked())


@pytest.mark.parametrize("lie", ["other_order", "new_status", "huge_body", "maintenance"])
def test_lie_on_the_wire_leaves_the_order(party: Party, lie: str) -> None:
    """Nothing was learnt: the order may still be good."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.faults.set("bankid", {"lies": [lie]})
    with pytest.raises(Unreachable):
        bankid.resume(party.asked(), begun.state, {})
    party.faults.clear()

    assert party.look(bankid, begun) == begun


def test_lost_end_is_lost(party: Party) -> None:
    """What an order came to is told once: with that answer lost, the next look says so, and a new order is needed."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.faults.set("bankid", {"lies": ["lost_response"]})
    party.act("approve")
    with pytest.raises(Unreachable):
        bankid.resume(party.asked(), begun.state, {})
    with pytest.raises(Refused) as refused:
        bankid.resume(party.asked(), begun.state, {})

    assert refused.value.reason == "bankid_lost"


# ---- BankID's limit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 1), ("99999999999", 60), ("soon", 5), ("-3", 5), (None, 5)]
)
def test_rests_when_told_to(party: Party, header: str | None, seconds: int) -> None:
    """429: nothing is sent before RateLimit-Reset is over, for anybody; then everything goes on."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.wire.say(429, {}, **({} if header is None else {"RateLimit-Reset": header}))
    with pytest.raises(Unreachable):
        bankid.begin(party.asked())
    party.wire.say(200, {})
    party.clock.move(timedelta(seconds=seconds, milliseconds=-1))
    for call in CALLS.values():
        with pytest.raises(Unreachable, match="limit"):
            call(bankid, begun, party)

    assert len(party.wire.asked) == 1
    party.wire.instead = None
    party.clock.move(timedelta(milliseconds=1))
    assert bankid.begin(party.asked()).progress is Progress.WAITING


def test_limit_of_the_simulator(party: Party) -> None:
    """The simulator's own 429 is understood."""
    party.faults.set("bankid", {"lies": ["too_many"]})
    bankid = party.provider()
    for _ in range(2):
        with pytest.raises(Unreachable):
            bankid.begin(party.asked())
    party.faults.clear()
    party.clock.move(timedelta(seconds=8))

    assert bankid.begin(party.asked()).progress is Progress.WAITING
    assert party.clock.now() > NOW


# ---- mutual TLS ----------------------------------------------------------------------------------


def test_server_under_another_root_is_not_talked_to(party: Party, tmp_path: Path) -> None:
    """E4: a server certified by anybody but the root that is set is not BankID."""
    other = new_authority("Somebody's root", now=SystemClock().now()).certificate
    bankid = party.provider(server_root_file=write_certificates(tmp_path / "other.crt", other))

    with pytest.raises(Unreachable, match="auth: no TLS connection with these certificates"):
        bankid.begin(party.asked())


@pytest.mark.parametrize("who", ["expired_client", "unknown_client"])
def test_certificate_that_bankid_does_not_take(party: Party, who: str) -> None:
    """Turned away in the handshake: Unreachable, and the operator reads that it is about certificates."""
    bankid = party.provider(
        certificate_file=getattr(party.bankid, f"{who}_certificate"), key_file=getattr(party.bankid, f"{who}_key")
    )

    with pytest.raises(Unreachable):
        bankid.begin(party.asked())


def test_order_is_of_its_relying_party(party: Party) -> None:
    """An order of another certificate's is none of ours."""
    begun = party.provider().begin(party.asked())
    other = party.provider(
        certificate_file=party.bankid.other_client_certificate, key_file=party.bankid.other_client_key
    )

    with pytest.raises(Refused) as refused:
        other.resume(party.asked(), begun.state, {})
    assert refused.value.reason == "bankid_lost"


def test_nobody_is_there(party: Party) -> None:
    """A port that nobody listens on is Unreachable at once."""
    with pytest.raises(Unreachable, match="auth: "):
        party.provider(address="https://127.0.0.1:9/rp/v6.0").begin(party.asked())
