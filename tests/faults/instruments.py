"""Runs an instrument as a program of its own, and reads what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def size(variable: str, otherwise: int) -> int:
    """Return the size of a run: an environment variable, which ``make evidence`` sets."""
    return int(os.environ.get(variable, otherwise))


def run(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``tests.faults.<module>`` and return the JSON document it prints last."""
    command = [sys.executable, "-m", f"tests.faults.{module}", *arguments]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False, text=True
    )
    assert ended.returncode == 0, f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-4000:]}"
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report
