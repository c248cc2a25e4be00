"""The demonstration itself: real processes, real sockets, failures in the middle."""

import os
import re
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from click.testing import CliRunner

from scim_bridge.cli.demo import demo, run
from scim_bridge.cli.demo.processes import executable
from scim_bridge.cli.demo.story import Chapter, assign_people
from tests.hang_guard import HANG_SECONDS


class Demonstration:
    """A running ``scim-bridge demo``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""

    def read_until(self, wanted: str) -> None:
        """Read what it prints until a text comes."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + HANG_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while wanted not in self.text:
                assert selector.select(deadline - time.monotonic()), f"no {wanted!r} in time:\n{self.text}"
                part = os.read(self.process.stdout.fileno(), 65_536).decode()
                assert part, f"ended before {wanted!r}:\n{self.text}"
                self.text += part


@contextmanager
def demonstration(*options: str) -> Iterator[Demonstration]:
    """Run ``scim-bridge demo``, for the length of a ``with`` block."""
    command = [executable("scim-bridge"), "demo", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            yield Demonstration(process)
        finally:
            process.kill()


def listens(url: str) -> bool:
    """Tell whether something listens at a URL."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def test_hubspot_ends_up_as_the_identity_providers_said_although_everything_failed() -> None:
    """The whole story exits 0 with the table, what it offers for exploring works, nothing outlives it."""
    with demonstration("--quick", "--keep", "--seed", "7") as shown:
        shown.read_until("Ctrl-C ends everything.")
        assert "seed 7" in shown.text
        assert re.search(r"Okta +│ +12 │ +11 = 11 │ +4 = 4 │", shown.text), shown.text
        assert shown.text.count("│    yes    │") == 3, shown.text
        assert re.search(r"killed by SIGKILL.*│ +2 │", shown.text)
        assert "never │" not in shown.text
        assert "a Super Admin in HubSpot" in shown.text
        curl = re.findall(r"^curl .*'(http[^']+)'(?: --data-urlencode '(.*)')?$", shown.text, re.MULTILINE)
        token = re.search(r"^TOKEN=(\S+)$", shown.text, re.MULTILINE)
        assert token is not None
        headers = {"Authorization": f"Bearer {token[1]}"}
        (users, _), (query, parameter), (snapshot, _) = curl
        assert httpx2.get(users, headers=headers).json()["itemsPerPage"] == 5
        name, _, value = parameter.partition("=")
        assert httpx2.get(query, headers=headers, params={name: value}).json()["totalResults"] == 1
        assert "mary.jackson@corp.example" in httpx2.get(snapshot).json()
        addresses = set(re.findall(r"http://127\.0\.0\.1:\d+", shown.text))
        assert len(addresses) == 5  # the console's is one of them
        assert all(listens(address) for address in addresses)
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(timeout=HANG_SECONDS) == 0, shown.text
        assert not any(listens(address) for address in addresses)


def test_a_change_behind_the_bridge_s_back_makes_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is removed in HubSpot's pages is found, named, and exit status 1."""
    monkeypatch.setattr(run, "chapters", lambda **_: [Chapter("People are assigned", assign_people)])
    outcome = CliRunner().invoke(demo, ["--people", "8", "--seed", "7", "--tamper"])
    assert outcome.exit_code == 1, outcome.output
    differences = outcome.output.partition("Differences")[2].partition("Failures")[0]
    assert differences.count("corp.example") == 1
    assert re.search(r"Okta +│ mary\.jackson@corp\.example +│ access +│ active +│ absent", differences)
    assert "FAILED" in outcome.output
