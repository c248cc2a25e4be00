"""How much a first push costs: ``python -m tests.benchmarks.sizes [--people 1000] [--plan]``.

A bridge and the emulated HubSpot, each in a process of its own, with HubSpot's real limit. Everybody is created and put
into one of five groups, a hundred at a time, as Okta pushes them; with ``--plan`` the connection plans first and goes
live then. Prints calls, CPU seconds, memory, and what the database holds by what it is for.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks.sockets import resident

BRIDGE, HUBSPOT = 8790, 8791
SETS = ["Read Only", "Marketing", "Sales", "Support", "Sales Manager"]
FOR = {"resource": "people", "attribute": "people", "listed": "people", "member": "people", "audit": "audit"}
FOR |= {"request": "requests", "call": "requests", "connector": "HubSpot's tombstones and assignments"}
CONFIGURATION = f"""
[server]
port = {BRIDGE}
metrics = true
[store]
url = "sqlite:///bridge.db"
[connections.hubspot]
connector = "hubspot"
client = "okta"
mode = "MODE"
[connections.hubspot.guard]
mass_change = false
[connections.hubspot.config]
token = {{ env = "HUBSPOT_TOKEN" }}
base_url = "http://127.0.0.1:{HUBSPOT}"
rate_limit = 190
"""


def ask(method: str, path: str, body: Any = None, token: str = "", port: int = BRIDGE) -> Any:
    """Send one request, again while it is answered 429 or nobody listens yet."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    request.data = None if body is None else json.dumps(body).encode()
    for _ in range(1000):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read().decode()
                return json.loads(text) if text.startswith("{") else text
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise
            time.sleep(int(error.headers["Retry-After"]))
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(path)


def metric(name: str) -> int:
    """Return the sum of a metric."""
    return int(sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", ask("GET", "/metrics"), re.MULTILINE))))


def kept(database: Path) -> Counter[str]:
    """Return the bytes of a database by what they are for."""
    found: Counter[str] = Counter()
    with sqlite3.connect(database) as connection:
        for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
            word = re.match(r"(?:sqlite_autoindex_)?([a-z]+)", name)
            found[FOR.get(word[1] if word else "", "the rest")] += size
    return found


def push(people: int, token: str) -> None:
    """Create everybody, then fill the groups."""
    schema = "urn:ietf:params:scim:schemas:core:2.0:"
    ids = []
    for number in range(people):
        mail = f"person.{number}@example.com"
        user = {"schemas": [schema + "User"], "userName": mail, "externalId": f"00u{number:017}", "active": True}
        user |= {"name": {"givenName": f"Given{number}", "familyName": f"Family{number}"}}
        user |= {"emails": [{"value": mail, "type": "work", "primary": True}]}
        ids.append(ask("POST", "/hubspot/scim/v2/Users", user, token)["id"])
    for number, name in enumerate(SETS):
        group = ask("POST", "/hubspot/scim/v2/Groups", {"schemas": [schema + "Group"], "displayName": name}, token)
        mine = ids[number :: len(SETS)]
        for start in range(0, len(mine), 100):
            members = [{"value": id_} for id_ in mine[start : start + 100]]
            patch = {"Operations": [{"op": "add", "path": "members", "value": members}]}
            ask("PATCH", f"/hubspot/scim/v2/Groups/{group['id']}", patch, token)


def cpu(process: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--plan", action="store_true")
    options = parser.parse_args()
    tools = Path(sys.executable).parent
    bridge = str(tools / "scim-bridge")
    os.environ["HUBSPOT_TOKEN"] = "pat-na1-emulator"
    with tempfile.TemporaryDirectory() as name, Path(name, "log").open("w") as log:
        place = Path(name)
        (place / "scim-bridge.toml").write_text(CONFIGURATION.replace("MODE", "plan" if options.plan else "live"))
        quiet: dict[str, Any] = {"cwd": place, "stdout": log, "stderr": log}
        emulator = subprocess.Popen([tools / "scim-bridge-hubspot", "emulate", "--port", str(HUBSPOT)], **quiet)
        for set_ in SETS:
            ask("POST", "/emulator/ui/add_role", {"name": set_}, port=HUBSPOT)
        serving = subprocess.Popen([bridge, "serve"], **quiet)
        try:
            ask("GET", "/readyz")
            command = [bridge, "token", "create", "hubspot"]
            token = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.strip()
            before, empty, began, used = (
                metric("scim_bridge_upstream_calls_total"),
                kept(place / "bridge.db"),
                time.time(),
                cpu(serving.pid),
            )
            push(options.people, token)
            accepted = time.time()
            if options.plan:
                command = [bridge, "go-live", "hubspot", "--yes"]
                subprocess.run(command, cwd=place, check=True, stdout=log)
            while metric("scim_bridge_pending"):
                time.sleep(1)
            ended = time.time()
            calls = metric("scim_bridge_upstream_calls_total") - before
            print(f"{options.people} people: {calls} calls, {calls / options.people:.2f} each")
            print(f"{accepted - began:.0f} s until accepted, {ended - accepted:.0f} s more until done")
            print(
                f"{(cpu(serving.pid) - used) / options.people * 1000:.1f} ms CPU each, {resident(serving.pid):.0f} MiB"
            )
            for what, size in (kept(place / "bridge.db") - empty).most_common():
                print(f"{what}: {size / options.people:.0f} bytes each")
        finally:
            serving.terminate()
            emulator.terminate()
            serving.wait()
            emulator.wait()


if __name__ == "__main__":
    main()
