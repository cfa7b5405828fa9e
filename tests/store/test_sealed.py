"""What `keys rewrap` does to accounts and all about them, with real keys and a real store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.app import open_keys, open_tables, rewrap
from idbroker.clock import StoppedClock
from idbroker.config import Settings, load
from idbroker.evidence import Evidence, SealedEvidence, evidence_row
from idbroker.grant import RefreshToken
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import Rules, Use
from idbroker.messages.message import Channel, Delivery, SealedMessage
from idbroker.numbers import parse
from idbroker.patients.merging import Change, MergeRow, merge_row
from idbroker.person import PersonKey
from idbroker.rotation import plan_rotation
from idbroker.sealing import Sealer
from idbroker.staff.member import Member
from idbroker.staff.records import Members
from idbroker.store import Durable
from idbroker.store.sealed import _PLACES
from idbroker.webhooks import Webhook, WebhookRow, webhook_row

DAY = timedelta(days=1)
CONFIG = """
[server]
issuer = "https://login.example.org"

[providers.mitid]
issuer = "https://broker.example.org/op"
client_id = "us"
client_secret_file = "mitid.secret"

[clinics.clinea]
name = "Clinea"
country = "DK"
providers = ["mitid"]
"""


@pytest.fixture
def settings(tmp_path: Path, clock: StoppedClock) -> Settings:
    """Give a configuration with its keys made."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "mitid.secret").write_text("a secret of the broker's")
    settings = load(tmp_path / "config.toml")
    ensure_keys(open_keys(settings, tmp_path), clock)
    return settings


@pytest.fixture
def store(settings: Settings, tmp_path: Path, clock: StoppedClock) -> Iterator[Durable]:
    """Give its store."""
    opened = open_tables(settings, tmp_path, clock)
    yield opened
    opened.close()


def test_every_sealed_value_under_the_new_key(
    settings: Settings, store: Durable, tmp_path: Path, clock: StoppedClock
) -> None:
    """After a rotation each kind of sealed value there is lies under the newest key, and opens in its row as before."""
    keys = open_keys(settings, tmp_path)
    sealer = Sealer(Keyring(keys).sealing_keys)
    person = _fill(store, sealer, clock)
    clock.move(timedelta(hours=1))
    carry_out(keys, plan_rotation(keys.load(), Rules(), clock.now(), Use.DATA), "test", clock.now())
    again = Sealer(Keyring(keys).sealing_keys)
    newest = Keyring(keys).sealing_keys().newest
    assert {value.column for value in store.sealed.not_by(newest, 99)} == set(_PLACES)

    assert [rewrap(settings, tmp_path, newest, 5) for _ in range(2)] == [len(_PLACES) - 5, 0]

    assert store.sealed.count_not_by(newest) == 0
    account, enrolments = Accounts(store.account_rows, again).of(person), Enrolments(store.enrolment_rows, again)
    assert account is not None
    assert account.password == "a hash"
    assert [one.clinic for one in enrolments.of(person)] == ["clinea"]
    colleague = Members(store.staff_rows, again).by_login("Anna")
    assert colleague is not None
    assert colleague.name == "Somebody"
    merge = store.merges.find("m" * 32)
    assert merge is not None
    assert again.open(merge.sealed, merge_row(merge.id)) == b"record"
    hook = store.webhooks.find("portal")
    assert hook is not None
    assert again.open(hook.sealed, webhook_row("portal")) == b"secret"
    (message,) = store.messages.due(clock.now(), DAY, 9)
    assert again.open(message.sealed, b"message|id") == b"words"
    assert message.sealed[:2] == newest.to_bytes(2, "big")


def _fill(store: Durable, sealer: Sealer, clock: StoppedClock) -> str:
    """Keep one of each; return the person."""
    now = clock.now()
    number = parse("610101-2222", "DK", now=now.date())
    accounts = Accounts(store.account_rows, sealer)
    person = accounts.person(number, now)
    accounts.add(Account(person=person, number=number, password="a hash", created_at=now))
    asked = Enrolment(person=person, clinic="clinea", standing=Standing.ASKED, asked_at=now)
    Enrolments(store.enrolment_rows, sealer).change(person, "clinea", lambda _: asked)
    words = sealer.seal(b"words", b"message|id")
    sms = SealedMessage(id="id", channel=Channel.SMS, kind="code", sealed=words, due_at=now, ends_at=now + DAY)
    sent = dataclasses.replace(sms, id="sent", sealed=b"", state=Delivery.SENT)
    store.messages.add([sms, sent])
    one = Evidence(id="e" * 32, at=now, until=now + DAY, person=person, provider="bankid")
    proof = SealedEvidence(evidence=one, sealed=sealer.seal(b"proof", evidence_row(one.id)))
    with store.database.writing() as connection:
        store.evidence.add(connection, proof, now)
    store.refresh_tokens.add(_token(sealer, clock))
    colleague = Member(id="c" * 32, login="anna", name="Somebody", epoch=now, created_at=now)
    assert Members(store.staff_rows, sealer).add(colleague)
    webhook = Webhook(client_id="portal", url="https://system.example.org/", kinds=("enrolled",), since=now)
    secret = sealer.seal(b"secret", webhook_row("portal"))
    store.webhooks.save(WebhookRow(webhook=webhook, sealed=secret))
    _merge(store, sealer, clock)
    return person


def _merge(store: Durable, sealer: Sealer, clock: StoppedClock) -> None:
    """Keep the record of a merge of two persons of whom nothing else is kept."""
    now = clock.now()
    both = [store.persons.meet([PersonKey(kind="upstream", digest=bytes([n]) * 32)], now) for n in (1, 2)]
    one, two = (store.merges.person(each) for each in both)
    assert one is not None
    assert two is not None
    sealed = sealer.seal(b"record", merge_row("m" * 32))
    row = MergeRow(id="m" * 32, survivor=both[0], absorbed=both[1], at=now, by="operator", sealed=sealed)
    assert store.merges.write(
        Change(before=(one, two), keys={}, accounts={}, enrolments={}, words={}, merge=row, at=now)
    )


def _token(sealer: Sealer, clock: StoppedClock) -> RefreshToken:
    now = clock.now()
    return RefreshToken(
        digest="d",
        family="f",
        client_id="portal",
        session=None,
        grant=sealer.seal(b"grant", b"d"),
        issued_at=now,
        expires_at=now + DAY,
    )
