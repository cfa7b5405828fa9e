"""The start page leads to everything there is to try."""

from __future__ import annotations

import re

import pytest

from tests.sandbox.running import Browser, Sandbox


def test_start(sandbox: Sandbox, browser: Browser) -> None:
    """Every portal, the phone and what may go wrong is on the first page, and no link of it is dead."""
    browser.open(sandbox.issuer)

    for name in ("Aleris Online", "Patientportalen", "Min Hälsa", "Neuroreg PER", "Videovisit"):
        assert name in browser.text
    assert "What to try" in browser.text
    assert "No eID of this country" not in browser.text
    links = set(re.findall(r'href="((?:/|http)[^"]*)"', browser.page.text))
    assert "/sandbox/phone/" in links
    for link in links:
        address = link if link.startswith("http") else sandbox.issuer + link
        assert Browser().open(address).page.status_code == 200, link


@pytest.mark.parametrize("person", ["bjorn", "samir"])
def test_phone(sandbox: Sandbox, browser: Browser, person: str) -> None:
    """The phone is below the issuer, holds both apps, and its links stay there."""
    browser.open(f"{sandbox.issuer}/sandbox/phone/")
    assert f'href="/sandbox/phone/of/{person}"' in browser.page.text

    browser.open(f"{sandbox.issuer}/sandbox/phone/of/{person}")

    assert "No login page waits for BankID now" in browser.text
    assert "No login page waits for Freja now" in browser.text
    assert 'action="/sandbox/phone/of/' in browser.page.text


@pytest.mark.parametrize("eid", ["bankid", "freja", "suomifi", "borgeradgang"])
def test_break_an_eid(sandbox: Sandbox, browser: Browser, eid: str) -> None:
    """An eID in an app, or one that speaks SAML, is broken and healed on the panel, as any other is."""
    titles = {"bankid": "BankID", "freja": "Freja eID Plus", "suomifi": "Suomi.fi", "borgeradgang": "via borgeradgang"}
    title = titles[eid]
    browser.open(f"{sandbox.issuer}/sandbox/break")
    assert title in browser.text
    origin = {"Origin": sandbox.issuer}
    sandbox.touched.append("break")

    browser.page = browser.http.post(f"{browser.page.url}/{eid}", data={"fault": "down"}, headers=origin, timeout=30)

    assert "Now: Down" in browser.text
