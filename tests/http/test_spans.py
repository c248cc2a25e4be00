"""Spans for an OpenTelemetry collector, as one on the loopback gets them from a whole bridge."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from scim_bridge.app import Bridge, Serving
from scim_bridge.config import TracingSettings
from scim_bridge.errors import ConfigurationError
from scim_bridge.server.access_log import begun
from scim_bridge.server.spans import Spans, span_of, trace_of
from scim_bridge.surroundings import Surroundings
from scim_bridge.tracing import spans_of
from scim_bridge.upstream import Call
from tests.faults.bridges import CONNECTION, FastClients, portal, prepare, settings
from tests.faults.promises.diary import NotingEmulator
from tests.http.bridge import PATCH_OP, USER

NAME = "ada.lovelace@corp.example"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
INACTIVE = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]}


@dataclass
class Collector:
    """A collector: what it was sent."""

    url: str = ""
    headers: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Return the spans, in the order of their ends."""
        found: list[Span] = []
        for body in self.bodies:
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            found += [one for each in message.resource_spans for scope in each.scope_spans for one in scope.spans]
        return sorted(found, key=lambda one: one.end_time_unix_nano)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on the loopback."""
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take spans."""
            made.headers.append(self.headers["x-key"])
            made.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


class Down(httpx2.AsyncBaseTransport):
    """A HubSpot that takes no removal while it is told so."""

    def __init__(self, hubspot: NotingEmulator) -> None:
        self.inner, self.down, self.refused = hubspot.transport(), True, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer, or fail."""
        if self.down and request.method == "DELETE":
            self.refused += 1
            return httpx2.Response(502, request=request)
        return await self.inner.handle_async_request(request)


@dataclass
class Client:
    """Somebody who asks the bridge."""

    http: httpx2.AsyncClient
    bridge: Bridge

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request."""
        return await self.http.request(method, f"/{CONNECTION}/scim/v2{path}", json=body, headers=headers)


@asynccontextmanager
async def telling(file: Path, token: str, network: Down, url: str, share: float = 1.0) -> AsyncIterator[Client]:
    """Run a bridge that tells a collector; all is told when the block ends."""
    to = TracingSettings.model_validate({"url": url, "headers": {"x-key": "canary"}, "share": share})
    chosen = settings(file, "http://127.0.0.1:1").model_copy(update={"tracing": to})
    serving = Serving(chosen)
    around = Surroundings(http_client=FastClients(network), chance=lambda: 0.0)
    async with serving.bridge_of(around) as bridge:
        serving.open(bridge)
        headers = {"Authorization": f"Bearer {token}"}
        transport = httpx2.ASGITransport(app=serving.server())
        async with httpx2.AsyncClient(transport=transport, base_url="http://bridge.test", headers=headers) as http:
            yield Client(http, bridge)


