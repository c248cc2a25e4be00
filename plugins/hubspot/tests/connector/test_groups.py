"""Groups: permission sets, teams, seats and aliases; precedence, shadows, and what a reader is told of them."""

import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, group_named, groups_of, person, role, world
from scim_bridge.errors import (
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)

BETA = "2026-09-beta"
ALIASES = {
    "Sales EMEA": {"permission_set": "Sales", "primary_team": "EMEA", "seats": ["Sales Seat"]},
    "Sales US": {"permission_set": "Sales", "primary_team": "US", "seats": ["Sales Seat"]},
    "Reporting": {"secondary_teams": ["Everyone"]},
}


def stocked(profile: str = "enterprise", **switches: object) -> World:
    """Return a portal with permission sets, teams and seats."""
    portal = world(profile, **switches)
    for name in ("Sales", "Ops", "Reader"):
        portal.hubspot.add_role(name)
    for name in ("EMEA", "US", "Everyone"):
        portal.hubspot.add_team(name)
    for name in ("Core Seat", "Sales Seat"):
        portal.hubspot.add_seat_pool(name, total=3)
    portal.hubspot.add_seat_pool("View-Only Seat", default=True)
    return portal


def team(portal: World, name: str) -> str:
    """Return the remote id of the group that a team is."""
    return next(f"team:{item.id}" for item in portal.hubspot.teams.values() if item.name == name)


def permission_set(portal: World, name: str) -> str:
    """Return the remote id of the group that a permission set is."""
    return role(portal.hubspot.role_named(name))


async def test_every_kind_of_group_is_listed_where_configured() -> None:
    """Permission sets and aliases always, teams and seats when the configuration says so."""
    portal = stocked()
    async with portal.connector() as connector:
        listed = {item.resource.display_name for item in (await connector.list_groups(None, 100)).items}
        assert listed == {"Sales", "Ops", "Reader"}
    async with portal.connector(
        api_version=BETA, groups=ALIASES, teams_as_groups="secondary", seats_as_groups=True
    ) as connector:
        kinds = {item.remote_id.partition(":")[0] for item in (await connector.list_groups(None, 100)).items}
        for item in (await connector.list_groups(None, 100)).items:
            assert (await connector.get_group(item.remote_id)).resource == item.resource
    assert kinds == {"role", "team", "seat", "alias"}


async def test_an_alias_grants_a_set_a_team_and_a_seat_in_one_post() -> None:
    """A new person in an aliased group has all of it at once."""
    portal = stocked()
    async with portal.connector(api_version=BETA, groups=ALIASES) as connector:
        adopted = await connector.create_group(group_named("Sales EMEA"))
        made = await connector.create_user(person(groups=[adopted.remote_id]))
    account = portal.account()
    assert groups_of(made) == {"alias:Sales EMEA"}
    assert (account.roles, account.primary_team, account.seats) == (("Sales",), "EMEA", ("Sales Seat",))
    assert len(portal.writes()) == 1


async def test_two_aliases_add_up_and_part_again() -> None:
    """The stronger alias gives the primary team; leaving it leaves exactly the other's."""
    portal = stocked()
    async with portal.connector(api_version=BETA, groups=ALIASES) as connector:
        made = await connector.create_user(person())
        both = ["alias:Sales EMEA", "alias:Sales US", "alias:Reporting"]
        await connector.set_user_groups(made.remote_id, person(), both)
        account = portal.account()
        assert (account.primary_team, account.secondary_teams) == ("EMEA", ("Everyone", "US"))
        answer = await connector.set_user_groups(made.remote_id, person(), ["alias:Sales US"])
    account = portal.account()
    assert groups_of(answer) == {"alias:Sales US"}
    assert (account.roles, account.primary_team, account.secondary_teams) == (("Sales",), "US", ())


async def test_teams_given_by_hand_are_kept_where_no_group_manages_them() -> None:
    """With aliases alone, only the teams they name are the bridge's; others stay."""
    portal = stocked()
    legal = portal.hubspot.add_team("Legal")
    ada = portal.hubspot.add_person(ADA, primary_team=legal)
    async with portal.connector(api_version=BETA, groups=ALIASES) as connector:
        await connector.set_user_groups(ada.id, person(), ["alias:Reporting"])
        assert (portal.account().primary_team, portal.account().secondary_teams) == ("Legal", ("Everyone",))
        await connector.set_user_groups(ada.id, person(), [])
    assert (portal.account().primary_team, portal.account().secondary_teams) == ("Legal", ())


