"""What role, teams and seats a creation or an update asks for, under every reading of HubSpot's rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .portal import Portal, no_seat
from .records import Membership
from .routing import Exchange
from .wire import RefusalError, invalid, text_of, texts_of

WITH_SEATS = ("v3", "2026-09-beta", "2026-09")
"""The versions whose schemas take ``seatNames`` (SPEC)."""


@dataclass(slots=True)
class Assignment:
    """The whole set a membership will have."""

    role_ids: list[str] = field(default_factory=list)
    primary_team_id: str | None = None
    secondary_team_ids: list[str] = field(default_factory=list)
    seat_names: list[str] = field(default_factory=list)

    def apply(self, portal: Portal, membership: Membership) -> None:
        """Give it to a membership."""
        portal.assign_roles(membership, self.role_ids)
        membership.primary_team_id = self.primary_team_id
        membership.secondary_team_ids = list(self.secondary_team_ids)
        membership.seat_names = list(self.seat_names)


def for_creation(call: Exchange, document: Mapping[str, Any]) -> Assignment:
    """Return what a POST asks for.

    :raises RefusalError: When a role, a team or a seat does not exist, is not allowed, or is used up.
    """
    portal = call.portal
    role_id = text_of(document, "roleId")
    role_ids = [role_id] if role_id else []
    check_roles(call, role_ids, [])
    primary, secondary = text_of(document, "primaryTeamId") or None, texts_of(document, "secondaryTeamIds") or []
    check_teams(call, primary, secondary)
    names = seats_of(call, document)
    if names is None:
        default = portal.default_seat if portal.switches.default_seat == "assigned" else None
        names = [default] if default else []
    try:
        seats = portal.take_seats(names)
    finally:
        portal.settle_seats()
    check_combination(call, role_ids, seats)
    return Assignment(role_ids, primary, list(dict.fromkeys(secondary)), seats)


def for_update(call: Exchange, document: Mapping[str, Any], held: Membership) -> Assignment:
    """Return what a membership has after a PUT.

    :raises RefusalError: As for a creation.
    """
    role_ids = roles_after(call, document, held)
    check_roles(call, role_ids, held.role_ids)
    primary, secondary = teams_after(call, document, held)
    check_teams(call, primary, secondary)
    seats = call.portal.take_seats(seats_after(call, document, held), held)
    check_combination(call, role_ids, seats)
    return Assignment(role_ids, primary, secondary, seats)


def roles_after(call: Exchange, document: Mapping[str, Any], held: Membership) -> list[str]:
    """Return the roles after a PUT; one that names a role leaves just that one (3P)."""
    switches, role_id = call.portal.switches, text_of(document, "roleId")
    if role_id:
        return [role_id]
    if role_id == "" and switches.role_clear != "empty":
        raise invalid("roleId must not be empty", "roleId")
    replaces, explicit = switches.put_mode == "replace", "roleId" in document
    clears = {
        "omit": replaces or explicit,
        "null": explicit and role_id is None,
        "empty": role_id == "",
        "never": False,
    }[switches.role_clear]
    if clears:
        return []
    return held.role_ids[:1] if replaces or switches.several_roles_merge == "first" else list(held.role_ids)


def teams_after(call: Exchange, document: Mapping[str, Any], held: Membership) -> tuple[str | None, list[str]]:
    """Return the primary and the secondary teams after a PUT."""
    switches = call.portal.switches
    primary, secondary = text_of(document, "primaryTeamId") or None, texts_of(document, "secondaryTeamIds") or []

    def kept(name: str) -> bool:
        sent = name in document and (document[name] is not None or switches.null_clears_teams)
        return not sent and switches.put_mode == "merge"

    primary = held.primary_team_id if kept("primaryTeamId") else primary
    secondary = list(held.secondary_team_ids) if kept("secondaryTeamIds") else secondary
    return primary, list(dict.fromkeys(secondary))


def seats_after(call: Exchange, document: Mapping[str, Any], held: Membership) -> list[str]:
    """Return the seats after a PUT. A version that knows no seats cannot change them."""
    switches, names = call.portal.switches, seats_of(call, document)
    if call.version not in WITH_SEATS or (names is None and switches.put_mode == "merge"):
        return list(held.seat_names)
    if names == []:
        if switches.empty_seats == "400":
            raise invalid("seatNames must not be empty", "seatNames")
        return list(held.seat_names) if switches.empty_seats == "keep" else []
    return names or []


def seats_of(call: Exchange, document: Mapping[str, Any]) -> list[str] | None:
    """Return the seats that a body names; ``None`` when it names none or the version has none."""
    if call.version in WITH_SEATS:
        return texts_of(document, "seatNames")
    if "seatNames" in document and call.portal.switches.seat_names_2026_03 == "400":
        raise invalid("Unrecognized field seatNames", "seatNames", "UNKNOWN_FIELD")
    return None


def check_roles(call: Exchange, wanted: list[str], held: list[str]) -> None:
    """Make sure that a change of roles is possible and allowed."""
    portal, switches = call.portal, call.portal.switches
    for role_id in wanted:
        if role_id not in portal.roles or not portal.profile.permission_sets:
            refuse_unknown(switches.unknown_role, f"Role {role_id} does not exist", "roleId")
        if portal.roles[role_id].super_admin and switches.super_admin_set == "400" and role_id not in held:
            marker = "AppUserErrors.SUPER_ADMIN_ROLE"
            raise RefusalError(400, "Super Admin permissions cannot be assigned", sub_category=marker)
    changed = [portal.roles[role_id] for role_id in set(wanted) ^ set(held)]
    if any(role.requires_billing_write for role in changed) and "settings.billing.write" not in call.scopes:
        context = {"missingScopes": ["settings.billing.write"]}
        category = "VALIDATION_ERROR" if switches.billing_error == "400" else "MISSING_SCOPES"
        raise RefusalError(int(switches.billing_error), "Error validating request", category=category, context=context)
    if changed and switches.creator_check and not creator_is_super_admin(call):
        raise RefusalError(403, "The user does not have permissions", category="USER_DOES_NOT_HAVE_PERMISSIONS")


def check_teams(call: Exchange, primary: str | None, secondary: list[str]) -> None:
    """Make sure that teams exist."""
    for team_id, name in [(primary, "primaryTeamId"), *((team_id, "secondaryTeamIds") for team_id in secondary)]:
        if team_id is not None and team_id not in call.portal.teams:
            refuse_unknown(call.portal.switches.unknown_team, f"Team {team_id} does not exist", name)


def check_combination(call: Exchange, role_ids: list[str], seats: list[str]) -> None:
    """Make sure that the seats carry the sets, on portals where they must."""
    if call.portal.switches.seat_combination == "checked":
        needed = {call.portal.roles[role_id].seat for role_id in role_ids} - {None}
        if not needed <= set(seats):
            raise no_seat()


def check_creator(call: Exchange) -> None:
    """Refuse a write of a token whose creator is gone, where that matters."""
    creator = call.portal.people.get(call.token.person_id) if call.token else None
    if call.portal.switches.creator_removed == "403" and (creator is None or not creator.active):
        raise RefusalError(403, "The user does not have permissions", category="USER_DOES_NOT_HAVE_PERMISSIONS")


def creator_is_super_admin(call: Exchange) -> bool:
    """Tell whether whoever made the token is a Super Admin."""
    creator = call.portal.people.get(call.token.person_id) if call.token else None
    return creator is not None and creator.active and creator.membership is not None and creator.membership.super_admin


def refuse_unknown(status: str, message: str, name: str) -> None:
    """Refuse an id that nothing has."""
    category = "OBJECT_NOT_FOUND" if status == "404" else "VALIDATION_ERROR"
    detail = {"message": message, "code": "NOT_FOUND", "in": name}
    raise RefusalError(int(status), message, category=category, errors=[detail])
