"""Rules of groups, for both shapes of membership."""

import asyncio
from collections.abc import Sequence

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.definition import implemented
from scim_bridge.errors import ConnectorError, RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.models import Group
from scim_bridge.testing.contract_remote import RemoteFault
from scim_bridge.testing.contract_rules.bench import (
    DEADLINE,
    Bench,
    ContractFixtures,
    error_of,
    groups_of,
    within_deadline,
)

PAIR = ("add_group_members", "remove_group_members")


class GroupRules(ContractFixtures):
    """Groups are made once and found again."""

    def test_creating_a_group_twice_adopts(self, bench: Bench) -> None:
        """The second creation of a displayName returns the first group."""
        self.need(bench, "create_group")

        async def scenario(connector: BoundConnector) -> tuple[str, str, str]:
            groups = await self.two_groups(connector)
            name = (await within_deadline(connector.get_group(groups[0]))).resource.display_name
            again = await within_deadline(connector.create_group(Group(display_name=name)))
            return groups[0], again.remote_id, (await within_deadline(connector.get_group(again.remote_id))).remote_id

        first, second, read = bench.run(scenario)
        assert second == first, "a second group of the same name was made"
        assert read == first

    def test_groups_are_listed(self, bench: Bench) -> None:
        """Both groups of the test are in the listing, each once."""
        self.need(bench, "list_groups")

        async def scenario(connector: BoundConnector) -> tuple[list[str], list[str]]:
            groups = await self.two_groups(connector)
            listed: list[str] = []
            cursor: str | None = None
            for _ in range(1000):
                page = await within_deadline(connector.list_groups(cursor, 1))
                listed += [one.remote_id for one in page.items]
                cursor = page.cursor
                if cursor is None:
                    break
            return groups, listed

        groups, listed = bench.run(scenario)
        assert set(groups) <= set(listed), "a group is missing from the listing"
        assert len(listed) == len(set(listed)), "a group is listed twice"