async def test_teams_as_groups_are_managed_whole() -> None:
    """The first team becomes primary, further ones secondary; leaving the primary one promotes the next."""
    portal = stocked()
    async with portal.connector(teams_as_groups="primary") as connector:
        made = await connector.create_user(person(groups=[team(portal, "US"), team(portal, "EMEA")]))
        assert (portal.account().primary_team, portal.account().secondary_teams) == ("EMEA", ("US",))
        await connector.set_user_groups(made.remote_id, person(), [team(portal, "US")])
        assert (portal.account().primary_team, portal.account().secondary_teams) == ("US", ())
        await connector.set_user_groups(made.remote_id, person(), [])
    assert (portal.account().primary_team, portal.account().secondary_teams) == (None, ())


async def test_secondary_teams_never_become_primary_but_leave_like_any_other() -> None:
    """In mode secondary a team is added beside; a primary one given by hand ends with its group."""
    portal = stocked()
    teams = {item.name: item for item in portal.hubspot.teams.values()}
    ada = portal.hubspot.add_person(ADA, primary_team=teams["EMEA"])
    async with portal.connector(teams_as_groups="secondary") as connector:
        await connector.set_user_groups(ada.id, person(), [team(portal, "EMEA"), team(portal, "US")])
        assert (portal.account().primary_team, portal.account().secondary_teams) == ("EMEA", ("US",))
        await connector.set_user_groups(ada.id, person(), [team(portal, "US")])
    assert (portal.account().primary_team, portal.account().secondary_teams) == (None, ("US",))


async def test_seats_as_groups_are_managed_whole_and_fall_back() -> None:
    """Whoever leaves the last seat group has the configured fallback seat."""
    portal = stocked(empty_seats="400")
    async with portal.connector(api_version=BETA, seats_as_groups=True, fallback_seat="View-Only Seat") as connector:
        made = await connector.create_user(person(groups=["seat:Sales Seat", "seat:Core Seat"]))
        assert portal.account().seats == ("Core Seat", "Sales Seat")
        await connector.set_user_groups(made.remote_id, person(), ["seat:Core Seat"])
        assert portal.account().seats == ("Core Seat",)
        await connector.set_user_groups(made.remote_id, person(), [])
        assert groups_of(await connector.get_user(made.remote_id)) == set()
    assert portal.account().seats == ("View-Only Seat",)


async def test_a_seat_that_hubspot_does_not_take_away_is_told() -> None:
    """Where an empty list of seats is quietly ignored, the removal is not claimed."""
    portal = stocked(empty_seats="keep")
    async with portal.connector(api_version=BETA, seats_as_groups=True) as connector:
        made = await connector.create_user(person(groups=["seat:Sales Seat"]))
        with pytest.raises(RemoteUnavailableError, match="other seats"):
            await connector.set_user_groups(made.remote_id, person(), [])


@pytest.mark.parametrize(("precedence", "winner"), [(["Ops", "Sales"], "Ops"), (["Sales"], "Sales"), ([], "Ops")])
async def test_precedence_decides_between_permission_sets_and_explain_tells(precedence: list[str], winner: str) -> None:
    """Of two sets one takes effect; the other shows as shadowed with the reason, and takes its place when it goes."""
    portal = stocked()
    both = [permission_set(portal, "Sales"), permission_set(portal, "Ops")]
    loser = {"Ops": "Sales", "Sales": "Ops"}[winner]
    async with portal.connector(precedence=precedence) as connector:
        made = await connector.create_user(person(groups=both))
        assert portal.account().roles == (winner,)
        assert groups_of(made) == set(both)
        assert groups_of(await connector.get_user(made.remote_id)) == set(both)
        told = await connector.explain_user(made.remote_id, person(), both)
        assert told.effective == (permission_set(portal, winner),)
        assert list(told.shadowed) == [permission_set(portal, loser)]
        assert f'"{winner}"' in told.shadowed[permission_set(portal, loser)]
        await connector.set_user_groups(made.remote_id, person(), [permission_set(portal, loser)])
    assert portal.account().roles == (loser,)


