"""Portals beside the sandbox's own, of the same eIDs: some are told of a logout by a message, some by a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from wsgiref.types import WSGIApplication

from idbroker.clock import SystemClock
from idbroker.sandbox.portal.danish import ALERIS_PORTAL
from idbroker.sandbox.portal.pages import Portal, make_portals
from idbroker.sandbox.portal.relying import Registration, RelyingParty
from tests.sandbox.loopback import serve
from tests.sandbox.running import Sandbox

# By eID: the clinic of the sandbox that takes it.
CLINICS: Mapping[str, str] = {"suomifi": "hyvinvointialue", "borgeradgang": "clinea"}
DOOR = "profile"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One portal: its address, and its side of the protocol."""

    name: str
    address: str
    party: RelyingParty = field(repr=False)

    @property
    def door(self) -> str:
        """Return a page that asks who one is."""
        return f"{self.address}/{DOOR}"

    def asking(self, **more: str) -> str:
        """Return where the browser is sent to log in."""
        return self.party.begin(DOOR, more)[1]


@dataclass(kw_only=True)
class Neighbours:
    """All of them, by eID and by how they are told."""

    told: dict[str, Neighbour] = field(default_factory=dict)
    framed: dict[str, Neighbour] = field(default_factory=dict)


@contextmanager
def neighbours(sandbox: Sandbox) -> Iterator[Neighbours]:
    """Register and serve two portals for each eID until the block ends."""
    made = Neighbours()

    def street(address: str) -> WSGIApplication:
        # The host of the other portals and the broker: one site, so that cookies go into frames.
        here = address.replace("127.0.0.1", "localhost")
        for eid in CLINICS:
            made.told[eid] = _settle(sandbox, here, eid, framed=False)
            made.framed[eid] = _settle(sandbox, here, eid, framed=True)
        parties = [one.party for one in (*made.told.values(), *made.framed.values())]
        return make_portals([_portal(party) for party in parties], sandbox.issuer, ())

    with serve(street):
        yield made


def _settle(sandbox: Sandbox, here: str, eid: str, *, framed: bool) -> Neighbour:
    way = "frontchannel" if framed else "backchannel"
    name = f"{eid}-{'framed' if framed else 'told'}"
    address = f"{here}/{name}"
    wish: dict[str, Any] = {
        "client_id": name,
        "name": name.title(),
        "clinic": CLINICS[eid],
        "redirect_uris": [f"{address}/callback"],
        "post_logout_redirect_uris": [f"{address}/goodbye"],
        "start_url": f"{address}/",
        "sector": name,
        "scopes": ["openid", "profile"],
        f"{way}_logout_uri": f"{address}/{way}-logout",
        f"{way}_logout_session_required": True,
    }
    answer = sandbox.call("POST", "clients", wish)
    assert answer.status_code == 201, answer.text
    registration = Registration(
        issuer=sandbox.issuer,
        client_id=name,
        redirect_uri=f"{address}/callback",
        goodbye_uri=f"{address}/goodbye",
        scope="openid profile",
        language="en",
        proof=answer.json()["client_secret"],
        framed=framed,
    )
    return Neighbour(name=name, address=address, party=RelyingParty(registration, SystemClock()))


def _portal(party: RelyingParty) -> Portal:
    name = party.registration.client_id
    return Portal(service=replace(ALERIS_PORTAL, id=name, name=name.title()), party=party)
