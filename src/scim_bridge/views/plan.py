"""What a connection would do in its remote system if nothing else were written: the plan that go-live carries out."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Literal

from scim_bridge.models import Kind, RateLimit
from scim_bridge.provisioning import drift, observing
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.plan import Step, differing
from scim_bridge.provisioning.situation import Capabilities, Situation, situation_of
from scim_bridge.store import inventory, memberships, resources
from scim_bridge.store.rows import Membership, ResourceRow, State
from scim_bridge.store.transaction import Transaction

PAGE = 500

Action = Literal["remove", "change", "create"]
"""*remove* takes an account or a group away, or somebody out of a group; *create* makes an account or a group, or lets
somebody in again; *change* is any other, somebody who joins a group included."""

ORDER: dict[Action, int] = {"remove": 0, "change": 1, "create": 2}

MADE = {
    Step.CREATE_USER: "made, or taken over if it is there",
    Step.REACTIVATE_USER: "let in again",
    Step.CREATE_GROUP: "made",
}
ENDED = {
    Step.DELETE_USER: "deleted",
    Step.DEACTIVATE_USER: "deactivated",
    Step.FINISH_USER: "the account they had before is removed",
    Step.DELETE_GROUP: "deleted",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would be done.

    :param name: The person's userName, or the group's displayName.
    :param group: The group that a person joins or leaves.
    :param what: What becomes of the account, the group or the membership, in words; of other changes the attributes.
    :param privileged: Whether the group is one whose grants are counted (``privileged``).
    :param held: Whether the mass-change guard holds it: it waits for ``scim-bridge approve`` as well.
    :param id: The id of the User or Group.
    :param group_id: The id of the group that a person joins or leaves.
    """

    action: Action
    kind: Kind
    name: str
    group: str | None
    what: str
    privileged: bool
    held: bool
    id: str
    group_id: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done.

    :param plans: Whether the connection plans; else it observes, or these are the changes that are under way.
    :param compared: When the remote system was last compared: it may have changed since.
    :param looks: Of how many accounts and groups nothing certain is known: they are looked at before anything is done.
    :param calls: How many calls of hooks it takes at least; one of them may be several requests.
    :param minutes: For how long that takes up the remote system's limit at least; ``None``: there is no limit.
    :param changes: All of it, removals first, by group.
    """

    connection: str
    plans: bool
    compared: datetime | None
    has_removals: bool
    removed: int
    changed: int
    created: int
    privileged: int
    looks: int
    calls: int
    minutes: float | None
    changes: tuple[Change, ...]

    @property
    def removals(self) -> Sequence[Change]:
        """What takes something away."""
        return self.changes[: self.removed]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be done, and nothing has to be looked at."""
        return not (self.changes or self.looks)

    @property
    def sentence(self) -> str:
        """The line that people read first."""
        return f"− {self.removed} removed, ~ {self.changed} changed, + {self.created} created"

    @property
    def decided(self) -> str:
        """What tells whether another plan takes away, and gives of privileged groups, the same: a hash."""
        return hashlib.sha256(json.dumps(sorted(_decided(self), key=str)).encode()).hexdigest()

    def exceeds(self, other: "Plan") -> bool:
        """Whether it takes away something, or gives a privileged group, that another plan does not."""
        return not _decided(self) <= _decided(other)


def _decided(plan: Plan) -> set[tuple[str, str | None, bool]]:
    """Return what an operator decides on, whatever else is in a plan."""
    grants = (one for one in plan.changes[plan.removed :] if one.privileged)
    return {(one.id, one.group_id, one.action == "remove") for one in (*plan.removals, *grants)}


def plan(
    tx: Transaction,
    connection_id: str,
    capabilities: Capabilities,
    guard: Guard,
    *,
    limit: RateLimit | None = None,
    progress: Callable[[int], None] | None = None,
) -> Plan:
    """Return what a connection would do. Costs what is not settled, not how many people there are.

    :param guard: Tells which groups are privileged.
    :param limit: That of the remote system.
    :param progress: Called with the number of accounts and groups looked at so far.
    """
    working = _Planning(tx, connection_id, capabilities, guard)
    after: tuple[int, int] | None = None
    while True:
        found = inventory.work(tx, connection_id, states=(State.PENDING, State.HELD), after=after, limit=PAGE)
        for place, row in found:
            working.add(row)
            after = (int(row.lane), place)
        if progress is not None:
            progress(working.looked_at)
        if len(found) < PAGE:
            break
    changes = sorted(working.changes, key=lambda one: (ORDER[one.action], one.group or "", one.name, one.kind, one.id))
    numbers = {action: sum(one.action == action for one in changes) for action in ORDER}
    observes = observing.current(tx, connection_id)
    compared = drift.last(tx, connection_id)
    return Plan(
        connection_id,
        observes is not None and observes.plans,
        None if compared is None else compared.at,
        bool(numbers["remove"]),
        numbers["remove"],
        numbers["change"],
        numbers["create"],
        sum(one.privileged and one.action != "remove" for one in changes),
        working.looks,
        working.calls,
        None if limit is None else round(working.calls * limit.seconds / limit.requests / 60, 1),
        tuple(changes),
    )


