"""The composition root: the one module that knows every room."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from idbroker import config, logs, providers
from idbroker.broker import Broker
from idbroker.client import Client, ConfiguredClients
from idbroker.clock import Clock, SystemClock
from idbroker.grant import Grant
from idbroker.keeping import SealedTransient, Shelf
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, KeyStore, ensure_keys
from idbroker.keyset import Use
from idbroker.oidc import discovery
from idbroker.oidc.client_auth import Authenticator
from idbroker.oidc.client_keys import ClientKeys
from idbroker.outbound import GuardedFetch
from idbroker.providers import Means, Provider
from idbroker.providers._http import kept_session
from idbroker.sealing import Sealer
from idbroker.session import Session
from idbroker.signout import Signout
from idbroker.store import open_durable, open_transient
from idbroker.store.durable import Durable
from idbroker.tokens import Tokens, once
from idbroker.transaction import Transaction, Transient
from idbroker.web.browser import Cookies
from idbroker.web.front import make_web
from idbroker.web.pages import Pages
from idbroker.web.site import Site
from idbroker.web.words import Words

CONFIG_VARIABLE = "IDBROKER_CONFIG"
CONFIG_FILE = "config.toml"


@dataclass(frozen=True, kw_only=True)
class House:
    """The collaborators, wired."""

    settings: config.Settings
    durable: Durable
    transient: Transient
    keyring: Keyring
    clients: ConfiguredClients
    site: Site


def wire(
    settings: config.Settings,
    base: Path,
    *,
    clock: Clock | None = None,
    sandbox: bool = False,
    clients: tuple[Client, ...] | None = None,
) -> House:
    """Open the stores, read the keys and put everything together. `base` is where relative paths begin."""
    clock = clock or SystemClock()
    durable, transient = open_stores(settings, base, clock)
    key_store = open_keys(settings, base)
    ensure_keys(key_store, clock, sandbox=sandbox)
    keyring = Keyring(key_store, sandbox=sandbox)
    registered = ConfiguredClients(settings.clients if clients is None else clients, durable.clients)
    means = Means(clock=clock, http=kept_session, client_key=keyring.signing, sandbox=sandbox)
    site = _site(settings, clock, durable, transient, keyring, registered, _providers(settings, means), sandbox)
    return House(
        settings=settings, durable=durable, transient=transient, keyring=keyring, clients=registered, site=site
    )


def open_stores(settings: config.Settings, base: Path, clock: Clock) -> tuple[Durable, Transient]:
    """Open both stores. SQLite files are made beside the configuration."""
    workers = settings.server.workers
    durable = open_durable(at_home(settings.store.durable, base), clock, workers=workers)
    transient = open_transient(at_home(settings.store.transient, base), clock, workers=workers)
    return durable, transient


def open_keys(settings: config.Settings, base: Path) -> KeyStore:
    """Return the folder of our keys."""
    passphrase = settings.keys.passphrase_file
    return KeyFiles(base / settings.keys.folder, base / passphrase if passphrase else None)


def at_home(url: str, base: Path) -> str:
    """Return a store's address with a relative SQLite path made absolute, its folder made."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path:
        return url
    file = (base / path).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{file}"


def _providers(settings: config.Settings, means: Means) -> dict[str, Provider]:
    kinds = providers.kinds()
    return {name: kinds[table.kind].make(name, table.settings, means) for name, table in settings.providers.items()}


def _site(
    settings: config.Settings,
    clock: Clock,
    durable: Durable,
    transient: Transient,
    keyring: Keyring,
    clients: ConfiguredClients,
    eids: Mapping[str, Provider],
    sandbox: bool,
) -> Site:
    issuer = settings.server.issuer
    sealed = SealedTransient(transient, keyring.sealing_keys)
    sealer = Sealer(keyring.sealing_keys)
    sessions, grants = Shelf(sealed, "s", Session), Shelf(sealed, "g", Grant)
    broker = Broker(
        issuer=issuer,
        clock=clock,
        clients=clients,
        clinics=settings.clinics,
        providers=eids,
        transactions=Shelf(sealed, "t", Transaction),
        sessions=sessions,
        grants=grants,
        records=durable,
        events=durable.events,
        sealer=sealer,
        subject_secret=lambda: keyring.secret(Use.SUBJECT),
        session_settings=settings.session,
        sandbox=sandbox,
    )
    tokens = Tokens(
        issuer=issuer,
        clock=clock,
        grants=grants,
        refresh_tokens=durable.refresh_tokens,
        events=durable.events,
        keys=keyring,
        sealer=sealer,
    )
    words = Words()
    return Site(
        issuer=issuer,
        clock=clock,
        broker=broker,
        tokens=tokens,
        signout=Signout(clock=clock, sessions=sessions, tokens=tokens, events=durable.events),
        authenticator=Authenticator(
            clients=clients, keys=ClientKeys(GuardedFetch()), issuer=issuer, use_once=once(transient, clock)
        ),
        clients=clients,
        clinics=settings.clinics,
        keys=keyring,
        events=durable.events,
        requests=Shelf(sealed, "r", dict[str, str]),
        pages=Pages(words, sandbox=sandbox),
        words=words,
        cookies=Cookies(secure=issuer.startswith("https://")),
        metadata=discovery.document(issuer),
        ready=_readiness(durable, transient),
        sandbox=sandbox,
        proxies=settings.server.proxies,
        origins=lambda name: eids[name].origins,
    )


def _readiness(durable: Durable, transient: Transient) -> Callable[[], None]:
    def ask() -> None:
        durable.ping()
        transient.get("ping")

    return ask


def config_path(given: str | None = None) -> Path:
    """Return the configuration file: given, in the environment, or config.toml here."""
    return Path(given or os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE).absolute()


def wsgi() -> Flask:
    """Return the application a WSGI server loads in each worker."""
    path = config_path()
    settings = config.load(path)
    logs.set_up(settings.log.level, settings.log.format)
    return make_web(wire(settings, path.parent).site)

