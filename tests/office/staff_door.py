"""The way in for staff on the patient's own screen, as the tests go through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from tests.office.helping_house import Clinic, open_clinic
from tests.office_door import StaffBrowser, nonces_of

PASSWORD, SECRET = "tre blå cyklar i regn", "A" * 32
DOOR: dict[str, Any] = {
    "clinics": {"neuroreg": {"providers": ["assisted", "fallback"], "staff_email": "info@example.org"}},
    "more": {"providers": {"fallback": {}, "assisted": {}}},
}


class Screen:
    """A patient's own browser, at the pages that staff fill in there."""

    def __init__(self, clinic: Clinic, browser: StaffBrowser | None = None) -> None:
        self.clinic, self.browser = clinic, browser or clinic.tablet(ip="198.51.100.20")

    def opened(self, client_id: str = "portal") -> TestResponse:
        """Return the choice."""
        return self.clinic.go(self.browser, self.clinic.authorize(self.browser, client_id))

    def press(self, page: TestResponse, **fields: str) -> TestResponse:
        """Post the form of a page; return the page it leads to, or the answer for the service."""
        data = {"_n": nonces_of(page.text)[0], **fields}
        return self.clinic.go(self.browser, self.browser.post(page.request.path, data=data))

    def at_staff(self) -> TestResponse:
        """Return the page that asks for user name and password."""
        return self.press(self.opened(), provider="assisted")

    def at_code(self, login: str = "dora", password: str = PASSWORD) -> TestResponse:
        """Return the page after it."""
        return self.press(self.at_staff(), login=login, password=password)

    def at_who(self) -> TestResponse:
        """Return the page that asks for the patient's number."""
        return self.press(self.at_code(), code=self.code)

    def at_give(self, person: str = "bjorn") -> TestResponse:
        """Return the page that asks whether it is them."""
        number = self.clinic.number(person)
        typed = f"{number.value[:8]}-{number.value[8:]}"
        return self.press(self.at_who(), number=typed)

    @property
    def code(self) -> str:
        """Return what Dora's app shows now."""
        return pyotp.TOTP(SECRET).at(self.clinic.clock.now())


def at(page: TestResponse) -> str:
    """Return which page of a sign-in it is."""
    return urlsplit(page.request.path).path.rpartition("/")[2]


@contextmanager
def open_screen(folder: Path, clock: StoppedClock, **more: Any) -> Iterator[Screen]:
    """Open a clinic that has this way, with Dora, who works there, and a patient."""
    with open_clinic(folder, clock, **{**DOOR, **more}) as clinic:
        hashed = clinic.house.rooms.counter.hasher.hash(PASSWORD)
        clinic.hire("dora", password=hashed, app_secret=SECRET)
        clinic.patient()
        yield Screen(clinic)


def changed(clinic: Clinic, login: str = "dora", **what: Any) -> None:
    """Change a colleague."""
    clinic.house.offices.members.change(clinic.member(login).id, lambda member: replace(member, **what))
