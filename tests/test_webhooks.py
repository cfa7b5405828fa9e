"""What clinics' own systems are told, signed, again until they have taken it: on both stores, over real TLS."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Standing
from idbroker.clock import StoppedClock
from idbroker.outbound import is_public
from idbroker.store import open_durable
from idbroker.webhooks import BACK_OFF, LEASE, NEWS, TRIED_FOR, Webhooks, signature
from tests.app_eids import eventually
from tests.conftest import NOW
from tests.webhooks_house import Ear, NewsHouse, open_ear

KINDS = ("enrolled", "contact_changed", "access_revoked", "guardians_changed", "merged")


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ear]:
    """Serve the clinics' systems."""
    with open_ear(tmp_path_factory.mktemp("ear")) as ear:
        yield ear


@pytest.fixture
def ear(everybody: Ear) -> Ear:
    """Give them, with nothing heard."""
    everybody.heard.clear()
    everybody.says.clear()
    return everybody


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, ear: Ear, tmp_path: Path, clock: StoppedClock) -> Iterator[NewsHouse]:
    """Give a house over each store."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/broker.db" if sqlite else request.getfixturevalue("postgres_database")
    durable = open_durable(url, clock)
    durable.migrate()
    made = NewsHouse(ear=ear, durable=durable, clock=clock)
    yield made
    made.close()


def test_told(house: NewsHouse, ear: Ear) -> None:
    """A client is told what happened, when, where and to which handle: nothing else, and no number or name."""
    webhooks, client, patient = house.webhooks(), house.client("a"), house.patient(1)
    secret = webhooks.set(client, ear.url("a"), KINDS, NOW)

    webhooks.listening(house.durable.events).record(house.happens("enrolment.approved", patient))
    eventually(lambda: len(ear.told("a")) == 1)

    ((headers, body),) = ear.told("a")
    said = json.loads(body)
    assert said == {
        "id": headers["webhook-id"],
        "type": "enrolled",
        "at": NOW.isoformat(),
        "clinic": "clinea",
        "patient": patient.handle,
    }
    assert headers["content-type"] == "application/json"
    check_signature(secret, headers, body)
    eventually(lambda: house.durable.webhook_notices.count() == 0)
    assert [event.kind for event in house.durable.events.since(NOW)] == ["enrolment.approved"]


def check_signature(secret: str, headers: dict[str, str], body: bytes) -> None:
    """Verify what is signed as a receiver does (Standard Webhooks, "Verifying webhook authenticity")."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 32
    assert int(headers["webhook-timestamp"]) == int(NOW.timestamp())
    version, _, mac = headers["webhook-signature"].partition(",")
    assert (version, base64.b64decode(mac)) == ("v1", hmac.digest(key, signed, "sha256"))


def test_the_standards_own_example() -> None:
    """What others sign by Standard Webhooks we sign so too."""
    secret, message, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330

    made = signature(secret, message, at, b'{"test": 2432232314}')

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("kind", sorted(NEWS))
def test_every_kind_of_news(house: NewsHouse, ear: Ear, kind: str) -> None:
    """Each event that is news lies in the outbox with the event itself, for the client of that clinic alone."""
    webhooks, patient = house.webhooks(), house.patient(1)
    for name, clinic in (("a", "clinea"), ("other", "clineb")):
        webhooks.set(house.client(name, clinic), ear.url(name), KINDS, NOW)
    detail = {"kind": "release", "about": "a"} if kind == "consent.withdrawn" else {}

    (notice,) = webhooks.notices_of(house.happens(kind, patient, detail=detail))

    assert (notice.client_id, notice.kind, notice.patient) == ("a", NEWS[kind], patient.handle)


