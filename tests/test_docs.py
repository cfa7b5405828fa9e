"""The documents say what the code does: what can be compared is."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from idbroker import cli, config, evidence, session
from idbroker.accounts import passwords
from idbroker.accounts.account import Standing
from idbroker.accounts.recovery import TASK
from idbroker.client import Client
from idbroker.clinic import Clinic, PasswordRules, Terms
from idbroker.errors import ConfigError
from idbroker.guardianship import kinds as registers
from idbroker.messages import mail, sms
from idbroker.oidc import authorize, discovery, levels
from idbroker.otp import settings as codes
from idbroker.providers import bankid, freja, kind, kinds
from idbroker.providers._saml import SamlSettings
from idbroker.registration import RESPONSE_MODES, SCOPES
from idbroker.staff import settings as staff
from idbroker.words import read_texts

ROOT = Path(__file__).parents[1]
DOCS = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")))
TABLES: Mapping[str, tuple[type, ...]] = {
    "[server]": (config.Server,),
    "[store]": (config.Store,),
    "[keys]": (config.Keys,),
    "[log]": (config.Log,),
    "[session]": (session.Settings,),
    "[evidence]": (evidence.Settings,),
    "[passwords]": (passwords.Settings,),
    "[codes]": (codes.Settings,),
    "[email]": (mail.Settings,),
    "[sms]": (sms.Settings,),
    "[staff]": (staff.Settings,),
    "[providers.NAME]": (config.ProviderTable,),
    **{f'kind = "{name}"': (kind(name).Settings,) for name in kinds()},
    "[registers.NAME]": (config.RegisterTable,),
    **{f'kind = "{name}"': (registers.kind(name).Settings,) for name in registers.KINDS},
    "[clinics.NAME]": (Clinic,),
    "[clinics.NAME.password]": (PasswordRules,),
    "[clinics.NAME.terms]": (Terms,),
}
BY_TABLE = {
    ("[providers.NAME]", "kind"): "the table's name",
    ("[registers.NAME]", "kind"): "the table's name",
    ("[clinics.NAME]", "id"): "the table's name",
    ('kind = "borgeradgang"', "levels"): "NSIS'",
}
CHANNELS = {"email", "sms", "registers"}  # which a broker of eIDs alone does not need
SHARED = "### What SAML eIDs share"
UNITS = ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _section(text: str, heading: str) -> str:
    """Return what stands between a heading and the next of its rank or above."""
    rank = re.match(r"#+", heading)
    assert rank is not None
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(rank[0])}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"there is no {heading}"
    return found[1]


def _rows(section: str) -> dict[str, str]:
    """Return the tables' second column by the words in code of the first."""
    rows = re.findall(r"^\| (`.+?`) \| (.*?) \|", section, re.MULTILINE)
    return {name: second for first, second in rows for name in re.findall(r"`([^`]+)`", first)}


def _written(field: dataclasses.Field[Any]) -> str:
    """Return a default as the documents write it."""
    value = field.default
    if field.default_factory is dict or value in (None, (), ""):
        return "none"
    if value is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else "its own table"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        return next(f"`{seconds // size} {unit}`" for size, unit in UNITS if seconds % size == 0)
    return f"`{value}`"


def test_the_example_is_a_configuration_that_works() -> None:
    """config.example.toml is read without a mistake once the secret's digest is filled in."""
    text = _read("config.example.toml")
    document = tomllib.loads(text.replace("SUBSTITUTE-SECRET-DIGEST", "0" * 64))

    settings = config.read(document)

    assert set(document) | CHANNELS == {field.name for field in dataclasses.fields(config.Settings)}
    assert [client.id for client in settings.clients] == ["portal"]


