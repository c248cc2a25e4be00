"""Planted defects: changes to the product, made in a process of its own, that an instrument has to find.

``python -m tests.faults.<instrument> --defect <name>`` shows it by one command. P-numbers are those of the reference.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from scim_bridge.provisioning import driver, identification
from scim_bridge.provisioning.driver import Driver
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.reversal import Reversal
from scim_bridge.provisioning.service import Outcome, Provisioning
from scim_bridge.store import comparison, resources, sources, sqlite, writer
from scim_bridge_hubspot import authentication, connector, holding
from scim_bridge_hubspot.deprovision import ScimDeactivation

Defects = dict[str, Callable[[], None]]
DEFECTS: Defects = {}
"""Each defect by its name; calling it plants it in this process."""


def listed_in(defects: Defects) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Return a decorator that puts a defect on a list."""

    def listed(defect: Callable[[], None]) -> Callable[[], None]:
        defects[defect.__name__] = defect
        return defect

    return listed


def plant(owner: object, name: str, wrong: object) -> None:
    """Put what is wrong in the place of what is right."""
    setattr(owner, name, wrong)


defect = listed_in(DEFECTS)


@defect
def acknowledge_before_commit() -> None:
    """P1: a change is answered from a transaction that is rolled back, and made durable afterwards."""
    original = Provisioning._write
    later: set[asyncio.Task[Any]] = set()

    class UndoneError(Exception):
        pass

    async def write(self: Provisioning, work: Callable[[Any], Any]) -> Outcome:
        seen = []

        def tentative(tx: Any) -> None:
            seen.append(work(tx))
            raise UndoneError

        with suppress(UndoneError):
            await self.store.write(tentative)
        (accepted,) = seen
        if accepted.row.generation < 2:
            return await original(self, work)
        task = asyncio.create_task(original(self, work))
        later.add(task)
        task.add_done_callback(later.discard)
        return Outcome(accepted.row, created=False, warnings=accepted.warnings)

    plant(Provisioning, "_write", write)


@defect
def synchronous_normal() -> None:
    """P4: commits are not synced."""
    sqlite.WRITER_PRAGMAS["synchronous"] = 1


@defect
def no_recovery() -> None:
    """P12: what was pending when the process started is left alone."""
    left: dict[str, int] = {}
    begin = Driver.run

    async def run(self: Driver) -> None:
        left.clear()
        every = await self.store.read(
            lambda tx: resources.pending(tx, self.connection_id, now=self.clock() + timedelta(days=1), limit=1000)
        )
        left.update({key.id: key.generation for key in every})
        await begin(self)

    def pending(tx: Any, connection_id: str, *, now: Any, limit: int, **rest: Any) -> list[Any]:
        found = resources.pending(tx, connection_id, now=now, limit=limit + len(left), **rest)
        return [key for key in found if left.get(key.id) != key.generation]

    plant(Driver, "run", run)
    names = {**vars(resources), "pending": pending, "next_due": lambda *_, **__: None}
    vars(driver)["resources"] = SimpleNamespace(**names)


@defect
def failed_commit_is_success() -> None:
    """Whoever waited for a COMMIT that failed is told that it succeeded."""
    plant(writer._Write, "fail", lambda _self, _error: None)


@defect
def no_answer_is_success() -> None:
    """A change that was not answered counts as made; it is not asked for."""
    original = Driver._postpone
    changes = {Step.SET_USER_GROUPS, Step.DEACTIVATE_USER, Step.DELETE_USER}

    async def postpone(self: Driver, situation: Any, error: Any) -> None:
        if situation.probe or situation.step not in changes:
            await original(self, situation, error)
        else:
            await self.store.write(lambda tx: self.recorder.done(tx, situation, situation.step, None))

    plant(Driver, "_postpone", postpone)


@defect
def lower_for_casefold() -> None:
    """P8: names are compared by ``lower()``."""
    for module in (comparison, resources, sources):
        vars(module)["fold"] = str.lower


@defect
def missing_connection() -> None:
    """P9: a resource is found by its id, whosever connection it is of."""
    clauses: Any = resources._KEY
    _connection, key = clauses.clauses
    clauses.clauses = (key,)


@defect
def any_remote_system_will_do() -> None:
    """Ours: it is not held against a connection that its remote system is another one, or another connection's."""

    def judge(kept: identification.Pin, told: str | None, *_: Any, now: Any) -> identification.Pin:
        return identification.Pin(told, None if told is None else kept.since or now)

    vars(identification)["judge"] = judge


@defect
def what_is_refused_stays_wanted() -> None:
    """Ours: whoever cannot be deactivated is shown in the groups that they are not given."""
    original = Reversal.withdraw_additions

    def withdraw(self: Reversal, tx: Any, row: Any) -> Any:
        return original(self, tx, row) if row.active else row

    plant(Reversal, "withdraw_additions", withdraw)


@defect
def the_road_ends_an_authorisation() -> None:
    """Ours: what a gateway before the token endpoint answers is taken for a refusal of the refresh token."""
    vars(authentication)["_refuses"] = lambda response: response.status_code in {*authentication.REFUSALS, 404}


@defect
def what_was_set_is_held() -> None:
    """Ours: a comparison takes the groups that were last set for those that are held."""
    original = holding.held_by

    def held_by(mapper: Any, user: Any, remembered: Any) -> tuple[str, ...]:
        held = original(mapper, user, remembered)
        return held if remembered.groups is None else remembered.groups

    vars(connector)["held_by"] = held_by


@defect
def who_is_hidden_is_not_looked_for() -> None:
    """Ours: an account that HubSpot hides while it is deactivated is not asked for at its SCIM endpoint."""

    async def revive(self: ScimDeactivation, user: Any) -> bool:
        return False

    plant(ScimDeactivation, "revive", revive)
