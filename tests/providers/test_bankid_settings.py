"""What the operator decides about BankID: what is shipped, what is a mistake, what a clinic may demand."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from idbroker.clock import StoppedClock, SystemClock
from idbroker.config import read
from idbroker.errors import ConfigError
from idbroker.providers import Binding
from idbroker.providers._bankid.settings import ENVIRONMENTS, certificates_in
from idbroker.providers.bankid import Settings, make, requirement_mistakes
from tests.providers.bankid_party import Party, means

pytest_plugins = ["tests.providers.bankid_fixtures"]

SERVER_ROOTS = {
    "test": "F3D0740EBFB3700E3B81AA791FEE451472698C84E199C2EB48A443FF1D5B405C",
    "production": "E6A2D45C0A1051C959428649F86A09A9B2152CD551993CC2EB4CF094BDACBECB",
}


def mistakes(party: Party, *, sandbox: bool = True, **more: Any) -> list[str]:
    """Return what is wrong with settings."""
    try:
        party.made.append(make("bankid", party.settings(**more), means(party.clock, sandbox=sandbox)))
    except ConfigError as error:
        return [what for where, what in error.mistakes if where == "providers.bankid"]
    return []


# ---- what is shipped -----------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["test", "production"])
def test_pinned_roots_are_bankids(environment: str) -> None:
    """The roots of the servers are those that BankID publishes with its sample code, by SHA-256."""
    certificate, *more = certificates_in(ENVIRONMENTS[environment].server_root)

    assert certificate.fingerprint(hashes.SHA256()).hex().upper() == SERVER_ROOTS[environment]
    assert more == []
    certificate.verify_directly_issued_by(certificate)


def test_signing_root_is_the_test_environments() -> None:
    """The shipped root of people's certificates is the one that BankID's published sample signature ends at."""
    (path,) = ENVIRONMENTS["test"].signing_roots
    (certificate,) = certificates_in(path)

    fingerprint = "c6faeaf8ccadcfd0738dc99140ca788c1a19a93f843c5a9ec1369872d50e45f2"
    assert certificate.fingerprint(hashes.SHA256()).hex() == fingerprint
    assert ENVIRONMENTS["production"].signing_roots == ()


def test_environments_are_bankids() -> None:
    """Addresses of RP API v6.0 in test and in production; BankID on file, on card, mobile."""
    assert [one.address for one in ENVIRONMENTS.values()] == [
        "https://appapi2.test.bankid.com/rp/v6.0",
        "https://appapi2.bankid.com/rp/v6.0",
    ]
    assert ENVIRONMENTS["production"].policies == ("1.2.752.78.1.1", "1.2.752.78.1.2", "1.2.752.78.1.5")


# ---- what is a mistake ---------------------------------------------------------------------------


def test_works_as_it_is(party: Party) -> None:
    """Settings with what must be there, and nothing else, have no mistake."""
    assert mistakes(party) == []


def test_production_needs_its_signing_root(party: Party) -> None:
    """BankID gives the root of people's certificates to its customers; nothing else will do."""
    wrong = mistakes(party, environment="production", signing_root_files=())

    assert len(wrong) == 1
    assert wrong[0].startswith("signing_root_files: is missing")


def test_test_environment_needs_none(party: Party) -> None:
    """For the test environment it is here."""
    assert mistakes(party, signing_root_files=(), server_root_file=None) == []


@pytest.mark.parametrize(("root", "in_test", "in_production"), [("signing-test", 0, 1), ("server-production", 1, 1)])
def test_root_must_be_of_the_right_people(party: Party, root: str, in_test: int, in_production: int) -> None:
    """E4: whoever has a test BankID would be anybody in production; and the root of servers is nobody's."""
    path = ENVIRONMENTS["test"].server_root.with_name(f"{root}.pem")

    assert len(mistakes(party, signing_root_files=(path,))) == in_test
    assert len(mistakes(party, signing_root_files=(path,), environment="production")) == in_production


def test_says_everything_at_once(party: Party, tmp_path: Path) -> None:
    """Each mistake is named, all together."""
    nothing, text = tmp_path / "nothing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    wrong = mistakes(
        party,
        certificate_file=nothing,
        key_file=text,
        server_root_file=text,
        signing_root_files=(nothing,),
        certificate_policies=("1.2.*",),
        address="http://127.0.0.1:1/rp/v6.0",
        app_link="app",
        program_link="javascript:alert(1)",
        refuse_risk="low",
        user_text={"xx": "Hello"},
    )

    words = ["server_root_file", "signing_root_files", "certificate_file", "key_file", "address", "app_link"]
    words += ["program_link", "refuse_risk", "certificate_policies", "user_text: xx", "user_text.xx"]
    assert [re.split("[:.] ?", line)[0] for line in wrong] == [re.split("[:.] ?", word)[0] for word in words]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("app_link", "http://127.0.0.1:1/app"),
        ("program_link", "http://127.0.0.1:1/app"),
    ],
)
def test_links_lead_elsewhere_in_the_sandbox_only(party: Party, setting: str, value: str) -> None:
    """A simulator's app is a page; outside the sandbox a link opens BankID."""
    link: dict[str, Any] = {setting: value}

    assert mistakes(party, **link) == []
    assert len(mistakes(party, sandbox=False, **link)) == 1


@pytest.mark.parametrize("address", ["ftp://x/", "https://", "https://u@x/", "https://x/?a=b", "https://x/#a", ""])
def test_address_is_an_address(party: Party, address: str) -> None:
    """An https address without query, fragment or user."""
    assert len(mistakes(party, address=address)) == 1


def test_key_must_be_the_certificates(party: Party) -> None:
    """A key of another certificate is found before anybody signs in."""
    assert mistakes(party, key_file=party.bankid.other_client_key) == ["key_file: is not the key of certificate_file"]


