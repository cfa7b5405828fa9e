"""Staff of the sandbox's clinics at the broker's office: how they come in, and what they do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from playwright.sync_api import Locator, expect

from tests.journeys.patients import Guest
from tests.sandbox.running import Sandbox


def handle(sandbox: Sandbox, clinic: str, person: str) -> str:
    """Return what a clinic knows somebody by."""
    known = sandbox.call("GET", "enrolments").json()
    return str(next(one["handle"] for one in known if (one["clinic"], one["person"]) == (clinic, person)))


def standing(sandbox: Sandbox, clinic: str, person: str) -> str | None:
    """Return how somebody stands at a clinic; None for who is not there."""
    known = sandbox.call("GET", "enrolments").json()
    return next((one["standing"] for one in known if (one["clinic"], one["person"]) == (clinic, person)), None)


@dataclass(frozen=True, kw_only=True)
class Colleague(Guest):
    """Somebody of the staff, in one browser."""

    login: str = "anna"

    @property
    def known(self) -> Mapping[str, Any]:
        """Return what the sandbox has of them; the code is of this moment."""
        told: list[dict[str, Any]] = self.sandbox.call("GET", "staff").json()
        return next(one for one in told if one["login"] == self.login)

    def at(self, path: str) -> str:
        """Return the address of a page of the broker's."""
        return f"{self.sandbox.issuer}{path}"

    def goes(self, path: str) -> None:
        """Open a page of the office, and read it in this colleague's language."""
        self.page.goto(self.at(path))
        self.reads()

    def reads(self) -> None:
        """Have the page that is open in this colleague's language, as its language links do."""
        parts = urlsplit(self.page.url)
        query = {**dict(parse_qsl(parts.query)), "lang": self.language}
        self.page.goto(parts._replace(query=urlencode(query)).geturl())

    def comes_in(self, path: str = "/staff") -> None:
        """Sign in with user name, password and the authenticator app, on the way to a page."""
        self.goes(path)
        self.is_headed("s.in.h1")
        self.page.fill("#login", self.login)
        self.page.fill("#password", self.known["password"])
        self.go_on()
        self.is_headed("s.in.second")
        self.page.fill("#code", self.known["code"])
        self.go_on()
        expect(self.page).not_to_have_url(self.at("/staff/sign-in/code"))

    def looks_up(self, number: str) -> None:
        """Find a patient by number, and open their page."""
        self.page.fill("#number", number)
        self.page.locator("form:has(#number) button.btn").first.click()
        self.page.locator("main a[href*='/patients/']").first.click()

    def opens(self, what: str) -> None:
        """Follow one of the links of a patient's page."""
        self.page.locator(f"main a[href$='/{what}']").first.click()

    def chooses(self, **fields: str) -> None:
        """Choose in each group of a form."""
        for name, value in fields.items():
            self.page.locator(f"input[name={name}][value='{value}']").check()

    def presses(self, value: str = "") -> None:
        """Press the page's own button, or the one of a value."""
        chosen = f"main button[value='{value}']" if value else "main form button.btn"
        self.page.locator(chosen).first.click()

    @property
    def headline(self) -> Locator:
        """Return the page's headline."""
        return self.page.locator("h1")

    def goes_out(self) -> None:
        """Sign out."""
        self.page.locator("form[action='/staff/sign-out'] button").first.click()
        self.is_headed("s.in.h1")
