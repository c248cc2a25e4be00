"""The emulator over real sockets: lost connections are lost, and other processes can look at it and break it."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from scim_bridge_hubspot.cli import main
from scim_bridge_hubspot.emulator import HubSpotEmulator
from scim_bridge_hubspot.emulator.asgi import make_server

V = "/settings/users/2026-03"
ADA = {"email": "ada@corp.example", "sendWelcomeEmail": False}


@pytest.fixture
async def served() -> AsyncIterator[tuple[HubSpotEmulator, httpx2.AsyncClient]]:
    """An emulator on a free port, and a client with its token."""
    hubspot = HubSpotEmulator()
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(hubspot.asgi)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    base, headers = f"http://127.0.0.1:{listener.getsockname()[1]}", {"Authorization": f"Bearer {hubspot.token}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers) as client:
        yield hubspot, client
    server.should_exit = True
    await running
    listener.close()


Served = tuple[HubSpotEmulator, httpx2.AsyncClient]


async def test_the_api_works_over_a_socket(served: Served) -> None:
    """Create, read and an answer without a body."""
    hubspot, client = served
    person_id = (await client.post(V, json=ADA)).json()["id"]
    assert (await client.get(f"{V}/{person_id}")).json()["email"] == "ada@corp.example"
    assert (await client.delete(f"{V}/{person_id}")).status_code == 204
    assert (await client.get(f"{V}/a%2Fb")).status_code == 404
    assert len(hubspot.calls) == 4


async def test_the_body_of_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    """Nagle's algorithm is off on accepted connections, however the listening socket was made."""
    hubspot = HubSpotEmulator()
    server = make_server(hubspot.asgi)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            await client.get(V)
            (connection,) = server.server_state.connections
            accepted: socket.socket = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        server.should_exit = True
        await running


@pytest.mark.parametrize(("kind", "committed"), [("drop_before", False), ("drop_after", True)])
async def test_a_dropped_connection_is_reset(served: Served, kind: Any, committed: bool) -> None:
    """The client sees a read error, the call took effect or not, and the next call works."""
    hubspot, client = served
    hubspot.faults.add(kind)
    with pytest.raises(httpx2.ReadError):
        await client.post(V, json=ADA)
    assert ("ada@corp.example" in hubspot.snapshot()) == committed
    assert (await client.get(V)).status_code == 200


async def test_a_reset_is_a_reset(served: Served) -> None:
    """The socket gets RST, not a polite end."""
    hubspot, client = served
    hubspot.faults.add("drop_before")
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"GET /settings/users/2026-03 HTTP/1.1\r\nHost: hubspot\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_half_an_answer_ends_early(served: Served) -> None:
    """Head and half of the body arrive, then the connection is closed."""
    hubspot, client = served
    hubspot.faults.add("half")
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.post(V, json=ADA)
    assert "ada@corp.example" in hubspot.snapshot()
    assert (await client.get(V)).status_code == 200


async def test_a_slow_answer_comes_late(served: Served) -> None:
    """The client gives up first; the call took effect."""
    hubspot, client = served
    hubspot.faults.add("slow", delay=0.5)
    with pytest.raises(httpx2.ReadTimeout):
        await client.post(V, json=ADA, timeout=0.2)
    assert "ada@corp.example" in hubspot.snapshot()


async def test_the_control_api_shows_and_changes_everything(served: Served) -> None:
    """Snapshot, calls, statistics, faults and what people do by hand are there for other processes."""
    hubspot, client = served
    for action, arguments in {
        "add_role": {"name": "Sales"},
        "add_team": {"name": "North"},
        "add_seat_pool": {"name": "Core Seat", "total": 3},
        "add_person": {"email": "ada@corp.example", "roles": ["Sales"], "primary_team": "North"},
        "deactivate": {"email": "ada@corp.example"},
    }.items():
        assert (await client.post(f"/emulator/ui/{action}", json=arguments)).status_code == 200, action
    ada = (await client.get("/emulator/snapshot")).json()["ada@corp.example"]
    assert (ada["active"], ada["roles"], ada["primary_team"]) == (False, ["Sales"], "North")
    assert ada["id"] == hubspot.member("ada@corp.example").id
    rule = (await client.post("/emulator/faults", json={"kind": "error", "status": 502, "method": "GET"})).json()
    assert (await client.get(V)).status_code == 502
    await client.post("/emulator/faults/outage", json={"seconds": 60})
    await client.post("/emulator/faults/random", json={"rate": 0.1, "seed": 7})
    await client.delete(f"/emulator/faults/{rule['ids'][0]}")
    faults = (await client.get("/emulator/faults")).json()
    assert (len(faults["faults"]), faults["fired"]) == (10, {"error": 1})
    await client.delete("/emulator/faults")
    await client.get(V)
    stats = (await client.get("/emulator/stats")).json()
    assert (stats["calls"], stats["by_status"]) == (2, {"502": 1, "200": 1})
    calls = (await client.get("/emulator/calls?since=1")).json()
    assert [call["number"] for call in calls["calls"]] == [2]
    assert (await client.get("/emulator/switches")).json()["put_mode"] == "replace"
    await client.delete("/emulator/calls")
    assert (await client.get("/emulator/calls")).json() == {"total": 2, "calls": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/emulator/faults", {"kind": "fire"}, 400),
        ("POST", "/emulator/faults/random", {}, 400),
        ("POST", "/emulator/faults", [], 400),
        ("POST", "/emulator/ui/remove", {"email": "nobody@corp.example"}, 400),
        ("POST", "/emulator/ui/remove", {"colour": "red"}, 400),
        ("POST", "/emulator/ui/shout", {}, 404),
        ("GET", "/emulator/secrets", None, 404),
    ],
)
async def test_the_control_api_refuses_what_it_does_not_know(
    served: Served, method: str, path: str, body: Any, status: int
) -> None:
    """Errors are told as JSON, and the log of HubSpot's calls stays clean."""
    hubspot, client = served
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert hubspot.calls.total == 0


