"""Whether a history of concurrent operations on one person could have happened one after the other.

The search is Wing and Gong's: of the operations not yet placed, any that began before all others had returned may come
next. What was tried is remembered by the operations placed and the state reached (Lowe). An operation whose client was
never told may take effect at any time after it began, or never; one that was *accepted* takes effect for certain, some
time.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, NamedTuple

MOST_OPERATIONS = 64
"""The search is exponential in what overlaps; so many operations on one person are a mistake of the test."""

Action = Literal["create", "deactivate", "reactivate", "join", "leave", "delete", "read", "upstream"]


class Register(NamedTuple):
    """What there is of a person: ``absent``, ``active`` or ``inactive``, and the groups they are a member of."""

    status: Literal["absent", "active", "inactive"] = "absent"
    groups: frozenset[str] = frozenset()


ABSENT = Register()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a client, or one look at the remote system.

    :param began: When it was sent.
    :param ended: When its outcome was known; ``inf``: never.
    :param certain: Whether it took effect, or will: ``False`` when nobody knows.
    :param group: Whose membership it changes.
    :param status: What it was answered, 0 for nothing.
    :param seen: What a ``read`` showed; what an ``upstream`` look showed, ``inactive`` being the same as ``absent``.
    """

    action: Action
    began: float
    ended: float = inf
    certain: bool = True
    group: str = ""
    status: int = 0
    seen: Register = ABSENT
    client: str = ""


def after(state: Register, operation: Operation) -> Iterable[Register]:  # noqa: PLR0911 - one for each action
    """Return the states that an operation may lead to; none when it cannot have had its outcome in this state."""
    match operation.action:
        case "read":
            return [state] if _shown(state) == _shown(operation.seen) else []
        case "upstream":
            return [state] if _could_be_held(state, operation.seen) else []
        case "create":
            return _created(state, operation)
        case "join" | "leave":
            return [_with_membership(state, operation)]
        case "delete":
            # Deleted twice at the same time, both are told so.
            return [] if operation.status == 404 and state != ABSENT else [ABSENT]
        case "deactivate" | "reactivate":
            if state == ABSENT:
                return [state] if operation.status in {0, 404} else []
            status: Literal["active", "inactive"] = "inactive" if operation.action == "deactivate" else "active"
            return [] if operation.status == 404 else [state._replace(status=status)]


def _shown(state: Register) -> Register:
    return ABSENT if state.status == "absent" else state


def _could_be_held(state: Register, seen: Register) -> bool:
    """Whether the remote system may show this: never more than the state, and an account exactly when it is active.

    Less than the state may be held for a moment: an account is made in several calls.
    """
    if state.status != "active":
        return seen.status != "active"
    return seen.status == "active" and seen.groups <= state.groups


def _created(state: Register, operation: Operation) -> Iterable[Register]:
    """A creation makes somebody who is not there, lets back in who left, and is calm or refused otherwise."""
    if operation.status == 409:
        return [] if state == ABSENT else [state]
    if state.status == "active":
        return [state]
    return [Register("active", state.groups)]


def _with_membership(state: Register, operation: Operation) -> Register:
    if state.status == "absent":
        return state  # an unknown member is left out
    if operation.action == "join":
        return state._replace(groups=state.groups | {operation.group})
    return state._replace(groups=state.groups - {operation.group})


def is_linearizable(operations: Collection[Operation], initial: Register = ABSENT) -> bool:
    """Tell whether there is an order of these operations, true to their times, that explains every outcome."""
    assert len(operations) <= MOST_OPERATIONS, f"{len(operations)} operations on one person"
    history = sorted(operations, key=lambda operation: operation.began)
    alike = _alike(history)
    certain = sum(1 << index for index, operation in enumerate(history) if operation.certain)
    # Only an outcome that somebody knows of bounds what may come later.
    ends = [operation.ended if operation.certain else inf for operation in history]
    tried = {(0, initial)}
    paths = [(0, initial)]
    while paths:
        placed, state = paths.pop()
        if placed & certain == certain:
            return True
        left = [index for index in range(len(history)) if not placed >> index & 1]
        first_end = min(ends[index] for index in left)
        for index in left:
            if history[index].began > first_end:
                break
            if alike[index] & ~placed:
                continue
            for reached in after(state, history[index]):
                if reached == state and not history[index].certain:
                    continue  # as good as never
                path = (placed | 1 << index, reached)
                if path not in tried:
                    tried.add(path)
                    paths.append(path)
    return False


def _alike(history: list[Operation]) -> list[int]:
    """Return those like each operation that began before: of such whose end nobody knows, the first goes first."""
    kinds: dict[tuple[object, ...], int] = {}
    earlier = []
    for index, one in enumerate(history):
        kind = (one.action, one.group, one.status, one.certain)
        is_open = one.ended == inf or not one.certain
        earlier.append(kinds.get(kind, 0) if is_open else 0)
        if is_open:
            kinds[kind] = kinds.get(kind, 0) | 1 << index
    return earlier


def shortest_failure(operations: Collection[Operation]) -> list[Operation]:
    """Return the beginning of a history, in order of what ended, that is already impossible, for people to read."""
    known = sorted(one.ended for one in operations if one.certain and one.ended < inf)
    for end in known:
        part = [
            one if one.ended <= end else replace(one, ended=inf, certain=False, status=0)
            for one in operations
            if one.began <= end and not (one.action in {"read", "upstream"} and one.ended > end)
        ]
        if not is_linearizable(part):
            return sorted(part, key=lambda one: one.began)
    return sorted(operations, key=lambda one: one.began)
