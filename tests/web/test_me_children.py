"""The children whose sign-in somebody has set up, on My page, through the door (experience 1.7; L1, L2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
import requests

from idbroker.accounts.account import Account, Contact, Entry, Standing
from idbroker.accounts.child import reclaimed
from idbroker.ages import comes_of_age
from idbroker.clinic import Clinic
from idbroker.errors import NotFound
from idbroker.guardianship.tie import Tie
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, parse
from idbroker.sandbox.sim_person import cpr, years_before
from idbroker.visit import Visit
from idbroker.words import calendar_date
from tests.conftest import NOW
from tests.door import Browser
from tests.fallback_door import PASSWORD, FallbackDoor
from tests.guardianship.acting_house import Folk
from tests.web.me_house import ME, another_day, asks_who, by_mitid, by_password, person_of, served_for_tests

NEW = "fire grønne cykler i sol"
MAIL, OTHER = "karens@example.org", "ny@example.org"
GIVEN = "Frode"
HIDDEN = Entry(protected=True, entered_at=NOW, by="staff")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackDoor]:
    """Open the whole broker once."""
    with served_for_tests(tmp_path_factory.mktemp("kids")) as opened:
        registers = opened.house.wards.registers
        object.__setattr__(registers, "always", (*registers.always, Folk()))
        yield opened


@pytest.fixture
def door(served: FallbackDoor) -> Iterator[FallbackDoor]:
    """Give it to one test."""
    with another_day(served) as given:
        folk(served).ties.clear()
        folk(served).down = False
        yield given
        while made:
            given.rooms.counter.records.accounts.remove(made.pop())


made: list[str] = []  # children of the test that runs
_serials = iter(range(300, 400))


def folk(door: FallbackDoor) -> Folk:
    """Return the register of the test's."""
    return next(one for one in door.house.wards.registers.always if isinstance(one, Folk))


class Kid:
    """A child whose sign-in Karen has set up, at Clinea."""

    def __init__(self, door: FallbackDoor, age: int = 9, days: int = 100, **changed: Any) -> None:
        """Make it; `changed` are of the account."""
        now = door.clock.now()
        self.door, self.born = door, years_before(now.date(), age, days)
        self.number: NationalNumber = parse(cpr(self.born, next(_serials)), "DK", now=now.date())
        self.person = door.rooms.counter.records.accounts.person(self.number, now)
        account = Account(
            person=self.person,
            number=self.number,
            given_name=GIVEN,
            family_name="Vergemaalsen",
            birthdate=self.born,
            language="en",
            password=door.rooms.counter.hasher.hash(PASSWORD),
            password_set_at=now,
            contacts=(Contact(channel=Channel.EMAIL, address=MAIL, verified_at=now),),
            confirmed_at=now,
            guardian=person_of(door, "karen"),
            created_at=now,
        )
        assert door.rooms.counter.records.accounts.add(replace(account, **changed))
        made.append(self.person)
        door.enrol(self.person, "clinea", guardian=account.guardian)

    @property
    def account(self) -> Account:
        """Return the account as it is now."""
        kept = self.door.rooms.counter.records.accounts.of(self.person)
        assert kept is not None
        return kept

    def opens(self, password: str) -> bool:
        """Tell whether a password is the child's."""
        return self.door.rooms.counter.hasher.verify(self.account.password, password)

    def kinds(self) -> dict[str, dict[str, str]]:
        """Return what the trail says of the child, by kind."""
        events = self.door.house.durable.events.of_person(self.person, 50)
        return {event.kind: dict(event.detail) for event in events}


def kids(page: requests.Response) -> list[str]:
    """Return the addresses of the children's pages that My page leads to."""
    return list(dict.fromkeys(re.findall(r'href="(/me/clinea/child/[0-9a-f]{24})"', page.text)))


