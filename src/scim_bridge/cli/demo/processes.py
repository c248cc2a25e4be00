"""Starts the demonstration's processes so that none of them outlives it, however it ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

WATCHDOG = "import os, signal, sys; sys.stdin.buffer.read(); os.killpg(0, signal.SIGKILL)"
"""Waits for the end of its standard input, then kills its process group, itself included."""

POLL_SECONDS = 0.02
TAIL_LINES = 12


class ProcessFailedError(Exception):
    """A process did not start, or a deadline passed; the message says which, with the end of its log."""


class ProcessGroup:
    """Processes that end together: when the group is left, and also when this process is killed.

    They are in a process group of their own, so that Ctrl-C reaches only this process. A watchdog in the group holds a
    pipe to it; once the pipe closes, for whatever reason, the watchdog kills the group.

    :param directory: Where logs are written.
    """

    def __init__(self, directory: Path, watchdog: Process) -> None:
        self.directory = directory
        self._watchdog = watchdog
        self._started: list[Process] = []

    async def start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start a process; its standard output and error go to its log.

        :param name: Of the process and of its log; a process of the same name continues the log.
        :param environment: Variables on top of this process's own.
        """
        with self.log(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                process_group=self._watchdog.pid,
            )
        self._started.append(process)
        return process

    async def output(self, name: str, *command: str) -> str:
        """Run a command to its end and return what it printed. :raises ProcessFailedError: When it fails."""
        with self.log(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=self._watchdog.pid,
            )
        self._started.append(process)
        printed, _ = await process.communicate()
        if process.returncode != 0:
            raise self.failure(name, f"ended with status {process.returncode}")
        return printed.decode().strip()

    async def end(self) -> None:
        """Kill every process of the group, and wait until they are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._watchdog.pid, signal.SIGKILL)
        await asyncio.gather(*(process.wait() for process in (self._watchdog, *self._started)))

    def log(self, name: str) -> Path:
        """Return where a process writes."""
        return self.directory / f"{name}.log"

    def failure(self, name: str, message: str) -> ProcessFailedError:
        """Return the error of a process, with the end of what it wrote."""
        return ProcessFailedError(f"{name}: {message}\n{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """Return the end of a process's log."""
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    async def wait_for(
        self, name: str, process: Process, condition: Callable[[], Awaitable[bool]], *, seconds: float, what: str
    ) -> None:
        """Wait until a condition of a process holds.

        :raises ProcessFailedError: When the process ends first, or the deadline passes.
        """
        deadline = time.monotonic() + seconds
        while not await condition():
            if process.returncode is not None:
                raise self.failure(name, f"ended with status {process.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(name, f"{what} took longer than {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def process_group(directory: Path) -> AsyncIterator[ProcessGroup]:
    """Open a process group, for the length of a ``with`` block."""
    watchdog = await asyncio.create_subprocess_exec(
        sys.executable,
        "-IS",
        "-c",
        WATCHDOG,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    processes = ProcessGroup(directory, watchdog)
    try:
        yield processes
    finally:
        await processes.end()


def executable(name: str) -> str:
    """Return the command that was installed beside this Python. :raises ProcessFailedError: When there is none."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ProcessFailedError(f"{name} is not installed beside {Path(sys.executable).name}; pip install {name}")
    return str(path)
