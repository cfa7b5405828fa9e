"""What an operator may set for Freja, and how every mistake is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from idbroker.clock import StoppedClock, SystemClock
from idbroker.errors import ConfigError
from idbroker.providers import Binding, kinds
from idbroker.providers._freja.settings import ENVIRONMENTS, SERVER_ROOTS
from idbroker.providers.freja import FrejaApp, FrejaOpenId, Settings, make, requirement_mistakes
from idbroker.sandbox.pki import new_authority, write_certificates
from tests.providers.freja_service import Folder, means, new_folder, new_stamp, settings, tls_key


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Give two authorities."""
    return new_folder(tmp_path)


@pytest.fixture
def usual(folder: Folder, clock: StoppedClock) -> Settings:
    """Give settings that work."""
    return settings(folder, "https://127.0.0.1:9", new_stamp("signing 1", clock.now()))


OIDC = Settings(api="oidc", environment="test", client_id="us", client_secret="a secret")

PINS = {
    "test": "8D7459FD0460242CF03E76D5F0427EA9FE33DB6789D506309AAC2C97DAA6E860",
    "production": "22A283A0A50F07028AC9607D477A49805562AE50C43D1902F42BC95C1A9A5825",
}


def told(chosen: Settings, clock: StoppedClock, *, sandbox: bool = True) -> list[str]:
    """Return the mistakes that are told."""
    with pytest.raises(ConfigError) as stopped:
        make("freja", chosen, means(clock, sandbox=sandbox))
    assert {where for where, _ in stopped.value.mistakes} == {"providers.freja"}
    return [what for _, what in stopped.value.mistakes]


def test_freja_is_a_kind() -> None:
    """It is found by its name alone."""
    assert "freja" in kinds()


def test_the_one_setting_makes_the_one_or_the_other(usual: Settings, clock: StoppedClock) -> None:
    """`api` chooses between an order in the app and Freja's own page."""
    app, page = make("freja", usual, means(clock)), make("freja", OIDC, means(clock))

    assert isinstance(app, FrejaApp)
    assert isinstance(page, FrejaOpenId)
    assert (app.origins, page.origins) == ((), ("https://oidc-ct.test.frejaeid.com",))


@pytest.fixture
def roots(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Path]:
    """Give files of made-up roots, which are pinned instead of Freja's for a test; and one of somebody else's."""
    now = SystemClock().now()
    made = {name: new_authority(name, now=now).certificate for name in (*ENVIRONMENTS, "somebody")}
    for environment in ENVIRONMENTS:
        monkeypatch.setitem(SERVER_ROOTS, environment, sha256(made[environment]))
    return {name: write_certificates(folder.path / f"{name}-root.crt", one) for name, one in made.items()}


def sha256(certificate: x509.Certificate) -> str:
    """Return the fingerprint of a certificate as an operator reads it."""
    return certificate.fingerprint(hashes.SHA256()).hex().upper()


def sha256_of(file: Path) -> str:
    """Return the fingerprint of the one certificate in a file."""
    return sha256(x509.load_pem_x509_certificate(file.read_bytes()))


def test_production_is_the_default(usual: Settings, clock: StoppedClock, roots: Mapping[str, Path]) -> None:
    """Whoever says nothing else speaks to the real Freja, with the real root."""
    root = roots["production"]
    chosen = replace(usual, environment=Settings().environment, address=None, server_root_file=root)

    provider = make("freja", chosen, means(clock, sandbox=False))
    assert isinstance(provider, FrejaApp)
    assert provider._service._address == "https://services.prod.frejaeid.com/authentication/1.0/"
    assert Settings().issuer_address == "https://oidc.prod.frejaeid.com/oidc/"


def no_root(environment: str) -> str:
    """Return the mistake of naming no root."""
    pinned = f"the root of Freja's servers in {environment} has the SHA-256 {PINS[environment]}"
    return f"server_root_file: is missing; {pinned}, and is in its documentation for integrators"


