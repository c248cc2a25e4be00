"""Runs an instrument as a program of its own, and reads what it measured."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PREFIX = "scim-bridge-"
TOLD_EVERY_SECONDS = 10.0


class Run(NamedTuple):
    """What an instrument measured.

    :param module: Below ``tests.faults``.
    :param report: The JSON document it printed last; empty when it failed.
    :param seconds: On the clock.
    :param cpu: Seconds of CPU, all its processes together.
    """

    module: str
    arguments: tuple[str, ...]
    report: dict[str, Any]
    seconds: float = 0.0
    cpu: float = 0.0


RUNS: list[Run] = []
"""Those of this process; the conftest takes them for the evidence."""

progress: list[Callable[[str], None]] = []
"""Who is told how far an instrument is; the conftest puts a function here when somebody waits for it."""


def size(variable: str, otherwise: int) -> int:
    """Return the size of a run: an environment variable, which ``make evidence`` sets."""
    return int(os.environ.get(variable, otherwise))


def run(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``tests.faults.<module>`` and return the JSON document it prints last."""
    command = [sys.executable, "-m", f"tests.faults.{module}", *arguments]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    began, cpu = time.monotonic(), _cpu_of_children()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        errors = _followed(process, " ".join([module, *arguments]))
        status = process.wait()
        output.seek(0)
        lines = output.read().splitlines()
    report: dict[str, Any] = json.loads(lines[-1]) if status == 0 else {}
    RUNS.append(Run(module, arguments, report, time.monotonic() - began, _cpu_of_children() - cpu))
    assert status == 0, f"{' '.join(command)} ended with {status}: {errors[-4000:]}"
    return report


def record(name: str, report: dict[str, Any], seconds: float) -> None:
    """Note what an instrument measured that is no program of its own."""
    plain = json.loads(json.dumps(report))  # it goes from process to process, as the report of a program does
    RUNS.append(Run(name, (), plain, seconds))


def _followed(process: subprocess.Popen[str], name: str) -> str:
    """Return all a process writes to its standard error; tell some of the lines that begin with a number."""
    lines, told = [], time.monotonic()
    for line in process.stderr or ():
        lines.append(line)
        if line[:1].isdigit() and time.monotonic() - told > TOLD_EVERY_SECONDS:
            told = time.monotonic()
            for tell in progress:
                tell(f"{name}: {line.strip()}")
    return "".join(lines)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """Make a directory for an instrument, in memory where there is some, for the length of a ``with`` block.

    It has the number of this process in its name. What killed processes left is removed first.
    """
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
    for left in memory.glob(f"{PREFIX}*-pid*-*"):
        owner = left.name.partition("-pid")[2].partition("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{name}-pid{os.getpid()}-", dir=memory) as directory:
        yield Path(directory)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
