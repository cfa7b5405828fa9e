"""What the operator decides about BankID: what is known, what is a mistake, what a clinic may demand."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
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
from idbroker.providers._bankid.settings import ENVIRONMENTS, certificates_in, fingerprint
from idbroker.providers.bankid import Settings, make, requirement_mistakes
from idbroker.sandbox.pki import new_authority, write_certificates
from tests.providers.bankid_party import Party, means

pytest_plugins = ["tests.providers.bankid_fixtures"]

SAMPLES = Path(os.environ.get("BANKID_SAMPLES", Path(__file__).parent / "bankid_vectors"))


def mistakes(party: Party, *, sandbox: bool = True, **more: Any) -> list[str]:
    """Return what is wrong with settings."""
    try:
        party.made.append(make("bankid", party.settings(**more), means(party.clock, sandbox=sandbox)))
    except ConfigError as error:
        return [what for where, what in error.mistakes if where == "providers.bankid"]
    return []


# ---- what is known ---------------------------------------------------------------------------------


def test_environments_are_bankids() -> None:
    """Addresses of RP API v6.0 in test and in production; BankID on file, on card, mobile."""
    assert [one.address for one in ENVIRONMENTS.values()] == [
        "https://appapi2.test.bankid.com/rp/v6.0",
        "https://appapi2.bankid.com/rp/v6.0",
    ]
    assert ENVIRONMENTS["production"].policies == ("1.2.752.78.1.1", "1.2.752.78.1.2", "1.2.752.78.1.5")


@pytest.mark.parametrize(
    ("file", "pin"),
    [
        ("root", ENVIRONMENTS["test"].signing_root),
        ("server-test", ENVIRONMENTS["test"].server_root),
        ("server-production", ENVIRONMENTS["production"].server_root),
    ],
)
def test_pins_are_bankids(file: str, pin: str) -> None:
    """The fingerprints known here are of the certificates that BankID publishes, where those are at hand."""
    path = SAMPLES / f"{file}.pem"
    if not path.exists():
        pytest.skip(f"SKIPPED, AND SO NOT PROVED: BankID's {path.name} is not here, see bankid_vectors/README.md")

    assert [fingerprint(one) for one in certificates_in(path)] == [pin]


# ---- what is a mistake ---------------------------------------------------------------------------


def test_works_as_it_is(party: Party) -> None:
    """Settings with what must be there, and nothing else, have no mistake."""
    assert mistakes(party) == []


@pytest.mark.parametrize(
    ("environment", "known"),
    [("test", "C6FAEAF8CCADCFD0738DC99140CA788C1A19A93F843C5A9EC1369872D50E45F2"), ("production", "")],
)
def test_needs_a_signing_root(party: Party, environment: str, known: str) -> None:
    """BankID gives the root of people's certificates to its customers; the mistake names the one that is known."""
    (wrong,) = mistakes(party, environment=environment, signing_root_files=())

    assert wrong.startswith("signing_root_files: is missing; BankID gives ")
    assert wrong.endswith(known)


@pytest.fixture
def authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Path]:
    """Give files of made-up roots, which are pinned instead of BankID's for a test; and one of somebody else's."""
    now = SystemClock().now()
    made = {name: new_authority(name, now=now).certificate for name in ("test", "production", "people", "somebody")}
    for name, environment in ENVIRONMENTS.items():
        people = fingerprint(made["people"]) if environment.signing_root else None
        pinned = replace(environment, server_root=fingerprint(made[name]), signing_root=people)
        monkeypatch.setitem(ENVIRONMENTS, name, pinned)
    return {name: write_certificates(tmp_path / f"{name}.pem", one) for name, one in made.items()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_server_root_is_pinned(party: Party, authorities: Mapping[str, Path], environment: str) -> None:
    """E4: of an environment's servers only its own root is taken; the mistake names it, and what is there instead."""
    pin = ENVIRONMENTS[environment].server_root
    wrong = {
        name: mistakes(party, environment=environment, address=None, server_root_file=file)
        for name, file in authorities.items()
    }

    assert wrong.pop(environment) == []
    for name, found in wrong.items():
        (other,) = map(fingerprint, certificates_in(authorities[name]))
        pinned = f"the root of BankID's servers in {environment} has the SHA-256 {pin}"
        assert found == [f"server_root_file: a certificate there has the SHA-256 {other}; {pinned}"]


def test_server_root_is_alone(party: Party, authorities: Mapping[str, Path], tmp_path: Path) -> None:
    """A second root in the file of the right one would be trusted as much, and is refused."""
    both = write_certificates(
        tmp_path / "both.pem", *(certificates_in(authorities[name])[0] for name in ("test", "somebody"))
    )
    (wrong,) = mistakes(party, address=None, server_root_file=both)

    assert fingerprint(certificates_in(authorities["somebody"])[0]) in wrong


@pytest.mark.parametrize(
    ("environment", "pin"),
    [
        ("test", "F3D0740EBFB3700E3B81AA791FEE451472698C84E199C2EB48A443FF1D5B405C"),
        ("production", "E6A2D45C0A1051C959428649F86A09A9B2152CD551993CC2EB4CF094BDACBECB"),
    ],
)
def test_server_root_must_be_given(party: Party, environment: str, pin: str) -> None:
    """Without the file the mistake says which certificate it is, and where it is found."""
    (wrong,) = mistakes(party, environment=environment, address=None, server_root_file=None)

    assert wrong == (
        f"server_root_file: is missing; the root of BankID's servers in {environment} has the SHA-256 {pin}, "
        "and is in its documentation for integrators"
    )


def test_server_elsewhere_has_its_own_root(party: Party, authorities: Mapping[str, Path]) -> None:
    """A simulator, or a proxy in front, is under whichever root is given; but one must be."""
    proxy = "https://proxy.example.se/appapi2.bankid.com/rp/v6.0"

    assert mistakes(party, address=proxy, server_root_file=authorities["somebody"]) == []
    assert mistakes(party, address=proxy, server_root_file=None) == [
        "server_root_file: is missing; it is the root of the server at address"
    ]


@pytest.mark.parametrize("address", ["https://appapi2.bankid.com/rp/v6.0/", "https://APPAPI2.bankid.com:443/rp/v6.0"])
def test_own_address_spelt_out_is_no_other(party: Party, authorities: Mapping[str, Path], address: str) -> None:
    """BankID's own host is held to its root even where `address` names it."""
    chosen: dict[str, Any] = {"environment": "production", "address": address}

    assert mistakes(party, **chosen, server_root_file=authorities["production"]) == []
    assert len(mistakes(party, **chosen, server_root_file=authorities["test"])) == 1


@pytest.mark.parametrize(
    ("root", "in_test", "in_production"),
    [("people", 0, 1), ("test", 1, 1), ("production", 1, 1), ("somebody", 0, 0)],
)
def test_root_must_be_of_the_right_people(
    party: Party, authorities: Mapping[str, Path], root: str, in_test: int, in_production: int
) -> None:
    """E4: whoever has a test BankID would be anybody in production; and the root of servers is nobody's."""
    chosen: dict[str, Any] = {"signing_root_files": (authorities[root],)}

    assert len(mistakes(party, **chosen)) == in_test
    assert len(mistakes(party, **chosen, environment="production")) == in_production


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


@pytest.mark.parametrize(
    "address", ["ftp://x/", "https://", "https://u@x/", "https://x/?a=b", "https://x/#a", "https://[", ""]
)
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
