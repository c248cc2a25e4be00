"""The OpenAPI 3.1 document of a connection: its routes, and the schemas and settings that it is served with.

Nothing is described here that is written down elsewhere: the routes are the SCIM library's, attributes are those of
``/Schemas``, figures are those of the limits.
"""

from collections.abc import Iterator
from typing import Any

from scim2_models import ResourceType
from scim2_server.routing import ROUTES, Operation, Route

from scim_bridge.protocol.json_schemas import NAMES, PROJECTION, Json, component, components, search_parameters
from scim_bridge.protocol.schemas import CATALOGUE
from scim_bridge.protocol.service import BridgeService

PATH = "/openapi.json"
MEDIA_TYPE = "application/json"
SCIM, ALSO = "application/scim+json", "application/json"

_REFUSED = {
    400: "The request is not understood (RFC 7644 §3.12)",
    401: "The bearer token is missing or is none of this connection",
    403: "What is asked for is not to be done",
    404: "There is no such resource",
    408: "The body did not arrive in time",
    409: "Another resource has this name, or the resource changed meanwhile",
    412: "The resource is not at the version that If-Match names (RFC 7644 §3.14)",
    413: "The body, or what it asks for, is too large",
    415: "The body is no JSON",
    431: "The header fields are too large",
    500: "A fault of the bridge; the log has it under the X-Request-Id",
    501: "Not supported by the remote system",
}
_ALWAYS, _BODY, _ONE, _WRITE = (400, 401, 431, 500), (408, 413, 415), (404,), (403, 409, 412, 501)
_WRITES = {Operation.create, Operation.replace, Operation.patch, Operation.delete}
_SEARCHES = {Operation.search, Operation.search_with_body}
_DISCOVERY = {
    Operation.service_provider_config: "ServiceProviderConfig",
    Operation.resource_types: "ResourceTypeList",
    Operation.resource_type: "ResourceType",
    Operation.schemas: "SchemaList",
    Operation.schema: "Schema",
}
_SENT = {Operation.create: "Request", Operation.replace: "Request", Operation.patch: "Patch"}


def document(service: BridgeService, base_url: str, *, transient_status: int, group_patch_status: int) -> Json:
    """Return the OpenAPI document of a connection.

    :param service: What its requests mean.
    :param base_url: The root of its endpoints, as the client sees it.
    :param transient_status: The status of whatever is transient.
    :param group_patch_status: The status of a PATCH of a Group that asks for no attributes.
    """
    transient = sorted({429, transient_status})
    paths: dict[str, Json] = {}
    for route, type_ in _served(service):
        pattern = route.pattern.replace("/{endpoint}", str(type_.endpoint) if type_ else "")
        described = _operation(service, route, type_, transient)
        if route.operation is Operation.patch and type_ and type_.name == "Group" and group_patch_status == 204:
            described["responses"]["204"] = {"description": "Done; 200 when attributes or excludedAttributes is given"}
        path = pattern.replace("{resource_id}", "{id}")
        paths.setdefault(path, {})[route.method.lower()] = described
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865)",
            "version": "2.0",
            "description": "Made from the schemas and settings that are served. More forms are understood than are "
            "described: attribute names in any case, and what the client preset of the connection reads.",
        },
        "servers": [{"url": base_url}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components(service.provider, service.limits),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": _refusals(transient),
        },
    }


def _served(service: BridgeService) -> Iterator[tuple[Route, ResourceType | None]]:
    """Yield each route that is served, with the resource type it is about; ``/Me`` is not (RFC 7644 §3.11)."""
    for route in ROUTES:
        if route.pattern == "/Me":
            continue
        if "{endpoint}" not in route.pattern:
            yield route, None
            continue
        for type_ in service.provider.resource_types:
            if type_.name not in CATALOGUE or route.operation in {Operation.query, *_SEARCHES}:
                yield route, type_


