"""`idbroker accounts` and `idbroker enrolments`, on a real configuration, keys and stores."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from idbroker.accounts.account import Account, Contact, Enrolment, Standing
from idbroker.app import House, open_house
from idbroker.cli import idbroker
from idbroker.clock import SystemClock
from idbroker.commands.accounts import accounts, doer
from idbroker.commands.enrolments import enrolments
from idbroker.config import load
from idbroker.errors import OperatorError
from idbroker.events import Event
from idbroker.messages.message import Channel
from idbroker.numbers import parse

NUMBER = "740385-0101"
CONFIG = """
[server]
issuer = "https://login.example.org"
[passwords]
memory_kib = 19456
[providers.fallback]
[clinics.clinea]
name = "Clinea"
country = "DK"
providers = ["fallback"]
registration = "approval"
[clients.portal]
name = "Portalen"
clinic = "clinea"
minimum = "low"
redirect_uris = ["https://portal.example.org/callback"]
secret_digests = ["0000000000000000000000000000000000000000000000000000000000000000"]
"""
SOMEBODY = {"number": NUMBER, "email": "somebody@example.org", "phone": "20 12 34 56", "given_name": "Somebody"}
INVITE = ("invite", "--clinic", "clinea", "--client", "portal")
SECRETS = ("0101", "somebody@", "20123456", "Somebody")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a configuration."""
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    """Open what the workers have open."""
    opened = open_house(load(folder / "config.toml"), folder, clock=SystemClock())
    opened.durable.migrate()
    yield opened
    opened.close()


@pytest.fixture
def call(folder: Path) -> Callable[..., Result]:
    """Run a command as the tool does."""

    def run(group: Any, *words: str, typed: str = "") -> Result:
        return CliRunner().invoke(group, list(words), obj=str(folder / "config.toml"), input=typed)

    return run


def told(**changes: str) -> str:
    """Return somebody as JSON."""
    return json.dumps({**SOMEBODY, **changes})


def account(house: House, **changes: Any) -> Account:
    """Keep an account in use."""
    now = SystemClock().now()
    number = parse(NUMBER, "DK", now=now.date())
    records = house.rooms.counter.records
    made = Account(
        person=records.accounts.person(number, now),
        number=number,
        given_name="Somebody",
        password="$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        password_set_at=now,
        contacts=(Contact(channel=Channel.EMAIL, address="somebody@example.org", verified_at=now),),
        confirmed_at=now,
        created_at=now,
    )
    assert records.accounts.add(made)
    records.enrolments.change(
        made.person,
        "clinea",
        lambda _: Enrolment(
            person=made.person,
            clinic="clinea",
            standing=Standing.ASKED,
            asked_at=now,
            provider="mitid",
            client="portal",
        ),
    )
    return made


def events(house: House, kind: str) -> tuple[Event, ...]:
    """Return the events of a kind."""
    return house.durable.events.since(SystemClock().now() - timedelta(hours=1), kind=kind)


def test_invite(house: House, call: Callable[..., Result]) -> None:
    """A receipt with masked addresses; the account is there, the message waits for a courier, the trail says who."""
    done = call(accounts, *INVITE, "--json", typed=told())

    assert done.exit_code == 0, done.output
    invited = json.loads(done.stdout)["invited"]
    assert invited["sent"] == {"email": "s•••@e•••.org", "sms": "56"}
    assert not [secret for secret in SECRETS if secret in done.output]
    kept = house.rooms.counter.records.accounts.of(invited["person"])
    assert kept is not None
    assert kept.contact(Channel.SMS) == Contact(channel=Channel.SMS, address="+4520123456")
    (event,) = events(house, "account.invited")
    assert event.detail["by"]


def test_invited_too_often(call: Callable[..., Result]) -> None:
    """The fourth within an hour is refused, with when it may be."""
    for _ in range(3):
        assert call(accounts, *INVITE, typed=told()).exit_code == 0

    refused = call(accounts, *INVITE, typed=told())

    assert isinstance(refused.exception, OperatorError)
    assert refused.exception.exit_code == 3


