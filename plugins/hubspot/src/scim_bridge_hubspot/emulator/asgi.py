"""The emulator as an ASGI application, and a server that can really cut a connection."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .wire import Delivery, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRANSPORT = "emulator.transport"
"""The key of a request's ``state`` under which the server gives its socket away."""

CUT_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time to linger: closing sends RST instead of FIN."""


class Application:
    """An ASGI application around a function that answers requests.

    :param answer: Answers a request; it does not wait.
    :param sleep: Waits, for slow answers.
    """

    def __init__(self, answer: Callable[[Request], Delivery], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._answer = answer
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the start and the end of the server."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            delivery = self._answer(await read_request(scope, receive))
            if delivery.delay:
                await self._sleep(delivery.delay)
            await deliver(delivery, scope, receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """Agree to start and to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Return the whole request."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Request(scope["method"], scope["path"], query, headers, body)


async def deliver(delivery: Delivery, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer, half of it, or none."""
    if delivery.answer is None:
        await cut(scope, receive, reset=True)
        return
    content = delivery.answer.content
    headers = {"Content-Length": str(len(content)), **delivery.answer.headers}
    if content:
        headers["Content-Type"] = delivery.answer.content_type
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": delivery.answer.status, "headers": encoded})
    if delivery.cut:
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        await cut(scope, receive, reset=False)
        return
    await send({"type": "http.response.body", "body": content})


async def cut(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """End the connection under the client's hands.

    :param reset: By RST, which loses whatever is under way; otherwise what was sent arrives and then the end.
    :raises ConnectionResetError: When the server does not give its socket away.
    """
    transport: asyncio.Transport | None = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the emulator dropped this connection")
    if reset:
        plain: socket.socket = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CUT_AT_ONCE)
        transport.abort()
    else:
        transport.close()
    # Returning before the server has noticed would make it write an error to a socket that is gone.
    while (await receive())["type"] != "http.disconnect":
        pass


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which tells each request the transport it came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP only
        """Keep the transport where the scope of every request of this connection takes its state from."""
        super().connection_made(transport)
        # asyncio leaves Nagle's algorithm on for sockets of socket.create_server(): 40 ms for every answer with a body.
        plain: socket.socket = transport.get_extra_info("socket")
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, TRANSPORT: transport}


def make_server(application: Application) -> uvicorn.Server:
    """Return a server to be run on sockets that listen already."""
    config = uvicorn.Config(
        application,
        http=CuttableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,  # a slow answer must not hold up the end
    )
    return uvicorn.Server(config)
