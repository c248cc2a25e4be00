"""HubSpot's own SCIM 2.0 server, the one API that truly deactivates.

Its wire details are unpublished: this follows RFC 7643 and 7644, with switches for what may vary.
"""

import re
from collections.abc import Mapping
from typing import Any

from .portal import Portal
from .records import Membership, Person
from .routing import Exchange, Route
from .users import refuse_duplicate, refuse_super_admin
from .wire import Answer, RefusalError, invalid, json_object, not_found

BASE = "/scim/v2"
HOST = "https://api.hubspot.com"
CONTENT_TYPE = "application/scim+json"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
FILTER = re.compile(r'userName\s+eq\s+"([^"]*)"', re.IGNORECASE)
SCIM_TYPES = {400: "invalidValue", 409: "uniqueness"}


def routes() -> list[Route]:
    """Return the routes."""
    one = f"{BASE}/Users/{{id}}"
    return [
        Route("GET", f"{BASE}/ServiceProviderConfig", service_provider_config, authentication="scim"),
        Route("GET", f"{BASE}/Users", query_users, authentication="scim"),
        Route("POST", f"{BASE}/Users", create_user, authentication="scim", writes=True),
        Route("GET", one, read_user, authentication="scim"),
        Route("PUT", one, replace_user, authentication="scim", writes=True),
        Route("PATCH", one, modify_user, authentication="scim", writes=True),
        Route("DELETE", one, delete_user, authentication="scim", writes=True),
    ]


def error(refusal: RefusalError) -> Answer:
    """Return a SCIM error (RFC 7644 §3.12)."""
    document = {"schemas": [ERROR], "status": str(refusal.status), "detail": refusal.message}
    if refusal.status in SCIM_TYPES:
        document["scimType"] = SCIM_TYPES[refusal.status]
    return Answer(refusal.status, document, content_type=CONTENT_TYPE)


def service_provider_config(call: Exchange) -> Answer:
    """Answer what the server supports."""
    check_tier(call.portal)
    no = {"supported": False}
    filters = {"supported": call.portal.switches.scim_filter == "works", "maxResults": 100}
    document: dict[str, Any] = {
        "schemas": [CONFIG],
        "patch": {"supported": True},
        "bulk": {**no, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": filters,
        "changePassword": no,
        "sort": no,
        "etag": no,
        "authenticationSchemes": [
            {"type": "oauthbearertoken", "name": "OAuth Bearer Token", "description": "The token of the SCIM app"}
        ],
    }
    return scim(200, document)


def query_users(call: Exchange) -> Answer:
    """Answer the members, all or the one of a userName."""
    portal, query = call.portal, call.request.query
    check_tier(portal)
    people = portal.members
    expression = query.get("filter")
    if expression and portal.switches.scim_filter != "ignored":
        match = FILTER.fullmatch(expression.strip())
        if match is None or portal.switches.scim_filter == "400":
            raise invalid("The filter is not supported", "filter")
        people = [person for person in people if person.email.lower() == match[1].lower()]
    start, count = number(query, "startIndex", 1), number(query, "count", 100)
    page = people[max(0, start - 1) :][: min(count, 100)]
    document = {
        "schemas": [LIST],
        "totalResults": len(people),
        "startIndex": max(1, start),
        "itemsPerPage": len(page),
        "Resources": [render(portal, person) for person in page],
    }
    return scim(200, document)


def create_user(call: Exchange) -> Answer:
    """Add a member, or bring back a deactivated one where the switch says so."""
    portal, document = call.portal, json_object(call.request.body)
    check_tier(portal)
    email = document.get("userName")
    if not isinstance(email, str) or "@" not in email:
        raise invalid("userName is required and must be an e-mail address", "userName")
    known = portal.find(email)
    if known is not None and known.membership is not None:
        refuse_duplicate(call, known)
        person, membership = known, known.membership
    else:
        person, membership = portal.join(email)
    write(portal, person, membership, {"active": True, **document})
    return scim(201, render(portal, person), {"Location": location(portal, person)})


def read_user(call: Exchange) -> Answer:
    """Answer one member."""
    person, _ = find(call)
    return scim(200, render(call.portal, person))


def replace_user(call: Exchange) -> Answer:
    """Write everything of a member that HubSpot holds; an ``active`` left out stays as it is."""
    person, membership = find_writable(call)
    document = json_object(call.request.body)
    write(call.portal, person, membership, {"roles": [], **document})
    return scim(200, render(call.portal, person))


def modify_user(call: Exchange) -> Answer:
    """Apply PATCH operations; ``active`` may be a boolean or, as some clients send it, a text."""
    person, membership = find_writable(call)
    operations = json_object(call.request.body).get("Operations")
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise invalid("Operations is required and must be an array of objects", "Operations")
    values: dict[str, Any] = {}
    for operation in operations:
        values |= changes_of(operation)
    write(call.portal, person, membership, values)
    if call.portal.switches.scim_patch_answer == "204":
        return Answer(204)
    return scim(200, render(call.portal, person))


def delete_user(call: Exchange) -> Answer:
    """Deactivate or remove a member, by the switch."""
    person, membership = find_writable(call)
    if call.portal.switches.scim_delete == "remove":
        call.portal.leave(person)
    else:
        membership.deactivated = True
        call.portal.touch(person)
    return Answer(204)


def changes_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one PATCH operation writes, as a part of a User."""
    kind, path, value = str(operation.get("op", "")).lower(), operation.get("path"), operation.get("value")
    if kind not in ("add", "replace", "remove"):
        raise invalid("op must be add, replace or remove", "op")
    if not path:
        if not isinstance(value, dict):
            raise invalid("value must be an object when there is no path", "value")
        return {name: part for key, item in value.items() for name, part in named(key, item).items()}
    return named(str(path), [] if kind == "remove" and path == "roles" else value)


def named(path: str, value: Any) -> dict[str, Any]:
    """Return a value under its path; ``name.givenName`` and ``name`` come to the same."""
    if path in ("name.givenName", "name.familyName"):
        return {path: value}
    if path == "name" and isinstance(value, dict):
        return {f"name.{key}": item for key, item in value.items()}
    return {path: value}


def write(portal: Portal, person: Person, membership: Membership, values: Mapping[str, Any]) -> None:
    """Write what HubSpot holds: ``active``, the names and, with role sync, the permission sets by exact name."""
    flat = {name: part for key, item in values.items() for name, part in named(key, item).items()}
    first = text(flat, "name.givenName", person.first_name)
    last = text(flat, "name.familyName", person.last_name)
    active = boolean(flat.get("active", not membership.deactivated))
    if portal.switches.scim_role_sync and "roles" in flat:
        wanted = role_names(flat["roles"])
        portal.assign_roles(membership, [role.id for role in portal.roles.values() if role.name in wanted])
    person.first_name, person.last_name, membership.deactivated = first, last, not active
    portal.touch(person)


def text(values: Mapping[str, Any], name: str, default: str) -> str:
    """Return a text."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string", name)
    return value


