"""The user provisioning API in all its versions (SPEC userProvisioning.*)."""

from typing import Any

from . import assignments
from .records import Membership, Person
from .routing import Exchange, Handler, Route
from .wire import API_BASE, Answer, RefusalError, boolean_parameter, invalid, json_object, not_found, text_of

READ = ("settings.users.read", "crm.objects.users.read")
WRITE = ("settings.users.write", "crm.objects.users.write")

COLLECTIONS = {
    "v3": ("/settings/v3/users", "/settings/users/v3"),
    "2026-03": ("/settings/users/2026-03",),
    "2026-09-beta": ("/settings/users/2026-09-beta",),
    "2026-09": ("/settings/users/2026-09",),
}
"""The paths of each version. Clients use the first of v3; the newest document prints the second."""


def routes(*, version_2026_09: bool = False) -> list[Route]:
    """Return the routes of every version that exists."""
    versions = [version for version in COLLECTIONS if version != "2026-09" or version_2026_09]
    operations: list[tuple[str, str, Handler, tuple[str, ...]]] = [
        ("GET", "", list_users, READ),
        ("POST", "", create_user, WRITE),
        ("GET", "/{userId}", read_user, READ),
        ("PUT", "/{userId}", update_user, WRITE),
        ("DELETE", "/{userId}", remove_user, WRITE),
        ("GET", "/roles", list_roles, READ),
        ("GET", "/teams", list_teams, ("settings.users.teams.read",)),
    ]
    made = [
        Route(method, base + suffix, handler, scopes, version, writes=method != "GET")
        for version in versions
        for base in COLLECTIONS[version]
        for method, suffix, handler, scopes in operations
    ]
    return made + [
        Route("GET", f"{COLLECTIONS[version][0]}/seats", list_seats, ("settings.billing.write",), version)
        for version in versions
        if version.startswith("2026-09")
    ]


def list_users(call: Exchange) -> Answer:
    """Answer a page of the members, and of those removed a moment ago."""
    portal, switches = call.portal, call.portal.switches
    shown = [
        (person.id, person)
        for person in portal.people.values()
        if person.listed > 0 or (person.membership and (person.active or switches.list_deactivated == "shown"))
    ]
    page, paging = portal.pager.page(call.request.query, call.request.path, shown, switches.page_size_default)
    results = [render(call, person, person.membership or person.former or Membership()) for person in page]
    for person in page:
        person.listed = max(0, person.listed - 1)
    return Answer(200, {"results": results, **paging})


def create_user(call: Exchange) -> Answer:
    """Invite a person: the id is the one they always had (LIVE)."""
    portal, document = call.portal, json_object(call.request.body)
    email = text_of(document, "email")
    if not email or "@" not in email.strip("@") or any(character.isspace() for character in email):
        raise invalid("email is required and must be a valid address", "email", "INVALID_EMAIL")
    welcome = document.get("sendWelcomeEmail")
    if not isinstance(welcome, bool):
        raise invalid("sendWelcomeEmail is required and must be a boolean", "sendWelcomeEmail", "REQUIRED_FIELD")
    names = {name: text_of(document, name) for name in ("firstName", "lastName")}
    known = portal.find(email)
    if known is not None and known.membership is not None:
        refuse_duplicate(call, known)
    elif len(portal.members) >= portal.profile.max_users:
        marker = "AppUserErrors.USER_LIMIT_REACHED"
        raise RefusalError(400, "The account has reached its limit of users", sub_category=marker)
    assignments.check_creator(call)
    wanted = assignments.for_creation(call, document)
    if known is not None and known.membership is not None:
        person, membership = known, known.membership
        membership.deactivated = False
    else:
        person, membership = portal.join(email)
    wanted.apply(portal, membership)
    if known is None or portal.switches.create_names == "applied":
        person.first_name = names["firstName"] or person.first_name
        person.last_name = names["lastName"] or person.last_name
    location = f"{API_BASE}{call.request.path.rstrip('/')}/{person.id}"
    return Answer(201, render(call, person, membership, welcome=welcome), {"Location": location})


def refuse_duplicate(call: Exchange, person: Person) -> None:
    """Refuse a creation for somebody who is a member, unless it brings a deactivated one back."""
    switches = call.portal.switches
    reading = switches.duplicate_create if person.active else switches.create_deactivated
    if reading != "reactivate":
        category = "CONFLICT" if reading == "409" else "VALIDATION_ERROR"
        raise RefusalError(int(reading), f"User already exists with email {person.email}", category=category)


def read_user(call: Exchange) -> Answer:
    """Answer one member."""
    person, membership = find(call)
    if membership is None or (membership.deactivated and call.portal.switches.read_deactivated == "404"):
        raise not_found("User")
    return Answer(200, render(call, person, membership, complete=False))


def update_user(call: Exchange) -> Answer:
    """Change names and assignments of a member."""
    person, membership = find(call)
    switches = call.portal.switches
    document = json_object(call.request.body)
    names = {name: text_of(document, name) for name in ("firstName", "lastName")}
    if membership is None or (membership.deactivated and switches.write_deactivated == "404"):
        raise not_found("User")
    if membership.super_admin:
        refuse_super_admin(switches.super_admin_update, "Super Admin users cannot be updated")
    assignments.check_creator(call)
    wanted = assignments.for_update(call, document, membership)
    named = {name: value for name, value in names.items() if value is not None}
    if named and not membership.activated and switches.names_unactivated == "refused":
        marker = "AppUserErrors.USER_NOT_ON_ANY_HUBS"
        raise RefusalError(400, f"User {person.id} is not on any hubs: {marker}", sub_category=marker, nests=True)
    wanted.apply(call.portal, membership)
    if membership.activated or switches.names_unactivated == "accepted":
        person.first_name = named.get("firstName", person.first_name)
        person.last_name = named.get("lastName", person.last_name)
    call.portal.touch(person)
    return Answer(200, render(call, person, membership, complete=False))


