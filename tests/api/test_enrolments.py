"""Who asked to be taken, custody, and where news goes, as a clinic's own system has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.vouching import approved_here
from tests.api.api_house import Api

GUARDIAN = "anna"


def asks(api: Api, person: str = "emil", *, guardian: str | None = None, **changed: Any) -> str:
    """Have somebody ask to be taken by neuroreg; return the handle."""
    records, now = api.office.house.given.records, api.office.clock.now()
    one = records.accounts.person(api.office.number(person), now)
    enrolment = Enrolment(
        person=one,
        clinic="neuroreg",
        standing=Standing.ASKED,
        asked_at=now,
        provider="bankid",
        guardian=records.accounts.person(api.office.number(guardian), now) if guardian else None,
        client="portal",
    )
    kept = records.enrolments.change(one, "neuroreg", lambda _: replace(enrolment, **changed))
    records.accounts.add(account(api, person, one, enrolment.guardian))
    assert kept is not None
    return kept.handle


def account(api: Api, person: str, one: str, guardian: str | None = None) -> Account:
    """Return the account of somebody, made by a guardian or themselves."""
    sim = api.office.people[person]
    return Account(
        person=one,
        number=api.office.number(person),
        given_name=sim.given_name,
        family_name=sim.family_name,
        birthdate=sim.born,
        guardian=guardian,
        created_at=api.office.clock.now(),
    )


def kept(api: Api, handle: str) -> Enrolment:
    """Return an enrolment as kept."""
    found = api.office.house.given.records.enrolments.by_handle("neuroreg", handle)
    assert found is not None
    return found


# ---- answers -------------------------------------------------------------------------------------


def test_who_waits_is_listed(api: Api) -> None:
    """R30: who, when, by which eID; no differences where the clinic has nothing to compare with."""
    handle = asks(api)
    found = api.call("GET", "/enrolments?standing=asked").get_json()["enrolments"]

    assert [one["patient"]["handle"] for one in found] == [handle]
    assert found[0]["provider"] == "bankid"
    assert found[0]["differences"] is None
    assert found[0]["guardian"] is None
    assert found[0]["alike"] is False


def test_another_clinic_sees_none_of_them(api: Api) -> None:
    """Who asks one clinic is no other's business."""
    asks(api)

    assert api.call("GET", "/enrolments?standing=asked", by="other").get_json() == {"enrolments": []}


def test_somebody_is_approved_once(api: Api) -> None:
    """R30: the first answer counts; the same again is told that it was not the first."""
    handle = asks(api)
    first, again = (api.call("POST", f"/enrolments/{handle}/approve").get_json() for _ in range(2))

    assert (first["standing"], first["first"], again["first"]) == ("approved", True, False)
    assert kept(api, handle).by == "client:journal"
    assert api.call("GET", "/enrolments?standing=asked").get_json() == {"enrolments": []}


def test_somebody_is_declined_with_a_reason(api: Api) -> None:
    """R30: the reason stays with the clinic."""
    handle = asks(api)
    answer = api.call("POST", f"/enrolments/{handle}/decline", {"reason": "Not a patient of ours"})

    assert answer.get_json()["standing"] == "declined"
    assert kept(api, handle).reason == "Not a patient of ours"


def test_an_answer_that_comes_second_is_refused(api: Api) -> None:
    """Issue 6, double approval: a program that approves whom somebody has declined is told 409, and nothing changes."""
    handle = asks(api)
    api.call("POST", f"/enrolments/{handle}/decline", {"reason": "Not a patient of ours"})
    answer = api.call("POST", f"/enrolments/{handle}/approve")

    assert (answer.status_code, answer.get_json()["code"]) == (409, "decided")
    assert kept(api, handle).standing is Standing.DECLINED


def test_entering_answers_nobody(api: Api) -> None:
    """Who waits for an answer still does when a program enters them: `standing` says so."""
    asks(api)
    answer = api.call("POST", "/patients", api.who("emil"))

    assert answer.get_json()["standing"] == "asked"


# ---- custody -------------------------------------------------------------------------------------


def test_a_change_of_custody_ends_the_guardians_approval(api: Api) -> None:
    """L9: the parent whom this clinic approved is so no more, at once; another may ask, and is answered."""
    handle = asks(api, guardian=GUARDIAN, standing=Standing.APPROVED, decided_at=api.office.clock.now(), by="bo")
    before = kept(api, handle)
    child = account(api, "emil", before.person, before.guardian)
    answer = api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"})

    assert answer.get_json() == {"handle": handle, "ended": True}
    assert approved_here(child, before)
    assert not approved_here(child, kept(api, handle))
    assert (kept(api, handle).standing, kept(api, handle).reason) == (Standing.DECLINED, "custody")