class _Planning:
    """Goes through what is not settled."""

    def __init__(self, tx: Transaction, connection_id: str, capabilities: Capabilities, guard: Guard) -> None:
        self.tx, self.connection_id = tx, connection_id
        self.capabilities, self.guard = capabilities, guard
        self.changes: list[Change] = []
        self.looked_at = self.looks = self.calls = 0
        self._privileged: dict[str, bool] = {}

    def add(self, row: ResourceRow) -> None:
        """Add what is to be done about an account or group."""
        self.looked_at += 1
        situation = situation_of(self.tx, row, self.capabilities)
        found = list(self._of_user(situation) if row.kind == "User" else self._of_group(situation))
        self.changes += found
        if situation.probe:
            self.looks += 1
            self.calls += 1
        links = sum(one.group is not None for one in found)
        self.calls += len(found) - links  # each is a step of its own
        if links:
            self.calls += 1 if row.kind == "User" else ceil(links / self.capabilities.members_per_call)

    def _of_user(self, situation: Situation) -> Iterator[Change]:
        row, step, seen = situation.row, situation.step, situation.seen
        if step in ENDED:
            yield _change(row, "remove", ENDED[step])
            return
        if step is None and not (situation.desired.active and seen.active):
            return  # they are out, and stay so
        if step in MADE:
            yield _change(row, "create", MADE[step])
        elif paths := differing(situation.desired, seen):
            yield _change(row, "change", ", ".join(sorted(paths)))
        if self.capabilities.user_centric:
            for one in memberships.groups_of(self.tx, self.connection_id, [row.id])[row.id]:
                if one.given and not one.desired and one.remote_id is not None:
                    yield self._membership(row, row.name, one, "remove")
                elif one.desired and not one.given and one.remote_id is not None:
                    yield self._membership(row, row.name, one, "change")
        if seen.unfinished and Step.FINISH_USER in self.capabilities.operations:
            yield _change(row, "remove", ENDED[Step.FINISH_USER])

    def _of_group(self, situation: Situation) -> Iterator[Change]:
        row, seen, operations = situation.row, situation.seen, self.capabilities.operations
        if not situation.desired.exists:
            if seen.present and not situation.desired.left and Step.DELETE_GROUP in operations:
                yield _change(row, "remove", ENDED[Step.DELETE_GROUP])
        elif not seen.present:
            yield _change(row, "create", MADE[Step.CREATE_GROUP])
        elif Step.UPDATE_GROUP in operations and (paths := differing(situation.desired, seen)):
            yield _change(row, "change", ", ".join(sorted(paths)))
        if self.capabilities.user_centric and row.remote_id is not None:
            return  # each person has a change of their own
        joining, leaving = memberships.unsettled_of_group(self.tx, self.connection_id, row.id)
        group = Membership(row.id, row.name, row.remote_id)
        for user in self._people(leaving):
            if user.observed is not None and user.observed.present:
                yield self._membership(row, user.name, group, "remove", user)
        for user in self._people(joining if situation.desired.exists else []):
            if user.active and not user.deleted and (user.may_make or not user.missing):
                yield self._membership(row, user.name, group, "change", user)

    def _people(self, ids: Sequence[str]) -> Iterator[ResourceRow]:
        for first in range(0, len(ids), PAGE):
            some = ids[first : first + PAGE]
            yield from resources.get_many(self.tx, self.connection_id, "User", some, deleted=True)

    def _membership(
        self, row: ResourceRow, name: str, group: Membership, action: Action, user: ResourceRow | None = None
    ) -> Change:
        """Return that somebody joins or leaves a group; ``row`` is whose work it is."""
        if group.id not in self._privileged:
            self._privileged[group.id] = self.guard.is_privileged(self.tx, group)
        return Change(
            action,
            "User",
            name,
            group.name,
            "leaves" if action == "remove" else "joins",
            self._privileged[group.id],
            State.HELD in {row.state, row.state if user is None else user.state},
            (user or row).id,
            group.id,
        )


def _change(row: ResourceRow, action: Action, what: str) -> Change:
    return Change(action, row.kind, row.name, None, what, False, row.state is State.HELD, row.id, None)  # noqa: FBT003
