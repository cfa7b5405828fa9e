"""What every store of webhooks promises (webhooks.WebhookRows and Outbox)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.events import Event
from idbroker.store import Durable
from idbroker.webhooks import Webhook, WebhookNotice, WebhookRow

MINUTE = timedelta(minutes=1)


def hook(durable: Durable, clock: StoppedClock, client: str) -> WebhookRow:
    """Keep a client's webhook."""
    url = f"https://{client}.example.org/"
    webhook = Webhook(client_id=client, url=url, kinds=("enrolled", "access_revoked"), since=clock.now())
    row = WebhookRow(webhook=webhook, sealed=b"\0\1sealed")
    durable.webhooks.save(row)
    return row


def notice(clock: StoppedClock, number: int, client: str = "a", **changes: Any) -> WebhookNotice:
    """Return one of many notices."""
    now = clock.now() + timedelta(seconds=number)
    one = WebhookNotice(
        id=f"{client[0]}{number:031}",
        client_id=client,
        kind="enrolled",
        at=now,
        patient="h" * 22,
        due_at=now,
        ends_at=now + timedelta(days=1),
    )
    return dataclasses.replace(one, **changes)


def keep(durable: Durable, clock: StoppedClock, *notices: WebhookNotice) -> None:
    """Record an event, with its notices."""
    durable.webhook_notices.record(Event(at=clock.now(), kind="enrolment.made"), notices)


def test_webhooks(durable: Durable, clock: StoppedClock) -> None:
    """A webhook comes back as it was kept; a newer one of the client takes its place; removed, it is gone."""
    first, other = hook(durable, clock, "a"), hook(durable, clock, "b")
    newer = dataclasses.replace(
        first, webhook=dataclasses.replace(first.webhook, url="https://new.example.org/", kinds=()), sealed=b"\0\2new"
    )

    assert durable.webhooks.find("a") == first
    durable.webhooks.save(newer)
    assert durable.webhooks.find("a") == newer
    assert durable.webhooks.all() == (newer.webhook, other.webhook)
    assert (durable.webhooks.remove("a"), durable.webhooks.remove("a")) == (True, False)
    assert durable.webhooks.find("a") is None


def test_saved_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Of many who keep a client's webhook at once, one is kept, and nobody is refused."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hook(durable, clock, "a"), range(16)))

    assert len(durable.webhooks.all()) == 1


def test_event_and_notices_together(durable: Durable, clock: StoppedClock) -> None:
    """An event and its notices are kept together, or neither is."""
    hook(durable, clock, "a")
    keep(durable, clock, notice(clock, 1))
    with pytest.raises(StoreError):
        keep(durable, clock, notice(clock, 2), notice(clock, 1))

    assert len(durable.events.since(clock.now())) == 1
    assert durable.webhook_notices.count() == 1


def test_due(durable: Durable, clock: StoppedClock) -> None:
    """What is due is taken, so many of each client, oldest first, and comes back after the lease."""
    for client in "ab":
        hook(durable, clock, client)
        keep(durable, clock, *(notice(clock, number, client) for number in range(3)))
    keep(durable, clock, notice(clock, 1, "removed"))
    clock.move(timedelta(seconds=2))
    outbox, now = durable.webhook_notices, clock.now()

    taken = outbox.due(now, MINUTE, 9, each=2)

    assert sorted(one.id[-1] + one.client_id for one in taken) == ["0a", "0b", "1a", "1b"]
    assert {(one.tries, one.due_at) for one in taken} == {(1, now + MINUTE)}
    assert [one.client_id for one in outbox.due(now, MINUTE, 9, each=2, without={"a"})] == ["b"]
    assert [one.client_id for one in outbox.due(now, MINUTE, 1, each=2)] == ["a"]
    assert outbox.due(now, MINUTE, 9, each=2) == ()
    assert {one.tries for one in outbox.due(now + MINUTE, MINUTE, 9, each=1)} == {2}


def test_later_and_done(durable: Durable, clock: StoppedClock) -> None:
    """Who took one may have it come back at a moment, or forget it; who was too slow for that changes nothing."""
    hook(durable, clock, "a")
    keep(durable, clock, notice(clock, 0))
    outbox, now = durable.webhook_notices, clock.now()
    (slow,) = outbox.due(now, MINUTE, 9, each=1)
    (mine,) = outbox.due(now + MINUTE, MINUTE, 9, each=1)

    outbox.later(slow, now)
    assert outbox.due(now + MINUTE, MINUTE, 9, each=1) == ()
    outbox.later(mine, now + MINUTE)
    (again,) = outbox.due(now + MINUTE, MINUTE, 9, each=1)
    assert again.tries == 3
    outbox.done(again)

    assert outbox.count() == 0


def test_each_to_one(durable: Durable, clock: StoppedClock) -> None:
    """Of many couriers at once each notice goes to one."""
    for client in "abcd":
        hook(durable, clock, client)
        keep(durable, clock, *(notice(clock, number, client) for number in range(10)))
    clock.move(MINUTE)

    def take(_: int) -> list[str]:
        return [one.id for one in durable.webhook_notices.due(clock.now(), MINUTE, 3, each=2)]

    with ThreadPoolExecutor(8) as pool:
        taken = [one for some in pool.map(take, range(40)) for one in some]

    assert len(taken) == len(set(taken)) == 40


def test_removed_with_what_waits(durable: Durable, clock: StoppedClock) -> None:
    """With a webhook goes what was to be told there, and nobody else's."""
    hook(durable, clock, "a")
    hook(durable, clock, "b")
    keep(durable, clock, notice(clock, 1), notice(clock, 1, "b"))

    durable.webhooks.remove("a")

    assert durable.webhook_notices.count() == 1
