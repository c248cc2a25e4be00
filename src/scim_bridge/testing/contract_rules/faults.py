"""Rules of faults: what each failure of the remote system becomes, and what it leaves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.testing.contract_remote import PLANTED, RETRY_AFTER, ROAD, HttpRemote, RemoteFault
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, error_of, within_deadline
from scim_bridge.testing.contract_rules.definition import secrets_of

EXPECTED: Mapping[RemoteFault, tuple[type[ConnectorError], ...]] = {
    RemoteFault.UNAUTHORIZED: (RemoteCredentialsError,),
    RemoteFault.FORBIDDEN: (RemoteForbiddenError, RemoteCredentialsError),
    RemoteFault.NOT_FOUND: (RemoteNotFoundError,),
    RemoteFault.CONFLICT: (RemoteConflictError, RemoteInvalidValueError),
    RemoteFault.RATE_LIMITED: (RemoteRateLimitedError,),
    RemoteFault.RATE_LIMITED_SILENTLY: (RemoteRateLimitedError,),
    RemoteFault.SERVER_ERROR: (RemoteUnavailableError,),
    RemoteFault.MALFORMED: (RemoteUnavailableError,),
    RemoteFault.UNEXPECTED: (RemoteUnavailableError,),
    RemoteFault.TIMEOUT: (RemoteUnavailableError,),
    RemoteFault.LOST_ANSWER: (RemoteUnavailableError,),
}
"""What each fault may become. An instance of a subclass will do."""

READS = [fault for fault in RemoteFault if fault not in {RemoteFault.CONFLICT, RemoteFault.LOST_ANSWER}]
WRITES = [
    RemoteFault.UNAUTHORIZED,
    RemoteFault.FORBIDDEN,
    RemoteFault.RATE_LIMITED,
    RemoteFault.RATE_LIMITED_SILENTLY,
    RemoteFault.SERVER_ERROR,
    RemoteFault.TIMEOUT,
]
OPEN_OUTCOMES = {RemoteFault.SERVER_ERROR, RemoteFault.TIMEOUT, RemoteFault.LOST_ANSWER}


class FaultRules(ContractFixtures):
    """Each failure becomes its error, and no failure is taken for success."""

    fault_errors: ClassVar[Mapping[RemoteFault, tuple[type[ConnectorError], ...]]] = {}
    """Overrides :data:`EXPECTED` for a vendor that means something else by a status; give the reason beside it."""

    def judge(self, bench: Bench, fault: RemoteFault, error: ConnectorError, hook: str) -> None:
        """Fail the rule unless an error is of the right class, and shows neither the answer's body nor a secret."""
        expected = self.fault_errors.get(fault, EXPECTED[fault])
        names = " or ".join(one.__name__ for one in expected)
        assert isinstance(error, expected), f"{hook}: {fault.name} became {type(error).__name__}, not {names}"
        assert PLANTED not in str(error), f"{hook}: the error tells the body of the answer"
        config = bench.connector_type.config_model.model_validate(dict(bench.settings))
        assert not [secret for secret in secrets_of(config) if secret in str(error)], (
            f"{hook}: the error tells a secret"
        )
        if fault is RemoteFault.RATE_LIMITED and isinstance(error, RemoteRateLimitedError):
            wait = error.retry_after or 0.0
            assert RETRY_AFTER - 30 <= wait <= RETRY_AFTER + 30, f"{hook}: Retry-After {RETRY_AFTER} became {wait}"

    async def lose_answer(self, call: Awaitable[object], hook: str) -> None:
        """Await a call whose answers are lost: it may succeed by probing, or say that its outcome is open."""
        try:
            await within_deadline(call)
        except RemoteUnavailableError as error:
            if not error.ambiguous:
                pytest.fail(f"{hook}: the call may have taken effect: the error must be ambiguous")

    @pytest.mark.parametrize("fault", READS, ids=lambda fault: fault.name)
    def test_a_failed_read_becomes_its_error(self, bench: Bench, fault: RemoteFault) -> None:
        """``get_user`` raises the class that fits the failure, and is not ambiguous about anything."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> ConnectorError:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            remote.fail(fault)
            return await error_of(connector.get_user(created.remote_id))

        self.judge(bench, fault, bench.run(scenario), "get_user")

    @pytest.mark.parametrize("fault", WRITES, ids=lambda fault: fault.name)
    def test_a_failed_deactivation_is_never_told_as_done(self, bench: Bench, fault: RemoteFault) -> None:
        """``deactivate_user`` raises the class that fits; where the write may have landed, the error says so."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> ConnectorError:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            remote.fail(fault, writes_only=True)
            return await error_of(connector.deactivate_user(created.remote_id, self.make_user(1)))

        error = bench.run(scenario)
        self.judge(bench, fault, error, "deactivate_user")
        if fault in OPEN_OUTCOMES and isinstance(error, RemoteUnavailableError):
            assert error.ambiguous, "the write may have taken effect: the error must be ambiguous"

    def test_an_answer_of_the_road_says_nothing_about_an_account(self, bench: Bench) -> None:
        """What a gateway answers, whatever its form, is an outage: never an absence, a success, a refusal."""
        remote = bench.faulty()
        if not isinstance(remote, HttpRemote):
            pytest.skip("only an HttpRemote has a road")

        async def scenario(connector: BoundConnector) -> None:
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "get_user": lambda: connector.get_user(remote_id),
                "update_user": lambda: connector.update_user(remote_id, user, self.make_user(1)),
                "deactivate_user": lambda: connector.deactivate_user(remote_id, user),
                "delete_user": lambda: connector.delete_user(remote_id),
                "find_user": lambda: connector.find_user(str(user.user_name)),
                "set_user_groups": lambda: connector.set_user_groups(remote_id, user, []),
                "remove_group_members": lambda: connector.remove_group_members(self.unknown_id, [remote_id]),
            }
            for answer in ROAD:
                for hook in calls.keys() & connector.operations:
                    remote.misroute(answer, writes_only=hook == "deactivate_user" and answer.status_code == 404)
                    error = await error_of(calls[hook]())
                    what = f"{hook}: a gateway's {answer.status_code} became {type(error).__name__}"
                    assert isinstance(error, RemoteUnavailableError), what
                    assert PLANTED not in str(error), f"{hook}: the error tells the body of the answer"

        bench.run(scenario)

    def test_a_conflict_is_told_as_one(self, bench: Bench) -> None:
        """A creation that the remote system refuses as a conflict, without an account to adopt, is a conflict."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> ConnectorError:
            remote.fail(RemoteFault.CONFLICT, writes_only=True)
            return await error_of(connector.create_user(self.make_user(1)))

        self.judge(bench, RemoteFault.CONFLICT, bench.run(scenario), "create_user")

    def test_a_creation_whose_answer_was_lost_is_adopted(self, bench: Bench) -> None:
        """After a lost answer the second creation returns the account that the first one made: there is only one."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> None:
            remote.fail(RemoteFault.LOST_ANSWER, writes_only=True)
            await self.lose_answer(connector.create_user(self.make_user(1)), "create_user")
            remote.heal()
            again = await within_deadline(connector.create_user(self.make_user(1)))
            assert again.existed, "create_user: the account that a lost answer left behind was not adopted"
            if "list_users" in connector.operations:
                page = await within_deadline(connector.list_users(None, 100))
                name = str(self.make_user(1).user_name).casefold()
                same = [one for one in page.items if str(one.resource.user_name).casefold() == name]
                assert len(same) == 1, f"create_user: {len(same)} accounts of one person"

        bench.run(scenario)

    def test_a_deactivation_whose_answer_was_lost_is_completed(self, bench: Bench) -> None:
        """After a lost answer the second deactivation succeeds, and the account is inactive."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> None:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            remote.fail(RemoteFault.LOST_ANSWER, writes_only=True)
            await self.lose_answer(connector.deactivate_user(created.remote_id, self.make_user(1)), "deactivate_user")
            remote.heal()
            await within_deadline(connector.deactivate_user(created.remote_id, self.make_user(1)))
            if connector.inactive_is_absent:
                error = await error_of(connector.get_user(created.remote_id))
                assert isinstance(error, RemoteNotFoundError), "the account is still there"
            else:
                seen = await within_deadline(connector.get_user(created.remote_id))
                assert seen.resource.active is False, "the account is still active"

        bench.run(scenario)

    def test_cancellation_leaves_nothing_open(self, bench: Bench) -> None:
        """A call that is cancelled ends at once, its requests too, and the next one works."""

        async def scenario(connector: BoundConnector) -> None:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            tasks_before = asyncio.all_tasks()
            call = asyncio.ensure_future(
                within_deadline(
                    connector.update_user(
                        created.remote_id, self.make_user(1), self.make_user(2).model_copy(update={"user_name": None})
                    )
                )
            )
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call], timeout=1.0)
            assert call.done(), "the call goes on although it was cancelled"
            left = asyncio.all_tasks() - tasks_before - {call}
            assert not left, "a task of the connector outlives the call that made it"
            if isinstance(bench.remote, HttpRemote):
                assert bench.remote.pending == 0, "a request is still open"
            await within_deadline(connector.get_user(created.remote_id))

        bench.run(scenario)

    def test_failures_are_not_logged_with_their_body(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """What a remote system answers when it fails may hold personal data: it is in no log line."""
        remote = bench.faulty()
        caplog.set_level(logging.DEBUG)

        async def scenario(connector: BoundConnector) -> None:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            for fault in (RemoteFault.FORBIDDEN, RemoteFault.MALFORMED):
                remote.fail(fault)
                await error_of(connector.get_user(created.remote_id))

        bench.run(scenario)
        assert PLANTED not in caplog.text, "a log line tells the body of an answer"
