"""Defects planted for the fault histories; P-numbers are those of the reference.

``python -m tests.faults.histories --defect <name>`` shows one by one command.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from scim_bridge.errors import RemoteNotFoundError
from scim_bridge.models import Remote
from scim_bridge.provisioning import driver
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.recorder import Recorder
from scim_bridge.provisioning.situation import Situation
from scim_bridge.provisioning.steps import Steps
from scim_bridge.provisioning.users import UserIntake
from scim_bridge.server.application import Server
from scim_bridge.store import resources
from scim_bridge.store.rows import Ownership, State
from scim_bridge.upstream.limiter import RateLimiter
from scim_bridge_hubspot.accounts import Accounts
from tests.faults.defects import Defects, acknowledge_before_commit, listed_in, plant
from tests.faults.simulation.loop import PROCESS

DEFECTS: Defects = {"acknowledge_before_commit": acknowledge_before_commit}
"""Each defect by its name; calling it plants it in this process."""

defect = listed_in(DEFECTS)


@defect
def inactive_before_upstream() -> None:
    """P2: a deactivation is noted as observed when it is accepted."""
    original = UserIntake._changed

    def changed(self: UserIntake, tx: Any, row: Any, user: Any) -> Any:
        accepted = original(self, tx, row, user)
        if accepted.row.active or accepted.row.observed is None:
            return accepted
        noted = replace(accepted.row, observed=replace(accepted.row.observed, active=False, present=False))
        noted = replace(noted, observed_generation=noted.generation, state=State.SETTLED)
        resources.save(tx, noted)
        return replace(accepted, row=noted, waits={}, removals=frozenset())

    plant(UserIntake, "_changed", changed)


@defect
def no_probe_before_retry() -> None:
    """P3: a creation that was not answered is sent again without a look."""
    original = Recorder._go_on

    def go_on(self: Recorder, tx: Any, row: Any) -> Any:
        situation = original(self, tx, row)
        if situation is None or not situation.probe or situation.row.observed is None:
            return situation
        return Situation(
            row=situation.row, desired=situation.desired, seen=situation.seen, probe=False, step=situation.step
        )

    async def find(self: Accounts, user_name: str, *, as_written: bool = False) -> None:
        return None

    plant(Recorder, "_go_on", go_on)
    plant(Accounts, "find", find)


@defect
def not_found_is_success() -> None:
    """P5: 404 on a change of an account counts as if it had been made."""
    original = Steps.take

    async def call(self: Steps, situation: Any, step: Step) -> Any:
        try:
            return await original(self, situation, step)
        except RemoteNotFoundError:
            if step not in {Step.UPDATE_USER, Step.SET_USER_GROUPS}:
                raise
            return Remote(situation.row.remote_id, situation.user())

    plant(Steps, "take", call)


@defect
def ignore_retry_after() -> None:
    """P6: the remote system's Retry-After is not heeded."""
    plant(RateLimiter, "pause", lambda _self, _seconds: None)


@defect
def no_generation_check() -> None:
    """P10: what a call came to is written over whatever was desired meanwhile."""

    def fresh(_self: Recorder, _tx: Any, situation: Situation) -> Any:
        return situation.row

    plant(Recorder, "_fresh", fresh)


@defect
def cancellation_aborts_the_drive() -> None:
    """P11: a client that goes away takes the work along, and nobody takes it up again."""
    original = Server._finished
    drives: dict[Any, set[Driver]] = {}
    begin = Driver.run

    async def run(self: Driver) -> None:
        drives.setdefault(PROCESS.get(), set()).add(self)
        await begin(self)

    async def finished(self: Server, work: Any) -> Any:
        try:
            return await original(self, work)
        except asyncio.CancelledError:
            for one in drives.get(PROCESS.get(), ()):
                for id_, (task, lane) in list(one.places.running.items()):
                    task.cancel()
                    one.places.running[f"{id_} "] = (task, lane)
                    plant(one, "_stuck", {*getattr(one, "_stuck", ()), id_})
            raise

    dispatch = resources.pending

    def pending(tx: Any, connection_id: str, **rest: Any) -> list[Any]:
        stuck = {id_ for one in drives.get(PROCESS.get(), ()) for id_ in getattr(one, "_stuck", ())}
        return [key for key in dispatch(tx, connection_id, **rest) if key.id not in stuck]

    plant(Driver, "run", run)
    plant(Server, "_finished", finished)
    vars(driver)["resources"] = SimpleNamespace(**{**vars(resources), "pending": pending})


@defect
def no_recovery() -> None:
    """P12: what was pending when the process started is left alone."""
    left: dict[Any, dict[str, int]] = {}

    def pending(tx: Any, connection_id: str, *, now: Any, limit: int, **rest: Any) -> list[Any]:
        process = PROCESS.get()
        if process not in left:
            every = resources.pending(tx, connection_id, now=now + timedelta(days=1), limit=1000)
            left[process] = {key.id: key.generation for key in every}
        found = resources.pending(tx, connection_id, now=now, limit=limit + len(left[process]), **rest)
        return [key for key in found if left[process].get(key.id) != key.generation]

    vars(driver)["resources"] = SimpleNamespace(**{**vars(resources), "pending": pending})


@defect
def removal_gives_up() -> None:
    """Ours: a removal that failed three times counts as done."""
    original = Recorder.postpone

    def postpone(self: Recorder, tx: Any, situation: Situation, error: Any, **rest: Any) -> None:
        if situation.is_removal and situation.row.attempt >= 2 and situation.step is not None:
            self.done(tx, situation, situation.step, None)
        else:
            original(self, tx, situation, error, **rest)

    plant(Recorder, "postpone", postpone)


@defect
def guard_asleep() -> None:
    """Ours: the whole membership is written for whoever is found in HubSpot, owned by a client or not."""
    from scim_bridge.provisioning.reconcile import Reconciler

    original = Reconciler._compare

    async def compare(self: Reconciler, kind: Any, remote: Any, read_at: Any, comparison: Any, *, apply: bool) -> None:
        await original(self, kind, remote, read_at, comparison, apply=apply)
        row = await self.store.read(lambda tx: self.discovery.known(tx, kind, remote))
        if kind == "User" and row is not None and row.ownership is Ownership.DISCOVERED and apply:
            claimed = replace(
                row,
                ownership=Ownership.ADOPTED,
                active=False,
                generation=row.generation + 1,
                state=State.PENDING,
            )
            await self.store.write(lambda tx: resources.save(tx, claimed))
            self.wake()

    plant(Reconciler, "_compare", compare)
