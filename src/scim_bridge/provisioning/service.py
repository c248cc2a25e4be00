"""What the server calls: a write becomes desired state, the driver makes it true, the answer says which it is."""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import (
    PendingError,
    RefusedError,
    RemoteCredentialsError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.models import Group, User
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.answers import is_as_asked, only_leaving_is_refused, together
from scim_bridge.provisioning.discovery import Discovery
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.groups import Change, GroupIntake
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.identifiers import new_id as mint
from scim_bridge.provisioning.intake import Accepted, Check, Intake
from scim_bridge.provisioning.policy import ProvisioningPolicy
from scim_bridge.provisioning.recorder import Recorder
from scim_bridge.provisioning.roles import RoleIntake
from scim_bridge.provisioning.search import Search
from scim_bridge.provisioning.situation import Capabilities, Situation
from scim_bridge.provisioning.users import UserIntake
from scim_bridge.provisioning.waiting import happened
from scim_bridge.store import audit, memberships, notifications, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership
from scim_bridge.store.rows import NOT_ASKING, Asking, MemberDelta, ResourceRow, State
from scim_bridge.store.transaction import Transaction

POLL = 5.0
"""Seconds between looks at a row that another replica may settle: a notification is only a wake-up."""

AMBIGUOUS_RETRY_AFTER = 15
CREDENTIALS_RETRY_AFTER = 120
RATE_LIMIT_RETRY_AFTER = 5

HELD = "accepted, and held: too many removals or privileged grants at once; an operator has to approve"
OBSERVES = "accepted; the bridge only observes until its operator lets it go live"
OTHER_REMOTE = (
    "accepted, and held: the remote system is not the one it was, or not this connection's alone; see the log"
)
now = partial(datetime.now, UTC)

PENDING = "accepted; pending upstream; retry to observe"

Events = Mapping[str, asyncio.Event]
"""By the id of a resource, what tells that work on it has ended."""

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
        self.policy, self.clock = policy, clock
        intake = Intake(connection_id, capabilities, policy, new_id=new_id, clock=clock)
        self.groups, self.guard = GroupIntake(intake), intake.guard
        self.recorder = Recorder(connection_id, capabilities, new_id=new_id, clock=clock)
        self.discovery = Discovery(
            connection_id, capabilities, self.guard, new_id=new_id, clock=clock, forgotten=self.recorder.forgotten
        )
        self.users = UserIntake(intake, RoleIntake.of(intake, self.groups, self.discovery.group_of))
        self.leadership = leadership
        self.identification = Identification(
            connection_id, store, connector, clock=clock, apart=policy.apart, leadership=leadership
        )
        self.search = Search(store, connector, self.discovery, self.identification, leadership)
        self.driver = Driver(
            connection_id,
            store,
            connector,
            self.recorder,
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
        new_id = self.users.intake.new_id()
        create = partial(self.users.create, user=user, new_id=new_id)
        return await self.search.with_roles(create, lambda work: self._created(work, about=new_id))

    async def modify_user(
        self,
        user_id: str,
        change: Callable[[User], User | None],
        check: Check,
        asking: Asking = NOT_ASKING,
    ) -> Outcome:
        """Replace or modify a User (RFC 7644 §3.5).

        :param change: Runs inside the store's transaction; returns the new state, or ``None`` when nothing changes.
        :param check: Evaluates the request's conditions against the entity tag.
        :param asking: How it asks for roles.
        """
        modify = partial(self.users.modify, user_id=user_id, change=change, check=check, asking=asking)
        return await self.search.with_roles(modify, lambda work: self._write(work, about=user_id))

    async def delete_user(self, user_id: str, check: Check) -> None:
        """Delete a User (RFC 7644 §3.6); returns when the remote system agrees."""
        await self._write(lambda tx: self.users.delete(tx, user_id, check), about=user_id)

    async def find_user(self, user_name: str) -> None:
        """Ask the remote system once for a userName that the store does not know (:class:`.Search`)."""
        await self.search.find_user(user_name)

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
        members = {member for delta in deltas for member in delta.ids}
        about = members.pop() if self.capabilities.user_centric and len(members) == 1 else None
        return await self._write(lambda tx: self.groups.modify(tx, group_id, change, deltas, check), about=about)

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

    async def _created(self, work: Callable[[Transaction], Accepted], *, about: str | None = None) -> Outcome:
        """Run a creation, and note that the client is about to be told of it.

        Where that note is lost, a repetition is answered as if it were the first.
        """
        outcome = await self._write(work, creates=True, about=about)
        if not outcome.row.answered:
            await self.store.write_later(lambda tx: resources.note_answered(tx, self.connection_id, outcome.row.id))
        return outcome

    async def _write(
        self, work: Callable[[Transaction], Accepted], *, creates: bool = False, about: str | None = None
    ) -> Outcome:
        """Commit desired state, wait for the remote system within the budget and return how the resource is now.

        :param creates: Whether what is written has to be there afterwards.
        :param about: The User for whom most likely a call follows: if the driver has a place free, that call is noted
            in the same transaction.
        """
        deadline = answer_by.get() or asyncio.get_running_loop().time() + self.policy.budget
        accepted, observes, begun = await self._committed(work, about)
        if accepted.warnings:  # without what the client sent as an id: it can be an address
            self.logger.warning("%s %s: %d were left out", accepted.row.kind, accepted.row.id, len(accepted.warnings))
        if accepted.nested:
            self.logger.warning(
                "Group %s: %d groups were left out of its members: nobody gets it through them",
                accepted.row.id,
                accepted.nested,
            )
        if accepted.stayed:
            self.logger.info("Group %s: %d members whom no client manages stay in it", accepted.row.id, accepted.stayed)
        if observes and not observes.plans:  # also what changes nothing: what the store says may be old
            raise self._observing(observes)
        row: ResourceRow | None = None
        if observes is None and (accepted.waits or accepted.then_members):
            if accepted.waits.keys() - begun.keys() or accepted.then_members:
                self.driver.wake()
            row = await self._confirmed(accepted, deadline, begun, creates=creates)
        row = row or await self._any(accepted.row.id)
        if row is None and creates:
            raise self._pending(accepted.row.id)  # refused, and forgotten for a later refusal before it was told
        shown = accepted.row if row is None or row.deleted else row
        return Outcome(shown, not accepted.repeated, accepted.warnings)

    async def _committed(
        self, work: Callable[[Transaction], Accepted], about: str | None
    ) -> tuple[Accepted, observing.Observing | None, Events]:
        """Commit desired state; return as well whose call was begun, and what tells that it has ended."""
        claimed = about if about is not None and self.driver.claim(about) else None

        def noted(tx: Transaction) -> tuple[Accepted, observing.Observing | None, Situation | None]:
            audit.serialise(tx, self.connection_id)
            accepted = work(tx)
            self.driver.expect(accepted.waits)
            notifications.wake(tx, self.connection_id)
            situation = self.driver.load(tx, "User", claimed) if claimed in accepted.waits else None
            # Who is to be called about was asked for already.
            observes = observing.current(tx, self.connection_id) if situation is None else None
            return accepted, observes, situation

        try:
            accepted, observes, situation = await self.store.write(noted)
            begun = {} if situation is None else {situation.row.id: self.driver.begin(situation)}
        finally:
            if claimed is not None:
                self.driver.release(claimed)
        return accepted, observes, begun

    async def _confirmed(
        self, accepted: Accepted, deadline: float, begun: Events, *, creates: bool
    ) -> ResourceRow | None:
        """Wait for removals, then for the resource itself, then for additions unless they are too many to wait for.

        Returns the resource as it is now, if it was the last that was waited for.
        """
        own = accepted.row.id
        refused = []
        for resource_id in sorted(accepted.removals - {own}):
            try:
                event = begun.get(resource_id)
                await self._settled(resource_id, accepted.waits[resource_id], deadline, of=own, ended=event)
            except RefusedError as error:  # whoever cannot be changed holds up nobody else: the others are waited for
                refused.append(error)
        if refused:
            raise together(refused)
        row: ResourceRow | None = None
        if own in accepted.waits:
            # A creation asks for the account: that it has sets by hand which it cannot be rid of is no refusal of it.
            about_groups = accepted.row.kind == "User" and not (creates and self.users.roles is None)
            removes = own in accepted.removals or about_groups
            row = await self._settled(own, accepted.waits[own], deadline, removes=removes, ended=begun.get(own))
        additions = {one: generation for one, generation in accepted.waits.items() if one not in accepted.removals}
        if accepted.then_members and not accepted.row.deleted:
            additions |= await self._members_on_their_way(own)
        additions.pop(own, None)
        if not additions:
            return row
        if len(additions) <= self.policy.deferrable_additions:
            for resource_id, generation in additions.items():
                event = begun.get(resource_id)
                await self._settled(resource_id, generation, deadline, of=own, joins=True, ended=event)
            await self._made_anew(accepted, additions, deadline)
        return None

    async def _made_anew(self, accepted: Accepted, additions: Mapping[str, int], deadline: float) -> None:
        """Wait for a group that was found lost when it was granted, and then for those who were to get it."""
        own, waited = accepted.row.id, accepted.row.generation
        while accepted.row.kind == "Group":
            row = await self._any(own)
            if row is None or row.deleted or row.generation == waited:
                return
            waited = row.generation
            await self._settled(own, waited, deadline)
            late = await self._members_on_their_way(own)
            for resource_id in sorted(additions.keys() & late.keys()):
                await self._settled(resource_id, late[resource_id], deadline, of=own, joins=True)

    async def _members_on_their_way(self, group_id: str) -> dict[str, int]:
        """Return the generation of each person that a group just created is being given to."""
        return await self.store.read(lambda tx: memberships.on_their_way(tx, self.connection_id, group_id))

    async def _settled(
        self,
        resource_id: str,
        generation: int,
        deadline: float,
        *,
        of: str | None = None,
        joins: bool = False,
        removes: bool = True,
        ended: asyncio.Event | None = None,
    ) -> ResourceRow | None:
        """Wait until a generation is confirmed, and return the resource as it is then; ``None`` when it is gone.

        :param removes: Whether the write takes something away, or may be about somebody's groups. Otherwise it is
            enough that nothing else differs but memberships that were to end before and cannot.
        :param of: The group that the write was about, when this is one of its people: then a refusal says whom, and
            only what keeps them in the group, or out of it, is one.
        :param joins: Whether they are to be in the group.
        :param ended: What tells that a call just begun has ended: nothing is to be seen before.
        :raises RefusedError: When it was refused.
        :raises PendingError: When it is not confirmed by the deadline, or will not be.
        """
        loop = asyncio.get_running_loop()
        if ended is not None:
            await happened(ended, min(deadline - loop.time(), POLL))
        while True:
            event = self.driver.watch(resource_id)
            row = await self._any(resource_id)
            if row is None:
                return None
            only_leaving = partial(only_leaving_is_refused, row=row, capabilities=self.capabilities)
            if row.refusal is not None and not removes and await self.store.read(only_leaving):
                return row
            if row.refusal is not None and row.generation >= generation:
                if of is not None and await self.store.read(partial(is_as_asked, row=row, group_id=of, joins=joins)):
                    return row
                whom = "" if of is None or of == row.id else f"{row.name}: "
                detail = f"{whom}{row.refusal.detail}"
                raise RefusedError(detail, status=row.refusal.status, scim_type=row.refusal.scim_type)
            if row.observed_generation >= generation:
                return row
            observes = await self.store.read(lambda tx: observing.current(tx, self.connection_id))
            if observes is not None and not self.driver.busy():
                raise self._observing(observes)  # it was found out, or began, while this waited
            left = deadline - loop.time()
            if row.state is State.HELD:
                self.logger.error("mass-change guard: %s %s is held; approve or reject it", row.kind, row.id)
                raise PendingError(HELD, retry_after=self.policy.outage_retry_after)
            if left <= 0 or self._is_hopeless(row, left):
                raise self._pending(resource_id)
            await happened(event, min(left, POLL))

    async def _any(self, resource_id: str) -> ResourceRow | None:
        """Return a User or a Group by id, deleted ones included."""
        return resources.any_of(await self.store.ask(resources.ANY, resources.any_key(self.connection_id, resource_id)))

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
