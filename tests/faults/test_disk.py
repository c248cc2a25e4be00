"""A full disk, failing writes and syncs, a locked database: 429 or the truth, and all is well afterwards.

300 disk failures by default, 50 limits and 40 locks besides; ``SCIM_BRIDGE_DISK_POINTS=3000`` for more.
``python -m tests.faults.failing_disk --points N --seed S`` replays.
"""

import asyncio
from pathlib import Path

from tests.faults.bridges import prepare
from tests.faults.disk import Disk
from tests.faults.failing_disk import BUDGET, LOCKS, lane
from tests.faults.instruments import run, size
from tests.faults.lives import life
from tests.faults.troubles import lock_holder, say
from tests.hang_guard import HANG_SECONDS

SEED = 1
MUST_FIRE = {f"{name} {how}" for name in ("disk full", "write error", "sync error") for how in ("once", "lasting")} | {
    "file size limit",
    "page limit",
    *(f"locked for {seconds:g} s" for seconds in LOCKS),
}


def test_a_database_that_fails_is_never_answered_falsely_and_recovers() -> None:
    """0 false answers, no 5xx, 100 % of the requests come to their end afterwards."""
    points = size("SCIM_BRIDGE_DISK_POINTS", 300)
    report = run("failing_disk", "--points", str(points), "--seed", str(SEED))
    print(f"failing disk: {report}")
    assert report["violations"] == []
    assert sum(report["fired"].values()) >= points
    assert {name for name, fired in report["fired"].items() if fired} == MUST_FIRE
    assert set(map(int, report["statuses"])) <= {0, 200, 201, 204, 429}
    assert int(report["statuses"]["429"]) > 0


async def test_a_lock_without_end_is_answered_429_and_reads_go_on(tmp_path: Path) -> None:
    """With production's settings: the writer waits its five seconds, the client hears 429, readers wait for nobody."""
    async with lane(tmp_path / "bridge.db", await prepare(tmp_path), Disk(), budget=BUDGET) as one:
        subject = life("ada", "create")
        request = one.client.request(subject, subject.steps[0], "")
        with lock_holder() as holder:
            assert say(holder, str(one.database)) == "held"
            writing = asyncio.create_task(one.bridge.send(*request))
            assert (await one.bridge.send("GET", "/Users?count=1", None)).status == 200
            refused = await asyncio.wait_for(writing, HANG_SECONDS)
            assert say(holder, "") == "free"
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) > 0
        assert one.hubspot.calls.matching("POST", "/settings/users/") == []
        assert (await one.bridge.send(*request)).status == 201
