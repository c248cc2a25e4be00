"""What has to be true of everything that HubSpot was sent and of everybody's history."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from scim_bridge.provisioning.places import RESERVED_FOR_REMOVALS
from scim_bridge.provisioning.policy import ProvisioningPolicy
from tests.faults.replicas.clients import Person
from tests.faults.replicas.cluster import RATE_LIMIT, Cluster
from tests.faults.replicas.linearizability import (
    ABSENT,
    Operation,
    Register,
    is_linearizable,
    shortest_failure,
)
from tests.faults.replicas.weather import Strike

WINDOW = 10.0
UNDER_WAY = ProvisioningPolicy().concurrency + RESERVED_FOR_REMOVALS
"""Calls of a former leader that may arrive after another replica took over: those under way.

HubSpot knows no fencing; what this bounds is what a former leader can still do, however slow its machine is."""

ENDING = {"owner killed", "owner cut off", "owner frozen"}
"""What makes another replica the leader of everything that one led."""

Call = Mapping[str, Any]
Term = tuple[float, str, int]
"""From when which connection was led by which replica."""


@dataclass
class Verdict:
    """What was judged, and what was wrong.

    :param late: Calls that arrived after another replica took over, as many as are allowed.
    """

    violations: list[str] = field(default_factory=list)
    calls: int = 0
    writes: int = 0
    fullest_window: int = 0
    late: int = 0


async def owners_of(cluster: Cluster) -> list[Term]:
    """Return every term there was, in order."""
    owners = []
    for at, connection, owner in await cluster.query("SELECT at, connection_id, owner FROM owners ORDER BY at"):
        replica = cluster.replica_of(owner)
        owners.append((at, connection, -1 if replica is None else replica.number))
    return owners


def judge_calls(calls: list[Call], owners: list[Term], *, under_way: int = UNDER_WAY) -> Verdict:
    """Judge the emulator's log.

    :param owners: When which replica became the leader of which connection, in order.
    :param under_way: Calls of a former leader that may arrive after another replica took over.
    """
    verdict = Verdict(calls=len(calls), writes=sum(call["committed"] for call in calls))
    for account in sorted({call["account"] for call in calls}):
        own = [call for call in calls if call["account"] == account]
        verdict.fullest_window = max(verdict.fullest_window, _fullest_window(own))
        terms = [(at, replica) for at, connection, replica in owners if connection == account]
        late = Counter((call["replica"], _ended(call, terms)) for call in own)
        for (replica, ended), sent in late.items():
            if ended is None:
                continue
            verdict.late += sent
            if sent > (0 if ended < 0 else under_way):
                verdict.violations.append(
                    f"replica {replica} sent {sent} calls of {account} although another leads since {ended:.1f}"
                )
    if verdict.fullest_window > RATE_LIMIT:
        verdict.violations.append(f"{verdict.fullest_window} calls in ten seconds")
    for person in sorted({call["person"] for call in calls if call["person"]}):
        verdict.violations += _overlaps([call for call in calls if call["person"] == person])
    return verdict


def hand_overs(owners: list[Term], strikes: Iterable[Strike]) -> dict[str, list[float]]:
    """Return the seconds for which nobody led a connection after its leader was struck, by what struck it."""
    took: dict[str, list[float]] = {}
    for strike in strikes:
        if strike.kind not in ENDING:
            continue
        for account in sorted({account for _, account, _ in owners}):
            terms = [(at, replica) for at, connection, replica in owners if connection == account]
            before = [replica for at, replica in terms if at <= strike.at]
            after = [at for at, _ in terms if at > strike.at]
            if after and before and before[-1] == strike.replica:
                took.setdefault(strike.kind, []).append(after[0] - strike.at)
    return took


def _fullest_window(calls: Iterable[Call]) -> int:
    times = sorted(call["came"] for call in calls)
    first, fullest = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - WINDOW:
            first += 1
        fullest = max(fullest, last - first + 1)
    return fullest


def _ended(call: Call, terms: list[tuple[float, int]]) -> float | None:
    """Return when the sender's last term had ended when a call came; ``None`` while it leads, -1 if it never did."""
    ended = -1.0
    leads = False
    for at, replica in terms:
        if at > call["came"]:
            break
        if replica == call["replica"]:
            leads = True
        elif leads:
            leads, ended = False, at
    return None if leads else ended


def _overlaps(calls: list[Call]) -> list[str]:
    """Return the writes for one person that were under way at the same time."""
    writes = sorted((call for call in calls if call["method"] != "GET"), key=lambda call: call["came"])
    return [
        f"{one['method']} by replica {one['replica']} and {other['method']} by replica {other['replica']}"
        f" for {one['person']} were under way at the same time"
        for one, other in pairwise(writes)
        if (one["left"] or float("inf")) > other["came"]
    ]


def judge_person(cluster: Cluster, person: Person, calls: list[Call]) -> list[str]:
    """Judge one person's history, by what clients read and by what HubSpot held after every write."""
    wrong = list(person.unexpected)
    # A refusal tells what the store held, as a read does; HubSpot may follow later.
    writes = [one for one in person.operations if one.action != "read" and one.status not in {404, 409}]
    looks = [
        Operation(
            "upstream", call["applied"], call["applied"], seen=_held(call["held"]), client=f"replica {call['replica']}"
        )
        for call in calls
        if call["person"] == person.email and call["committed"]
    ]
    for what, history in (("clients", person.operations), ("HubSpot", [*writes, *looks])):
        if not is_linearizable(history):
            wrong.append("\n".join([f"{person.email} as {what} saw it:", *told(shortest_failure(history))]))
    return wrong


def _held(held: Any) -> Register:
    return Register("active", frozenset(held[1])) if held and held[0] else ABSENT


def told(operations: Iterable[Operation]) -> list[str]:
    """Return operations for people to read, a line each."""
    return [f"    {_line(one)}" for one in operations]


def _line(one: Operation) -> str:
    seen = f" saw {one.seen.status} {sorted(one.seen.groups)}" if one.action in {"read", "upstream"} else ""
    ended = f"{one.ended % 1000:.3f}" if one.ended < float("inf") else "…"
    return (
        f"{one.began % 1000:8.3f} to {ended:8} {one.client}: {one.action} {one.group}{seen}"
        f" → {one.status or ('' if one.action == 'upstream' else 'accepted' if one.certain else 'unknown')}"
    )
