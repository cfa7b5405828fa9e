"""What a note of a guardian opens at a clinic."""

from __future__ import annotations

from typing import Any

import pytest

from idbroker.api.guardians import OPERATIONS
from idbroker.api.problems import KINDS
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.patients.noting import RELATIONS, WhyNot
from idbroker.patients.opening import opening
from idbroker.words import Words
from tests.oidc.making import make_client


@pytest.mark.parametrize(
    ("country", "clinic", "client", "opens"),
    [
        ("DK", {}, {"acting": "always"}, ""),  # nobody takes registrations, and no guardian acts
        ("DK", {"registration": "approval"}, {}, "custody"),
        ("DK", {"registration": "approval", "ages": {"code_until": 0}}, {}, ""),
        ("DK", {"ages": {"guardian_until": 13}}, {"acting": "asked"}, "custody guardian foster relative"),
        ("DK", {}, {"acting": "asked", "ages": {"guardian_until": 13}}, "custody guardian foster relative"),
        ("DK", {}, {"acting": "asked", "ages": {"guardian_until": 13}, "disabled": True}, ""),
        ("DK", {"mandates": ("VISIT",)}, {"acting": "asked"}, "mandate"),
        ("DK", {"mandates": ("VISIT",)}, {}, ""),
        ("SE", {}, {"acting": "asked"}, "custody guardian foster relative"),
        ("SE", {}, {}, ""),
        ("SE", {}, {"acting": "asked", "clinic": "another"}, ""),
    ],
)
def test_what_opens(country: str, clinic: dict[str, Any], client: dict[str, Any], opens: str) -> None:
    """Relations by which somebody may act at a service, or with which custody counts when a child is registered."""
    made = Clinic(id="c", name="C", country=country, providers=("eid",), **clinic)
    found = opening(made, [make_client(**{"clinic": "c", **client})])

    assert " ".join(one for one in RELATIONS if found.by(one)) == opens


@pytest.mark.parametrize("why", [one for one in WhyNot if one is not WhyNot.NOT_PLAIN])
def test_each_refusal_is_said_to_programs_and_colleagues(why: WhyNot) -> None:
    """Each reason why somebody is not noted is a problem of that operation, and a sentence in all languages."""
    (noting,) = (one for one in OPERATIONS if one.name == "noteGuardian")

    assert why.value in KINDS
    assert why.value in noting.problems
    for language in LANGUAGES:
        assert Words().say(f"s.gd.e.{why.value}", language, "DK")
