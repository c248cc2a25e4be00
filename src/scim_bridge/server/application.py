"""The SCIM server as one ASGI application: authenticate, read, route, answer, log."""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from scim2_models import NotFoundException, SCIMException
from scim2_server.requests import ScimRequest
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from scim_bridge.errors import ServingError
from scim_bridge.models import Kind
from scim_bridge.protocol import openapi, rendering
from scim_bridge.provisioning.journal import actor
from scim_bridge.server import access_log
from scim_bridge.server.answers import Answer, error_answer, failure, internal_error, json_answer, unauthorized
from scim_bridge.server.authentication import Attribute, Authenticate, FailedAuthentications, FailureLimit, bearer_token
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.endpoints import Endpoints
from scim_bridge.server.metrics import Metrics
from scim_bridge.server.reasons import REASONS, reason
from scim_bridge.server.request_log import RequestLog
from scim_bridge.server.requests import (
    ClientDisconnectedError,
    body_of,
    check_headers,
    origin_of,
    own_id,
    path_of,
    query_of,
)
from scim_bridge.server.short import asked
from scim_bridge.upstream import correlation_id

if TYPE_CHECKING:
    from scim_bridge.server.spans import Spans

T = TypeVar("T")
Ready = Callable[[], Awaitable[Mapping[str, bool]]]
"""Tells by name what is ready; all must be."""

PREFIX = "scim/v2"
BUSY = "The bridge is busy; not accepted, retry"
logger = logging.getLogger("scim_bridge.server")


async def _always_ready() -> Mapping[str, bool]:
    return {}