def _operation(service: BridgeService, route: Route, type_: ResourceType | None, transient: list[int]) -> Json:
    operation = route.operation
    described: Json = {
        "operationId": f"{route.name}{f'_{type_.name}' if type_ else ''}",
        "tags": [str(type_.name) if type_ else "Bulk" if operation is Operation.bulk else "discovery"],
    }
    parameters = list(_parameters(service, route))
    if parameters:
        described["parameters"] = parameters
    sent = _sent(operation, type_)
    if sent is not None:
        content = {name: {"schema": component(sent)} for name in (SCIM, ALSO)}
        described["requestBody"] = {"required": True, "content": content}
    refused = [*_ALWAYS, *(_BODY if sent else ()), *(_WRITE if operation in _WRITES else ())]
    refused += [*(_ONE if "{resource_id}" in route.pattern else ()), *([403] if operation in _DISCOVERY else ())]
    described["responses"] = {
        **_answered(operation, type_),
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted({*refused, *transient})},
    }
    return described


def _sent(operation: Operation, type_: ResourceType | None) -> str | None:
    if operation is Operation.bulk:
        return "BulkRequest"
    if operation is Operation.search_with_body:
        return "SearchRequest"
    return f"{type_.name}{_SENT[operation]}" if type_ is not None and operation in _SENT else None


def _parameters(service: BridgeService, route: Route) -> Iterator[Json]:
    operation = route.operation
    if "{resource_id}" in route.pattern:
        schema: Json = {"type": "string", "format": "uuid"}
        if operation is Operation.schema:
            schema = {"enum": [document["id"] for document in service.provider.documents]}
        elif operation is Operation.resource_type:
            schema = {"enum": [type_.id for type_ in service.provider.resource_types]}
        yield {"name": "id", "in": "path", "required": True, "schema": schema}
    if operation is Operation.search:
        for name, schema in search_parameters().items():
            yield {"name": name, "in": "query", "allowEmptyValue": True, "schema": schema}
    if operation not in _DISCOVERY and operation not in {Operation.delete, Operation.bulk, Operation.search_with_body}:
        for name in PROJECTION:
            schema = {"type": "string", "format": NAMES}
            yield {"name": name, "in": "query", "allowEmptyValue": True, "schema": schema}
    if operation in _WRITES - {Operation.create}:
        yield {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
    if operation is Operation.query:
        yield {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}


def _answered(operation: Operation, type_: ResourceType | None) -> Json:
    """Return the answers to what is done."""
    if operation is Operation.delete:
        return {"204": {"description": "Done"}}
    if operation is Operation.bulk:
        name = "BulkResponse"
    elif operation in _SEARCHES:
        name = f"{type_.name}List" if type_ else "ListResponse"
    else:
        name = _DISCOVERY.get(operation) or str(type_.name if type_ else None)
    answered: Json = {"description": "Done", "content": {SCIM: {"schema": component(name)}}}
    if type_ is not None and operation not in _SEARCHES:
        headers = ["ETag", "Content-Location", *(["Location"] if operation is Operation.create else [])]
        answered["headers"] = {name: {"required": True, "schema": {"type": "string"}} for name in headers}
    if operation is Operation.create and type_ is not None:
        answered["links"] = {
            name: {"operationId": f"{name}_{type_.name}", "parameters": {"id": "$response.body#/id"}}
            for name in ("query", "replace", "patch", "delete")
        }
    unchanged = {"304": {"description": "The resource is at the version that If-None-Match names"}}
    return {"201" if operation is Operation.create else "200": answered} | (
        unchanged if operation is Operation.query else {}
    )


def _refusals(transient: list[int]) -> dict[str, Any]:
    """Return the answers to what is not done, by status: each is an Error (RFC 7644 §3.12)."""
    content = {SCIM: {"schema": component("Error")}}
    wait = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    later = {"description": "Not confirmed, or too busy: ask again", "content": content, "headers": wait}
    return {
        **{str(status): {"description": text, "content": content} for status, text in _REFUSED.items()},
        **{str(status): later for status in transient},
    }
