"""The house keeps its own rules: those that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKIPPED = {".git", ".venv", "node_modules", "var", "build", "dist", "results", "__pycache__"}
TEXT = {
    "",
    ".cfg",
    ".css",
    ".html",
    ".in",
    ".js",
    ".json",
    ".md",
    ".mjs",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".xml",
    ".yml",
}
LONGEST = 400  # lines of a module: past that it is two concepts
DATA: frozenset[str] = frozenset()  # modules that are nothing but a table, by path
REFUSED_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils", "processor", "misc", "common"}

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("debian", "org/debian"),
    ]
] + ["-".join(["", "", *words]) for words in [("index", "url"), ("extra", "index", "url"), ("find", "links")]]
PRIVATE_PEM = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\s|\\n|[\"'])*[A-Za-z0-9+/=]{40}")
PRIVATE_JWK = re.compile(r"[\"']d[\"']\s*:\s*[\"'][A-Za-z0-9_-]{42,}[\"']")


def _files(*suffixes: str) -> Iterator[Path]:
    for folder, inside, names in os.walk(ROOT):
        inside[:] = sorted(
            name for name in inside if name not in SKIPPED and not name.endswith(("_cache", ".egg-info"))
        )
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in suffixes)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _modules(room: str) -> Iterator[tuple[str, ast.Module]]:
    for path in _files(".py"):
        name = _name(path)
        if name.startswith(f"{room}/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"), filename=name)


def _found(pattern: re.Pattern[str]) -> list[str]:
    return [_name(path) for path in _files(*TEXT) if pattern.search(path.read_text(encoding="utf-8", errors="replace"))]


@pytest.mark.parametrize("pattern", [PRIVATE_PEM, PRIVATE_JWK], ids=["pem", "jwk"])
def test_no_private_key_is_kept_here(pattern: re.Pattern[str]) -> None:
    """Keys are made where they are used: no file holds a private one."""
    assert not _found(pattern)


def test_no_registry_is_named() -> None:
    """Where packages come from is the machine's business: no file names a registry or an index option."""
    assert not _found(re.compile("|".join(map(re.escape, REGISTRIES))))


def test_key_files_cannot_be_committed() -> None:
    """Whatever lies in keys/ is ignored by git, but for the two files that say so."""
    rules = (ROOT / "keys/.gitignore").read_text().split()

    assert rules == ["*", "!.gitignore", "!README.md"]


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring, which is its claim."""
    silent = [
        f"{name}: {node.name}"
        for name, tree in _modules("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert not silent


@pytest.mark.parametrize("room", ["idbroker", "tests", "bench"])
def test_every_module_says_what_it_is(room: str) -> None:
    """Each module opens with a sentence."""
    assert not [name for name, tree in _modules(room) if tree.body and not ast.get_docstring(tree)]


@pytest.mark.parametrize("room", ["idbroker", "tests", "bench"])
def test_modules_are_short(room: str) -> None:
    """No module is longer than a reader's patience, tables of facts excepted."""
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name, _ in _modules(room)}

    assert not {name: length for name, length in lengths.items() if length > LONGEST and name not in DATA}


def test_names_say_something() -> None:
    """No module, class or function is named by a word that refuses to name."""
    named = [
        (name, word)
        for name, tree in _modules("idbroker")
        for label in [Path(name).stem, *_labels(tree)]
        for word in _words(label)
    ]

    assert not [(name, word) for name, word in named if word in REFUSED_WORDS]


def _labels(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _words(label: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", label).lower().split("_")


def test_what_is_imported_is_asked_for() -> None:
    """Every package the product imports is in requirements/run.in itself, not there by somebody's favour."""
    asked = _asked("run")
    owners = packages_distributions()
    missing = {
        f"{name}: {package}"
        for name, tree in _modules("idbroker")
        for package in _imported(tree)
        if package not in sys.stdlib_module_names | {"idbroker"}
        and not {_plain(owner) for owner in owners.get(package, [])} & asked
    }

    assert not missing


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _asked(kind: str) -> set[str]:
    lines = (ROOT / f"requirements/{kind}.in").read_text().splitlines()
    return {_plain(re.split(r"[\[<>=~! ]", line)[0]) for line in lines if line and not line.startswith("#")}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("kind", ["build", "run", "test", "dev"])
def test_what_is_asked_for_is_pinned(kind: str) -> None:
    """Every requirement is pinned to one release and to the hashes of its files."""
    text = (ROOT / f"requirements/{kind}.txt").read_text()
    pinned = re.findall(r"^([\w.-]+)==[^\s\\]+(?: ;[^\\\n]+)? \\\n    --hash=sha256:", text, flags=re.MULTILINE)

    assert _asked(kind) <= {_plain(name) for name in pinned}
    assert len(pinned) == len(re.findall(r"^\S", text, flags=re.MULTILINE))
