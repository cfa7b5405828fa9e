"""Where a client's news goes."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import TypeAdapter

from idbroker.api import answers, shapes
from idbroker.api.operations import Call, Engines, Operation, Reply, Webhooks
from idbroker.api.problems import Problem, invalid
from idbroker.outbound import leads_inside
from idbroker.registration import uri_problem


def keep(engines: Engines, call: Call) -> Reply:
    """Say where news goes; the secret is a new one, and told this once."""
    url, kinds = call.body.url, list(call.body.kinds)
    if uri_problem(url) is not None or _inside(url):
        raise invalid("/url", "not_an_address")
    secret = _kept(engines).set(call.client, url, kinds, call.now)
    return Reply(body=answers.WebhookMade(url=url, kinds=kinds, secret=secret))


def tell(engines: Engines, call: Call) -> Reply:
    """Return where news goes."""
    found = _kept(engines).get(call.client)
    if found is None:
        raise Problem("not_found")
    return Reply(body=answers.WebhookTold(url=found.url, kinds=list(found.kinds)))


def remove(engines: Engines, call: Call) -> Reply:
    """Send no more news; asked again, there is still none."""
    _kept(engines).remove(call.client)
    return Reply(status=204)


def _inside(url: str) -> bool:
    """Tell whether an address is one of our own network: our server would knock at an inner door (SSRF)."""
    parts = urlsplit(url)
    return parts.scheme == "https" and leads_inside(parts.hostname or "")


def _kept(engines: Engines) -> Webhooks:
    if engines.webhooks is None:
        raise Problem("unavailable")
    return engines.webhooks


OPERATIONS = (
    Operation(
        name="setWebhook",
        method="PUT",
        path="/webhook",
        scope="webhooks",
        summary="Say where news goes, and which; the answer holds the secret that it is signed with, once",
        work=keep,
        takes=TypeAdapter(shapes.Hook),
        answers={200: answers.WebhookMade},
    ),
    Operation(
        name="getWebhook",
        method="GET",
        path="/webhook",
        scope="webhooks",
        summary="Read where news goes",
        work=tell,
        answers={200: answers.WebhookTold},
        problems=("not_found",),
    ),
    Operation(
        name="removeWebhook",
        method="DELETE",
        path="/webhook",
        scope="webhooks",
        summary="Have no more news sent",
        work=remove,
        answers={204: None},
    ),
)
