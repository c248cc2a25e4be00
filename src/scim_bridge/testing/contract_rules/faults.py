"""Rules of faults: what each failure of the remote system becomes, and what it leaves."""

import asyncio
import logging
import threading
import time
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
from scim_bridge.testing.contract_rules.attributes import with_value
from scim_bridge.testing.contract_rules.bench import (
    Bench,
    ContractFixtures,
    deactivate_again,
    error_of,
    within_deadline,
)
from scim_bridge.testing.contract_rules.definition import secrets_of

EXPECTED: Mapping[RemoteFault, tuple[type[ConnectorError], ...]] = {
    RemoteFault.INVALID: (RemoteInvalidValueError, RemoteConflictError),
    RemoteFault.UNPROCESSABLE: (RemoteInvalidValueError, RemoteConflictError),
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

REFUSALS = [RemoteFault.INVALID, RemoteFault.UNPROCESSABLE]
READS = [fault for fault in RemoteFault if fault not in {RemoteFault.CONFLICT, RemoteFault.LOST_ANSWER, *REFUSALS}]
WRITES = [
    RemoteFault.UNAUTHORIZED,
    RemoteFault.FORBIDDEN,
    RemoteFault.RATE_LIMITED,
    RemoteFault.RATE_LIMITED_SILENTLY,
    RemoteFault.SERVER_ERROR,
    RemoteFault.TIMEOUT,
]
MOMENTS = 12
"""A call is cancelled at so many moments, one step of the loop later each time."""

OTHERS_LOGGERS = {"httpx2", "httpcore2", "asyncio"}
"""Loggers of libraries, which the bridge keeps quiet."""

LATER_CALLS = (1, 2, 3)
"""So many calls of a read are let through before one fails."""

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

    @pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.name)
    def test_a_refused_value_is_told_without_its_text(self, bench: Bench, fault: RemoteFault) -> None:
        """What a remote system says of a value that it refuses may hold personal data: the error does not tell it."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> ConnectorError:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            remote.fail(fault, writes_only=True)
            changed = with_value(user, "name.givenName", "Changed")
            if "name.givenName" not in connector.user_attributes:
                return await error_of(connector.create_user(self.make_user(2)))
            return await error_of(connector.update_user(created.remote_id, user, changed))

        self.judge(bench, fault, bench.run(scenario), "update_user or create_user")

    def test_a_later_call_of_a_read_that_fails_is_told(self, bench: Bench) -> None:
        """A read of several calls is whole or an error, whichever of them fails."""
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> list[str]:
            user = self.make_user(1)
            remote_id = (await within_deadline(connector.create_user(user))).remote_id
            reads: dict[str, Callable[[], Awaitable[object]]] = {
                "get_user": lambda: connector.get_user(remote_id),
                "find_user": lambda: connector.find_user(str(user.user_name)),
                "list_users": lambda: connector.list_users(None, 2),
                "list_groups": lambda: connector.list_groups(None, 2),
            }
            wrong = []
            for hook in reads.keys() & connector.operations:
                whole = await within_deadline(reads[hook]())
                for landed in LATER_CALLS:
                    remote.fail(RemoteFault.SERVER_ERROR, skip=landed)
                    try:
                        partial = await within_deadline(reads[hook]())
                    except ConnectorError:
                        continue
                    finally:
                        remote.heal()
                    if partial != whole:
                        wrong.append(f"{hook} after {landed} calls")
            return wrong

        wrong = bench.run(scenario)
        assert not wrong, f"a failure was swallowed, and less was answered: {', '.join(sorted(wrong))}"

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
            await deactivate_again(connector, created.remote_id, self.make_user(1))
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
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            tasks_before = asyncio.all_tasks()
            for moment in range(MOMENTS):
                changed = with_value(user, "name.givenName", f"Changed {moment}")
                call = asyncio.ensure_future(within_deadline(connector.update_user(created.remote_id, user, changed)))
                for _ in range(moment + 1):
                    await asyncio.sleep(0)
                if call.done():
                    break
                call.cancel()
                await asyncio.wait([call], timeout=1.0)
                assert call.done(), "the call goes on although it was cancelled"
                assert call.cancelled(), "the call swallows its cancellation and answers, or fails, as if nothing were"
                left = asyncio.all_tasks() - tasks_before - {call}
                assert not left, "a task of the connector outlives the call that made it"
                if isinstance(bench.remote, HttpRemote):
                    assert bench.remote.pending == 0, "a request is still open"
            await within_deadline(connector.get_user(created.remote_id))

        bench.run(scenario)

    def test_nothing_blocks_the_loop(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """No hook sleeps in the thread of the event loop: everybody would wait, removals too."""

        def refuse(_seconds: float) -> None:
            if threading.current_thread() is threading.main_thread():
                slept.append(True)

        slept: list[bool] = []
        remote = bench.faulty()

        async def scenario(connector: BoundConnector) -> None:
            user = self.make_user(1)
            created = await within_deadline(connector.create_user(user))
            changed = with_value(user, "name.givenName", "Changed")
            await within_deadline(connector.update_user(created.remote_id, user, changed))
            await within_deadline(connector.deactivate_user(created.remote_id, changed))
            back = await within_deadline(connector.reactivate_user(created.remote_id, changed))
            remote.fail(RemoteFault.RATE_LIMITED)
            await error_of(connector.get_user(back.remote_id))

        monkeypatch.setattr(time, "sleep", refuse)
        bench.run(scenario)
        assert not slept, "a hook sleeps in the event loop's thread: await asyncio.sleep, or better, raise"

    def test_people_are_not_logged(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Neither names nor addresses are in a log line, whatever its level."""
        caplog.set_level(logging.DEBUG)
        user = self.make_user(1)

        async def scenario(connector: BoundConnector) -> None:
            created = await within_deadline(connector.create_user(user))
            await within_deadline(connector.get_user(created.remote_id))
            changed = with_value(user, "name.givenName", "Changed-for-the-contract")
            await within_deadline(connector.update_user(created.remote_id, user, changed))
            await within_deadline(connector.deactivate_user(created.remote_id, changed))
            await within_deadline(connector.reactivate_user(created.remote_id, changed))
            if "find_user" in connector.operations:
                await within_deadline(connector.find_user(str(user.user_name)))

        bench.run(scenario)
        lines = (one.getMessage() for one in caplog.records if one.name.partition(".")[0] not in OTHERS_LOGGERS)
        logged = "\n".join(lines)
        names = (str(user.user_name), "Changed-for-the-contract", str(user.name and user.name.family_name))
        assert not [name for name in names if name.casefold() in logged.casefold()], "a log line names a person"

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
