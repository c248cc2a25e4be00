"""``scim-bridge new-connector``: a package to begin a connector with."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import click

MODULE = "scim_bridge.testing.newsaas"
"""A connector that passes the contract, and is checked like everything here; what is written is a copy of it."""

FILES: Mapping[str, str] = {
    "__init__.py": "src/scim_bridge_newsaas/__init__.py",
    "connector.py": "src/scim_bridge_newsaas/connector.py",
    "fake.py": "src/scim_bridge_newsaas/fake.py",
    "contract.py": "tests/test_contract.py",
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
}


@click.command("new-connector")
@click.argument("name")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def new_connector(name: str, directory: Path) -> None:
    """Write a package for a connector NAME into DIRECTORY.

    It passes the contract on a fake server of its own: begin there, and make both yours.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise click.BadParameter("small letters, digits and single hyphens, a letter first", param_hint="NAME")
    if directory.exists() and any(directory.iterdir()):
        raise click.BadParameter(f"{directory} is not empty", param_hint="DIRECTORY")
    source = files("scim_bridge.testing") / MODULE.rpartition(".")[2]
    for file, place in FILES.items():
        target = directory / renamed(place, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed((source / file).read_text("utf-8"), name), "utf-8")
    (directory / renamed("src/scim_bridge_newsaas/py.typed", name)).touch()
    click.echo(f"{directory}: README.md says how to go on")


def renamed(text: str, name: str) -> str:
    """Return a text of the copied connector as that of another name."""
    module = name.replace("-", "_")
    words = {
        MODULE: f"scim_bridge_{module}",
        "scim-bridge-newsaas": f"scim-bridge-{name}",
        '"newsaas"': f'"{name}"',
        "NEWSAAS": module.upper(),
        "Newsaas": "".join(part.capitalize() for part in name.split("-")),
        "newsaas": module,
    }
    for one, other in words.items():
        text = text.replace(one, other)
    return text
