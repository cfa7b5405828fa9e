"""suomi.fi end to end with its simulator: every outcome, every manner, every lie, and both ways out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.providers import Redirect, Summons
from idbroker.providers.suomifi import LOA2, TEST_TOKEN, SuomiFi
from idbroker.sandbox.people import cast
from idbroker.sandbox.saml_lies import MANNERS
from idbroker.sandbox.suomifi import LIES
from tests.conftest import NOW
from tests.providers.suomifi_visits import OUT, Arrived, House, house

PEOPLE = {person.id: person for person in cast(NOW.date())}


@pytest.fixture
def visits(clock: StoppedClock, tmp_path: Path) -> Iterator[House]:
    """Give the simulator, served, and what our workers share."""
    with house(clock, tmp_path) as made:
        yield made


# ---- who comes of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("binding", ["redirect", "post"])
@pytest.mark.parametrize("person", ["aino", "joni", "veera", "ulla"])
def test_people(visits: House, person: str, binding: str) -> None:
    """People of the Finnish register sign in with their own number, name and birth date."""
    identity = visits.sign_in(person, provider=visits.provider(binding=binding))
    known = PEOPLE[person]

    assert identity.number is not None
    assert (identity.number.value, identity.birthdate) == (known.number, known.born)
    assert (identity.given_name, identity.family_name) == (known.given_name, known.family_name)
    assert identity.name == f"{known.given_name.split()[0]} {known.family_name}"
    assert (identity.protected, identity.proved_at) == (False, visits.clock.now())


@pytest.mark.parametrize(
    ("method", "level"), [("bank", LoA.SUBSTANTIAL), ("mobile", LoA.SUBSTANTIAL), ("card", LoA.HIGH)]
)
def test_methods(visits: House, method: str, level: LoA) -> None:
    """The level is that of the method the person chose."""
    assert visits.sign_in("tessa", method=method, provider=visits.provider()).loa is level


def test_protected(visits: House) -> None:
    """A protection order is told, with the licence that tells it."""
    provider = visits.provider(extent="large")

    assert visits.sign_in("silja", provider=provider).protected
    assert not visits.sign_in("aino", provider=provider, fresh=True).protected


def test_by_eidas(visits: House) -> None:
    """Who comes by eIDAS signs in without a number, under the identifier of their own country."""
    identity = visits.sign_in("elena", provider=visits.provider(eidas="full"))

    assert (identity.number, identity.subject) == (None, f"eidas:{PEOPLE['elena'].foreign_id}")
    assert (identity.birthdate, identity.family_name) == (PEOPLE["elena"].born, PEOPLE["elena"].family_name)


def test_foreigners(visits: House) -> None:
    """Who has the Finnish Authenticator signs in at low, where that will do, and nowhere else."""
    provider = visits.provider(foreign=True)
    identity = visits.sign_in("ivana", provider=provider, loa=LoA.LOW)

    assert (identity.loa, identity.subject) == (LoA.LOW, f"foreign:{PEOPLE['ivana'].foreign_id}")
    with pytest.raises(ProviderError):
        visits.sign_in("ivana", provider=provider, fresh=True)


def test_the_test_token(visits: House) -> None:
    """The test token signs in in the test environment; elsewhere it is not offered, and would not be believed."""
    identity = visits.sign_in("aino", method="testitunnistaja", provider=visits.provider(environment="test"))

    assert identity.loa is LoA.SUBSTANTIAL
    with pytest.raises(Cancelled):
        visits.sign_in("aino", method="testitunnistaja", provider=visits.provider(), fresh=True)


def test_the_same_person_again(visits: House) -> None:
    """The name that suomi.fi gives is another each time; the subject is the same."""
    one, other = (visits.sign_in("aino", provider=visits.provider(), fresh=True) for _ in range(2))

    assert one.subject == other.subject
    assert not set(one.upstream_names) & set(other.upstream_names)


def test_their_session(visits: House) -> None:
    """Who is signed in there already comes back at once, and when they acted is told as it was."""
    first = visits.sign_in("aino", provider=visits.provider())
    visits.clock.move(timedelta(minutes=10))
    second = visits.sign_in("nobody is asked", provider=visits.provider())

    assert (second.subject, second.proved_at) == (first.subject, first.proved_at)


@pytest.mark.parametrize("more", [{"fresh": True}, {"max_age": timedelta(minutes=5)}])
def test_a_new_proof(visits: House, more: dict[str, Any]) -> None:
    """Who must act now does, whatever session they have there."""
    visits.sign_in("aino", provider=visits.provider())
    visits.clock.move(timedelta(minutes=10))

    assert visits.sign_in("joni", provider=visits.provider(), **more).proved_at == visits.clock.now()


# ---- what went otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "outcome", "error"),
    [
        ("aino", "cancel", Cancelled),
        ("kalle", "approve", Cancelled),
        ("pekka", "approve", Cancelled),
        ("aino", "deceased", Cancelled),
        ("aino", "unknown_hetu", Cancelled),
        ("aino", "vtj_false", Refused),
        ("aino", "eidas", Cancelled),
        ("aino", "foreign", Cancelled),
    ],
)
def test_outcomes(visits: House, person: str, outcome: str, error: type[ProviderError]) -> None:
    """Whatever the person does, or the register knows of them, it is one of the errors with words for it."""
    with pytest.raises(error):
        visits.sign_in(person, outcome, provider=visits.provider())


@pytest.mark.parametrize("outcome", ["vtj_false", "unknown_hetu"])
def test_without_the_register(visits: House, outcome: str) -> None:
    """Where the register is not required they sign in whom it does not know."""
    assert visits.sign_in("aino", outcome, provider=visits.provider(vtj_required=False)).number is not None


def test_more_is_needed(visits: House) -> None:
    """A service that needs high says so, and nobody is let through the bank first to be refused afterwards."""
    provider = visits.provider()

    with pytest.raises(Cancelled):
        visits.sign_in("tessa", method="bank", provider=provider, loa=LoA.HIGH)
    assert visits.sign_in("tessa", method="card", provider=provider, loa=LoA.HIGH).loa is LoA.HIGH


def test_more_is_needed_and_not_said(visits: House) -> None:
    """Where requests name no methods, a bank is too low for it and is refused so."""
    with pytest.raises(Refused) as refused:
        visits.sign_in("tessa", method="bank", provider=visits.provider(contexts="never"), loa=LoA.HIGH)

    assert refused.value.reason == "level_too_low"


def test_down(visits: House) -> None:
    """While suomi.fi is down a new worker has nothing to go by; an old one goes on."""
    old = visits.provider()
    old.begin(visits.asked())
    visits.faults.set("suomifi", {"down": True})
    assert isinstance(old.begin(visits.asked()), Redirect)

    other = visits.provider(metadata_url=f"{visits.sim.metadata_url}?other")  # type: ignore[union-attr]
    with pytest.raises(Unreachable):
        other.begin(visits.asked())


# ---- manners ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", sorted(MANNERS))
def test_manners(visits: House, manner: str) -> None:
    """Whatever an honest suomi.fi may do tomorrow is taken; AES-CBC only where the operator allows it."""
    visits.lie(manner)
    if manner.endswith("cbc"):
        with pytest.raises(Untrusted):
            visits.sign_in(provider=visits.provider())

    assert visits.sign_in(provider=visits.provider(cbc=True), fresh=True).loa is LoA.SUBSTANTIAL


@pytest.mark.parametrize(("by", "languages"), [("vetuma", ["fi", "sv", "en"]), ("locale", ["fi", "sv", "en"])])
def test_language(visits: House, by: str, languages: list[str]) -> None:
    """suomi.fi's page is in the person's language, however it is told."""
    provider = visits.provider(language_by=by)
    shown = []
    for language in languages:
        visits.browser.close()
        page = visits.browser.go(provider.begin(visits.asked(language=language)))
        assert isinstance(page, str)
        shown.append(visits.browser.page(page).get("lang"))

    assert shown == languages


# ---- lies ---------------------------------------------------------------------------------------------

METADATA = sorted(lie for lie in LIES if lie.startswith("metadata_"))
LOGOUT = sorted(lie for lie in LIES if lie.startswith("logout_"))
ANSWERS = sorted(set(LIES) - set(METADATA) - set(LOGOUT) - set(MANNERS) - {"replayed"})


@pytest.mark.parametrize("lie", ANSWERS)
def test_lies(visits: House, lie: str) -> None:
    """Every lie in an answer is the one opaque error, and names nobody; the next, honest, answer is believed."""
    provider = visits.provider()
    visits.lie(lie)
    with pytest.raises(Untrusted) as refused:
        visits.sign_in(provider=provider, fresh=True)
    assert refused.value.code == "untrusted"

    visits.lie()
    assert visits.sign_in(provider=provider, fresh=True).provider == "suomifi"


def test_replayed(visits: House) -> None:
    """The answer before, come again to a new request, is nobody's."""
    provider = visits.provider()
    visits.sign_in(provider=provider)
    visits.lie("replayed")

    with pytest.raises(Untrusted):
        visits.sign_in(provider=provider, fresh=True)


