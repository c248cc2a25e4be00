"""A service provider's endpoints as methods (RFC 7644 §3); each answer is checked to be the one that was asked for."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import httpx2

from scim_bridge.errors import (
    ConnectorError,
    OperationNotSupportedError,
    RemoteCredentialsError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.upstream import READING, read_model, urgent

from .errors import OtherFormAbsenceError, checked
from .wire import PATCH, SEARCH, Answer, Document, Listing, ServiceProvider

Endpoint = Literal["/Users", "/Groups"]
SUBJECTS: dict[Endpoint, str] = {"/Users": "account", "/Groups": "group"}
JSON = "application/scim+json"
PAGE = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list.

    :param after: The ``startIndex`` of the next part; ``None`` on the last one.
    """

    documents: list[Document]
    after: int | None


class ScimClient:
    """Speaks to one service provider.

    :param http: What sends the requests, relative to the base URL.
    :param patch: Whether it takes PATCH; ``"auto"`` asks its ServiceProviderConfig.
    """

    def __init__(self, http: httpx2.AsyncClient, *, patch: bool | Literal["auto"]) -> None:
        self._http = http
        self._patch = patch
        self._provider: ServiceProvider | None = None
        self._first: dict[Endpoint, object] = {}
        """The id that each list began with when it was read last."""
        self._searches = False
        """Whether lists are asked for by POST, since GET turns no pages."""
        self._finding: set[tuple[Endpoint, str]] = set()
        """The attributes by which a filter was seen to find somebody."""

    async def provider(self) -> ServiceProvider:
        """Return what the service provider can do; asked once.

        :raises RemoteMisroutedError: When it is not shown: never an error that is about the resource of a request.
        """
        if self._provider is None:
            with urgent():  # a removal may wait for it
                answer = await self._http.get("/ServiceProviderConfig", headers={"Accept": JSON})
            try:
                self._provider = read_model(checked(answer, "configuration"), ServiceProvider)
            except (RemoteUnavailableError, RemoteCredentialsError):
                raise
            except ConnectorError:
                raise RemoteMisroutedError(
                    "the service provider does not show its ServiceProviderConfig: set `patch`", ambiguous=False
                ) from None
        return self._provider

    async def told(self) -> ServiceProvider | None:
        """Return what the service provider says of itself; ``None`` when it says nothing."""
        try:
            return await self.provider()
        except RemoteMisroutedError:
            return None

    async def takes_patch(self) -> bool:
        """Tell whether the service provider takes PATCH."""
        return (await self.provider()).patch.supported if self._patch == "auto" else self._patch

    # -- One resource ----------------------------------------------------------------------------------------------

    async def read(self, endpoint: Endpoint, remote_id: str) -> Document:
        """Return a resource.

        :raises RemoteNotFoundError: When it is not there, and somebody else who is there was found by the same route;
            where that is not said in SCIM's form, when no page of the list has it either.
        :raises RemoteMisroutedError: When another one is answered, or nobody is found at all.
        """
        response = await self._http.get(
            _path(endpoint, remote_id), headers={"Accept": JSON}, extensions=_route(endpoint)
        )
        try:
            document = _document(checked(response, SUBJECTS[endpoint]))
        except RemoteNotFoundError:
            await self._control(endpoint, remote_id)
            raise
        except OtherFormAbsenceError:
            if await self._is_listed(endpoint, remote_id):
                raise
            await self._control(endpoint, remote_id)
            raise RemoteNotFoundError(f"the service provider lists no such {SUBJECTS[endpoint]}") from None
        return _of(document, remote_id)

    async def create(self, endpoint: Endpoint, body: Document) -> Document:
        """Create a resource, and return it."""
        response = await self._http.post(endpoint, content=json.dumps(body), headers=_SENDS)
        return _document(checked(response, SUBJECTS[endpoint]))

    async def patch(self, endpoint: Endpoint, remote_id: str, *operations: Document) -> Document | None:
        """Change a resource by PATCH; returns it when the answer shows it."""
        return await self._write("PATCH", endpoint, remote_id, {"schemas": [PATCH], "Operations": list(operations)})

    async def change(
        self,
        endpoint: Endpoint,
        remote_id: str,
        operations: Sequence[Document],
        replaced: Callable[[Document], Document],
    ) -> Document | None:
        """Change a resource by PATCH, or by PUT where PATCH does not do this (501, RFC 7644 §3.12).

        :param operations: What PATCH does to it.
        :param replaced: Does the same to the resource as it was read; returns that one itself to write nothing. What
            takes access away is written also where it seems done: a read may lag.
        :returns: The resource when the answer shows it.
        """
        if await self.takes_patch():
            try:
                return await self.patch(endpoint, remote_id, *operations)
            except OperationNotSupportedError:
                pass  # some take PATCH of a few attributes only
        before = await self.read(endpoint, remote_id)
        after = replaced(before)
        return before if after is before else await self.replace(endpoint, after)

    async def replace(self, endpoint: Endpoint, body: Document) -> Document | None:
        """Replace a resource as it was read, unless somebody changed it meanwhile; returns it when the answer does."""
        version = (body.get("meta") or {}).get("version")
        told = await self.told() if version else None
        body = {name: value for name, value in body.items() if name not in {"meta", "groups"}}
        conditional = {"If-Match": str(version)} if version and (told is None or told.etag.supported) else {}
        return await self._write("PUT", endpoint, str(body["id"]), body, **conditional)

    async def delete(self, endpoint: Endpoint, remote_id: str) -> Document | None:
        """Delete a resource; returns it when it is shown all the same."""
        response = await self._http.delete(
            _path(endpoint, remote_id), headers={"Accept": JSON}, extensions=_route(endpoint)
        )
        try:
            checked(response, SUBJECTS[endpoint])
        except RemoteNotFoundError:
            await self._control(endpoint, remote_id)
            return None
        except OtherFormAbsenceError:
            if await self._is_gone(endpoint, remote_id):
                return None
            raise
        try:
            return await self.read(endpoint, remote_id)
        except RemoteNotFoundError:
            return None

    async def _write(
        self, method: str, endpoint: Endpoint, remote_id: str, body: Document, **headers: str
    ) -> Document | None:
        response = await self._http.request(
            method,
            _path(endpoint, remote_id),
            content=json.dumps(body),
            headers={**_SENDS, **headers},
            extensions=_route(endpoint),
        )
        try:
            checked(response, SUBJECTS[endpoint])
        except RemoteNotFoundError:
            await self._control(endpoint, remote_id)
            raise
        except OtherFormAbsenceError:
            if await self._is_gone(endpoint, remote_id):
                raise RemoteNotFoundError(f"the service provider has no such {SUBJECTS[endpoint]}") from None
            raise
        return None if response.status_code == httpx2.codes.NO_CONTENT else _of(_document(response), remote_id)

    # -- Lists -----------------------------------------------------------------------------------------------------

    async def part(self, endpoint: Endpoint, start: int, limit: int, condition: str | None = None) -> Part:
        """Return a part of a list.

        Some service providers answer the whole list whatever is asked; it is cut here. Of some, GET turns no pages and
        POST to ``/.search`` (RFC 7644 §3.4.3) does. Where neither does, it is an error: whoever is on the other pages
        would be taken for gone.

        :param start: The 1-based index of its first resource.
        :param condition: A filter (RFC 7644 §3.4.2.2).
        """
        listing = await self._list(endpoint, start, limit, condition)
        if not self._is_of(listing, endpoint, start, limit) and not self._searches:
            self._searches = True
            try:
                listing = await self._list(endpoint, start, limit, condition)
            except ConnectorError:
                self._searches = False
                raise _unturned() from None
        if not self._is_of(listing, endpoint, start, limit):
            raise _unturned()
        found = listing.resources
        if _is_whole(listing, start, limit):
            after = start + limit if start - 1 + limit < len(found) else None
            return Part(found[start - 1 : start - 1 + limit], after)
        if not found and listing.total >= start:
            raise RemoteUnavailableError("the service provider says that there are more than it shows", ambiguous=False)
        if start == 1 and condition is None:
            self._first[endpoint] = found[0].get("id") if found else None
        return Part(found, start + len(found) if found and start + len(found) <= listing.total else None)

    def _is_of(self, listing: Listing, endpoint: Endpoint, start: int, limit: int) -> bool:
        """Tell whether a listing is the part that was asked for, or the whole list."""
        if start == 1 or _is_whole(listing, start, limit):
            return True
        again = bool(listing.resources) and listing.resources[0].get("id") == self._first.get(endpoint, self)
        return listing.start in {None, start} and not again

    async def _list(self, endpoint: Endpoint, start: int, limit: int, condition: str | None) -> Listing:
        wanted: Document = {"startIndex": start, "count": limit}
        if condition is not None:
            wanted["filter"] = condition
        if endpoint == "/Groups":
            wanted["excludedAttributes"] = ["members"] if self._searches else "members"
        if self._searches:
            body = json.dumps({"schemas": [SEARCH], **wanted})
            path = f"{endpoint}/.search"
            response = await self._http.post(path, content=body, headers=_SENDS, extensions={READING: True})
        else:
            response = await self._http.get(endpoint, params=wanted, headers={"Accept": JSON})
        return read_model(checked(response, "list"), Listing)

    async def every(self, endpoint: Endpoint, condition: str | None = None) -> AsyncIterator[Document]:
        """Yield every resource that a condition is true of, and more where the service provider does not read it."""
        start: int | None = 1
        while start is not None:
            part = await self.part(endpoint, start, PAGE, condition)
            for document in part.documents:
                yield document
            start = part.after

    async def filters(self) -> bool:
        """Tell whether the service provider claims to filter; taken for granted where it says nothing of itself."""
        told = await self.told()
        return told is None or told.filter.supported

    async def named(self, endpoint: Endpoint, attribute: str, name: str, *, certain: bool = False) -> list[Document]:
        """Return the resources of a name, compared without regard to case.

        :param certain: Whether it is known to be there: then the whole list is searched where filters find nobody, for
            some service providers compare userNames by case. So it is where filters do not find what is there.
        """
        wanted = name.casefold()
        try:
            for spelling in dict.fromkeys((name, name.lower())):
                found = [
                    one async for one in self._equal(endpoint, attribute, spelling) if _has(one, attribute, wanted)
                ]
                if found:
                    self._finding.add((endpoint, attribute))
                    return found
            certain = certain or not await self._finds(endpoint, attribute)
        except (RemoteInvalidValueError, OperationNotSupportedError):  # it reads no filters
            certain = True
        return [one async for one in self.every(endpoint) if _has(one, attribute, wanted)] if certain else []

    def _equal(self, endpoint: Endpoint, attribute: str, text: str) -> AsyncIterator[Document]:
        return self.every(endpoint, f"{attribute} eq {json.dumps(text, ensure_ascii=False)}")

    async def _finds(self, endpoint: Endpoint, attribute: str) -> bool:
        """Tell whether filters find by an attribute, which is asked once, about somebody who is listed.

        Some service providers answer that there is nobody to what they cannot compare.
        """
        if (endpoint, attribute) in self._finding:
            return True
        if not await self.filters():
            return False
        listed = (await self.part(endpoint, 1, 1)).documents
        if not listed:
            return True
        async for one in self._equal(endpoint, attribute, str(listed[0].get(attribute))):
            if one.get("id") == listed[0].get("id"):
                self._finding.add((endpoint, attribute))
                return True
        return False

    async def _is_gone(self, endpoint: Endpoint, remote_id: str) -> bool:
        """Tell whether a read finds that a resource is not there."""
        try:
            await self.read(endpoint, remote_id)
        except RemoteNotFoundError:
            return True
        return False

    async def _is_listed(self, endpoint: Endpoint, remote_id: str) -> bool:
        """Tell whether a page of the list has a resource."""
        async for document in self.every(endpoint):
            if document.get("id") == remote_id:
                return True
        return False

    async def _control(self, endpoint: Endpoint, absent: str) -> None:
        """Find somebody else by the same route, where somebody else is listed; a wrong address finds nobody."""
        for document in (await self.part(endpoint, 1, 2)).documents:
            other = str(document.get("id", ""))
            if other and other != absent:
                response = await self._http.get(
                    _path(endpoint, other), headers={"Accept": JSON}, extensions=_route(endpoint)
                )
                if response.is_success:
                    return
                raise RemoteMisroutedError(
                    "the service provider finds nobody by their id, not even those it lists", ambiguous=False
                )


