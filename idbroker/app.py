"""The composition root: the one module that knows every room."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from idbroker import config, logs
from idbroker.accounts.records import Accounts, Enrolments, Records
from idbroker.asking import Asking
from idbroker.backchannel import Backchannel
from idbroker.broker import Broker
from idbroker.client import ConfiguredClients
from idbroker.clock import Clock, SystemClock
from idbroker.credentials import Credential, Credentials
from idbroker.eids import make_providers, needed_chains
from idbroker.farewell import Afterwards, Farewell
from idbroker.grant import Grant
from idbroker.keeping import Copies, Copy, SealedTransient, Shelf, Tallies
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, ensure_keys
from idbroker.keyset import Use
from idbroker.lookout import Lookout
from idbroker.moves import Moves
from idbroker.offices import Offices, open_foyer, open_offices
from idbroker.oidc import discovery
from idbroker.oidc.client_auth import Authenticator
from idbroker.oidc.client_keys import ClientKeys
from idbroker.outbound import GuardedFetch, GuardedPost
from idbroker.providers import Means, Provider
from idbroker.providers._http import kept_session
from idbroker.rooms import Given, Rooms, open_counter, open_rooms
from idbroker.sealed_rows import ROWS
from idbroker.sealing import Sealer
from idbroker.session import Session
from idbroker.session_index import Resting, SessionIndex
from idbroker.signon import Signon
from idbroker.signout import Signout
from idbroker.store import TransientStore, open_durable, open_transient
from idbroker.store.durable import Durable
from idbroker.tokens import Tokens, once
from idbroker.transaction import Transaction
from idbroker.waits import Waits
from idbroker.wards import Wards, open_wards
from idbroker.web.browser import Cookies
from idbroker.web.front import make_web
from idbroker.web.me import own_pages
from idbroker.web.pages import Pages
from idbroker.web.site import Site
from idbroker.webhooks import Webhooks
from idbroker.words import Words

CONFIG_VARIABLE = "IDBROKER_CONFIG"
CONFIG_FILE = "config.toml"


@dataclass(frozen=True, kw_only=True)
class House:
    """The collaborators that the rooms share."""

    settings: config.Settings
    clock: Clock
    durable: Durable
    transient: TransientStore
    keyring: Keyring
    clients: ConfiguredClients
    providers: Mapping[str, Provider]
    sealed: SealedTransient
    lookout: Lookout
    backchannel: Backchannel
    webhooks: Webhooks
    sealer: Sealer
    sessions: Shelf[Session]
    index: SessionIndex
    afterwards: Shelf[Afterwards]
    grants: Shelf[Grant]
    tokens: Tokens
    signout: Signout
    given: Given
    rooms: Rooms
    wards: Wards
    offices: Offices
    words: Words
    upstreams: list[requests.Session]
    sandbox: bool = False

    def start(self) -> None:
        """Begin to send what waits to be sent: messages to people, word to services."""
        self.backchannel.start()
        self.webhooks.start()
        self.rooms.counter.messages.start()
        self.wards.start()

    def close(self) -> None:
        """Let go of everything: stores, connections, threads."""
        self.lookout.close()
        self.backchannel.close()
        self.webhooks.close()
        self.wards.close()
        self.rooms.counter.close()
        for session in self.upstreams:
            session.close()
        self.transient.close()
        self.durable.close()


def open_house(settings: config.Settings, base: Path, *, clock: Clock | None = None, sandbox: bool = False) -> House:
    """Open the stores and read the keys. `base` is where relative paths begin.

    Raises OperatorError for keys or addresses that cannot be used.
    """
    clock = clock or SystemClock()
    durable, transient = open_stores(settings, base, clock)
    key_store = open_keys(settings, base)
    ensure_keys(key_store, clock, sandbox=sandbox, chains=needed_chains(settings))
    keyring = Keyring(key_store, sandbox=sandbox)
    upstreams: list[requests.Session] = []

    def http(**options: Any) -> requests.Session:
        upstreams.append(kept_session(**options, sandbox=sandbox))
        return upstreams[-1]

    sealed = SealedTransient(transient, keyring.sealing_keys)
    sealer = Sealer(keyring.sealing_keys)
    tallies = Tallies(transient)
    words = Words()
    own = own_pages(settings.server.issuer, settings.clinics, words)
    clients = ConfiguredClients(settings.clients, durable.clients, own)
    webhooks = Webhooks(
        clock=clock,
        rows=durable.webhooks,
        outbox=durable.webhook_notices,
        clients=clients,
        enrolments=durable.enrolment_rows,
        events=durable.events,
        sealer=sealer,
        post=GuardedPost(sandbox=sandbox).send,
    )
    given = Given(
        settings=settings,
        clock=clock,
        sealed=sealed,
        tallies=tallies,
        sealer=sealer,
        clients=clients,
        events=webhooks.listening(durable.events),
        outbox=durable.messages,
        records=open_records(durable, sealer),
        http=http,
        words=words,
    )
    counter = open_counter(given)
    foyer = open_foyer(given, counter, durable.staff_rows)
    means = Means(
        clock=clock,
        http=http,
        keys=keyring,
        issuer=settings.server.issuer,
        once=once(transient, clock),
        copies=Copies(Shelf(sealed, "m", Copy)),
        tally=tallies,
        desk=counter.desk,
        assisting=foyer.assisting,
        entrance=foyer.entrance,
        sandbox=sandbox,
    )
    made = make_providers(settings, means)
    backchannel = Backchannel(
        issuer=settings.server.issuer,
        clock=clock,
        outbox=durable.logout_notices,
        clients=clients,
        events=durable.events,
        signing=keyring.signing,
        subject_secret=lambda: keyring.secret(Use.SUBJECT),
        post=GuardedPost(sandbox=sandbox),
    )
    sessions, grants = Shelf(sealed, "s", Session), Shelf(sealed, "g", Grant)
    index = SessionIndex(Shelf(sealed, "u", Resting), settings.session.absolute, lambda key: bool(sessions.get(key)))
    tokens = Tokens(
        issuer=settings.server.issuer,
        clock=clock,
        grants=grants,
        refresh_tokens=durable.refresh_tokens,
        clients=clients,
        events=durable.events,
        keys=keyring,
        sealer=sealer,
        died=given.records.died,
    )
    signout = Signout(
        issuer=settings.server.issuer,
        clock=clock,
        sessions=sessions,
        index=index,
        farewells=Shelf(sealed, "f", Farewell),
        afterwards=Shelf(sealed, "a", Afterwards),
        tokens=tokens,
        clients=clients,
        providers=made,
        notify=backchannel.tell,
        wake=backchannel.wake,
        once=once(transient, clock),
        events=durable.events,
        delegations=durable.delegations,
        notify_one=backchannel.tell_of,
        ended=foyer.assisting.ended,
    )
    wards = open_wards(given, counter, durable, lambda: keyring.secret(Use.SUBJECT), signout, foyer.assisting.lapse)
    rooms = open_rooms(given, counter, signout, durable.events, wards)
    return House(
        settings=settings,
        clock=clock,
        durable=durable,
        transient=transient,
        keyring=keyring,
        clients=clients,
        providers=made,
        sealed=sealed,
        lookout=Lookout(Shelf(sealed, "t", Transaction), transient, made, clock),
        backchannel=backchannel,
        webhooks=webhooks,
        sealer=sealer,
        sessions=sessions,
        index=index,
        afterwards=signout.afterwards,
        grants=grants,
        tokens=tokens,
        signout=signout,
        given=given,
        rooms=rooms,
        wards=wards,
        offices=open_offices(
            given, counter, rooms, foyer, made, signout, durable.events, durable, durable.merges, wards.noting, webhooks
        ),
        words=words,
        upstreams=upstreams,
        sandbox=sandbox,
    )


def open_records(durable: Durable, sealer: Sealer) -> Records:
    """Return the records of accounts in a durable store."""
    return Records(
        accounts=Accounts(durable.account_rows, sealer),
        enrolments=Enrolments(durable.enrolment_rows, sealer),
        links=durable.links,
        consents=durable.consents,
    )


def open_stores(settings: config.Settings, base: Path, clock: Clock) -> tuple[Durable, TransientStore]:
    """Open both stores. SQLite files are made beside the configuration."""
    workers = settings.server.workers
    durable = open_durable(at_home(settings.store.durable, base), clock, workers=workers)
    transient = open_transient(at_home(settings.store.transient, base), clock, workers=workers)
    return durable, transient


def open_tables(settings: config.Settings, base: Path, clock: Clock) -> Durable:
    """Open the durable store with its tables made or brought to this version."""
    durable, transient = open_stores(settings, base, clock)
    transient.close()
    durable.migrate()
    return durable


def open_keys(settings: config.Settings, base: Path) -> KeyFiles:
    """Return the folder of our keys."""
    passphrase = settings.keys.passphrase_file
    return KeyFiles(base / settings.keys.folder, base / passphrase if passphrase else None)


def rewrap(settings: config.Settings, base: Path, newest: int, batch: int) -> int:
    """Seal up to `batch` of the store's values with the newest data key, each bound to its row; return what is left."""
    sealer = Sealer(Keyring(open_keys(settings, base)).sealing_keys)
    durable = open_tables(settings, base, SystemClock())
    for value in durable.sealed.not_by(newest, batch):
        row = ROWS[value.column](*value.key)
        durable.sealed.replace(value, sealer.seal(sealer.open(value.sealed, row), row))
    left = durable.sealed.count_not_by(newest)
    durable.close()
    return left


