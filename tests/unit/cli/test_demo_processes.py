"""No process of the demonstration outlives it."""

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from scim_bridge.cli.demo.processes import ProcessFailedError, executable, process_group
from tests.hang_guard import HANG_SECONDS

SLEEPER = (sys.executable, "-IS", "-c", "import time; print('awake', flush=True); time.sleep(600)")


def gone(pid: int) -> bool:
    """Tell whether a process has ended; an orphan that nobody has waited for yet has, too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() == "" or state.startswith("Z")


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is no child of this one."""
    deadline = time.monotonic() + HANG_SECONDS
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} outlived its group"
        time.sleep(0.02)


async def test_leaving_the_group_ends_its_processes(tmp_path: Path) -> None:
    """Whatever was started is killed, also when the group is left by an exception."""
    started = []

    async def fail() -> None:
        async with process_group(tmp_path) as processes:
            started.extend([await processes.start(name, *SLEEPER) for name in ("one", "two")])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await fail()
    await asyncio.gather(*(process.wait() for process in started))
    assert [process.returncode for process in started] == [-9, -9]


def test_killing_the_demonstration_ends_its_processes(tmp_path: Path) -> None:
    """SIGKILL leaves no time to clean up; the watchdog does it."""
    program = textwrap.dedent(
        f"""
        import asyncio, pathlib
        from scim_bridge.cli.demo.processes import process_group

        async def main():
            async with process_group(pathlib.Path({str(tmp_path)!r})) as processes:
                process = await processes.start("sleeper", *{SLEEPER!r})
                print(process.pid, flush=True)
                await process.wait()

        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as demonstration:
        assert demonstration.stdout is not None
        pid = int(demonstration.stdout.readline())
        assert not gone(pid)
        demonstration.kill()
    wait_until_gone(pid)


async def test_a_process_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """Who waits for a process hears why it ended."""

    async def never() -> bool:
        return False

    async with process_group(tmp_path) as processes:
        process = await processes.start("server", sys.executable, "-c", "raise SystemExit('no such connector')")
        with pytest.raises(ProcessFailedError, match="server: ended with status 1\nno such connector"):
            await processes.wait_for("server", process, never, seconds=HANG_SECONDS, what="the start")


async def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    """A process that never gets ready is an error, not a wait without end."""

    async def never() -> bool:
        return False

    async with process_group(tmp_path) as processes:
        process = await processes.start("server", *SLEEPER)
        with pytest.raises(ProcessFailedError, match="server: the start took longer than 0 s"):
            await processes.wait_for("server", process, never, seconds=0.1, what="the start")


async def test_a_command_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """What a command prints is returned only when it succeeded."""
    async with process_group(tmp_path) as processes:
        assert await processes.output("greeting", sys.executable, "-c", "print('hello')") == "hello"
        with pytest.raises(ProcessFailedError, match="refusal: ended with status 1\nnot today"):
            await processes.output("refusal", sys.executable, "-c", "raise SystemExit('not today')")


def test_a_command_that_is_not_installed_is_one_clear_line() -> None:
    """The demonstration needs the plugin, and says so."""
    with pytest.raises(ProcessFailedError, match="scim-bridge-nowhere is not installed beside"):
        executable("scim-bridge-nowhere")
