"""From the operation that a request asks for to what answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import unquote

from scim2_models import NotImplementedException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target

from scim_bridge.protocol import openapi
from scim_bridge.protocol.schemas import CATALOGUE
from scim_bridge.server.answers import Answer, json_answer
from scim_bridge.server.catalogue import CatalogueReads
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.reads import Reads
from scim_bridge.server.short import ShortReads
from scim_bridge.server.writes import Writes


class Endpoints:
    """The endpoints of one connection (RFC 7644 §3.2).

    :param connection: The connection.
    """

    def __init__(self, connection: ServedConnection) -> None:
        self.connection = connection
        reads = Reads(connection)
        self.short = ShortReads(connection, reads.bodies if connection.tells("User") else None)
        catalogue = CatalogueReads(connection)
        self._of_catalogue: dict[Operation, Callable[[ScimRequest, Target], Awaitable[Answer]]] = {
            Operation.query: catalogue.retrieve,
            Operation.search: catalogue.search,
            Operation.search_with_body: catalogue.search_with_body,
        }
        writes = Writes(connection, reads)
        self._handlers: dict[Operation, Callable[[ScimRequest, Target], Awaitable[Answer]]] = {
            Operation.query: reads.retrieve,
            Operation.search: reads.search,
            Operation.search_with_body: reads.search_with_body,
            Operation.create: writes.create,
            Operation.replace: writes.replace,
            Operation.patch: writes.patch,
            Operation.delete: writes.delete,
            Operation.bulk: writes.bulk,
        }

    def described(self, request: ScimRequest) -> Answer:
        """Answer ``GET /openapi.json``: what is served, for tools that read OpenAPI.

        :raises MethodNotAllowedException: When it is not read.
        """
        if request.method != "GET":
            raise MethodNotAllowedException(allowed=["GET"])
        options = self.connection.options
        described = openapi.document(
            self.connection.service,
            request.base_url,
            transient_status=options.transient_status,
            group_patch_status=options.group_patch_status,
        )
        return replace(json_answer(described), media_type=openapi.MEDIA_TYPE)

    async def handle(self, request: ScimRequest, target: Target) -> Answer:
        """Answer a request.

        :raises SCIMException: When the request is wrong.
        :raises ServingError: When it could not be done.
        """
        if target.me:
            raise NotImplementedException(detail="/Me is not supported: a token stands for a client, not for a person")
        if target.endpoint and self.connection.service.resource_type_at(target.endpoint).name in CATALOGUE:
            if target.operation not in self._of_catalogue:
                raise MethodNotAllowedException(allowed=["GET"])
            return await self._of_catalogue[target.operation](request, target)
        handler = self._handlers.get(target.operation)
        if handler is not None:
            return await handler(request, target)
        return self._discover(request, target)

    def _discover(self, request: ScimRequest, target: Target) -> Answer:
        """Answer a discovery endpoint (RFC 7644 §4)."""
        service = self.connection.service
        name = unquote(target.resource_id or "")
        with service.provider:
            match target.operation:
                case Operation.service_provider_config:
                    response = service.service_provider_config(request.url, request.query)
                    told = service.provider.told_config(response.body or {}, additions=service.preset.reads_additions)
                    response = replace(response, body=told)
                case Operation.resource_types:
                    response = service.resource_types(request.url, request.query)
                case Operation.resource_type:
                    response = service.resource_type(request.url, name, request.query)
                case Operation.schemas:
                    response = service.schemas(request.url, request.query)
                case _:
                    response = service.schema(request.url, name, request.query)
        return _answer(response)


def _answer(response: ScimResponse) -> Answer:
    headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
    return json_answer(response.body, int(response.status), headers)
