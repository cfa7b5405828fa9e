"""One TOML file and the environment, read once into frozen settings; every mistake reported at once."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from idbroker import evidence, providers, session
from idbroker.accounts import passwords
from idbroker.client import Client
from idbroker.clinic import COUNTRIES, LANGUAGES, Clinic, Clinics, PasswordRules, Terms
from idbroker.clinic import mistakes_of as mistakes_of_clinic
from idbroker.errors import ConfigError
from idbroker.guardianship import kinds as registers
from idbroker.keyset import Rules
from idbroker.messages import mail, sms
from idbroker.otp import settings as codes
from idbroker.registration import Mistake, mistakes_of
from idbroker.staff import settings as staff

Table = TypeVar("Table")

PREFIX = "IDBROKER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`[server]`: our public address, where to listen, how many hands.

    `proxies` is how many reverse proxies stand in front and add to `address_header`. `test_people`
    lets people in whose numbers are for tests: for a broker in front of the eIDs' test environments.
    """

    issuer: str
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    threads: int = 32
    proxies: int = 0
    address_header: str = "Clientaddress"
    test_people: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """`[store]`: the addresses of the two stores. The defaults are files beside the configuration."""

    transient: str = "sqlite:///var/transient.db"
    durable: str = "sqlite:///var/idbroker.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """`[keys]`: the folder of our keys and the file with the passphrase they are encrypted by.

    `saml_cache` is the longest that a SAML partner goes on with a copy of our metadata: weeks, where
    people install it by hand. A new SAML key signs only after that.
    """

    folder: str = "keys"
    passphrase_file: str | None = None
    saml_cache: timedelta = Rules().saml_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """`[log]`: how much, and for machines (json) or people (text)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTable:
    """`[providers.NAME]`: the kind of provider, and the settings that kind has."""

    kind: str
    settings: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterTable:
    """`[registers.NAME]`: the kind of register, and the settings that kind has."""

    kind: str
    settings: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the operator decides."""

    server: Server
    store: Store = field(default_factory=Store)
    keys: Keys = field(default_factory=Keys)
    log: Log = field(default_factory=Log)
    session: session.Settings = field(default_factory=session.Settings)
    evidence: evidence.Settings = field(default_factory=evidence.Settings)
    passwords: passwords.Settings = field(default_factory=passwords.Settings)
    codes: codes.Settings = field(default_factory=codes.Settings)
    staff: staff.Settings = field(default_factory=staff.Settings)
    email: mail.Settings | None = None
    sms: sms.Settings | None = None
    providers: Mapping[str, ProviderTable] = field(default_factory=dict)
    registers: Mapping[str, RegisterTable] = field(default_factory=dict)
    clinics: Clinics = field(default_factory=Clinics)
    clients: tuple[Client, ...] = ()


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a file and the environment. ConfigError names every mistake with its table."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError([(str(path), "there is no such file; start from config.example.toml")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([(str(path), str(error))]) from error
    return read(with_environment(_at_home(document, path.parent), environment))


def _at_home(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document with every `…_file` and `…_files` of a provider or channel relative to the file's folder."""
    placed = {name: _placed_table(document[name], folder) for name in ("email", "sms", "staff") if name in document}
    for kind in ("providers", "registers"):
        tables = document.get(kind)
        if isinstance(tables, dict):
            placed[kind] = {name: _placed_table(table, folder) for name, table in tables.items()}
    return {**document, **placed}


def _placed_table(table: Any, folder: Path) -> Any:
    return {k: _placed(k, v, folder) for k, v in table.items()} if isinstance(table, dict) else table


def _placed(name: str, value: Any, folder: Path) -> Any:
    if name.endswith("_file") and isinstance(value, str):
        return str(folder / value)
    if name.endswith("_files") and isinstance(value, list):
        return [str(folder / each) if isinstance(each, str) else each for each in value]
    return value