async def test_two_sets_given_by_hand_are_fine_when_groups_ask_for_both() -> None:
    """Somebody has in HubSpot what the IdP wants: nothing is written, nothing collapses."""
    portal = stocked()
    ada = portal.hubspot.add_person(ADA, roles=["Sales", "Ops"])
    both = [permission_set(portal, "Sales"), permission_set(portal, "Ops")]
    async with portal.connector() as connector:
        answer = await connector.set_user_groups(ada.id, person(), both)
    assert groups_of(answer) == set(both)
    assert portal.writes() == []


async def test_groups_that_are_in_force_already_cost_one_read() -> None:
    """A repeated push makes no write."""
    portal = stocked()
    groups = [permission_set(portal, "Sales")]
    async with portal.connector() as connector:
        made = await connector.create_user(person(groups=groups))
        before = len(portal.calls())
        await connector.set_user_groups(made.remote_id, person(), groups)
    assert [call.method for call in portal.calls()[before:]] == ["GET"]


async def test_whoever_is_in_no_group_has_the_fallback_set() -> None:
    """Leaving the last group brings the configured fallback, which is nobody's extra privilege."""
    portal = stocked()
    async with portal.connector(fallback_permission_set="Reader") as connector:
        made = await connector.create_user(person(groups=[permission_set(portal, "Sales")]))
        answer = await connector.set_user_groups(made.remote_id, person(), [])
        assert portal.account().roles == ("Reader",)
        assert groups_of(answer) == set()
        assert groups_of(await connector.get_user(made.remote_id)) == set()


async def test_a_set_given_by_hand_shows_up_as_an_extra_group() -> None:
    """What somebody grants in HubSpot is seen in reads and lists, and taken back by the next write."""
    portal = stocked()
    sales = permission_set(portal, "Sales")
    async with portal.connector() as connector:
        made = await connector.create_user(person(groups=[sales]))
        portal.hubspot.ui_assign_roles(ADA, "Ops")
        assert groups_of(await connector.get_user(made.remote_id)) == {permission_set(portal, "Ops")}
        listed = {item.remote_id: groups_of(item) for item in (await connector.list_users(None, 100)).items}
        assert listed[made.remote_id] == {permission_set(portal, "Ops")}
        await connector.set_user_groups(made.remote_id, person(), [sales])
    assert portal.account().roles == ("Sales",)


async def test_a_name_that_matches_nothing_is_refused_with_what_exists() -> None:
    """The answer lists every permission set there is."""
    portal = stocked()
    async with portal.connector() as connector:
        with pytest.raises(RemoteInvalidValueError, match='"Ops", "Reader", "Sales"'):
            await connector.create_group(group_named("Engineering"))


async def test_a_set_made_a_moment_ago_is_found() -> None:
    """A miss asks HubSpot again before it refuses."""
    portal = stocked()
    async with portal.connector() as connector:
        await connector.list_groups(None, 100)
        late = portal.hubspot.add_role("Late")
        assert (await connector.create_group(group_named("Late"))).remote_id == role(late)
        latest = portal.hubspot.add_role("Latest")
        assert (await connector.get_group(role(latest))).resource.display_name == "Latest"
        with pytest.raises(RemoteNotFoundError):
            await connector.get_group("role:0")


async def test_a_renamed_or_deleted_idp_group_changes_nothing_in_hubspot() -> None:
    """A group may be called anything in the IdP, and its deletion just lets go: no call at all."""
    portal = stocked()
    async with portal.connector() as connector:
        group = await connector.create_group(group_named("Sales"))
        before = len(portal.calls())
        renamed = await connector.update_group(group.remote_id, group.resource, group_named("Vertrieb"))
        await connector.delete_group(group.remote_id)
        assert len(portal.calls()) == before
        assert renamed.resource.display_name == "Vertrieb"
    assert "Sales" in {item.name for item in portal.hubspot.roles.values()}


async def test_a_set_deleted_in_hubspot_never_holds_up_a_removal() -> None:
    """What the other groups come to is enforced first; then the missing one is told."""
    portal = stocked()
    sales, ops = permission_set(portal, "Sales"), permission_set(portal, "Ops")
    async with portal.connector() as connector:
        made = await connector.create_user(person(groups=[sales]))
        del portal.hubspot.roles[portal.hubspot.role_named("Ops").id]
        with pytest.raises(RemoteInvalidValueError, match=ops):
            await connector.set_user_groups(made.remote_id, person(), [ops])
    assert portal.account().roles == ()


