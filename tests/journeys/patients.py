"""Patients of the sandbox: what they type, what they read on the page, and the messages they get."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, expect

from idbroker.words import Words
from tests.journeys.moves import Visitor
from tests.sandbox.running import Sandbox
from tests.sandbox.test_api_accounts import arrived

WORDS = Words()
ANY = "main :is(a, button):visible"
MAIN = "form#f button.btn:not([name])"  # the button that Enter presses too
DETAILS = "form#f details:has([value={do}]) > summary"


@dataclass(kw_only=True)
class Post:
    """One address's messages, read in the order they came."""

    sandbox: Sandbox
    address: str
    read: int = 0
    before: int = 0

    def __post_init__(self) -> None:
        self.read = self.before = len(self.all())

    @property
    def got(self) -> int:
        """Return how many have come since the journey began."""
        return len(self.all()) - self.before

    def all(self) -> list[dict[str, Any]]:
        """Return all there are now, newest first."""
        found: list[dict[str, Any]] = self.sandbox.call("GET", "inbox", params={"to": self.address}).json()
        return found

    def next(self) -> Mapping[str, Any]:
        """Return the next one, once it has come."""
        self.read += 1
        return arrived(self.sandbox, self.address, count=self.read)[-self.read]

    def code(self) -> str:
        """Return the next code, once it has come; what else comes before it is left unread."""
        while True:
            code = self.next().get("code")
            if code:
                return str(code)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One of the cast who has a password."""

    id: str
    name: str
    number: str = field(repr=False)
    password: str = field(repr=False)
    email: Post
    phone: Post | None


def patient(sandbox: Sandbox, person: str, password: str = "") -> Patient:
    """Return one of the cast; `password` is what they chose meanwhile."""
    found = next(one for one in sandbox.call("GET", "people").json() if one["id"] == person)
    contacts = found.get("contacts", {})
    return Patient(
        id=person,
        name=found["name"],
        number=found["number"],
        password=password or found.get("password", ""),
        email=Post(sandbox=sandbox, address=contacts.get("email", f"{person}@example.test")),
        phone=Post(sandbox=sandbox, address=contacts["sms"]) if "sms" in contacts else None,
    )


@dataclass(frozen=True, kw_only=True)
class Guest(Visitor):
    """Somebody at the broker's pages, in one language."""

    sandbox: Sandbox
    language: str = "da"
    country: str = "DK"

    # ---- reading ---------------------------------------------------------------------------------

    def words(self, key: str, **values: object) -> str:
        """Return a text as the page has it for this person."""
        return WORDS.say(key, self.language, self.country, **values)

    def sees(self, key: str, **values: object) -> None:
        """Wait for a text to be somewhere on the page."""
        expect(self.page.locator("main")).to_contain_text(self.words(key, **values))

    def is_headed(self, key: str, **values: object) -> None:
        """Wait for the page with this heading, in this person's language."""
        expect(self.page.locator("h1")).to_have_text(self.words(key, **values))
        expect(self.page.locator("html")).to_have_attribute("lang", self.language)

    def is_told(self, key: str, **values: object) -> None:
        """Wait for the summary of what is wrong to say this."""
        expect(self.page.locator(".sum")).to_contain_text(self.words(key, **values))

    def clock_times(self, key: str) -> list[str]:
        """Return the clock times that a text of the page names."""
        before, _, after = self.words(key, time="\0").partition("\0")
        pattern = re.escape(before) + r"(\d\d?[.:]\d\d)" + re.escape(after)
        return re.findall(pattern, " ".join(self.page.locator("main").inner_text().split()))

    def is_at(self, portal: str, door: str) -> None:
        """Wait for a page of a portal, as somebody signed in."""
        expect(self.page.locator("form[action$='/logout']").first).to_be_visible()
        expect(self.page).to_have_url(self.sandbox.portal(portal, door))

    def overlook(self, what: str) -> None:
        """Forget what the console said of an answer that is an error for a reason."""
        self.said[:] = [text for text in self.said if what not in text]

    # ---- doing -----------------------------------------------------------------------------------

    def choose(self, portal: str, door: str) -> None:
        """Open a portal's door, and choose the language at the choice of ways."""
        self.page.goto(self.sandbox.portal(portal, door))
        self.speak(self.language)

    def speak(self, language: str) -> None:
        """Switch the language unless it is this one."""
        button = self.page.locator(f"header button[name=lang][value={language}]")
        if button.count():
            button.click()
        expect(self.page.locator("html")).to_have_attribute("lang", language)

    def by_password(self) -> None:
        """Choose to sign in without an eID."""
        self.page.locator("button[name=provider][value=fallback]").click()
        self.is_headed("p.h1")

    def types(self, number: str, password: str) -> None:
        """Type number and password."""
        self.page.fill("#pid", number)
        self.page.fill("#password", password)
        self.go_on()

    def types_code(self, code: str) -> None:
        """Type a code."""
        self.page.fill("#code", code)
        self.go_on()

    def go_on(self) -> None:
        """Press the page's own button."""
        self.button.click()

    @property
    def button(self) -> Locator:
        """Return the page's own button."""
        return self.page.locator(MAIN).first

    def does(self, do: str, *, twice: bool = False) -> None:
        """Press another of the page's buttons, also one that is folded away."""
        button = self.page.locator(f"form#f button[name=do][value='{do}']").first
        button.wait_for(state="attached")  # the page before it may still be there
        if not button.is_visible():
            self.page.locator(DETAILS.format(do=f"'{do}'")).click()
        if twice:
            button.dblclick(no_wait_after=True)
        else:
            button.click()

    def by_app(self, person: str) -> None:
        """Choose BankID, and approve on somebody's phone."""
        self.page.locator("button[name=provider][value=bankid]").click()
        self.page.wait_for_url("**/wait")
        order = next(one for one in self.sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
        self.sandbox.call("POST", f"orders/{order['id']}", {"person": person, "outcome": "approve"})
        if not self.script:  # the button waits for the eID itself
            self.page.locator("#approved").click()

    def picks(self, name: str) -> None:
        """Say whom it is about, by a name on the page."""
        self.is_headed("a.h1")
        self.page.locator("label.card", has_text=name).click()
        self.does("chosen")

    def log_in(self, who: Patient, portal: str, door: str, post: Post | None = None) -> None:
        """Open a portal's door and sign in without an eID."""
        self.choose(portal, door)
        self.by_password()
        self.types(who.number, who.password)
        self.is_headed("o.h1")
        self.types_code((post or who.email).code())
