"""What a colleague was refused is in the trail: who asked, and why not; but no flood of it."""

from __future__ import annotations

from datetime import date

import pytest

from idbroker.messages.message import Channel
from idbroker.staff.entrance import NOTED
from idbroker.staff.member import Role
from tests.office.patients_there import patient_at
from tests.office_door import Office
from tests.patients.waiting import asked, entry_of

APPROVALS = "/staff/clinea/approvals"
NEW = "/staff/clinea/patients/new"


def refusals(office: Office) -> list[tuple[str | None, str, str]]:
    """Return clinic, who and why of each."""
    return [(one.clinic, one.detail["by"], one.detail["why"]) for one in office.events("staff.refused")]


@pytest.mark.parametrize(
    ("path", "clinic", "why", "status"),
    [
        ("/staff/clinea/approvals", "clinea", "role", 403),
        ("/staff/neuroreg", "neuroreg", "clinic", 404),
        ("/staff/nowhere", None, "clinic", 404),
        ("/staff/clinea/patients/{there}", "clinea", "handle", 404),
        ("/staff/clinea/patients/none", "clinea", "handle", 404),
    ],
)
def test_what_is_not_theirs(office: Office, path: str, clinic: str | None, why: str, status: int) -> None:
    """Another role's page, another clinic, another clinic's patient: refused, and kept (ASVS 16.3.2)."""
    dora = office.hire("dora", roles={"clinea": Role.CARER})
    there = patient_at(office, "neuroreg").handle
    assert office.client("dora").get(path.format(there=there)).status_code == status
    assert refusals(office) == [(clinic, dora.id, why)]


def test_a_stale_form(office: Office) -> None:
    """A form on an earlier state of a patient, and one of another sign-in (CSRF), are kept as stale."""
    patient, anna = patient_at(office, "clinea"), office.client("anna")
    path = f"/staff/clinea/patients/{patient.handle}/edit"
    office.post(
        anna, path, given="Ada", family="Ny", birthdate="1980-01-01", checked="known", mark="old", language="da"
    )
    assert anna.post(path, data={"_n": "of.another"}).status_code == 400
    assert refusals(office) == [("clinea", office.member().id, "stale")] * 2


def test_a_number_under_another_name(office: Office) -> None:
    """A number that is here under another name is not entered, and that is kept: who, where, and no name or number."""
    anna = office.client("anna")
    typed = {"given": "Märta", "family": "Öberg", "checked": "passport", "language": "da", "email": "m@example.test"}
    draft = office.post(anna, NEW, number=office.number("marta").display, country="SE").headers["Location"]
    check = office.post(anna, draft, **typed).headers["Location"]
    patient_at(office, "clinea", "marta")
    office.post(anna, check)
    assert refusals(office) == [("clinea", office.member().id, "other_name")]
    (kept,) = office.events("staff.refused")
    assert (kept.person, set(kept.detail)) == (None, {"by", "why"})


@pytest.mark.parametrize("who", ["the queue", "a form"])
def test_the_dead(office: Office, who: str) -> None:
    """Whatever is pressed for a patient who has died is not done, and kept."""
    dead = entry_of(office, "vilma", deceased_on=date(2026, 11, 1))
    handle = asked(office, "vilma", entry=dead).handle
    bo, path = office.client("bo"), f"/staff/clinea/patients/{handle}"
    if who == "the queue":
        office.post(bo, APPROVALS, do="approve", handle=handle)
    else:
        office.post(bo, f"{path}/edit", given="Ada", family="Ny", checked="known", mark="old", language="da")
    assert refusals(office) == [("clinea", office.member("bo").id, "deceased")]


def test_what_is_answered_already(office: Office) -> None:
    """The second of two answers is no answer, and kept; so is, once, that some of many were not alike."""
    first, cecilia = asked(office, "vilma").handle, office.client("cecilia")
    office.post(office.client("bo"), APPROVALS, do="approve", handle=first)
    assert refusals(office) == []
    office.post(cecilia, APPROVALS, do="decline", handle=first, reason="not ours")
    others = [asked(office, one, told={Channel.EMAIL: "other@example.test"}).handle for one in ("rosa", "otto")]
    office.post(cecilia, APPROVALS, do="many", **{f"one.{handle}": "1" for handle in others})
    whose = office.member("cecilia").id
    assert refusals(office) == [("clinea", whose, "answered"), ("clinea", whose, "not_alike")]


def test_a_sign_in_that_is_over_is_no_refusal(office: Office) -> None:
    """Who has to sign in again has done nothing wrong; nor is a stranger anybody."""
    anna = office.client("anna")
    office.house.offices.entrance.end_all(office.member().id, office.clock.now())
    assert anna.get("/staff/clinea/approvals").status_code == 303
    assert office.browser().post("/staff/clinea/approvals", data={"_n": "x"}).status_code == 303
    assert refusals(office) == []


def test_a_flood_is_kept_in_part(office: Office) -> None:
    """Whoever presses on writes so many an hour; a colleague's are kept beside them."""
    anna = office.client("anna")
    for _ in range(NOTED + 5):
        anna.get("/staff/clinea/approvals")
    office.client("bo").get("/staff/clinea/colleagues")
    assert [by for _, by, _ in refusals(office)] == [office.member().id] * NOTED + [office.member("bo").id]
