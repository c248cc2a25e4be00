"""The benchmark itself runs; what it measures is no test."""

from pathlib import Path

from tests.benchmarks import beside
from tests.benchmarks.__main__ import Sizes, sockets, within
from tests.benchmarks.picture import picture
from tests.benchmarks.report import beside_each_other, document, machine, wholes

TINY = Sizes(small=6, large=20, huge=0, group=8, rounds=1, number=3, seconds=0.2, percentile=40)


async def test_every_operation_is_measured_in_this_process_and_shown(tmp_path: Path) -> None:
    """Each table has all its rows, and each row a figure above zero on both sides."""
    growth, goals = await within(tmp_path, TINY, seed=1)

    requests = ["GET /Users/{id}", "GET /Users?filter", "GET /Users, any page", "POST /Users", "PATCH /Users/{id}"]
    joins = ["PATCH /Groups/{id}, +1 member"]
    assert _named(growth.rows, requests + joins)
    assert _named(goals.rows, ["GET /Users/{id}, p99", *joins, "mixed reads and writes"])
    for row in growth.rows:
        assert len(row) == 7
        assert all(float(cell.rstrip(" ×").replace(",", "")) > 0 for cell in row[1:])
    page = document(machine(1), [growth, goals])
    assert all(row[0] in page for table in (growth, goals) for row in table.rows)


def test_every_operation_is_measured_over_sockets_and_shown(tmp_path: Path) -> None:
    """Each system answers each operation with success, in a process of its own; no earlier commit is at hand."""
    rows, seen = sockets(tmp_path, TINY, None)

    assert [row.operation for row in rows] == [*beside.READS, *beside.WRITES]
    for row in rows:
        assert row.costs.keys() >= ({"scim2-server", "this"} if row.operation.slow else {"this"})
        assert ("floor" in row.costs) == (row.operation in (beside.RETRIEVE, beside.SEARCH))
        assert all(value > 0 for cost in row.costs.values() for value in (*cost.wall, *cost.busy))
    (table,) = beside_each_other(rows, 20, 0, None)
    page = document(machine(1), [table, wholes(seen, None)])
    assert [set(whole.of) for whole in seen] == [{"scim2-server", "this"}, {"this"}]
    assert all(whole.name in page and value > 0 for whole in seen for value in whole.of.values())
    assert all(row.operation.name in page and row.operation.goal in page for row in rows)
    compared = [beside.Row(row.operation, row.users, row.costs | {"base": row.costs["this"]}) for row in rows]
    assert all(row.operation.name.partition("{")[0] in picture(compared, "8256e3b") for row in rows)


def _named(rows: list[tuple[str, ...]], names: list[str]) -> bool:
    return len(rows) == len(names) and all(row[0].startswith(name) for row, name in zip(rows, names, strict=True))
