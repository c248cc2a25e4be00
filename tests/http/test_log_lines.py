"""The lines of the log as they are written: what a request did, what it caused, and when the ground gave way."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.cli.logs import JsonFormatter
from scim_bridge.store import audit, sqlite, tokens
from tests.faults.bridges import CONNECTION, FastClients, portal, prepare, running, settings
from tests.http.bridge import Tenant, bridge

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
NAME = "ada@corp.example"


class Lines(logging.Handler):
    """Keeps what the log's handler would have written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record where it is logged, as a handler does."""
        self.texts.append(self.format(record))

    def of(self, logger: str) -> list[dict[str, Any]]:
        """Return the lines of a logger and of those below it."""
        found = [json.loads(text) for text in self.texts]
        return [line for line in found if line["logger"].startswith(logger)]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged."""
    handler, root = Lines(), logging.getLogger("scim_bridge")
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


async def test_a_call_to_the_remote_system_is_a_line_with_the_request_that_caused_it(
    tmp_path: Path, lines: Lines
) -> None:
    """Method, masked route, outcome, milliseconds, lane and request id; no id, no address, no name."""
    template = await prepare(tmp_path)
    path = tmp_path / "bridge.db"
    path.write_bytes(template.database)
    path.chmod(0o600)
    lines.texts.clear()
    async with running(settings(path, "http://127.0.0.1:1"), FastClients(portal().transport()), template.token) as one:
        made = await one.send("POST", "/Users", {"schemas": [USER], "userName": NAME, "externalId": "1"})
        await one.idle()

    assert made.status == 201
    (access,) = lines.of("scim_bridge.access")
    calls = lines.of("scim_bridge.upstream")
    started = [calls.pop(0)["route"] for line in tuple(calls) if "request_id" not in line]
    assert started == ["/account-info/2026-03/details", "/oauth/v2/private-apps/get/access-token-info"]
    assert {line["request_id"] for line in calls} == {access["request_id"]} == {made.headers["x-request-id"]}
    (creation,) = [line for line in calls if line["method"] == "POST" and line["route"].startswith("/settings/users/")]
    assert {name: creation[name] for name in ("method", "outcome", "lane", "level")} == {
        "method": "POST",
        "outcome": "201",
        "lane": "CREATE",
        "level": "INFO",
    }
    assert creation["milliseconds"] >= 0
    assert access["connection"] == CONNECTION
    assert access["milliseconds"] >= 0
    assert all(NAME not in text and made.document["id"] not in text for text in lines.texts if '"route"' in text)


async def test_a_database_that_fails_is_told_once_with_its_cause_and_once_when_it_is_back(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ERROR and one WARNING, however many requests there were; each access line has its connection."""
    monkeypatch.setitem(sqlite.WRITER_PRAGMAS, "busy_timeout", 20)
    async with bridge(tmp_path) as (acme,):
        await written(acme, 201)
        lines.texts.clear()
        intruder = sqlite3.connect(str(acme.store.url.database), isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            await written(acme, 429)
        intruder.execute("ROLLBACK")
        intruder.close()
        assert await acme.store.answers()
        await written(acme, 201)

    told = [(line["level"], line["message"]) for line in lines.of("scim_bridge.store")]
    assert told[0] == (
        "ERROR",
        "the store is unavailable, nothing is accepted: it is locked by another process (writing)",
    )
    assert [level for level, _ in told] == ["ERROR", "WARNING"]
    assert told[1][1].startswith("the store is available again, after ")
    assert [line["connection"] for line in lines.of("scim_bridge.access")] == ["acme"] * 4


async def written(acme: Tenant, status: int) -> None:
    """Create somebody, and see the answer."""
    number = len(acme.remote.accounts)
    body = {"schemas": [USER], "userName": f"p{number}@example.com", "externalId": str(number)}
    assert (await acme.post("/Users", body)).status_code == status


async def test_readiness_asks_the_store(tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no write works ``/readyz`` is 503 and says what is missing; it tries one itself, so that it ends."""
    monkeypatch.setitem(sqlite.WRITER_PRAGMAS, "busy_timeout", 20)
    template = await prepare(tmp_path)
    path = tmp_path / "bridge.db"
    path.write_bytes(template.database)
    path.chmod(0o600)
    async with running(settings(path, "http://127.0.0.1:1"), FastClients(portal().transport()), template.token) as one:
        ready = one.server._ready
        assert (await ready())["store"] is True
        intruder = sqlite3.connect(path, isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        assert (await one.send("POST", "/Users", {"schemas": [USER], "userName": NAME})).status == 429
        assert (await ready())["store"] is False
        intruder.execute("ROLLBACK")
        intruder.close()
        assert (await ready())["store"] is True
    assert [line["level"] for line in lines.of("scim_bridge.store")] == ["ERROR", "WARNING"]


async def test_an_audit_entry_has_who_asked_for_which_request_and_what_changed(tmp_path: Path) -> None:
    """The token's public id, the request's, and paths without values; of what follows, the request as well."""
    async with bridge(tmp_path) as (acme,):
        user = await acme.user()
        operation = {"op": "replace", "path": "name.familyName", "value": "Lovelace"}
        answer = await acme.patch(f"/Users/{user['id']}", operation)
        await acme.settled()
        events = await acme.store.scan(lambda tx: [one.event for one in audit.export(tx, "acme")])
    intent, *others = [one for one in events if one.get("request") == answer.headers["x-request-id"]]
    assert intent["operation"] == "modify"
    assert intent["paths"] == ["name.familyName"]
    assert intent["actor"] == f"token {tokens.parse(acme.token)}"
    assert [(one["event"], one["actor"]) for one in others] == [("outcome", "bridge")] * len(others)
    assert others
    assert "Lovelace" not in json.dumps(events)


async def test_a_path_that_is_no_endpoint_is_not_logged(tmp_path: Path, lines: Lines) -> None:
    """What stands where an endpoint should be may be a name or a secret; the names of endpoints are a fixed set."""
    async with bridge(tmp_path) as (acme,):
        await acme.get(f"/{NAME}")
        await acme.get(f"/{NAME}/1")
        await acme.get("/Users/1")

    access = lines.of("scim_bridge.access")
    assert [line.get("endpoint") for line in access] == [None, None, "Users"]
    assert not any(NAME in text for text in lines.texts)
