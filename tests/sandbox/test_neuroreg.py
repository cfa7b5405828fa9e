"""The register's portal: four doors under one button, a form, and a login that begins elsewhere (003, R29, R64)."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from tests.sandbox.running import Browser, Sandbox
from tests.sandbox.test_portals_swedish import log_in

ANSWERS = {"now": "0", "walk": "1", "worse": "2", "more": "Mer trött på kvällen"}


def at_neuroreg(sandbox: Sandbox, path: str = "") -> str:
    """Return an address of the portal."""
    return sandbox.portal("neuroreg", path)


def test_four_doors(sandbox: Sandbox, browser: Browser) -> None:
    """Under "Logga in" are the four doors of seed 003, the last of which is the clinic's own pages at the broker."""
    menu = re.search(r'<details class="menu".*?</details>', browser.open(at_neuroreg(sandbox)).page.text, re.DOTALL)
    assert menu is not None
    doors = re.findall(r'<a href="([^"]+)">([^<]+)</a>', menu[0])

    assert [label for _, label in doors] == [
        "Patientens egen registrering (PER)", "Mina vårdkontakter", "Statistik ur Neuroreg (VAP)",
        "Inloggade sidor för vårdpersonal",
    ]  # fmt: skip
    assert doors[3][0] == f"{sandbox.issuer}/staff/neuroreg"
    assert browser.open(at_neuroreg(sandbox, "vardgivare")).page.url.startswith(f"{sandbox.issuer}/staff/")


@pytest.mark.parametrize(
    ("door", "language", "called"),
    [
        ("per", "sv", "Patientens egen registrering (PER)"), ("vardkontakter", "sv", "Mina vårdkontakter"),
        ("per", "en", "My own registration (PER)"), ("vardkontakter", "en", "My care contacts"),
    ],
)  # fmt: skip
def test_the_login_knows_the_door(sandbox: Sandbox, browser: Browser, door: str, language: str, called: str) -> None:
    """The login page says which door was taken, and the login ends there (R64)."""
    browser.open(at_neuroreg(sandbox, f"in/{language}")).open(at_neuroreg(sandbox, f"login?door={door}"))
    assert called in browser.text

    log_in(sandbox, browser)
    assert browser.page.url == at_neuroreg(sandbox, door)


def test_the_form(sandbox: Sandbox, browser: Browser) -> None:
    """A patient answers: what is missing is asked for and nothing is lost; then there is a receipt, also later."""
    log_in(sandbox, browser.open(at_neuroreg(sandbox, "per")))
    browser.press('name="now"', **{**ANSWERS, "walk": ""})
    assert browser.page.status_code == 422
    assert "Svara på alla frågor" in browser.text
    assert browser.page.text.count(" checked") == 2
    assert "Mer trött på kvällen</textarea>" in browser.page.text

    browser.press('name="now"', **ANSWERS)
    assert "Dina svar skickades" in browser.text
    assert "Mer trött på kvällen" in browser.open(at_neuroreg(sandbox, "per")).text
    assert 'name="now"' in browser.open(at_neuroreg(sandbox, "per?again")).page.text


@pytest.mark.parametrize("changed", [{"now": "3"}, {"now": "-1"}, {"worse": "Ja"}, {"walk": "²"}])
def test_no_answer_of_ours(sandbox: Sandbox, browser: Browser, changed: dict[str, str]) -> None:
    """What is none of the choices is no answer."""
    log_in(sandbox, browser.open(at_neuroreg(sandbox, "per")))

    assert browser.press('name="now"', **{**ANSWERS, **changed}).page.status_code == 422


def test_a_form_without_a_login(sandbox: Sandbox, browser: Browser) -> None:
    """Answers of nobody lead to the login; where there is no form they are not found."""
    browser.open(at_neuroreg(sandbox))
    origin = {"Origin": at_neuroreg(sandbox).removesuffix("/neuroreg/")}
    posted = browser.http.post(at_neuroreg(sandbox, "per"), data=ANSWERS, headers=origin)
    nowhere = browser.http.post(at_neuroreg(sandbox, "statistik"), data=ANSWERS, headers=origin)

    assert posted.url.startswith(f"{sandbox.issuer}/t/")
    assert nowhere.status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
