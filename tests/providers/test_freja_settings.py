"""What an operator may set for Freja, and how every mistake is told at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from idbroker.clock import StoppedClock
from idbroker.errors import ConfigError
from idbroker.providers import Binding, kinds
from idbroker.providers.freja import FrejaApp, FrejaOpenId, Settings, make, requirement_mistakes
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


def test_production_is_the_default(usual: Settings, clock: StoppedClock) -> None:
    """Whoever says nothing else speaks to the real Freja, with the real root."""
    chosen = replace(usual, environment=Settings().environment, address=None, server_root_file=None)

    provider = make("freja", chosen, means(clock, sandbox=False))
    assert isinstance(provider, FrejaApp)
    assert provider._service._address == "https://services.prod.frejaeid.com/authentication/1.0/"
    assert Settings().issuer_address == "https://oidc.prod.frejaeid.com/oidc/"


def test_all_that_is_missing_is_told_at_once(clock: StoppedClock) -> None:
    """An operator mends a file once."""
    assert told(Settings(), clock) == [
        "certificate_file: is missing",
        "key_file: is missing",
        "jws_certificate_files: none; Freja publishes its present one in its documentation",
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
        ({"jws_algorithms": ()}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"jws_algorithms": ("RS256", "none")}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"jws_algorithms": ("HS256",)}, "jws_algorithms: some of RS256, RS384, RS512"),
        ({"app_link": "bankid:///"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "javascript:alert(1)"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "http://app.example"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"app_link": "https://app.example?a=b"}, "app_link: an https address, or frejaeid://bindUserToTransaction"),
        ({"binding": Binding.RETURN_OR_IP}, "binding: return_or_ip needs network_info = true"),
        ({"binding": Binding.RETURN_AND_IP}, "binding: return_and_ip needs network_info = true"),
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
