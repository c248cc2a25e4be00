"""Tells of each call that was sent, for whoever keeps what a request caused."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from scim_bridge.connector import correlation_id
from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.upstream.transports import ATTEMPT, Layer, route


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of a call that was sent, without what stands in it.

    :param request_id: The id of the request that caused it; ``None``: none did.
    :param route: Its path with ids masked (:func:`route`).
    :param outcome: The status of the answer, or why there is none.
    :param seconds: From sending to the end of the answer.
    :param attempt: Counted from 1.
    :param host: The host that it went to.
    """

    request_id: str | None
    method: str
    route: str
    outcome: str
    seconds: float
    attempt: int
    host: str = ""


class NoteLayer(Layer):
    """Tells of each attempt that was sent.

    :param note: Called after each.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, note: Callable[[Call], None]) -> None:
        super().__init__(inner)
        self._note = note

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and tell how it went."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome = "cancelled"
        try:
            response = await self._inner.handle_async_request(request)
        except RemoteUnavailableError as error:
            outcome = error.detail
            raise
        else:
            outcome = str(response.status_code)
            return response
        finally:
            attempt = request.extensions.get(ATTEMPT, 1)
            told = (correlation_id.get(), request.method, route(request), outcome, loop.time() - began, attempt)
            self._note(Call(*told, request.url.host))