def test_a_weak_method(visits: House) -> None:
    """A weaker method than asked for is Untrusted where it was never accepted, and refused in words where it was."""
    visits.lie("lower_context")
    with pytest.raises(Untrusted):
        visits.sign_in(provider=visits.provider(methods=(LOA2,)))

    both = visits.provider(methods=(LOA2, TEST_TOKEN), environment="test")
    with pytest.raises(Refused):
        visits.sign_in("tessa", method="card", provider=both, loa=LoA.HIGH, fresh=True)


@pytest.mark.parametrize("lie", METADATA)
def test_metadata_lies(visits: House, lie: str) -> None:
    """Metadata that lies is not taken: nobody signs in by it, and who has good metadata goes on with that."""
    good = visits.provider()
    good.begin(visits.asked())
    visits.lie(lie)
    visits.clock.move(timedelta(hours=1))

    assert visits.sign_in(provider=good).provider == "suomifi"
    with pytest.raises(Unreachable):
        visits.provider(metadata_url=f"{visits.sim.metadata_url}?new").begin(visits.asked())  # type: ignore[union-attr]


# ---- out, from here -----------------------------------------------------------------------------------


def left(visits: House, provider: SuomiFi) -> bool:
    """Sign in, sign out here, confirm there, and read the answer."""
    identity = visits.sign_in(provider=provider)
    leaving = visits.leaving(identity)
    went = provider.leave(leaving)
    assert isinstance(went, Redirect)
    page = visits.browser.go(went)
    assert isinstance(page, str)
    arrived = visits.browser.press(page, confirm="yes")
    assert isinstance(arrived, Arrived)
    return provider.left(leaving, went.state, arrived.message(visits.clock))


