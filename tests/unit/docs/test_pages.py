"""Links lead somewhere, examples parse, evidence exists, pictures are told."""

import ast
import re
import tomllib
from pathlib import Path

import click
import pytest

from scim_bridge.cli import main
from scim_bridge.config import settings_of
from tests.unit.docs.pages import PAGES, ROOT, anchors, fences, links, name, text

ENVIRONMENT = dict.fromkeys(("HUBSPOT_TOKEN", "HUBSPOT_CLIENT_SECRET", "HUBSPOT_REFRESH_TOKEN"), "a-secret")
GUIDES = {"okta", "entra", "accessowl", "hubspot", "operating/README", "security", "architecture"}
TEST_ID = re.compile(r"`((?:tests|plugins)/[^`\s]+?\.py)(?:::(\w+))?`")


def test_every_guide_is_there() -> None:
    """The README promises seven guides."""
    assert {f"docs/{guide}.md" for guide in GUIDES} <= {name(page) for page in PAGES}
    assert {path for path, _ in links(text("README.md"))} >= {f"docs/{guide}.md" for guide in GUIDES}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link names a file of the project, and its anchor a heading of that file."""
    for path, anchor in links(page.read_text("utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{path} is outside"
        assert target.exists(), f"{path} is not there"
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{path} has no #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_of_a_configuration_is_one(page: Path) -> None:
    """A block of TOML parses; one that configures a connection is valid, connector's settings aside."""
    for block in fences(page.read_text("utf-8"), "toml"):
        document = tomllib.loads(block)
        if any("connector" in table for table in document.get("connections", {}).values()):
            document.pop("store", None)
            for table in document["connections"].values():
                table["config"] = {}
            settings_of(document, environment=ENVIRONMENT)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_named_test_exists(page: Path) -> None:
    """Evidence that is named is there, under exactly that name."""
    for path, function in TEST_ID.findall(page.read_text("utf-8")):
        assert (ROOT / path).is_file(), f"{path} is not there"
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not function or function in names, f"{path} has no {function}"


def test_every_claim_of_security_names_its_evidence() -> None:
    """Each numbered claim has a severity and at least one test."""
    claims = re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", text("docs/security.md"), re.MULTILINE)
    assert len(claims) > 40
    assert len({number for number, _ in claims}) == len(claims)
    for number, claim in claims:
        *_, severity, evidence = claim.split(" | ")
        assert severity in {"critical", "high", "medium"}, number
        assert TEST_ID.search(evidence) is not None, f"{number} names no test"


def test_every_module_named_in_the_architecture_exists() -> None:
    """The path of a request names real files."""
    page = text("docs/architecture.md")
    named = set(re.findall(r"`((?:[a-z_]+/)?[a-z_]+(?:/[a-z_]+)?\.py)`", page))
    sources = [ROOT / "src/scim_bridge", ROOT / "plugins/hubspot/src", ROOT / "plugins/hubspot/src/scim_bridge_hubspot"]
    assert len(named) > 25
    missing = {path for path in named if not any((source / path).is_file() for source in sources)}
    assert not missing


def test_every_command_is_in_the_readme() -> None:
    """The README's table of commands has each command and subcommand of ``scim-bridge``, and no other."""
    commands = text("README.md").partition("## Commands")[2].partition("\n## ")[0]
    listed = set()
    for line in re.findall(r"^\| `scim-bridge ([^`]+)`", commands, re.MULTILINE):
        words = re.sub(r"\[?[A-Z]{2,}\]?|--\S+", "", line)
        group, _, rest = words.strip().partition(" ")
        alternatives = [word for word in re.split(r"[/ ]+", rest) if word]
        if rest.startswith("/"):
            listed |= {group, *alternatives}
        else:
            listed |= {f"{group} {word}" for word in alternatives} or {group}
    actual = set()
    context = click.Context(main)
    for command in main.list_commands(context):
        definition = main.get_command(context, command)
        actual |= {f"{command} {sub}" for sub in getattr(definition, "commands", {})} or {command}
    assert listed == actual
