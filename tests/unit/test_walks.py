"""The walks of ``tests/walks.py`` lead through a running bridge, and cost the calls that the documents tell."""

import subprocess
import sys

MOST = {
    "GET userName eq": (45, 1),
    "User PATCH name": (530, 12),
    "Group PATCH, one member": (590, 15),
    "User PATCH active false": (565, 15),
}
"""Moves between files, and transactions of the store, of a walk at most; the driver may look once or twice besides."""


def test_every_walk_is_led_and_costs_its_calls() -> None:
    """A read costs no call and one transaction; a removal is looked at, made, and looked at again, a grant only made.

    Moves and transactions may become fewer: whoever needs more says why, and raises the figure.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.walks", "--steps", "GET"], capture_output=True, text=True, check=True
    )

    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert {row[0]: (row[4].split(", ")[0], int(row[5])) for row in rows if row[0].startswith("GET")} == {
        "GET userName eq → 200": ("1 reads", 0)
    }
    assert {row[0]: int(row[5]) for row in rows if not row[0].startswith("GET")} == {
        "User PATCH name → 200": 2,
        "Group PATCH, one member → 204": 1,
        "User PATCH active false → 200": 3,
    }
    assert all(int(row[1]) > int(row[2]) > 5 for row in rows)
    for row in rows:
        moves, transactions = MOST[row[0].partition(" →")[0]]
        assert int(row[3]) <= moves, row
        assert sum(int(part.split()[0]) for part in row[4].split(", ")) <= transactions, row
    assert "scim_bridge/server/application.py" in done.stdout
