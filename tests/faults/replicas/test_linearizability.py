"""The checker itself, on histories made by hand: what could have happened passes, what could not does not."""

import itertools
import random
from math import inf

import pytest

from tests.faults.replicas.linearizability import ABSENT, Operation, Register, after, is_linearizable, shortest_failure

ACTIVE = Register("active")
INACTIVE = Register("inactive")
SALES = Register("active", frozenset({"Sales"}))


def create(began: float, ended: float = inf, *, certain: bool = True, status: int = 201) -> Operation:
    """A creation."""
    return Operation("create", began, ended, certain=certain, status=status)


def deactivate(began: float, ended: float = inf, *, certain: bool = True, status: int = 200) -> Operation:
    """A deactivation."""
    return Operation("deactivate", began, ended, certain=certain, status=status)


def reactivate(began: float, ended: float = inf, *, certain: bool = True) -> Operation:
    """A reactivation."""
    return Operation("reactivate", began, ended, certain=certain, status=200)


def delete(began: float, ended: float = inf, *, status: int = 204) -> Operation:
    """A deletion."""
    return Operation("delete", began, ended, status=status)


def join(began: float, ended: float = inf, *, certain: bool = True) -> Operation:
    """An addition to Sales."""
    return Operation("join", began, ended, certain=certain, group="Sales", status=204)


def leave(began: float, ended: float = inf) -> Operation:
    """A removal from Sales."""
    return Operation("leave", began, ended, group="Sales", status=204)


def read(began: float, ended: float, seen: Register) -> Operation:
    """What a client read."""
    return Operation("read", began, ended, seen=seen)


def held(at: float, seen: Register) -> Operation:
    """What HubSpot held."""
    return Operation("upstream", at, at, seen=seen)


POSSIBLE = {
    "nothing happened": [],
    "one after the other": [create(0, 1), read(2, 3, ACTIVE), deactivate(4, 5), read(6, 7, INACTIVE)],
    "a read beside a write sees before": [create(0, 1), deactivate(2, 5), read(3, 4, ACTIVE)],
    "a read beside a write sees after": [create(0, 1), deactivate(2, 5), read(3, 4, INACTIVE)],
    "two writes at the same time, in either order": [
        create(0, 1), deactivate(2, 4), reactivate(2, 4), read(5, 6, ACTIVE),
    ],
    "never told, took effect late": [
        create(0, 1), deactivate(2, certain=False), read(8, 9, ACTIVE), read(10, 11, INACTIVE),
    ],
    "never told, never took effect": [create(0, 1), deactivate(2, certain=False), read(8, 9, ACTIVE)],
    "accepted, took effect late": [create(0, 1), deactivate(2), read(8, 9, ACTIVE), read(10, 11, INACTIVE)],
    "two creations at the same time make one": [create(0, 2), create(0, 2, status=409), read(3, 4, ACTIVE)],
    "less is held for a moment": [create(0, 1), join(2, 6), held(3, ACTIVE), held(4, SALES)],
    "an inactive account is not held": [create(0, 1), deactivate(2, 4), held(3, ABSENT)],
    "deleted by two": [create(0, 1), delete(2, 5), delete(3, 6), deactivate(7, 8, status=404)],
    "somebody who left is let in again": [create(0, 1), deactivate(2, 3), create(4, 5), read(6, 7, ACTIVE)],
}  # fmt: skip