def attributes(span: Span) -> dict[str, Any]:
    """Return the attributes of a span."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_a_request_and_its_calls_are_one_trace_also_after_a_restart(tmp_path: Path, collector: Collector) -> None:
    """The client's trace goes on; calls that another process makes later stand below the request; nobody is named."""
    template = await prepare(tmp_path)
    file = tmp_path / "bridge.db"
    file.write_bytes(template.database)
    file.chmod(0o600)
    hubspot = portal()
    network = Down(hubspot)
    async with telling(file, template.token, network, collector.url) as client:
        user = {"schemas": [USER], "userName": NAME, "active": True}
        made = await client.send("POST", "/Users", user, traceparent=f"00-{TRACE}-{SPAN}-01")
        assert made.status_code == 201
        await client.send("GET", f'/Users?filter=userName eq "{NAME}"')
        await client.send("GET", f"/Users/{NAME}", traceparent=f"00-{TRACE}-{SPAN}-00")
        provisioning = client.bridge.provisioning(CONNECTION)
        provisioning.policy = replace(provisioning.policy, budget=0.01)
        left = await client.send("PATCH", f"/Users/{made.json()['id']}", INACTIVE)
        assert left.status_code == 429
        while not network.refused:
            await asyncio.sleep(0.01)
    before = collector.spans()
    network.down = False
    async with telling(file, template.token, network, collector.url):
        while any(person.membership and person.email == NAME for person in hubspot.people.values()):
            await asyncio.sleep(0.01)
    later = collector.spans()[len(before) :]

    assert set(collector.headers) == {"canary"}
    create, search, patch = [one for one in before if one.kind == Span.SPAN_KIND_SERVER]  # the one with 00 is not told
    assert (create.trace_id.hex(), create.parent_span_id.hex()) == (TRACE, SPAN)
    assert attributes(create) == {
        "http.request.method": "POST",
        "http.route": "/{connection}/scim/v2/Users",
        "http.response.status_code": 201,
        "scim_bridge.connection": CONNECTION,
        "scim_bridge.operation": "create",
        "scim_bridge.request_id": made.headers["x-request-id"],
        "scim_bridge.token": attributes(create)["scim_bridge.token"],
    }
    below = [one for one in before if one.parent_span_id == create.span_id]
    assert {one.kind for one in below} == {Span.SPAN_KIND_CLIENT}
    assert [attributes(one)["http.response.status_code"] for one in below if one.name.startswith("POST /set")] == [201]
    assert all(one.trace_id == create.trace_id for one in below)
    assert all(0 <= one.end_time_unix_nano - one.start_time_unix_nano < 10**11 for one in below)
    assert create.end_time_unix_nano - create.start_time_unix_nano > 0
    assert (search.parent_span_id, search.name) == (b"", "GET /{connection}/scim/v2/Users")
    refused = [one for one in before if one.name.startswith("DELETE") and one.parent_span_id == patch.span_id]
    assert refused
    assert {one.status.code for one in refused} == {Status.STATUS_CODE_ERROR}
    (removal,) = [one for one in later if one.name.startswith("DELETE")]
    assert (removal.trace_id, removal.parent_span_id) == (patch.trace_id, patch.span_id)
    assert attributes(removal) == {
        "http.request.method": "DELETE",
        "http.response.status_code": 204,
        "url.template": "/settings/users/2026-03/*",
        "server.address": "127.0.0.1",
        "scim_bridge.request_id": left.headers["x-request-id"],
    }
    assert patch.trace_id.hex() == left.headers["x-request-id"]
    assert NAME not in str(collector.spans())


async def test_a_share_is_drawn_by_the_trace(collector: Collector) -> None:
    """A request and its calls are told together, or not at all."""
    spans = Spans(collector.url, {}, service="bridge", share=0.5)
    for number in range(40):
        entry = begun("GET", [(b"x-request-id", b"client-%d" % number)])
        entry.connection = "acme"
        spans.note(entry, 500 if number == 0 else 200, 0.1)
        spans.note_call(Call(entry.request_id, "GET", "/users/*", "the connection broke", 0.1, 2, "crm.example"))
    await spans.close()
    told = collector.spans()
    assert 0 < len(told) < 80
    both = {one.trace_id for one in told if one.kind == Span.SPAN_KIND_SERVER}
    assert both == {one.trace_id for one in told if one.kind == Span.SPAN_KIND_CLIENT}
    assert {one.status.message for one in told} == {""}


def test_ids_follow_from_the_request_alone() -> None:
    """Those of the bridge are the trace's; what a client chose is hashed, and never nothing."""
    assert f"{trace_of('6929' + 'a' * 28):x}" == "6929" + "a" * 28
    for chosen in ("client-1", "0" * 32, "x" * 32):
        assert 0 < trace_of(chosen) < 1 << 128
        assert 0 < span_of(chosen) < 1 << 64
    assert trace_of("client-1") != trace_of("client-2")


def test_nothing_is_imported_where_nobody_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without the extra a configuration that asks for it is refused with what to install."""
    program = "import sys, scim_bridge.app; print([one for one in sys.modules if 'opentelemetry' in one])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
    chosen = settings(tmp_path / "bridge.db", "http://127.0.0.1:1")
    assert spans_of(chosen) is None
    monkeypatch.setitem(sys.modules, "scim_bridge.server.spans", None)
    to = TracingSettings(url="http://127.0.0.1:4318/v1/traces")
    with pytest.raises(ConfigurationError, match=r'pip install "scim-bridge\[otel\]"'):
        spans_of(chosen.model_copy(update={"tracing": to}))
