"""Rules of candour: what a connector answers is what is there, and what it does is what was asked for."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import ConnectorError, RemoteConflictError, RemoteImmutableError, RemoteNotFoundError
from scim_bridge.models import Group, GroupMembership, Remote, User
from scim_bridge.testing.contract_remote import RemoteFault
from scim_bridge.testing.contract_rules.attributes import value_of, with_value
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, error_of, groups_of, within_deadline

MOST_WRITES = 4
"""A reactivation is cut off after each of so many writes."""


class CandourRules(ContractFixtures):
    """Nothing is answered that is not so, and nothing is done besides."""

    def test_an_answer_is_what_a_read_then_shows(self, bench: Bench) -> None:
        """After a creation, an update, a reactivation and a change of groups, a read shows what was answered."""

        async def scenario(connector: BoundConnector) -> list[str]:
            before = self.make_user(1)
            after = with_value(before, "name.givenName", "Changed")
            created = await within_deadline(connector.create_user(before))
            differing = await self._differing(connector, created, "create_user")
            remote_id = created.remote_id
            calls: dict[str, Callable[[], Awaitable[Remote[User]]]] = {
                "update_user": lambda: connector.update_user(remote_id, before, after),
            }
            if "set_user_groups" in connector.operations:
                groups = await self.two_groups(connector)
                calls["set_user_groups"] = lambda: connector.set_user_groups(remote_id, after, groups[:1])
            for hook, call in calls.items():
                differing += await self._differing(connector, await within_deadline(call()), hook)
            await within_deadline(connector.deactivate_user(remote_id, after))
            back = await within_deadline(connector.reactivate_user(remote_id, after))
            return differing + await self._differing(connector, back, "reactivate_user")

        differing = bench.run(scenario)
        assert not differing, f"answered, and not so: {', '.join(differing)}"

    async def _differing(self, connector: BoundConnector, answer: Remote[User], hook: str) -> list[str]:
        seen = (await within_deadline(connector.get_user(answer.remote_id))).resource
        told = answer.resource
        differing = [
            path
            for path in sorted(connector.user_attributes - answer.deferred)
            if str(value_of(told, path) or "").casefold() != str(value_of(seen, path) or "").casefold()
        ]
        if told.active != seen.active:
            differing.append("active")
        if told.groups is not None and seen.groups is not None and groups_of(told) != groups_of(seen):
            differing.append("groups")
        return [f"{path} after {hook}" for path in differing]

    def test_a_new_account_holds_no_group_that_was_not_asked_for(self, bench: Bench) -> None:
        """A remote system's default role is a grant that nobody asked for: it is not given, or it is told."""

        async def scenario(connector: BoundConnector) -> tuple[frozenset[str] | None, frozenset[str] | None]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            seen = await within_deadline(connector.get_user(created.remote_id))
            return groups_of(created.resource), groups_of(seen.resource)

        told, held = bench.run(scenario)
        assert not held, "a new account holds a group that nobody asked for"
        assert not told

    def test_an_inactive_account_that_is_adopted_is_told_so(self, bench: Bench) -> None:
        """The creation of somebody who is there and inactive lets nobody in: that is the next call."""

        async def scenario(connector: BoundConnector) -> Remote[User] | None:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            await within_deadline(connector.deactivate_user(created.remote_id, user))
            if connector.inactive_is_absent:
                return None
            again = await within_deadline(connector.create_user(user))
            seen = await within_deadline(connector.get_user(again.remote_id))
            assert again.resource.active == seen.resource.active, "the answer tells another state than a read"
            return again

        again = bench.run(scenario)
        if again is None:
            pytest.skip("whoever is inactive is not to be found")
        assert not (again.existed and again.resource.active), "an inactive account was let in by its adoption"

    def test_groups_let_no_inactive_account_in(self, bench: Bench) -> None:
        """Whoever is inactive stays so, whatever groups they are given."""

        async def scenario(connector: BoundConnector) -> bool | None:
            if connector.inactive_is_absent:
                return None
            group = (await self.two_groups(connector))[0]
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            await within_deadline(connector.deactivate_user(remote_id, user))
            try:
                if "set_user_groups" in connector.operations:
                    await within_deadline(connector.set_user_groups(remote_id, user, [group]))
                elif "add_group_members" in connector.operations:
                    await within_deadline(connector.add_group_members(group, [remote_id]))
                else:
                    return None
            except ConnectorError:
                pass  # to refuse it is as good
            return (await within_deadline(connector.get_user(remote_id))).resource.active

        active = bench.run(scenario)
        if active is None:
            pytest.skip("there are no groups, or whoever is inactive is not to be found")
        assert active is False, "an inactive account was let in by a group"

    def test_an_update_leaves_what_does_not_differ(self, bench: Bench) -> None:
        """What is equal before and after stays as it is in the remote system, also when somebody changed it there."""

        async def scenario(connector: BoundConnector) -> tuple[str, object, object] | None:
            paths = sorted(connector.user_attributes - {"userName"})
            if len(paths) < 2:
                return None
            one, other = paths[:2]
            first = with_value(with_value(self.make_user(1), one, self.samples(one)[0]), other, self.samples(other)[0])
            by_hand = with_value(first, one, self.samples(one)[1])
            wanted = with_value(first, other, self.samples(other)[1])
            try:
                remote_id = (await within_deadline(connector.create_user(first))).remote_id
                changed = await within_deadline(connector.update_user(remote_id, first, by_hand))
                if one in changed.deferred:
                    return None
                await within_deadline(connector.update_user(remote_id, first, wanted))
            except RemoteImmutableError:
                return None
            seen = (await within_deadline(connector.get_user(remote_id))).resource
            return one, value_of(seen, one), value_of(by_hand, one)

        found = bench.run(scenario)
        if found is None:
            pytest.skip("there are no two attributes that can be changed")
        path, held, expected = found
        assert held == expected, f"{path} was written although it does not differ: a change by hand is lost"

    def test_a_deleted_account_can_be_made_anew(self, bench: Bench) -> None:
        """A userName that a deletion left is free again, or the conflict is told; nobody inactive is told as new."""
        self.need(bench, "delete_user")

        async def scenario(connector: BoundConnector) -> User | None:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            await within_deadline(connector.delete_user(created.remote_id))
            try:
                again = await within_deadline(connector.create_user(user))
            except RemoteConflictError:
                return None
            seen = await within_deadline(connector.get_user(again.remote_id))
            return None if again.existed and not again.resource.active else seen.resource

        seen = bench.run(scenario)
        assert seen is None or seen.active, "the account was answered as new, and a read shows it inactive"

    def test_a_renamed_group_reads_back(self, bench: Bench) -> None:
        """After ``update_group`` a read shows the new name; a group that cannot be renamed is refused as immutable."""
        self.need(bench, "update_group", "get_group")

        async def scenario(connector: BoundConnector) -> str | None:
            if "displayName" not in connector.group_attributes:
                return None
            remote_id = (await self.two_groups(connector))[0]
            before = (await within_deadline(connector.get_group(remote_id))).resource
            try:
                await within_deadline(connector.update_group(remote_id, before, Group(display_name="Contract renamed")))
            except ConnectorError:
                return None
            return (await within_deadline(connector.get_group(remote_id))).resource.display_name

        name = bench.run(scenario)
        if name is None:
            pytest.skip("groups cannot be renamed")
        assert name == "Contract renamed", "update_group succeeded, and the group has its old name"

    def test_a_group_that_was_made_and_deleted_is_gone(self, bench: Bench) -> None:
        """Of groups that the remote system makes, a deletion leaves nothing, and the second one succeeds."""
        self.need(bench, "create_group", "delete_group", "get_group")

        async def scenario(connector: BoundConnector) -> bool:
            try:
                made = await within_deadline(connector.create_group(Group(display_name="Contract to delete")))
            except ConnectorError:
                return False
            for _ in range(2):
                await within_deadline(connector.delete_group(made.remote_id))
            error = await error_of(connector.get_group(made.remote_id))
            assert isinstance(error, RemoteNotFoundError), "a deleted group is still there"
            return True

        if not bench.run(scenario):
            pytest.skip("the remote system cannot make groups")

    def test_access_comes_back_after_what_is_taken(self, bench: Bench) -> None:
        """Wherever a reactivation is cut off, nobody is active with a group that they should not have any more."""
        self.need(bench, "set_user_groups")
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> list[int]:
            wanted, former = await self.two_groups(connector)
            wrong = []
            for landed in range(MOST_WRITES):
                user = self.make_user(20 + landed)
                created = await within_deadline(connector.create_user(user))
                await within_deadline(connector.set_user_groups(created.remote_id, user, [wanted, former]))
                user.groups = [GroupMembership(value=wanted)]
                await within_deadline(connector.deactivate_user(created.remote_id, user))
                remote.fail(RemoteFault.SERVER_ERROR, writes_only=True, skip=landed)
                with suppress(ConnectorError):
                    await within_deadline(connector.reactivate_user(created.remote_id, user))
                remote.heal()
                try:
                    seen = (await within_deadline(connector.get_user(created.remote_id))).resource
                except RemoteNotFoundError:
                    continue
                if seen.active and former in (groups_of(seen) or ()):
                    wrong.append(landed)
            return wrong

        wrong = bench.run(scenario)
        assert not wrong, f"cut off after {wrong} writes, somebody is active with a group that was taken from them"
