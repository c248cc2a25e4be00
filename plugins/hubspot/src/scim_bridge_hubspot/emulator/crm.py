"""The CRM's users object (type 0-115): properties of a user, and the one search that tells who is deactivated."""

from collections.abc import Mapping
from typing import Any

from .portal import Portal
from .records import Person
from .routing import Exchange, Route
from .wire import Answer, RefusalError, boolean_parameter, invalid, json_object, not_found, texts_of

READ = ("crm.objects.users.read",)
WRITE = ("crm.objects.users.write",)
BASES = ("/crm/v3/objects/users", "/crm/objects/2026-03/users", "/crm/objects/2026-09-beta/users")
DEFAULT_PAGE = 10

WRITABLE = frozenset(
    {
        "hs_additional_phone",
        "hs_availability_status",
        "hs_job_title",
        "hs_main_user_language_skill",
        "hs_out_of_office_hours",
        "hs_secondary_user_language_skill",
        "hs_standard_time_zone",
        "hs_uncategorized_skills",
        "hs_working_hours",
    }
)
"""The properties that can be written; ``hs_deactivated`` is none of them."""

ALWAYS = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
"""The properties that come unasked."""


def routes() -> list[Route]:
    """Return the routes."""
    return [
        route
        for base in BASES
        for route in (
            Route("GET", base, list_records, READ),
            Route("POST", f"{base}/search", search_records, READ, search=True),
            Route("GET", f"{base}/{{userId}}", read_record, READ),
            Route("PATCH", f"{base}/{{userId}}", update_record, WRITE, writes=True),
        )
    ]


def list_records(call: Exchange) -> Answer:
    """Answer a page of the records; archived ones cannot be listed (LIVE)."""
    query = call.request.query
    refuse_archived(query)
    records = [(person.crm_id, person) for person in recorded(call.portal)]
    page, paging = call.portal.pager.page(query, call.request.path, records, DEFAULT_PAGE)
    wanted = query.get("properties", "").split(",")
    return Answer(200, {"results": [render(call.portal, person, wanted) for person in page], **paging})


def read_record(call: Exchange) -> Answer:
    """Answer one record."""
    refuse_archived(call.request.query)
    wanted = call.request.query.get("properties", "").split(",")
    return Answer(200, render(call.portal, record_of(call), wanted))


def update_record(call: Exchange) -> Answer:
    """Write properties; read-only and unknown ones are an error."""
    person, properties = record_of(call), json_object(call.request.body).get("properties")
    if not isinstance(properties, dict):
        raise invalid("properties is required and must be an object", "properties")
    known = values_of(call.portal, person)
    for name, value in properties.items():
        if name not in WRITABLE:
            code = "READ_ONLY_VALUE" if name in known else "PROPERTY_DOESNT_EXIST"
            message = f'Property values were not valid: "{name}" cannot be set'
            raise RefusalError(400, message, errors=[{"message": message, "code": code, "in": name}])
        if not isinstance(value, str):
            raise invalid(f"{name} must be a string", name, "INVALID_TYPE")
    person.properties |= properties
    call.portal.touch(person)
    return Answer(200, render(call.portal, person, list(properties)))


def search_records(call: Exchange) -> Answer:
    """Answer a page of the records that match any group of filters."""
    document = json_object(call.request.body)
    groups = document.get("filterGroups", [])
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise invalid("filterGroups must be an array of objects", "filterGroups")
    found = [
        (person.crm_id, person)
        for person in recorded(call.portal)
        if not groups or any(matches(values_of(call.portal, person), group) for group in groups)
    ]
    query = {name: str(document[name]) for name in ("limit", "after") if document.get(name) is not None}
    page, paging = call.portal.pager.page(query, call.request.path, found, DEFAULT_PAGE)
    wanted = texts_of(document, "properties") or []
    results = [render(call.portal, person, wanted) for person in page]
    return Answer(200, {"total": len(found), "results": results, **paging})


def matches(values: Mapping[str, str], group: Mapping[str, Any]) -> bool:
    """Tell whether a record matches every filter of a group."""
    filters = group.get("filters")
    if not isinstance(filters, list) or not all(isinstance(each, dict) for each in filters):
        raise invalid("filters must be an array of objects", "filters")
    return all(matches_filter(values, each) for each in filters)


def matches_filter(values: Mapping[str, str], each: Mapping[str, Any]) -> bool:
    """Tell whether a record matches one filter."""
    name, operator, value = each.get("propertyName"), each.get("operator"), each.get("value")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise invalid("A filter needs propertyName and operator", "filters")
    held = values.get(name)
    several = [str(item).lower() for item in each.get("values") or []]
    results = {
        "EQ": held is not None and held.lower() == str(value).lower(),
        "NEQ": held is None or held.lower() != str(value).lower(),
        "IN": held is not None and held.lower() in several,
        "NOT_IN": held is None or held.lower() not in several,
        "HAS_PROPERTY": held is not None,
        "NOT_HAS_PROPERTY": held is None,
    }
    if operator not in results:
        raise invalid(f"operator must be one of {', '.join(results)}", "operator")
    return results[operator]


def recorded(portal: Portal) -> list[Person]:
    """Return the members who have a CRM record by now."""
    late = portal.switches.crm_record == "after_activation"
    return [
        person
        for person in portal.people.values()
        if person.membership is not None and (person.membership.activated or not late)
    ]


def record_of(call: Exchange) -> Person:
    """Return the record of the path, by its own id or by ``idProperty``."""
    key, by = call.params["userId"], call.request.query.get("idProperty", "hs_object_id")
    if by not in ("hs_object_id", "hs_internal_user_id", "hs_email"):
        raise invalid("idProperty must be a unique property", "idProperty")
    for person in recorded(call.portal):
        if values_of(call.portal, person).get(by) == key:
            return person
    raise not_found("Object")


def refuse_archived(query: Mapping[str, str]) -> None:
    """Refuse ``archived=true``, which this object type does not support (LIVE)."""
    if boolean_parameter(query, "archived"):
        raise invalid("Object type 0-115 does not support archived", "archived")


def values_of(portal: Portal, person: Person) -> dict[str, str]:
    """Return all properties that have a value."""
    values = {
        "hs_object_id": person.crm_id,
        "hs_createdate": portal.timestamp(person.created_at),
        "hs_lastmodifieddate": portal.timestamp(person.updated_at),
        "hs_internal_user_id": person.id,
        "hs_email": person.email,
        "hs_deactivated": str(not person.active).lower(),
        **person.properties,
    }
    if portal.switches.crm_names:
        values |= {"hs_given_name": person.first_name, "hs_family_name": person.last_name}
    return values


def render(portal: Portal, person: Person, wanted: list[str]) -> dict[str, Any]:
    """Return a CRM object with the wanted properties; those without a value are ``null``."""
    values = values_of(portal, person)
    return {
        "id": person.crm_id,
        "properties": {name: values.get(name) for name in (*ALWAYS, *wanted) if name},
        "createdAt": portal.timestamp(person.created_at),
        "updatedAt": portal.timestamp(person.updated_at),
        "archived": False,
    }