@pytest.mark.parametrize("status", ["400", "404"])
async def test_a_set_deleted_in_hubspot_does_not_keep_a_new_person_out(status: str) -> None:
    """The account is made with what the other groups give, and the answer tells which groups are in force."""
    portal = stocked(unknown_role=status)
    sales, ops = permission_set(portal, "Sales"), permission_set(portal, "Ops")
    async with portal.connector(precedence=["Sales"]) as connector:
        await connector.list_groups(None, 100)
        del portal.hubspot.roles[portal.hubspot.role_named("Sales").id]
        made = await connector.create_user(person(groups=[sales, ops]))
    assert groups_of(made) == {ops}
    assert portal.account().roles == ("Ops",)


@pytest.mark.parametrize("reading", ["granted", "400"])
async def test_a_privileged_set_needs_an_allow_list(reading: str) -> None:
    """A set that is Super Admin is neither adopted nor granted unless it is allowed by name."""
    portal = stocked(super_admin_set=reading)
    admin = portal.hubspot.add_role("Super Admin", super_admin=True)
    custom = portal.hubspot.add_role("Portal boss", super_admin=True)
    portal.hubspot.add_role("Our super admins", super_admin=True)
    async with portal.connector(privileged=(custom.id,)) as connector:
        for name in ("Super Admin", "Portal boss", "Our super admins"):
            with pytest.raises(RemoteForbiddenError, match="privileged"):
                await connector.create_group(group_named(name))
        with pytest.raises(RemoteForbiddenError, match="privileged"):
            await connector.create_user(person(groups=[role(admin)]))
        made = await connector.create_user(person())
        with pytest.raises(RemoteForbiddenError, match="privileged"):
            await connector.set_user_groups(made.remote_id, person(), [role(custom)])
    assert portal.account().roles == ()
    async with portal.connector(allow_privileged=("super admin",)) as connector:
        assert (await connector.create_group(group_named("Super Admin"))).remote_id == role(admin)


async def test_seat_rules_are_checked_before_hubspot_is_asked() -> None:
    """A set without one of its seats is refused without a call that writes."""
    portal = stocked()
    async with portal.connector(
        api_version=BETA, seats_as_groups=True, seat_rules={"Sales": ["Sales Seat"]}
    ) as connector:
        made = await connector.create_user(person())
        before = len(portal.writes())
        with pytest.raises(RemoteInvalidValueError, match="Sales Seat"):
            await connector.set_user_groups(
                made.remote_id, person(), [permission_set(portal, "Sales"), "seat:Core Seat"]
            )
        assert len(portal.writes()) == before
        await connector.set_user_groups(made.remote_id, person(), [permission_set(portal, "Sales"), "seat:Sales Seat"])
    assert portal.account().roles == ("Sales",)


async def test_a_set_with_a_paid_seat_needs_the_billing_scope() -> None:
    """Without settings.billing.write the refusal is ours, in words, instead of HubSpot's unexplained 400."""
    portal = stocked()
    paid = portal.hubspot.add_role("Paid", requires_billing_write=True)
    portal.hubspot.add_token("narrow", scopes=["settings.users.read", "settings.users.write"])
    async with portal.connector(token="narrow") as connector:
        with pytest.raises(RemoteForbiddenError, match=r"settings\.billing\.write"):
            await connector.create_user(person(groups=[role(paid)]))
    assert portal.writes() == []


@pytest.mark.parametrize("profile", ["professional", "free"])
async def test_aliases_of_teams_work_on_a_tier_without_permission_sets(profile: str) -> None:
    """Professional has teams to give; Free says that the team is not there."""
    portal = stocked(profile)
    async with portal.connector(groups={"Reporting": {"secondary_teams": ["Everyone"]}}) as connector:
        if profile == "free":
            with pytest.raises(RemoteInvalidValueError, match="Everyone"):
                await connector.create_group(group_named("Reporting"))
            return
        await connector.create_user(person(groups=["alias:Reporting"]))
    assert portal.account().secondary_teams == ("Everyone",)
