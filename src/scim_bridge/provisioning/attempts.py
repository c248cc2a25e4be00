"""Taking one step and recording that it was done; of many members refused together, whoever can be changed is."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from scim_bridge.errors import (
    ConnectorError,
    RemoteCredentialsError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.provisioning.outcomes import Outcomes
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.portions import Portions
from scim_bridge.provisioning.situation import Situation
from scim_bridge.provisioning.steps import Steps
from scim_bridge.store.engine import Connection

T = TypeVar("T")

REMOVAL_TRIES = 32
"""Parts of a refused removal that are tried in one go; the rest follows when it is tried again."""

NO_REFUSALS = (RemoteUnavailableError, RemoteCredentialsError, RemoteNotFoundError)
"""Failures that are not about single members."""


class Record(Protocol):
    """Runs a transaction that records something about a resource."""

    def __call__(self, resource_id: str, work: Callable[[Connection], T]) -> Awaitable[T]:
        """Run it, unless another process leads by now."""


class Attempts:
    """Takes the steps of one connection.

    :param refuse: Records what was refused of a step, and returns what comes next.
    :param keep_unmanaged: Whether members whom no client manages keep a group that its client deletes.
    """

    def __init__(
        self,
        steps: Steps,
        outcomes: Outcomes,
        *,
        record: Record,
        refuse: Callable[[Situation, ConnectorError], Awaitable[Situation | None]],
        keep_unmanaged: bool,
    ) -> None:
        self.steps = steps
        self.outcomes = outcomes
        self.record = record
        self.refuse = refuse
        self.keep_unmanaged = keep_unmanaged
        self.portions = Portions(steps.connector.members_per_call)

    async def take(self, situation: Situation, step: Step) -> Situation | None:
        """Take one step, and return what comes next.

        :raises ConnectorError: When it failed, or was refused as a whole.
        """
        if step is Step.DELETE_GROUP and self.keep_unmanaged and await self._others_inside(situation):
            row = situation.row
            return await self.record(row.id, lambda tx: self.outcomes.load(tx, row.kind, row.id))
        situation = self.portions.cut(situation)
        try:
            following = await self._call(situation, step)
        except ConnectorError as error:
            self.portions.failed(situation, error)
            if len(situation.portion) < 2 or isinstance(error, NO_REFUSALS) or error.ambiguous:
                raise
            return await self._in_parts(situation, step, error)
        self.portions.done(situation)
        return following

    async def _others_inside(self, situation: Situation) -> bool:
        """Look for members of whom nothing was known; a group is looked at when all who were to leave it have left."""
        inside = await self.steps.members(situation.row.remote_id or "")
        row_id = situation.row.id
        return bool(inside) and await self.record(row_id, lambda tx: self.outcomes.inside(tx, situation, inside))

    async def _call(self, situation: Situation, step: Step) -> Situation | None:
        """Call the hook of a step and record that it was done, or what it named is not there any more."""
        key = situation.row.id
        try:
            answer = await self.steps.take(situation, step)
        except (RemoteInvalidValueError, RemoteNotFoundError) as error:
            ambiguous = error.ambiguous
            try:
                lost = await self.steps.lost(situation)
            except ConnectorError as unseen:
                if situation.is_removal:
                    raise error from unseen  # what it takes away does not wait for an answer about what it adds
                unseen.ambiguous = unseen.ambiguous or ambiguous
                raise
            if not lost:
                raise
            return await self.record(key, lambda tx: self.outcomes.lost(tx, situation, lost, ambiguous=ambiguous))
        return await self.record(key, lambda tx: self.outcomes.done(tx, situation, step, answer))

    async def _in_parts(self, situation: Situation, step: Step, error: ConnectorError) -> Situation | None:
        """Take a refused step about members in halves, and those in halves; one who is refused holds up nobody else.

        A newer write of the client ends it. What was done before a failure is recorded.
        """
        row, load = situation.row, self.outcomes.load
        parts = deque(_halves(situation))
        refused: frozenset[str] = frozenset()
        tries = REMOVAL_TRIES if situation.is_removal else 2 * len(situation.portion)
        while parts and tries:
            part, tries = parts.popleft(), tries - 1
            if not await self.record(row.id, lambda tx: self.outcomes.is_current(tx, situation)):
                return await self.record(row.id, lambda tx: load(tx, row.kind, row.id))
            try:
                await self._call(part, step)
            except ConnectorError as one:
                if isinstance(one, NO_REFUSALS) or one.ambiguous:
                    raise
                error = one
                if len(part.portion) > 1:
                    parts.extend(_halves(part))
                else:
                    refused |= part.portion
        refused = refused.union(*(part.portion for part in parts))
        if not refused:  # each went through alone
            return await self.record(row.id, lambda tx: load(tx, row.kind, row.id))
        return await self.refuse(situation.of_members(refused), error)


def _halves(situation: Situation) -> list[Situation]:
    members = sorted(situation.portion)
    middle = len(members) // 2
    return [situation.of_members(frozenset(half)) for half in (members[:middle], members[middle:])]