def test_invite_who_is_here(house: House, call: Callable[..., Result]) -> None:
    """An account in use is enrolled; it is said that no link was sent."""
    known = account(house)

    done = call(accounts, *INVITE, typed=told(email="other@example.org"))

    assert done.exit_code == 0
    assert "no link was sent" in done.stderr
    assert house.rooms.counter.records.accounts.of(known.person) == known


@pytest.mark.parametrize(
    "typed",
    [
        "not json",
        "[]",
        '{"number": 1}',
        told(number="1"),
        told(email="nobody"),
        told(phone="33 12 34"),
        told(email="", phone=""),
    ],
)
def test_bad_input_is_said_without_being_repeated(call: Callable[..., Result], typed: str) -> None:
    """What is wrong is named; not one word of what was typed stands in the error."""
    done = call(accounts, *INVITE, typed=typed)

    assert isinstance(done.exception, OperatorError)
    assert done.exception.exit_code == 2
    assert not [secret for secret in (*SECRETS, "nobody", "33 12") if secret in str(done.exception) + done.output]


@pytest.mark.parametrize("words", [("--clinic", "none"), ("--client", "none")])
def test_nobody_is_invited_to_what_is_not_there(call: Callable[..., Result], words: tuple[str, str]) -> None:
    """An unknown clinic or service is an error before anything is kept."""
    done = call(accounts, *INVITE, *words, typed=told())

    assert isinstance(done.exception, OperatorError)
    assert done.exception.exit_code == 2


def test_show(house: House, call: Callable[..., Result]) -> None:
    """Masked, by number or by person; as lines and as JSON."""
    known = account(house)

    by_number = call(accounts, "show", "--json", typed=f"{NUMBER}\n")
    by_person = call(accounts, "show", "--person", known.person)

    shown = json.loads(by_number.stdout)["account"]
    assert (shown["person"], shown["number"], shown["enrolments"]) == (known.person, "740385-••••", {"clinea": "asked"})
    assert f"person\t{known.person}\n" in by_person.stdout
    assert not [secret for secret in SECRETS if secret in by_number.output + by_person.output]


def test_show_nobody(call: Callable[..., Result]) -> None:
    """Exit code 2, and the number is not repeated."""
    done = call(accounts, "show", typed=NUMBER)

    assert isinstance(done.exception, OperatorError)
    assert (done.exception.exit_code, NUMBER in str(done.exception)) == (2, False)


def test_disable_and_enable(house: House, call: Callable[..., Result]) -> None:
    """Nobody signs in, no link works; and back. It is asked first, where somebody can be (ASVS 7.4.2)."""
    known = account(house)
    unasked = call(accounts, "disable", "--person", known.person)
    assert isinstance(unasked.exception, OperatorError)

    assert call(accounts, "disable", "--person", known.person, "-y").exit_code == 0
    kept = house.rooms.counter.records.accounts.of(known.person)
    assert kept is not None
    assert kept.disabled

    assert call(accounts, "enable", "--person", known.person).exit_code == 0
    assert house.rooms.counter.records.accounts.of(known.person) == known
    assert [len(events(house, f"account.{kind}")) for kind in ("disabled", "enabled")] == [1, 1]


def test_remove(house: House, call: Callable[..., Result]) -> None:
    """The account and its enrolments are gone; the trail has that it was done."""
    known = account(house)

    assert call(accounts, "remove", "--yes", typed=NUMBER).exit_code == 0

    assert house.rooms.counter.records.accounts.of(known.person) is None
    assert house.rooms.counter.records.enrolments.of(known.person) == ()
    assert len(events(house, "account.removed")) == 1


def test_enrolments(house: House, call: Callable[..., Result]) -> None:
    """Who waits, masked unless names are asked for; the first answer counts, the second is told so."""
    known = account(house)
    (waiting,) = json.loads(call(enrolments, "list", "--clinic", "clinea", "--json").stdout)["enrolments"]
    assert (waiting["person"], waiting["eid"], waiting["number"]) == (known.person, "mitid", "740385-••••")
    assert "Somebody" not in call(enrolments, "list", "--clinic", "clinea").stdout
    assert "Somebody" in call(enrolments, "list", "--clinic", "clinea", "--names").stdout

    first = call(enrolments, "approve", known.person, "--clinic", "clinea")
    second = call(enrolments, "decline", known.person, "--clinic", "clinea", typed="no")

    assert first.stdout == f"ok: approved {known.person}\n"
    assert second.stdout.startswith("already approved by ")
    assert call(enrolments, "list", "--clinic", "clinea").stdout == ""
    assert json.loads(call(enrolments, "list", "--clinic", "clinea", "--json").stdout)["enrolments"] == []


