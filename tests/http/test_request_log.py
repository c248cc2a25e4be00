"""What is kept of requests, of a whole bridge before a HubSpot that answers badly: enough to explain, and no value."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from sqlalchemy.exc import DBAPIError

from scim_bridge.app import Serving
from scim_bridge.cli import main
from scim_bridge.errors import StoreUnavailableError
from scim_bridge.server import access_log
from scim_bridge.server import request_log as server_log
from scim_bridge.server.access_log import Entry
from scim_bridge.server.request_log import RequestLog
from scim_bridge.store import request_log, sqlite, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.surroundings import Surroundings
from scim_bridge.views import requests as views
from scim_bridge.views.requests import Chosen, Request, Trace
from tests.faults.bridges import CONNECTION, FastClients, RunningBridge, portal, prepare, settings
from tests.http.bridge import PATCH_OP, USER

DISK_FULL = sqlite3.OperationalError("database or disk is full")
DISK_FULL.sqlite_errorcode = sqlite3.SQLITE_FULL
NAME = "ada.lovelace@corp.example"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Shaky(httpx2.AsyncBaseTransport):
    """A HubSpot whose next reads fail, as often as it is told to."""

    def __init__(self) -> None:
        self.inner = portal().transport()
        self.failures = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer, or fail."""
        if self.failures and request.method == "GET" and request.url.path.startswith("/settings/users/"):
            self.failures -= 1
            return httpx2.Response(502, request=request)
        return await self.inner.handle_async_request(request)


@asynccontextmanager
async def kept_bridge(directory: Path, transport: httpx2.AsyncBaseTransport) -> AsyncIterator[RunningBridge]:
    """Run a bridge that keeps what is asked; all is written when the block ends."""
    template = await prepare(directory)
    path = directory / "bridge.db"
    path.write_bytes(template.database)
    path.chmod(0o600)
    async with again(directory, transport, template.token) as one:
        yield one


@asynccontextmanager
async def again(directory: Path, transport: httpx2.AsyncBaseTransport, token: str) -> AsyncIterator[RunningBridge]:
    """Run it on the database of one that has ended."""
    serving = Serving(settings(directory / "bridge.db", "http://127.0.0.1:1"))
    around = Surroundings(http_client=FastClients(transport), chance=lambda: 0.0)
    async with serving.bridge_of(around) as bridge:
        serving.open(bridge)
        yield RunningBridge(bridge, serving.server(), token)


async def asked(directory: Path, chosen: Chosen = Chosen()) -> list[Request]:  # noqa: B008 - it is frozen
    """Return what an operator is shown of the requests, the oldest first."""
    return list(reversed(await look(directory, lambda tx: views.requests(tx, CONNECTION, chosen, None).items)))


async def look(directory: Path, question: Any) -> Any:
    """Ask the database of a bridge that has ended."""
    store = await Store.open(f"sqlite:///{directory / 'bridge.db'}", exclusive=False)
    try:
        return await store.read(question)
    finally:
        await store.close()


def person(**more: Any) -> dict[str, Any]:
    """Return the body of a creation."""
    return {"schemas": [USER], "userName": NAME, "externalId": "secret-7", **more}


