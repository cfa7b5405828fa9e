"""Help at a sign-in, from the colleague's screen to the tablet and the service behind it: what the tests go through."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from werkzeug.test import TestResponse

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.session import Session, key_of
from tests.door import CALLBACK, CHALLENGE, SECRET, VERIFIER
from tests.office_door import ISSUER, Office, StaffBrowser, open_office

NAME, YEAR = "Anna Åberg", "1987"
SERVICE = {
    "clinic": "neuroreg",
    "assisted": "role",
    "initiate_login_uri": "https://portal.test/start",
    "backchannel_logout_uri": "https://portal.test/backchannel",
}
ASKED = {"service": "portal", "checked": "passport", "reason": "forgotten"}


@dataclass(frozen=True, kw_only=True)
class Clinic(Office):
    """The office, with a patient who may be helped."""

    def patient(self, clinic: str = "neuroreg", person: str = "bjorn", **changed: Any) -> Enrolment:
        """Return somebody in a clinic's list, who may use it."""
        now, number = self.clock.now(), self.number(person)
        records = self.house.rooms.counter.records
        given, _, family = NAME.partition(" ")
        made = Enrolment(
            person=records.accounts.person(number, now),
            clinic=clinic,
            standing=Standing.APPROVED,
            asked_at=now,
            told={Channel.EMAIL: "patient@example.org"},
            entry=Entry(
                number=number, given_name=given, family_name=family, birthdate=number.birthdate, entered_at=now
            ),
        )
        kept = records.enrolments.change(made.person, clinic, lambda _: replace(made, **changed))
        assert kept is not None
        return kept

    def help_path(self, patient: Enrolment) -> str:
        """Return the page that begins."""
        return f"/staff/{patient.clinic}/patients/{patient.handle}/help"

    def code(self, staff: StaffBrowser, patient: Enrolment, **fields: str) -> tuple[str, str]:
        """Return a code for the tablet as the colleague reads it, and the page it is on."""
        answer = self.post(staff, self.help_path(patient), **{**ASKED, **fields})
        page = staff.get(answer.headers["Location"])
        found = re.search(r'class="pairing"[^>]*>(\d{3})&#8239;(\d{3})<', page.text)
        assert found, page.text
        return found[1] + found[2], urlsplit(answer.headers["Location"]).path

    def tablet(self, ip: str = "192.0.2.10") -> StaffBrowser:
        """Return the clinic's tablet, or another."""
        browser = self.browser()
        browser.environ_base |= {"REMOTE_ADDR": ip}
        return browser

    def typed(self, tablet: StaffBrowser, code: str) -> TestResponse:
        """Type a code; return the page it leads to."""
        return self.go(tablet, self.post(tablet, "/tablet", code=code))

    def begun(self, tablet: StaffBrowser | None = None, **fields: str) -> tuple[StaffBrowser, str]:
        """Return a tablet where a patient is signed in, and the colleague's page about it."""
        tablet = tablet or self.tablet()
        code, page = self.code(self.client(), self.patient(), **fields)
        self.typed(tablet, code)
        answer = self.post(tablet, "/tablet/give", do="yes")
        assert urlsplit(answer.headers["Location"]).hostname == "portal.test", answer.headers
        return tablet, page

    def authorize(self, tablet: StaffBrowser, client_id: str = "portal", **asked: str) -> TestResponse:
        """Ask for a sign-in, as the service does when it is told to begin."""
        wanted = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid profile offline_access",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **asked,
        }
        return tablet.get(f"/authorize?{urlencode(wanted)}")

    def redeemed(self, tablet: StaffBrowser, client_id: str = "portal", **asked: str) -> Mapping[str, Any]:
        """Return the tokens that the service gets."""
        answer = self.authorize(tablet, client_id, **asked)
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        told = self.browser().post(
            "/token",
            data={
                "grant_type": "authorization_code",
                "code": query["code"][0],
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
            },
            headers={"Authorization": "Basic " + base64.b64encode(f"{client_id}:{SECRET}".encode()).decode()},
        )
        assert told.status_code == 200, told.text
        return dict(told.json or {})

    def cookies(self, tablet: StaffBrowser) -> set[str]:
        """Return the names of the cookies that a browser has."""
        return {cookie.key for cookie in (tablet._cookies or {}).values()}

    def session(self, tablet: StaffBrowser) -> Session | None:
        """Return the sign-on of a browser."""
        cookie = tablet.get_cookie("__Host-s", domain=urlsplit(ISSUER).netloc)
        kept = self.house.sessions.get(key_of(cookie.value)) if cookie else None
        return kept.value if kept else None

    def state(self, page: str, name: str = "anna") -> str:
        """Return how the colleague's screen says that it is."""
        found = re.search(r'role="status">(.*?)</p>', self.client(name).get(f"{page}/state").text)
        assert found
        return re.sub(r"<[^>]+>", "", found[1])

    def told(self) -> list[str]:
        """Return what the trail says of help, in order."""
        return [event.detail["what"] for event in self.events("patient.assisted")]


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, its signature looked at elsewhere."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


@contextmanager
def open_clinic(folder: Path, clock: StoppedClock, **more: Any) -> Iterator[Clinic]:
    """Open it, with a service that takes sign-ins by staff, one that does not, and another clinic's."""
    clients = {
        "closed": {"clinic": "neuroreg", "assisted": "never"},
        "strict": {"clinic": "neuroreg", "assisted": "never", "minimum": "substantial"},
        "second": {"clinic": "neuroreg"},
        "theirs": {"clinic": "clinea"},
    }
    with open_office(folder, clock, **{"client": SERVICE, "clients": clients, **more}) as office:
        # Nothing goes but when a test says so: the couriers of the house stay at home.
        vars(office.house.backchannel)["start"] = lambda: None
        vars(office.house.rooms.counter.messages)["start"] = lambda: None
        yield Clinic(**{name: getattr(office, name) for name in Office.__dataclass_fields__})
