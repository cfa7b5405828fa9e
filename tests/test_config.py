"""What the configuration says of mistakes, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from idbroker import config
from idbroker.eids import check_providers
from idbroker.errors import ConfigError


def _document(tmp_path: Path, demands: dict[str, Any], providers: tuple[str, ...] = ("bankid",)) -> dict[str, Any]:
    certificate = str(tmp_path / "client.pem")
    return {
        "server": {"issuer": "https://login.example.org"},
        "providers": {
            "bankid": {"environment": "test", "certificate_file": certificate, "key_file": certificate},
            "mitid": {"issuer": "https://broker.example.org", "client_id": "a", "client_secret": "b"},
        },
        "clinics": {
            "region": {"name": "Region", "country": "SE", "providers": list(providers), "requirements": demands}
        },
    }


def _mistakes(document: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        config.read(document)
    return list(caught.value.mistakes)


def test_a_clinic_may_demand_of_an_eid_what_that_eid_knows(tmp_path: Path) -> None:
    """A clinic's requirements reach its settings as they are written, each in its eID's own words."""
    settings = config.read(_document(tmp_path, {"bankid": {"mrtd": True, "pin_code": True}}))

    clinic = settings.clinics.find("region")
    assert clinic is not None
    assert clinic.requirements["bankid"] == {"mrtd": True, "pin_code": True}


def test_a_demand_that_the_eid_does_not_know_is_a_mistake(tmp_path: Path) -> None:
    """A misspelt demand would silently demand nothing, so it stops the start, with its place."""
    mistakes = _mistakes(_document(tmp_path, {"bankid": {"mrdt": True}}))

    assert [where for where, _ in mistakes] == ["clinics.region.requirements.bankid"]
    assert "mrdt is not known" in mistakes[0][1]


def test_an_eid_that_takes_no_demands_says_so(tmp_path: Path) -> None:
    """A demand on an eID that has none is refused rather than ignored."""
    mistakes = _mistakes(_document(tmp_path, {"mitid": {"mrtd": True}}, ("bankid", "mitid")))

    assert mistakes == [("clinics.region.requirements.mitid", "mitid takes no requirements")]


def test_a_demand_on_an_eid_the_clinic_does_not_take_is_a_mistake(tmp_path: Path) -> None:
    """A demand that can never apply is a mistake somebody should hear of."""
    mistakes = _mistakes(_document(tmp_path, {"freja": {}}))

    assert mistakes == [("clinics.region.requirements.freja", "freja is not among the clinic's providers")]


def test_files_of_providers_lie_beside_the_configuration(tmp_path: Path) -> None:
    """A provider's files are found from wherever the broker is started, one or several in a setting."""
    file = tmp_path / "config.toml"
    file.write_text(
        '[server]\nissuer = "https://login.example.org"\n'
        '[providers.bankid]\nenvironment = "test"\ncertificate_file = "client.pem"\nkey_file = "/etc/client.key"\n'
        'signing_root_files = ["root.pem"]\n'
    )

    settings = config.load(file, {}).providers["bankid"].settings

    assert settings.certificate_file == tmp_path / "client.pem"
    assert settings.key_file == Path("/etc/client.key")
    assert settings.signing_root_files == (tmp_path / "root.pem",)


def test_every_mistake_of_every_provider_is_told_at_once(tmp_path: Path) -> None:
    """An operator mends a configuration in one go: one provider's mistakes do not hide the next one's."""
    document = _document(tmp_path, {})
    document["providers"]["freja"] = {"environment": "test"}

    with pytest.raises(ConfigError) as caught:
        check_providers(config.read(document))

    assert {where for where, _ in caught.value.mistakes} == {"providers.bankid", "providers.freja"}


@pytest.mark.parametrize("name", ["me", "set", "sign-in", "sign-out", "callback"])
def test_a_clinic_is_not_called_as_a_page_of_the_staffs(tmp_path: Path, name: str) -> None:
    """A clinic whose id is that of one of the office's own pages would have no page there."""
    document = _document(tmp_path, {})
    document["clinics"] = {name: document["clinics"]["region"]}

    assert (f"clinics.{name}", "its id is the name of a page of the staff's") in _mistakes(document)


