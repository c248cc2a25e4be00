"""SIGKILL at every boundary of database, network and client: nothing lost, nothing doubled, nothing diverged.

500 kills by default, 5 of real servers; ``SCIM_BRIDGE_KILLS=2000`` and ``SCIM_BRIDGE_SERVER_KILLS=50`` for more.
``python -m tests.faults.killing --kills N --seed S`` replays.
"""

import time
from pathlib import Path

import pytest

from tests.faults.instruments import record, run, size
from tests.faults.killed_servers import siege
from tests.faults.lives import WHOLE, life

KILLS = size("SCIM_BRIDGE_KILLS", 500)
SHARDS = max(1, KILLS // 250)
"""Parts of the run, for as many workers as there are; each has a seed of its own."""

BOUNDARIES = {
    "before a statement",
    "after a statement",
    "before COMMIT",
    "after COMMIT",
    "before sending",
    "after sending",
    "after the head of the answer",
    "after the answer",
    "before the request",
    "before http.response.start",
    "after http.response.start",
    "before http.response.body",
    "after http.response.body",
    "migrating: before a statement",
    "migrating: after a statement",
    "migrating: before COMMIT",
    "migrating: after COMMIT",
}
"""The kinds of moments at which a process may die."""


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_kill_at_any_moment_loses_nothing_doubles_nothing_and_leaves_nothing_different(shard: int) -> None:
    """After SIGKILL, and after SIGKILL of the recovery, HubSpot is what the clients were told."""
    kills = KILLS // SHARDS
    report = run("killing", "--kills", str(kills), "--seed", str(shard))
    print(f"kill -9: {report}")
    assert report["violations"] == []
    assert report["kills"] == kills
    assert report["double"] >= kills // 10
    assert set(report["fired"]) == BOUNDARIES, "a moment at which nothing was killed"
    assert min(report["fired"].values()) >= min(5, kills // 50), "a moment at which hardly anything was killed"


async def test_a_server_that_is_killed_under_load_keeps_every_promise(tmp_path: Path) -> None:
    """``scim-bridge serve``, with uvicorn and sockets, is killed at moments drawn by a seed while clients write."""
    kills, seed, began = size("SCIM_BRIDGE_SERVER_KILLS", 5), 1, time.monotonic()
    async with siege(tmp_path, [life(f"person{number}", *WHOLE) for number in range(6)]) as under_siege:
        await under_siege.run(kills, seed, tmp_path / "diary")
        report = {name: getattr(under_siege, name) for name in ("kills", "dropped", "statuses", "violations")}
        record("siege", report, time.monotonic() - began)
        print(f"kill -9 of a server, seed {seed}: {report}, down {under_siege.process.down_seconds / kills:.1f} s each")
        assert under_siege.violations == []
        assert under_siege.kills == kills
        assert under_siege.dropped > 0, "no kill struck a request"
        assert set(under_siege.statuses) <= {200, 201, 204, 404, 409, 429}
