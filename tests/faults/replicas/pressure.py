"""More work than HubSpot's limit admits, in virtual time: ``python -m tests.faults.replicas.pressure backlog|outage``.

``backlog``: deactivations behind 10,000 creations, and how much of the limit is used meanwhile. ``outage``: HubSpot is
down for eight hours, during which 5,000 changes are accepted.
"""

import argparse
import asyncio
import json
import math
import time
from collections import Counter
from typing import Any

from scim2_models import Name

from scim_bridge.models import User
from tests.faults.replicas.filling import left
from tests.faults.replicas.virtual import (
    LIMIT,
    USERS,
    WINDOW,
    Sent,
    VirtualBridge,
    fullest_window,
    run_in_virtual_time,
    virtual_bridge,
)

STEADY_AFTER = 20.0
"""Seconds until a start no longer shows: the first window is sent in one burst."""

HOURS = 8.0
CHANGES = 5_000
"""Two fifths of them creations, two fifths renames, one fifth removals."""

SETTLE_SECONDS = 3_600.0


async def play_backlog(arguments: argparse.Namespace) -> dict[str, Any]:
    """Deactivate people one after the other while 10,000 creations wait."""
    loop = asyncio.get_running_loop()
    async with virtual_bridge(arguments.seed) as bridge:
        names = [f"old{number:03}@corp.example" for number in range(arguments.deactivations)]
        await bridge.settle(names)
        await bridge.create([f"new{number}@corp.example" for number in range(arguments.pending)])
        await asyncio.sleep(STEADY_AFTER)
        steady = loop.time()
        took = []
        for name in names:
            await asyncio.sleep(bridge.random.uniform(0.0, 4.0))
            took.append(await bridge.deactivate(name))
        ended = loop.time()
        used = sum(steady <= call.at < ended for call in bridge.sent)
        assert await bridge.pending() > 0, "nothing was waiting any more"
        return {
            "seconds": round(ended - steady),
            "deactivations": len(took),
            "deactivation_p50": round(quantile(took, 0.5), 2),
            "deactivation_p99": round(quantile(took, 0.99), 2),
            "deactivation_worst": round(max(took), 2),
            "still_waiting": await bridge.pending(),
            "used": round(used / ((ended - steady) / WINDOW * LIMIT), 4),
            **_limit_kept(bridge.sent),
        }


async def play_outage(arguments: argparse.Namespace) -> dict[str, Any]:
    """Accept changes while HubSpot is down, and see them made when it is back."""
    loop = asyncio.get_running_loop()
    async with virtual_bridge(arguments.seed) as bridge:
        await bridge.settle([f"old{number:04}@corp.example" for number in range(arguments.changes * 3 // 5)])
        outage = bridge.hubspot.faults.outage(seconds=arguments.hours * 3600)
        down, audited = loop.time(), await bridge.audited()
        await _accept_changes(bridge, arguments.changes, arguments.hours * 3600)
        back = down + arguments.hours * 3600
        await asyncio.sleep(back - loop.time())
        waiting = await bridge.pending()
        attempts = await bridge.audited() - audited - arguments.changes
        while await bridge.pending():
            assert loop.time() < back + SETTLE_SECONDS, f"{await bridge.pending()} changes are still waiting"
            await asyncio.sleep(1)
        during = [call for call in bridge.sent if down <= call.at < back]
        after = [call for call in bridge.sent if call.at >= back]
        allowed = len(after) / LIMIT * WINDOW
        return {
            "changes": waiting,
            "outage_fired": outage.fired,
            "calls_in_the_first_minute": sum(call.at < down + 60 for call in during),
            "calls_during_outage": len(during),
            "attempts_during_outage": attempts,
            "most_probes_in_15_seconds": fullest_window([call.at for call in during if call.at > down + 60], 14.9),
            "seconds": round(after[-1].at - back, 1),
            "of_what_the_limit_allows": round((after[-1].at - back) / allowed, 3),
            "before_the_last_removal": _before_the_last_removal(after),
            "at_once": bridge.provisioning.policy.concurrency,
            **_limit_kept(after),
        }


async def _accept_changes(bridge: VirtualBridge, count: int, seconds: float) -> None:
    """Commit deactivations, renames and creations in turns, spread over the first nine tenths of some seconds."""
    people = sorted(bridge.people)
    for number in range(count):
        await asyncio.sleep(0.9 * seconds / count)
        if number % 5 < 2:
            await bridge.create([f"new{number:04}@corp.example"])
        else:
            await bridge.change(people.pop(), _renamed if number % 5 < 4 else left)


def _renamed(user: User) -> User:
    return user.model_copy(update={"name": Name(given_name="Ada", family_name="Lovelace")})


def _before_the_last_removal(calls: list[Sent]) -> int:
    """Return how many other writes were sent before the last removal."""
    last = max(number for number, call in enumerate(calls) if call.method == "DELETE")
    return sum(call.method in {"POST", "PUT"} and call.path.startswith(USERS) for call in calls[:last])


def _limit_kept(calls: list[Sent]) -> dict[str, Any]:
    return {
        "limit": LIMIT,
        "fullest_window": fullest_window([call.at for call in calls]),
        "answered_429": sum(call.status == 429 for call in calls),
        "calls": len(calls),
        "methods": dict(Counter(call.method for call in calls)),
    }


def quantile(values: list[float], share: float) -> float:
    """Return the smallest of some values that so many of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["backlog", "outage"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--deactivations", type=int, default=200)
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--changes", type=int, default=CHANGES)
    arguments = parser.parse_args()
    play = {"backlog": play_backlog, "outage": play_outage}[arguments.what]
    report = run_in_virtual_time(play(arguments))
    cpu = round(time.process_time(), 1)
    print(json.dumps({"virtual": arguments.what, "seed": arguments.seed, **report, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
