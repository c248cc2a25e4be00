"""What people hold in HubSpot: permission sets, teams, seats, aliases, Super Admin; and what the bridge can give."""

from collections.abc import Iterable

from scim_bridge.models import Entitlement

from .mapping import Mapper, group_id
from .wire import PublicUser, assignment_of

SUPER_ADMIN = "super-admin"
"""The remote id of being a Super Admin, which only people in HubSpot give and take."""


def entitlements_of(mapper: Mapper) -> list[Entitlement]:
    """Return everything that people can hold, as far as the configuration reads it."""
    given = mapper.groups()
    inventory = mapper.inventory

    def one(remote_id: str, name: str, resource_type: str, type_: str, *, several: bool) -> Entitlement:
        barred = remote_id in given and mapper.is_privileged_group(remote_id)
        return Entitlement(
            remote_id,
            name,
            "Role" if resource_type == "Role" else "Entitlement",
            type_,
            several=several,
            assignable=remote_id in given and not barred,
            privileged=barred,
        )

    sets = [
        one(group_id("role", item.id), item.name, "Role", "Permission set", several=False)
        for item in inventory.permission_sets
    ]
    teams = [one(group_id("team", item.id), item.name, "Entitlement", "Team", several=True) for item in inventory.teams]
    seats = [
        one(group_id("seat", item.name), item.name, "Entitlement", "Seat", several=True) for item in inventory.seats
    ]
    aliases = [one(group_id("alias", name), name, "Role", "Alias", several=True) for name in mapper.config.groups]
    admin = Entitlement(SUPER_ADMIN, "Super Admin", "Role", "Super Admin", assignable=False)
    return [*sets, *teams, *seats, *aliases, admin]


def holds(mapper: Mapper, account: PublicUser, groups: Iterable[str]) -> frozenset[str]:
    """Return what an account holds, whoever gave it.

    :param groups: The groups that the person is in: an alias of them is held when all that it stands for is.
    """
    held = assignment_of(account)
    found = {group_id("role", role_id) for role_id in account.roles}
    found |= {group_id("team", team_id) for team_id in held.team_ids}
    found |= {group_id("seat", seat) for seat in held.seat_names or ()}
    found |= {SUPER_ADMIN} if account.super_admin else set()
    for alias in groups:
        if not alias.startswith("alias:") or not mapper.exists(alias):
            continue
        grant = mapper.grant_of(alias)
        given = {group_id("role", grant.role_id)} if grant.role_id else set()
        given |= {group_id("team", team) for team in grant.team_ids} | {
            group_id("seat", seat) for seat in grant.seat_names
        }
        if given <= found:
            found.add(alias)
    return frozenset(found)
