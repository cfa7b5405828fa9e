"""The settings of suomi.fi: what is usual, and every mistake at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from idbroker import config, providers
from idbroker.clock import StoppedClock
from idbroker.errors import ConfigError
from idbroker.identity import LoA
from idbroker.providers import Means
from idbroker.providers._http import kept_session
from idbroker.providers.suomifi import AUTHENTICATOR, EIDAS2, ENVIRONMENTS, LOA2, LOA3, TEST_TOKEN, Settings, make

PIN = ("ab" * 32,)


def made(clock: StoppedClock, **more: Any) -> Any:
    """Return the provider of some settings."""
    return make("suomi", Settings(**{"metadata_signer_sha256": PIN, **more}), Means(clock=clock, http=kept_session))


def mistakes(clock: StoppedClock, **more: Any) -> list[str]:
    """Return what is wrong with them."""
    with pytest.raises(ConfigError) as refused:
        made(clock, **more)
    assert {where for where, _ in refused.value.mistakes} == {"providers.suomi"}
    return [what for _, what in refused.value.mistakes]


@pytest.mark.parametrize(
    ("more", "origins"),
    [
        ({}, ("https://tunnistautuminen.suomi.fi", "https://tunnistus.suomi.fi")),
        ({"environment": "test"}, ("https://testi.apro.tunnistus.fi",)),
        ({"idp": "https://idp.example.test/idp1"}, ("https://idp.example.test",)),
        (
            {"environment": "test", "hosts": ("bank.example.test",)},
            ("https://testi.apro.tunnistus.fi", "https://bank.example.test"),
        ),
    ],
)
def test_origins(clock: StoppedClock, more: dict[str, Any], origins: tuple[str, ...]) -> None:
    """The way there leads to suomi.fi's own hosts, known without asking anybody, and to what the operator adds."""
    assert made(clock, **more).origins == origins


def test_a_pin_is_enough(clock: StoppedClock) -> None:
    """Where DVV's metadata is and who is in it is known; only its signer must be pinned."""
    provider = made(clock)

    assert (provider.title, provider.loa) == ("Suomi.fi", LoA.HIGH)
    assert mistakes(clock, metadata_signer_sha256=()) == [
        "metadata_url: needs metadata_signer_file or metadata_signer_sha256"
    ]


def test_the_two_environments() -> None:
    """The entity ids are octet for octet those of DVV's description."""
    assert {name: one.idp for name, one in ENVIRONMENTS.items()} == {
        "production": "https://tunnistautuminen.suomi.fi/idp1",
        "test": "https://testi.apro.tunnistus.fi/idp1",
    }


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({"methods": (LOA3,)}, LoA.HIGH),
        ({"methods": (LOA2,)}, LoA.HIGH),
        ({"methods": (TEST_TOKEN,), "environment": "test"}, LoA.SUBSTANTIAL),
        ({"methods": (AUTHENTICATOR,), "foreign": True}, LoA.LOW),
    ],
)
def test_the_highest_it_can_prove(clock: StoppedClock, more: dict[str, Any], level: LoA) -> None:
    """Who takes loa2 may be given loa3."""
    assert made(clock, **more).loa is level


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ({"environment": "prod"}, "environment: one of production, test"),
        ({"methods": ("loa2",)}, "methods: among http://ftn.ficora.fi/2017/loa2, "),
        ({"methods": (TEST_TOKEN,)}, "methods: the test token is for environment test"),
        ({"methods": (EIDAS2,)}, "methods: those of eIDAS need eidas"),
        ({"methods": (AUTHENTICATOR,)}, "methods: the Finnish Authenticator needs foreign"),
        ({"extent": "all"}, "extent: one of limited, medium, large"),
        ({"eidas": "yes"}, "eidas: one of full, form, none"),
        ({"language_by": "cookie"}, "language_by: one of vetuma, locale"),
        ({"contexts": "exact"}, "contexts: one of needed, always, never"),
        ({"cipher": "DES"}, "cipher: one of AES-GCM, AES-CBC, any"),
        ({"cipher": "AES-CBC"}, "cipher: AES-CBC needs cbc"),
        ({"idp": "suomi.fi"}, "idp: an address"),
        ({"idp": "urn:suomi:idp"}, "idp: an address"),
        ({"binding": "soap"}, "binding: one of redirect, post"),
        ({"metadata_url": "http://tunnistus.suomi.fi/x"}, "metadata_url: an https address"),
        ({"metadata_signer_sha256": ("ab",)}, "metadata_signer_sha256: 64 hexadecimal digits each"),
    ],
)
def test_a_mistake(clock: StoppedClock, more: dict[str, Any], mistake: str) -> None:
    """Each mistake is named, by its setting."""
    told = mistakes(clock, **more)

    assert [one for one in told if one.startswith(mistake)]


def test_all_mistakes_at_once(clock: StoppedClock) -> None:
    """An operator is told everything that is wrong, not one thing at each start."""
    wrong = {"extent": "x", "eidas": "x", "language_by": "x", "contexts": "x", "cipher": "x", "binding": "x"}

    assert len(mistakes(clock, **wrong, methods=("x",))) == 7


def test_a_file_in_place_of_the_address(clock: StoppedClock, tmp_path: Path) -> None:
    """An operator who puts the metadata there by hand needs no address and no pin; both at once is a mistake."""
    file = tmp_path / "idp.xml"
    file.write_text("later")

    assert made(clock, metadata_file=file, metadata_signer_sha256=())
    assert mistakes(clock, metadata_file=file, metadata_url="https://x.example.test/") == [
        "metadata_url or metadata_file: exactly one"
    ]
    assert mistakes(clock, metadata_file=tmp_path / "none.xml") == ["metadata_file: does not read"]


def test_from_the_configuration(clock: StoppedClock) -> None:
    """All of it can be said in the one file, tables in tables too."""
    table = {
        "kind": "suomifi",
        "environment": "test",
        "metadata_signer_sha256": list(PIN),
        "methods": [LOA2],
        "skew": "30 s",
        "metadata_valid": "60 days",
        "display": {"names": {"fi": "a"}, "descriptions": {"fi": "b"}, "privacy_statements": {"fi": "https://c.test"}},
        "organization": {"names": {"fi": "a"}, "display_names": {"fi": "a"}, "urls": {"fi": "https://c.test"}},
        "contacts": [{"kind": "technical", "given_name": "a", "surname": "b", "email": "a@example.test"}],
    }
    read = config.read({"server": {"issuer": "https://broker.example.test"}, "providers": {"finland": table}})
    settings, means = read.providers["finland"].settings, Means(clock=clock, http=kept_session)
    provider = providers.kind("suomifi").make("finland", settings, means)

    assert provider.origins == ("https://testi.apro.tunnistus.fi",)


def test_a_start_asks_nobody(clock: StoppedClock) -> None:
    """Making it fetches nothing: an address where nobody listens does not keep anybody from starting."""
    assert made(clock, metadata_url="https://127.0.0.1:9/metadata.xml").origins