def test_all_that_is_missing_is_told_at_once(clock: StoppedClock) -> None:
    """An operator mends a file once."""
    assert told(Settings(), clock) == [
        "certificate_file: is missing",
        "key_file: is missing",
        "jws_certificate_files: none; Freja publishes its present one in its documentation",
        no_root("production"),
    ]
    assert told(Settings(api="oidc"), clock) == [
        "client_id: is missing",
        "client_secret or client_secret_file: exactly one",
    ]


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ({"api": "soap"}, "api: one of rest, oidc"),
        ({"environment": "prod"}, "environment: one of test, production"),
        ({"address": "http://127.0.0.1:9"}, "address: an https address without path"),
        ({"address": "https://freja.example/authentication"}, "address: an https address without path"),
        ({"address": "https://us@freja.example"}, "address: an https address without path"),
        ({"address": "https://["}, "address: an https address without path"),
        ({"jws_algorithms": ()}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"jws_algorithms": ("RS256", "none")}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"jws_algorithms": ("HS256",)}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"app_link": "bankid:///"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "javascript:alert(1)"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "http://app.example"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "https://app.example?a=b"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"network_info": False, "binding": Binding.RETURN_OR_IP}, "binding: return_or_ip needs network_info = true"),
        ({"network_info": False}, "binding: return_and_ip needs network_info = true"),
        ({"dynamic_qr_secret": "hex"}, "dynamic_qr_secret: one of text, base64"),
    ],
)
def test_what_cannot_work_is_told(usual: Settings, clock: StoppedClock, more: dict[str, Any], mistake: str) -> None:
    """Each in one line, alone when all else is right."""
    assert told(replace(usual, **more), clock) == [mistake]


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ({"issuer": "http://127.0.0.1/oidc/"}, "issuer: an https address without query"),
        ({"issuer": "https://freja.example/oidc/?a=b"}, "issuer: an https address without query"),
        ({"auth_method": "private_key_jwt"}, "auth_method: one of client_secret_basic, client_secret_post"),
        ({"client_secret_file": Path("/nowhere")}, "client_secret or client_secret_file: exactly one"),
        ({"client_secret": None}, "client_secret or client_secret_file: exactly one"),
        ({"client_id": ""}, "client_id: is missing"),
    ],
)
def test_what_cannot_work_over_openid_connect_is_told(clock: StoppedClock, more: dict[str, Any], mistake: str) -> None:
    """The settings of the other interface are not missed."""
    assert mistake in told(replace(OIDC, **more), clock, sandbox=False)


@pytest.mark.parametrize("name", ["certificate_file", "key_file", "server_root_file", "jws_certificate_files"])
def test_files_that_do_not_read_are_told(usual: Settings, clock: StoppedClock, tmp_path: Path, name: str) -> None:
    """One that is not there, and one that is something else; what is in it is never quoted."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n")

    for file, why in ((tmp_path / "nowhere", "No such file or directory"), (nonsense, "not what it must be, in PEM")):
        several = name.endswith("s")
        where = f"{name}: {file.name}" if several else name
        changed: dict[str, Any] = {name: (file,) if several else file}
        assert told(replace(usual, **changed), clock) == [f"{where}: {why}"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_root_is_pinned(usual: Settings, clock: StoppedClock, roots: Mapping[str, Path], environment: str) -> None:
    """E4: of an environment's servers only its own root is taken; the mistake names it, and what is there instead."""
    pinned = f"the root of Freja's servers in {environment} has the SHA-256 {SERVER_ROOTS[environment]}"
    chosen = replace(usual, environment=environment, address=None)

    assert isinstance(make("freja", replace(chosen, server_root_file=roots[environment]), means(clock)), FrejaApp)
    for name in roots.keys() - {environment}:
        there = f"a certificate there has the SHA-256 {sha256_of(roots[name])}"
        assert told(replace(chosen, server_root_file=roots[name]), clock) == [f"server_root_file: {there}; {pinned}"]


def test_the_root_is_alone(usual: Settings, clock: StoppedClock, roots: Mapping[str, Path], tmp_path: Path) -> None:
    """A second root in the file of the right one would be trusted as much, and is refused."""
    both = tmp_path / "both.crt"
    both.write_bytes(roots["test"].read_bytes() + roots["somebody"].read_bytes())

    (mistake,) = told(replace(usual, address=None, server_root_file=both), clock)
    assert sha256_of(roots["somebody"]) in mistake


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_root_must_be_given(usual: Settings, clock: StoppedClock, environment: str) -> None:
    """Without the file the mistake says which certificate it is, and where it is found."""
    chosen = replace(usual, environment=environment, address=None, server_root_file=None)

    assert told(chosen, clock) == [no_root(environment)]