@contextlib.asynccontextmanager
async def _no_lifespan() -> AsyncIterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server answers.

    :param base_url: Scheme and authority that clients see (``https://scim.example.com``); by default the Host header's.
    :param public_configuration: Whether ``/ServiceProviderConfig`` is readable without a token (RFC 7643 §5).
    :param public_metrics: Whether ``/metrics`` is; otherwise it is not served.
    :param body_seconds: Within how many seconds the body of a request must be here.
    :param concurrency: How many requests are worked on at the same time; more are put off.
    :param failed_authentications: How many of one address are answered before they are put off.
    """

    base_url: str | None = None
    public_configuration: bool = False
    public_metrics: bool = False
    body_seconds: float = 20.0
    concurrency: int = 500
    failed_authentications: FailureLimit = field(default_factory=FailureLimit)


def create_server(
    connections: Mapping[str, ServedConnection],
    *,
    authenticate: Authenticate,
    request_log: RequestLog | None = None,
    attribute: Attribute | None = None,
    ready: Ready = _always_ready,
    metrics: Metrics | None = None,
    spans: "Spans | None" = None,
    options: ServerOptions | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = _no_lifespan,
) -> "Server":
    """Return the server of some connections.

    :param connections: By the first segment of their URLs. The mapping is read on each request and may change.
    :param authenticate: Checks a bearer token.
    :param request_log: Keeps what was asked.
    :param attribute: Tells it whose token was refused.
    :param ready: Tells whether ``/readyz`` is.
    :param metrics: What ``/metrics`` shows.
    :param spans: Tells a collector of each request.
    :param lifespan: Entered when the server starts and left when it stops.
    """
    return Server(
        connections=connections,
        authenticate=authenticate,
        request_log=request_log or RequestLog(0),
        attribute=attribute,
        ready=ready,
        metrics=metrics or Metrics(),
        spans=spans,
        options=options or ServerOptions(),
        lifespan=lifespan,
    )


class Server:
    """An ASGI application; made by :func:`create_server`."""

    def __init__(
        self,
        *,
        connections: Mapping[str, ServedConnection],
        authenticate: Authenticate,
        request_log: RequestLog,
        attribute: Attribute | None,
        ready: Ready,
        metrics: Metrics,
        spans: "Spans | None",
        options: ServerOptions,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._connections = connections
        self._endpoints: dict[str, Endpoints] = {}
        self._authenticate = authenticate
        self._request_log = request_log
        self._attribute = attribute
        self._ready = ready
        self._spans = spans
        self._options = options
        self._lifespan = lifespan
        self._failures = FailedAuthentications(options.failed_authentications)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._draining = False
        self.metrics = metrics
        metrics.requests_in_progress.set_function(lambda: len(self._tasks))

    # -- ASGI ----------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._lifespan())
            except Exception as error:  # noqa: BLE001 - the ASGI server reports it and stops
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.drain()
        await send({"type": "lifespan.shutdown.complete"})

    async def drain(self, seconds: float = 25.0) -> None:
        """Be unready, and let what is being written come to its end; what does not is driven after the next start."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        entry = access_log.begun(scope["method"], scope["headers"])
        correlation_id.set(entry.request_id)
        if self._spans is not None:
            self._spans.begin(entry)
        head = scope["method"] == "HEAD"
        if head:  # RFC 9110 §9.3.2: what GET would answer, without the body
            scope = {**scope, "method": "GET"}
        try:
            answer = await self._short_answer(scope, entry) or await self._answer(scope, receive, entry)
        except ClientDisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 - the last resort: nothing but our own words reaches a client
            entry.error = type(error).__name__
            entry.reason = f"a fault of the bridge: {entry.error}"
            logger.error(  # noqa: TRY400 - the message of an unknown error may hold personal data, its place does not
                "request %s failed: %s at\n%s",
                entry.request_id,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            answer = internal_error(entry.request_id)
        await answer.send(send, entry.request_id, head=head)
        seconds = time.perf_counter() - started
        if self._spans is not None:
            self._spans.note(entry, answer.status, seconds)
        self.metrics.answered(entry.operation, answer.status, seconds)
        access_log.write(entry, answer.status, seconds)
        self._request_log.note(entry, answer.status, seconds)

    # -- One request ---------------------------------------------------------------------------------------------------

    async def _short_answer(self, scope: Scope, entry: access_log.Entry) -> Answer | None:
        """Answer a read that may go the short way; ``None``: it goes the long way, from the beginning."""
        request = asked(scope)
        connection = None if request is None else self._connections.get(request.connection_id)
        if request is None or connection is None or len(self._tasks) >= self._options.concurrency:
            return None
        token = bearer_token([request.authorization])
        reads = self._endpoints_of(connection).short
        base_url = f"{self._options.base_url or request.origin}/{request.connection_id}/{PREFIX}"
        try:
            lookup_id = None if token is None else await self._authenticate(request.connection_id, token)
            if lookup_id is None:
                return None
            if request.resource_id is not None:
                answer = await reads.one(base_url, request.kind, request.resource_id)
            else:
                answer = await reads.many(base_url, request.kind, scope, entry)
        except (SCIMException, ServingError):
            return None
        if answer is not None:
            entry.connection, entry.token, entry.target = request.connection_id, lookup_id, request.resource_id
            entry.operation = "search" if request.resource_id is None else "query"
            entry.endpoint = rendering.ENDPOINTS[request.kind][1:]
        return answer

    async def _answer(self, scope: Scope, receive: Receive, entry: access_log.Entry) -> Answer:
        access_log.current.set(entry)
        try:
            path = path_of(scope)
            check_headers(scope)
            if path in ("/healthz", "/readyz"):
                return await self._probe(path, entry)
            if path == "/metrics" and self._options.public_metrics:
                entry.operation = "metrics"
                return Answer(200, await self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
            connection_id, _, rest = path[1:].partition("/")
            connection = self._connections.get(connection_id)
            entry.connection = None if connection is None else connection_id
            public = self._options.public_configuration and rest.strip("/") == f"{PREFIX}/ServiceProviderConfig"
            if connection is None or not (public or await self._admitted(connection_id, scope, entry)):
                entry.reason = REASONS[401]
                return self._refused(scope)
        except (SCIMException, ServingError) as error:
            entry.reason, entry.scim_type = reason(error)
            return failure(error)
        try:
            return await self._routed(scope, receive, entry, connection, rest)
        except (SCIMException, ServingError) as error:
            entry.reason, entry.scim_type = reason(error)
            return failure(error, connection.options.transient_status)

    async def _admitted(self, connection_id: str, scope: Scope, entry: access_log.Entry) -> bool:
        token = bearer_token([value for name, value in scope["headers"] if name == b"authorization"])
        if token is None:
            entry.refused = "no token"
            return False
        entry.token = await self._authenticate(connection_id, token)
        if entry.token is None:
            if self._attribute is not None:
                entry.token, entry.refused = await self._attribute(connection_id, token)
            return False
        actor.set(f"token {entry.token}")
        return True

    def _refused(self, scope: Scope) -> Answer:
        self.metrics.failed_authentications.inc()
        wait = self._failures.failed((scope.get("client") or ("unknown",))[0])
        if wait:
            return error_answer(429, "Too many requests without a valid token", headers={"Retry-After": str(wait)})
        return unauthorized()

    async def _probe(self, path: str, entry: access_log.Entry) -> Answer:
        entry.operation = path[1:]
        if path == "/healthz":
            return json_answer({"status": "ok"})
        checks = {**await self._ready(), "accepting": not self._draining}
        is_ready = all(checks.values())
        return json_answer({"status": "ready" if is_ready else "unready", "checks": checks}, 200 if is_ready else 503)

    async def _routed(
        self, scope: Scope, receive: Receive, entry: access_log.Entry, connection: ServedConnection, rest: str
    ) -> Answer:
        if rest.strip("/") != PREFIX and not rest.startswith(f"{PREFIX}/"):
            raise NotFoundException(detail="No SCIM endpoint at this path; SCIM 2.0 is below /scim/v2")
        headers = Headers(scope=scope)
        connection.recognition.agent(headers.get("user-agent"))
        origin = self._options.base_url or origin_of(scope, headers.get("host"))
        base_url = f"{origin}/{connection.connection_id}/{PREFIX}"
        request = ScimRequest(
            scope["method"], base_url, rest[len(PREFIX) :] or "/", query_of(scope), headers, subject=entry.token
        )
        if request.path.rstrip("/") == openapi.PATH:
            entry.operation = "openapi"
            return self._endpoints_of(connection).described(request)
        target = connection.service.match(request)
        entry.operation = target.operation.value
        kind: Kind | None = None
        if target.endpoint and (found := connection.service.get_resource_type_by_endpoint(target.endpoint)):
            kind = cast("Kind", found.name)
            entry.endpoint = target.endpoint  # what else a path says may be a name, or a secret
        if len(self._tasks) >= self._options.concurrency:
            entry.reason = BUSY
            return self._put_off(connection)
        if request.method in ("POST", "PUT", "PATCH"):
            limit = connection.service.limits.body_size(kind)
            waits = headers.get("expect", "").lower() == "100-continue"
            declared = headers.get("content-length")
            request.body = await body_of(receive, limit, declared, self._options.body_seconds, waits=waits)
        work = self._endpoints_of(connection).handle(request, target)
        entry.target = own_id(target.resource_id) if kind else None
        return await (work if request.method == "GET" else self._finished(work))

    def _put_off(self, connection: ServedConnection) -> Answer:
        status = connection.options.transient_status
        return error_answer(status, BUSY, headers={"Retry-After": "5"})

    def _endpoints_of(self, connection: ServedConnection) -> Endpoints:
        known = self._endpoints.get(connection.connection_id)
        if known is None or known.connection is not connection:
            known = self._endpoints[connection.connection_id] = Endpoints(connection)
        return known

    async def _finished(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that a disconnecting client does not cancel."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)
