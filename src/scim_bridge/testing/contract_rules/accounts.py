"""Rules of identity, honesty and convergence: what a connector says and does about accounts."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import (
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import Remote, User
from scim_bridge.testing.contract_remote import HttpRemote
from scim_bridge.testing.contract_rules.attributes import value_of, with_value
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, error_of, within_deadline


class IdentityRules(ContractFixtures):
    """An account is found again by what the connector called it."""

    def test_create_returns_an_identifier_that_get_takes(self, bench: Bench) -> None:
        """The remote id of a new account reads that account."""

        async def scenario(connector: BoundConnector) -> tuple[Remote[User], Remote[User]]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            return created, await within_deadline(connector.get_user(created.remote_id))

        created, seen = bench.run(scenario)
        assert isinstance(created.remote_id, str), "a remote id is a string"
        assert created.remote_id, "a remote id is not empty"
        assert seen.remote_id == created.remote_id, "get_user answers with the id it was asked for"
        assert str(seen.resource.user_name).casefold() == str(self.make_user(1).user_name).casefold()
        assert self.finishes_later or created.existed is False, "a new account did not exist"

    def test_creating_twice_adopts(self, bench: Bench) -> None:
        """The second creation of a userName, in any case, returns the first account and says that it existed."""

        async def scenario(connector: BoundConnector) -> tuple[Remote[User], Remote[User]]:
            first = await within_deadline(connector.create_user(self.make_user(1)))
            again = self.make_user(1)
            again.user_name = str(again.user_name).upper()
            return first, await within_deadline(connector.create_user(again))

        first, second = bench.run(scenario)
        assert second.remote_id == first.remote_id, "a second account was made"
        assert second.existed is True, "the adopted account must be told as existing"

    def test_different_people_have_different_identifiers(self, bench: Bench) -> None:
        """Two userNames are two accounts."""

        async def scenario(connector: BoundConnector) -> set[str]:
            users = [self.make_user(number) for number in range(1, 4)]
            return {(await within_deadline(connector.create_user(user))).remote_id for user in users}

        assert len(bench.run(scenario)) == 3

    def test_find_user_finds_by_any_case_and_answers_none_otherwise(self, bench: Bench) -> None:
        """A userName is found whatever its case; one that nobody has is ``None``, not an error."""
        self.need(bench, "find_user")
        name = str(self.make_user(1).user_name)

        async def scenario(connector: BoundConnector) -> tuple[str, Remote[User] | None, Remote[User] | None]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            found = await within_deadline(connector.find_user(name.upper()))
            return created.remote_id, found, await within_deadline(connector.find_user("nobody@example.com"))

        remote_id, found, nobody = bench.run(scenario)
        assert found is not None, "the userName in capitals was not found"
        assert found.remote_id == remote_id
        assert nobody is None

    def test_another_persons_record_is_not_believed(self, bench: Bench) -> None:
        """Where a read is answered with somebody else's record, nothing is done to them, and nothing told of the first.

        The bridge itself checks the id of what a hook returns; what a hook does before it returns, only the hook can.
        """
        remote = bench.faulty()
        if not isinstance(remote, HttpRemote):
            pytest.skip("only an HttpRemote can mix up its answers")

        async def scenario(connector: BoundConnector) -> None:
            users = [self.make_user(number) for number in (1, 2)]
            asked, other = [(await within_deadline(connector.create_user(user))).remote_id for user in users]
            untouched = await within_deadline(connector.get_user(other))
            changed = with_value(users[0], "name.givenName", "Changed")
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "get_user": lambda: connector.get_user(asked),
                "update_user": lambda: connector.update_user(asked, users[0], changed),
                "set_user_groups": lambda: connector.set_user_groups(asked, users[0], []),
                "deactivate_user": lambda: connector.deactivate_user(asked, users[0]),
                "delete_user": lambda: connector.delete_user(asked),
            }
            for hook, call in calls.items():
                if hook not in connector.operations:
                    continue
                remote.mix_up(asked, other)
                with suppress(RemoteUnavailableError):
                    seen = await within_deadline(call())
                    told = isinstance(seen, Remote) and seen.remote_id == asked
                    name = str(seen.resource.user_name) if isinstance(seen, Remote) else ""
                    same = name.casefold() == str(users[0].user_name).casefold()
                    assert same or not told, f"{hook} tells another person's record as the one that was asked for"
                remote.heal()
                assert await within_deadline(connector.get_user(other)) == untouched, f"{hook} changed somebody else"

        bench.run(scenario)


class HonestyRules(ContractFixtures):
    """A connector keeps its hands off what it is given, and off what it gave."""

    def test_arguments_are_not_changed(self, bench: Bench) -> None:
        """No hook changes a user that it is given."""

        async def scenario(connector: BoundConnector) -> list[tuple[str, User, User]]:
            given = [self.make_user(1) for _ in range(5)]
            remote_id = (await within_deadline(connector.create_user(given[0]))).remote_id
            await within_deadline(connector.update_user(remote_id, given[1], given[2]))
            await within_deadline(connector.deactivate_user(remote_id, given[3]))
            await within_deadline(connector.reactivate_user(remote_id, given[4]))
            hooks = ("create_user", "update_user", "update_user", "deactivate_user", "reactivate_user")
            return [(hook, user, self.make_user(1)) for hook, user in zip(hooks, given, strict=True)]

        for hook, user, original in bench.run(scenario):
            assert user == original, f"{hook} changed the user that it was given"

    def test_what_is_returned_is_a_copy(self, bench: Bench) -> None:
        """Whoever changes an answer changes nothing else."""

        async def scenario(connector: BoundConnector) -> Remote[User]:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            created.resource.user_name = "changed@example.com"
            seen = await within_deadline(connector.get_user(created.remote_id))
            seen.resource.user_name = "changed@example.com"
            return await within_deadline(connector.get_user(created.remote_id))

        assert bench.run(scenario).resource.user_name != "changed@example.com"

    def test_an_unknown_id_is_not_found(self, bench: Bench) -> None:
        """Reading, updating or reactivating what is not there raises ``RemoteNotFoundError``."""

        async def scenario(connector: BoundConnector) -> None:
            user = self.make_user(1)
            changed = with_value(user, "name.givenName", "Eve")
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "get_user": lambda: connector.get_user(self.unknown_id),
                "update_user": lambda: connector.update_user(self.unknown_id, user, changed),
            }
            if "get_group" in connector.operations:
                calls["get_group"] = lambda: connector.get_group(self.unknown_id)
            for hook, call in calls.items():
                error = await error_of(call())
                assert isinstance(error, RemoteNotFoundError), f"{hook}: {type(error).__name__} for an unknown id"

        bench.run(scenario)


class ConvergenceRules(ContractFixtures):
    """A connector brings the remote system to a state, however often it is asked."""

    def test_writing_twice_leaves_the_same_state(self, bench: Bench) -> None:
        """Each writing hook, called again with the same arguments, succeeds and changes nothing more."""

        async def scenario(connector: BoundConnector) -> list[tuple[str, Remote[User], Remote[User]]]:
            before, after = self.make_user(1), with_value(self.make_user(1), "name.givenName", "Changed")
            remote_id = (await within_deadline(connector.create_user(before))).remote_id
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "update_user": lambda: connector.update_user(remote_id, before, after),
                "reactivate_user": lambda: connector.reactivate_user(remote_id, after),
            }
            states = []
            for hook, call in calls.items():
                await within_deadline(call())
                once = await within_deadline(connector.get_user(remote_id))
                await within_deadline(call())
                states.append((hook, once, await within_deadline(connector.get_user(remote_id))))
            return states

        for hook, once, twice in bench.run(scenario):
            assert twice == once, f"{hook} called twice leaves another state than called once"

    def test_every_announced_attribute_is_kept(self, bench: Bench) -> None:
        """After a creation and after an update, a read shows each announced attribute as it was asked for.

        A path that the answer lists as deferred is let off, and so is one whose update is refused as immutable.
        """

        async def scenario(connector: BoundConnector) -> list[str]:
            lost = []
            for number, path in enumerate(sorted(connector.user_attributes), start=10):
                before = with_value(self.make_user(number), path, self.samples(path)[0])
                created = await within_deadline(connector.create_user(before))
                lost += await self._lost(connector, created, before, path, "create_user")
                after = with_value(before, path, self.samples(path)[1])
                try:
                    updated = await within_deadline(connector.update_user(created.remote_id, before, after))
                except RemoteImmutableError:
                    continue
                lost += await self._lost(connector, updated, after, path, "update_user")
            return lost

        lost = bench.run(scenario)
        assert not lost, f"announced in user_attributes but not kept: {', '.join(lost)}"

    def test_what_is_unassigned_is_cleared(self, bench: Bench) -> None:
        """An announced attribute that an update leaves without a value has none in the remote system.

        A client that removes it is told so. One that the remote system cannot do without is refused, or deferred.
        """

        async def scenario(connector: BoundConnector) -> list[str]:
            left = []
            for number, path in enumerate(sorted(connector.user_attributes - {"userName"}), start=10):
                before = with_value(self.make_user(number), path, self.samples(path)[0])
                created = await within_deadline(connector.create_user(before))
                after = with_value(before, path, None)
                try:
                    updated = await within_deadline(connector.update_user(created.remote_id, before, after))
                except (RemoteImmutableError, RemoteInvalidValueError):
                    continue
                left += await self._lost(connector, updated, after, path, "update_user")
            return left

        left = bench.run(scenario)
        assert not left, f"unassigned, and still there: {', '.join(left)}"

    async def _lost(
        self, connector: BoundConnector, answer: Remote[User], asked: User, path: str, hook: str
    ) -> list[str]:
        if path in answer.deferred:
            return []
        seen = await within_deadline(connector.get_user(answer.remote_id))
        same = (value_of(seen.resource, path) or None) == value_of(asked, path)
        return [] if same else [f"{path} after {hook}"]

    def test_an_update_that_changes_nothing_makes_no_write(self, bench: Bench) -> None:
        """When before and after are equal, the remote system is left alone."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> int:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            before = remote.writes
            await within_deadline(connector.update_user(created.remote_id, user, self.make_user(1)))
            return remote.writes - before

        assert bench.run(scenario) == 0, "update_user writes although nothing changed"

    def test_deleting_twice_is_success(self, bench: Bench) -> None:
        """A deleted account is not found, and deleting it again succeeds."""
        self.need(bench, "delete_user")

        async def scenario(connector: BoundConnector) -> None:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            await within_deadline(connector.delete_user(created.remote_id))
            await within_deadline(connector.delete_user(created.remote_id))
            error = await error_of(connector.get_user(created.remote_id))
            assert isinstance(error, RemoteNotFoundError), "a deleted account is still there"

        bench.run(scenario)

    def test_descriptions_change_nothing(self, bench: Bench) -> None:
        """Checking and explaining only read."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> int:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            before = remote.writes
            if "check_connection" in connector.operations:
                await within_deadline(connector.check_connection())
            if "explain_user" in connector.operations:
                await within_deadline(connector.explain_user(created.remote_id, user, []))
            if not {"check_connection", "explain_user"} & connector.operations:
                pytest.skip("not implemented: check_connection, explain_user")
            return remote.writes - before

        assert bench.run(scenario) == 0, "a description wrote something"
