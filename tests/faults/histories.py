"""Deterministic fault histories on HubSpot: runs a range of seeds, or replays one (``--seed 42 --trace``).

A history is decided by its seed and by the order of Python's sets; so this program fixes the seed of hashes.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import resource
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scim_bridge.store import tokens
from tests.faults import planted
from tests.faults.hubspot_world import HubSpotWorld
from tests.faults.instruments import workplace
from tests.faults.promises.edges import Edges
from tests.faults.promises.watching import Watched
from tests.faults.simulation import OPERATIONS, History, Report, Template, Violation, run_history
from tests.faults.simulation.witness import CONNECTION


@dataclass
class Run:
    """What a range of histories came to.

    :param failed: What was violated, by seed.
    :param fired: How often each fault struck.
    :param counts: What happened, by name.
    :param cpu: Seconds of CPU.
    :param megabytes: The most memory the process had.
    """

    histories: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    megabytes: float = 0.0


def kind_of(seed: int) -> type[Watched]:
    """Return what happens in the history of a seed."""
    return Edges if seed % 2 else Watched


class Histories:
    """Runs histories on copies of one database.

    :param directory: Where the databases are; memory is best.
    """

    def __init__(self, directory: Path) -> None:
        self._template = Template(directory)
        token, record = tokens.mint(CONNECTION, now=datetime(2026, 1, 1, tzinfo=UTC), environment="test")
        asyncio.run(self._template.make(lambda tx: tokens.create(tx, record)))
        self._authorization = f"Bearer {token}"

    def one(self, seed: int, operations: int = OPERATIONS, kind: type[History] | None = None) -> Report:
        """Run one history; what stops it with an error is a violation too."""
        report = Report(seed)
        kind = kind or kind_of(seed)
        remote = kind.remote if issubclass(kind, Watched) else HubSpotWorld
        try:
            run_history(report, self._template, self._authorization, remote, operations=operations, kind=kind)
        except Exception:  # noqa: BLE001 - whatever it is, it belongs to this seed
            report.violations.append(Violation("error", 0.0, traceback.format_exc()))
        return report

    def many(self, first: int, number: int, most_failures: int) -> Run:
        """Run a range of seeds."""
        run = Run()
        for seed in range(first, first + number):
            report = self.one(seed)
            run.histories += 1
            run.fired += report.fired
            run.counts += report.counts
            if report.violations:
                told = [f"{one.invariant} at {one.at:.3f} s: {one.detail}" for one in report.violations]
                run.failed[seed] = told
                if len(run.failed) >= most_failures:
                    break
            gc.collect()
            if run.histories == 1:  # what is there now stays: models, compiled statements
                gc.freeze()
                gc.disable()  # between two histories is time enough
            if report.violations or run.histories % 10 == 0:
                print(
                    f"{run.histories} of {number}, {len(run.failed)} failed",
                    *report.violations[:1],
                    file=sys.stderr,
                    flush=True,
                )
        run.cpu = time.process_time()
        run.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return run

    def shortest(self, seed: int) -> Report:
        """Return the history of a seed with as few operations as still violate an invariant."""
        low, high, found = 1, OPERATIONS, self.one(seed)
        while low < high:
            middle = (low + high) // 2
            shorter = self.one(seed, middle)
            if shorter.violations:
                high, found = middle, shorter
            else:
                low = middle + 1
        return found


def main() -> None:
    """Run as a program."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "tests.faults.histories", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed of a range")
    parser.add_argument("--histories", type=int, default=100, help="how many")
    parser.add_argument("--most-failures", type=int, default=10, help="end the run after so many")
    parser.add_argument("--seed", type=int, help="replay one")
    parser.add_argument("--trace", action="store_true", help="show what happens in it")
    parser.add_argument("--shrink", action="store_true", help="find its shortest beginning that fails")
    parser.add_argument("--defect", choices=sorted(planted.DEFECTS), default=None)
    options = parser.parse_args()
    if options.defect:
        planted.DEFECTS[options.defect]()
    logging.disable(logging.CRITICAL)  # tasks of killed bridges, found when their memory is collected
    with workplace("histories") as directory:
        histories = Histories(directory)
        if options.seed is None:
            print(json.dumps(vars(histories.many(options.first, options.histories, options.most_failures))))
            return
        report = histories.shortest(options.seed) if options.shrink else histories.one(options.seed)
        if options.trace or options.shrink:
            print("\n".join(report.trace))
        print(report)
        sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
