"""What a person changes of themselves, below the pages: two tabs at once, crashes, and who is told when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyotp
import pytest

from idbroker.accounts.account import Account, Agreed, Consent, Enrolment, Link, Purpose
from idbroker.accounts.own import FRESH, OwnPage
from idbroker.accounts.ways import keeps_a_way
from idbroker.errors import NotFound, StoreError
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Right, Sent
from idbroker.session import Session
from idbroker.visit import Visit
from tests.fallback_door import EMAIL, MOBILE, FallbackDoor
from tests.web.me_house import address_of, by_mitid, by_password, kept, kinds, person_of, served_for_tests

OTHER = "en.anden@example.org"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker."""
    with served_for_tests(tmp_path) as opened:
        yield opened


@pytest.fixture
def own(door: FallbackDoor) -> OwnPage:
    """Give the engine."""
    return door.rooms.own


def here(door: FallbackDoor, person: str = "anna") -> tuple[Session, Visit]:
    """Sign somebody in; return the sign-on, and a visit on it."""
    browser = door.browser()
    if kept(door, person) is None:
        by_mitid(browser, person)
    else:
        by_password(door, browser, person)
    session = door.house.signout.of_person(person_of(door, person))[0]
    return session, visit(door, session)


def visit(door: FallbackDoor, session: Session) -> Visit:
    """Return a browser's visit to My page, now."""
    client = door.house.clients.find("me.clinea")
    assert client is not None
    return Visit(
        transaction=session.key[:22],
        clinic=door.house.settings.clinics.by_id["clinea"],
        client=client,
        language="da",
        now=door.clock.now(),
        host="127.0.0.1",
    )


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Do all of it at the same time; return what came of each."""
    with ThreadPoolExecutor(len(actions)) as pool:
        return [one.result() for one in [pool.submit(action) for action in actions]]


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_link_in_the_old_mailbox_ends_with_it(door: FallbackDoor, own: OwnPage, how: str) -> None:
    """A thief in the old mailbox asks for a link; once the address is changed or removed it chooses no password."""
    anna = door.account("anna")
    session, now = here(door)
    link = Link(
        digest="d",
        purpose=Purpose.RESET,
        person=anna.person,
        clinic="clinea",
        made_at=now.now,
        ends_at=now.now + timedelta(hours=1),
    )
    own.records.links.add(link)

    if how == "removed":
        assert own.remove_contact(session, Channel.EMAIL, now)
    else:
        assert isinstance(own.begin_contact(session, Channel.EMAIL, OTHER, now), Sent)
        assert isinstance(own.confirm_contact(session, Channel.EMAIL, door.code(), now), Right)

    assert own.records.links.find("d", now.now) is None


def test_a_proof_from_the_future_is_not_fresh(door: FallbackDoor, own: OwnPage) -> None:
    """A clock that was set back keeps no proof fresh: a minute is forgiven, no more."""
    door.account("anna")
    session, now = here(door)

    assert own.is_fresh(session, now.now - timedelta(seconds=60))
    assert not own.is_fresh(session, now.now - timedelta(seconds=61))


def test_two_tabs_do_not_forget_both_addresses(door: FallbackDoor, own: OwnPage) -> None:
    """Each of two tabs forgets another address at once: one way for codes is left, always."""
    door.account("anna")
    session, now = here(door)

    done = at_once(
        lambda: own.remove_contact(session, Channel.EMAIL, now), lambda: own.remove_contact(session, Channel.SMS, now)
    )

    assert sorted(map(bool, done)) == [False, True]
    assert len(kept(door).reachable) == 1


def test_one_code_pressed_many_times_takes_an_address_on_once(door: FallbackDoor, own: OwnPage) -> None:
    """Of many presses at once one takes the address on, and it is told once; afterwards none waits for a code."""
    door.account("anna")
    session, now = here(door)
    assert isinstance(own.begin_contact(session, Channel.EMAIL, OTHER, now), Sent)
    code = door.code()

    def press() -> object:
        try:
            return own.confirm_contact(session, Channel.EMAIL, code, now)
        except NotFound:  # the press before has done it all
            return None

    done = at_once(*[press] * 8)

    assert any(isinstance(one, Right) for one in done)
    assert address_of(door) == OTHER
    assert kinds(door).count("account.contact_changed") == 1
    with pytest.raises(NotFound):
        own.confirm_contact(session, Channel.EMAIL, code, now)


def test_a_code_for_one_sign_on_is_none_for_another(door: FallbackDoor, own: OwnPage) -> None:
    """What waits on one sign-on does not wait on another of the same person (ASVS 6.6.2)."""
    door.account("anna")
    session, now = here(door)
    own.begin_contact(session, Channel.EMAIL, OTHER, now)
    code = door.code()
    door.clock.move(timedelta(minutes=1))
    other, later = here(door)
    own.begin_contact(other, Channel.EMAIL, OTHER, later)

    assert not isinstance(own.confirm_contact(other, Channel.EMAIL, code, later), Right)
    assert address_of(door) == EMAIL


def test_a_change_is_never_kept_quiet(door: FallbackDoor, own: OwnPage) -> None:
    """When nobody can be told, nothing is changed (ASVS 6.3.7)."""
    door.account("anna")
    session, now = here(door)

    class Mute:
        """A letter writer whose store is away."""

        def contact_changed(self, before: Account, after: Account, visit: Visit) -> None:
            """Break."""
            raise StoreError("away")

        def app_changed(self, account: Account, visit: Visit) -> None:
            """Break."""
            raise StoreError("away")

        def handed_over(self, account: Account, approved: Enrolment, at: datetime) -> None:
            """Break."""
            raise StoreError("away")

    broken = replace(own, told=Mute())
    changes: tuple[Callable[[], object], ...] = (
        lambda: broken.remove_contact(session, Channel.EMAIL, now),
        lambda: broken.confirm_app(session, code_of(own.begin_app(session, "host").secret, now), now),
    )
    for change in changes:
        with pytest.raises(StoreError):
            change()

    assert address_of(door) == EMAIL
    assert kept(door).app_secret is None


def code_of(secret: str, now: Visit) -> str:
    """Return what the app shows."""
    return pyotp.TOTP(secret).at(now.now)


def test_an_apps_first_code_signs_nobody_in(door: FallbackDoor, own: OwnPage) -> None:
    """The code that added the app is used up by that (RFC 6238, 5.2); two tabs at once show one secret."""
    door.account("anna")
    session, now = here(door)
    secrets = at_once(*[lambda: own.begin_app(session, "host").secret] * 4)
    assert len(set(secrets)) == 1
    code = code_of(str(secrets[0]), now)

    assert own.confirm_app(session, code, now) is True
    assert own.confirm_app(session, code, now) is None

    assert kept(door).app_step == int(now.now.timestamp()) // 30


def test_a_withdrawal_that_broke_off_can_be_done_again(door: FallbackDoor, own: OwnPage) -> None:
    """What a service was given ends before the consent does: who breaks in between has still got the button."""
    door.account("anna")
    session, now = here(door)
    consent = Consent(
        id="c1", person=session.person, kind=Agreed.RELEASE, about="portal", items=("name",), given_at=now.now
    )
    own.records.consents.give(consent)
    ended: list[str] = []

    class Breaks:
        """Sign-ons whose store goes away once."""

        def __getattr__(self, name: str) -> object:
            return getattr(own.sign_ons, name)

        def end_client(self, person: str, client_id: str) -> None:
            """Break the first time."""
            ended.append(client_id)
            if len(ended) == 1:
                raise StoreError("away")
            own.sign_ons.end_client(person, client_id)

    page = replace(own, sign_ons=Breaks())  # type: ignore[arg-type]  # the rest is the real one's
    with pytest.raises(StoreError):
        page.withdraw(session, "c1", now.now)
    assert own.look(session).consents == (consent,)

    assert page.withdraw(session, "c1", now.now)
    assert not page.withdraw(session, "c1", now.now)
    assert own.look(session).consents == ()
    assert ended == ["portal"] * 3


def test_a_proof_is_fresh_for_a_quarter_of_an_hour(door: FallbackDoor, own: OwnPage) -> None:
    """To the second, a proof lets one change things for 15 minutes and not longer (ASVS 7.5.1)."""
    door.account("anna")
    session, _ = here(door)

    assert own.is_fresh(session, session.identity.proved_at + FRESH)
    assert not own.is_fresh(session, session.identity.proved_at + FRESH + timedelta(seconds=1))


def test_without_an_account_there_is_nothing_to_change(door: FallbackDoor, own: OwnPage) -> None:
    """Who comes with an eID only begins nothing, whatever they post."""
    session, now = here(door)

    assert not own.has_account(session)
    for change in (
        lambda: own.begin_contact(session, Channel.EMAIL, OTHER, now),
        lambda: own.remove_contact(session, Channel.EMAIL, now),
        lambda: own.begin_app(session, "host"),
        lambda: own.remove_app(session, now),
    ):
        with pytest.raises(NotFound):
            change()


def test_a_way_that_the_clinic_takes_must_be_left(door: FallbackDoor) -> None:
    """At a clinic that sends codes by text message only, an e-mail address is no way that is left."""
    account: Account = door.account("anna")
    clinic = replace(door.house.settings.clinics.by_id["clinea"], codes=("sms",))

    assert not keeps_a_way(account, account.without_contact(Channel.SMS), clinic)
    assert keeps_a_way(account, account.without_contact(Channel.EMAIL), clinic)
    assert account.contact(Channel.SMS) is not None
    assert account.contact(Channel.SMS).address == MOBILE  # type: ignore[union-attr]  # just looked