def at_home(url: str, base: Path) -> str:
    """Return a store's address with a relative SQLite path made absolute, its folder made."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path:
        return url
    file = (base / path).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{file}"


def make_site(house: House) -> Site:
    """Put everything together for the web."""
    issuer, clock, durable, keyring = house.settings.server.issuer, house.clock, house.durable, house.keyring
    signon = Signon(
        clock=clock,
        sessions=house.sessions,
        index=house.index,
        afterwards=house.afterwards,
        grants=house.grants,
        persons=durable.persons,
        records=durable,
        events=durable.events,
        sealer=house.sealer,
        subject_secret=lambda: keyring.secret(Use.SUBJECT),
        settings=house.settings.session,
        end=house.signout.end_all,
        keep_evidence=house.settings.evidence.keep,
        test_people=house.sandbox or house.settings.server.test_people,
        schedule=house.backchannel.tell_in_time,
        delegations=durable.delegations,
        stands=house.offices.assisting.stands,
    )
    transactions = Shelf(house.sealed, "t", Transaction)
    moves = Moves(
        issuer=issuer,
        clock=clock,
        clients=house.clients,
        clinics=house.settings.clinics,
        providers=house.providers,
        transactions=transactions,
        signon=signon,
        asking=Asking(
            issuer=issuer,
            providers=house.providers,
            questions=house.rooms.questions,
            records=house.rooms.counter.records,
        ),
        events=durable.events,
    )
    waits = Waits(moves=moves, lookout=house.lookout, transient=house.transient)
    house.lookout.serve(waits)
    shelf = Shelf(house.sealed, "x", Credential)
    pages = Pages(house.words, sandbox=house.sandbox)
    return Site(
        issuer=issuer,
        clock=clock,
        broker=Broker(moves=moves, waits=waits),
        waits=waits,
        tokens=house.tokens,
        credentials=Credentials(issuer=issuer, clock=clock, clients=house.clients, shelf=shelf),
        signout=house.signout,
        recovery=house.rooms.recovery,
        own=house.rooms.own,
        children=house.rooms.children,
        undelivered=house.rooms.counter.undelivered,
        authenticator=Authenticator(
            clients=house.clients, keys=ClientKeys(GuardedFetch()), issuer=issuer, use_once=once(house.transient, clock)
        ),
        clients=house.clients,
        clinics=house.settings.clinics,
        keys=keyring,
        requests=Shelf(house.sealed, "r", dict[str, str]),
        pages=pages,
        more=house.offices.routes(house.given, pages.asset, house.webhooks, sandbox=house.sandbox),
        cookies=Cookies(secure=issuer.startswith("https://")),
        metadata=discovery.document(issuer),
        ready=_readiness(durable, house.transient),
        registers=frozenset(house.wards.registers.elsewhere),
        kinds={name: table.kind for name, table in house.settings.providers.items()},
        sandbox=house.sandbox,
        proxies=house.settings.server.proxies,
        address_header=house.settings.server.address_header,
        streams=min(8, house.settings.server.threads // 4),
        origins=lambda name: getattr({**house.providers, **house.wards.registers.elsewhere}.get(name), "origins", ()),
    )


def _readiness(durable: Durable, transient: TransientStore) -> Callable[[], None]:
    def ask() -> None:
        durable.ping()
        transient.ping()

    return ask


def config_path(given: str | None = None) -> Path:
    """Return the configuration file: given, in the environment, or config.toml here."""
    return Path(given or os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE).absolute()


def wsgi() -> Flask:
    """Return the application a WSGI server loads in each worker."""
    settings = config.load(path := config_path())
    logs.set_up(settings.log.level, settings.log.format)
    house = open_house(settings, path.parent)
    atexit.register(house.close)
    house.start()
    return make_web(make_site(house))