def with_environment(document: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the document with IDBROKER_TABLE__KEY variables laid over it, as `[table] key`."""
    merged = {name: dict(table) if isinstance(table, dict) else table for name, table in document.items()}
    for variable, value in environment.items():
        path = variable.removeprefix(PREFIX).lower().split("__")
        if not variable.startswith(PREFIX) or len(path) < 2:
            continue
        table = merged
        for name in path[:-1]:
            table[name] = dict(table.get(name, {}))
            table = table[name]
        table[path[-1]] = value
    return merged


def read(document: Mapping[str, Any]) -> Settings:
    """Check a document and return the settings. ConfigError names every mistake with its table."""
    reading = _Reading()
    settings = reading.all(document)
    if reading.mistakes or settings is None:
        raise ConfigError(reading.mistakes)
    return settings


def read_client(document: Mapping[str, Any]) -> Client:
    """Return one registration, as a file or an API gives it. ConfigError names all that does not fit."""
    reading = _Reading()
    client = reading.client(str(document.get("id", "")), document)
    if reading.mistakes or client is None:
        raise ConfigError(reading.mistakes)
    return client


class _Reading:
    """Collects the mistakes while the tables are read."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def all(self, document: Mapping[str, Any]) -> Settings | None:
        self._unknown("the file", document, [f.name for f in dataclasses.fields(Settings)])
        server = self._table("server", document.get("server", {}), Server)
        tables: dict[str, Any] = {
            "store": self._table("store", document.get("store", {}), Store),
            "keys": self._table("keys", document.get("keys", {}), Keys),
            "log": self._table("log", document.get("log", {}), Log),
            "session": self._table("session", document.get("session", {}), session.Settings),
            "evidence": self._table("evidence", document.get("evidence", {}), evidence.Settings),
            "passwords": self._judged("passwords", document.get("passwords", {}), passwords),
            "codes": self._judged("codes", document.get("codes", {}), codes),
            "staff": self._judged("staff", document.get("staff", {}), staff),
            "email": self._judged("email", document["email"], mail) if "email" in document else None,
            "sms": self._judged("sms", document["sms"], sms) if "sms" in document else None,
        }
        kinds = self._providers(document)
        known_registers = self._registers(document, kinds)
        clinics = self._clinics(document, kinds)
        clients = self._clients(document, clinics)
        if server is not None:
            self._server(server)
        if tables["keys"] is not None:
            self._keys(tables["keys"])
        if tables["session"] is not None:
            self._session(tables["session"])
        if tables["evidence"] is not None:
            self._evidence(tables["evidence"])
        if self.mistakes or server is None:
            return None
        return Settings(
            server=server, **tables, providers=kinds, registers=known_registers, clinics=clinics, clients=clients
        )

    def _registers(self, document: Mapping[str, Any], eids: Mapping[str, ProviderTable]) -> dict[str, RegisterTable]:
        found = {}
        for name, table in self._tables(document, "registers"):
            where, kind = f"registers.{name}", table.get("kind", name)
            if kind not in registers.KINDS:
                said = f"kind {kind!r} is not known; there are {', '.join(registers.KINDS)}"
                self.mistakes.append((where, said))
                continue
            if name in eids or name in ("local", "powers"):
                self.mistakes.append((where, "its name is taken"))
            room = registers.kind(kind)
            settings = self._table(where, {k: v for k, v in table.items() if k != "kind"}, room.Settings)
            if settings is not None:
                self.mistakes += [(where, what) for what in room.mistakes(settings)]
                found[name] = RegisterTable(kind=kind, settings=settings)
        return found

    def _providers(self, document: Mapping[str, Any]) -> dict[str, ProviderTable]:
        kinds = providers.kinds()
        found = {}
        for name, table in self._tables(document, "providers"):
            where = f"providers.{name}"
            kind = table.get("kind", name)
            if kind not in kinds:
                self.mistakes.append((where, f"kind {kind!r} is not known; there are {', '.join(kinds)}"))
                continue
            rest = {key: value for key, value in table.items() if key != "kind"}
            settings = self._table(where, rest, providers.kind(kind).Settings)
            if settings is not None:
                found[name] = ProviderTable(kind=kind, settings=settings)
        return found

    def _clinics(self, document: Mapping[str, Any], kinds: Mapping[str, ProviderTable]) -> Clinics:
        found = {}
        for name, table in self._tables(document, "clinics"):
            whole = self._with_parts(f"clinics.{name}", self._with_id(f"clinics.{name}", name, table))
            clinic = self._table(f"clinics.{name}", whole, Clinic)
            if clinic is not None:
                found[name] = clinic
                self._clinic(clinic, set(kinds) | {n for n, _ in self._tables(document, "providers")})
                for register in sorted({*clinic.registers} - {n for n, _ in self._tables(document, "registers")}):
                    self.mistakes.append((f"clinics.{name}", f"there is no [registers.{register}]"))
                self._requirements(clinic, kinds)
        return Clinics(found)

    def _clinic(self, clinic: Clinic, known: set[str]) -> None:
        where = f"clinics.{clinic.id}"
        if clinic.country not in COUNTRIES:
            self.mistakes.append((where, f"country must be one of {', '.join(COUNTRIES)}"))
        for language in set(clinic.languages) - set(LANGUAGES):
            self.mistakes.append((where, f"language {language!r} is not known; there are {', '.join(LANGUAGES)}"))
        for name in sorted(set(clinic.providers) - known):
            self.mistakes.append((where, f"there is no [providers.{name}]"))
        if not clinic.providers:
            self.mistakes.append((where, "providers is empty: nobody could sign in"))
        self.mistakes += [(where, what) for what in mistakes_of_clinic(clinic)]

    def _with_parts(self, where: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return a clinic's table with the tables in it read: what is unknown there is said too."""
        parts: dict[str, type[Any]] = {"password": PasswordRules, "terms": Terms}
        read = {
            name: self._table(f"{where}.{name}", table[name], kind) for name, kind in parts.items() if name in table
        }
        return {
            **{k: v for k, v in table.items() if k not in parts},
            **{k: v for k, v in read.items() if v is not None},
        }

    def _requirements(self, clinic: Clinic, kinds: Mapping[str, ProviderTable]) -> None:
        """Let each kind of provider judge what the clinic demands of it; most take no demands."""
        for name, table in clinic.requirements.items():
            where = f"clinics.{clinic.id}.requirements.{name}"
            if name not in clinic.providers or name not in kinds:
                self.mistakes.append((where, f"{name} is not among the clinic's providers"))
                continue
            judge = getattr(providers.kind(kinds[name].kind), "requirement_mistakes", None)
            if judge is None:
                self.mistakes.append((where, f"{kinds[name].kind} takes no requirements"))
                continue
            self.mistakes += [(where, what) for what in judge(table)]

    def _clients(self, document: Mapping[str, Any], clinics: Clinics) -> tuple[Client, ...]:
        found = []
        for name, table in self._tables(document, "clients"):
            client = self.client(name, table)
            if client is not None:
                found.append(client)
                self.mistakes += [(f"clients.{name}", f"{s}: {what}") for s, what in mistakes_of(client, clinics)]
        return tuple(found)

    def client(self, name: str, table: Mapping[str, Any]) -> Client | None:
        """Read one client; a name that is one string is its name in every language."""
        service = table.get("name", name)
        named = {**table, "id": name, "name": {"en": service} if isinstance(service, str) else service}
        return self._table(f"clients.{name}", named, Client)

    def _server(self, server: Server) -> None:
        parts = urlsplit(server.issuer)
        if parts.path or parts.query or parts.fragment or not parts.hostname:
            self.mistakes.append(("server", "issuer must be scheme and host only, without a slash at the end"))
        elif parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1"):
            self.mistakes.append(("server", "issuer must be https (http only on localhost)"))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", server.address_header):
            self.mistakes.append(("server", "address_header must be a header's name: letters, digits and hyphens"))
        bounds = {"workers": (1, 64), "threads": (1, 512), "port": (1, 65535), "proxies": (0, 8)}
        for name, (least, most) in bounds.items():
            if not least <= getattr(server, name) <= most:
                self.mistakes.append(("server", f"{name} must be {least} to {most}"))

    def _keys(self, keys: Keys) -> None:
        if not timedelta(hours=1) <= keys.saml_cache <= timedelta(days=90):
            self.mistakes.append(("keys", "saml_cache must be 1 hour to 90 days"))

    def _session(self, limits: session.Settings) -> None:
        if not timedelta() < limits.idle <= limits.absolute <= timedelta(days=1):
            self.mistakes.append(("session", "idle must be above 0 and at most absolute, absolute at most 1 day"))

    def _evidence(self, settings: evidence.Settings) -> None:
        if not timedelta() <= settings.keep <= evidence.LONGEST:
            self.mistakes.append(("evidence", f"keep must be 0 to {evidence.LONGEST.days} days"))

    def _with_id(self, where: str, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
        if "id" in table:
            self.mistakes.append((where, "id is the table's name; take it out"))
        return {**table, "id": name}

    def _judged(self, name: str, table: Any, room: Any) -> Any:
        """Read a table of a room that says itself what is wrong with its settings."""
        settings = self._table(name, table, room.Settings)
        if settings is not None:
            self.mistakes += [(name, what) for what in room.mistakes(settings)]
        return settings

    # ---- reading one table -----------------------------------------------------------------------

    def _tables(self, document: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        tables = document.get(name, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            self.mistakes.append((name, f"must be tables: [{name}.NAME]"))
            return []
        return list(tables.items())

    def _table(self, where: str, table: Any, kind: type[Table]) -> Table | None:
        if not isinstance(table, dict):
            self.mistakes.append((where, "must be a table"))
            return None
        types = {f.name: str(f.type) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        self._unknown(where, table, list(types))
        known = {k: _duration(v) if "timedelta" in types[k] else v for k, v in table.items() if k in types}
        try:
            return TypeAdapter(kind).validate_python(known)
        except ValidationError as error:
            self.mistakes += [(where, _said(detail)) for detail in error.errors(include_input=False)]
            return None

    def _unknown(self, where: str, table: Mapping[str, Any], known: list[str]) -> None:
        for name in set(table) - set(known):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            self.mistakes.append((where, f"{name} is not known{hint}"))


def _duration(value: Any) -> Any:
    """Let "30 min" be a duration: TOML has none of its own."""
    units = {"s": 1, "sec": 1, "min": 60, "h": 3600, "days": 86400, "day": 86400, "d": 86400}
    match = re.fullmatch(r"(\d+) ?(s|sec|min|h|days?|d)", value) if isinstance(value, str) else None
    return int(match[1]) * units[match[2]] if match else value


def _said(detail: Any) -> str:
    """Return one of the validator's findings in a line; never the value, which may be a secret."""
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{place} is missing"
    return f"{place}: {detail['msg']}"
