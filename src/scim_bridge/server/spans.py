"""Spans of what is asked and of the calls that it causes, for an OpenTelemetry collector: the extra ``otel``.

They are made of what the log has, once it is over: no URL, no query, no value of an attribute, nobody's name. The span
of a request has an id that follows from the request's own, so that calls which are made later, by this process or
another one, stand below it without anything being kept for them.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import set_span_in_context as below

from scim_bridge.server.access_log import Entry
from scim_bridge.upstream import Call

KNOWN = 10_000
"""Of how many requests it is remembered at most that they belong to a trace of their client's."""

SECONDS = 3.0
"""How long a collector may take; a stop waits for it."""


class _Given(IdGenerator):
    """Gives the ids that were set for the next span."""

    def __init__(self) -> None:
        self.trace = self.span = 0

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        return self.trace

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        return self.span


class Spans:
    """Makes a span of each request of a connection, and of each call to a remote system that one caused.

    :param url: Where they are posted to.
    :param headers: What is sent with them.
    :param service: What the bridge is called.
    :param share: Which share is told of the requests whose clients do not say whether they record theirs.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, service: str, share: float) -> None:
        self._ids = _Given()
        self._sampler = TraceIdRatioBased(share)
        resource = Resource.create({"service.name": service, "service.version": version("scim-bridge")})
        self._provider = TracerProvider(
            sampler=ParentBased(self._sampler),
            resource=resource,
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(url, headers=dict(headers), timeout=SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("scim_bridge")
        self._callers: OrderedDict[str, SpanContext] = OrderedDict()
        # One line each time that spans are lost, not one for each attempt.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.ERROR)

    def begin(self, entry: Entry) -> None:
        """Take note of a request that belongs to a trace of its client's."""
        if entry.trace_id is None or entry.caller is None:
            return
        span, recorded = entry.caller
        flags = TraceFlags(TraceFlags.SAMPLED if recorded else TraceFlags.DEFAULT)
        context = SpanContext(int(entry.trace_id, 16), int(span, 16), is_remote=True, trace_flags=flags)
        self._callers[entry.request_id] = context
        if len(self._callers) > KNOWN:
            self._callers.popitem(last=False)

    def note(self, entry: Entry, status: int, seconds: float) -> None:
        """Make the span of a request that was answered."""
        if entry.connection is None:
            return
        one = "{id}" if entry.target and entry.method != "POST" else None
        route = "/".join(filter(None, ("/{connection}/scim/v2", entry.endpoint, one)))
        attributes: dict[str, str | int] = {
            "http.request.method": entry.method if entry.method.isalpha() else "_OTHER",
            "http.route": route,
            "http.response.status_code": status,
            "scim_bridge.connection": entry.connection,
            "scim_bridge.operation": entry.operation,
            "scim_bridge.request_id": entry.request_id,
        }
        if entry.token is not None:
            attributes["scim_bridge.token"] = entry.token
        caller = self._callers.get(entry.request_id)
        context = Context() if caller is None else below(NonRecordingSpan(caller), Context())
        self._ids.trace, self._ids.span = trace_of(entry.request_id), span_of(entry.request_id)
        self._make(context, SpanKind.SERVER, attributes, seconds, failed=str(status) if status >= 500 else None)

    def note_call(self, call: Call) -> None:
        """Make the span of a call that a request caused, below the span of that."""
        if call.request_id is None:
            return
        answered = call.outcome.isdecimal()
        attributes: dict[str, str | int] = {
            "http.request.method": call.method,
            "url.template": call.route,
            "server.address": call.host,
            "scim_bridge.request_id": call.request_id,
        }
        if answered:
            attributes["http.response.status_code"] = int(call.outcome)
        if call.attempt > 1:
            attributes["http.request.resend_count"] = call.attempt - 1
        failed = "no answer" if not answered else call.outcome if int(call.outcome) >= 400 else None
        self._ids.span = secrets.randbits(64) or 1
        context = below(NonRecordingSpan(self._parent(call.request_id)), Context())
        self._make(context, SpanKind.CLIENT, attributes, call.seconds, failed=failed)

    def _parent(self, request_id: str) -> SpanContext:
        """Return the span of a request, be it made by now or not."""
        caller = self._callers.get(request_id)
        trace = trace_of(request_id) if caller is None else caller.trace_id
        if caller is None:
            drops = self._sampler.should_sample(None, trace, "").decision is Decision.DROP
            flags = TraceFlags(TraceFlags.DEFAULT if drops else TraceFlags.SAMPLED)
        else:
            flags = caller.trace_flags
        return SpanContext(trace, span_of(request_id), is_remote=False, trace_flags=flags)

    def _make(
        self, context: Context, kind: SpanKind, attributes: dict[str, str | int], seconds: float, *, failed: str | None
    ) -> None:
        ended = time.time_ns()
        name = f"{attributes['http.request.method']} {attributes.get('http.route') or attributes['url.template']}"
        begun = ended - int(seconds * 1e9)
        span = self._tracer.start_span(name, context, kind, attributes, start_time=begun)
        if failed is not None:
            span.set_attribute("error.type", failed)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    async def close(self) -> None:
        """Send what is left, as far as the collector takes it."""
        await asyncio.to_thread(self._provider.shutdown)


def trace_of(request_id: str) -> int:
    """Return the id of the trace that a request begins: the request's own, where that is one of the bridge's."""
    try:
        own = int(request_id, 16) if len(request_id) == 32 else 0
    except ValueError:
        own = 0
    return own or int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:16])


def span_of(request_id: str) -> int:
    """Return the id of the span of a request."""
    return int.from_bytes(hashlib.sha256(f"span {request_id}".encode()).digest()[:8])
