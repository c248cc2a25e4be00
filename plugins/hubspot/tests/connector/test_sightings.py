"""What was seen a moment ago is not asked again before something is given; everything else is, and nobody is misled."""

import asyncio
from typing import Any

import pytest

from plugins.hubspot.tests.connector.portals import ADA, World, groups_of, person, role, world
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import RemoteConflictError, RemoteForbiddenError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge_hubspot.emulator import Role
from scim_bridge_hubspot.sightings import LISTED_SECONDS, MADE_SECONDS, SEEN_SECONDS, Sightings
from scim_bridge_hubspot.wire import PublicUser

MEMBERS = r"^/settings/users/"


def stocked(**switches: Any) -> tuple[World, str, list[Role]]:
    """Return a portal with two permission sets and Ada, who holds none, and her id."""
    portal = world(**switches)
    sets = [portal.hubspot.add_role(name) for name in ("Sales", "Ops")]
    portal.hubspot.add_team("EMEA")
    return portal, portal.hubspot.add_person(ADA, first_name="Ada", last_name="Byron").id, sets


def spent(portal: World, since: int) -> list[str]:
    """Return the methods of the calls about people since a number of calls."""
    return [call.method for call in portal.calls(None, rf"{MEMBERS}[^/]+(/\d+|/[^/]+@[^/]+)?$") if call.number > since]


async def warm(connector: BoundConnector) -> None:
    """Let the connector ask what it asks once."""
    await connector.list_groups(None, 100)
    await connector.find_user("nobody.ever@corp.example")
    await connector.identify()


async def all_listed(connector: BoundConnector) -> None:
    """Read all pages of the list, as a comparison does."""
    page = await connector.list_users(None, 100)
    while page.cursor is not None:
        page = await connector.list_users(page.cursor, 100)


@pytest.mark.parametrize(("seconds", "calls"), [(SEEN_SECONDS - 1, ["PUT"]), (SEEN_SECONDS + 1, ["GET", "PUT"])])
async def test_somebody_seen_in_the_last_minute_is_given_a_set_by_one_call(seconds: float, calls: list[str]) -> None:
    """A minute later they are read again."""
    portal, ada, (sales, _) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await connector.get_user(ada)
        await asyncio.sleep(seconds)
        before = portal.hubspot.calls.total
        answer = await connector.set_user_groups(ada, person(), [role(sales)])
    assert (spent(portal, before), groups_of(answer), portal.account().roles) == (calls, {role(sales)}, ("Sales",))


async def test_a_thousand_people_are_put_into_a_group_by_two_calls_each() -> None:
    """A tenth of that here, at a tenth of the limit: the creations alone take longer than a minute."""
    portal = world()
    sales, number = portal.hubspot.add_role("Sales"), 100
    async with portal.connector(rate_limit=10) as connector:
        await warm(connector)
        await all_listed(connector)
        before = portal.hubspot.calls.total
        made = [await connector.create_user(person(f"p{one}@corp.example")) for one in range(number)]
        for one in made:
            await connector.set_user_groups(one.remote_id, one.resource, [role(sales)])
    assert portal.hubspot.calls.total - before <= 2.1 * number
    assert all(portal.hubspot.snapshot()[f"p{one}@corp.example"].roles == ("Sales",) for one in range(number))


async def test_who_was_made_long_ago_is_read_again() -> None:
    """Ten minutes are kept for those whom the bridge has made."""
    portal, _, (sales, _) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        made = await connector.create_user(person("bob@corp.example"))
        await asyncio.sleep(MADE_SECONDS + 1)
        before = portal.hubspot.calls.total
        await connector.set_user_groups(made.remote_id, person("bob@corp.example"), [role(sales)])
    assert spent(portal, before)[-2:] == ["GET", "PUT"]


async def test_who_leaves_a_group_is_read_before_and_after() -> None:
    """A removal relies on nothing that was seen."""
    portal, ada, (sales, ops) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await connector.set_user_groups(ada, person(), [role(sales)])
        for groups in ([role(ops)], []):
            before = portal.hubspot.calls.total
            await connector.set_user_groups(ada, person(), groups)
            assert spent(portal, before) == ["GET", "PUT", "GET"]


