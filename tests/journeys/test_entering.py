"""A new patient of the register, a mobile number that differs, and one human under two numbers (R29, L13, L16)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.colleagues import Colleague, handle, standing
from tests.journeys.conftest import SPOKEN, Enter
from tests.journeys.patients import Post, patient

pytestmark = pytest.mark.browser


def by_bankid(guest: Colleague, person: str) -> None:
    """Log in at the register with BankID."""
    guest.page.goto(guest.sandbox.portal("neuroreg", "login?door=per"))
    guest.page.locator("button[name=provider][value=bankid]").click()
    guest.page.locator(".qr, img, svg").first.wait_for(state="attached")
    order = next(one for one in guest.sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
    done = guest.sandbox.call("POST", f"orders/{order['id']}", {"person": person, "outcome": "approve"})
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_entered_and_in(enter: Enter, language: str, script: bool) -> None:
    """Who is in no list is registered by care staff, and from then on gets in with BankID, automatically (R29)."""
    anna = enter(language, script=script, login="anna")
    who = patient(anna.sandbox, "samir")
    assert standing(anna.sandbox, "neuroreg", "samir") is None
    anna.comes_in("/staff/neuroreg")
    anna.goes("/staff/neuroreg")
    anna.page.fill("#number", who.number)
    anna.presses()
    anna.page.locator("main a[href*='/patients/new']").first.click()
    expect(anna.page.locator("#number")).to_have_value(who.number)
    anna.presses()
    anna.page.fill("#given", "Samir")
    anna.page.fill("#family", "Samordningsson")
    anna.chooses(checked="passport")
    anna.page.fill("#phone", "+46701740632")
    anna.presses()
    expect(anna.page.locator("main dl.rows")).to_contain_text("+46 70 174 06 32")  # nothing is kept before this page
    assert standing(anna.sandbox, "neuroreg", "samir") is None
    anna.presses()
    expect(anna.headline).to_have_text("Samir Samordningsson")
    assert standing(anna.sandbox, "neuroreg", "samir") == "approved"

    guest = enter("sv")
    by_bankid(guest, "samir")
    guest.arrive("#answers")
    expect(guest.page.locator("main")).to_contain_text("Samir Samordningsson")


def test_not_entered(enter: Enter) -> None:
    """Who is not in the list is told to ask the care unit, at the broker and at the portal (R29)."""
    guest = enter("sv")
    by_bankid(guest, "samir")
    guest.arrive("main a[href^='tel:']")
    guest.is_headed("r.no.h1")
    guest.page.locator("main a.btn").first.click()

    expect(guest.page.locator("#refused")).to_contain_text("fråga din vårdenhet")


def test_nobody_meant_that(enter: Enter) -> None:
    """The addresses of a patient who is at another clinic are not there, whatever is in the address (isolation)."""
    anna = enter("sv", login="anna")
    anna.comes_in("/staff/neuroreg")
    anna.goes(f"/staff/neuroreg/patients/{handle(anna.sandbox, 'clinea', 'oda')}")

    anna.is_headed("s.e.none.h1")
    anna.overlook("404")


def test_which_number_is_right(enter: Enter) -> None:
    """The clinic has another mobile number than the patient: asked once, proved by a code, settled for both (L16)."""
    guest = enter("sv")
    who = patient(guest.sandbox, "sigrid")
    clinics = Post(sandbox=guest.sandbox, address="+46701740622")
    assert who.phone is not None
    guest.page.goto(guest.sandbox.portal("neuroreg", "login?door=per"))
    guest.by_password()
    guest.types(who.number, who.password)
    guest.is_headed("o.h1")
    guest.types_code(who.phone.code())
    guest.is_headed("k.h1")
    guest.page.locator("#choice-clinic").check()
    guest.go_on()
    guest.is_headed("o.h1")
    guest.types_code(clinics.code())
    guest.is_at("neuroreg", "per")

    anna = enter("sv", login="anna")
    page = f"/staff/neuroreg/patients/{handle(anna.sandbox, 'neuroreg', 'sigrid')}"
    anna.comes_in(page)
    anna.goes(page)
    expect(anna.page.locator("main")).to_contain_text(anna.words("s.conf"))


@pytest.mark.parametrize(("language", "script"), SPOKEN)
def test_one_human_under_two_numbers(enter: Enter, language: str, script: bool) -> None:
    """An administrator finds the other by number, sees both, and joins them; the trail has it."""
    cecilia = enter(language, script=script, country="DK", login="cecilia")
    page = f"/staff/clinea/patients/{handle(cecilia.sandbox, 'clinea', 'asta')}"
    cecilia.comes_in(page)
    cecilia.goes(page)
    cecilia.opens("merge")
    cecilia.page.fill("#number", patient(cecilia.sandbox, "asta-ny").number)
    cecilia.presses("find")
    expect(cecilia.page.locator("main li", has_text="Asta Nummersen")).to_have_count(2)
    cecilia.presses("join")

    cecilia.reads()
    cecilia.goes(page)
    expect(cecilia.headline).to_have_text("Asta Nummersen")


def test_who_may_join(enter: Enter) -> None:
    """A carer is offered no joining, and is refused by address."""
    anna = enter("sv", login="anna")
    page = f"/staff/clinea/patients/{handle(anna.sandbox, 'clinea', 'asta')}"
    anna.comes_in(page)
    assert anna.page.locator("main a[href$='/merge']").count() == 0

    anna.goes(f"{page}/merge")
    anna.is_headed("s.e.role.h1")
    anna.overlook("403")
