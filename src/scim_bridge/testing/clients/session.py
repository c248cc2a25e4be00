"""A simulated identity provider's HTTP session: its headers, its clock, its time-out, a record of its exchanges."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import httpx2

Document = dict[str, Any]
"""A JSON object."""


class Clock(Protocol):
    """What tells the time and waits; a test injects a virtual one."""

    def now(self) -> float:
        """Return the time in seconds; only differences count."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)


class RequestFailedError(Exception):
    """A request was not answered as the identity provider needs it.

    :param status: The HTTP status; ``None`` when no whole answer came (time-out, reset).
    :param detail: What the identity provider shows its administrator.
    :param retry_after: The ``Retry-After`` header as it came.
    """

    def __init__(self, status: int | None, detail: str, retry_after: str | None = None) -> None:
        super().__init__(f"{status or 'no answer'}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def wait(self) -> int | None:
        """The ``Retry-After`` in whole seconds; ``None`` when it is absent or no integer (an HTTP-date)."""
        value = (self.retry_after or "").strip()
        return int(value) if value.isascii() and value.isdigit() else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and how it was answered.

    :param target: Path and query as they were sent, below the base URL.
    :param status: The HTTP status; ``None`` when no whole answer came.
    """

    method: str
    target: str
    body: Document | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status and its JSON body (empty when there is none)."""

    status: int
    body: Document = field(default_factory=dict)


def query_string(parameters: Sequence[tuple[str, str]]) -> str:
    """Return a query as Okta and Entra ID write it: everything percent-encoded, a space as ``%20``."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)


def quoted(value: str) -> str:
    """Return a filter's string literal (RFC 7644 §3.4.2.2: a JSON string)."""
    return json.dumps(value, ensure_ascii=False)


class Session:
    """Sends requests over a client whose ``base_url`` is the root of the service provider.

    :param http: The client; its transport may be a socket, an application or a fake.
    :param headers: Sent with every request.
    :param content_type: Sent with every body.
    :param timeout: Seconds after which the socket is closed.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        headers: Mapping[str, str],
        content_type: str,
        clock: Clock,
        timeout: float,
    ) -> None:
        self.clock = clock
        self.exchanges: list[Exchange] = []
        self._http = http
        self._headers = dict(headers)
        self._content_type = content_type
        self._timeout = timeout

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Document | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send one request.

        :param path: Below the base URL (``/Users``).
        :param accept: Statuses of 400 and above that are answers, not failures.
        :raises RequestFailedError: On any other status of 300 and above, on a time-out and on a broken connection.
        """
        target = f"{path}?{query_string(query)}" if query else path
        headers = self._headers if body is None else {**self._headers, "Content-Type": self._content_type}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        request = self._http.build_request(method, target, headers=headers, content=content, timeout=None)
        try:
            response = await self._answer(request)
        except (httpx2.TransportError, TimeoutError) as error:
            self.exchanges.append(Exchange(method, target, body, None))
            raise RequestFailedError(None, f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error
        self.exchanges.append(Exchange(method, target, body, response.status_code))
        if response.status_code >= 300 and response.status_code not in accept:
            raise RequestFailedError(response.status_code, _detail(response), response.headers.get("Retry-After"))
        return Answer(response.status_code, _json(response))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        """Return the whole response, or raise ``TimeoutError`` when the clock is faster."""
        answer = asyncio.ensure_future(self._http.send(request))
        alarm = asyncio.ensure_future(self.clock.sleep(self._timeout))
        try:
            await asyncio.wait({answer, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise TimeoutError
            return answer.result()
        finally:
            answer.cancel()
            alarm.cancel()
            await asyncio.gather(answer, alarm, return_exceptions=True)


def _json(response: httpx2.Response) -> Document:
    """Return a JSON object; an empty body is an empty object."""
    if not response.content:
        return {}
    try:
        body = response.json()
    except ValueError as error:
        raise RequestFailedError(response.status_code, f"Unrecognized token: {response.text[:80]}") from error
    if not isinstance(body, dict):
        raise RequestFailedError(response.status_code, "The answer is no JSON object")
    return body


def _detail(response: httpx2.Response) -> str:
    """Return the ``detail`` of an Error (RFC 7644 §3.12), or what an administrator sees instead of it."""
    try:
        return str(_json(response).get("detail", ""))
    except RequestFailedError as error:
        return error.detail


def created(answer: Answer) -> str:
    """Return the ``id`` in the answer to a creation. :raises RequestFailedError: when there is none."""
    identifier = answer.body.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise RequestFailedError(answer.status, "Create new user returned empty user")
    return identifier


def listed(answer: Answer) -> list[Document]:
    """Return the ``Resources`` of a ListResponse (RFC 7644 §3.4.2), read as strictly as Okta reads it.

    :raises RequestFailedError: When a number is a string, or ``Resources`` is missing or null.
    """
    for name in ("totalResults", "startIndex", "itemsPerPage"):
        value = answer.body.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RequestFailedError(answer.status, f"{name} is not a number: {value!r}")
    resources = answer.body.get("Resources")
    if not isinstance(resources, list):
        raise RequestFailedError(answer.status, "No results for users returned")
    return resources


async def list_all(session: Session, path: str, *, count: int, query: Sequence[tuple[str, str]] = ()) -> list[Document]:
    """Return all resources of an endpoint, page by page until ``totalResults`` (RFC 7644 §3.4.2.4)."""
    found: list[Document] = []
    while True:
        page = [("startIndex", str(len(found) + 1)), ("count", str(count))]
        answer = await session.send("GET", path, query=[*query, *page])
        resources = listed(answer)
        found += resources
        if not resources or len(found) >= answer.body["totalResults"]:
            return found