async def test_what_hands_gave_is_not_sent_from_memory() -> None:
    """It may have been taken since, and would come back unasked."""
    portal, ada, (sales, _) = stocked()
    membership = portal.hubspot.member(ADA).membership
    assert membership is not None
    membership.secondary_team_ids = [team.id for team in portal.hubspot.teams.values()]
    async with portal.connector() as connector:
        await warm(connector)
        await connector.get_user(ada)
        membership.secondary_team_ids = []
        await connector.set_user_groups(ada, person(), [role(sales)])
    assert (portal.account().roles, portal.account().secondary_teams) == (("Sales",), ())


async def test_nothing_is_said_to_be_so_from_memory() -> None:
    """Who is seen to have all that they are to have is read again: nothing is sent that would show it."""
    portal, ada, (sales, _) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await connector.set_user_groups(ada, person(), [role(sales)])
        portal.hubspot.ui_assign_roles(ADA)
        await connector.set_user_groups(ada, person(), [role(sales)])
    assert portal.account().roles == ("Sales",)


async def test_a_super_admin_of_a_moment_is_refused_with_the_reason() -> None:
    """HubSpot refuses the PUT; a look tells why."""
    portal, ada, (sales, _) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await connector.get_user(ada)
        portal.hubspot.ui_super_admin(ADA, super_admin=True)
        with pytest.raises(RemoteForbiddenError, match="is a Super Admin"):
            await connector.set_user_groups(ada, person(), [role(sales)])
    assert portal.account().roles == ()


async def test_who_was_removed_by_hand_a_moment_ago_is_not_there() -> None:
    """HubSpot's 404 to the PUT is looked into, as ever."""
    portal, ada, (sales, _) = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await connector.get_user(ada)
        portal.hubspot.ui_remove(ADA)
        with pytest.raises(RemoteNotFoundError):
            await connector.set_user_groups(ada, person(), [role(sales)])
    assert portal.account() is None


async def test_an_unanswered_write_makes_what_was_seen_worthless() -> None:
    """Whether it took effect is read."""
    portal, ada, (sales, ops) = stocked()
    async with portal.connector(precedence=("Ops",)) as connector:
        await warm(connector)
        await connector.get_user(ada)
        lost = portal.hubspot.faults.add("drop_after", method="PUT", times=None)
        with pytest.raises(RemoteUnavailableError):
            await connector.set_user_groups(ada, person(), [role(sales)])
        portal.hubspot.faults.clear(lost.id)
        before = portal.hubspot.calls.total
        await connector.set_user_groups(ada, person(), [role(sales), role(ops)])
    assert spent(portal, before) == ["GET", "PUT"]


# -- Addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["looked up", "listed"])
async def test_an_address_that_is_nobodys_is_not_asked_for_again(asked: str) -> None:
    """A client looked it up a moment ago, or a comparison has listed everybody."""
    portal, _, _ = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await (connector.find_user("bob@corp.example") if asked == "looked up" else all_listed(connector))
        before = portal.hubspot.calls.total
        await connector.create_user(person("bob@corp.example"))
    assert spent(portal, before) == ["POST"]


@pytest.mark.parametrize("reading", ["400", "409"])
async def test_who_was_added_by_hand_since_is_adopted(reading: str) -> None:
    """HubSpot refuses a second account, and the rules of adoption are those of any other."""
    portal, _, (sales, _) = stocked(duplicate_create=reading)
    async with portal.connector() as connector:
        await all_listed(connector)
        by_hand = portal.hubspot.add_person("bob@corp.example", roles=["Sales"])
        boss = portal.hubspot.add_person("boss@corp.example", super_admin=True)
        answer = await connector.create_user(person("bob@corp.example"))
        with pytest.raises(RemoteForbiddenError, match="Super Admin"):
            await connector.create_user(person("boss@corp.example"))
    assert (answer.remote_id, answer.existed, groups_of(answer)) == (by_hand.id, True, {role(sales)})
    assert portal.hubspot.member("boss@corp.example").id == boss.id
    async with portal.connector(adopt="never") as connector:
        with pytest.raises(RemoteConflictError):
            await connector.create_user(person("bob@corp.example"))


