"""Paths, queries, bodies, transient answers and disconnects at the edge of the server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SCIMException
from starlette.types import Message

from scim_bridge.errors import RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.protocol import preset
from scim_bridge.server import ConnectionOptions, ServerOptions
from scim_bridge.server.requests import body_of, path_of, query_of
from scim_bridge.store.engine import Store
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import ERROR, GROUP, USER, Tenant, attempt, bridge


@pytest.mark.parametrize(
    "path",
    [
        "/acme/scim/v2/Users%2Fx", "/acme/scim/v2/%55sers", "/acme/scim/v2//Users", "/acme/scim/v2/./Users",
        "/acme/scim/v2/../v2/Users", "/acme/scim/v2/%2e%2e/Users", "/acme/scim/v2/Users;x=1", "/acme/scim/v2/Users\\x",
        "/acme/scim/v2/Users%00", "/acme/scim/v2/Users%252Fx", "//acme/scim/v2/Users", "/acme/scim/v2/Users/..",
        "/healthz/../acme/scim/v2/Users", "/healthz%2f..%2facme", "/%68ealthz", "/acme/scim/v2/Us\u00e9rs",
    ],
)  # fmt: skip
@pytest.mark.parametrize("with_token", [True, False], ids=["token", "no token"])
async def test_a_path_that_is_not_canonical_is_400(acme: Tenant, path: str, with_token: bool) -> None:
    """What one layer decodes and the next does not has opened doors before (CVE-2026-32130)."""
    headers = [(b"host", b"bridge.test")]
    if with_token:
        headers.append((b"authorization", f"Bearer {acme.token}".encode()))
    raw = path.encode("latin-1")
    status, body = await call(acme, {"path": path, "raw_path": raw, "method": "GET", "headers": headers})
    assert status == 400
    assert body["schemas"] == [ERROR]


async def call(
    acme: Tenant, parts: dict[str, Any], messages: list[Message] | None = None
) -> tuple[int, dict[str, Any]]:
    """Send a raw ASGI request and return status and body."""
    scope = {"type": "http", "scheme": "http", "query_string": b"", "client": ("192.0.2.1", 1), **parts}
    given = iter(messages or [{"type": "http.request", "body": b""}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(given)

    async def send(message: Message) -> None:
        sent.append(message)

    await acme.server(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


@settings(max_examples=500)
@given(st.text(alphabet="/.%2eEfF;\\ax:é\x00", max_size=20))
def test_a_path_is_refused_or_means_one_thing(path: str) -> None:
    """A path that is taken has no empty, `.` or `..` segment and nothing encoded."""
    taken, error = attempt(lambda: path_of({"type": "http", "path": path, "raw_path": path.encode("utf-8")}))
    if taken is None:
        assert error is not None
        assert error.status == 400
        return
    segments = taken.strip("/").split("/") if taken.strip("/") else []
    assert all(segment not in ("", ".", "..") for segment in segments)
    assert not set(taken) & set("%;\\\x00")


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_query_string_is_read_or_refused(raw: bytes) -> None:
    """Never an error of another kind, and never NUL."""
    query, error = attempt(lambda: query_of({"type": "http", "query_string": raw}))
    if query is None:
        assert error is not None
        assert error.status == 400
        return
    assert not any("\x00" in value for value in query.values())


async def test_a_nul_or_broken_encoding_in_the_query_is_400(acme: Tenant) -> None:
    """It would be a 500 in one of the databases."""
    for query in ("filter=userName%20eq%20%22a%00%22", "filter=%ff", "filter=%C3"):
        response = await acme.get(f"/Users?{query}")
        assert response.status_code == 400
        assert response.json()["schemas"] == [ERROR]


async def test_a_host_that_is_none_is_refused_and_base_url_overrides_it(tmp_path: Path) -> None:
    """The Host header ends up in URLs; an operator may fix it."""
    options = ServerOptions(base_url="https://scim.example.com")
    async with bridge(tmp_path, server_options=options) as (acme,):
        user = await acme.user()
        assert user["meta"]["location"] == f"https://scim.example.com/acme/scim/v2/Users/{user['id']}"
    async with bridge(tmp_path) as (acme,):
        assert (await acme.get("/Users", Host='evil"><script>')).status_code == 400


async def test_a_late_body_is_408_and_a_lost_client_is_nothing(acme: Tenant) -> None:
    """The body has a deadline of its own, whatever the HTTP server does."""
    never = asyncio.Event()

    async def silent() -> Message:
        await never.wait()
        raise AssertionError

    with pytest.raises(SCIMException) as late:
        await body_of(silent, 10, None, 0.01)
    assert late.value.status == 408

    async def endless() -> Message:
        return {"type": "http.request", "body": b"12345", "more_body": True}

    with pytest.raises(SCIMException) as large:
        await body_of(endless, 11, "5", 1)
    assert large.value.status == 413
    headers = [(b"authorization", f"Bearer {acme.token}".encode()), (b"host", b"bridge.test")]
    scope = {"type": "http", "scheme": "http", "query_string": b"", "path": "/acme/scim/v2/Users", "method": "POST"}

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await acme.server({**scope, "headers": headers, "client": None}, gone, send)


async def test_a_client_that_goes_away_does_not_cancel_its_write(acme: Tenant) -> None:
    """A deactivation that was begun is driven to its end."""
    user = await acme.user()
    gate = acme.remote.hold("deactivate_user")
    request = asyncio.create_task(
        acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    )
    await asyncio.wait_for(gate.entered.wait(), HANG_SECONDS)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    gate.release()
    await acme.settled()
    assert acme.remote_active() == {"ada@example.com": False}
    assert (await acme.read(user))["active"] is False


@pytest.mark.parametrize("status", [429, 503])
async def test_a_transient_failure_tells_whole_seconds(tmp_path: Path, status: Any) -> None:
    """Okta retries by itself on 429 and reads integers only; a setting answers 503."""
    async with bridge(tmp_path, options=ConnectionOptions(transient_status=status)) as (acme,):
        user = await acme.user()
        acme.remote.down = RemoteUnavailableError("down", ambiguous=False)
        response = await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
        assert response.status_code == status
        assert response.json()["status"] == str(status)
        assert response.headers["Retry-After"].isdecimal()
        assert (await acme.read(user))["active"] is True
        assert acme.remote_active() == {user["userName"]: True}
        acme.remote.down = RemoteRateLimitedError("limit", retry_after=33.2)
        response = await acme.post("/Users", {"schemas": [USER], "userName": "b"})
        assert response.status_code == status
        assert response.headers["Retry-After"].isdecimal()
        acme.remote.down = None


async def test_reads_work_while_the_remote_system_is_down(acme: Tenant) -> None:
    """A filter that finds nothing asks it once and stays calm."""
    user = await acme.user()
    acme.remote.down = RemoteUnavailableError("down", ambiguous=False)
    calls = len(acme.remote.calls)
    assert (await acme.get('/Users?filter=userName eq "nobody"')).json()["totalResults"] == 0
    assert (await acme.get(f"/Users/{user['id']}")).status_code == 200
    assert [call.hook for call in acme.remote.calls[calls:]] == ["find_user"]


async def test_a_bug_is_a_constant_500_with_the_request_id(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the client nor the log learns what a person's data was."""
    person = "ada@example.com"

    async def broken(self: Store, *work: object) -> None:
        raise RuntimeError(f"{person} is broken")

    user = await acme.user()
    for read in ("ask", "read"):
        monkeypatch.setattr(Store, read, broken)
    response = await acme.get(f"/Users/{user['id']}")
    monkeypatch.undo()
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] in response.json()["detail"]
    assert "broken" not in response.text
    ours = [record.getMessage() for record in caplog.records if record.name == "scim_bridge.server"]
    assert any(response.headers["X-Request-Id"] in line for line in ours)
    assert not any(person in line for line in ours)


