"""What somebody is shown who is too young for the way they chose: the ways that are theirs, and a guardian's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.guardianship.entering import ways_of
from idbroker.identity import LoA
from idbroker.patients.assisting import PROVIDER
from idbroker.web.views import ChooseView, Notice, Way, Younger

KEY = "e.young"


def fitted(
    view: ChooseView, client: Client, clinic: Clinic, levels: Mapping[str, LoA], tried: str | None
) -> ChooseView:
    """Return the choice as it is for who was refused as too young; any other as it is.

    First the number and password of a child's own, where the service has them and its ages allow them; no eID, for
    each is refused by the same age. Below, an eID is a guardian's. `levels` is what each provider can prove, `tried`
    the one that was chosen. Nothing is told that rests on who it was: all who are too young here are shown the same.
    """
    if view.notice is None or view.notice.key != KEY:
        return view
    limits = clinic.limits.but(client.ages)
    ways = ways_of(client, (levels[way.value] for way in view.ways if way.value != PROVIDER))
    password = levels.get(tried or "") is LoA.LOW
    code_until = limits.code_until if ways.code and not password else 0
    acts = limits.guardian_until if ways.guardian else 0
    door = [way for way in view.ways if way.value == PROVIDER]
    codes = [way for way in view.ways if _is_code(way, levels) and way not in door]
    own = [replace(way, style="", hint=None) for way in codes] if code_until else []  # their first way, not the others'
    eids = [replace(way, last_used=False) for way in view.ways if not _is_code(way, levels)]
    return replace(
        view,
        notice=_spelled_out(view.notice, limits.eid_from, code_until, password=password),
        ways=(*own, *door),
        younger=Younger(ways=tuple(eids) if acts else (), acts=acts, by_password=code_until > 0),
    )


def _spelled_out(notice: Notice, eid_from: int, code_until: int, *, password: bool) -> Notice:
    """Return the notice with the age that was missing, and what a younger person does here themselves."""
    besides = ((f"{KEY}.code", code_until),) if code_until else ()
    return replace(notice, key=f"{KEY}.pw" if password else KEY, age=eid_from, besides=besides)


def _is_code(way: Way, levels: Mapping[str, LoA]) -> bool:
    return levels[way.value] is LoA.LOW
