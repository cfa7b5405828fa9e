"""The same request again (draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from idbroker.api.problems import Problem
from idbroker.api.replay import Repeatable, Replay
from idbroker.api.wire import Written
from idbroker.keeping import Shelf
from tests.api.api_house import Api
from tests.oidc.making import make_client


def enter(api: Api, key: str | None, person: str = "anna", **more: str) -> TestResponse:
    """Enter somebody, with a key."""
    return api.call("POST", "/patients", api.who(person), headers={"Idempotency-Key": key}, **more)


def test_the_same_request_has_the_same_answer(api: Api) -> None:
    """2.6: status, document and state are those of the first time, and it is done once."""
    first = enter(api, "one")
    again = enter(api, "one")

    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert len(api.office.events("patient.entered")) == 1


def test_quotes_do_not_make_another_key(api: Api) -> None:
    """2.1: the key is a string of structured fields; clients that leave the quotes out mean the same."""
    enter(api, "one")

    assert enter(api, '"one"').headers["Idempotency-Replayed"] == "true"


def test_access_is_sent_once(api: Api) -> None:
    """A repeated request sends no second message."""
    handle = api.entered(contacts={"email": "ada@example.org"})
    for _ in range(3):
        sent = {"channels": ["email"]}
        api.call("POST", f"/patients/{handle}/access", sent, headers={"Idempotency-Key": "send-1"})

    assert len(api.office.events("patient.sent")) == 1


def test_a_refusal_is_repeated(api: Api) -> None:
    """What was refused is refused again in the same words, though it might be done by now."""
    handle = api.entered()
    path, key = f"/patients/{handle}/access", {"Idempotency-Key": "one"}
    first = api.call("POST", path, {"channels": ["email"]}, headers=key)
    api.entered(contacts={"email": "ada@example.org"})
    again = api.call("POST", path, {"channels": ["email"]}, headers=key)

    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.content_type == "application/problem+json"


def test_a_mistake_does_not_use_the_key_up(api: Api) -> None:
    """What did not read was not worked on: put right, it may come with the same key."""
    api.call("POST", "/patients", {"family_name": 1}, headers={"Idempotency-Key": "one"})

    assert enter(api, "one").status_code == 201


def test_the_key_with_another_body_is_refused(api: Api) -> None:
    """2.7: a key that is used for something else is 422, and nothing is done."""
    enter(api, "one")
    other = enter(api, "one", "bjorn")

    assert (other.status_code, other.get_json()["code"]) == (422, "key_reused")
    assert len(api.office.events("patient.entered")) == 1


def test_the_key_at_another_path_is_refused(api: Api) -> None:
    """2.7: the same key at another operation is another request."""
    handle = api.entered(contacts={"email": "ada@example.org"})
    key = {"Idempotency-Key": "one"}
    api.call("POST", f"/patients/{handle}/death", {"on": "2026-11-20"}, headers=key)
    other = api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"}, headers=key)

    assert other.get_json()["code"] == "key_reused"


def test_another_clients_key_is_another_key(api: Api) -> None:
    """The attack: a client replays another's key to read the answer it had."""
    enter(api, "one")
    theirs = enter(api, "one", by="writer")

    assert "Idempotency-Replayed" not in theirs.headers
    assert enter(api, "one", by="other").status_code == 201


def test_a_key_is_good_for_a_day(api: Api) -> None:
    """2.3: after 24 hours it is a new request."""
    enter(api, "one")
    api.office.clock.move(timedelta(hours=24))

    assert "Idempotency-Replayed" not in enter(api, "one").headers


@pytest.mark.parametrize("key", ["", '""', "a b", "å", "x" * 129, '"a', "a,b" * 50])
def test_a_key_that_does_not_read_is_refused(shared: Api, key: str) -> None:
    """2.1: what is no string of structured fields is refused, before anything is done."""
    assert enter(shared, key).get_json()["code"] == "wrong_header"


def test_who_comes_while_the_first_is_worked_on_waits(api: Api) -> None:
    """2.6: a second request during the first is 409, and does nothing."""
    replay = Replay(shelf=Shelf(api.office.house.sealed, "i", Repeatable))
    client, done = make_client(), []

    def work() -> Written:
        done.append("once")
        with pytest.raises(Problem) as refused:
            replay.once(client, "one", "same", work)
        assert refused.value.code == "in_progress"
        assert refused.value.headers["Retry-After"]
        return Written(status=200, body="{}")

    assert replay.once(client, "one", "same", work).status == 200
    assert done == ["once"]


def test_what_failed_on_our_side_may_be_asked_again(api: Api) -> None:
    """A fault is not an answer: the same key goes on where it failed."""
    replay = Replay(shelf=Shelf(api.office.house.sealed, "i", Repeatable))
    client = make_client()

    def fail() -> Written:
        raise RuntimeError("the store is away")

    with pytest.raises(RuntimeError):
        replay.once(client, "one", "same", fail)
    assert replay.once(client, "one", "same", lambda: Written(status=503)).status == 503
    assert replay.once(client, "one", "same", lambda: Written(status=200)).status == 200
    assert replay.once(client, "one", "same", fail).status == 200


def test_the_largest_answer_fits_the_store(api: Api) -> None:
    """A bulk answer of a thousand mistakes is kept whole, though a store keeps 256 KiB of a value."""
    sent = {"patients": [{"x": {}, "given_name": 1, "language": 1, "checked": 1, "contacts": 1}] * 1000}
    first, again = (api.call("POST", "/patients/bulk", sent, headers={"Idempotency-Key": "many"}) for _ in range(2))

    assert len(first.data) > 256 * 1024
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
