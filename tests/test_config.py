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
