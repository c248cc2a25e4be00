"""The table of results."""

import json
from pathlib import Path

import pytest

from tests.faults import evidence
from tests.faults.instruments import Run

KILLS = {"kills": 5, "distinct": 5, "double": 1, "violations": [], "slowest": 0.5, "fired": {"before COMMIT": 5}}
IMAGES = {"images": {"lost": 3, "torn": 4}, "unsynced": 6, "lost": 0, "damaged": 0}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page is to be, beside a README with the marks."""
    (tmp_path / "README.md").write_text(f"before\n{evidence.BEGIN}old\n{evidence.END}after\n", encoding="utf-8")
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    return tmp_path / "evidence.md"


def measured(*runs: Run, failed: frozenset[str] = frozenset()) -> dict[str, evidence.Row]:
    """Return the rows of some runs."""
    return evidence.measured(runs, failed)


def test_shares_of_a_run_are_one_row() -> None:
    """Counts are added, seeds and faults collected; the slowest is the slowest of all."""
    shares = [Run("killing", ("--seed", str(seed)), {**KILLS, "slowest": float(seed)}, 2.0, 1.0) for seed in range(4)]
    row = measured(*shares)["killing"]
    assert row.figures == "20 kills at 20 points, 4 twice: 0 lost, doubled or different; recovered within 3.0 s"
    assert (row.seeds, row.cpu, row.seconds, row.fired) == ("0–3", 4.0, 8.0, {"before COMMIT": 20})


def test_a_partial_run_replaces_its_own_rows_only(page: Path) -> None:
    """What another run measured stays, with its date and commit."""
    earlier = measured(Run("power", (), IMAGES), Run("killing", (), KILLS))
    earlier["power"].date = "2026-01-01"
    evidence.write(page, earlier)
    evidence.write(page, measured(Run("killing", (), {**KILLS, "kills": 7})))
    kept = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert kept["power"]["date"] == "2026-01-01"
    assert "7 images" in page.read_text(encoding="utf-8")
    assert "7 kills" in page.read_text(encoding="utf-8")


def test_variants_of_an_instrument_are_rows_of_their_own() -> None:
    """A start in peace and one after a kill are two promises; so are what waits and what an outage left."""
    start = {"ready": 1.5, "first_removal": 1.25, "used": 0.99, "fullest_window": 100, "answered_429": 0}
    start |= {"deactivations": 100, "deactivation_p99": 1.2}
    rows = measured(
        Run("replicas.backlog", ("sqlite",), start),
        Run("replicas.backlog", ("sqlite", "--killed"), start | {"ready": 5.0}),
    )
    assert list(rows) == ["replicas.backlog", "replicas.backlog --killed"]
    assert rows["replicas.backlog"].figures == (
        "ready after 1.5 s, first removal sent after 1.2 s; 99.0% of the limit used, at most 100 calls of 100 in ten"
        " seconds, 0 × 429; 100 deactivations: p99 1.2 s"
    )
    assert rows["replicas.backlog --killed"].figures.startswith("ready after 5.0 s")


def test_what_failed_says_so_everywhere(page: Path) -> None:
    """A failed test, or an instrument that ended with an error, is not shown as a success."""
    rows = measured(Run("killing", (), KILLS), Run("power", (), {}), failed=frozenset({"killing"}))
    evidence.write(page, rows)
    assert not any(row.passed for row in rows.values())
    assert page.read_text(encoding="utf-8").count("**FAILED**") == 2
    readme = (page.parent / "README.md").read_text(encoding="utf-8")
    assert readme.count("**FAILED**") == 2
    assert readme.startswith("before\n")
    assert readme.endswith("after\n")
    assert "old" not in readme
