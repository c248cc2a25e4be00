"""The emulator as an httpx2 transport in process: no socket, the same answers, the same lost connections."""

import math
from collections.abc import Awaitable, Callable

import httpx2

from .wire import Delivery, Request


class EmulatorTransport(httpx2.AsyncBaseTransport):
    """Sends requests to an emulator. :param handle: Its ``handle``. :param sleep: Its ``sleep``.

    A dropped connection raises ``ReadError``, half an answer ``RemoteProtocolError``, and an answer slower than the
    request's read timeout ``ReadTimeout``, after that timeout has passed on ``sleep``.
    """

    def __init__(self, handle: Callable[[Request], Delivery], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._handle = handle
        self._sleep = sleep

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        body = await request.aread()
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Request(request.method, request.url.path, dict(request.url.params), headers, body)
        return await self._deliver(request, self._handle(seen))

    async def _deliver(self, request: httpx2.Request, delivery: Delivery) -> httpx2.Response:
        if delivery.answer is None:
            raise httpx2.ReadError("connection reset by peer", request=request)
        if delivery.cut:
            message = "peer closed connection without sending complete message body"
            raise httpx2.RemoteProtocolError(message, request=request)
        if delivery.delay:
            timeout = request.extensions.get("timeout", {}).get("read")
            patience = math.inf if timeout is None else timeout
            await self._sleep(min(delivery.delay, patience))
            if delivery.delay > patience:
                raise httpx2.ReadTimeout("the answer did not come in time", request=request)
        answer = delivery.answer
        content = answer.content
        headers = {"Content-Length": str(len(content)), **answer.headers}
        if content:
            headers["Content-Type"] = answer.content_type
        return httpx2.Response(answer.status, headers=headers, stream=httpx2.ByteStream(content), request=request)