def test_a_server_elsewhere_has_its_own_root(usual: Settings, clock: StoppedClock, roots: Mapping[str, Path]) -> None:
    """A simulator, or a proxy in front, is under whichever root is given; but one must be."""
    proxied = replace(usual, address="https://proxy.example.se", server_root_file=roots["somebody"])

    assert isinstance(make("freja", proxied, means(clock, sandbox=False)), FrejaApp)
    assert told(replace(proxied, server_root_file=None), clock) == [
        "server_root_file: is missing; it is the root of the server at address"
    ]


@pytest.mark.parametrize("address", ["https://services.prod.frejaeid.com/", "https://SERVICES.prod.frejaeid.com:443"])
def test_its_own_address_spelt_out_is_no_other(
    usual: Settings, clock: StoppedClock, roots: Mapping[str, Path], address: str
) -> None:
    """Freja's own host is held to its root even where `address` names it."""
    chosen = replace(usual, environment="production", address=address, server_root_file=roots["production"])

    assert isinstance(make("freja", chosen, means(clock)), FrejaApp)
    assert len(told(replace(chosen, server_root_file=roots["test"]), clock)) == 1


def test_a_key_may_be_encrypted(usual: Settings, clock: StoppedClock, tmp_path: Path) -> None:
    """With its passphrase in a file. Without, OpenSSL would ask on the terminal, where nobody sits, and wait."""
    file, words = tmp_path / "encrypted.key", tmp_path / "passphrase"
    encryption = BestAvailableEncryption(b"a passphrase")
    file.write_bytes(tls_key("us").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    words.write_text("a passphrase\n")
    good = replace(usual, key_file=file, passphrase_file=words)

    assert isinstance(make("freja", good, means(clock)), FrejaApp)
    halves = replace(good, passphrase_file=None), replace(good, key_file=usual.key_file)
    why = "key_file: encrypted, and there is no passphrase_file, or the other way round"
    assert [told(half, clock) for half in halves] == [[why]] * 2
    words.write_text("another")
    assert told(good, clock) == ["key_file: not what it must be, in PEM"]
    assert told(replace(good, passphrase_file=tmp_path / "x"), clock) == ["passphrase_file: No such file or directory"]


def test_a_key_of_another_certificate_is_told(usual: Settings, folder: Folder, clock: StoppedClock) -> None:
    """The two files belong together."""
    _, key = folder.pair("another", folder.authority)

    assert told(replace(usual, key_file=key), clock) == ["certificate_file, key_file: do not belong together"]


def test_an_expired_signer_does_not_stop_the_start(folder: Folder, clock: StoppedClock) -> None:
    """It is refused when it signs; the other eIDs of the house are not to fail with it."""
    expired = new_stamp("signing 1", clock.now(), days=-1)

    assert isinstance(make("freja", settings(folder, "https://127.0.0.1:9", expired), means(clock)), FrejaApp)


def test_a_secret_may_be_in_a_file(clock: StoppedClock, tmp_path: Path) -> None:
    """Without the line's end that editors add."""
    file = tmp_path / "secret"
    file.write_text("a secret\n")

    provider = make("freja", replace(OIDC, client_secret=None, client_secret_file=file), means(clock))
    assert isinstance(provider, FrejaOpenId)
    assert provider._client.upstream.client_secret == "a secret"


def test_secrets_are_not_shown() -> None:
    """Neither the settings nor their mistakes carry one."""
    assert "a secret" not in repr(OIDC)


@pytest.mark.parametrize(
    ("table", "mistakes"),
    [
        ({}, []),
        ({"confirmation_method": "DEFAULT_AND_FACE", "registration_level": "PLUS"}, []),
        ({"confirmation_method": "DEFAULT", "registration_level": "EXTENDED"}, []),
        ({"confirmation_method": "FACE"}, ["confirmation_method: one of DEFAULT, DEFAULT_AND_FACE"]),
        ({"registration_level": "BASIC"}, ["registration_level: one of EXTENDED, PLUS"]),
        ({"registration_level": ["PLUS"]}, ["registration_level: one of EXTENDED, PLUS"]),
        ({"mrtd": True}, ["mrtd is not known; there are confirmation_method, registration_level"]),
    ],
)
def test_a_clinics_requirements_are_checked(table: dict[str, Any], mistakes: list[str]) -> None:
    """In Freja's own words, before anybody signs in."""
    assert requirement_mistakes(table) == mistakes