def test_the_examples_of_other_eids_work(tmp_path: Path) -> None:
    """What config.example.toml shows behind `#`, eIDs, channels, terms and a clinic, is read without a mistake too."""
    for name in ("mail-password", "sms-password"):
        (tmp_path / name).write_text("a password")
    text = _read("config.example.toml").replace("SUBSTITUTE-SECRET-DIGEST", "0" * 64)
    text = text.replace("/etc/idbroker", tmp_path.as_posix())
    before, first, eids = text.partition("# [providers.")
    shown = re.sub(r"^# (\[[\w.-]+\]|\w+ = .*)$", r"\1", first + eids, flags=re.MULTILINE)

    settings = config.read(tomllib.loads(before + shown))

    assert {table.kind for table in settings.providers.values()} == set(kinds())
    assert [set(clinic.requirements) for clinic in settings.clinics.by_id.values()] == [set(), {"bankid", "freja"}]
    assert [clinic.registration for clinic in settings.clinics.by_id.values()] == ["off", "approval"]
    assert {type(settings.email), type(settings.sms)} == {mail.Settings, sms.Settings}


def test_the_example_names_only_placeholders_as_secrets() -> None:
    """Whoever forgets to fill in the example is told so: its placeholder for a secret is refused."""
    with pytest.raises(ConfigError, match="secret_digests"):
        config.read(tomllib.loads(_read("config.example.toml")))


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_is_documented_with_its_default(table: str) -> None:
    """docs/operating.md has each setting of each table, no other, and the default the code has."""
    text = _read("docs/operating.md")
    shared = _rows(_section(text, SHARED)) if any(issubclass(kind, SamlSettings) for kind in TABLES[table]) else {}
    rows = {**shared, **_rows(_section(text, f"### `{table}`"))}
    fields = [field for kind in TABLES[table] for field in dataclasses.fields(kind) if field.name != "settings"]
    defaults = {field.name: BY_TABLE.get((table, field.name)) or _written(field) for field in fields}

    assert rows == defaults


def test_every_table_is_documented() -> None:
    """Each table of the configuration has its section."""
    named = {table.strip("[]").split(".")[0] for table in TABLES if table[0] == "["} | {"clients"}

    assert named == {field.name for field in dataclasses.fields(config.Settings)}
    assert "### `[clients.NAME]`" in _read("docs/operating.md")


def test_every_requirement_is_documented() -> None:
    """docs/operating.md has each demand that a clinic may make of an eID, and no other."""
    rows = _rows(_section(_read("docs/operating.md"), "### `[clinics.NAME.requirements.NAME]`"))
    told = " ".join(judge({"nonsense": True})[0] for judge in (bankid.requirement_mistakes, freja.requirement_mistakes))

    assert set(rows) == set(re.findall(r"[a-z]+_[a-z]+|mrtd", told))


def test_every_line_of_the_log_is_documented() -> None:
    """docs/operating.md explains each event that the broker writes to its log."""
    text = _read("docs/operating.md")
    sources = [p.read_text("utf-8") for p in (ROOT / "idbroker").rglob("*.py") if "sandbox" not in p.parts]
    events = {name for s in sources for name in re.findall(r"\b_?log\.[a-z]+\(\s*\"([a-z_.]+)", s)}

    assert events > {"provider_failed", "fault"}
    assert [event for event in events if f"`{event}" not in text] == []


def test_every_kind_of_event_is_documented() -> None:
    """docs/operating.md explains each kind of event in the audit trail, and no other."""
    table = _section(_read("docs/operating.md"), "## Watching it").partition("| kind | when |")[2]
    told = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", " ".join(re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE))))
    firsts = "|".join({kind.partition(".")[0] for kind in told})
    others = {"sandbox", "migrations", "schema.py"}  # foreign keys are spelled as events are
    files = [file for file in ROOT.glob("idbroker/**/*.py") if not others & {*file.parts}]
    sources = "\n".join(file.read_text("utf-8") for file in files)
    written = set(re.findall(rf"\"((?:{firsts})\.[a-z_]+)\"", sources))

    assert len(told) > 40
    assert told == written | {f"enrolment.{standing}" for standing in Standing}


def test_every_kind_of_message_is_documented() -> None:
    """docs/operating.md names each kind of message that stands in the events."""
    letters, texts = _read("idbroker/accounts/letters.py"), _read("idbroker/otp/texts.py")
    kinds_of = {*re.findall(r'kind="([a-z]+)"', letters + texts), *re.findall(r'"m\.[a-z]+", "([a-z]+)"', letters)}
    row = re.search(r"^\| `message.sent`.*$", _read("docs/operating.md"), re.MULTILINE)

    assert {"code", "reset", "changed"} < kinds_of
    assert row is not None
    assert [kind for kind in (*kinds_of, TASK) if f"`{kind}`" not in row[0]] == []


