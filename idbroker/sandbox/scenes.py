"""A world with its applications in front, and how a reset puts another one in its place."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from idbroker.sandbox.api import make_api
from idbroker.sandbox.console import console
from idbroker.sandbox.invitations import booked, invite
from idbroker.sandbox.phone import make_phone
from idbroker.sandbox.portal.doors import Service
from idbroker.sandbox.portal.pages import Portal, make_portals
from idbroker.sandbox.portal.relying import Registration, RelyingParty
from idbroker.sandbox.portal.rooms import Bookings
from idbroker.sandbox.portal.services import SERVICES
from idbroker.sandbox.settings import FRAMED, VIDEOVISIT
from idbroker.sandbox.skin import skin
from idbroker.sandbox.tables import Addresses
from idbroker.sandbox.world import World, make_world


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One world, and what the servers serve of it."""

    world: World
    issuer: WSGIApplication
    portals: WSGIApplication
    mitid: WSGIApplication


def make_scene(folder: Path, addresses: Addresses, reset: Callable[[], None]) -> Scene:
    """Make a world and put its applications in front."""
    world = make_world(folder, addresses)
    bookings = booked(world.people, world.clock.now())
    invite(world, bookings)
    world.web.register_blueprint(skin())
    world.web.register_blueprint(console(world, reset))
    return Scene(
        world=world,
        issuer=DispatcherMiddleware(
            world.web,
            {
                "/sandbox/api": make_api(world, reset),
                "/sandbox/phone": make_phone(world.phones, world.people, addresses.issuer),
            },
        ),
        portals=make_portals(
            [_portal(service, world, bookings) for service in SERVICES],
            addresses.issuer,
            (addresses.suomifi, addresses.borgeradgang),
        ),
        mitid=world.mitid,
    )


class Scenes:
    """The scene as it is now. A reset puts a new one in its place."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        self._home, self._addresses = home, addresses
        self._lock = threading.Lock()
        # A folder that is kept between runs has the keys and stores of the last one.
        self._number = max((int(path.name.removeprefix("world-")) for path in home.glob("world-[0-9]*")), default=1)
        self._now = self._make()
        self._now.world.begin()

    @property
    def now(self) -> Scene:
        """Return the scene as it is now."""
        return self._now

    def reset(self) -> None:
        """Make everything new. Requests under way end in the old world, whose files are deleted."""
        with self._lock:
            old = self._now
            self._number += 1
            self._now = self._make()
            self._now.world.begin()
            old.world.close()
            shutil.rmtree(old.world.folder, ignore_errors=True)

    def close(self) -> None:
        """End the last world; its files stay."""
        with self._lock:
            self._now.world.close()

    def application(self, pick: Callable[[Scene], WSGIApplication]) -> WSGIApplication:
        """Return an application that is always the present scene's."""

        def serve(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            return pick(self._now)(environ, start)

        return serve

    def _make(self) -> Scene:
        folder = self._home / f"world-{self._number}"
        folder.mkdir(parents=True, exist_ok=True)
        return make_scene(folder, self._addresses, self.reset)


def _portal(service: Service, world: World, bookings: Bookings) -> Portal:
    return Portal(
        service=service,
        party=_party(service, world),
        clinic=_clinic(service, world),
        bookings=bookings if service.id == VIDEOVISIT else Bookings(),
    )


def _clinic(service: Service, world: World) -> str:
    found = world.house.clients.find(service.id)
    return found.clinic if found is not None else ""


def _party(service: Service, world: World) -> RelyingParty:
    origin = world.addresses.portals
    registration = Registration(
        issuer=world.addresses.issuer,
        client_id=service.id,
        redirect_uri=f"{origin}/{service.id}/callback",
        goodbye_uri=f"{origin}/{service.id}/goodbye",
        scope=service.scope,
        language=service.language,
        proof=world.credentials.proof(service.id),
        framed=service.id in FRAMED,
    )
    return RelyingParty(registration, world.clock)
