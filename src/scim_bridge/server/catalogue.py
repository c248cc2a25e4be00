"""Answers what people can hold (``/Roles``, ``/Entitlements``) as it was last listed; the remote system may be down."""

from typing import Any
from urllib.parse import unquote

from scim2_models import ResourceType, SearchRequest
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.routing import Target

from scim_bridge.protocol import entitlements as protocol
from scim_bridge.server.answers import Answer, json_answer
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.requests import aside
from scim_bridge.store import entitlements
from scim_bridge.store.entitlements import Catalogue


class CatalogueReads:
    """The reads of the Roles and Entitlements of one connection.

    :param connection: The connection.
    """

    def __init__(self, connection: ServedConnection) -> None:
        self._connection = connection
        self._service = connection.service
        self._made: tuple[Catalogue, InMemoryStorage] | None = None

    async def retrieve(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``GET /Roles/{id}``."""
        type_ = self._service.resource_type_at(target.endpoint or "")
        resource = (await self._storage()).get(type_, unquote(target.resource_id or ""))
        with self._service.provider:
            parameters = self._service.read_response_parameters(type_, request.query)
            conditions = self._service.read_conditions(request)
            response = self._service.query_response(request.base_url, resource, parameters, conditions)
        headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return json_answer(response.body, int(response.status), headers)

    async def search(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``GET /Roles?…``."""
        types = self._service.searched_types(target.endpoint)
        with self._service.provider:
            search_request, position = self._service.read_search_query(types, request.query)
        return await self._search(request, types, search_request, position)

    async def search_with_body(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``POST /Roles/.search`` (RFC 7644 §3.4.3)."""
        types = self._service.searched_types(target.endpoint)

        def work() -> tuple[SearchRequest[Any], Any]:
            with self._service.provider:
                return self._service.read_search_body(types, request.body, request.header("Content-Type"))

        return await self._search(request, types, *await aside(request, work))

    async def _search(
        self, request: ScimRequest, types: list[ResourceType], search_request: SearchRequest[Any], position: Any
    ) -> Answer:
        storage = await self._storage()

        def work() -> Any:
            with self._service.provider:
                page = storage.search(types, search_request, position=position)
                return self._service.search_response(request.base_url, types, page, search_request).body

        return json_answer(await aside(request, work))

    async def _storage(self) -> InMemoryStorage:
        """Return the resources of what is listed now; they are made once for each list."""
        id_ = self._connection.connection_id
        catalogue = await self._connection.store.read(lambda tx: entitlements.load(tx, id_)) or NOTHING
        if self._made is None or self._made[0] is not catalogue:
            self._made = catalogue, InMemoryStorage()
            provider = self._service.provider
            with provider:
                self._made[1].resources = [
                    provider.model(one.resource_type).model_validate(
                        protocol.resource_of(one, provider.definitions[one.resource_type].urn)
                    )
                    for one in catalogue.entitlements.values()
                ]
        return self._made[1]


NOTHING = Catalogue({})
