"""What is published works without the checkout."""

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import PROJECTS, ROOT, Run, build

EVERY_MODULE = """
import importlib, json, pkgutil, sys
failed = {}
for package in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if ".migrations." in module.name or module.name.endswith(".__main__"):
            continue  # Alembic loads the first by path; the second would run
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed[module.name] = error.name
print(json.dumps(failed))
"""
KITS = {"hypothesis", "pytest", "pytest_asyncio"}
"""What the public kits for tests may want, and their users bring."""

EXTRAS = {"scim_bridge.server.spans": "opentelemetry"}
"""The modules that only an extra is for, and what it brings."""


def wheel_of(built: dict[str, Path], package: str) -> zipfile.ZipFile:
    """Return the wheel of a package."""
    (path,) = [path for name, path in built.items() if name.startswith(f"{package}-") and name.endswith(".whl")]
    return zipfile.ZipFile(path)


def test_two_builds_are_the_same_bytes(built: dict[str, Path], tmp_path: Path) -> None:
    """Whoever builds a release can compare it with the published one."""
    again = build(tmp_path)
    assert len(built) == 2 * len(PROJECTS)
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in again.items()} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in built.items()
    }


def test_the_schemas_are_inside_the_wheel(built: dict[str, Path]) -> None:
    """Every document of ``scim-schemas/`` ships, unchanged."""
    wheel = wheel_of(built, "scim_bridge")
    documents = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("scim-schemas/**/*.json")}
    assert len(documents) >= 6
    shipped = {name: wheel.read(f"scim_bridge/{name}") for name in documents}
    assert shipped == {name: path.read_bytes() for name, path in documents.items()}


@pytest.mark.parametrize("package", PROJECTS)
def test_a_wheel_carries_every_module_its_types_and_its_licence(built: dict[str, Path], package: str) -> None:
    """Nothing of the sources is left behind, and nothing of the tests comes along."""
    source = PROJECTS[package] / "src"
    wheel = wheel_of(built, package)
    names = set(wheel.namelist())
    wanted = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.suffix in {".py", ".typed"}}
    assert wanted <= names
    assert f"{package}/py.typed" in names
    (licence,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {package}


@pytest.mark.parametrize("package", PROJECTS)
def test_a_source_archive_holds_what_a_wheel_is_built_from(built: dict[str, Path], package: str) -> None:
    """README and licence included; no environment, no cache."""
    (archive,) = [path for name, path in built.items() if name.startswith(f"{package}-") and name.endswith(".gz")]
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", f"src/{package}/__init__.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


def test_the_command_lists_the_connectors_that_are_installed(run: Run) -> None:
    """All entry points are found: the core's ``memory`` and those of the plugins."""
    listing = run("scim-bridge", "connectors")
    assert "hubspot" in listing
    assert "scim_bridge_scim" in listing
    assert "github" in listing
    assert "memory" in listing


def test_a_connector_that_was_begun_can_be_installed(run: Run, tmp_path: Path) -> None:
    """What ``new-connector`` writes is a package, and the installed bridge finds the connector in it."""
    run("scim-bridge", "new-connector", "my-saas", str(tmp_path))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    run("python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", str(wheel))
    try:
        assert "my-saas" in run("scim-bridge", "connectors")
    finally:
        run(
            "python", "-m", "pip", "--disable-pip-version-check", "uninstall", "--quiet", "--yes", "scim-bridge-my-saas"
        )


def test_the_commands_tell_their_version(run: Run) -> None:
    """The version is the distribution's."""
    assert "0.1.0" in run("scim-bridge", "--version")
    for command in ("scim-bridge-hubspot", "scim-bridge-github"):
        assert "emulate" in run(command, "--help")


def test_what_is_declared_is_enough_to_import_every_module(run: Run) -> None:
    """No module needs a package that only the tests install, but the kits for tests and what an extra is for."""
    failed = json.loads(run("python", "-c", EVERY_MODULE, *PROJECTS))
    assert {name: failed.pop(name, None) for name in EXTRAS} == EXTRAS
    assert {name: missing for name, missing in failed.items() if missing not in KITS} == {}
    assert all(name.startswith("scim_bridge.testing") for name in failed)


def test_the_installed_package_finds_its_schemas(run: Run) -> None:
    """What the service provider publishes is read from inside the wheel."""
    program = "from scim_bridge.protocol import schemas; print(schemas.load('schemas/User')['id'])"
    assert run("python", "-c", program).strip() == "urn:ietf:params:scim:schemas:core:2.0:User"