def boolean(value: object) -> bool:
    """Return a boolean, also from the texts ``True`` and ``False``."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise invalid("active must be a boolean", "active")
    return value


def role_names(value: object) -> set[str]:
    """Return the names in ``roles``, in either shape."""
    if not isinstance(value, list):
        raise invalid("roles must be an array", "roles")
    return {str(item.get("value")) if isinstance(item, dict) else str(item) for item in value}


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of a query."""
    value = query.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
        raise invalid(f"{name} must be an integer", name)
    return int(value)


def find(call: Exchange) -> tuple[Person, Membership]:
    """Return the member of the path."""
    check_tier(call.portal)
    for person in call.portal.members:
        if identifier(call.portal, person) == call.params["id"] and person.membership is not None:
            return person, person.membership
    raise not_found("User")


def find_writable(call: Exchange) -> tuple[Person, Membership]:
    """Return the member of the path, unless it is a Super Admin."""
    person, membership = find(call)
    if membership.super_admin:
        refuse_super_admin(call.portal.switches.super_admin_update, "Super Admin users cannot be changed")
    return person, membership


def check_tier(portal: Portal) -> None:
    """Refuse where the tier has no SCIM."""
    if not portal.profile.scim:
        raise RefusalError(403, "SCIM is not available for this account", category="FORBIDDEN")


def identifier(portal: Portal, person: Person) -> str:
    """Return a person's SCIM id."""
    return person.id if portal.switches.scim_id == "settings" else f"scim-{person.crm_id}"


def location(portal: Portal, person: Person) -> str:
    """Return a person's URL."""
    return f"{HOST}{BASE}/Users/{identifier(portal, person)}"


def render(portal: Portal, person: Person) -> dict[str, Any]:
    """Return a SCIM User."""
    membership = person.membership or Membership(deactivated=True)
    names = [portal.roles[role_id].name for role_id in membership.role_ids]
    objects = portal.switches.scim_roles == "objects"
    return {
        "schemas": [USER],
        "id": identifier(portal, person),
        "userName": person.email,
        "name": {"givenName": person.first_name, "familyName": person.last_name},
        "active": not membership.deactivated,
        "emails": [{"value": person.email, "type": "work", "primary": True}],
        "roles": [{"value": name} if objects else name for name in names],
        "meta": {
            "resourceType": "User",
            "created": portal.timestamp(person.created_at),
            "lastModified": portal.timestamp(person.updated_at),
            "location": location(portal, person),
        },
    }


def scim(status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer in SCIM's media type."""
    return Answer(status, document, headers or {}, CONTENT_TYPE)