def test_decline(house: House, call: Callable[..., Result]) -> None:
    """A refusal as JSON; the reason is not in the trail."""
    known = account(house)

    done = call(enrolments, "decline", known.person, "--clinic", "clinea", "--json", typed="moved away")

    assert json.loads(done.stdout)["decided"]["standing"] == "declined"
    (event,) = events(house, "enrolment.declined")
    assert "moved" not in repr(event)


def test_a_reason_is_no_argument(house: House, call: Callable[..., Result]) -> None:
    """Why somebody can have no eID, or is no patient, stays out of the shell's history."""
    known = account(house)

    silent = call(enrolments, "decline", known.person, "--clinic", "clinea", typed="")
    unsaid = call(accounts, *INVITE, "--no-eid", typed=told(number="290280-0402"))
    said = call(accounts, *INVITE, "--no-eid", typed=told(number="290280-0402", no_eid="blind"))

    assert [one.exception and type(one.exception) for one in (silent, unsaid, said)] == [
        OperatorError,
        OperatorError,
        None,
    ]
    assert "--reason" not in call(enrolments, "decline", "--help").output
    (event,) = events(house, "account.made")
    assert event.person
    invited = house.rooms.counter.records.enrolments.find(event.person, "clinea")
    assert invited
    assert invited.entry
    assert invited.entry.exempt == "blind"


def test_who_does_it_is_not_what_the_environment_says(
    house: House, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staff who set SUDO_USER, LOGNAME or USER still act in their own name; root acts for whom sudo says."""
    for name in ("SUDO_USER", "LOGNAME", "USER"):
        monkeypatch.setenv(name, "a-colleague")
    known = account(house)
    own = pwd.getpwuid(os.getuid()).pw_name

    call(enrolments, "approve", known.person, "--clinic", "clinea")

    (event,) = events(house, "enrolment.approved")
    assert event.detail["by"] == ("a-colleague" if os.getuid() == 0 else own)
    assert doer(0, {"SUDO_USER": "a-colleague"}) == "a-colleague"
    assert doer(os.getuid() or 1, {"SUDO_USER": "a-colleague"}) != "a-colleague"
    assert doer(4_000_000_000, {}) == "uid 4000000000"


def test_who_asks_for_a_child_is_shown(house: House, call: Callable[..., Result]) -> None:
    """Whoever approves a child sees who asked for it: the guardian's number, masked, and with names the name."""
    guardian, now = account(house), SystemClock().now()
    records = house.rooms.counter.records
    child = records.accounts.person(parse("290280-0402", "DK", now=now.date()), now)
    asked = Enrolment(person=child, clinic="clinea", standing=Standing.ASKED, asked_at=now, guardian=guardian.person)
    records.enrolments.change(child, "clinea", lambda _: asked)

    listed = json.loads(call(enrolments, "list", "--clinic", "clinea", "--names", "--json").stdout)["enrolments"]

    (shown,) = [one for one in listed if one["person"] == child]
    assert (shown["guardian"], shown["guardian_name"]) == (guardian.person, "Somebody")
    assert shown["guardian_number"] == guardian.number.masked


def test_nobody_asked(call: Callable[..., Result]) -> None:
    """Who has not asked cannot be approved: exit code 2."""
    done = call(enrolments, "approve", "nobody", "--clinic", "clinea")

    assert isinstance(done.exception, OperatorError)
    assert done.exception.exit_code == 2


@pytest.mark.parametrize("name", ["accounts", "enrolments"])
def test_the_tool_knows_them(name: str) -> None:
    """Both are commands of the tool, with examples in their help."""
    assert "Examples:" in CliRunner().invoke(idbroker, [name, "--help"]).output
