"""What is seen meanwhile, and what can be done afterwards."""

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from scim_bridge.cli.demo.bridge import BridgeProcess
from scim_bridge.cli.demo.story import Tenant
from scim_bridge.testing.clients import Progress as PushProgress


class Stage:
    """A bar for each identity provider, and a line for every chapter that is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def watch(self, tenant: Tenant, progress: PushProgress) -> None:
        """Show a push that ended."""
        waiting = f"{progress.waiting} waiting · " if progress.waiting else ""
        self._progress.update(
            self._bars[tenant.id],
            completed=progress.done,
            total=progress.done + progress.outstanding,
            note=f"{waiting}{progress.note}",
        )

    @contextmanager
    def chapter(self, title: str, tenants: Sequence[Tenant]) -> Iterator[None]:
        """Show a chapter, for the length of a ``with`` block."""
        began = time.monotonic()
        requests = sum(len(tenant.provider.exchanges) for tenant in tenants)
        self._bars = {tenant.id: self._progress.add_task(tenant.title, total=None, note=title) for tenant in tenants}
        yield
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        requests = sum(len(tenant.provider.exchanges) for tenant in tenants) - requests
        seconds = time.monotonic() - began
        self._console.print(f"[green]✓[/] {title}: {requests} SCIM requests in {seconds:.1f} s", highlight=False)


async def explore(
    console: Console, directory: Path, bridge: BridgeProcess, tenants: Sequence[Tenant], tokens: Mapping[str, str]
) -> None:
    """Say where everything is, and stay until Ctrl-C or SIGTERM."""
    first = tenants[0]
    base, token = f"{bridge.url}/{first.id}/scim/v2", tokens[first.id]
    console.print(f"\nThe bridge: {bridge.url} · its files: {directory}")
    for tenant in tenants:
        console.print(f"HubSpot of {tenant.title}: {tenant.portal.url} · SCIM: {bridge.url}/{tenant.id}/scim/v2")
    console.print(f"\nTOKEN={token}\n", soft_wrap=True, highlight=False, markup=False)
    person = min(first.people, key=lambda one: one.id).user_name
    header = '-H "Authorization: Bearer $TOKEN"'
    for line in (
        f"curl {header} '{base}/Users?count=5'",
        f"curl {header} -G '{base}/Users' --data-urlencode 'filter=userName eq \"{person}\"'",
        f"curl '{first.portal.url}/emulator/snapshot'",
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print("\nThe operator's pages, for one browser:")
    console.print(await bridge.console_link(), soft_wrap=True, highlight=False, markup=False)
    console.print("\nCtrl-C ends everything.")
    await _interrupted()


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM, which is no failure here."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
