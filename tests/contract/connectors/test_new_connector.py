"""What ``scim-bridge new-connector`` writes: it passes the contract, here and where it was written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scim_bridge.cli.new_connector import new_connector
from scim_bridge.testing.newsaas.contract import TestNewsaas

__all__ = ["TestNewsaas"]


def written(directory: Path, name: str) -> Path:
    """Write a package."""
    done = CliRunner().invoke(new_connector, [name, str(directory)])
    assert done.exit_code == 0, done.output
    return directory


def test_what_is_written_passes_its_tests(tmp_path: Path) -> None:
    """Under its own name, from its own files: what the kit's copy is told by its own run here."""
    package = written(tmp_path / "mine", "my-saas")
    told = [path.read_text("utf-8") for path in package.rglob("*") if path.is_file()]
    assert not [text for text in told if "newsaas" in text.lower()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "create_returns or definition",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=package, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "my-saas" in (package / "src/scim_bridge_my_saas/connector.py").read_text("utf-8")


@pytest.mark.parametrize("name", ["My-saas", "-saas", "my--saas", "my_saas", "../saas", ""])
def test_a_name_that_no_package_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written."""
    done = CliRunner().invoke(new_connector, ["--", name, str(tmp_path / "mine")])
    assert done.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """A directory with something in it is refused."""
    (tmp_path / "README.md").write_text("mine")
    done = CliRunner().invoke(new_connector, ["saas", str(tmp_path)])
    assert done.exit_code == 2
    assert (tmp_path / "README.md").read_text() == "mine"
