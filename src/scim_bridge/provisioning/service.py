"""What the server calls: a write becomes desired state, the driver makes it true, the answer says which it is."""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import (
    ConnectorError,
    PendingError,
    RefusedError,
    RemoteCredentialsError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
    StoreUnavailableError,
)
from scim_bridge.models import Group, Lane, Remote, User
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.answers import is_as_asked, only_leaving_is_refused, together
from scim_bridge.provisioning.discovery import Discovery
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.groups import Change, GroupIntake
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.identifiers import new_id as mint
from scim_bridge.provisioning.intake import Accepted, Check, Intake
from scim_bridge.provisioning.outcomes import Outcomes
from scim_bridge.provisioning.policy import ProvisioningPolicy
from scim_bridge.provisioning.situation import Capabilities
from scim_bridge.provisioning.succession import keeps, named_by, take_name
from scim_bridge.provisioning.users import UserIntake
from scim_bridge.provisioning.waiting import happened
from scim_bridge.store import audit, memberships, notifications, resources
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.leadership import Leadership, owns
from scim_bridge.store.rows import MemberDelta, Ownership, ResourceRow, State
from scim_bridge.upstream.lanes import lane as current_lane

POLL = 5.0
"""Seconds between looks at a row that another replica may settle: a notification is only a wake-up."""

AMBIGUOUS_RETRY_AFTER = 15
CREDENTIALS_RETRY_AFTER = 120
RATE_LIMIT_RETRY_AFTER = 5
FIND_TIMEOUT = 5.0
"""Seconds a filter that found nothing may spend on asking the remote system."""

HELD = "accepted, and held: too many removals or privileged grants at once; an operator has to approve"
OBSERVES = "accepted; the bridge only observes until its operator lets it go live"
OTHER_REMOTE = (
    "accepted, and held: the remote system is not the one it was, or not this connection's alone; see the log"
)
now = partial(datetime.now, UTC)

PENDING = "accepted; pending upstream; retry to observe"

answer_by: ContextVar[float | None] = ContextVar("answer_by", default=None)
"""When the request that some writes belong to is answered, by the event loop's clock; ``None``: each has a budget."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A write that is true in the remote system (or, of many additions, durable).

    :param row: The resource as it is now.
    :param created: Whether a creation made it, rather than found it made by an earlier, repeated request.
    :param warnings: What was left out, for the operator.
    """

    row: ResourceRow
    created: bool = False
    warnings: tuple[str, ...] = ()