async def test_the_page_shows_the_portal_and_escapes_it(served: Served) -> None:
    """Whatever stands in names, paths and faults is text on the page; nothing is loaded from elsewhere."""
    hubspot, client = served
    evil = "<script>alert(1)</script>"
    hubspot.add_person("ada@corp.example", first_name=evil, roles=[hubspot.add_role(evil)])
    hubspot.add_team(evil)
    hubspot.add_seat_pool(evil, 1)
    hubspot.faults.add("error", path=evil)
    await client.post(V, content=evil.encode())
    page = await client.get("/")
    assert "ada@corp.example" in page.text
    assert "<script" not in page.text
    assert "http" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.text.count("&lt;script&gt;") == 7
    assert "Sales" not in page.text
    style = await client.get("/page/style.css")
    assert style.headers["Content-Type"].startswith("text/css")
    assert "url(" not in style.text


async def test_the_forms_of_the_page_break_and_mend(served: Served) -> None:
    """A fault is added and cleared, and a person deactivated, without a script."""
    hubspot, client = served
    hubspot.add_person("ada@corp.example")
    form = {"kind": "error", "status": "503", "seconds": "5", "method": "", "path": "", "nth": "", "times": ""}
    assert (await client.post("/page/fault", data=form)).status_code == 303
    assert (hubspot.faults.rules[0].fault.seconds, hubspot.faults.rules[0].fault.times) == (5.0, None)
    assert (await client.post("/page/clear")).headers["Location"] == "/"
    assert hubspot.faults.rules == []
    await client.post("/page/person", data={"action": "deactivate", "email": "ada@corp.example"})
    assert not hubspot.snapshot()["ada@corp.example"].active
    for path, data in {"/page/fault": {"kind": "fire"}, "/page/person": {"action": "remove", "email": "x"}}.items():
        assert (await client.post(path, data=data)).status_code == 400
    answer = await client.post("/page/person", data={"action": "remove", "email": "<x>"})
    assert "Nobody in the portal has the e-mail address &lt;x&gt;." in answer.text


@pytest.fixture
def command() -> Iterator[str]:
    """The emulator as a process of its own; its URL."""
    executable = Path(sys.executable).with_name("scim-bridge-hubspot")
    arguments: list[str | Path] = [executable, "emulate", "--port", "0", "--seed-demo", "--switch", "put_mode=merge"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split(" on ")[1].split()[0]
        process.terminate()


def test_the_command_serves_a_seeded_portal(command: str) -> None:
    """It prints its URL, begins with Super Admins and people made by hand, and obeys its switches."""
    snapshot = httpx2.get(f"{command}/emulator/snapshot").json()
    assert sum(account["super_admin"] for account in snapshot.values()) == 3
    assert any(len(account["roles"]) == 2 for account in snapshot.values())
    assert any(not account["active"] for account in snapshot.values())
    assert httpx2.get(f"{command}/emulator/switches").json()["put_mode"] == "merge"
    roles = httpx2.get(f"{command}{V}/roles", headers={"Authorization": f"Bearer {HubSpotEmulator.token}"})
    assert {"Sales", "Marketing", "Support", "Read Only"} <= {role["name"] for role in roles.json()["results"]}


def test_bad_options_stop_the_command() -> None:
    """An unknown switch, an unknown tier and a port in use are one clear line each."""
    runner = CliRunner()
    wrong = runner.invoke(main, ["emulate", "--switch", "put_mode=mix"])
    assert (wrong.exit_code, "replace, merge" in wrong.output) == (2, True)
    assert runner.invoke(main, ["emulate", "--profile", "ultimate"]).exit_code == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = runner.invoke(main, ["emulate", "--port", str(taken.getsockname()[1])])
    assert (busy.exit_code, "cannot listen" in busy.output) == (1, True)


async def test_an_application_without_a_socket_raises(served: Served) -> None:
    """A server that gives no socket away cannot be cut; the application says so instead of answering."""
    hubspot, _ = served
    hubspot.faults.add("drop_before")
    transport = httpx2.ASGITransport(app=hubspot.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hubspot") as client:
        with pytest.raises(ConnectionResetError):
            await client.get(V)
        assert json.loads((await client.get("/emulator/stats")).content)["faults"] == {"drop_before": 1}