def test_the_clinics_own_patient_stays_so(api: Api) -> None:
    """L9: a child that the clinic has in its own list stays in it; only the guardian's approval ends."""
    handle = asks(api, guardian=GUARDIAN, standing=Standing.APPROVED, decided_at=api.office.clock.now(), by="bo")
    api.entered("emil")
    api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"})

    assert kept(api, handle).standing is Standing.APPROVED
    assert kept(api, handle).guardian is None


def test_custody_of_who_has_no_guardian_here_is_noted(api: Api) -> None:
    """L9: where nobody was approved, nothing ends; the event is there all the same, with its day."""
    handle = api.entered()
    answer = api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"})
    (noted,) = api.office.events("patient.custody")

    assert answer.get_json()["ended"] is False
    assert noted.detail == {"on": "2026-11-20", "ended": "no", "by": "client:journal", "role": "administrator"}


def test_another_clinics_guardian_stays(api: Api) -> None:
    """L9: each clinic's approval is its own, and so is its end."""
    handle = asks(api, guardian=GUARDIAN, standing=Standing.APPROVED, decided_at=api.office.clock.now(), by="bo")
    records, mine = api.office.house.given.records, kept(api, handle)
    records.enrolments.change(mine.person, "clinea", lambda _: replace(mine, clinic="clinea", handle=""))
    api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"})
    theirs = records.enrolments.find(mine.person, "clinea")

    assert approved_here(account(api, "emil", mine.person, mine.guardian), theirs)


# ---- news ----------------------------------------------------------------------------------------

HOOK = {"url": "https://system.example.org/news", "kinds": ["enrolled", "access_revoked"]}


def test_the_secret_is_shown_once(api: Api) -> None:
    """Standard Webhooks: the answer that sets the address holds the secret; reading it again does not."""
    made = api.call("PUT", "/webhook", HOOK).get_json()
    read = api.call("GET", "/webhook").get_json()
    again = api.call("PUT", "/webhook", HOOK).get_json()

    assert made == {**HOOK, "secret": made["secret"]}
    assert read == HOOK
    assert again["secret"] != made["secret"]


def test_each_client_has_its_own(api: Api) -> None:
    """API1:2023, BOLA: no client reads, changes or ends another's, of its own clinic neither."""
    api.call("PUT", "/webhook", HOOK)
    theirs = api.call("GET", "/webhook", by="other")
    api.call("DELETE", "/webhook", by="other")

    assert (theirs.status_code, theirs.get_json()["code"]) == (404, "not_found")
    assert api.call("GET", "/webhook").status_code == 200


def test_no_more_news_is_sent(api: Api) -> None:
    """RFC 9110, 9.3.5: gone is gone, and asked again it still is."""
    api.call("PUT", "/webhook", HOOK)
    gone, again = (api.call("DELETE", "/webhook") for _ in range(2))

    assert (gone.status_code, again.status_code, gone.data) == (204, 204, b"")
    assert api.call("GET", "/webhook").status_code == 404


@pytest.mark.parametrize(
    "url",
    ["http://system.example.org/x", "https://127.0.0.1/x", "https://[::1]/x", "https://10.0.0.1/", "https://a@b.example/",
     "https://169.254.169.254/latest", "javascript:alert(1)", "https://x.example/#a", "file:///etc/passwd",
     "https://localhost/x", "https://exa mple.org/", "https://\u0430.example/"],
)  # fmt: skip
def test_news_goes_to_no_inner_door(shared: Api, url: str) -> None:
    """CWE-918, SSRF: only https, and no address of our own network, whatever name or number it goes by."""
    answer = shared.call("PUT", "/webhook", {**HOOK, "url": url})

    assert answer.get_json()["errors"] == [{"pointer": "/url", "code": "not_an_address"}]


@pytest.mark.parametrize("kinds", [[], ["enrolled", "enrolled"], ["everything"], "enrolled", [None]])
def test_news_is_of_known_kinds(shared: Api, kinds: object) -> None:
    """A kind that is not known, or stands twice, is refused."""
    assert shared.call("PUT", "/webhook", {**HOOK, "kinds": kinds}).status_code == 422


def test_a_day_is_the_clinics_own(api: Api) -> None:
    """A death of today is noted from the first minute of the day where the clinic is, before it is that day in UTC."""
    api.office.clock.move(timedelta(hours=14, minutes=30))  # 00:30 of the 23rd in Stockholm
    handle = api.entered()

    assert api.call("POST", f"/patients/{handle}/death", {"on": "2026-11-23"}).status_code == 200
