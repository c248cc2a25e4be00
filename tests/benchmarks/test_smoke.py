"""The benchmark itself runs; what it measures is no test."""

from pathlib import Path

from tests.benchmarks.__main__ import Sizes, run
from tests.benchmarks.report import document, machine

TINY = Sizes(small=6, large=20, group=8, rounds=1, number=3, slow=1, percentile=40)


async def test_every_operation_is_measured_on_every_system_and_shown(tmp_path: Path) -> None:
    """Each table has all its rows, and each row a figure above zero on both sides."""
    beside_peer, growth, goals = await run(tmp_path, TINY, seed=1)

    requests = ["GET /Users/{id}", "GET /Users?filter", "GET /Users, any page", "POST /Users", "PATCH /Users/{id}"]
    joins = ["PATCH /Groups/{id}, +1 member"]
    assert _named(beside_peer.rows, requests + 2 * joins)
    assert _named(growth.rows, requests + joins)
    assert _named(goals.rows, ["GET /Users/{id}, p99", *joins, "mixed reads and writes"])
    for row in beside_peer.rows + growth.rows:
        assert len(row) == 7
        assert all(float(cell.rstrip(" ×").replace(",", "")) > 0 for cell in row[1:])
    page = document(machine(1), [beside_peer, growth, goals])
    assert all(row[0] in page for table in (beside_peer, growth, goals) for row in table.rows)


def _named(rows: list[tuple[str, ...]], names: list[str]) -> bool:
    return len(rows) == len(names) and all(row[0].startswith(name) for row, name in zip(rows, names, strict=True))
