"""The power is cut under a bridge at work: what was answered is on the disk, whatever became of unsynced writes.

1,000 images by default; ``SCIM_BRIDGE_IMAGES=5000`` for more. ``python -m tests.faults.power --images N --seed S``
replays. How the writes are recorded: :mod:`tests.faults.disk`.
"""

from tests.faults.instruments import run, size

SEED = 1


def test_no_power_cut_loses_an_answered_write_or_damages_the_database() -> None:
    """Every image opens, passes the integrity check and holds every intent that had been answered."""
    images = size("SCIM_BRIDGE_IMAGES", 1000)
    report = run("power", "--images", str(images), "--seed", str(SEED))
    print(f"power cut: {report}")
    assert report["examples"] == []
    assert (report["lost"], report["damaged"]) == (0, 0)
    assert sum(report["images"].values()) == images
    assert min(report["images"][mode] for mode in ("lost", "some", "torn")) >= images // 3
    assert report["unsynced"] >= images // 4, "hardly anything was at risk"
    assert report["checkpoints"] >= 2, "the database file itself was never at risk"


def test_the_control_loses_writes() -> None:
    """With ``synchronous=NORMAL`` the same instrument finds lost writes: it is not blind."""
    report = run("power", "--images", "150", "--seed", str(SEED), "--defect", "synchronous_normal")
    print(f"power cut, control with synchronous=NORMAL: {report}")
    assert report["lost"] > 0
