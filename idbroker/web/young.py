"""What somebody is told who is too young for the way they chose: plainly, for it is about themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.guardianship.entering import ways_of
from idbroker.identity import LoA
from idbroker.patients.assisting import PROVIDER
from idbroker.web.views import Notice

KEY = "e.young"


def spelled_out(
    notice: Notice, client: Client, clinic: Clinic, levels: Mapping[str, LoA], names: Iterable[str], tried: str
) -> Notice:
    """Return the notice with the age that was missing, and what a younger person does at this service.

    `names` are the providers that the service offers, `levels` what each can prove, `tried` the one that was chosen.
    Nothing is told that rests on who it was: the sentences are the same for everybody who is too young here.
    """
    if notice.key != KEY:
        return notice
    limits = clinic.limits.but(client.ages)
    ways = ways_of(client, (levels[name] for name in names if name != PROVIDER))
    password = levels.get(tried) is LoA.LOW
    younger = {
        f"{KEY}.code": limits.code_until if ways.code and not password else 0,
        f"{KEY}.acts": limits.guardian_until if ways.guardian else 0,
    }
    besides = tuple((key, age) for key, age in younger.items() if age)
    return replace(notice, key=f"{KEY}.pw" if password else KEY, age=limits.eid_from, besides=besides)