class Provisioning:
    """The writes of one connection.

    :param clock: Tells the time in UTC.
    :param new_id: Mints resource ids.
    :param chance: Returns numbers in [0, 1), for the jitter of back-off.
    :param leadership: Which connections this process drives; ``None``: all.
    :param user_model: The class of Users, with the connector's own extensions.
    """

    def __init__(
        self,
        connection_id: str,
        store: Store,
        connector: BoundConnector,
        policy: ProvisioningPolicy,
        *,
        clock: Callable[[], datetime] = now,
        new_id: Callable[[], str] = mint,
        chance: Callable[[], float] = random.random,
        leadership: Leadership | None = None,
        user_model: type[User] = User,
    ) -> None:
        self.capabilities = capabilities = Capabilities.of(connector, user_model)
        self.connection_id, self.store, self.connector = connection_id, store, connector
        self.policy = policy
        self.clock = clock
        intake = Intake(connection_id, capabilities, policy, new_id=new_id, clock=clock)
        self.users, self.groups = UserIntake(intake), GroupIntake(intake)
        self.outcomes = Outcomes(connection_id, capabilities, new_id=new_id, clock=clock)
        self.guard = intake.guard
        self.discovery = Discovery(
            connection_id, capabilities, self.guard, new_id=new_id, clock=clock, forgotten=self.outcomes.forgotten
        )
        self.leadership = leadership
        self.identification = Identification(
            connection_id, store, connector, clock=clock, apart=policy.apart, leadership=leadership
        )
        self.driver = Driver(
            connection_id,
            store,
            connector,
            self.outcomes,
            policy,
            identification=self.identification,
            clock=clock,
            jitter=chance,
            guard=intake.guard,
            leadership=leadership,
        )
        self.logger = logging.getLogger(f"scim_bridge.provisioning.{connection_id}")

    # -- Users -----------------------------------------------------------------------------------------------------

    async def create_user(self, user: User) -> Outcome:
        """Create a User (RFC 7644 §3.3).

        :raises UniquenessException: When an active User has the userName.
        :raises ServingError: When the remote system refuses, or has not confirmed within the budget.
        """
        return await self._created(lambda tx: self.users.create(tx, user))

    async def modify_user(self, user_id: str, change: Callable[[User], User | None], check: Check) -> Outcome:
        """Replace or modify a User (RFC 7644 §3.5).

        :param change: Runs inside the store's transaction; returns the new state, or ``None`` when nothing changes.
        :param check: Evaluates the request's conditions against the entity tag.
        """
        return await self._write(lambda tx: self.users.modify(tx, user_id, change, check))

    async def delete_user(self, user_id: str, check: Check) -> None:
        """Delete a User (RFC 7644 §3.6); returns when the remote system agrees."""
        await self._write(lambda tx: self.users.delete(tx, user_id, check))

    async def find_user(self, user_name: str) -> None:
        """Ask the remote system once for a userName the store does not know, and take over what it has.

        A filter must see the accounts a creation would run into. When asking fails, the store's answer stands.
        """
        if "find_user" not in self.connector.operations or not self._leads():
            return
        asked, term = self.clock(), "" if self.leadership is None else self.leadership.term
        token = current_lane.set(Lane.READ)
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                if not await self.identification.confirmed():
                    return
                remote = await self.connector.find_user(user_name)
            if remote is not None:
                await self.store.write(lambda tx: self._found(tx, remote, asked, term))
        except (ConnectorError, TimeoutError, StoreUnavailableError) as error:
            self.logger.info("asking for an unknown userName failed: %s", type(error).__name__)
        finally:
            current_lane.reset(token)

    def _found(self, tx: Connection, remote: Remote[User], asked: datetime, term: str) -> None:
        """Take over what was found, unless another process drives by now: it may have deleted it meanwhile.

        What the store knows under an older name was renamed by hand.
        """
        audit.serialise(tx, self.connection_id)
        if self.leadership is not None and not owns(tx, self.connection_id, term):
            return
        row = self.discovery.known(tx, "User", remote)
        if row is None:
            self.discovery.take(tx, "User", remote, asked=asked)
        elif row.ownership is Ownership.DISCOVERED:
            self.discovery.refresh(tx, row, remote, asked=asked)
        elif keeps(row) and row.modified_at < asked:
            take_name(tx, row, named_by(remote), self.capabilities, now=self.clock())

    def _leads(self) -> bool:
        """Whether this process may call the remote system: its limit is kept by the one that leads."""
        return self.leadership is None or self.connection_id in self.leadership.held

    # -- Groups ----------------------------------------------------------------------------------------------------

    async def create_group(self, group: Group) -> Outcome:
        """Create a Group with its members (RFC 7644 §3.3)."""
        return await self._created(lambda tx: self.groups.create(tx, group))

    async def modify_group(
        self, group_id: str, change: Change | None, deltas: Sequence[MemberDelta], check: Check
    ) -> Outcome:
        """Replace or modify a Group (RFC 7644 §3.5).

        :param change: Changes the attributes; sees a Group without members. ``None``: they stay.
        :param deltas: Changes of the members, in order.
        """
        return await self._write(lambda tx: self.groups.modify(tx, group_id, change, deltas, check))

    async def delete_group(self, group_id: str, check: Check) -> None:
        """Delete a Group (RFC 7644 §3.6); returns when nobody holds it any more."""
        await self._write(lambda tx: self.groups.delete(tx, group_id, check))

    @contextmanager
    def one_budget(self) -> Iterator[None]:
        """Let the writes inside share one budget, as the operations of a Bulk request do (RFC 7644 §3.7)."""
        token = answer_by.set(asyncio.get_running_loop().time() + self.policy.budget)
        try:
            yield
        finally:
            answer_by.reset(token)

    # -- Writing and waiting ---------------------------------------------------------------------------------------

    async def _created(self, work: Callable[[Connection], Accepted]) -> Outcome:
        """Run a creation, and note that the client is about to be told of it."""
        outcome = await self._write(work)
        if await self.store.read(lambda tx: self._any(tx, outcome.row.id)) is None:
            raise self._pending(outcome.row.id)  # refused, and forgotten for a later refusal before it was told
        if not outcome.row.answered:
            await self.store.write(lambda tx: _answered(tx, outcome.row))
        return outcome

    async def _write(self, work: Callable[[Connection], Accepted]) -> Outcome:
        """Commit desired state, wait for the remote system within the budget and return how the resource is now."""
        deadline = answer_by.get() or asyncio.get_running_loop().time() + self.policy.budget

        def noted(tx: Connection) -> tuple[Accepted, observing.Observing | None]:
            audit.serialise(tx, self.connection_id)
            accepted = work(tx)
            notifications.wake(tx, self.connection_id)
            return accepted, observing.current(tx, self.connection_id)

        accepted, observes = await self.store.write(noted)
        if accepted.warnings:  # without what the client sent as an id: it can be an address
            self.logger.warning("%s %s: %d were left out", accepted.row.kind, accepted.row.id, len(accepted.warnings))
        if accepted.stayed:
            self.logger.info("Group %s: %d members whom no client manages stay in it", accepted.row.id, accepted.stayed)
        if observes:  # also what changes nothing: what the store says of the remote system may be old
            raise self._observing(observes)
        if accepted.waits or accepted.then_members:
            self.driver.wake(accepted.waits)
            await self._confirmed(accepted, deadline)
        row = await self._read(accepted.row)
        return Outcome(row or accepted.row, not accepted.repeated, accepted.warnings)

    async def _confirmed(self, accepted: Accepted, deadline: float) -> None:
        """Wait for removals, then for the resource itself, then for additions unless they are too many to wait for."""
        own = accepted.row.id
        refused = []
        for resource_id in sorted(accepted.removals - {own}):
            try:
                await self._settled(resource_id, accepted.waits[resource_id], deadline, of=own)
            except RefusedError as error:  # whoever cannot be changed holds up nobody else: the others are waited for
                refused.append(error)
        if refused:
            raise together(refused)
        if own in accepted.waits:
            await self._settled(own, accepted.waits[own], deadline, removes=own in accepted.removals)
        additions = {one: generation for one, generation in accepted.waits.items() if one not in accepted.removals}
        if accepted.then_members and not accepted.row.deleted:
            additions |= await self.store.read(lambda tx: self._members_on_their_way(tx, own))
        additions.pop(own, None)
        if len(additions) <= self.policy.deferrable_additions:
            for resource_id, generation in additions.items():
                await self._settled(resource_id, generation, deadline, of=own, joins=True)
            await self._made_anew(accepted, additions, deadline)

    async def _made_anew(self, accepted: Accepted, additions: Mapping[str, int], deadline: float) -> None:
        """Wait for a group that was found lost when it was granted, and then for those who were to get it."""
        own, waited = accepted.row.id, accepted.row.generation
        while accepted.row.kind == "Group" and additions:
            row = await self.store.read(lambda tx: self._any(tx, own))
            if row is None or row.deleted or row.generation == waited:
                return
            waited = row.generation
            await self._settled(own, waited, deadline)
            late = await self.store.read(lambda tx: self._members_on_their_way(tx, own))
            for resource_id in sorted(additions.keys() & late.keys()):
                await self._settled(resource_id, late[resource_id], deadline, of=own, joins=True)

    def _members_on_their_way(self, tx: Connection, group_id: str) -> dict[str, int]:
        """Return the generation of each person that a group just created is being given to."""
        to_add, _ = memberships.unsettled_of_group(tx, self.connection_id, group_id)
        found = (resources.get(tx, self.connection_id, "User", user_id) for user_id in to_add)
        return {user.id: user.generation for user in found if user is not None and user.state is not State.SETTLED}

    async def _settled(
        self,
        resource_id: str,
        generation: int,
        deadline: float,
        *,
        of: str | None = None,
        joins: bool = False,
        removes: bool = True,
    ) -> None:
        """Wait until a generation is confirmed.

        :param removes: Whether the write takes something away. Of a group that it does not take anybody out of, it is
            enough that nothing else differs but members who were to leave before and cannot.
        :param of: The group that the write was about, when this is one of its people: then a refusal says whom, and
            only what keeps them in the group, or out of it, is one.
        :param joins: Whether they are to be in the group.
        :raises RefusedError: When it was refused.
        :raises PendingError: When it is not confirmed by the deadline, or will not be.
        """
        loop = asyncio.get_running_loop()
        while True:
            event = self.driver.watch(resource_id)
            row, observes = await self.store.read(
                lambda tx: (self._any(tx, resource_id), observing.current(tx, self.connection_id))
            )
            if row is None:
                return
            only_leaving = partial(only_leaving_is_refused, row=row, capabilities=self.capabilities)
            if row.refusal is not None and not removes and await self.store.read(only_leaving):
                return
            if row.refusal is not None and row.generation >= generation:
                if of is not None and await self.store.read(partial(is_as_asked, row=row, group_id=of, joins=joins)):
                    return
                whom = "" if of is None or of == row.id else f"{row.name}: "
                detail = f"{whom}{row.refusal.detail}"
                raise RefusedError(detail, status=row.refusal.status, scim_type=row.refusal.scim_type)
            if row.observed_generation >= generation:
                return
            if observes is not None and not self.driver.busy():
                raise self._observing(observes)  # it was found out, or began, while this waited
            left = deadline - loop.time()
            if row.state is State.HELD:
                self.logger.error("mass-change guard: %s %s is held; approve or reject it", row.kind, row.id)
                raise PendingError(HELD, retry_after=self.policy.outage_retry_after)
            if left <= 0 or self._is_hopeless(row, left):
                raise self._pending(resource_id)
            await happened(event, min(left, POLL))

    def _any(self, tx: Connection, resource_id: str) -> ResourceRow | None:
        """Return a User or a Group by id, deleted ones included."""
        return resources.get(tx, self.connection_id, "User", resource_id, deleted=True) or resources.get(
            tx, self.connection_id, "Group", resource_id, deleted=True
        )

    def _is_hopeless(self, row: ResourceRow, left: float) -> bool:
        """Whether the next attempt comes after the budget: then the client is better told now."""
        return row.not_before is not None and (row.not_before - self.clock()).total_seconds() > left

    def _observing(self, observes: observing.Observing) -> PendingError:
        """Return the 429 of a connection that sends nothing."""
        detail = OTHER_REMOTE if observes.reason == "remote" else OBSERVES
        return PendingError(detail, retry_after=self.policy.outage_retry_after)

    def _pending(self, resource_id: str) -> PendingError:
        """Return the 429 whose Retry-After fits the reason; Okta reads whole seconds only."""
        error = self.driver.failure(resource_id)
        if isinstance(error, RemoteRateLimitedError):
            seconds = max(RATE_LIMIT_RETRY_AFTER, math.ceil(error.retry_after or 0))
        elif isinstance(error, RemoteCredentialsError):
            seconds = CREDENTIALS_RETRY_AFTER
        elif isinstance(error, RemoteUnavailableError) and not error.ambiguous:
            seconds = self.policy.outage_retry_after
        else:
            seconds = min(AMBIGUOUS_RETRY_AFTER, self.policy.outage_retry_after)
        return PendingError(PENDING, retry_after=seconds)

    async def _read(self, row: ResourceRow) -> ResourceRow | None:
        return await self.store.read(lambda tx: resources.get(tx, self.connection_id, row.kind, row.id))


def _answered(tx: Connection, row: ResourceRow) -> None:
    """Note that the client was told of a creation."""
    fresh = resources.get(tx, row.connection_id, row.kind, row.id, lock=True)
    if fresh is not None:
        resources.replace(tx, replace(fresh, answered=True))