def test_words_quoted_from_the_log_are_the_codes() -> None:
    """What docs/operating.md has operators look for is what the code writes."""
    text, headings = _read("docs/operating.md"), ("BankID or Freja", "A SAML eID or the trust network")
    sections = [_section(text, f"### {heading} does not work") for heading in headings]
    rows = [row for one in sections for row in re.findall(r"^\| (`.+?`.*?) \|", one, re.MULTILINE)[1:]]
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "idbroker").rglob("*.py") if "sandbox" not in p.parts)
    quoted = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}

    assert len(quoted) > 20
    assert [word for word in quoted if not all(part in source for part in word.split(": "))] == []


def test_every_field_of_a_registration_is_documented() -> None:
    """docs/integrating.md has each field of a client, and no other."""
    rows = _rows(_section(_read("docs/integrating.md"), "## Registration"))

    assert set(rows) == {field.name for field in dataclasses.fields(Client)}


def test_scopes_levels_and_prompts_are_documented() -> None:
    """Every scope, prompt and response mode we advertise is explained, and every family of levels."""
    text = _read("docs/integrating.md")
    advertised = discovery.document("https://login.example.org")
    words = (*SCOPES, *authorize.PROMPTS, *RESPONSE_MODES)
    shortened = {spelling.rsplit("/", 1)[1] for spelling in levels.SUPPORTED if "/" in spelling}

    assert [word for word in words if word not in text] == []
    assert [claim for claim in advertised["claims_supported"] if claim not in text] == []
    assert [last for last in shortened if last not in text] == []