def text(page: requests.Response) -> str:
    """Return what stands on a page, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def at_kid(door: FallbackDoor, browser: Browser) -> requests.Response:
    """Sign Karen in by MitID, and go to her child's page."""
    page = by_mitid(browser, "karen")
    (path,) = kids(page)
    return browser.get(path)


def test_ones_children_are_listed(door: FallbackDoor) -> None:
    """A guardian sees name, age and until which day; the child's own page has the addresses, half hidden."""
    kid, browser = Kid(door), door.browser("en")

    page = by_mitid(browser, "karen")

    (path,) = kids(page)
    assert f"{GIVEN} Vergemaalsen" in text(page)
    assert "9 years old" in text(page)
    own = browser.get(path)
    last = comes_of_age(kid.born, 15) - timedelta(days=1)
    assert f"up to and including {calendar_date(last, 'en')}" in text(own)
    assert MAIL not in own.text
    assert kid.number.value not in own.text + page.text


def test_a_new_password(door: FallbackDoor) -> None:
    """The guardian chooses another password: the child's sign-ons end, its addresses are told, the trail says who."""
    kid, browser = Kid(door), door.browser("en")
    page = browser.get(f"{at_kid(door, browser).url}/password")
    assert GIVEN in text(page)
    told = len(door.mail.taken)

    done = browser.press(page, password=NEW)

    assert "password has been changed" in text(done)
    assert kid.opens(NEW)
    assert kid.kinds()["password.changed"] == {"how": "guardian", "guardian": person_of(door, "karen")}
    door.deliver()
    assert {envelope for _, to, _ in door.mail.taken[told:] for envelope in to} == {MAIL}
    assert browser.get(ME).status_code == 200, "the guardian is still signed on"


def test_the_childs_sign_ons_end(door: FallbackDoor) -> None:
    """What was open with the old password is over; the new one signs in, with a code by e-mail (R14)."""
    kid, mine, theirs = Kid(door), door.browser("en"), door.browser("en")
    portal(door, theirs, kid, PASSWORD)
    assert not asks_who(theirs.get(ME))
    browser_page = mine.get(f"{at_kid(door, mine).url}/password")

    mine.press(browser_page, password=NEW)
    door.deliver()  # that the password was changed: or it may come after the code

    assert asks_who(theirs.get(ME))
    portal(door, theirs, kid, NEW)
    assert not asks_who(theirs.get(ME))


def portal(door: FallbackDoor, browser: Browser, kid: Kid, password: str) -> requests.Response:
    """Sign the child in for My page with number, password and a code by e-mail."""
    page = browser.press(browser.get(ME), provider="fallback")
    page = browser.press(page, number=kid.number.display, password=password)
    return browser.press(page, code=door.code(Channel.EMAIL))


def test_a_first_password(door: FallbackDoor) -> None:
    """Where none was chosen at the registration, the guardian chooses it here."""
    kid, browser = Kid(door, password=None, password_set_at=None), door.browser("en")
    browser.press(browser.get(f"{at_kid(door, browser).url}/password"), password=NEW)

    assert kid.opens(NEW)


def test_the_same_rules(door: FallbackDoor) -> None:
    """A password of the child's own name is refused, as everybody's; nothing is changed."""
    kid, browser = Kid(door), door.browser("en")

    page = browser.press(browser.get(f"{at_kid(door, browser).url}/password"), password="Frode Vergemaalsen")

    assert "aria-invalid" in page.text
    assert kid.opens(PASSWORD)


def test_where_codes_go(door: FallbackDoor) -> None:
    """Another address is taken on by its code; both are told, and the guardian's own account stays as it is."""
    kid, browser = Kid(door), door.browser("en")
    asked = browser.get(f"{at_kid(door, browser).url}/email")
    page = browser.press(asked, address=OTHER)
    assert GIVEN in text(asked)
    assert GIVEN in text(page), "a parent of two sees whose code it is"
    told = len(door.mail.taken)

    done = browser.press(page, code=door.code(Channel.EMAIL))

    assert "change has been saved" in text(done)
    assert "/child/" in done.url
    assert [one.address for one in kid.account.reachable] == [OTHER]
    assert kid.kinds()["account.contact_changed"] == {"channel": "email", "guardian": person_of(door, "karen")}
    door.deliver()
    assert {envelope for _, to, _ in door.mail.taken[told:] for envelope in to} >= {OTHER, MAIL}


