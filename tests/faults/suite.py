"""Runs tests of other tiers as an instrument: ``python -m tests.faults.suite TEST... --defect NAME``."""

import argparse
import json
import os
import re
import subprocess
import sys

from tests.faults.defects import DEFECTS
from tests.faults.instruments import ROOT
from tests.faults.plant import VARIABLE


def main() -> None:
    """Run as a program; print which tests failed, and how many there were."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--defect", choices=sorted(DEFECTS), required=True)
    arguments = parser.parse_args()
    plugins = ["-p", "tests.faults.plant", "-p", "no:cacheprovider", "-p", "no:randomly"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", *plugins, *arguments.tests],
        cwd=ROOT,
        env={**os.environ, VARIABLE: arguments.defect},
        capture_output=True,
        check=False,
        text=True,
    )
    counts = {outcome: int(count) for count, outcome in re.findall(r"(\d+) (passed|failed|error)", ended.stdout)}
    if not counts or "error" in counts:
        sys.exit(f"pytest ended with {ended.returncode}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    failed = re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE)
    print(json.dumps({"tests": sum(counts.values()), "violations": failed}))


if __name__ == "__main__":
    main()