# ---- guardians -------------------------------------------------------------------------------------


def _acting(clinic: dict[str, Any], **tables: Any) -> dict[str, Any]:
    """Return a clinic with MitID whose table is as told, with other tables beside it."""
    eid = {"issuer": "https://broker.example.org", "client_id": "a", "client_secret": "b"}
    usual = {"name": "Clinea", "country": "DK", "providers": ["mitid"]}
    return {
        "server": {"issuer": "https://login.example.org"},
        "providers": {"mitid": eid},
        "clinics": {"clinea": {**usual, **clinic}},
        **tables,
    }


REGISTER = {"kind": "lookup", "address": "https://register.example.org/guardians", "token_file": "token"}


def test_a_clinic_has_ages_registers_and_mandates(tmp_path: Path) -> None:
    """What a clinic says of guardians reaches its settings, and its ages those of its country."""
    given = {"ages": {"eid_from": 13}, "registers": ["region"], "mandates": ["health"]}

    settings = config.read(_acting(given, registers={"region": REGISTER}))

    clinic = settings.clinics.find("clinea")
    assert clinic is not None
    assert (clinic.registers, clinic.mandates) == (("region",), ("health",))
    assert (clinic.limits.eid_from, clinic.limits.code_until) == (13, 15)
    assert settings.registers["region"].kind == "lookup"


@pytest.mark.parametrize(
    ("clinic", "words"),
    [
        ({"child_age": 14}, "child_age"),
        ({"ages": {"eid_from": 19}}, "ages.eid_from must be 0 to 18"),
        ({"ages": {"guardian_until": -1}}, "ages.guardian_until must be 0 to 18"),
        ({"ages": {"eid": 13}}, "ages.eid is not known; there are eid_from, guardian_until, code_until"),
        ({"ages": {"eid_from": "thirteen"}}, "ages.eid_from"),
        ({"registers": ["region"]}, "there is no [registers.region]"),
    ],
)
def test_wrong_ages_stop_the_start(clinic: dict[str, Any], words: str) -> None:
    """An age that is none, the setting of before, and a register that is not there are mistakes of that clinic."""
    [(where, what)] = _mistakes(_acting(clinic))

    assert where == "clinics.clinea"
    assert words in what


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("region", {"kind": "navet"}, "kind 'navet' is not known; there are valtuudet, lookup"),
        ("region", {"address": "http://register.example.org/guardians"}, "address must be https"),
        ("mitid", {}, "its name is taken"),
        ("local", {}, "its name is taken"),
        ("powers", {}, "its name is taken"),
    ],
)
def test_wrong_registers_stop_the_start(name: str, change: dict[str, str], words: str) -> None:
    """A register of no kind, one that anybody on the way could read, and one named as something else are mistakes."""
    [(where, what)] = _mistakes(_acting({}, registers={name: {**REGISTER, **change}}))

    assert where == f"registers.{name}"
    assert words in what


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"acting": "sometimes"}, "acting"),
        ({"scopes": ["openid", "acting_for"]}, "the scope acting_for needs acting"),
        ({"ages": {"eid_from": 30}}, "ages.eid_from must be 0 to 18"),
    ],
)
def test_wrong_settings_of_a_service_stop_the_start(client: dict[str, Any], words: str) -> None:
    """What a service says of guardians is judged like what its clinic says."""
    usual = {"clinic": "clinea", "redirect_uris": ["https://p.example.org/cb"], "auth_method": "none"}

    [(where, what)] = _mistakes(_acting({}, clients={"portal": {**usual, **client}}))

    assert where == "clients.portal"
    assert words in what


def test_files_of_registers_lie_beside_the_configuration(tmp_path: Path) -> None:
    """A register's token file is found beside the configuration, as a provider's files are."""
    table = "".join(f'{name} = "{value}"\n' for name, value in REGISTER.items())
    path = tmp_path / "config.toml"
    path.write_text(f'[server]\nissuer = "https://login.example.org"\n[registers.region]\n{table}')

    settings = config.load(path, {})

    assert settings.registers["region"].settings.token_file == str(tmp_path / "token")
