"""The driver of a connection: brings the remote system to what is desired, one resource at a time per key.

There is no queue beside the store: the driver reads the most urgent pending rows, works on each until nothing
differs, and records every step. So a crash, an outage, a rate limit and a retry are one case: desired differs from
observed, go on.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from datetime import datetime
from math import inf
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.connector import call_deadline, correlation_id
from scim_bridge.errors import (
    ConnectorError,
    LostLeadershipError,
    RemoteCredentialsError,
    RemoteNotFoundError,
    RemoteSuspendedError,
    RemoteUnavailableError,
    StoreUnavailableError,
    without_text,
)
from scim_bridge.models import Kind, Lane
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.guard_watch import GuardWatch
from scim_bridge.provisioning.identification import Identification
from scim_bridge.provisioning.journal import actor
from scim_bridge.provisioning.places import Places
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.policy import ProvisioningPolicy
from scim_bridge.provisioning.recorder import Recorder
from scim_bridge.provisioning.refusals import Refusals
from scim_bridge.provisioning.situation import Situation
from scim_bridge.provisioning.steps import Attempts, Steps
from scim_bridge.provisioning.waiting import Suspension, delay_of, happened
from scim_bridge.store import audit, notifications, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership, leads, owns
from scim_bridge.store.rows import PendingKey
from scim_bridge.store.transaction import Transaction
from scim_bridge.upstream.lanes import lane as current_lane
from scim_bridge.upstream.lanes import permission

T = TypeVar("T")

STORE_BACKOFF = 1.0
ON_THE_WIRE = 1.0
"""Seconds for which a call of a process that died, or leads no longer, may still take effect: asked earlier, the remote
system would show what is about to change."""

IDLE_POLL = 5.0
"""Seconds after which the driver looks for work without having been woken."""

ENDLESS = 12
"""Steps in one drive, portions of members not counted, after which a connector is taken not to converge."""


class Driver:
    """Drives one connection.

    :param identification: Asked before anything is sent whether the remote system is the right one.
    :param clock: Tells the time in UTC, as the store's rows have it.
    :param jitter: Returns a number in [0, 1), for back-off.
    :param guard: Whose held changes are looked after.
    :param leadership: Asked before every call whether this process still leads the connection; ``None``: it always
        does.
    """

    def __init__(
        self,
        connection_id: str,
        store: Store,
        connector: BoundConnector,
        recorder: Recorder,
        policy: ProvisioningPolicy,
        *,
        identification: Identification,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
        guard: Guard | None = None,
        leadership: Leadership | None = None,
    ) -> None:
        self.connection_id = connection_id
        self.store = store
        self.steps = Steps(connector)
        self.recorder = recorder
        self.policy = policy
        self.identification = identification
        self.clock = clock
        self.jitter = jitter
        self.logger = logging.getLogger(f"scim_bridge.driver.{connection_id}")
        self._guard_watch = None if guard is None else GuardWatch(guard, store, self.logger, clock)
        self._leadership = leadership
        self.observes = False
        """Whether the connection was last seen to observe: nothing is sent."""
        self.failures: dict[str, ConnectorError] = {}
        """The last transient failure by resource id, for the answer to who waits."""
        self._requests: dict[str, str] = {}  # whose work it is, by resource id, until it is done
        self.places = Places(policy.concurrency)
        self._context = copy_context()
        keep = policy.unmanaged_members == "keep"
        self._attempts = Attempts(self.steps, recorder, record=self._record, refuse=self._refuse, keep_unmanaged=keep)
        self._refusals = Refusals(self.logger, clock)
        self._wake, self._worked = asyncio.Event(), asyncio.Event()
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._stopping, self._suspension = True, Suspension()
        self._began = -inf
        self.turned_at: float | None = None  # the loop's time at which it last looked for work, while it does
        self._removal_failed = False  # whether the latest call that failed was a removal's

    # -- The loop --------------------------------------------------------------------------------------------------

    def run(self) -> Coroutine[Any, Any, None]:
        """Work until :meth:`stop`, be it called before the first step; what is pending is simply the first work."""
        self._stopping = False
        return self._run()

    async def _run(self) -> None:
        self._began = asyncio.get_running_loop().time()
        while not self._stopping:
            self.turned_at = asyncio.get_running_loop().time()
            self._wake.clear()
            try:
                delay = await self._dispatch()
                await self._look_after_held()
            except StoreUnavailableError:  # the store tells it, once
                delay = STORE_BACKOFF
            except Exception as error:  # to end here would leave everything undone, and nobody would take over
                self.logger.exception("looking for work failed; trying again", exc_info=without_text(error))
                delay = STORE_BACKOFF
            await happened(self._wake, delay)

    async def stop(self) -> None:
        """Take no new work and let the calls under way end; what is left stays pending in the store."""
        self._stopping, self.turned_at = True, None
        self._wake.set()
        if self.places.running:
            await asyncio.wait([task for task, _ in self.places.running.values()])

    def abandon(self) -> None:
        """Drop the calls under way, as a crash does; the next start finds their resources pending."""
        for task, _ in self.places.running.values():
            task.cancel()

    def wake(self) -> None:
        """Tell the driver that there may be work."""
        self._wake.set()

    def expect(self, resource_ids: Iterable[str]) -> None:
        """Note before the commit whose request writes these, for the log: the driver may take them up at once."""
        request = correlation_id.get()
        if request is not None and leads(self._leadership, self.connection_id):
            self._requests |= dict.fromkeys(resource_ids, request)

    # -- What was just written -------------------------------------------------------------------------------------

    def claim(self, resource_id: str) -> bool:
        """Keep a place for a resource that is about to be written, if it would be its turn at once; to be released.

        Its first call is noted in the transaction of the write then (:meth:`load`), instead of in one of its own.
        """
        if self._stopping or self.observes or self._suspension.error is not None:
            return False
        return leads(self._leadership, self.connection_id) and self.places.claim(resource_id)

    def load(self, tx: Transaction, kind: Kind, resource_id: str) -> Situation | None:
        """Note in the transaction of a write that a call about a claimed resource is to be sent; ``None``: none is."""
        leadership = self._leadership
        if leadership is not None and not owns(tx, self.connection_id, leadership.term):
            return None
        actor.set("bridge")  # from here on, in the context of this transaction
        return self.recorder.load(tx, kind, resource_id)

    def begin(self, situation: Situation) -> asyncio.Event:
        """Drive a claimed resource that was loaded; return an event that is set when that has ended."""
        row = situation.row
        event = self.watch(row.id)
        self._start(PendingKey(row.id, row.kind, row.lane, row.generation, None), situation)
        return event

    def release(self, resource_id: str) -> None:
        """Give up a claim; what was not begun is taken up as any other work."""
        self.places.claimed.discard(resource_id)
        if not self.places.has(resource_id):
            self._wake.set()

    def _start(self, key: PendingKey, situation: Situation | None = None) -> None:
        context = self._context.copy()  # what a request has set in its own is not the driver's
        task = asyncio.create_task(self._work(key, situation), name=f"drive {key.kind} {key.id}", context=context)
        self.places.running[key.id] = (task, key.lane)

    async def idle(self) -> None:
        """Wait until nothing is due; what waits for a later attempt is not waited for."""
        while self.busy() or (self._suspension.left() <= 0 and await self.store.read(self._has_due)):
            self.wake()
            await happened(self._worked, 0.1)

    def _has_due(self, tx: Transaction) -> bool:
        if observing.current(tx, self.connection_id) is not None:
            return False
        return bool(resources.pending(tx, self.connection_id, now=self.clock(), limit=1))

    def busy(self) -> bool:
        """Whether a resource is being worked on."""
        return bool(self.places.running)

    def watch(self, resource_id: str) -> asyncio.Event:
        """Return an event that is set when work on a resource ends; take it before looking at the row."""
        return self._changed.setdefault(resource_id, asyncio.Event())

    async def _look_after_held(self) -> None:
        """Look after what is held, and forget the refused; what is held while nothing is sent waits for an operator."""
        if self._guard_watch is not None and not self.observes and self._guard_watch.is_due():
            await self.store.write(self.recorder.forget_refused)
            await self._guard_watch.look()

    async def _dispatch(self) -> float:
        """Start what may be started now, and return after how many seconds to look again."""
        places = self.places
        if (left := self._suspension.left()) > 0:
            places.recovered = True  # nothing can be tried
            return min(IDLE_POLL, left)
        now, running = self.clock(), places.taken

        def look(tx: Transaction) -> tuple[list[PendingKey], datetime | None, bool]:
            due: list[PendingKey] = []
            if observing.current(tx, self.connection_id) is not None:
                return due, None, True
            if len(running) < places.most:
                due = resources.pending(tx, self.connection_id, now=now, limit=places.most, exclude=running)
            return due, resources.next_due(tx, self.connection_id, now=now), False

        keys, later, observes = await self.store.read(look)
        if observes != self.observes:
            self.observes = observes
            self.logger.warning("the connection observes, nothing is sent" if observes else "the connection is live")
        if not places.removing and not any(key.lane is Lane.REMOVE for key in keys):
            places.recovered = True
        suspended = self._suspension.error is not None
        if suspended and self._removal_failed:  # what is tried next is something else, if there is
            keys = [key for key in keys if key.lane is not Lane.REMOVE] or keys
        waiting = [key for key in keys if not places.has(key.id)]  # claimed while it was looked
        for key in waiting:
            if places.is_free(key.lane, suspended=suspended):
                self._start(key)
        places.queued = len(running) >= places.most or not all(places.has(key.id) for key in waiting)
        return IDLE_POLL if later is None else min(IDLE_POLL, max(0.0, (later - now).total_seconds()) + 0.001)

    async def _work(self, key: PendingKey, situation: Situation | None) -> None:
        """Drive one resource, whatever happens, and make room again."""
        current_lane.set(key.lane)
        correlation_id.set(self._requests.get(key.id, key.request_id))
        actor.set("bridge")
        permission.set(self._permit)
        try:
            await self._drive(key.kind, key.id, situation)
        except LostLeadershipError:
            self.logger.warning("another process leads this connection; %s %s is left to it", key.kind, key.id)
            await asyncio.sleep(STORE_BACKOFF)
        except StoreUnavailableError:
            # What upstream confirmed could not be recorded: the row is still pending, the next drive asks first.
            self.logger.info("the store is unavailable; %s %s stays pending", key.kind, key.id)
            await asyncio.sleep(STORE_BACKOFF)
        except Exception as error:
            self.logger.exception("driving %s %s failed", key.kind, key.id, exc_info=without_text(error))
            await asyncio.sleep(STORE_BACKOFF)
        finally:
            self.places.running.pop(key.id, None)
            if key.id not in self.failures:
                self._requests.pop(key.id, None)
            self._refusals.end(key.id)
            if self._suspension.left() <= 0 and key.id not in self.failures:
                self._suspension.error = None
            self.announce(key.id)
            self._wake.set()
            self._worked.set()
            self._worked.clear()

    def announce(self, resource_id: str) -> None:
        """Wake who waits for a resource."""
        event = self._changed.pop(resource_id, None)
        if event is not None:
            event.set()

    # -- One resource ----------------------------------------------------------------------------------------------

    async def _drive(self, kind: Kind, resource_id: str, situation: Situation | None) -> None:
        """Take steps, from where it was loaded if it was, until nothing differs, or a failure postpones the rest."""
        if situation is None:
            situation = await self._record(resource_id, lambda tx: self.recorder.load(tx, kind, resource_id))
        self.failures.pop(resource_id, None)
        if situation is not None and situation.row.ambiguous:
            await asyncio.sleep(self._began + ON_THE_WIRE - asyncio.get_running_loop().time())
        last: tuple[object, ...] | None = None
        taken = 0
        while situation is not None and not self._stopping:
            correlation_id.set(self._requests.get(resource_id, correlation_id.get()))  # somebody else's, meanwhile
            this = (situation.step, situation.row.generation, situation.desired.links, situation.seen.links)
            # A long list of members goes portion by portion, each another one, for as long as that takes.
            taken += situation.probe or not situation.portion
            if taken > ENDLESS or (this == last and not situation.probe):
                error = RemoteUnavailableError("the remote system took the change but does not show it", ambiguous=True)
                await self._postpone(situation, error)
                return
            last = None if situation.probe else this
            situation = await self._take(situation)

    async def _take(self, situation: Situation) -> Situation | None:
        """Probe or take one step, record what came of it and return what comes next."""
        step, key = situation.step, situation.row.id
        await self._permit()
        if self._leadership is not None and self._leadership.ends < inf:
            call_deadline.set(self._leadership.ends)
        try:
            if not await self.identification.confirmed():
                return None  # the connection is held now: what is pending stays so
            if situation.probe:
                seen = await self.steps.probe(situation)
                return await self._record(key, lambda tx: self.recorder.seen(tx, situation, seen))
            return None if step is None else await self._attempts.take(situation, step)
        except RemoteNotFoundError as error:
            return await self._not_found(situation, error)
        except ConnectorError as error:
            transient = isinstance(error, RemoteUnavailableError | RemoteCredentialsError)
            if transient or situation.probe:  # a question that is refused leaves the doubt
                await self._postpone(situation, error)
                return None
            return await self._refuse(situation, error)

    async def _not_found(self, situation: Situation, error: RemoteNotFoundError) -> Situation | None:
        """On a removal, absent is success; on anything else it is what was observed, unless the call had written."""
        step, key = situation.step, situation.row.id
        if step in {Step.DELETE_USER, Step.DEACTIVATE_USER, Step.DELETE_GROUP}:
            return await self._record(key, lambda tx: self.recorder.done(tx, situation, step, None, absent=True))
        # A group that is gone is gone for everybody: that is asked for, not concluded from one answer.
        ambiguous = error.ambiguous or situation.row.kind == "Group"
        return await self._record(key, lambda tx: self.recorder.gone(tx, situation, ambiguous=ambiguous))

    async def _permit(self) -> None:
        """Make sure that this process still leads the connection; asked before every hook and every HTTP call.

        :raises LostLeadershipError: When it does not, or cannot tell.
        """
        leadership = self._leadership
        if leadership is not None and not (await leadership.check() and self.connection_id in leadership.led):
            raise LostLeadershipError

    async def _record(self, resource_id: str, work: Callable[[Transaction], T]) -> T:
        """Run a transaction that records something, unless another process leads by now; wake who waits elsewhere.

        :raises LostLeadershipError: When another process leads; nothing was recorded.
        """
        leadership = self._leadership
        term = "" if leadership is None else leadership.term

        def owned(tx: Transaction) -> T:
            audit.serialise(tx, self.connection_id)
            if leadership is not None and not owns(tx, self.connection_id, term):
                raise LostLeadershipError
            result = work(tx)
            notifications.announce(tx, self.connection_id, resource_id)
            return result

        return await self.store.write(owned)

    # -- Failures --------------------------------------------------------------------------------------------------

    def failure(self, resource_id: str) -> ConnectorError | None:
        """Return why a resource is not done yet, if anything failed."""
        return self.failures.get(resource_id, self._suspension.error)

    async def _postpone(self, situation: Situation, error: ConnectorError) -> None:
        if isinstance(error, RemoteSuspendedError):
            self._suspension.begin(error)
        else:
            self._removal_failed = current_lane.get() is Lane.REMOVE
        ambiguous = error.ambiguous and not situation.probe
        delay = delay_of(error, situation.row.attempt, self.jitter)
        level = self._refusals.level(situation, error)
        step = "probe" if situation.probe else str(situation.step)
        row, name = situation.row, type(error).__name__ + (f" ({error.detail})" if error.alarms else "")
        self.logger.log(level, "%s of %s %s failed: %s; next attempt in %.1f s", step, row.kind, row.id, name, delay)
        self.failures[row.id] = error
        postpone = self.recorder.postpone
        await self._record(row.id, lambda tx: postpone(tx, situation, error, ambiguous=ambiguous, delay=delay))

    async def _refuse(self, situation: Situation, error: ConnectorError) -> Situation | None:
        told = self._refusals.judge(situation, error)
        key, refuse = situation.row.id, self.recorder.refuse
        return await self._record(key, lambda tx: refuse(tx, situation, error, audited=told))
