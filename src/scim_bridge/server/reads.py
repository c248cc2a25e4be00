"""Answers reads of one connection from the store (RFC 7644 §3.4); the remote system may be down."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from scim2_models import NotFoundException, ResourceType, ResponseParameters, SearchRequest
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from scim2_server.requests import ScimRequest
from scim2_server.routing import Target
from scim2_server.storage import SearchPage

from scim_bridge.models import Kind
from scim_bridge.protocol import rendering
from scim_bridge.protocol.entitlements import held
from scim_bridge.protocol.rendering import Representation
from scim_bridge.server.access_log import current
from scim_bridge.server.answers import Answer, json_answer
from scim_bridge.server.catalogue import NOTHING
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.requests import aside
from scim_bridge.store import connector_state, entitlements, memberships, resources, shown
from scim_bridge.store.query import QueryPage, query
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.transaction import Transaction

REFERENCES: dict[Kind, str] = {"User": "groups", "Group": "members"}
"""The attribute of each resource type that is not in its document."""


LARGEST_INDEX = 2**53
"""No resource has this index or a larger one; a database takes no number beyond 64 bits."""


def shows_references(kind: Kind, parameters: ResponseParameters[Any]) -> bool:
    """Tell whether a response shows ``groups`` or ``members``; else they are not loaded."""
    name = REFERENCES[kind]
    if parameters.attributes:
        return any(path.parts and path.parts[0].lower() == name for path in parameters.attributes)
    return not any(
        len(path.parts) == 1 and path.parts[0].lower() == name for path in parameters.excluded_attributes or ()
    )


class Reads:
    """The reads of one connection.

    :param connection: The connection.
    """

    def __init__(self, connection: ServedConnection) -> None:
        self._connection = connection
        self._service = connection.service
        self._id = connection.connection_id

    # -- One resource --------------------------------------------------------------------------------------------------

    async def retrieve(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``GET /Users/{id}`` or ``/Groups/{id}``."""
        kind = self._service.kind_at(target.endpoint or "")
        parameters = self.parameters(kind, request)
        resource_id = target.resource_id or ""
        store = self._connection.store
        read = store.read if kind == "User" else store.scan  # members may be many
        representation = await read(lambda tx: self._load(tx, kind, resource_id, parameters))
        if representation is None:
            raise NotFoundException(detail=f"{kind} {resource_id} not found")
        tag = representation.row.etag
        if not self._service.read_conditions(request).check(tag, "GET"):
            return Answer(304, headers={"ETag": tag})
        return self.answer(request.base_url, representation, parameters)

    def parameters(self, kind: Kind, request: ScimRequest) -> ResponseParameters[Any] | None:
        """Return what the request restricts its response to; ``None``: nothing."""
        if not (request.query.get("attributes") or request.query.get("excludedAttributes")):
            return None
        with self._service.provider:
            return self._service.read_response_parameters(self._service.get_resource_type(kind), request.query)

    def _load(
        self, tx: Transaction, kind: Kind, resource_id: str, parameters: ResponseParameters[Any] | None
    ) -> Representation | None:
        row = resources.get(tx, self._id, kind, resource_id)
        return None if row is None else self.load(tx, [row], parameters)[0]

    def load(
        self, tx: Transaction, rows: Sequence[ResourceRow], parameters: ResponseParameters[Any] | None
    ) -> list[Representation]:
        """Return rows with their groups or members, where the response shows them."""
        shows = {kind for kind in REFERENCES if parameters is None or shows_references(kind, parameters)}
        users = [row.id for row in rows if row.kind == "User"]
        tells = self._connection.tells("User") and bool(users)
        groups = memberships.groups_of(tx, self._id, users, deleted=False) if "User" in shows or tells else {}
        members = {row.id: shown.members(tx, self._id, row.id) for row in rows if row.kind in shows - {"User"}}
        ending = any(row.shown_active and not row.active for row in rows)
        if ending and connector_state.get(tx, self._id, connector_state.PLANS) is not None:
            rows = [replace(row, shown_active=row.shown_active and row.active) for row in rows]
        catalogue = (entitlements.load(tx, self._id) or NOTHING) if tells else NOTHING
        by_group = not self._connection.provisioning.capabilities.user_centric
        return [
            Representation(
                row,
                groups.get(row.id) if "User" in shows else None,
                members.get(row.id),
                compared=self._service.preset.compares,
                held=held(row, groups[row.id], catalogue, by_group=by_group) if tells and row.kind == "User" else None,
            )
            for row in rows
        ]

    def bodies(self, tx: Transaction, base_url: str, rows: Sequence[ResourceRow]) -> list[bytes]:
        """Return the whole representations of resources."""
        return [rendering.resource(base_url, one) for one in self.load(tx, rows, None)]

    async def current(self, row: ResourceRow, parameters: ResponseParameters[Any] | None) -> Representation:
        """Return the representation of a row just written."""
        store = self._connection.store
        read = store.read if row.kind == "User" else store.scan  # members may be many
        return (await read(lambda tx: self.load(tx, [row], parameters)))[0]

    def answer(
        self,
        base_url: str,
        representation: Representation,
        parameters: ResponseParameters[Any] | None,
        status: int = 200,
    ) -> Answer:
        """Return the answer that carries a resource."""
        place = rendering.location(base_url, representation.row)
        headers = {"ETag": representation.row.etag, "Content-Location": place}
        if status == 201:
            headers["Location"] = place
        if parameters is None:
            return Answer(status, rendering.resource(base_url, representation), headers)
        return json_answer(self._service.projected(base_url, representation, parameters), status, headers)

    # -- Many ----------------------------------------------------------------------------------------------------------

    async def search(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``GET /Users?…``, ``/Groups?…`` or the root."""
        types = self._service.searched_types(target.endpoint)
        with self._service.provider:
            search_request, position = self._service.read_search_query(types, request.query)
        return await self._search(request.base_url, types, search_request, position)

    async def search_with_body(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``POST …/.search`` (RFC 7644 §3.4.3)."""
        types = self._service.searched_types(target.endpoint)

        def work() -> tuple[SearchRequest[Any], Any]:
            with self._service.provider:
                return self._service.read_search_body(types, request.body, request.header("Content-Type"))

        search_request, position = await aside(request, work)
        return await self._search(request.base_url, types, search_request, position)

    async def _search(
        self, base_url: str, types: list[ResourceType], search_request: SearchRequest[Any], position: Any
    ) -> Answer:
        kinds = [cast("Kind", type_.name) for type_ in types]
        found, representations = await self._query(kinds, search_request, position)
        entry = current.get()
        if entry is not None and search_request.filter:  # which names attributes: it was answered
            entry.filter = tuple(dict.fromkeys(_compared(search_request.filter.ast)))
        name = _sought_user_name(search_request.filter.ast) if search_request.filter else None
        if name is not None and "User" in kinds and not found.rows and not found.total:
            await self._connection.provisioning.find_user(name)
            found, representations = await self._query(kinds, search_request, position)
        restricts = search_request.attributes or search_request.excluded_attributes
        bodies = [
            self.answer(base_url, representation, search_request if restricts else None).body or b""
            for representation in representations
        ]
        with self._service.provider:
            page = SearchPage(found.total, [], found.next, found.previous)
            envelope = self._service.search_response(base_url, types, page, search_request)
        return Answer(200, rendering.page(envelope.body or {}, bodies))

    async def _query(
        self, kinds: Sequence[Kind], search_request: SearchRequest[Any], position: Any
    ) -> tuple[QueryPage, list[Representation]]:
        node = search_request.filter.ast if search_request.filter else None
        restricts = search_request.attributes or search_request.excluded_attributes

        def work(tx: Transaction) -> tuple[QueryPage, list[Representation]]:
            with self._service.provider:
                found = query(
                    tx,
                    self._id,
                    kinds,
                    models={kind: self._service.provider.model(kind) for kind in kinds},
                    filter=node,
                    sort_by=str(search_request.sort_by) if search_request.sort_by else None,
                    descending=search_request.sort_order == SearchRequest.SortOrder.descending,
                    start_index=min(search_request.start_index or 1, LARGEST_INDEX),
                    count=search_request.count or 0,
                    position=position,
                    by_cursor=search_request.cursor is not None,
                    listed=self._connection.listed,
                )
            return found, self.load(tx, found.rows, search_request if restricts else None)

        store = self._connection.store
        return await (store.read(work) if node is not None and _is_indexed(node) else store.scan(work))


def _sought_user_name(node: FilterNode) -> str | None:
    """Return the userName that a filter asks for, alone or beside other terms."""
    match node:
        case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)) if path.attr.lower() == "username":
            return value
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            return next((name for term in terms if (name := _sought_user_name(term)) is not None), None)
        case _:
            return None


def _compared(node: FilterNode) -> Iterator[str]:
    """Yield the names of the attributes that a filter compares, never what with."""
    match node:
        case LogicalExpr(terms=terms):
            for term in terms:
                yield from _compared(term)
        case Not(expr=inner):
            yield from _compared(inner)
        case Comparison(attr_path=path) | Present(attr_path=path) | ValuePath(attr_path=path):
            yield path.attr if path.sub_attr is None else f"{path.attr}.{path.sub_attr}"
        case _:
            return


def _is_indexed(node: FilterNode) -> bool:
    """Whether a filter is an equality that an index answers: the store may run it on the event loop."""
    match node:
        case Comparison(attr_path=path, op=CompareOperator.eq):
            return path.attr.lower() in {"username", "externalid", "id", "displayname"} and path.sub_attr is None
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            return any(_is_indexed(term) for term in terms)
        case _:
            return False
