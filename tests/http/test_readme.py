"""Whoever follows the README word for word ends up where it says: with real processes, a real shell and curl.

Its blocks run verbatim, in order, in one shell. Three things differ: the ports, since those it names may be taken; the
shell waits where a person would, until what was just started listens; and between two commands it asks the emulator.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.cli.demo.bridge import free_port
from tests.hang_guard import HANG_SECONDS
from tests.unit.docs.pages import fences, text

EMULATOR, BRIDGE = 8701, 8080
ADA = "ada@example.com"


@dataclass(frozen=True)
class Followed:
    """What came of following the README.

    :param shown: What was printed, the bridge's log included.
    :param answers: The SCIM bodies among it, in order.
    :param snapshots: What HubSpot held before and after each of the requests.
    """

    shown: str
    answers: list[dict[str, Any]]
    snapshots: list[dict[str, Any]]


def section() -> str:
    """Return the part of the README that says how to run it oneself."""
    return text("README.md").partition("To run it yourself")[2].partition("Guides:")[0]


def until_answered(url: str) -> str:
    """Return what the shell does until a server that it has just started answers."""
    return f"until curl -sf -o /dev/null {url}; do kill -0 $!; sleep 0.1; done"


def script() -> str:
    """Return the README's shell blocks as one script, which writes a snapshot file before and after each request."""
    start, serve, use = fences(section(), "sh")
    snapshot = f"http://127.0.0.1:{EMULATOR}/emulator/snapshot"
    steps = [
        "set -e",
        start,
        until_answered(snapshot),
        serve,
        until_answered(f"http://127.0.0.1:{BRIDGE}/readyz"),
        f"curl -sf -o snapshot-0 {snapshot}",
    ]
    for number, command in enumerate(use.split("\n\n"), 1):
        steps += [command, f"curl -sf -o snapshot-{number} {snapshot}"]
    return "\n".join(steps)


def on_free_ports(*texts: str) -> list[str]:
    """Return texts with other ports than the README's."""
    emulator, bridge = str(free_port()), str(free_port())
    return [one.replace(str(EMULATOR), emulator).replace(str(BRIDGE), bridge) for one in texts]


def run(directory: Path, commands: str) -> str:
    """Run a script in a directory, end whatever it started, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SCIM_", "HUBSPOT_"))}
    with (directory / "shown").open("w") as output:
        shell = subprocess.Popen(
            ["bash", "-c", commands],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(HANG_SECONDS)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    shown = (directory / "shown").read_text()
    assert status == 0, shown
    return shown


def scim_bodies(shown: str) -> list[dict[str, Any]]:
    """Return the JSON objects with ``schemas`` that stand in a text, whatever stands between them."""
    decoder, found, at = json.JSONDecoder(), [], shown.find("{")
    while at != -1:
        try:
            body, end = decoder.raw_decode(shown, at)
        except ValueError:
            end = at + 1
        else:
            found += [body] if "schemas" in body else []
        at = shown.find("{", end)
    return found


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """Follow the README in an empty directory, where ``make demo`` has been run."""
    assert shutil.which("curl"), "the README's commands need curl"
    directory = tmp_path_factory.mktemp("readme")
    (directory / ".venv").symlink_to(sys.prefix)
    (configuration,) = fences(section(), "toml")
    configuration, commands = on_free_ports(configuration, script())
    (directory / "scim-bridge.toml").write_text(configuration)
    shown = run(directory, commands)
    snapshots = sorted(directory.glob("snapshot-*"))
    return Followed(shown, scim_bodies(shown), [json.loads(one.read_text()) for one in snapshots])


def test_the_check_finds_nothing_wrong(followed: Followed) -> None:
    """``scim-bridge check`` prints its table for the README's configuration."""
    assert "What was checked" in followed.shown
    assert "Super Admin" in followed.shown


def test_somebody_is_created_gets_a_permission_set_and_loses_access(followed: Followed) -> None:
    """Each request changes HubSpot as the README says: an account, then "Sales", then nothing of hers is left."""
    before, created, sought, granted, ended = followed.snapshots
    assert ADA not in before
    assert created[ADA]["active"]
    assert created[ADA]["roles"] == []
    assert sought == created
    assert granted[ADA]["roles"] == ["Sales"]
    assert ADA not in ended or not ended[ADA]["active"]
    assert {email: one for email, one in ended.items() if email != ADA} == before


def test_each_answer_tells_what_is_true(followed: Followed) -> None:
    """The User; the Group with her beside those who hold it already; the User who is not active any more."""
    user, group, deactivated = followed.answers
    assert (user["userName"], user["active"]) == (ADA, True)
    assert group["displayName"] == "Sales"
    assert user["id"] in {member["value"] for member in group["members"]}
    assert (deactivated["id"], deactivated["active"]) == (user["id"], False)


def test_the_log_names_neither_the_token_nor_the_person(followed: Followed) -> None:
    """What the bridge logs of these requests holds no secret and no address."""
    lines = [line for line in followed.shown.splitlines() if '"event": "request"' in line]
    assert len(lines) >= 4
    assert not any(ADA in line.rpartition("{")[2] or "scb_live_" in line for line in lines)
