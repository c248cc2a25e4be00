"""One person's story on every kind of portal: each pair of readings of what is uncertain, each tier, each version."""

from typing import Any

import pytest

from plugins.hubspot.tests.connector.pairwise import covering_array, pairs_of
from plugins.hubspot.tests.connector.portals import ADA, World, group_named, groups_of, person, role, world
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import RemoteInvalidValueError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import User
from scim_bridge_hubspot.emulator import PROFILES, Switches

VERSIONS = ("v3", "2026-03", "2026-09-beta")
ROWS = covering_array(Switches.choices())
CASES = [
    pytest.param(profile, version, row, id=f"{profile}-{version}-{number}")
    for profile in PROFILES
    for version in VERSIONS
    for number, row in enumerate(ROWS)
]


def test_the_rows_hold_every_pair_of_readings() -> None:
    """The covering array misses no pair of readings of two switches."""
    choices = Switches.choices()
    names = sorted(choices)
    wanted = {
        ((one, left), (other, right))
        for place, one in enumerate(names)
        for other in names[place + 1 :]
        for left in choices[one]
        for right in choices[other]
    }
    covered = set().union(*(pairs_of(row) for row in ROWS))
    print(f"\n{len(wanted)} pairs of readings of {len(names)} switches in {len(ROWS)} rows, {len(CASES)} portals")
    assert covered >= wanted


@pytest.mark.parametrize(("profile", "version", "row"), CASES)
async def test_a_persons_story_ends_as_desired_on_every_portal(profile: str, version: str, row: dict[str, Any]) -> None:
    """Created, moved, renamed, emptied, removed, brought back, deleted: HubSpot holds what was desired at each step."""
    portal = world(profile, **row)
    has_sets = PROFILES[profile].permission_sets
    sales, ops = portal.hubspot.add_role("Sales"), portal.hubspot.add_role("Ops")
    owner = portal.hubspot.snapshot()[portal.hubspot.owner.email]
    async with portal.connector(api_version=version, precedence=("Ops", "Sales")) as connector:
        groups = [role(sales), role(ops)] if has_sets else []
        await adopts_groups(connector, has_sets=has_sets)
        remote_id = await is_created_once(portal, connector, groups[:1])
        if has_sets:
            await moves_between_groups(portal, connector, remote_id, groups)
        await is_renamed_or_deferred(portal, connector, remote_id)
        await is_removed_and_returns(portal, connector, remote_id, groups[:1])
        await connector.delete_user(remote_id)
        await connector.delete_user(remote_id)
    assert portal.account() is None
    assert portal.hubspot.snapshot()[portal.hubspot.owner.email] == owner
    assert not [call for call in portal.writes() if portal.hubspot.owner.id in call.path]


async def adopts_groups(connector: BoundConnector, *, has_sets: bool) -> None:
    """A pushed group is a permission set; without sets it is refused."""
    if has_sets:
        await connector.create_group(group_named("Sales"))
        return
    with pytest.raises(RemoteInvalidValueError, match="Sales"):
        await connector.create_group(group_named("Sales"))


async def is_created_once(portal: World, connector: BoundConnector, groups: list[str]) -> str:
    """A creation grants its groups in one POST; a repeated one finds the same account."""
    wanted = person("Ada@Corp.Example", groups=groups)
    made = await connector.create_user(wanted)
    again = await connector.create_user(wanted)
    assert (again.remote_id, again.existed) == (made.remote_id, True)
    assert portal.account().roles == tuple("Sales" for _ in groups)
    assert groups_of(made) == set(groups)
    assert len(portal.calls("POST", r"^/settings/")) == 1
    found = await connector.find_user("ADA@corp.example")
    assert found is not None
    assert found.remote_id == made.remote_id
    return made.remote_id


async def moves_between_groups(portal: World, connector: BoundConnector, remote_id: str, groups: list[str]) -> None:
    """Groups come to one permission set, by precedence, and to none."""
    user = person()
    for wanted, expected in ((groups[1:], ("Ops",)), (groups, ("Ops",)), (groups[:1], ("Sales",))):
        answer = await connector.set_user_groups(remote_id, user, wanted)
        assert groups_of(answer) == set(wanted)
        assert portal.account().roles == expected
    if portal.hubspot.switches.role_clear == "never":
        with pytest.raises(RemoteUnavailableError, match="does not show it"):
            await connector.set_user_groups(remote_id, user, [])
        return
    await connector.set_user_groups(remote_id, user, [])
    assert portal.account().roles == ()


async def is_renamed_or_deferred(portal: World, connector: BoundConnector, remote_id: str) -> None:
    """New names are in force or told to be deferred; permission sets stay as they are."""
    before = await connector.get_user(remote_id)
    roles = portal.account().roles
    after = person(given="Augusta")
    answer = await connector.update_user(remote_id, before.resource, after)
    assert portal.account().roles == roles
    assert portal.account().first_name == "Augusta" or "name.givenName" in answer.deferred
    portal.hubspot.ui_activate(ADA)
    answer = await connector.update_user(remote_id, before.resource, after)
    assert portal.account().first_name == "Augusta"
    assert answer.deferred == frozenset()


async def is_removed_and_returns(portal: World, connector: BoundConnector, remote_id: str, groups: list[str]) -> None:
    """A deactivation removes the account for all to see, a reactivation gives back what the groups say."""
    user: User = person(given="Augusta", groups=groups)
    await connector.deactivate_user(remote_id, user)
    assert portal.account() is None
    for absent in (connector.deactivate_user(remote_id, user), connector.get_user(remote_id)):
        with pytest.raises(RemoteNotFoundError):
            await absent
    listed = await connector.list_users(None, 100)
    assert ADA not in {item.resource.user_name for item in listed.items}
    answer = await connector.reactivate_user(remote_id, user)
    assert answer.remote_id == remote_id
    assert portal.account().roles == tuple("Sales" for _ in groups)
    assert groups_of(answer) == set(groups)