def test_begun_elsewhere(sandbox: Sandbox, browser: Browser, method: str) -> None:
    """A login that begins at the broker comes from there by its name, and ends at the first door (Core 4)."""
    said = {"iss": sandbox.issuer, "login_hint": "somebody"}
    address = at_neuroreg(sandbox, "initiate")
    if method == "get":
        browser.open(f"{address}?{urlencode(said)}")
    else:
        browser.page = browser.http.post(address, data=said, headers={"Origin": sandbox.portal("neuroreg")[:-10]})

    assert browser.page.url.startswith(f"{sandbox.issuer}/t/")
    assert "Patientens egen registrering (PER)" in browser.text


@pytest.mark.parametrize("iss", ["https://evil.test", "", "http://localhost"])
def test_begun_by_a_stranger(sandbox: Sandbox, browser: Browser, iss: str) -> None:
    """Another issuer's name begins nothing: the portal believes one broker (Core 4; mix-up)."""
    browser.open(f"{at_neuroreg(sandbox, 'initiate')}?{urlencode({'iss': iss})}")

    assert browser.page.status_code == 400
    assert browser.page.url.startswith(at_neuroreg(sandbox))


@pytest.mark.parametrize(
    ("target", "door"),
    [
        ("vardkontakter", "Mina vårdkontakter"), ("per", "Patientens egen registrering (PER)"),
        ("statistik", "Patientens egen registrering (PER)"), ("nowhere", "Patientens egen registrering (PER)"),
    ],
)  # fmt: skip
def test_begun_for_a_door(sandbox: Sandbox, browser: Browser, target: str, door: str) -> None:
    """`target_link_uri` is one of the portal's own doors, or is not followed (open redirect, Core 4)."""
    said = {"iss": sandbox.issuer, "target_link_uri": at_neuroreg(sandbox, target)}

    assert door in browser.open(f"{at_neuroreg(sandbox, 'initiate')}?{urlencode(said)}").text


def test_who_is_no_staffs_guest_is_not_finished(sandbox: Sandbox, browser: Browser) -> None:
    """The address at which a tablet ends by itself logs nobody else out (forced logout)."""
    log_in(sandbox, browser.open(at_neuroreg(sandbox, "per")))
    browser.open(at_neuroreg(sandbox, "finish"))

    assert "Björn Provsson" in browser.open(at_neuroreg(sandbox, "per")).text
    assert "Refresh" not in browser.page.headers


def test_staff_and_programs(sandbox: Sandbox) -> None:
    """Scripts can be staff: passwords, an app's codes of this moment; and programs, with scopes and secrets."""
    staff, programs = sandbox.call("GET", "staff").json(), sandbox.call("GET", "programs").json()

    assert {one["login"]: one["role"] for one in staff} == {
        "anna": "carer", "bo": "approver", "cecilia": "administrator"
    }  # fmt: skip
    assert all("neuroreg" in one["clinics"] and len(one["code"]) == 6 and one["app_secret"] for one in staff)
    assert {one["client_id"]: one["clinic"] for one in programs} == {"journal": "neuroreg", "laegesystem": "clinea"}


def test_staff_on_the_page(sandbox: Sandbox, browser: Browser) -> None:
    """The front page and the staff panel show what to type; the panel follows the codes without a script."""
    codes = [one["code"] for one in sandbox.call("GET", "staff").json()]

    assert all(code in browser.open(sandbox.issuer).text for code in codes) or codes != [
        one["code"] for one in sandbox.call("GET", "staff").json()
    ]
    panel = browser.open(f"{sandbox.issuer}/sandbox/staff")
    assert panel.page.headers["Refresh"] == "10"
    assert "journal:" in panel.text


def test_a_list_to_import(sandbox: Sandbox, browser: Browser) -> None:
    """The sandbox gives a list of invented patients, none of whom has a number that could be real."""
    rows = browser.open(f"{sandbox.issuer}/sandbox/patients.csv").page.text.splitlines()

    assert rows[0].split(",")[:3] == ["number", "given_name", "family_name"]
    assert len(rows) == 26
    assert all(int(row[:2]) > 60 for row in rows[1:])  # replacement numbers: 60 is added to the day
