"""All pairs of modes, aliases, seats, renames, tiers and further parts of a configuration, each lived through."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.hubspot.tests.configured.life import EVENTS_BY_NAME
from plugins.hubspot.tests.configured.lives import COMBINED
from plugins.hubspot.tests.connector.pairwise import covering_array

ROOT = Path(__file__).parents[4]
ROWS = covering_array(COMBINED)
SHARES = 3


def lived(first: int, number: int) -> dict[str, Any]:
    """Run lives in a process of their own, whose hashes have a seed."""
    command = [sys.executable, "-m", "plugins.hubspot.tests.configured.lives"]
    ended = subprocess.run(
        [*command, "--first", str(first), "--lives", str(number)], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("share", range(SHARES))
def test_every_answer_is_true_and_in_the_end_nothing_is_left_untold(share: int) -> None:
    """Whatever is renamed, deleted, configured anew and switched: no account is nobody's, and no answer is wrong."""
    run = lived(share * len(ROWS), len(ROWS))
    happened = {name: run["counts"].get(name, 0) for name in EVENTS_BY_NAME}
    print(
        f"{run['lives']} lives of {len(ROWS)} combinations, {run['pairs']} pairs of {len(COMBINED)} parts,"
        f" {sum(happened.values())} events, {run['cpu']:.0f} s CPU"
    )
    print(", ".join(f"{name} {count}" for name, count in happened.items()))
    for life, violations in run["failed"].items():
        print(
            f"replay: python -m plugins.hubspot.tests.configured.lives --life {life} --trace", *violations, sep="\n  "
        )
    assert run["failed"] == {}
    assert min(happened.values()) >= 3
    assert run["pairs"] == len(
        {
            (one, a, other, b)
            for one in COMBINED
            for other in COMBINED
            if one < other
            for a in COMBINED[one]
            for b in COMBINED[other]
        }
    )
