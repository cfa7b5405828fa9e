"""Out here and at the organisation's provider, in a real browser, which holds every page to its policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid, subject_of
from idbroker.sandbox.op_logout import Sessions
from idbroker.sandbox.people import cast
from tests.conftest import NOW
from tests.office.test_signing_in_seen import opened
from tests.office_door import Office, open_office
from tests.sandbox.loopback import serve

pytestmark = pytest.mark.browser


@dataclass(frozen=True, kw_only=True)
class World:
    """The office, and who has a session at the organisation's provider."""

    office: Office
    sessions: Sessions


@contextmanager
def world(folder: Path, end_session: str) -> Iterator[World]:
    """Serve the provider and an office that knows it, each at an address of its own."""
    clock, people, clients = StoppedClock(NOW), cast(NOW.date()), dict[str, SimClient]()
    made, offices = list[Flask](), list[Office]()
    with contextlib.ExitStack() as stack:

        def simulator(address: str) -> Flask:
            made.append(make_mitid(people, clock, Faults({"mitid": LIES}), address, clients))
            return made[0]

        there = stack.enter_context(serve(simulator))

        def broker(address: str) -> Flask:
            issuer = f"http://localhost:{urlsplit(address).port}"
            clients["us"] = SimClient(
                id="us",
                redirect_uris=(f"{issuer}/staff/callback",),
                secret="s3cret",
                post_logout_redirect_uris=(f"{issuer}/staff/sign-out/done",),
            )
            (folder / "secret").write_text("s3cret")
            staff = {"issuer": there, "client_id": "us", "client_secret_file": str(folder / "secret")}
            more = {
                "server": {"issuer": issuer, "workers": 1, "test_people": True},
                "staff": {**staff, "title": "Clinic SSO", "end_session": end_session},
            }
            offices.append(stack.enter_context(open_office(folder, clock, more=more, sandbox=True)))
            return offices[0].app

        stack.enter_context(serve(broker))
        office = offices[0]
        subject = f"{there}\n{subject_of(office.people['anna'])}"
        office.house.offices.members.change(office.member().id, lambda one: replace(one, subject=subject))
        yield World(office=office, sessions=made[0].extensions["sessions"])


def come_in(page: Page, office: Office) -> None:
    """Sign in by the organisation's provider."""
    page.goto(f"{office.site.issuer}/staff/sign-in")
    page.get_by_role("link", name="Log in with Clinic SSO").click()
    page.locator("select[name=person], input[name=person][value=anna]").first.wait_for()
    field = page.locator("[name=person]").first
    if field.evaluate("one => one.tagName") == "SELECT":
        field.select_option("anna")
    else:
        page.locator("input[name=person][value=anna]").check()
    page.locator("button").first.click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


@pytest.mark.parametrize(("end_session", "script"), [("post", True), ("post", False), ("get", True), ("get", False)])
def test_there_and_back(chromium: Browser, tmp_path: Path, end_session: str, script: bool) -> None:
    """One press, and with script nothing more: no policy of ours stops the way there, and the way back says so."""
    with world(tmp_path, end_session) as there, opened(chromium, java_script_enabled=script) as page:
        come_in(page, there.office)
        assert there.sessions.people() == ("anna",)
        page.get_by_role("button", name="Log out").click()
        if end_session == "post" and not script:
            page.get_by_role("button", name="Continue").click()

        expect(page.get_by_role("status").first).to_contain_text("You are logged out, from Clinic SSO too.")
        assert there.sessions.people() == ()