_SENDS = {"Accept": JSON, "Content-Type": JSON}


def _has(document: Document, attribute: str, folded: str) -> bool:
    return str(document.get(attribute, "")).casefold() == folded


def _is_whole(listing: Listing, start: int, limit: int) -> bool:
    """Tell whether a listing is the whole list although a part was asked for."""
    found = len(listing.resources)
    return found > limit or (start > 1 and found == listing.total >= start)


def _unturned() -> RemoteUnavailableError:
    return RemoteUnavailableError("the service provider does not turn pages", ambiguous=False)


def _path(endpoint: Endpoint, remote_id: str) -> str:
    if remote_id in {".", ".."}:
        raise RemoteInvalidValueError("this id cannot be a part of a URL")
    return f"{endpoint}/{quote(remote_id, safe='')}"


def _route(endpoint: Endpoint) -> dict[str, str]:
    """Name the route for the log, in which ids do not stand."""
    return {"route": f"{endpoint}/{{id}}"}


def _document(response: httpx2.Response) -> Document:
    return read_model(response, Answer).model_dump()


def _of(document: Document, remote_id: str) -> Document:
    """Return a resource if it is the one that was asked for."""
    if document.get("id") != remote_id:
        raise RemoteMisroutedError("the service provider answered with another resource than was asked for")
    return document