def test_leave(visits: House) -> None:
    """Signing out here ends suomi.fi's session: the next sign-in asks again."""
    provider = visits.provider()

    assert left(visits, provider)
    assert isinstance(visits.browser.go(provider.begin(visits.asked())), str)


def test_leave_partly(visits: House) -> None:
    """A session that did not end everywhere is said to be so."""
    visits.lie("logout_partial")

    assert not left(visits, visits.provider())


@pytest.mark.parametrize(
    "lie",
    [
        "logout_response_to_another",
        "logout_response_wrong_destination",
        "logout_unsigned_response",
        "logout_unknown_key",
    ],
)
def test_leave_lies(visits: House, lie: str) -> None:
    """A lying answer to our request says nothing."""
    visits.lie(lie)

    with pytest.raises(Untrusted):
        left(visits, visits.provider())


def test_leave_twice(visits: House) -> None:
    """Who has no session there any more is told that it did not go well, and comes back all the same."""
    provider = visits.provider()
    identity = visits.sign_in(provider=provider)
    visits.clock.move(timedelta(minutes=33))
    leaving = visits.leaving(identity)
    went = provider.leave(leaving)
    assert isinstance(went, Redirect)
    arrived = visits.browser.go(went)

    assert isinstance(arrived, Arrived)
    assert not provider.left(leaving, went.state, arrived.message(visits.clock))


# ---- out, from there ----------------------------------------------------------------------------------


def summoned(visits: House, provider: SuomiFi) -> Summons:
    """Sign out on suomi.fi's own page, and read what its hidden frame brings."""
    assert visits.sim is not None
    page = visits.browser.get(visits.sim.logout_url)
    assert isinstance(page, str)
    frames = visits.browser.press(page, confirm="yes")
    assert isinstance(frames, str)
    hidden = [str(one.get("src")) for one in visits.browser.page(frames).iter("iframe")]
    return provider.summoned(Arrived(next(url for url in hidden if url.startswith(OUT))).message(visits.clock))


def test_summoned(visits: House) -> None:
    """Signing out there names the session here, without a cookie of ours, and our answer is accepted there."""
    provider = visits.provider()
    identity = visits.sign_in(provider=provider)
    summons = summoned(visits, provider)
    back = provider.dismissed(summons, visits.clock.now(), complete=True)

    assert set(summons.names) & set(identity.upstream_names)
    assert isinstance(back, Redirect)
    assert isinstance(visits.browser.go(back), str)


@pytest.mark.parametrize(
    "lie",
    [
        "logout_expired",
        "logout_wrong_destination",
        "logout_other_issuer",
        "logout_unsigned_request",
        "logout_unknown_key",
    ],
)
def test_summoned_lies(visits: House, lie: str) -> None:
    """Nobody else can sign people out."""
    provider = visits.provider()
    visits.sign_in(provider=provider)
    visits.lie(lie)

    with pytest.raises(Untrusted):
        summoned(visits, provider)


@pytest.mark.parametrize("lie", ["logout_wrong_name", "logout_other_session"])
def test_summoned_for_somebody_else(visits: House, lie: str) -> None:
    """A request about another session means none of this person's."""
    provider = visits.provider()
    identity = visits.sign_in(provider=provider)
    visits.lie(lie)

    assert not set(summoned(visits, provider).names) & set(identity.upstream_names)