def test_what_is_no_news(house: NewsHouse, ear: Ear) -> None:
    """Other events, others' patients, who only asked, kinds not asked for, clients that may not: nobody is told."""
    webhooks, patient = house.webhooks(), house.patient(1)
    webhooks.set(house.client("a"), ear.url("a"), ("enrolled",), NOW)
    webhooks.set(house.client("off", disabled=True), ear.url("off"), KINDS, NOW)
    webhooks.set(house.client("unscoped", api=("patients.read",)), ear.url("unscoped"), KINDS, NOW)
    nobody = house.patient(2, "clineb")
    asked = house.patient(3, standing=Standing.ASKED)

    for event in (
        house.happens("patient.viewed", patient),
        house.happens("contact.changed", patient),
        house.happens("enrolment.made", nobody),
        house.happens("enrolment.made", nobody, clinic="clinea"),
        house.happens("enrolment.made", patient, clinic="clineb"),
        house.happens("patient.entered", asked),
        house.happens("enrolment.made", patient, person=None),
    ):
        assert webhooks.notices_of(event) == ()


def test_of_the_account(house: NewsHouse, ear: Ear) -> None:
    """A person's own address is news for every clinic that has taken them, each by its own handle."""
    webhooks, here = house.webhooks(), house.patient(1)
    there = house.patient(1, "clineb")
    house.patient(1, "clinec", Standing.DECLINED)
    for name, clinic in (("a", "clinea"), ("b", "clineb"), ("c", "clinec")):
        webhooks.set(house.client(name, clinic), ear.url(name), KINDS, NOW)

    notices = webhooks.notices_of(house.happens("account.contact_changed", here, clinic="elsewhere"))

    assert {(one.client_id, one.patient) for one in notices} == {("a", here.handle), ("b", there.handle)}


@pytest.mark.parametrize("status", [500, 404, 301, 307, 429])
def test_tried_again(house: NewsHouse, ear: Ear, status: int) -> None:
    """Whatever is not taken comes again, later and later, with the same id; a redirect is not followed."""
    webhooks = house.webhooks()
    webhooks.set(house.client("a"), ear.url("a"), KINDS, NOW)
    ear.says["a"] = [status, status]
    told(house, webhooks)
    for pause in (timedelta(0), *BACK_OFF[:2]):
        house.clock.move(pause)
        webhooks.deliver(house.clock.now())

    assert len({headers["webhook-id"] for headers, _ in ear.told("a")}) == 1
    assert [int(headers["webhook-timestamp"]) - int(NOW.timestamp()) for headers, _ in ear.told("a")] == [0, 10, 70]
    assert house.durable.webhook_notices.count() == 0
    assert ear.told("elsewhere") == []


def told(house: NewsHouse, webhooks: Webhooks, number: int = 1) -> None:
    """Have something to tell in the outbox."""
    event = house.happens("enrolment.made", house.patient(number))
    house.durable.webhook_notices.record(event, webhooks.notices_of(event))


def test_given_up(house: NewsHouse, ear: Ear) -> None:
    """After a day nobody tries any more, and the trail says so."""
    webhooks = house.webhooks()
    webhooks.set(house.client("a"), ear.url("a"), KINDS, NOW)
    ear.says["a"] = [503] * 99
    told(house, webhooks)
    tries = 0
    while house.durable.webhook_notices.count():
        webhooks.deliver(house.clock.now())
        tries += 1
        house.clock.move(BACK_OFF[-1])

    assert house.clock.now() - NOW <= TRIED_FOR + 2 * BACK_OFF[-1]
    (event,) = house.durable.events.since(NOW, kind="webhook.undelivered")
    assert (event.client, event.person, event.detail["kind"], event.detail["status"]) == ("a", None, "enrolled", "503")
    assert tries > 8


def test_dropped(house: NewsHouse, ear: Ear) -> None:
    """What waits for a client that may not be told any more is dropped, and the trail says so."""
    webhooks, client = house.webhooks(), house.client("a")
    webhooks.set(client, ear.url("a"), KINDS, NOW)
    told(house, webhooks)
    house.client("a", disabled=True)

    webhooks.deliver(house.clock.now())

    assert ear.heard == []
    assert [event.client for event in house.durable.events.since(NOW, kind="webhook.dropped")] == ["a"]
    assert house.durable.webhook_notices.count() == 0