async def test_a_busy_bridge_puts_requests_off(tmp_path: Path) -> None:
    """Over the limit of writes under way, the answer is transient and nothing is accepted."""
    async with bridge(tmp_path, server_options=ServerOptions(concurrency=1)) as (acme,):
        gate = acme.remote.hold("create_user")
        first = asyncio.create_task(acme.user("a"))
        await asyncio.wait_for(gate.entered.wait(), HANG_SECONDS)
        second = await acme.post("/Users", {"schemas": [USER], "userName": "b"})
        assert second.status_code == 429
        assert second.headers["Retry-After"] == "5"
        gate.release()
        await first
        assert set(acme.remote_active()) == {"a"}


async def test_probes_and_metrics(tmp_path: Path) -> None:
    """Health needs no token; metrics are served by setting only, and count requests and quirks."""
    async with bridge(tmp_path, server_options=ServerOptions(public_metrics=True)) as (acme,):
        await acme.user()
        assert (await acme.http.get("/healthz")).json() == {"status": "ok"}
        ready = await acme.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        text = (await acme.http.get("/metrics")).text
        assert 'scim_bridge_requests_total{operation="create",status="201"} 1' in text
        await acme.server.drain(0)
        assert (await acme.http.get("/readyz")).status_code == 503


async def test_a_group_patch_answers_200_always_by_setting(tmp_path: Path) -> None:
    """For clients that insist on a body (D2)."""
    async with bridge(tmp_path, options=ConnectionOptions(group_patch_status=200)) as (acme,):
        user = await acme.user()
        group = await acme.group("X")
        join = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
        response = await acme.patch(f"/Groups/{group['id']}", join)
        assert response.status_code == 200
        assert [one["value"] for one in response.json()["members"]] == [user["id"]]


async def test_unmanaged_accounts_are_listed_by_setting(tmp_path: Path) -> None:
    """D8: a client that deletes what it does not own must not see it; by its name it is found all the same."""
    for listed in (True, False):
        directory = tmp_path / str(listed)
        directory.mkdir()
        async with bridge(directory, options=ConnectionOptions(list_unmanaged=listed)) as (acme,):
            acme.remote.add_account("hand@example.com")
            await acme.provisioning.find_user("hand@example.com")
            assert (await acme.get("/Users")).json()["totalResults"] == int(listed)
            created = await acme.user("hand@example.com")
            assert (await acme.get("/Users")).json()["Resources"][0]["id"] == created["id"]


async def test_a_strict_client_is_held_to_the_rfc(tmp_path: Path) -> None:
    """The preset `strict` refuses the forms that the others forgive."""
    async with bridge(tmp_path, client=preset("strict")) as (acme,):
        user = await acme.user()
        refused = [
            await acme.post("/Users", {"userName": "b"}),
            await acme.post("/Users", {"schemas": ["urn:scim:schemas:core:2.0"], "userName": "b"}),
            await acme.post("/Users", {"schemas": [USER], "userName": "b", "surprise": 1}),
            await acme.patch(f"/Users/{user['id']}", {"op": "replace", "path": "manager", "value": "m"}),
            await acme.patch(
                f"/Users/{user['id']}", {"op": "replace", "path": 'emails[type eq "work"].value', "value": "x"}
            ),
        ]
        assert [response.status_code for response in refused] == [400] * len(refused)
        assert refused[-1].json()["scimType"] == "noTarget"
        created = await acme.post("/Groups", {"schemas": [GROUP], "displayName": "X"})
        assert created.status_code == 201