async def test_whom_the_bridge_may_have_made_is_looked_for_though_no_list_had_them() -> None:
    """A creation whose answer was lost is not sent again unseen: HubSpot invites people by mail."""
    portal, _, _ = stocked()
    async with portal.connector() as connector:
        await warm(connector)
        await all_listed(connector)
        portal.hubspot.faults.add("drop_after", method="POST", path="^/settings/")
        with pytest.raises(RemoteUnavailableError):
            await connector.create_user(person("bob@corp.example"))
        before = portal.hubspot.calls.total
        answer = await connector.create_user(person("bob@corp.example"))
    assert (spent(portal, before)[0], answer.existed) == ("GET", True)


async def test_whose_account_is_made_anew_is_looked_for_before() -> None:
    """An account that a hand made at the new address must not be taken for the bridge's own, whatever comes between."""
    portal, ada, _ = stocked()
    async with portal.connector(rename="recreate") as connector:
        await all_listed(connector)
        before = portal.hubspot.calls.total
        await connector.update_user(ada, person(), person("ada.new@corp.example"))
    assert spent(portal, before) == ["GET", "GET", "POST"]


async def test_who_is_deactivated_is_looked_for_though_the_list_hides_them() -> None:
    """A POST could bring back somebody whom the bridge never changes; archived owners tell of them."""
    portal, _, _ = stocked(list_deactivated="hidden", create_deactivated="reactivate")
    portal.hubspot.add_person("boss@corp.example", super_admin=True)
    portal.hubspot.ui_deactivate("boss@corp.example")
    async with portal.connector() as connector:
        await all_listed(connector)
        with pytest.raises(RemoteForbiddenError, match="Super Admin"):
            await connector.create_user(person("boss@corp.example"))
    assert not portal.hubspot.member("boss@corp.example").active


async def test_where_nothing_tells_of_the_deactivated_each_address_is_asked_for() -> None:
    """Without the signal a list is not all there is."""
    portal, _, _ = stocked()
    async with portal.connector(deactivated_by="off") as connector:
        await warm(connector)
        await all_listed(connector)
        before = portal.hubspot.calls.total
        await connector.create_user(person("bob@corp.example"))
    assert spent(portal, before) == ["GET", "POST"]


async def test_an_old_list_tells_nothing() -> None:
    """It is trusted for little longer than from one comparison to the next."""
    portal, _, _ = stocked()
    async with portal.connector() as connector:
        await all_listed(connector)
        await asyncio.sleep(LISTED_SECONDS + 1)
        before = portal.hubspot.calls.total
        await connector.create_user(person("bob@corp.example"))
    assert spent(portal, before)[-2:] == ["GET", "POST"]


# -- The memory itself -----------------------------------------------------------------------------------------------


def seen(user_id: str = "1", **values: Any) -> PublicUser:
    """Return a member as an answer shows them."""
    told = {"id": user_id, "email": ADA, "superAdmin": False, "roleIds": [], "secondaryTeamIds": [], **values}
    return PublicUser.model_validate(told)


async def test_a_read_that_began_before_a_write_is_not_kept() -> None:
    """Its answer may be older than what was written, whichever came first."""
    sightings = Sightings()
    turn = sightings.begin()
    sightings.wrote("1")
    sightings.saw(seen(), turn)
    assert sightings.of("1") is None
    sightings.saw(seen(), sightings.begin())
    assert sightings.of("1") == seen()
    sightings.wrote("1")
    assert sightings.of("1") is None


async def test_an_answer_that_tells_only_half_is_not_kept() -> None:
    """What it leaves out may be held."""
    sightings = Sightings()
    half = PublicUser.model_validate({"id": "1", "email": ADA, "superAdmin": False})
    sightings.saw(half, sightings.begin())
    assert sightings.of("1") is None


async def test_a_list_that_was_begun_anew_is_not_taken_for_whole() -> None:
    """Two that are read at the same time make no whole one."""
    sightings = Sightings()
    sightings.listed(None, ["a@x.example"], "2", ())
    sightings.listed(None, ["b@x.example"], "3", ())
    sightings.listed("2", ["c@x.example"], None, ())
    assert not sightings.is_nobodys("d@x.example")
    sightings.listed(None, ["b@x.example"], "3", ["hidden@x.example"])
    sightings.listed("3", ["c@x.example"], None, ())
    assert sightings.is_nobodys("d@x.example")
    assert not any(map(sightings.is_nobodys, ["b@x.example", "c@x.example", "hidden@x.example"]))
    sightings.listed(None, [], None, None)
    assert sightings.is_nobodys("d@x.example")
