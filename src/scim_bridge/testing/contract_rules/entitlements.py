"""Rules of what people hold: it is listed, it is what is in force, and what can be asked for is a group."""

from scim_bridge.connections import BoundConnector
from scim_bridge.models import Entitlement, Remote, User
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, within_deadline


class EntitlementRules(ContractFixtures):
    """What people can hold is told, and what each of them holds."""

    def test_entitlements_are_told_apart(self, bench: Bench) -> None:
        """Each has an id of its own, a name and a type."""
        self.need(bench, "list_entitlements")

        async def scenario(connector: BoundConnector) -> list[Entitlement]:
            await self.two_groups(connector)
            return await within_deadline(connector.list_entitlements())

        listed = bench.run(scenario)
        ids = [one.remote_id for one in listed]
        assert len(ids) == len(set(ids)), "two entitlements have the same remote id"
        assert all(one.remote_id and one.name and one.type for one in listed), "an entitlement has no id, name or type"

    def test_what_is_assignable_is_a_group(self, bench: Bench) -> None:
        """What can be asked for is given by the group of its remote id."""
        self.need(bench, "list_entitlements", "list_groups")

        async def scenario(connector: BoundConnector) -> tuple[set[str], set[str]]:
            await self.two_groups(connector)
            groups: set[str] = set()
            cursor: str | None = None
            for _ in range(1000):
                page = await within_deadline(connector.list_groups(cursor, 100))
                groups |= {one.remote_id for one in page.items}
                cursor = page.cursor
                if cursor is None:
                    break
            listed = await within_deadline(connector.list_entitlements())
            return {one.remote_id for one in listed if one.assignable}, groups

        assignable, groups = bench.run(scenario)
        assert assignable, "nothing can be asked for"
        assert assignable <= groups, "an assignable entitlement is no group: nobody could be given it"

    def test_what_is_held_is_told_by_every_answer(self, bench: Bench) -> None:
        """A person who is given a group holds what it gives, in each answer about them; whoever lost it does not."""
        self.need(bench, "list_entitlements", "set_user_groups")

        async def scenario(connector: BoundConnector) -> tuple[str, set[str], list[Remote[User]], list[Remote[User]]]:
            (group, *_) = await self.two_groups(connector)
            listed = {one.remote_id for one in await within_deadline(connector.list_entitlements())}
            user = self.make_user(1)
            made = await within_deadline(connector.create_user(user))
            id_ = made.remote_id
            given = [await within_deadline(connector.set_user_groups(id_, user, [group]))]
            given += [await within_deadline(connector.get_user(id_))]
            left = [made, await within_deadline(connector.set_user_groups(id_, user, []))]
            left += [await within_deadline(connector.get_user(id_))]
            if "list_users" in connector.operations:
                page = await within_deadline(connector.list_users(None, 100))
                left += [one for one in page.items if one.remote_id == id_]
            return group, listed, given, left

        group, listed, given, left = bench.run(scenario)
        assert all(one.holds is not None for one in (*given, *left)), "an answer does not tell what the person holds"
        assert group not in listed or all(group in (one.holds or ()) for one in given), "what was given is not told"
        assert not any(group in (one.holds or ()) for one in left), "what is not held is told as held"
        told = frozenset().union(*(one.holds or frozenset() for one in (*given, *left)))
        assert told <= listed, "something is held that is not listed"
