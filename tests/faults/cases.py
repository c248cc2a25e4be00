"""Runs the scripts of what was met at the edges: ``python -m tests.faults.cases``.

Those on HubSpot run in every way to end access, those on teams in both shapes of membership.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from tests.faults.histories import Histories
from tests.faults.instruments import workplace
from tests.faults.promises import defects
from tests.faults.promises.cases import CASES, broken, kind_of
from tests.faults.promises.rules import RULES
from tests.faults.promises.scripts import Scripted
from tests.faults.promises.teams import SHAPES, TEAM_CASES, shaped

MODES = ("remove", "strip", "scim")
"""The ways in which the HubSpot connector ends access."""

ALL = (*MODES, *SHAPES)


def every() -> Iterator[tuple[str, str, type[Scripted]]]:
    """Yield each script in each way to run it."""
    yield from ((name, mode, kind_of(name, mode)) for name in CASES for mode in MODES)
    yield from ((name, shape, shaped(name, shape)) for name in TEAM_CASES for shape in SHAPES)


def main() -> None:
    """Run as a program."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "tests.faults.cases", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="", help="only those with this text in their name")
    parser.add_argument("--mode", choices=ALL, action="append", help="only this way")
    parser.add_argument("--rule", choices=sorted(RULES), default=None, help="tell only what breaks this promise")
    parser.add_argument("--most-failures", type=int, default=100, help="end the run after so many")
    parser.add_argument("--trace", action="store_true", help="show what happens")
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), default=None)
    options = parser.parse_args()
    if options.defect:
        defects.DEFECTS[options.defect]()
    logging.lastResort = None
    tried, failed = 0, dict[str, Any]()
    with workplace("cases") as directory:
        histories = Histories(directory)
        for name, mode, kind in every():
            if options.case in name and mode in (options.mode or ALL) and len(failed) < options.most_failures:
                report = histories.one(1, kind=kind)
                tried += 1
                if options.trace:
                    print("\n".join(report.trace))
                told = [one for one in broken(name, report) if options.rule in {None, one.invariant}]
                if told:
                    failed[f"{name} ({mode})"] = [f"{one.invariant}: {one.detail}" for one in told]
    print(json.dumps({"cases": tried, "failed": failed}))


if __name__ == "__main__":
    main()
