"""MitID through the Nets broker: what it proves, in its own wire format, over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ConfigError, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Form, Redirect
from idbroker.providers.mitid import make
from tests.providers.conftest import Broker
from tests.providers.upstream import CLIENTS, Journey, asked, means, settings

Travel = Callable[..., Journey]


def test_proves_who_the_person_is(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """A person who approves is known by issuer and subject, number, name, birth date, level and moment."""
    identity = travel().go("anna")

    anna = broker.people["anna"]
    assert (identity.provider, identity.issuer, identity.loa) == ("mitid", broker.issuer, LoA.SUBSTANTIAL)
    assert identity.number is not None
    assert (identity.number.country, identity.number.value) == ("DK", anna.number)
    assert (identity.name, identity.birthdate, identity.protected) == (anna.name, date(1985, 3, 14), False)
    assert (identity.amr, identity.proved_at) == (("swk", "mfa"), clock.now())
    assert identity.upstream_logout is not None
    assert identity.subject == travel().go("anna").subject


@pytest.mark.parametrize("client", ["public", "post", "key", "rs256"])
def test_authenticates_in_three_ways_and_reads_two_algorithms(travel: Travel, client: str) -> None:
    """OpenID Connect Core, 9: client_secret_basic, client_secret_post and private_key_jwt; ES256 and RS256."""
    assert travel(client).go().loa is LoA.SUBSTANTIAL


@pytest.mark.parametrize("pushed", [True, False, None])
def test_pushes_the_request_or_not(travel: Travel, pushed: bool | None) -> None:
    """RFC 9126: pushed when set or offered, in the address when set so."""
    journey = travel(pushed=pushed)

    assert ("request_uri=" in journey.begin().url) is (pushed is not False)
    assert journey.go().number is not None


def sent(begun: Redirect) -> dict[str, str]:
    """Return the parameters in the address the person is sent to."""
    return dict(parse_qsl(urlsplit(begun.url).query))


@pytest.mark.parametrize(
    ("language", "wire", "text"),
    [("da", "da", "Log ind på Klinikken"), ("sv", "en", "Log in to Klinikken"), ("en", "en", "Log in to Klinikken")],
)
def test_asks_in_the_brokers_words(travel: Travel, language: str, wire: str, text: str) -> None:
    """Level, language and the text in the app are asked for as the Nets broker documents them."""
    query = sent(travel(pushed=False).begin(loa=LoA.HIGH, language=language))

    mitid = json.loads(query["idp_params"])["mitid"]
    assert (query["idp_values"], query["language"], query["scope"]) == ("mitid", wire, "openid mitid ssn")
    assert (mitid["loa_value"], mitid["action_text"]) == ("high", "LOG_ON")
    assert base64.b64decode(mitid["reference_text"]).decode() == text
    assert (query["state"], query["code_challenge_method"], query["response_type"]) == ("handle-1", "S256", "code")


def test_the_text_in_the_app_has_at_most_130_characters(travel: Travel) -> None:
    """A long name of a service is cut, between characters."""
    query = sent(travel(pushed=False).begin(service="ø" * 200))

    text = base64.b64decode(json.loads(query["idp_params"])["mitid"]["reference_text"]).decode()
    assert len(text) == 130


def test_a_number_goes_ahead_only_unseen(travel: Travel, broker: Broker) -> None:
    """A CPR number as a hint is pushed, never put in an address that logs and histories keep."""
    hint = str(broker.people["anna"].number)

    assert "cpr_hint" not in travel(pushed=False).begin(number_hint=hint).url
    assert hint not in travel(pushed=True).begin(number_hint=hint).url


def test_asks_for_no_number_that_nobody_wants(travel: Travel) -> None:
    """Data minimisation: without `want_number` the scope is not asked for and no number comes."""
    assert travel().go(want_number=False).number is None


@pytest.mark.parametrize(
    ("person", "outcome", "asked_for"),
    [("ludvig", "approve", LoA.SUBSTANTIAL), ("anna", "lower_level", LoA.HIGH), ("susan", "approve", LoA.HIGH)],
)
def test_a_lower_level_than_asked_is_refused(travel: Travel, person: str, outcome: str, asked_for: LoA) -> None:
    """ASVS 6.8.4: the level is what came back, not what was asked for."""
    with pytest.raises(Refused) as stopped:
        travel().go(person, outcome, loa=asked_for)

    assert stopped.value.reason == "level_too_low"


def test_an_upstream_that_lowers_the_level_is_refused(travel: Travel, broker: Broker) -> None:
    """B9: a token of a lower level than was asked for ends the sign-in."""
    broker.lie("lower_level")

    with pytest.raises(Refused, match="got low"):
        travel().go()


@pytest.mark.parametrize("loa", LoA)
def test_every_level_is_told_as_it_came(travel: Travel, loa: LoA) -> None:
    """The three levels of NSIS are our three."""
    assert travel().go(loa=loa).loa is loa


@pytest.mark.parametrize(
    ("outcome", "error", "reason"),
    [("cancel", Cancelled, None), ("timeout", Refused, "expired"), ("blocked", Refused, "blocked")],
)
def test_what_the_person_did_is_told_apart(
    travel: Travel, outcome: str, error: type[ProviderError], reason: str | None
) -> None:
    """Cancelled is the person's own doing; a time-out and a blocked MitID are refusals with a reason."""
    with pytest.raises(error) as stopped:
        travel().go("anna", outcome)

    assert getattr(stopped.value, "reason", None) == reason