@pytest.fixture
def encrypted(party: Party, tmp_path: Path) -> Path:
    """Return our key in a file, encrypted with `open sesame`."""
    key = load_pem_private_key(party.bankid.client_key.read_bytes(), None)
    path = tmp_path / "encrypted.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))
    return path


def test_key_may_be_encrypted(party: Party, encrypted: Path, tmp_path: Path) -> None:
    """With its passphrase in a file, an encrypted key signs people in."""
    (tmp_path / "passphrase").write_text("open sesame\n")
    bankid = party.provider(key_file=encrypted, passphrase_file=tmp_path / "passphrase")

    assert party.sign_in(bankid).number is not None


@pytest.mark.parametrize("passphrase", [None, "wrong", ""])
def test_key_that_does_not_open(party: Party, encrypted: Path, tmp_path: Path, passphrase: str | None) -> None:
    """A wrong passphrase, or none, is a mistake: OpenSSL would ask on a terminal that nobody sits at."""
    file = tmp_path / "passphrase"
    file.write_text(passphrase or "")
    wrong = mistakes(party, key_file=encrypted, passphrase_file=None if passphrase is None else file)

    assert len(wrong) == 1
    assert "passphrase" in wrong[0]


def test_passphrase_for_a_key_without(party: Party, tmp_path: Path) -> None:
    """A passphrase for a key that needs none, or in no file, is a mistake."""
    (tmp_path / "passphrase").write_text("open sesame")

    assert len(mistakes(party, passphrase_file=tmp_path / "passphrase")) == 1
    assert len(mistakes(party, passphrase_file=tmp_path / "nothing")) == 1


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Logga in hos {service}", True),
        ("Logga in", False),
        ("{service} " + "x" * 700, True),
        ("{service} " + "x" * 720, False),
    ],
)
def test_words_in_the_app_name_the_service(party: Party, text: str, good: bool) -> None:
    """`user_text` names whom people sign in to, and fits with the longest name."""
    assert (mistakes(party, user_text={"sv": text}) == []) is good


def test_longest_words_fit(party: Party) -> None:
    """The longest text with the longest name is what BankID takes: 1,500 characters of base64."""
    text = "{service} " + "x" * (1125 - 400 - 10)
    body = base64.b64decode(party.ordered(service="\U0001d50a" * 300)["userVisibleData"])
    bankid = party.provider(user_text={"sv": text})
    party.wire.instead = None
    begun = bankid.begin(party.asked(service="\U0001d50a" * 300))

    assert len(body) <= 1125
    assert begun.state


# ---- a certificate that ends ---------------------------------------------------------------------


@pytest.mark.parametrize(("after", "warned"), [(0, False), (3650 - 29, True), (3650 + 2, True)])
def test_certificate_that_ends_is_a_warning(party: Party, after: int, warned: bool) -> None:
    """Expired, or soon to be: the log says so, and the broker starts with its other eIDs."""
    clock = StoppedClock(SystemClock().now() + timedelta(days=after))
    with structlog.testing.capture_logs() as lines:
        made = make("bankid", party.settings(), means(clock))
    party.made.append(made)

    assert [line["event"] for line in lines] == (["bankid_certificate_ends"] if warned else [])
    assert not lines or lines[0]["provider"] == "bankid"


# ---- in the configuration ------------------------------------------------------------------------


def test_reads_from_the_configuration(party: Party) -> None:
    """`[providers.bankid]` with kind = "bankid" gives these settings; a misspelt word is a mistake."""
    table = {
        "kind": "bankid",
        "environment": "test",
        "certificate_file": str(party.bankid.client_certificate),
        "key_file": str(party.bankid.client_key),
        "binding": "return_and_ip",
        "user_text": {"sv": "Hej {service}"},
    }
    document = {"server": {"issuer": "https://login.example.se"}, "providers": {"bankid": table}}
    found = read(document).providers["bankid"].settings

    assert isinstance(found, Settings)
    assert (found.environment, found.binding) == ("test", Binding.RETURN_AND_IP)
    assert found == replace(found, certificate_file=party.bankid.client_certificate)
    with pytest.raises(ConfigError, match="environment"):
        read({**document, "providers": {"bankid": {**table, "environment": "prod"}}})


def test_says_nothing_secret_of_itself(party: Party) -> None:
    """Settings name files, not what is in them."""
    assert "PRIVATE" not in repr(party.settings())


# ---- a clinic's demands --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"pin_code": True},
        {"mrtd": True, "pin_code": False},
        {"certificate_policies": ["1.2.752.78.1.5", "1.2.752.78.*"]},
        {"card_reader": "class2", "certificate_policies": ["1.2.752.78.1.2"]},
    ],
)
def test_takes_what_a_clinic_may_demand(table: dict[str, Any]) -> None:
    """The code, a document, a reader with cards, kinds of BankID."""
    assert requirement_mistakes(table) == []


@pytest.mark.parametrize(
    "table",
    [
        {"pincode": True},
        {"personal_number": "191212121212"},
        {"pin_code": "yes"},
        {"mrtd": 1},
        {"card_reader": "class1"},
        {"card_reader": "class3", "certificate_policies": ["1.2.752.78.1.2"]},
        {"certificate_policies": "1.2.752.78.1.2"},
        {"certificate_policies": [7]},
        {"certificate_policies": ["1.2.*"]},
        {"certificate_policies": ["1.2.752.78.1*"]},
        {"certificate_policies": ["mobile"]},
    ],
)
def test_refuses_what_bankid_would(table: dict[str, Any]) -> None:
    """Whatever BankID would answer with invalidParameters, or leaves undefined, is said at the start."""
    assert len(requirement_mistakes(table)) == 1
