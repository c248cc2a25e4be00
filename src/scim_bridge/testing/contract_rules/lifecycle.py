"""Rules of lifecycle and listing: deactivation above all."""

import asyncio

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import GroupMembership, Page, Remote, User
from scim_bridge.testing.contract_remote import RemoteFault
from scim_bridge.testing.contract_rules.bench import (
    Bench,
    ContractFixtures,
    begun,
    deactivate_again,
    error_of,
    groups_of,
    within_deadline,
)

UNDER_WAY = 600.0
"""Seconds after which nothing is under way any more."""

MOST_PAGES = 1000
"""A listing that has more does not end."""


async def everybody(connector: BoundConnector) -> list[Remote[User]]:
    """Return the accounts of all pages of a listing."""
    found: list[Remote[User]] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await within_deadline(connector.list_users(cursor, 100))
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found
    pytest.fail("the listing does not end")


class LifecycleRules(ContractFixtures):
    """Deactivation ends access, and reactivation gives back what is asked for."""

    async def is_ended(self, connector: BoundConnector, remote_id: str) -> bool:
        """Return whether an account reads back as deactivated: inactive, or not found if that is declared."""
        if connector.inactive_is_absent:
            return isinstance(await error_of(connector.get_user(remote_id)), RemoteNotFoundError)
        seen = await within_deadline(connector.get_user(remote_id))
        return seen.resource.active is False and not seen.invited

    def test_a_new_account_reads_back_active(self, bench: Bench) -> None:
        """``active`` is true of an account that was just made, unless the person has to accept an invitation."""

        async def scenario(connector: BoundConnector) -> Remote[User]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            return await within_deadline(connector.get_user(created.remote_id))

        seen = bench.run(scenario)
        assert seen.resource.active is True or seen.invited

    def test_an_invitation_is_no_access(self, bench: Bench) -> None:
        """Whoever is told as invited is told as inactive, in the answer, by a read and by the listing."""

        async def scenario(connector: BoundConnector) -> list[Remote[User]]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            told = [created, await within_deadline(connector.get_user(created.remote_id))]
            if "list_users" in connector.operations:
                told += await everybody(connector)
            return told

        assert not [one for one in bench.run(scenario) if one.invited and one.resource.active is not False], (
            "an invited account is told as active: nobody has access before they accept"
        )

    def test_a_deactivated_account_reads_back_inactive(self, bench: Bench) -> None:
        """After deactivation a read shows ``active`` false, or nothing if ``inactive_is_absent``."""

        async def scenario(connector: BoundConnector) -> bool:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            await within_deadline(connector.deactivate_user(created.remote_id, self.make_user(1)))
            return await self.is_ended(connector, created.remote_id)

        assert bench.run(scenario), "the account can still be used after deactivate_user"

    def test_deactivating_twice_is_success(self, bench: Bench) -> None:
        """The second deactivation succeeds, or finds nobody if that is declared, and leaves the account inactive."""

        async def scenario(connector: BoundConnector) -> bool:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            await within_deadline(connector.deactivate_user(created.remote_id, user))
            await deactivate_again(connector, created.remote_id, user)
            return await self.is_ended(connector, created.remote_id)

        assert bench.run(scenario)

    def test_deactivating_an_absent_account_is_told(self, bench: Bench) -> None:
        """Who was not there is told as not found: it counts as done, and as somebody else's doing."""

        async def scenario(connector: BoundConnector) -> Exception | None:
            return await error_of(connector.deactivate_user(self.unknown_id, self.make_user(1)))

        assert isinstance(bench.run(scenario), RemoteNotFoundError), (
            "deactivate_user does not tell that there was no account: RemoteNotFoundError counts as done"
        )

    def test_reactivation_restores(self, bench: Bench) -> None:
        """After reactivation a read by the id it returned shows the person, active."""

        async def scenario(connector: BoundConnector) -> Remote[User]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            await within_deadline(connector.deactivate_user(created.remote_id, self.make_user(1)))
            back = await within_deadline(connector.reactivate_user(created.remote_id, self.make_user(1)))
            return await within_deadline(connector.get_user(back.remote_id))

        told = bench.run(scenario)
        seen = told.resource
        assert seen.active is True or told.invited, "the account is still inactive after reactivate_user"
        assert str(seen.user_name).casefold() == str(self.make_user(1).user_name).casefold()

    def test_the_remote_system_itself_agrees(self, bench: Bench) -> None:
        """What is told of access is so in the remote system, whatever the connector remembers: the kit asks itself."""

        async def scenario(connector: BoundConnector) -> dict[str, bool | None]:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            if self.truth(created.remote_id) is None:
                pytest.skip("there is no `truth`: the remote system cannot be asked past the connector")
            agrees: dict[str, bool | None] = {"create_user": self.truth(created.remote_id) or created.invited}
            await within_deadline(connector.deactivate_user(created.remote_id, user))
            agrees["deactivate_user"] = not self.truth(created.remote_id)
            back = await within_deadline(connector.reactivate_user(created.remote_id, user))
            return agrees | {"reactivate_user": self.truth(back.remote_id) or back.invited}

        lies = [hook for hook, agrees in bench.run(scenario).items() if not agrees]
        assert not lies, f"{', '.join(lies)} succeeded, and the remote system knows nothing of it"

    def test_the_later_of_two_orders_holds(self, bench: Bench) -> None:
        """Where work finishes later, what is still under way for an earlier order does not undo the later one."""
        if not self.finishes_later:
            pytest.skip("nothing finishes later")

        async def scenario(connector: BoundConnector) -> dict[str, bool]:
            user, holds = self.make_user(1), {}
            id_ = (await within_deadline(connector.create_user(user))).remote_id
            await begun(connector.deactivate_user(id_, user))
            id_ = (await within_deadline(connector.reactivate_user(id_, user))).remote_id
            await asyncio.sleep(UNDER_WAY)
            told = await within_deadline(connector.get_user(id_))
            holds["reactivate_user"] = told.invited or (told.resource.active is True and self.truth(id_) is not False)
            await within_deadline(connector.deactivate_user(id_, user))
            await begun(connector.reactivate_user(id_, user))
            await deactivate_again(connector, id_, user)
            await asyncio.sleep(UNDER_WAY)
            holds["deactivate_user"] = await self.is_ended(connector, id_) and not self.truth(id_)
            return holds

        undone = [hook for hook, so in bench.run(scenario).items() if not so]
        assert not undone, f"{', '.join(undone)} succeeded, and what was under way for the order before undid it"

    def test_reactivation_gives_no_more_groups_than_asked(self, bench: Bench) -> None:
        """A person who had two groups and should have one does not get the other back."""
        self.need(bench, "set_user_groups")

        async def scenario(connector: BoundConnector) -> tuple[frozenset[str] | None, str]:
            wanted, former = await self.two_groups(connector)
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            await within_deadline(connector.set_user_groups(created.remote_id, user, [wanted, former]))
            user.groups = [GroupMembership(value=wanted)]
            await within_deadline(connector.deactivate_user(created.remote_id, user))
            back = await within_deadline(connector.reactivate_user(created.remote_id, user))
            return groups_of((await within_deadline(connector.get_user(back.remote_id))).resource), wanted

        held, wanted = bench.run(scenario)
        assert held is None or held <= {wanted}, "reactivate_user gave back a group that was taken away"