def test_a_person_without_a_number_is_still_proved(travel: Travel) -> None:
    """Not every MitID holder has a CPR number: the identity comes without, and nobody is asked to type one."""
    for there in (travel(), travel("private", cpr="match")):
        identity = there.go("nora")
        assert (identity.number, identity.birthdate) == (None, date(1991, 11, 2))


def test_a_protected_name_goes_no_further(travel: Travel) -> None:
    """A protected person has no name with us, whether the broker writes its literal or a flag."""
    literal = travel("private", cpr="match").go("petra", want_number=False)
    flag = travel(scopes=("openid", "mitid", "ssn.details_name")).go("petra")

    for identity in (literal, flag):
        assert (identity.protected, identity.name, identity.given_name) == (True, None, None)


def test_names_are_split_only_by_the_register(travel: Travel) -> None:
    """A given and a family name come from the CPR register's details; a whole name is never cut by us."""
    whole, parts = travel().go(), travel(scopes=("openid", "mitid", "ssn.details_name")).go()

    assert (whole.given_name, whole.family_name) == (None, None)
    assert (parts.given_name, parts.family_name) == ("Anna", "Prøvesen")


def test_a_private_service_gets_the_number_from_the_brokers_page(travel: Travel, broker: Broker) -> None:
    """With `cpr = "claim"` the person types the number at the broker, which then tells it."""
    number = broker.people["anna"].number
    identity = travel("private").go("anna", cpr=number)

    assert identity.number is not None
    assert identity.number.value == number


def typed(there: Journey, form: Form, number: str) -> object:
    """Type a number on our form."""
    return there.provider.resume(asked(there.clock), form.state, {"number": number})


def test_a_private_service_has_a_typed_number_matched(travel: Travel, broker: Broker) -> None:
    """With `cpr = "match"` our form asks, and the broker says whether the number is this person's."""
    there = travel("private", cpr="match")
    form = there.form()
    number = str(broker.people["anna"].number)
    identity = typed(there, form, f"{number[:6]}-{number[6:]}")

    assert form.page == "cpr"
    assert isinstance(identity, Identity)
    assert identity.number is not None
    assert (identity.number.value, identity.name) == (number, "Anna Prøvesen")