def _commands(command: click.Command, path: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _commands(inner, f"{path} {name}")


def test_every_command_named_exists() -> None:
    """`idbroker …` in a document is a command of ours."""
    there = set(_commands(cli.idbroker, "idbroker"))
    known = there | {path.rsplit(" ", 1)[0] for path in there}
    named = re.compile(r"(?:^|[\s/`])idbroker(?: --config \S+)?((?: [a-z]+){1,2})", re.MULTILINE)
    said = {
        (name, words)
        for name in (*DOCS, "config.example.toml")
        for words in named.findall("\n".join(_code(_read(name))))
    }

    assert said
    assert [(name, words) for name, words in said if not _is_command(f"idbroker{words}", known)] == []


def test_every_command_is_named() -> None:
    """docs/operating.md names every command there is."""
    text = _read("docs/operating.md")

    assert [path for path in _commands(cli.idbroker, "idbroker") if f"`{path}" not in text] == []


def _code(text: str) -> list[str]:
    """Return what stands in code, where commands stand."""
    fence = r"^```\w*\n(.*?)^```"
    return re.findall(fence, text, re.DOTALL | re.MULTILINE) + re.findall(
        r"`[^`\n]+`", re.sub(fence, "", text, flags=re.DOTALL | re.MULTILINE)
    )


def _is_command(words: str, there: set[str]) -> bool:
    """Tell whether the words begin with a command: the last may be an argument of it."""
    return words in there or words.rsplit(" ", 1)[0] in there - {"idbroker"}


def test_options_named_exist() -> None:
    """An option in a table of commands is one of that command's."""
    text = _read("docs/operating.md")
    lines = re.findall(r"^\| `idbroker ([a-z]+(?: [a-z]+)?)(.*)$", text, re.MULTILINE)
    shown = {line: CliRunner().invoke(cli.idbroker, [*line[0].split(), "--help"]).output for line in lines}

    assert [
        (c, option) for c, rest in lines for option in re.findall(r"--[a-z-]+", rest) if option not in shown[c, rest]
    ] == []


@pytest.mark.parametrize("name", DOCS)
def test_links_lead_somewhere(name: str) -> None:
    """Each link to a file finds it, and each link to a heading finds that."""
    here = (ROOT / name).parent
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", _read(name)):
        link = target[0] or target[1]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        file = (here / path).resolve() if path else ROOT / name
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(link)

    assert broken == []


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_library_has_its_reason() -> None:
    """The README has one line for each run dependency, and none for any other."""
    asked = {
        re.split(r"[\[<>=~! ]", line)[0]
        for line in _read("requirements/run.in").splitlines()
        if line and not line.startswith("#")
    }
    rows = re.findall(
        r"^\| ([a-z0-9-]+) \| (.+) \|$", _section(_read("README.md"), "## What it stands on"), re.MULTILINE
    )

    assert {name for name, _ in rows} == asked
    assert len(rows) == len(asked)


def test_make_targets_exist() -> None:
    """Each `make …` in a document is a target."""
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    said = {word for name in DOCS for word in re.findall(r"(?:^|`)make ([a-z]+)", _read(name), re.MULTILINE)}

    assert {"sandbox", "test"} <= said <= targets


def test_the_layers_are_those_that_are_checked() -> None:
    """docs/design.md shows the layers of setup.cfg, word for word."""
    checked = ConfigParser()
    checked.read(ROOT / "setup.cfg")
    layers = checked["importlinter:contract:rooms"]["layers"].strip()
    heading = "## 5. Who may import whom (`setup.cfg`, checked by import-linter)"
    shown = re.search(r"```\n(.*?)\n```", _section(_read("docs/design.md"), heading), re.DOTALL)

    assert shown is not None
    assert shown[1].split("\n") == layers.split("\n")


def test_the_layout_names_what_is_there() -> None:
    """Each module of docs/design.md that is not marked as later exists, and each module of ours is in it."""
    layout = _section(_read("docs/design.md"), "## 2. Layout")
    now = re.sub(r"later: .*?(?=  what|\n)|\n  later:\n.*", "", layout, flags=re.DOTALL)
    top = {path.name for path in (ROOT / "idbroker").glob("*.py")} - {"__init__.py"}
    named = set(re.findall(r"\b[a-z_]+\.py\b", now))

    assert top - named == set()
    assert {name for name in named if not list((ROOT / "idbroker").rglob(name))} == set()


def test_tests_that_prove_exist() -> None:
    """Each test file that docs/security.md names is there."""
    text = _section(_read("docs/security.md"), "## Threats and answers")
    named = set(re.findall(r"`((?:[a-z]+/)?test_[a-z0-9_]+\.py)`", text))

    assert named
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


def test_every_known_attack_has_its_row() -> None:
    """docs/security.md answers every attack of RFC 9700 and every row of our list."""
    text = _section(_read("docs/security.md"), "## Threats and answers")
    firsts = " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))
    ours = {f"A{n}" for n in range(1, 28)} - {"A23"}  # DPoP, which there is not yet
    upstream = {f"B{n}" for n in range(1, 12)} | {f"E{n}" for n in range(1, 6)} | {f"S{n}" for n in range(1, 41)}
    ours |= {f"O{n}" for n in range(1, 15)}
    wanted = {f"4.{n}" for n in range(1, 18)} | ours | upstream
    ranges = re.findall(r"\bS([0-9]+) to S([0-9]+)", firsts)
    firsts += "".join(f" S{n}" for first, last in ranges for n in range(int(first), int(last)))

    assert [row for row in wanted if not re.search(rf"\b{re.escape(row)}\b", firsts)] == []


def test_words_quoted_from_our_pages_are_on_them() -> None:
    """What docs/operating.md says a patient sees is what the page says."""
    section = _section(_read("docs/operating.md"), "### A patient calls")
    texts = [re.sub(r"\{\w+\}", "…", text).replace("MitID", "…") for text in read_texts()["en"].values()]
    quoted = re.findall(r"^\| \"([^\"]+)\"", section, re.MULTILINE)

    assert quoted
    assert [q for q in quoted if not any(q.replace("MitID", "…").strip("… ") in text for text in texts)] == []


def test_pictures_are_small() -> None:
    """A picture of ours is under 60 kB."""
    assert {p.name: p.stat().st_size for p in (ROOT / "docs/images").iterdir() if p.stat().st_size >= 60_000} == {}
