"""What `idbroker check` says of weaker settings for people without an eID."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from click.testing import CliRunner

from idbroker import config
from idbroker.commands.check import advice, check
from idbroker.errors import ConfigError

FILE = """
[server]
issuer = "https://login.example.org"
proxies = 1

[store]
transient = "rediss://redis.internal/0"

[keys]
passphrase_file = "/etc/idbroker/passphrase"

[email]
host = "smtp.example.org"
sender = "noreply@login.example.org"

[sms]
kind = "webhook"
sender = "Clinic"
address = "https://gateway.example.org/sms"
secret = "a secret of thirty-two characters"

[providers.mitid]
issuer = "https://broker.example.org/op"
client_id = "us"
client_secret = "a secret of the broker's"

[providers.fallback]

[clinics.clinea]
name = "Clinea"
country = "DK"
providers = ["mitid", "fallback"]

[clients.portal]
name = "Portal"
clinic = "clinea"
redirect_uris = ["https://portal.example.org/callback"]
auth_method = "none"
minimum = "low"
consent = "ask"
"""


def said(**changes: dict[str, Any] | None) -> list[str]:
    """Return the notes on the file with tables changed: a key `None` is taken out, and so is a table."""
    document: dict[str, Any] = tomllib.loads(FILE)
    for path, change in changes.items():
        first, _, rest = path.partition("_")
        if change is None:
            del document[first]
            continue
        table = document.setdefault(first, {})
        table = table[rest] if rest else table
        table |= change
    return [f"[{where}] {what}" for where, what in advice(config.read(document))]


ORGANISATION = {"issuer": "https://sso.example.org", "client_id": "us", "client_secret_file": "/etc/idbroker/secret"}
DIALS = {"environment": "production", "certificate_file": "/c.pem", "key_file": "/k.pem", "telephone": True}
USUAL = [
    "[clients.portal] minimum = low: a password and a one-time code are enough for this service",
    "[store] Redis must keep what it has over a restart (appendonly yes), or a restart forgives all tries",
]


def test_usual_settings_are_hardly_remarked_on() -> None:
    """With the defaults only what cannot be otherwise is said: level low, and what Redis must do."""
    assert said() == USUAL


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("clinics_clinea", {"password": {"least": 8}}, "[clinics.clinea] password.least = 8: a shorter password"),
        ("clinics_clinea", {"password": {"mixed": True}}, "[clinics.clinea] password.mixed = true: makes passwords no"),
        ("clinics_clinea", {"codes": ["email"]}, "[clinics.clinea] codes = email alone: whoever reads"),
        ("clinics_clinea", {"registration": "automatic"}, "[clinics.clinea] registration = automatic: whoever shows"),
        ("clinics_clinea", {"registration": "approval"}, "[clinics.clinea] registration = approval: who registers"),
        ("clinics_clinea", {"registration": "off"}, "[clinics.clinea] registration = off: whom nobody has entered"),
        ("clinics_clinea", {"access": "password"}, "[clinics.clinea] access = password: the password lies for years"),
        ("clients_portal", {"assisted": "role"}, "[clients.portal] assisted = role: staff sign patients in here at"),
        ("staff", ORGANISATION, "[staff] no trusted_acr: a sign-in there counts as two factors, whatever it was"),
        ("staff", {**ORGANISATION, "end_session": "off"}, "[staff] end_session = off, without prompt: who signs out"),
        ("providers", {"bankid": DIALS}, "[providers.bankid] telephone = true: patients approve what somebody who"),
        ("sms", None, "[clinics.clinea] codes has sms, and there is no [sms]: no code goes that way"),
        ("email", None, "[clinics.clinea] codes has email, and there is no [email]: no code goes that way"),
        ("email", {"host": "localhost", "security": "none"}, "[email] security = none: codes go in the clear"),
        ("clients_portal", {"consent": "never"}, "[clients] consent = never: what portal may have is told without"),
        ("clients_portal", {"minimum": "substantial"}, "[clinics.clinea] passwords are offered to no client in the"),
        ("passwords", {"memory_kib": 19456}, "[passwords] memory_kib = 19456: passwords of a stolen store"),
        ("passwords", {"tries": 10}, "[passwords] tries = 10: so many guesses at a password in each 15 min"),
        ("codes", {"tries": 6}, "[codes] tries = 6: so many guesses at a code"),
        ("codes", {"life": "10 min"}, "[codes] life = 10 min: a code that is overheard"),
        ("server", {"proxies": 0}, "[server] proxies = 0: behind a proxy all have one address"),
    ],
)
def test_a_weaker_setting_is_named_with_what_it_gives_up(table: str, change: dict[str, Any] | None, words: str) -> None:
    """Each setting that gives something up is named, with its table, in a sentence."""
    assert [note for note in said(**{table: change}) if note.startswith(words)]


def test_without_any_channel_nobody_registers() -> None:
    """Where no channel is configured that codes could go by it is said in so many words."""
    notes = said(sms=None, clinics_clinea={"codes": ["sms", "app"]})

    assert "[clinics.clinea] codes names no channel that is configured" in " ".join(notes)


def test_nothing_is_said_of_passwords_where_there_are_none() -> None:
    """A clinic of eIDs alone hears nothing of codes, channels and passwords."""
    eids = {"providers": ["mitid"], "password": {"mixed": True, "least": 8}, "codes": ["email"]}
    document = tomllib.loads(FILE)
    del document["providers"]["fallback"], document["sms"], document["email"]
    document["clinics"]["clinea"] |= eids

    notes = [f"[{where}] {what}" for where, what in advice(config.read(document))]

    assert notes == USUAL[:1]


def test_another_name_of_the_fallback_is_told() -> None:
    """Our pages look for the fallback by its name: under another one nobody could recover a password."""
    document = tomllib.loads(FILE)
    document["providers"]["password"] = {"kind": "fallback"}

    notes = [f"[{where}] {what}" for where, what in advice(config.read(document))]

    assert "[providers.password] our pages know passwords as [providers.fallback]: here none can be forgotten" in notes


def test_staff_on_a_patients_screen_are_named() -> None:
    """A clinic that takes staff's credentials on the patient's screen is told what that gives up; others are not."""
    door: dict[str, Any] = {"assisted": {}}
    providers = {"providers": ["mitid", "fallback", "assisted"]}
    what = "[clinics.clinea] providers has assisted: staff type their password on the patient's screen"

    assert what in said(providers=door, clinics_clinea=providers)
    assert what not in said(providers=door)


def test_a_service_that_does_not_hear_of_the_end_is_named() -> None:
    """Where staff sign patients in, a portal that is told of no end shows a tablet's next reader its page (1.21.5)."""
    what = "[clients.portal] assisted, and no backchannel_logout_uri: who is next at the tablet may see the patient's"
    hears = {"assisted": "allowed", "backchannel_logout_uri": "https://portal.example.org/out"}

    assert [note for note in said(clients_portal={"assisted": "allowed"}) if note.startswith(what)]
    assert not [note for note in said(clients_portal=hears) if note.startswith(what)]


def test_what_means_two_factors_may_be_said() -> None:
    """With the organisation's words for two factors nothing is remarked on."""
    assert said(staff={**ORGANISATION, "trusted_acr": ["mfa"]}) == USUAL


def test_a_clinic_has_no_name_of_the_offices_pages() -> None:
    """A clinic whose id is a page below /staff is a mistake, not a note."""
    document = tomllib.loads(FILE)
    document["clinics"]["set"] = document["clinics"]["clinea"]

    with pytest.raises(ConfigError, match="the name of a page of the staff's"):
        config.read(document)


def test_the_help_keeps_its_lines() -> None:
    """The example stands on a line of its own."""
    assert "\n  Example:\n    idbroker check\n" in CliRunner().invoke(check, ["--help"]).output