def test_in_another_language(door: FallbackDoor) -> None:
    """The pages change their language, and stay."""
    Kid(door)
    browser = door.browser("en")
    page = at_kid(door, browser)

    switched = browser.press(page, lang="da")

    assert switched.url == page.url
    assert "Dit barns login" in text(switched)


# ---- who may not -----------------------------------------------------------------------------------


def test_a_password_shows_no_children(door: FallbackDoor) -> None:
    """The attack: who knows a parent's password takes the children's sign-ins too. It takes an eID."""
    kid = Kid(door)
    door.account("karen")
    browser, other = door.browser("en"), door.browser("en")
    (path,) = kids(by_mitid(other, "karen"))

    page = by_password(door, browser, "karen")

    assert kids(page) == []
    assert "Log in with an electronic ID" in text(browser.get(path))
    assert kid.opens(PASSWORD)


def test_an_old_proof_is_asked_for_again(door: FallbackDoor) -> None:
    """After a quarter of an hour the eID is asked for anew, and leads to where one was going (ASVS 7.5.1)."""
    Kid(door)
    browser = door.browser("en")
    path = at_kid(door, browser).url
    door.clock.move(timedelta(minutes=16))

    again = browser.get(f"{path}/password")

    assert asks_who(again)
    page = browser.press(browser.press(again, provider="mitid"), person="karen", outcome="approve")
    assert page.url == f"{path}/password"


def test_nobody_elses_child(door: FallbackDoor) -> None:
    """Another's page of the same child is not there, whoever types its address."""
    Kid(door)
    mine, theirs = door.browser("en"), door.browser("en")
    path = at_kid(door, mine).url
    by_mitid(theirs, "anna")

    assert theirs.get(f"{path}/password").url.endswith(ME)
    assert kids(theirs.get(ME)) == []


@pytest.mark.parametrize("so", [{"standing": Standing.ASKED}, {"standing": Standing.DECLINED}, {"entry": HIDDEN}])
def test_who_is_not_approved(door: FallbackDoor, so: dict[str, Any]) -> None:
    """The attack: a stranger has claimed a child, has lost custody, or it is hidden. The clinic's word counts."""
    kid, browser = Kid(door), door.browser("en")
    path = at_kid(door, browser).url
    door.enrol(kid.person, "clinea", guardian=person_of(door, "karen"), **so)

    assert browser.get(f"{path}/password").url.endswith(ME)
    assert kids(browser.get(ME)) == []


def test_custody_that_ended_with_the_page_open(door: FallbackDoor) -> None:
    """Custody ends while the form is filled in: what is sent changes nothing."""
    kid, browser = Kid(door), door.browser("en")
    page = browser.get(f"{at_kid(door, browser).url}/password")
    door.enrol(kid.person, "clinea", guardian=None)

    browser.press(page, password=NEW)

    assert kid.opens(PASSWORD)


@pytest.mark.parametrize("what", ["password", "email"])
@pytest.mark.parametrize("down", [True, False])
def test_a_register_that_says_no(door: FallbackDoor, what: str, down: bool) -> None:
    """The attack: a court has said no, and nobody has told the clinic. One sentence, whatever the cause; it is kept."""
    kid, browser = Kid(door), door.browser("en")
    page = browser.get(f"{at_kid(door, browser).url}/{what}")
    folk(door).ties[person_of(door, "karen")] = (Tie(number=kid.number, birthdate=kid.born, barred="care_order"),)
    folk(door).down = down

    said = browser.press(page, **({"password": NEW} if what == "password" else {"address": OTHER}))

    assert "You cannot do this for" in text(said), text(said)
    assert kid.opens(PASSWORD)
    assert kid.kinds()["acting.refused"]["reason"] == ("down" if down else "care_order")


