"""Service providers that others wrote, and odd ones: what the connector is tested against."""

import json
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import httpx2
from scim2_models import ScimProvider
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

BASE_URL = "http://localhost/v2"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Change = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]


@cache
def provider(*, patch: bool) -> ScimProvider:
    """Return what scim2-server serves; to build it takes a while."""
    config = load_default_service_provider_config()
    if config.patch is not None:
        config.patch.supported = patch
    return ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config
    )


def scim2_server(*, patch: bool = True) -> httpx2.AsyncBaseTransport:
    """Return scim2-server in memory.

    :param patch: Whether it says that it takes PATCH, and does.
    """
    application: Any = ASGIApplication(AsyncInMemoryStorage(), provider(patch=patch))
    return httpx2.ASGITransport(application)


class Odd(httpx2.AsyncBaseTransport):
    """A service provider whose answers are changed on their way.

    :param change: Given request and answer, returns the answer that is seen.
    :param before: Given the request, returns an answer in place of the service provider's, or ``None``.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        change: Change = lambda _request, response: response,
        before: Callable[[httpx2.Request], httpx2.Response | None] = lambda _request: None,
    ) -> None:
        self.inner = inner
        self.change = change
        self.before = before
        self.calls: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        self.calls.append((request.method, request.url.path))
        instead = self.before(request)
        if instead is not None:
            return instead
        response = await self.inner.handle_async_request(request)
        await response.aread()
        return self.change(request, response)


def body_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the JSON of an answer."""
    found: dict[str, Any] = json.loads(response.content) if response.content else {}
    return found


def scim_error(status: int, scim_type: str | None = None) -> httpx2.Response:
    """Return an error in SCIM's form."""
    body = {"schemas": [ERROR], "status": str(status)} | ({"scimType": scim_type} if scim_type else {})
    return httpx2.Response(status, json=body, headers={"Content-Type": "application/scim+json"})


def without_paging(inner: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
    """Return a service provider that answers the whole list whatever page is asked."""

    class Whole(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            query = parse_qs(request.url.query.decode())
            kept = {name: values[0] for name, values in query.items() if name not in {"startIndex", "count"}}
            url = request.url.copy_with(params=kept)
            content = await request.aread()
            return await inner.handle_async_request(
                httpx2.Request(request.method, url, headers=request.headers, content=content)
            )

    return Whole()


def of_few_paths(inner: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
    """Return a service provider like django-scim2 0.23.0: PATCH takes no filter in a path and does little else (501).

    A member leaves by value, as Entra ID sends it, and PUT of a group leaves the members as they are.
    """

    class FewPaths(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            content = await request.aread()
            body = json.loads(content) if content else {}
            operation = body.get("Operations", [{}])[0]
            match operation.get("op"), operation.get("path"):
                case "remove", "members":
                    leaving = [f'members[value eq "{one["value"]}"]' for one in operation["value"]]
                    body["Operations"] = [{"op": "remove", "path": path} for path in leaving]
                case ("remove", _) | ("replace", "displayName"):
                    return scim_error(501)
                case _ if request.method == "PUT" and body.get("members"):
                    return httpx2.Response(204)
                case _:
                    pass
            headers = {name: value for name, value in request.headers.items() if name != "content-length"}
            changed = json.dumps(body).encode() if content else b""
            return await inner.handle_async_request(
                httpx2.Request(request.method, request.url, headers=headers, content=changed)
            )

    return FewPaths()


async def pages(listing: Callable[[str | None, int], Any], limit: int) -> AsyncIterator[Any]:
    """Yield every page of a listing."""
    cursor: str | None = None
    while True:
        page = await listing(cursor, limit)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