class MembershipRules(ContractFixtures):
    """A person is in the groups that were asked for, and in no other."""

    def test_the_groups_are_exactly_those_given(self, bench: Bench) -> None:
        """By the set: each call gives exactly its groups, in any order, and the empty set clears them."""
        self.need(bench, "set_user_groups")

        async def scenario(connector: BoundConnector) -> list[tuple[frozenset[str], frozenset[str] | None]]:
            one, other = await self.two_groups(connector)
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            seen = []
            for wanted in ([one], [one], [one, other], [other, one], [other], []):
                given = list(wanted)
                answer = await within_deadline(connector.set_user_groups(remote_id, user, given))
                assert given == wanted, "set_user_groups changed the list that it was given"
                seen += [(frozenset(wanted), groups_of(answer.resource))]
                read = groups_of((await within_deadline(connector.get_user(remote_id))).resource)
                seen += [(frozenset(wanted), frozenset(wanted) if read is None else read)]
            return seen

        for wanted, held in bench.run(scenario):
            assert held == wanted, f"asked for {len(wanted)} groups, the account holds {len(held or ())} or others"

    def test_members_are_added_and_removed(self, bench: Bench) -> None:
        """By the pair: adding a present member and removing an absent one are no-ops, and order does not matter."""
        self.need(bench, *PAIR)

        async def scenario(connector: BoundConnector) -> list[tuple[set[int], set[int]]]:
            group = (await self.two_groups(connector))[0]
            people = [
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id for number in range(3)
            ]
            seen = []
            for hook, numbers, expected in (
                (connector.add_group_members, [0, 1], {0, 1}),
                (connector.add_group_members, [2, 1], {0, 1, 2}),
                (connector.remove_group_members, [1], {0, 2}),
                (connector.remove_group_members, [1, 0], {2}),
                (connector.remove_group_members, [], {2}),
            ):
                await within_deadline(hook(group, [people[number] for number in numbers]))
                seen.append((await self._members(connector, group, people), expected))
            return seen

        for members, expected in bench.run(scenario):
            assert members == expected, f"expected the people {sorted(expected)} in the group, not {sorted(members)}"

    def test_the_members_listed_are_those_of_the_group(self, bench: Bench) -> None:
        """Page by page, each member once, nobody else, and the listing ends; one group takes nothing of the other."""
        self.need(bench, "list_group_members", *PAIR)

        async def scenario(connector: BoundConnector) -> list[tuple[list[str], list[str]]]:
            group, other = await self.two_groups(connector)
            people = [
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id for number in range(4)
            ]
            await within_deadline(connector.add_group_members(group, people[:3]))
            await within_deadline(connector.add_group_members(other, people[2:]))
            await within_deadline(connector.add_group_members(group, people[:3]))
            return [
                (sorted(those), sorted(await self._listed(connector, one, 1)))
                for one, those in ((group, people[:3]), (other, people[2:]))
            ]

        for members, listed in bench.run(scenario):
            assert listed == members, f"{len(listed)} members are listed of a group of {len(members)}, or others"

    def test_more_members_than_a_page_are_listed(self, bench: Bench) -> None:
        """Those beyond the first page, too, also where the remote system shows fewer at a time than it is asked for."""
        self.need(bench, "list_group_members", *PAIR)

        async def scenario(connector: BoundConnector) -> tuple[list[str], list[str]]:
            group = (await self.two_groups(connector))[0]
            people = [
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id
                for number in range(self.crowd)
            ]
            for start in range(0, self.crowd, connector.members_per_call):
                await within_deadline(
                    connector.add_group_members(group, people[start : start + connector.members_per_call])
                )
            return people, await self._listed(connector, group, 100)

        members, listed = bench.run(scenario)
        assert sorted(listed) == sorted(members), f"{len(listed)} members are listed of a group of {len(members)}"

    async def _listed(self, connector: BoundConnector, group: str, limit: int) -> list[str]:
        """Return the members of all pages of a group."""
        listed: list[str] = []
        cursor: str | None = None
        for _ in range(self.crowd):
            page = await within_deadline(connector.list_group_members(group, cursor, limit))
            listed += page.members
            cursor = page.cursor
            if cursor is None:
                break
        return listed

    def test_as_many_members_as_announced_fit_in_one_call(self, bench: Bench) -> None:
        """A call about ``members_per_call`` members ends within its deadline."""
        self.need(bench, *PAIR)

        async def scenario(connector: BoundConnector) -> str | None:
            group = (await self.two_groups(connector))[0]
            people = [
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id
                for number in range(connector.members_per_call)
            ]
            for hook in (connector.add_group_members, connector.remove_group_members):
                try:
                    async with asyncio.timeout(DEADLINE):
                        await within_deadline(hook(group, people))
                except (TimeoutError, RemoteUnavailableError):
                    return hook.__name__
            return None

        late = bench.run(scenario)
        assert late is None, f"{late} cannot do members_per_call members before its deadline: announce fewer"

    async def _members(self, connector: BoundConnector, group: str, people: Sequence[str]) -> set[int]:
        """Return which people are in a group, by number; skip where reads cannot tell."""
        members = set()
        for number, remote_id in enumerate(people):
            held = groups_of((await within_deadline(connector.get_user(remote_id))).resource)
            if held is None:
                pytest.skip("get_user cannot tell the groups")
            if group in held:
                members.add(number)
        return members

    def test_a_removal_from_a_group_of_an_absent_account_is_success(self, bench: Bench) -> None:
        """Who is not there is not a member."""
        self.need(bench, *PAIR)

        async def scenario(connector: BoundConnector) -> None:
            group = (await self.two_groups(connector))[0]
            await within_deadline(connector.remove_group_members(group, [self.unknown_id]))

        bench.run(scenario)

    @pytest.mark.parametrize("landed", [0, 1, 2])
    def test_a_partial_failure_is_completed_by_the_second_call(self, bench: Bench, landed: int) -> None:
        """When the remote system fails after some of the writes, the error is told, and a second call completes."""
        remote = bench.faulty()
        by_set = "set_user_groups" in implemented(bench.connector_type)
        self.need(bench, *(["set_user_groups"] if by_set else PAIR))

        async def scenario(connector: BoundConnector) -> tuple[frozenset[str], frozenset[str] | None]:
            one, other = await self.two_groups(connector)
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            wanted = frozenset({one, other} if by_set else {one})

            async def change() -> None:
                if by_set:
                    await within_deadline(connector.set_user_groups(remote_id, user, sorted(wanted)))
                else:
                    await within_deadline(connector.add_group_members(one, [remote_id]))

            remote.fail(RemoteFault.SERVER_ERROR, writes_only=True, skip=landed)
            before = remote.writes
            try:
                await change()
            except ConnectorError:
                pass
            else:
                assert remote.writes - before <= landed, "the failure of a write was not told"
            remote.heal()
            await change()
            return wanted, groups_of((await within_deadline(connector.get_user(remote_id))).resource)

        wanted, held = bench.run(scenario)
        assert held is None or held == wanted, "the second call did not complete the first"

    def test_a_group_or_member_that_is_not_there_is_an_invalid_value(self, bench: Bench) -> None:
        """An unknown group of a person, or person of a group, is a refused value: whom it was for is there."""
        by_set = "set_user_groups" in implemented(bench.connector_type)
        self.need(bench, "get_group", *(["set_user_groups"] if by_set else PAIR))

        async def scenario(connector: BoundConnector) -> tuple[ConnectorError, frozenset[str] | None]:
            one = (await self.two_groups(connector))[0]
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            if by_set:
                error = await error_of(connector.set_user_groups(remote_id, user, [one, self.unknown_id]))
            else:
                error = await error_of(connector.add_group_members(one, [remote_id, self.unknown_id]))
            return error, groups_of((await within_deadline(connector.get_user(remote_id))).resource)

        error, held = bench.run(scenario)
        assert isinstance(error, RemoteInvalidValueError), (
            f"{type(error).__name__} for an unknown group of a person, or person of a group"
        )
        assert held is None or self.unknown_id not in held