def remove_user(call: Exchange) -> Answer:
    """Remove a member; again is 204 too (LIVE)."""
    switches = call.portal.switches
    try:
        person, membership = find(call)
    except RefusalError:
        if switches.delete_unknown == "204":
            return Answer(204)
        raise
    if membership is None:
        return Answer(204)
    if membership.deactivated and switches.write_deactivated == "404":
        raise not_found("User")
    if membership.super_admin and switches.super_admin_delete != "204":
        refuse_super_admin(switches.super_admin_delete, "Super Admin users cannot be removed")
    assignments.check_creator(call)
    call.portal.leave(person)
    return Answer(204)


def list_roles(call: Exchange) -> Answer:
    """Answer the permission sets, in no order that means anything."""
    portal = call.portal
    if not portal.profile.permission_sets:
        refuse_tier(portal.switches.roles_without_sets, "Account doesn't have access to roles.")
        return Answer(200, {"results": []})
    results = [
        {"id": role.id, "name": role.name, "requiresBillingWrite": role.requires_billing_write}
        for role in sorted(portal.roles.values(), key=lambda role: portal.pager.rank(role.id))
    ]
    return Answer(200, {"results": results})


def list_teams(call: Exchange) -> Answer:
    """Answer the teams with their members."""
    portal = call.portal
    if not portal.profile.teams:
        refuse_tier(portal.switches.teams_without_tier, "Account doesn't have access to teams.")
        return Answer(200, {"results": []})
    asked = boolean_parameter(call.request.query, "includeMembers")
    shown = asked or portal.switches.team_members == "always"
    results = []
    for team in portal.teams.values():
        primary, secondary = portal.team_members(team)
        ids = {"userIds": primary, "secondaryUserIds": secondary} if shown else {"userIds": [], "secondaryUserIds": []}
        results.append({"id": team.id, "name": team.name, **ids})
    return Answer(200, {"results": results})


def list_seats(call: Exchange) -> Answer:
    """Answer the kinds of seats and how many are left."""
    results = []
    for pool in call.portal.seats.values():
        seat: dict[str, Any] = {"name": pool.name}
        if pool.description:
            seat["description"] = pool.description
        if (left := call.portal.remaining(pool)) is not None:
            seat["remainingSeats"] = left
        results.append(seat)
    return Answer(200, {"results": results})


def find(call: Exchange) -> tuple[Person, Membership | None]:
    """Return the person that the path names, by id or by address.

    :raises RefusalError: 400 for an unknown ``idProperty``, 404 when HubSpot never knew such a person.
    """
    key, by = call.params["userId"], call.request.query.get("idProperty", "USER_ID")
    if by not in ("USER_ID", "EMAIL"):
        raise invalid("idProperty must be one of USER_ID, EMAIL", "idProperty")
    person = call.portal.people.get(key) if by == "USER_ID" else call.portal.find(key)
    sensitive = by == "EMAIL" and call.portal.switches.email_lookup == "sensitive"
    if person is None or (sensitive and person.email != key):
        raise not_found("User")
    return person, person.membership


def refuse_super_admin(status: str, message: str) -> None:
    """Refuse to touch a Super Admin."""
    category = "VALIDATION_ERROR" if status == "400" else "FORBIDDEN"
    raise RefusalError(int(status), message, category=category, sub_category="AppUserErrors.CANNOT_MODIFY_SUPER_ADMIN")


def refuse_tier(reading: str, message: str) -> None:
    """Refuse what the portal's tier lacks, unless it just answers nothing."""
    if reading != "empty":
        raise RefusalError(int(reading), message, category="VALIDATION_ERROR" if reading == "400" else "FORBIDDEN")


def render(
    call: Exchange, person: Person, membership: Membership, *, welcome: bool = False, complete: bool = True
) -> dict[str, Any]:
    """Return a ``PublicUser``.

    :param complete: Whether 2026-03 tells seats: its list and its creation do, reading and updating one user do not.
    """
    switches = call.portal.switches
    roles = membership.role_ids
    single = roles[0] if roles and (len(roles) == 1 or switches.role_id_of_several == "first") else None
    optional = {
        "firstName": person.first_name or None,
        "lastName": person.last_name or None,
        "roleId": single,
        "primaryTeamId": membership.primary_team_id,
    }
    absent = {"null": None, "empty": ""}.get(switches.absent_fields)
    user: dict[str, Any] = {"id": person.id, "email": person.email}
    for name, value in optional.items():
        if value is not None or switches.absent_fields != "omitted":
            user[name] = absent if value is None else value
    if switches.role_ids_form == "present":
        user["roleIds"] = list(roles)
    user["secondaryTeamIds"] = list(membership.secondary_team_ids)
    if complete or call.version != "2026-03":
        user["seatNames"] = list(membership.seat_names)
    user["sendWelcomeEmail"] = welcome
    super_admin = membership.super_admin
    user["superAdmin"] = super_admin if switches.super_admin_form == "boolean" else str(super_admin).lower()
    return user
