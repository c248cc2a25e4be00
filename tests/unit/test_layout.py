"""The house rules that no linter knows: the names of modules, their size, and what may stand in committed files."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
DUSTBINS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "types"}
FILE_LINES = 400
FUNCTION_LINES = 40

REASONS: dict[str, str] = {
    "src/scim_bridge/config/__init__.py": "the settings as they stand in one file, and how that file is read",
    "src/scim_bridge/provisioning/reconcile.py": "one comparison, from the pages to what is handed over",
    "src/scim_bridge/provisioning/recorder.py": "the transactions that record what came of a call, and what they undo",
    "src/scim_bridge/cli/demo/story.py:chapters": "the story of the demonstration, told in one place",
}
"""A longer file (by path) or function (by path and name) wants a reason, and here it stands."""


def name(path: Path) -> str:
    """Return a path as it is written in ``REASONS``."""
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield name and length in lines, the docstring not counted, of every function of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[1].lineno - 1 if documented else node.lineno
            yield node.name, (node.end_lineno or first) - first


@cache
def too_long(path: Path) -> frozenset[str]:
    """Return the file, and its functions, that are over their measure."""
    text = path.read_text("utf-8")
    long = {f"{name(path)}:{one}" for one, lines in functions(ast.parse(text)) if lines > FUNCTION_LINES}
    return frozenset(long | ({name(path)} if len(text.splitlines()) > FILE_LINES else set()))


def committed() -> list[Path]:
    """Return the files under version control; without git, those that a source archive would hold."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_rules_see_the_modules() -> None:
    """The rules below look at real files, so they can fail."""
    assert {"src/scim_bridge/errors.py", "src/scim_bridge/hookspecs.py"} <= {name(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_a_room_whose_name_says_what_lives_in_it(path: Path) -> None:
    """No module or package is a dustbin by name."""
    assert not DUSTBINS & {path.stem, *path.parent.parts}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_or_function_over_its_measure_has_a_reason(path: Path) -> None:
    """A file is at most 400 lines long and a function 40, or the reason stands in this test."""
    assert too_long(path) <= REASONS.keys()


def test_every_reason_is_still_needed() -> None:
    """A reason whose file or function has become short, or is gone, is removed."""
    needed = {one for path in MODULES for one in too_long(path)}
    assert needed >= REASONS.keys()


@pytest.mark.parametrize(("file", "at_least"), [("constraints", 50), ("site", 20), ("clients", 20)])
def test_every_pin_carries_its_hashes_and_no_address(file: str, at_least: int) -> None:
    """The pins hold name, version and hashes only, so that they hold with any mirror."""
    text = (ROOT / f".ci/{file}.txt").read_text("utf-8")
    pins = re.findall(r"^[a-z0-9-]+==\S+.*?(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > at_least
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "@" not in text


def test_every_dependency_is_pinned() -> None:
    """Whatever a distribution needs to run, to be tested or to be built stands in the constraints."""
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / ".ci/constraints.txt").read_text("utf-8"), re.MULTILINE))
    wanted: set[str] = set()
    ours: set[str] = set()
    for path in [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]:
        table = tomllib.loads(path.read_text("utf-8"))
        ours.add(table["project"]["name"])
        lines = [*table["project"]["dependencies"], *table["build-system"]["requires"]]
        lines += table.get("dependency-groups", {}).get("dev", [])
        lines += [line for extra in table["project"].get("optional-dependencies", {}).values() for line in extra]
        wanted |= {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in lines}
    assert wanted - ours <= pinned


def test_no_committed_file_names_the_machine_it_was_written_on() -> None:
    """No home directory and no checkout's path stands in a committed file."""
    private = re.compile(rb"/(?:home|Users|root)/[a-z]|" + re.escape(str(ROOT).encode() + b"/"))
    allowed = re.compile(rb"/Users/[a-z]")  # SCIM's own path
    guilty = [
        name(path)
        for path in committed()
        if private.search(allowed.sub(b"", path.read_bytes())) and path != Path(__file__)
    ]
    assert guilty == []
