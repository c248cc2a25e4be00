"""The distributions of this repository, built as they are published, and a fresh environment that holds them."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = {
    "scim_bridge": ROOT,
    "scim_bridge_hubspot": ROOT / "plugins/hubspot",
    "scim_bridge_scim": ROOT / "plugins/scim",
    "scim_bridge_github": ROOT / "plugins/github",
}
CONSTRAINTS = ROOT / ".ci/constraints.txt"

Run = Callable[..., str]


def build(target: Path) -> dict[str, Path]:
    """Build every distribution: a source archive, and a wheel from that archive. Return all files by name."""
    for project in PROJECTS.values():
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(project)]
        subprocess.run(command, check=True, capture_output=True)
    return {path.name: path for path in sorted(target.iterdir()) if path.suffix in {".whl", ".gz"}}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the distributions."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def run(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return how to run a command in a fresh environment, outside the checkout, that holds the wheels.

    pip resolves what the wheels declare, at the pinned versions: what only the tests need is not there.
    """
    place = tmp_path_factory.mktemp("installed")
    venv.create(place / "venv", with_pip=True)
    pins = place / "pins.txt"
    pins.write_text("\n".join(re.findall(r"^[a-z0-9-]+==[^\s\\]+", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def in_environment(command: str, *arguments: str) -> str:
        program = [str(place / "venv/bin" / command), *arguments]
        done = subprocess.run(program, cwd=place, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    wheels = [str(path) for name, path in built.items() if name.endswith(".whl")]
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    in_environment("python", *pip, "--constraint", str(pins), *wheels)
    return in_environment