def test_a_worker_that_died(house: NewsHouse, ear: Ear) -> None:
    """What somebody took and did not bring comes back after a minute, to whoever looks."""
    webhooks = house.webhooks()
    webhooks.set(house.client("a"), ear.url("a"), KINDS, NOW)
    told(house, webhooks)
    assert len(house.durable.webhook_notices.due(NOW, LEASE, 9, each=9)) == 1

    assert webhooks.deliver(house.clock.now()) == 0
    house.clock.move(LEASE)
    assert webhooks.deliver(house.clock.now()) == 1


def test_one_that_hangs_holds_up_nobody(house: NewsHouse, ear: Ear) -> None:
    """A client that does not answer is left alone for a while; another's news goes out meanwhile."""
    webhooks = house.webhooks()
    webhooks.set(house.client("a"), "https://nobody.test:1/", KINDS, NOW)
    for number in range(5):
        told(house, webhooks, number)
    webhooks.deliver(house.clock.now())
    webhooks.set(house.client("b"), ear.url("b"), KINDS, NOW)

    told(house, webhooks, 9)

    assert webhooks.deliver(house.clock.now()) == 1
    assert len(ear.told("b")) == 1


@pytest.mark.parametrize(
    "url", ["https://system.test", "http://system.test", "https://127.0.0.1", "https://u:p@x.test"]
)
def test_never_to_an_inner_address(house: NewsHouse, ear: Ear, url: str) -> None:
    """Whatever address was kept: nothing is sent to one of ours (CWE-918), nor without TLS, whoever it is named by."""
    post = house.post(public=is_public)
    webhooks = house.webhooks(post=post.send)
    webhooks.set(house.client("a"), f"{url}:{ear.port}/news/a", KINDS, NOW)
    told(house, webhooks)

    assert webhooks.deliver(house.clock.now()) == 0
    assert ear.heard == []


def test_set_get_and_remove(house: NewsHouse, ear: Ear) -> None:
    """One for each client: a newer one takes its place with another secret; removed, nothing more is told."""
    webhooks, client = house.webhooks(), house.client("a")
    assert webhooks.get(client) is None
    first = webhooks.set(client, ear.url("a"), KINDS, NOW)
    second = webhooks.set(client, ear.url("b"), ("enrolled", "enrolled"), NOW)
    told(house, webhooks)

    found = webhooks.get(client)
    assert found is not None
    assert (found.url, found.kinds, found.since) == (ear.url("b"), ("enrolled",), NOW)
    assert first != second
    assert (webhooks.remove(client), webhooks.remove(client)) == (True, False)
    assert house.durable.webhook_notices.count() == 0
    with pytest.raises(ValueError, match="no such news"):
        webhooks.set(client, ear.url("a"), ("gossip",), NOW)


def test_closed(house: NewsHouse, ear: Ear) -> None:
    """A courier that is closed starts no more: what is recorded then waits for the others."""
    webhooks = house.webhooks()
    webhooks.set(house.client("a"), ear.url("a"), KINDS, NOW)
    webhooks.close()

    webhooks.listening(house.durable.events).record(house.happens("enrolment.made", house.patient(1)))

    assert (webhooks.deliver(NOW), house.durable.webhook_notices.count()) == (0, 1)
    assert house.webhooks().deliver(NOW) == 1


def test_the_trail_as_before(house: NewsHouse) -> None:
    """Who listens changes nothing of the trail: what is recorded is read there."""
    patient = house.patient(1)
    events = house.webhooks().listening(house.durable.events)
    events.record(house.happens("patient.viewed", patient))
    events.record(house.happens("enrolment.made", patient))

    assert [event.kind for event in events.since(NOW)] == ["patient.viewed", "enrolment.made"]
    assert [event.kind for event in events.of_person(patient.person, 1)] == ["enrolment.made"]
