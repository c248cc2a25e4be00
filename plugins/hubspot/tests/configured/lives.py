"""Lives of configured connections: runs the combinations of a covering array, or replays one (``--life 7 --trace``)."""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from plugins.hubspot.tests.configured.configurations import CONTRADICTIONS, FACTORS, drawn, settings_of
from plugins.hubspot.tests.configured.life import Life
from plugins.hubspot.tests.configured.portal import ConfiguredPortal
from plugins.hubspot.tests.connector.pairwise import covering_array, pairs_of
from scim_bridge.store import tokens
from scim_bridge_hubspot.config import HubSpotConfig
from tests.faults.simulation import Report, Template, Violation, run_history
from tests.faults.simulation.witness import CONNECTION

MODULE = "plugins.hubspot.tests.configured.lives"
TIERS = ("free", "starter", "professional", "enterprise")
SWITCHES = {
    "put_mode": ("replace", "merge"),
    "unknown_team": ("400", "404"),
    "unknown_role": ("400", "404"),
    "duplicate_create": ("400", "409"),
    "create_deactivated": ("409", "reactivate", "400"),
    "default_seat": ("assigned", "none"),
}
"""Readings of HubSpot's behaviour that matter here."""

COMBINED: dict[str, tuple[str, ...]] = {**{part: tuple(all_) for part, all_ in FACTORS.items()}, "tier": TIERS}


@dataclass
class Run:
    """What lives came to. :param failed: What was violated, by the number of the life."""

    lives: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    cpu: float = 0.0


class Lives:
    """Runs lives on copies of one database. :param directory: Where the databases are."""

    def __init__(self, directory: Path) -> None:
        self._template = Template(directory)
        token, record = tokens.mint(CONNECTION, now=datetime(2026, 1, 1, tzinfo=UTC), environment="test")
        asyncio.run(self._template.make(lambda tx: tokens.create(tx, record)))
        self._authorization = f"Bearer {token}"
        self.rows = covering_array(COMBINED)

    def one(self, number: int) -> Report:
        """Run one life: its number names the combination, and with it what happens."""
        row = self.rows[number % len(self.rows)]
        report, random = Report(number), Random(f"{number}/configuration")
        settings = settings_of(row, random)
        switches = {name: random.choice(readings) for name, readings in SWITCHES.items()}
        kind = type("Drawn", (Life,), {"parts": {part: row[part] for part in FACTORS}})

        def portal(seed: int) -> Any:
            return ConfiguredPortal(seed, row["tier"], switches, settings)

        report.trace.append(f"{row} {switches}")
        try:
            run_history(report, self._template, self._authorization, portal, kind=kind)
        except Exception:  # noqa: BLE001 - whatever it is, it belongs to this life
            report.violations.append(Violation("error", 0.0, traceback.format_exc()))
        return report

    def many(self, first: int, number: int, most_failures: int = 100) -> Run:
        """Run some lives, after it was made sure that no configuration which contradicts itself would start one."""
        run, pairs = Run(), set[Any]()
        if started := accepted_contradictions():
            run.failed[-1] = started
        for life in range(first, first + number):
            if len(run.failed) >= most_failures:
                break
            report = self.one(life)
            run.lives += 1
            run.counts += report.counts
            pairs |= pairs_of(self.rows[life % len(self.rows)])
            if report.violations:
                run.failed[life] = [f"{one.invariant}: {one.detail}" for one in report.violations]
                print(f"{run.lives} of {number}", life, *run.failed[life][:1], file=sys.stderr, flush=True)
        run.pairs, run.cpu = len(pairs), time.process_time()
        return run


def accepted_contradictions() -> list[str]:
    """Return the contradictions that a configuration may have and still be accepted."""
    found = []
    for contradict in CONTRADICTIONS:
        random = Random(contradict.__name__)
        made = contradict(settings_of(drawn(random), random), random)
        with suppress(ValidationError):
            HubSpotConfig.model_validate(made.settings)
            found.append(f"accepted: {' and '.join(made.entries)}")
    return found


def main(
    module: str = MODULE,
    defects: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> None:
    """Run as a program.

    :param module: The program's name, to begin it again with a seed of hashes.
    :param defects: What may be planted, by name.
    """
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--lives", type=int, default=0, help="how many; all combinations once by default")
    parser.add_argument("--life", type=int, help="replay one")
    parser.add_argument("--trace", action="store_true", help="show what happens in it")
    parser.add_argument("--most-failures", type=int, default=100, help="end the run after so many")
    parser.add_argument("--defect", choices=sorted(defects), default=None)
    options = parser.parse_args()
    if options.defect:
        defects[options.defect]()
    logging.lastResort = None
    with tempfile.TemporaryDirectory(prefix="lives-") as directory:
        lives = Lives(Path(directory))
        if options.life is None:
            print(json.dumps(vars(lives.many(options.first, options.lives or len(lives.rows), options.most_failures))))
            return
        report = lives.one(options.life)
        if options.trace:
            print("\n".join(report.trace))
        print(report)
        sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