def test_it_ends_at_midnight(door: FallbackDoor) -> None:
    """At 00:00 of the fifteenth birthday the guardian's page has no child any more (L1)."""
    kid, browser = Kid(door, age=14, days=364), door.browser("en")
    path = at_kid(door, browser).url
    midnight = date(kid.born.year + 15, kid.born.month, kid.born.day)
    now = door.clock.now()
    door.clock.move(timedelta(days=(midnight - now.date()).days) - timedelta(hours=now.hour, minutes=now.minute))

    assert asks_who(browser.get(path))
    assert kids(by_mitid(browser, "karen")) == []
    assert kid.account.guardian is not None, "the child has not come yet"


def test_a_guardian_is_no_patient(door: FallbackDoor) -> None:
    """A guardian who is no patient of the child's clinic is asked nothing: the page is there for the child."""
    kid, browser = Kid(door), door.browser("en")
    clinic = door.house.settings.clinics.by_id["clinea"]
    with closed(clinic):
        assert len(kids(by_mitid(browser, "karen"))) == 1
        assert "registers its patients itself" in text(by_mitid(door.browser("en"), "anna"))
    assert kid.account.guardian == person_of(door, "karen")


@contextmanager
def closed(clinic: Clinic) -> Iterator[None]:
    """Have a clinic take only whom its staff enter, for a while."""
    before = clinic.registration
    object.__setattr__(clinic, "registration", "off")
    yield
    object.__setattr__(clinic, "registration", before)


# ---- what a register ends --------------------------------------------------------------------------


def test_who_only_looks_is_barred_too(door: FallbackDoor) -> None:
    """The attack: after the court's word a parent still reads on the page where the child's codes go. It ends all."""
    kid, browser = Kid(door), door.browser("en")
    path = at_kid(door, browser).url
    folk(door).ties[person_of(door, "karen")] = (Tie(number=kid.number, birthdate=kid.born, barred="care_order"),)

    page = browser.get(path)

    assert "Vergemaalsen" not in page.text
    assert page.url.endswith(ME)
    enrolment = door.rooms.counter.records.enrolments.find(kid.person, "clinea")
    assert enrolment is not None
    assert enrolment.standing is Standing.DECLINED, "the clinic knew the child by this guardian alone"
    assert (enrolment.by, enrolment.reason) == ("register", "care_order")
    folk(door).ties.clear()
    assert kids(browser.get(ME)) == [], "a register that forgets gives nothing back"


def test_a_change_under_way_as_the_child_comes(door: FallbackDoor) -> None:
    """The attack: the guardian's address is taken on a moment after the child's own eID: its codes would go there."""
    kid, browser = Kid(door), door.browser("en")
    page = browser.press(browser.get(f"{at_kid(door, browser).url}/email"), address=OTHER)
    code, accounts = door.code(Channel.EMAIL), door.rooms.counter.records.accounts
    session = next(iter(door.rooms.own.sign_ons.of_person(person_of(door, "karen"))))
    found = door.house.rooms.children
    visit = visit_of(door)
    (karens,) = found.of(session, visit)
    theirs = found.as_child(session, karens)
    accounts.change(kid.person, reclaimed)

    with pytest.raises(NotFound):
        door.rooms.own.confirm_contact(theirs, Channel.EMAIL, code, visit, only_of=session.person)

    assert kid.account.contacts == ()
    assert browser.press(page, code=code).url.endswith(ME)
    assert kid.account.contacts == ()


def visit_of(door: FallbackDoor) -> Visit:
    """Return a visit to My page."""
    return Visit(
        transaction="t" * 22,
        clinic=door.house.settings.clinics.by_id["clinea"],
        client=next(one for one in door.house.clients.all() if one.clinic == "clinea"),
        language="en",
        now=door.clock.now(),
        host="broker.test",
        ip="192.0.2.1",
    )