def test_another_persons_number_does_not_match_three_times(travel: Travel, broker: Broker) -> None:
    """After three numbers that are not this person's the sign-in ends; what is no number does not count."""
    there = travel("private", cpr="match")
    form, other = there.form(), str(broker.people["petra"].number)
    for wrong, error in ((other, "q.e.match"), ("12", "p.e.id"), (other, "q.e.match")):
        again = typed(there, form, wrong)
        assert isinstance(again, Form)
        assert (again.errors, again.values["number"]) == ({"number": error}, wrong)
        form = again
    assert form.values["left"] == "1"

    with pytest.raises(Refused) as stopped:
        typed(there, form, other)
    assert stopped.value.reason == "cpr_match_failed"


def test_an_old_form_gives_no_further_tries(travel: Travel, broker: Broker) -> None:
    """Going back to the first form does not help: it is the proof whose tries are counted."""
    there = travel("private", cpr="match")
    form, other = there.form(), str(broker.people["petra"].number)
    for _ in range(2):
        assert isinstance(typed(there, form, other), Form)
    with pytest.raises(Refused, match="three tries"):
        typed(there, form, other)

    with pytest.raises(Refused, match="too many"):
        typed(there, form, str(broker.people["anna"].number))


def test_a_number_is_matched_within_fifteen_minutes(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """The match is bound to the moment of the sign-in: later the person signs in again."""
    there = travel("private", cpr="match")
    form = there.form()
    clock.move(timedelta(minutes=15, seconds=1))

    with pytest.raises(Refused, match="too late"):
        typed(there, form, str(broker.people["anna"].number))


def test_going_back_to_the_answer_shows_the_form_again(travel: Travel) -> None:
    """Back into the callback while the form is open gives the same form and costs no try."""
    there = travel("private", cpr="match")
    form = there.form()

    again = there.provider.resume(asked(there.clock), form.state, {"state": "handle-1", "code": "used"})
    assert again == form


def test_a_damaged_form_is_not_believed(travel: Travel) -> None:
    """A state of the form that does not read is Untrusted, not a crash."""
    there = travel("private", cpr="match")

    with pytest.raises(Untrusted):
        typed(there, replace(there.form(), state=b"match:{}"), "0101011234")


def test_a_match_that_cannot_be_asked_loses_no_try(travel: Travel, broker: Broker) -> None:
    """While the broker is down a typed number is Unreachable, and the same form works afterwards."""
    there = travel("private", cpr="match")
    form, number = there.form(), str(broker.people["anna"].number)
    broker.faults.set("mitid", {"down": True})
    with pytest.raises(Unreachable):
        typed(there, form, number)

    broker.faults.clear()
    assert isinstance(typed(there, form, number), Identity)


@pytest.mark.parametrize(
    "wrong",
    [
        {"broker": "nobody"},
        {"cpr": "guess"},
        {"broker": "idura", "cpr": "match"},
        {"issuer": "http://broker.test"},
        {"issuer": "https://broker.test/?x"},
        {"issuer": "https://u@broker.test"},
        {"auth_method": "none"},
        {"client_secret": None},
        {"client_secret_file": Path("nowhere")},
        {"auth_method": "private_key_jwt"},
    ],
)
def test_settings_that_cannot_work_stop_the_start(clock: StoppedClock, wrong: dict[str, Any]) -> None:
    """Each mistake in the table is told with the table's name."""
    with pytest.raises(ConfigError) as stopped:
        make("mitid", replace(settings("https://broker.test"), **wrong), means(clock, sandbox=False))

    assert {where for where, _ in stopped.value.mistakes} == {"providers.mitid"}


def test_the_secret_can_lie_in_a_file(broker: Broker, clock: StoppedClock, tmp_path: Path) -> None:
    """`client_secret_file` is read at the start; its line end does not count."""
    file = tmp_path / "secret"
    file.write_text(f"{CLIENTS['public'].secret}\n")
    table = replace(settings(broker.issuer), client_secret=None, client_secret_file=file)
    there = Journey(make("mitid", table, means(clock)), clock)

    assert there.go().loa is LoA.SUBSTANTIAL
    there.close()


def test_starts_without_its_upstream(clock: StoppedClock) -> None:
    """An unreachable upstream does not stop the start."""
    make("mitid", settings("https://broker.test"), means(clock, sandbox=False))._client.http.close()
