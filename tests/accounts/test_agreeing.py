"""Terms: accepted once for each version (R41, R42)."""

from __future__ import annotations

from dataclasses import replace

from idbroker.accounts.account import Agreed
from idbroker.accounts.question import Settled, Stopped
from tests.accounts.asking_house import AUTOMATIC, TERMS, AskingHouse

CLINIC = replace(AUTOMATIC, terms=TERMS)
NEWER = replace(AUTOMATIC, terms=replace(TERMS, version="2026-2"))


def test_no_terms_no_question(asking: AskingHouse) -> None:
    """A clinic without terms asks nothing."""
    assert asking.walk(asking.agreeing, asking.proved()).now is None


def test_asked_once(asking: AskingHouse) -> None:
    """The terms are shown in the person's language, accepted once, and kept with their version and language."""
    walk = asking.walk(asking.agreeing, asking.proved(), CLINIC, language="da")
    assert (walk.page, walk.values) == ("terms", {"clinic": "Clinea", "version": "2026-1", "text": "Vær venlig."})

    assert walk.post().now == Settled()
    assert walk.begin().now is None
    kept = asking.records.consents.current(walk.proved.person, Agreed.TERMS, CLINIC.id)
    assert kept is not None
    assert (kept.version, kept.language) == ("2026-1", "da")


def test_the_trail_can_prove_it(asking: AskingHouse) -> None:
    """The trail says who accepted which words, by their digest, in which version, at which clinic."""
    walk = asking.walk(asking.agreeing, asking.proved(), CLINIC).post()

    (event,) = asking.desk_house.events("terms.accepted")
    assert (event.person, event.clinic, event.detail["version"]) == (walk.proved.person, CLINIC.id, "2026-1")
    assert len(event.detail["sha256"]) == 64


def test_sent_twice_is_accepted_once(asking: AskingHouse) -> None:
    """The same page from two tabs is one consent, and one event."""
    first = asking.walk(asking.agreeing, asking.proved(), CLINIC)
    second = asking.walk(asking.agreeing, asking.proved(), CLINIC)
    first.post()
    second.post()

    assert len(asking.records.consents.of(first.proved.person)) == 1
    assert asking.told("terms.accepted") == ["terms.accepted"]


def test_no_ends_the_sign_in(asking: AskingHouse) -> None:
    """Who does not accept goes back to the service with access_denied, and nothing is kept."""
    walk = asking.walk(asking.agreeing, asking.proved(), CLINIC).post(do="no")

    assert walk.now == Stopped(kind="terms.refused")
    assert asking.records.consents.of(walk.proved.person) == ()


def test_a_new_version_asks_again(asking: AskingHouse) -> None:
    """What was accepted in one version is asked again in the next."""
    asking.walk(asking.agreeing, asking.proved(), CLINIC).post()

    assert asking.walk(asking.agreeing, asking.proved(), NEWER).values["version"] == "2026-2"


def test_nobody_accepts_what_was_not_shown(asking: AskingHouse) -> None:
    """Terms that were replaced while somebody read the old ones are shown before they are accepted."""
    walk = asking.walk(asking.agreeing, asking.proved(), CLINIC)
    walk.visit = replace(walk.visit, clinic=NEWER)

    assert walk.post().values["version"] == "2026-2"
    assert asking.records.consents.of(walk.proved.person) == ()
    assert walk.post().now == Settled()


def test_accepted_before_the_eid(asking: AskingHouse) -> None:
    """What was accepted before the eID is kept without asking; another version counts for nothing."""
    assert asking.walk(asking.agreeing, asking.proved(accepted="2025-9"), CLINIC).page == "terms"
    assert asking.walk(asking.agreeing, asking.proved(accepted="2026-1"), CLINIC).now is None

    assert asking.told("terms.accepted") == ["terms.accepted"]


def test_who_registers_is_asked_at_the_end(asking: AskingHouse) -> None:
    """Registering shows the terms on its own last page: they are not asked about before."""
    assert asking.walk(asking.agreeing, asking.proved(wish="self"), CLINIC).now is None
    assert asking.records.consents.of(asking.proved().person) == ()


def test_terms_that_are_gone(asking: AskingHouse) -> None:
    """Terms that a clinic drops while they are shown hold up nobody, and nothing is kept."""
    walk = asking.walk(asking.agreeing, asking.proved(), CLINIC)
    walk.visit = replace(walk.visit, clinic=AUTOMATIC)

    assert walk.post().now == Settled()
    assert asking.told("terms.accepted") == []