IMPOSSIBLE = {
    "a lost write": [create(0, 1), deactivate(2, 3), read(4, 5, ACTIVE)],
    "a stale read": [create(0, 1), deactivate(2, 5), read(3, 4, INACTIVE), read(4.5, 4.8, ACTIVE)],
    "a write undone": [create(0, 1), deactivate(2, 3), reactivate(4, 5), read(6, 7, INACTIVE)],
    "an accepted write that was lost": [create(0, 1), deactivate(2), read(8, 9, INACTIVE), read(10, 11, ACTIVE)],
    "something out of nothing": [create(0, 1), read(2, 3, SALES)],
    "effect before its cause": [create(0, 1), read(2, 3, INACTIVE), deactivate(4, 5)],
    "created by nobody": [read(0, 1, ACTIVE)],
    "a conflict with nobody": [create(0, 1, status=409)],
    "still held after leaving": [create(0, 1), join(2, 3), leave(4, 5), held(6, SALES)],
    "still held after deactivation": [create(0, 1), deactivate(2, 3), held(4, ACTIVE)],
    "not held while active": [create(0, 1), held(2, ABSENT)],
    "let in again by an old call": [
        create(0, 1), deactivate(2, 3), reactivate(4, 5), deactivate(6, 7), held(8, ACTIVE), held(9, ABSENT),
    ],
    "gone although it is there": [create(0, 1), deactivate(2, 3, status=404)],
    "one of two at the same time must win": [
        create(0, 1), deactivate(2, 4), reactivate(2, 4), read(5, 6, ACTIVE), read(7, 8, INACTIVE),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_history_that_could_have_happened_passes(name: str) -> None:
    """What some order explains is accepted."""
    assert is_linearizable(POSSIBLE[name])


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_history_that_could_not_have_happened_is_found(name: str) -> None:
    """What no order explains is refused, and the beginning that is shown for it is impossible as well."""
    assert not is_linearizable(IMPOSSIBLE[name])
    assert not is_linearizable(shortest_failure(IMPOSSIBLE[name]))


def test_the_search_agrees_with_trying_every_order() -> None:
    """On 3,000 small random histories, the search says what all permutations say; both verdicts come up often."""
    random_ = random.Random(7)
    verdicts = {True: 0, False: 0}
    for _ in range(3_000):
        history = [_random_operation(random_) for _ in range(random_.randint(1, 5))]
        expected = any(_explains(order) for order in _subsets(history))
        assert is_linearizable(history) == expected, history
        verdicts[expected] += 1
    print(f"linearizability: {verdicts}")
    assert min(verdicts.values()) > 300


def _random_operation(random_: random.Random) -> Operation:  # noqa: PLR0911 - one for each action
    began = random_.uniform(0, 4)
    told = random_.random() < 0.75
    ended = began + random_.uniform(0, 2) if told else inf
    certain = told or random_.random() < 0.5
    match random_.choice(["create", "deactivate", "reactivate", "join", "read", "upstream", "delete"]):
        case "create":
            return create(began, ended, certain=certain, status=random_.choice([201, 201, 409]))
        case "deactivate":
            return deactivate(began, ended, certain=certain)
        case "reactivate":
            return reactivate(began, ended, certain=certain)
        case "join":
            return join(began, ended, certain=certain)
        case "delete":
            return delete(began, began + 1, status=random_.choice([204, 404]))
        case "read":
            return read(began, began + 1, random_.choice([ABSENT, ACTIVE, INACTIVE, SALES]))
        case _:
            return held(began, random_.choice([ABSENT, ACTIVE, SALES]))


def _subsets(history: list[Operation]) -> "itertools.chain[tuple[Operation, ...]]":
    """Return every order of every part that has all certain operations."""
    optional = [one for one in history if not one.certain]
    certain = [one for one in history if one.certain]
    parts = itertools.chain.from_iterable(itertools.combinations(optional, size) for size in range(len(optional) + 1))
    return itertools.chain.from_iterable(itertools.permutations([*certain, *part]) for part in parts)


def _explains(order: tuple[Operation, ...]) -> bool:
    """Whether this very order keeps to the times and explains every outcome."""
    for earlier, later in itertools.combinations(order, 2):
        if later.certain and later.ended < earlier.began:
            return False
    states = {ABSENT}
    for operation in order:
        states = {reached for state in states for reached in after(state, operation)}
    return bool(states)
