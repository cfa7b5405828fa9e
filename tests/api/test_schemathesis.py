"""The API as its own document describes it, tried by Schemathesis: made-up calls, good and bad, and in rows.

The document says by formats what a number, an address or a name looks like; `made_up` says what they are. Time goes
by with every call, so that it is not the rate limit that is tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from schemathesis import Case, engine, openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from idbroker.client import API_SCOPES
from idbroker.clock import StoppedClock
from idbroker.numbers import parse
from idbroker.oidc.token import ClientRequest
from tests.api.api_house import Api, open_api
from tests.api.made_up import FORMATS
from tests.conftest import NOW
from tests.sandbox.loopback import serve

SETTINGS: dict[str, Any] = {
    "seed": 6,
    "generation": {"max-examples": 12, "deterministic": True, "database": "none", "no-shrink": True},
    "checks": {
        # What a good call may meet: a patient who is not there or has died, a state that was not read.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "412", "429"]},
        "missing_required_header": {"expected-statuses": ["401", "428"]},
    },
    "phases": {"stateful": {"generation": {"max-examples": 10}}},
}
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[events.EngineEvent]:
    """Run Schemathesis once, all its phases; return what it has to say."""
    for name, strategy in FORMATS.items():
        openapi.format(name, strategy)
    folder = tmp_path_factory.mktemp("schemathesis")
    with open_api(folder, StoppedClock(NOW)) as api, serve(lambda _: by_the_call(api)) as address:
        return list(run(api, address))


def run(api: Api, address: str) -> Iterator[events.EngineEvent]:
    """Load the document, as any client does, and try what it says."""
    document = openapi.from_url(f"{address}/api/v1/openapi.json", config=SchemathesisConfig.from_dict(SETTINGS))
    document.config.update(base_url=f"{address}/api/v1")

    numbers = itertools.count()

    @document.auth(refresh_interval=None)
    class _Token:
        def get(self, case: Case[Any], context: Any) -> str:
            return token(api)

        def set(self, case: Case[Any], text: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {text}"
            key = str(case.headers.get("Idempotency-Key", ""))
            if 8 <= len(key) <= 64:
                # The same key with another call is refused, as it must be: only good keys are made other ones.
                case.headers["Idempotency-Key"] = f"{key}-{next(numbers)}"
            leave_out(case)

    yield from engine.from_schema(document).execute()


def leave_out(case: Case[Any]) -> None:
    """Say no birth date that the number contradicts, which no schema can say: tests.api.test_patients tries it."""
    said = case.body if isinstance(case.body, dict) else {}
    number, born = said.get("number"), said.get("birthdate")
    with suppress(ValueError):  # what is malformed stays so, and is to be refused
        if isinstance(number, dict) and isinstance(born, str):
            told = parse(str(number.get("value")), str(number.get("country")), now=NOW.date()).birthdate
            if told not in (None, date.fromisoformat(born)):
                del said["birthdate"]


def token(api: Api) -> str:
    """Return a fresh token with every scope."""
    client = api.office.house.clients.find("journal")
    assert client is not None
    return str(api.office.site.credentials.issue(client, ClientRequest(scopes=API_SCOPES))["access_token"])


def by_the_call(api: Api) -> WSGIApplication:
    """Return the broker, with time going by at every call."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        api.office.clock.move(timedelta(milliseconds=200))
        return api.office.app(environ, start)

    return answer


def failures(told: Iterable[events.EngineEvent]) -> Iterator[str]:
    """Return what was found wrong, and the call that shows it."""
    for event in told:
        if isinstance(event, events.ScenarioFinished):
            checks = [check for found in event.recorder.checks.values() for check in found]
            found = [(check.name, check.failure_info) for check in checks if check.failure_info is not None]
            yield from (f"{event.label}: {name}: {info.failure}\n{info.code_sample}" for name, info in found)
        elif isinstance(event, events.NonFatalError):
            yield f"{event.label}: {event.info}"
        elif isinstance(event, events.FatalError):
            yield repr(event.exception)


def test_nothing_is_answered_that_is_not_described(told: list[events.EngineEvent]) -> None:
    """OpenAPI 3.1: no call, good or bad, alone or in a row, has a status, header or document that is not described."""
    assert not list(failures(told))


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_ran(told: list[events.EngineEvent], phase: str) -> None:
    """Schemathesis tried the document's examples, the edges of each schema, random calls, and rows of calls."""
    ended = {event.phase.name.value: event.status for event in told if isinstance(event, events.PhaseFinished)}

    assert ended[phase] is engine.Status.SUCCESS, ended