class ListingRules(ContractFixtures):
    """A listing shows everything once, or says that it cannot."""

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_have_no_gap_and_no_repeat(self, bench: Bench, limit: int) -> None:
        """Six accounts, whatever fits on a page: each is listed once, no page is longer, and the cursor ends."""
        self.need(bench, "list_users")

        async def scenario(connector: BoundConnector) -> tuple[set[str], list[str]]:
            made = {
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id
                for number in range(1, 7)
            }
            listed: list[str] = []
            cursor: str | None = None
            for _ in range(MOST_PAGES):
                page: Page[User] = await within_deadline(connector.list_users(cursor, limit))
                assert len(page.items) <= limit, f"a page of {len(page.items)} although the limit is {limit}"
                listed += [one.remote_id for one in page.items]
                cursor = page.cursor
                if cursor is None:
                    return made, listed
            pytest.fail("the listing does not end")

        made, listed = bench.run(scenario)
        assert len(listed) == len(set(listed)), "an account is listed twice"
        assert made <= set(listed), "an account is missing from the listing"

    def test_more_people_than_a_page_are_listed(self, bench: Bench) -> None:
        """Those beyond the first page, too, also where the remote system shows fewer at a time than it is asked for."""
        self.need(bench, "list_users")

        async def scenario(connector: BoundConnector) -> tuple[list[str], list[str]]:
            made = [
                (await within_deadline(connector.create_user(self.make_user(number)))).remote_id
                for number in range(self.crowd)
            ]
            return made, [one.remote_id for one in await everybody(connector)]

        made, listed = bench.run(scenario)
        assert len(listed) == len(set(listed)), "an account is listed twice"
        missing = len(set(made) - set(listed))
        assert not missing, f"{missing} of {len(made)} accounts are missing from the listing"

    def test_a_listing_and_a_read_agree(self, bench: Bench) -> None:
        """What the listing says of an account is what reading it says, its groups and the inactive ones included."""
        self.need(bench, "list_users")

        async def scenario(connector: BoundConnector) -> list[tuple[User, User]]:
            user, leaver = self.make_user(1), self.make_user(2)
            made = [(await within_deadline(connector.create_user(one))).remote_id for one in (user, leaver)]
            if "set_user_groups" in connector.operations:
                group = (await self.two_groups(connector))[0]
                await within_deadline(connector.set_user_groups(made[0], user, [group]))
            await within_deadline(connector.deactivate_user(made[1], leaver))
            found = {one.remote_id: one.resource for one in await everybody(connector)}
            both = []
            for remote_id in made[:1] if connector.inactive_is_absent else made:
                assert remote_id in found, "an account that is there, active or not, is missing from the listing"
                both.append((found[remote_id], (await within_deadline(connector.get_user(remote_id))).resource))
            return both

        for listed, seen in bench.run(scenario):
            assert str(listed.user_name).casefold() == str(seen.user_name).casefold()
            assert listed.active == seen.active
            if listed.groups is not None and seen.groups is not None:
                assert groups_of(listed) == groups_of(seen), "the listing shows other groups than a read"

    @pytest.mark.parametrize("listing", ["list_users", "list_groups"])
    def test_an_error_midway_is_raised(self, bench: Bench, listing: str) -> None:
        """A page that cannot be read is an error, never an empty page: empty would mean that everybody left."""
        self.need(bench, listing)
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> None:
            for number in range(1, 4):
                await within_deadline(connector.create_user(self.make_user(number)))
            call = getattr(connector, listing)
            first = await within_deadline(call(None, 1))
            remote.fail(RemoteFault.SERVER_ERROR)
            for cursor in {None, first.cursor}:
                error = await error_of(call(cursor, 1))
                assert isinstance(error, RemoteUnavailableError), f"{type(error).__name__} while listing in an outage"

        bench.run(scenario)
