"""SCIM schemas (RFC 7643 §7) and messages (RFC 7644) as JSON Schema: what an OpenAPI document says of bodies."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scim2_models import ResourceType, Schema, ServiceProviderConfig

from scim_bridge.protocol import names
from scim_bridge.protocol.limits import Limits
from scim_bridge.protocol.schemas import CATALOGUE, BridgeProvider, ResourceDefinition

MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
FILTER, NAME, NAMES = "scim-filter", "scim-path", "scim-paths"
"""Formats of texts: a filter (RFC 7644 §3.4.2.2), an attribute path (§3.10), several between commas (§3.9)."""

CURSOR, MEMBER = "scim-cursor", "scim-member"
"""Formats of texts that an answer gave: a cursor (RFC 9865), or nothing for the first page, and the id of a User."""

PROJECTION = ("attributes", "excludedAttributes")
EXCLUSIVE = (PROJECTION, ("cursor", "startIndex"))
"""What a request gives one of (RFC 7644 §3.9, RFC 9865 §2)."""

_INTEGER: dict[str, Any] = {"type": "integer", "format": "int64", "minimum": 1 - 2**63, "maximum": 2**63 - 1}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": _INTEGER,
    "dateTime": {"type": "string", "format": "date-time"},
    "binary": {"type": "string", "contentEncoding": "base64", "format": "byte"},
    "reference": {"type": "string", "format": "uri-reference"},
}

Json = dict[str, Any]

_ONE_PRIMARY: Json = {
    "contains": {"properties": {"primary": {"const": True}}, "required": ["primary"]},
    "minContains": 0,
    "maxContains": 1,
}
"""RFC 7643 §2.4."""


def component(name: str) -> Json:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def search_parameters() -> dict[str, Json]:
    """Return what a search may ask for, by name (RFC 7644 §3.4.2), but for which attributes it shows."""
    return {
        "filter": {"type": "string", "format": FILTER},
        "sortBy": {"type": "string", "format": NAME},
        "sortOrder": {"type": "string", "enum": ["ascending", "descending"]},
        "startIndex": {"type": "integer"},
        "count": {"type": "integer"},
        "cursor": {"type": "string", "format": CURSOR},
    }


def components(provider: BridgeProvider, limits: Limits) -> dict[str, Json]:
    """Return the schemas of all bodies, by name.

    A resource has three: as it is answered (``User``), as it is sent (``UserRequest``), and what a PATCH of it may hold
    (``UserPatch``).

    :param provider: What the connection publishes.
    """
    described: dict[str, Json] = {}
    published = {document["id"]: document["attributes"] for document in provider.documents}
    for definition in provider.definitions.values():
        name = definition.kind
        described[name] = _resource(definition, published[definition.urn], sent=False)
        if name in CATALOGUE:
            continue
        described[f"{name}Request"] = _resource(definition, published[definition.urn], sent=True)
        described[f"{name}Patch"] = _patch(definition, limits)
    for model in (ServiceProviderConfig, ResourceType, Schema):
        document = model.to_schema().model_dump()
        described[document["name"]] = _discovery(document)
    found = [component(definition.kind) for definition in provider.definitions.values()]
    described["ListResponse"] = _list(found)
    described |= {f"{name}List": _list([component(name)]) for name in (*provider.definitions, "ResourceType", "Schema")}
    asked = {key: {"type": "array", "items": {"type": "string", "format": NAME}} for key in PROJECTION}
    asked |= search_parameters() | {"startIndex": _INTEGER, "count": _INTEGER}
    described["SearchRequest"] = _message("SearchRequest", {name: _nullable(value) for name, value in asked.items()})
    del described["SearchRequest"]["required"]
    described["SearchRequest"]["allOf"] = [{"not": _given(pair)} for pair in EXCLUSIVE]
    described["Error"] = _message(
        "Error",
        {
            "status": {"type": "string", "pattern": "^[1-5][0-9]{2}$"},
            "scimType": {"type": "string"},
            "detail": {"type": "string"},
        },
        required=("status",),
    )
    return described | _bulk(provider, limits)


def _closed(properties: Mapping[str, Json], required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


# -- Resources ---------------------------------------------------------------------------------------------------------


def _attribute(definition: Mapping[str, Any], *, sent: bool) -> Json:
    """Return the JSON Schema of an attribute.

    :param sent: Whether a client sends it; else it is answered.
    """
    value: Json = dict(_TYPES.get(definition["type"], {}))
    if definition["type"] == "complex":
        value = _closed(dict(_properties(definition.get("subAttributes", ()), sent=sent)), [])
    if sent and definition["type"] == "reference":
        value["format"] = "uri"
    if definition.get("canonicalValues"):
        value["examples"] = list(definition["canonicalValues"])
    if definition["multiValued"]:
        has_primary = sent and "primary" in value.get("properties", {})
        value = {"type": "array", "items": value, **(_ONE_PRIMARY if has_primary else {})}
    if sent and not definition.get("required"):
        value = _nullable(value)
    if definition.get("description"):
        value["description"] = definition["description"]
    return value


_GIVEN: Json = {"not": {"type": "null"}}


def _given(names: Iterable[str]) -> Json:
    return {"required": list(names), "properties": {name: {"not": {"enum": [None, []]}} for name in names}}


def _nullable(value: Json) -> Json:
    """Return a schema that takes null besides: nothing is given (RFC 7643 §2.5)."""
    return {**value, "type": [value["type"], "null"]}


def _properties(definitions: Iterable[Mapping[str, Any]], *, sent: bool) -> Iterator[tuple[str, Json]]:
    """Yield name and JSON Schema of attributes; what is read-only is ignored whatever it looks like (RFC 7644 §3.3)."""
    for definition in definitions:
        if sent and not _is_written(definition):
            yield definition["name"], {"readOnly": True}
        elif sent or definition.get("returned") != "never":
            yield definition["name"], _attribute(definition, sent=sent)


def _is_written(definition: Mapping[str, Any]) -> bool:
    return bool(definition.get("mutability") != "readOnly")


def _resource(definition: ResourceDefinition, published: Iterable[Mapping[str, Any]], *, sent: bool) -> Json:
    by_name = {attribute.name: attribute.definition for attribute in definition.core.values()}
    core = list((by_name | {one["name"]: one for one in published}).values())  # a password is published, and not read
    required = ["schemas", *([one["name"] for one in core if one.get("required")] if sent else ["id"])]
    properties = dict(_properties(core, sent=sent))
    for urn, attributes in definition.extensions.items():
        held = [attribute.definition for attribute in attributes.values()]
        properties[urn] = _attribute({"type": "complex", "multiValued": False, "subAttributes": held}, sent=sent)
    known = {"enum": [definition.urn, *definition.extensions]}
    properties["schemas"] = {"type": "array", "items": known, "contains": {"const": definition.urn}}
    if not sent:
        properties["meta"] = _META
        return _closed(properties, required)
    for name in required[1:]:
        properties[name]["pattern"] = names.pattern(name)
    if "members" in properties:
        member = properties["members"]["items"]
        member["required"], member["properties"]["value"] = ["value"], {"type": "string", "format": MEMBER}
    return _closed(properties, required)


_META = _closed(
    {
        "resourceType": {"type": "string"},
        "created": {"type": "string", "format": "date-time"},
        "lastModified": {"type": "string", "format": "date-time"},
        "location": {"type": "string", "format": "uri"},
        "version": {"type": "string"},
    },
    [],
)


def _discovery(published: Mapping[str, Any]) -> Json:
    """Return the JSON Schema of a resource of discovery, from the schema that the SCIM library has of it."""
    attributes = {one["name"]: _attribute(one, sent=False) for one in published["attributes"]}
    attributes |= {"schemas": {"type": "array", "items": {"const": published["id"]}}, "meta": _META}
    required = [one["name"] for one in published["attributes"] if one.get("required") and not one["multiValued"]]
    return {"type": "object", "properties": attributes, "required": ["schemas", *required]}


# -- Messages ----------------------------------------------------------------------------------------------------------


def _message(name: str, properties: Mapping[str, Json], *, required: Iterable[str] = ()) -> Json:
    urns = {"type": "array", "items": {"type": "string"}, "contains": {"const": f"{MESSAGES}{name}"}}
    return _closed({"schemas": urns, **properties}, ["schemas", *required])


def _list(found: list[Json]) -> Json:
    number = {"type": "integer", "minimum": 0}
    properties: dict[str, Json] = {
        "totalResults": number,
        "startIndex": number,
        "itemsPerPage": number,
        "nextCursor": {"type": "string"},
        "previousCursor": {"type": "string"},
        "Resources": {"type": "array", "items": found[0] if len(found) == 1 else {"anyOf": found}},
    }
    return _message("ListResponse", properties, required=("itemsPerPage", "Resources"))


def _patch(definition: ResourceDefinition, limits: Limits) -> Json:
    """Return the JSON Schema of a PATCH: its operations, on whole attributes and on parts of single ones.

    Paths with filters are understood besides (RFC 7644 §3.5.2); which value goes with which, JSON Schema cannot say.
    """
    written: Json = {"enum": ["add", "replace"]}
    targets = list(_targets(definition))
    removable = [path for path, _, required in targets if not required]
    writes: list[dict[str, Json]] = [
        {"op": written, "path": {"const": path}, "value": {**value, **_GIVEN}} for path, value, _ in targets
    ]
    operations: list[dict[str, Json]] = [
        *writes,
        {"op": {"const": "remove"}, "path": {"enum": removable}},
        {"op": written, "value": _part(definition)},
    ]
    any_of = [_closed(operation, list(operation)) for operation in operations]
    listed = {"type": "array", "items": {"anyOf": any_of}, "minItems": 1, "maxItems": limits.patch_operations}
    return _message("PatchOp", {"Operations": listed}, required=("Operations",))


def _targets(definition: ResourceDefinition) -> Iterator[tuple[str, Json, bool]]:
    """Yield path, value and necessity of what a PATCH may write."""
    request = f"{definition.kind}Request/properties"
    for attributes, prefix in ((definition.core, ""), *((held, urn) for urn, held in definition.extensions.items())):
        for attribute in attributes.values():
            if not _is_written(attribute.definition) or attribute.name == "schemas":
                continue
            place = f"{request}/{prefix}/properties/{attribute.name}" if prefix else f"{request}/{attribute.name}"
            yield attribute.path, component(place), bool(attribute.definition.get("required"))
            if not attribute.complex or attribute.multi_valued:
                continue
            for part in attribute.definition.get("subAttributes", ()):
                if _is_written(part):
                    yield f"{attribute.path}.{part['name']}", component(f"{place}/properties/{part['name']}"), False


def _part(definition: ResourceDefinition) -> Json:
    """Return the JSON Schema of the value of a PATCH without path: some attributes of the resource."""
    request = f"{definition.kind}Request/properties"
    written = [path for path, _, _ in _targets(definition) if ":" not in path and "." not in path]
    properties = {name: component(f"{request}/{name}") | _GIVEN for name in (*written, *definition.extensions)}
    return _closed(properties, []) | {"minProperties": 1}


def _bulk(provider: BridgeProvider, limits: Limits) -> dict[str, Json]:
    id_ = {"type": "string", "minLength": 1}
    sent: list[Json] = []
    for type_ in provider.resource_types:
        name, place = type_.name, str(type_.endpoint)
        if name in CATALOGUE:
            continue
        one = {"type": "string", "pattern": f"^{place}/[A-Za-z0-9:-]+$"}
        sent.append(_operation("POST", {"const": place}, {"bulkId": id_, "data": component(f"{name}Request")}))
        sent.append(_operation("PUT", one, {"data": component(f"{name}Request")}))
        sent.append(_operation("PATCH", one, {"data": component(f"{name}Patch")}))
        sent.append(_operation("DELETE", one, {}))
    text: Json = {"type": "string"}
    methods: Json = {"enum": ["POST", "PUT", "PATCH", "DELETE"]}
    told = {"method": methods, "bulkId": text, "status": text, "version": text, "location": text}
    answered = _closed({**told, "response": component("Error")}, ["status"])
    operations = {"type": "array", "items": {"anyOf": sent}, "minItems": 1, "maxItems": limits.bulk_operations}
    errors = {**_INTEGER, "minimum": 1}
    return {
        "BulkRequest": _message(
            "BulkRequest", {"failOnErrors": errors, "Operations": operations}, required=("Operations",)
        ),
        "BulkResponse": _message(
            "BulkResponse",
            {"Operations": {"type": "array", "items": answered}},
            required=("Operations",),
        ),
    }


def _operation(method: str, path: Json, besides: Mapping[str, Json]) -> Json:
    required: Json = {"method": {"const": method}, "path": path, **besides}
    return _closed({"version": {"type": "string"}, **required}, list(required))
