"""The API when something is wrong on our side: told as a problem, without a word of what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Flask

from idbroker.api.front import api as make_api
from idbroker.api.operations import Engines
from idbroker.api.replay import Repeatable
from idbroker.errors import StoreError
from idbroker.keeping import Shelf
from idbroker.patients.register import Register
from tests.api.api_house import BASE, Api


class Failing(Register):
    """A register whose store is away at one name, and that has a fault at another."""

    def enter(self, actor: Any, sheet: Any, now: Any, *, listed: bool = False) -> Any:
        """Fail as the name says."""
        if sheet.family_name == "Away":
            raise StoreError("secret detail")
        if sheet.family_name == "Fault":
            raise RuntimeError("secret detail")
        return super().enter(actor, sheet, now, listed=listed)


def failing(api: Api) -> Api:
    """Return the same broker with that register behind its API."""
    offices, given = api.office.house.offices, api.office.house.given
    fields = {name: getattr(offices.register, name) for name in offices.register.__dataclass_fields__}
    engines = Engines(
        register=Failing(**fields),
        queue=offices.queue,
        access=offices.access,
        filing=offices.filing,
        noting=offices.noting,
        clients=given.clients,
        clinics=given.settings.clinics,
    )
    app = Flask("failing")
    routes = make_api(engines, given.tallies, Shelf(given.sealed, "i", Repeatable))
    app.register_blueprint(routes(api.office.site))
    return Api(office=replace(api.office, app=app))


def test_a_store_that_is_away_is_503(api: Api) -> None:
    """RFC 9110, 15.6.4: try again in a moment; the key of the request is free to."""
    token, key = api.token(), {"Idempotency-Key": "one"}
    answer = failing(api).call("POST", "/patients", api.who(family_name="Away"), token=token, headers=key)
    again = failing(api).call("POST", "/patients", api.who(), token=token, headers=key)

    assert (answer.status_code, answer.get_json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "10")
    assert "secret" not in answer.text
    assert again.status_code == 201


def test_a_fault_is_500_with_a_reference(api: Api) -> None:
    """ASVS 16.5.1: a fault says what to tell us, and nothing of what it was."""
    answer = failing(api).call("POST", "/patients", api.who(family_name="Fault"), token=api.token())

    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert answer.get_json().keys() == {"type", "title", "status", "code", "ref"}


def test_one_of_many_fails_alone(api: Api) -> None:
    """Issue 6: nothing of one item hinders another, not even a fault of ours; such an answer is not remembered."""
    people = [api.who("anna", family_name="Away"), api.who("bjorn", family_name="Fault"), api.who("anna")]
    token, key = api.token(), {"Idempotency-Key": "many"}
    first, again = (
        failing(api).call("POST", "/patients/bulk", {"patients": people}, token=token, headers=key) for _ in range(2)
    )

    assert [one["status"] for one in first.get_json()["results"]] == [503, 500, 201]
    assert "Idempotency-Replayed" not in again.headers


def test_what_is_not_offered_is_not_described(api: Api) -> None:
    """The document of a broker without news says nothing of news."""
    found = failing(api).office.browser().get(f"{BASE}/openapi.json").get_json()

    assert "/webhook" not in found["paths"]
