"""The owners API (SPEC crmOwners.2026-03): who can own records. Archived owners tell who was deactivated or removed."""

from typing import Any

from .paging import INT32
from .portal import Portal
from .records import Person
from .routing import Exchange, Route
from .wire import Answer, boolean_parameter, invalid, not_found

SCOPES = ("crm.objects.owners.read", "automation")
BASES = ("/crm/owners/2026-03", "/crm/v3/owners")


def routes() -> list[Route]:
    """Return the routes."""
    lists = [Route("GET", base, list_owners, SCOPES) for base in BASES]
    return lists + [Route("GET", f"{base}/{{ownerId}}", read_owner, SCOPES) for base in BASES]


def list_owners(call: Exchange) -> Answer:
    """Answer a page of the owners, either those who are active or those who are archived."""
    portal, query = call.portal, call.request.query
    archived, email = boolean_parameter(query, "archived"), query.get("email")
    shown = [
        (str(person.owner_id), person)
        for person in portal.people.values()
        if person.active != archived and (not email or person.email.lower() == email.lower())
    ]
    page, paging = portal.pager.page(query, call.request.path, shown)
    return Answer(200, {"results": [render(portal, person) for person in page], **paging})


def read_owner(call: Exchange) -> Answer:
    """Answer one owner, by its own id or by the person's Settings id."""
    query, text = call.request.query, call.params["ownerId"]
    archived, by = boolean_parameter(query, "archived"), query.get("idProperty", "id")
    if by not in ("id", "userId"):
        raise invalid("idProperty must be one of id, userId", "idProperty")
    if not text.isascii() or not text.isdigit() or int(text[:11]) > INT32:
        raise invalid("ownerId must be an integer", "ownerId")
    for person in call.portal.people.values():
        key = str(person.owner_id) if by == "id" else person.id
        if key == text and person.active != archived:
            return Answer(200, render(call.portal, person))
    raise not_found("Owner")


def render(portal: Portal, person: Person) -> dict[str, Any]:
    """Return a ``PublicOwner``. An archived one has no ``userId``, only ``userIdIncludingInactive`` (3P)."""
    owner: dict[str, Any] = {
        "id": str(person.owner_id),
        "type": "PERSON",
        "email": person.email,
        "userIdIncludingInactive": int(person.id),
        "archived": not person.active,
        "createdAt": portal.timestamp(person.created_at),
        "updatedAt": portal.timestamp(person.updated_at),
    }
    if person.active:
        owner["userId"] = int(person.id)
    if person.active or portal.switches.archived_owner_names == "present":
        owner |= {"firstName": person.first_name, "lastName": person.last_name}
    else:
        owner |= {"firstName": "", "lastName": ""}
    membership = person.membership
    if membership is not None and (membership.primary_team_id or membership.secondary_team_ids):
        held = [(membership.primary_team_id, True)] if membership.primary_team_id else []
        held += [(team_id, False) for team_id in membership.secondary_team_ids]
        owner["teams"] = [{"id": each, "name": portal.teams[each].name, "primary": primary} for each, primary in held]
    return owner