def patch(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


async def test_what_was_asked_is_kept_without_a_value(tmp_path: Path) -> None:
    """Action, target, changed paths, quirks, compared attributes, status and reason; in no column a name or value."""
    async with kept_bridge(tmp_path, portal().transport()) as one:
        ada = (await one.send("POST", "/Users", person())).document["id"]
        for method, path, body in [
            ("PATCH", f"/Users/{ada}", patch({"op": "Replace", "value": {"active": "False"}})),
            ("GET", f"/Users/{ada}", None),
            ("GET", f"/Users?filter=userName%20eq%20%22{NAME}%22", None),
            ("GET", f"/Users?filter=not%20(emails[value%20co%20%22{NAME}%22])%20or%20name.familyName%20pr", None),
            ("GET", f"/Users/{NAME}", None),
            ("POST", "/Users", person(active="perhaps")),
            ("DELETE", f"/Users/{ada}", None),
        ]:
            await one.send(method, path, body)

    told = await asked(tmp_path)
    assert [(each.action, each.kind, each.status, each.target == ada) for each in told] == [
        ("create", "User", 201, True),
        ("patch", "User", 200, True),
        ("read", "User", 200, True),
        ("search", "User", 200, False),
        ("search", "User", 200, False),
        ("read", "User", 404, False),
        ("create", "User", 400, False),
        ("delete", "User", 204, True),
    ]
    assert told[1].paths == ("active",)
    assert told[1].quirks == ("boolean_string", "operation_case")
    assert [each.filter for each in told[2:5]] == [(), ("userName",), ("emails", "name.familyName")]
    assert told[6].scim_type == "invalidValue"
    assert told[6].reason == "a value is missing, or none that the attribute takes"
    assert {each.by.split()[0] for each in told} == {"token"}
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as database:
        rows = database.execute("SELECT * FROM request").fetchall() + database.execute("SELECT * FROM call").fetchall()
    assert len(rows) > 8
    for secret in (NAME, "lovelace", "secret-7", "perhaps"):
        assert secret not in str(rows)


async def test_a_trace_leads_from_the_request_to_the_calls_it_caused(tmp_path: Path) -> None:
    """Also to those that the driver made after the answer; attempts are counted, entries and how it stands are told."""
    hubspot = Shaky()
    async with kept_bridge(tmp_path, hubspot) as one:
        ada = (await one.send("POST", "/Users", person())).document["id"]
        hubspot.failures = 4
        provisioning = one.bridge.provisioning(CONNECTION)
        provisioning.policy = replace(provisioning.policy, budget=0.0)
        answer = await one.send("PATCH", f"/Users/{ada}", patch({"op": "replace", "path": "active", "value": False}))
        assert answer.status == 429
    async with again(tmp_path, hubspot, one.token) as one:
        await one.idle()

    (trace,) = await look(tmp_path, lambda tx: views.trace(tx, answer.headers["x-request-id"]))
    assert isinstance(trace, Trace)
    assert trace.request.reason == "accepted; pending upstream; retry to observe"
    assert trace.sentence.endswith(f"ms: {trace.request.reason}.")
    calls = [(call.method, call.outcome, call.attempt) for call in trace.calls]
    assert calls[:3] == [("GET", "502", 1), ("GET", "502", 2), ("GET", "502", 3)]
    assert ("DELETE", "204", 1) in calls
    assert all("*" in call.route and ada not in call.route for call in trace.calls)
    (effect,) = trace.effects
    assert (effect.kind, effect.id, effect.name) == ("User", ada, NAME)
    assert effect.now == f"{NAME} has no account."
    assert [(entry.event, entry.what, entry.outcome) for entry in effect.entries[:1]] == [("intent", "modify", None)]
    assert [entry.outcome for entry in effect.entries][-1] == "done"


async def send(one: RunningBridge, token: str | None, *headers: tuple[bytes, bytes]) -> tuple[int, str]:
    """Read the Users with a token and header fields; return status and request id."""
    given = [(b"host", b"bridge.test"), *headers]
    if token is not None:
        given.append((b"authorization", f"Bearer {token}".encode()))
    path = f"/{CONNECTION}/scim/v2/Users"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def take(message: Any) -> None:
        messages.append(message)

    await one.server({**scope, "headers": given, "scheme": "http", "client": ("127.0.0.1", 1)}, receive, take)
    return messages[0]["status"], dict(messages[0]["headers"])[b"x-request-id"].decode()


async def test_a_refused_token_is_told_by_whose_it_was(tmp_path: Path) -> None:
    """Expired, revoked, of another connection, unknown, none: the client is told one thing, the operator which."""
    now = datetime.now(UTC)
    async with kept_bridge(tmp_path, portal().transport()) as one:
        kept: dict[str, tuple[str, str]] = {}
        for label, connection, expires in [("old", CONNECTION, -1), ("ended", CONNECTION, 1), ("theirs", "beta", 1)]:
            until = now + timedelta(days=expires)
            secret, record = tokens.mint(connection, now=now, label=label, expires_at=until)
            await one.bridge.store.write(partial(tokens.create, record=record))
            kept[label] = (secret, record.lookup_id)
        await one.bridge.store.write(lambda tx: tokens.revoke(tx, kept["ended"][1], now))
        forged = tokens.mint(CONNECTION, now=now)[0]
        for sent in [*(secret for secret, _ in kept.values()), forged, "nonsense", None]:
            assert (await send(one, sent))[0] == 401

    told = await asked(tmp_path)
    assert [each.by for each in told] == [
        f"expired token {kept['old'][1]} (old)",
        f"revoked token {kept['ended'][1]} (ended)",
        f"token of beta {kept['theirs'][1]} (theirs)",
        "unknown token",
        "unknown token",
        "no token",
    ]
    assert {each.reason for each in told} == {"no valid token"}
    assert {each.action for each in told} == {"GET"}


async def test_an_id_and_a_trace_of_the_client_are_kept_if_well_formed(tmp_path: Path) -> None:
    """The id is that of answer and log; anything else gets one of ours."""
    good, parent = b"0b6f6a1e-4b7e-4b43", f"00-{TRACE}-00f067aa0ba902b7-01".encode()
    async with kept_bridge(tmp_path, portal().transport()) as one:
        assert await send(one, one.token, (b"x-request-id", good), (b"traceparent", parent)) == (200, good.decode())
        for bad in (b"short", b"a" * 65, b"ada@corp.example", b'12345678", "x": "', b"12345678\n"):
            status, given = await send(one, one.token, (b"x-request-id", bad), (b"traceparent", b"00-" + bad))
            assert status == 200
            assert len(given) == 32
        _, twice = await send(one, one.token, (b"x-request-id", good), (b"x-request-id", good))
        assert len(twice) == 32

    told = await asked(tmp_path)
    assert (told[0].id, told[0].trace) == (good.decode(), TRACE)
    assert {each.trace for each in told[1:]} == {None}


@pytest.mark.parametrize(
    "parent", [f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-00f067aa0ba902b7-01"]
)
def test_a_traceparent_that_the_standard_calls_invalid_is_none(parent: str) -> None:
    """W3C Trace Context §3.2.2: ids of zeros, and the version ff."""
    assert access_log.begun("GET", [(b"traceparent", parent.encode())]).trace_id is None


# -- What must not happen ----------------------------------------------------------------------------------------------


async def test_a_store_that_takes_nothing_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is lost is counted, and told once; reads are answered all the while, and afterwards it is kept again."""
    monkeypatch.setitem(sqlite.WRITER_PRAGMAS, "busy_timeout", 20)
    monkeypatch.setattr(server_log, "BATCH_SECONDS", 0.0)
    lost: list[int] = []
    store = await Store.open(f"sqlite:///{tmp_path / 'bridge.db'}")
    log = RequestLog(30, lost=lost.append)
    async with log.kept(store):
        intruder = sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        for number in range(3):
            log.note(Entry(f"request-{number}", "GET", connection=CONNECTION, operation="search"), 200, 0.001)
            while sum(lost) == number:
                await asyncio.sleep(0)
        intruder.execute("ROLLBACK")
        intruder.close()
        log.note(Entry("request-3", "GET", connection=CONNECTION, operation="search"), 200, 0.001)
    found = await store.read(lambda tx: request_log.newest(tx, CONNECTION, Chosen(), before=None, limit=10))
    await store.close()

    assert [one.id for one in found] == ["request-3"]
    assert lost == [1, 1, 1]
    assert len([one for one in caplog.records if "request log" in one.message]) == 1


async def test_what_waits_to_be_written_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, and in the database as well what anybody may send: requests without a valid token."""
    monkeypatch.setattr(server_log, "MOST", 5)
    monkeypatch.setattr(server_log, "REFUSED_A_MINUTE", 2)
    lost: list[int] = []
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    log = RequestLog(30, lost=lost.append, clock=noon.timestamp)
    store = await Store.open(f"sqlite:///{tmp_path / 'bridge.db'}")
    async with log.kept(store):
        for number in range(9):
            log.note(Entry(f"refused-{number}", "GET", connection=CONNECTION), 401, 0.001)
        for number in range(9):
            log.note(Entry(f"request-{number}", "GET", connection=CONNECTION), 200, 0.001)
        log.note(Entry("nobody's", "GET"), 401, 0.001)
    found = await store.read(lambda tx: request_log.newest(tx, CONNECTION, Chosen(), before=None, limit=10))
    await store.close()

    assert sorted(one.id for one in found) == ["refused-0", "refused-1", "request-0", "request-1", "request-2"]
    assert sum(lost) == 6


async def test_a_failing_log_shares_no_commit_with_a_request(tmp_path: Path) -> None:
    """They wait for the writer at the same time; when the disk takes the one no more, the others are durable."""
    store = await Store.open(f"sqlite:///{tmp_path / 'bridge.db'}")
    go_on = threading.Event()

    def fails(tx: Transaction) -> None:
        raise DBAPIError.instance(None, None, DISK_FULL, sqlite3.Error, dialect=tx.dialect)

    waiting = asyncio.create_task(store.write(lambda _: go_on.wait()))
    await asyncio.sleep(0)
    writes = [asyncio.create_task(one) for one in (store.write(str), store.write_apart(fails), store.write(str))]
    await asyncio.sleep(0)
    go_on.set()
    results = await asyncio.gather(*writes, return_exceptions=True)
    await waiting
    await store.close()

    assert [type(one) for one in results] == [str, StoreUnavailableError, str]


async def test_nothing_is_kept_for_no_days(tmp_path: Path) -> None:
    """``requests_days = 0`` switches it off."""
    store = await Store.open(f"sqlite:///{tmp_path / 'bridge.db'}")
    log = RequestLog(0)
    async with log.kept(store):
        log.note(replace(Entry("request-1", "GET"), connection=CONNECTION), 200, 0.001)
    found = await store.read(lambda tx: request_log.newest(tx, CONNECTION, Chosen(), before=None, limit=10))
    await store.close()
    assert found == []


# -- The commands ------------------------------------------------------------------------------------------------------


async def test_the_commands_tell_what_was_asked(tmp_path: Path) -> None:
    """As a table, JSON and CSV; a person's requests with the person; exit status 1 for an id that is none."""
    async with kept_bridge(tmp_path, portal().transport()) as one:
        ada = (await one.send("POST", "/Users", person())).document["id"]
        sales = (await one.send("GET", "/Groups?filter=displayName%20eq%20%22Sales%22")).document["Resources"][0]["id"]
        joined = patch({"op": "add", "path": "members", "value": [{"value": ada}]})
        answer = await one.send("PATCH", f"/Groups/{sales}", joined)
    configuration = tmp_path / "scim-bridge.toml"
    database = tmp_path / "bridge.db"
    configuration.write_text(
        f'[store]\nurl = "sqlite:///{database}"\n[connections.{CONNECTION}]\nconnector = "hubspot"\n'
    )

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["--config", str(configuration), *arguments])
        assert result.exit_code == status, result.output
        return result.output

    id_ = answer.headers["x-request-id"]
    asked_of_all = await asyncio.to_thread(run, "requests", "--json")
    assert [json.loads(line)["action"] for line in asked_of_all.splitlines()] == ["patch", "search", "create"]
    csv = (await asyncio.to_thread(run, "requests", CONNECTION, "--writes", "--csv")).splitlines()
    assert len(csv) == 3
    assert csv[1].endswith(f",{id_}")
    table = await asyncio.to_thread(run, "requests", "--who", "Sales")
    assert id_ in table
    assert "members" in table
    told = await asyncio.to_thread(run, "person", NAME, "--json")
    assert [each["id"] for each in json.loads(told)["requests"]][:1] == [id_]
    trace = await asyncio.to_thread(run, "trace", id_)
    assert "asked to change Group Sales which changed members. It was answered 204" in trace
    assert "/settings/users/" in trace
    assert f"{NAME} has access, in Sales." in trace
    assert json.loads(await asyncio.to_thread(run, "trace", id_, "--json"))["request"]["id"] == id_
    assert "no request" in await asyncio.to_thread(run, "trace", "nothing", status=1)
