"""One sandbox world: the broker, its simulated eIDs, its portals, wired as production wires them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from zoneinfo import ZoneInfo

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from idbroker import config
from idbroker.ages import day_of
from idbroker.app import House, make_site, open_house, open_keys
from idbroker.client import Client, secret_digest
from idbroker.clock import Clock, MovableClock
from idbroker.errors import ConfigError, OperatorError
from idbroker.identity import Identity
from idbroker.keyring import carry_out
from idbroker.keyset import Rules, Use
from idbroker.numbers import NationalNumber
from idbroker.person import person_keys
from idbroker.providers import Described, Provider
from idbroker.registration import Mistake
from idbroker.rotation import plan_rotation
from idbroker.sandbox import bankid, borgeradgang, freja, gateways, mailserver, mitid, register, suomifi, valtuudet
from idbroker.sandbox.bankid import SimBankID, make_bankid
from idbroker.sandbox.borgeradgang import SimGateway, make_borgeradgang
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import SimFreja, make_freja
from idbroker.sandbox.gateways import SimSms, make_gateways
from idbroker.sandbox.inbox import Inbox
from idbroker.sandbox.mailserver import SimMail
from idbroker.sandbox.mitid import SimClient, make_mitid
from idbroker.sandbox.orders import Phone
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.portal.key import PortalKey, new_portal_key
from idbroker.sandbox.register import SimRegister, make_register
from idbroker.sandbox.seeding import Meet, Seeding, invite
from idbroker.sandbox.settings import KEYED, MITID_CLIENT, OWN_CLINIC, PROGRAMS, SECRET, STAFFED, document
from idbroker.sandbox.staff import AtWork, at_work, hire
from idbroker.sandbox.suomifi import SimSuomiFi, make_suomifi
from idbroker.sandbox.tables import (
    Addresses,
    bankid_table,
    borgeradgang_table,
    channels,
    freja_table,
    suomifi_table,
)
from idbroker.sandbox.valtuudet import SimValtuudet, beside, make_valtuudet
from idbroker.web.front import make_web

# Nobody outside has cached a key set of the sandbox for a day: here a rotation takes effect at once.
_NO_WAITING = Rules(jwks_cache=timedelta(), skew=timedelta(), undo=timedelta(), repeat=timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How the demo portals, and the clinics' own programs, prove who they are, by name."""

    secrets: Mapping[str, str] = field(repr=False)
    keys: Mapping[str, PortalKey]

    def proof(self, portal: str) -> str | PortalKey:
        """Return one portal's."""
        return self.keys[portal] if portal in self.keys else self.secrets[portal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A portal that was registered here, with its secret in clear, this once."""

    client: Client
    secret: str | None = field(repr=False)


class RegistrationRefused(Exception):
    """A portal was not registered: `mistakes` says everything that is wrong, in words."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        super().__init__("the registration has mistakes")
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything there is between two resets."""

    addresses: Addresses
    folder: Path
    document: Mapping[str, Any] = field(repr=False)
    credentials: Credentials
    clock: MovableClock
    faults: Faults
    inbox: Inbox
    people: tuple[SimPerson, ...] = field(repr=False)
    custody: Custodies = field(repr=False)
    house: House
    web: Flask
    mitid: WSGIApplication
    bankid: SimBankID
    freja: SimFreja
    suomifi: SimSuomiFi
    valtuudet: SimValtuudet
    borgeradgang: SimGateway
    sms: WSGIApplication
    mail: SimMail

    @property
    def phones(self) -> Mapping[str, Phone]:
        """Return the apps that are on people's phones, by provider."""
        return {"bankid": self.bankid.phone, "freja": self.freja.phone}

    @property
    def suomi(self) -> WSGIApplication:
        """Return what the servers of Suomi.fi answer: e-Identification and e-Authorizations."""
        return beside(self.valtuudet, self.suomifi.app)

    def staff(self) -> tuple[AtWork, ...]:
        """Return who works at the clinics, with what they type now. Raises StoreError."""
        return at_work(self.house.offices.members, self.clock.now())

    @property
    def programs(self) -> tuple[Registered, ...]:
        """Return the clinics' own programs, with their secrets."""
        clients = (client for client in self.house.settings.clients if client.id in PROGRAMS)
        return tuple(Registered(client=client, secret=self.credentials.secrets[client.id]) for client in clients)

    def register(self, wish: Mapping[str, Any]) -> Registered:
        """Register a portal; what is not said is safe or made up. RegistrationRefused names every mistake."""
        table = {"name": "Your own app", "clinic": OWN_CLINIC, **wish}
        name = table.pop("client_id", None) or table.pop("id", None) or f"app-{secrets.token_hex(4)}"
        if not isinstance(name, str):
            raise RegistrationRefused([("client_id", "must be a text")])
        if self.house.clients.find(name) is not None:
            raise RegistrationRefused([("client_id", f"{name} is taken; leave it out to be given one")])
        secret = None
        if str(table.get("auth_method", "client_secret_basic")).startswith("client_secret"):
            secret = secrets.token_urlsafe(32)
            table["secret_digests"] = [secret_digest(secret)]
        client = _checked_client(self.document, name, table)
        self.house.clients.save(client)
        return Registered(client=client, secret=secret)

    def begin(self) -> None:
        """Let messages go, once the mail server delivers into this world; those of its first day among them."""
        self.house.start()
        clients = {client.id: client for client in self.house.settings.clients}
        invite(self.people, self.house.rooms.activation, clients, self.house.settings.clinics, self.clock.now())

    def rotate_keys(self) -> str:
        """Sign with new keys from now on, and return the new ES256 key's id."""
        now = self.clock.now()
        store = open_keys(self.house.settings, self.folder)
        keys = carry_out(store, plan_rotation(store.load(), _NO_WAITING, now, Use.OIDC_SIGN), "sandbox", now)
        return next(key.kid for key in keys.keys if key.active_at == now and key.alg == "ES256")

    def close(self) -> None:
        """Let go of the stores, and of everybody who waits for a slow eID. The files stay."""
        self.faults.clear()
        self.house.close()


def make_world(folder: Path, addresses: Addresses) -> World:
    """Make a world in a folder: keys, stores, people, broker and simulators. OperatorError if it cannot be."""
    clock = MovableClock()
    people = cast(*(day_of(clock.now(), ZoneInfo(zone)) for zone in ("Europe/Copenhagen", "Europe/Helsinki")))
    check_cast(people)
    custody = Custodies(people)
    faults = Faults(
        {
            "mitid": mitid.LIES, "bankid": bankid.LIES, "freja": freja.LIES, "suomifi": suomifi.LIES,
            "borgeradgang": borgeradgang.LIES, "email": mailserver.LIES, "sms": gateways.LIES,
            register.NAME: register.LIES, valtuudet.PROVIDER: valtuudet.LIES,
        }
    )  # fmt: skip
    credentials = Credentials(
        secrets={portal: secrets.token_urlsafe(32) for portal in (*SECRET, *PROGRAMS)},
        keys={portal: new_portal_key() for portal in KEYED},
    )
    inbox, sms_token, register_token = Inbox(clock), secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    families = SimRegister(people=people, custody=custody, faults=faults, token=register_token)
    sim_bankid = make_bankid(
        people, clock, faults, app_link=f"{addresses.phone}/bankid", folder=_folder(folder / "bankid")
    )
    sim_freja = make_freja(people, clock, faults, app_link=f"{addresses.phone}/freja", folder=_folder(folder / "freja"))
    ours = OurMetadata(clock)
    sim_suomifi = make_suomifi(people, clock, faults, addresses.suomifi, ours, folder=_folder(folder / "suomifi"))
    sim_borgeradgang = make_borgeradgang(
        people, clock, faults, addresses.borgeradgang, ours, folder=_folder(folder / "borgeradgang")
    )
    sim_valtuudet = make_valtuudet(
        people, custody, clock, faults, (f"{addresses.issuer}/callback/{valtuudet.PROVIDER}",),
        folder=_folder(folder / valtuudet.PROVIDER),
    )  # fmt: skip
    settings = document(
        issuer=addresses.issuer,
        portals=addresses.portals,
        mitid=addresses.mitid,
        eids={
            "bankid": bankid_table(sim_bankid, addresses),
            "freja": freja_table(sim_freja, addresses),
            "suomifi": suomifi_table(sim_suomifi),
            "borgeradgang": borgeradgang_table(sim_borgeradgang),
        },
        secrets={portal: secret_digest(secret) for portal, secret in credentials.secrets.items()},
        jwks={portal: key.jwks for portal, key in credentials.keys.items()},
        channels=channels(addresses, sms_token),
        registers={
            register.NAME: register.table(addresses.sms, register_token, folder),
            valtuudet.PROVIDER: valtuudet.table(sim_valtuudet, addresses.suomifi),
        },
    )
    house = open_house(config.read(settings), folder, clock=clock, sandbox=True)
    house.durable.migrate()
    house.rooms.counter.messages.draw = timedelta  # links come at once: there is nobody to be hidden here
    Seeding(
        records=house.rooms.counter.records,
        guardianships=house.wards.guardianships,
        clinics=house.settings.clinics,
        passwords=house.settings.passwords,
        now=clock.now(),
        meet=_meeting(house, addresses),
    ).seed(people)
    hire(house.offices.members, house.settings.passwords, STAFFED, clock.now())
    ours.know(addresses.issuer, house.providers)
    web = make_web(make_site(house))
    return World(
        addresses=addresses,
        folder=folder,
        document=settings,
        credentials=credentials,
        clock=clock,
        faults=faults,
        inbox=inbox,
        people=people,
        custody=custody,
        house=house,
        web=web,
        mitid=_mitid(people, clock, faults, addresses, house),
        bankid=sim_bankid,
        freja=sim_freja,
        suomifi=sim_suomifi,
        valtuudet=sim_valtuudet,
        borgeradgang=sim_borgeradgang,
        # Both are other companies' machines, which nobody opens in a browser: one port does.
        sms=DispatcherMiddleware(
            make_gateways(SimSms(inbox=inbox, faults=faults, secret=sms_token)),
            {register.MOUNT: make_register(families)},
        ),
        mail=SimMail(inbox=inbox, faults=faults),
    )


class OurMetadata:
    """What the simulators of SAML eIDs know of us: our metadata as it is now, by our entity id.

    In real life an operator uploads it; here they read it whenever they need it, so that a rotation of
    our keys reaches them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._described: Mapping[str, Described] = {}

    def know(self, issuer: str, providers: Mapping[str, Provider]) -> None:
        """Know these providers, once there are any: the simulators are made before them."""
        found = {name: provider for name, provider in providers.items() if isinstance(provider, Described)}
        self._described = {f"{issuer}/metadata/{name}": provider for name, provider in found.items()}

    def __call__(self) -> Mapping[str, bytes]:
        """Return the documents."""
        now = self._clock.now()
        return {entity_id: provider.metadata(now) for entity_id, provider in self._described.items()}


def check_cast(people: Iterable[SimPerson]) -> None:
    """Refuse to start with anybody who could be real: a mistyped number here would be somebody's."""
    for person in people:
        if not person.is_made_up:
            raise OperatorError(
                f"the number of {person.id} could be a real person's",
                hint="the sandbox takes numbers from the test ranges only",
                code="real_number",
                exit_code=3,
            )


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _meeting(house: House, addresses: Addresses) -> Meet:
    """Return how somebody is met as if they had come with MitID, and its broker had told their number."""

    def meet(person: SimPerson, number: NationalNumber) -> str:
        now = house.clock.now()
        if "mitid" not in person.eids:
            return house.rooms.counter.records.accounts.person(number, now)
        came = Identity(
            provider="mitid",
            issuer=addresses.mitid,
            subject=mitid.subject_of(person),
            loa=person.loa,
            proved_at=now,
            number=number,
        )
        return house.durable.persons.meet(person_keys(came, house.sealer), now)

    return meet


def _mitid(
    people: Iterable[SimPerson], clock: Clock, faults: Faults, addresses: Addresses, house: House
) -> WSGIApplication:
    client = SimClient(
        id=MITID_CLIENT,
        redirect_uris=(f"{addresses.issuer}/callback/mitid",),
        post_logout_redirect_uris=(f"{addresses.issuer}/logout/mitid",),
        backchannel_logout_uri=f"{addresses.issuer}/logout/mitid",
        auth_method="private_key_jwt",
        jwks=lambda: json.loads(house.keyring.jwks().body),
    )
    return make_mitid(people, clock, faults, addresses.mitid, {client.id: client})


def _checked_client(settings: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> Client:
    """Read a registration with the checks of the configuration file."""
    if not isinstance(table.get("redirect_uris", []), list):
        raise RegistrationRefused([("redirect_uris", "must be a list of addresses")])
    try:
        return config.read({**settings, "clients": {name: table}}).clients[0]
    except ConfigError as error:
        raise RegistrationRefused(_by_setting(what) for _, what in error.mistakes) from error


def _by_setting(what: str) -> Mistake:
    """Return a mistake of the configuration by its setting: "scopes: must contain openid", "scops is not known"."""
    setting, colon, rest = what.partition(": ")
    return (setting, rest) if colon and setting.isidentifier() else (what.partition(" ")[0], what)
