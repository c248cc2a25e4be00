"""``python -m tests.benchmarks``: measure, print and, if asked, write a page and its picture.

``--base 8256e3b`` measures that commit beside this build. The tables over sockets come first; growth and the goals are
measured in one process.
"""

import argparse
import asyncio
import contextlib
import gc
import random
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.benchmarks import beside, operations
from tests.benchmarks.measurement import Sample, compare, p99, percentile, throughput
from tests.benchmarks.operations import Operation
from tests.benchmarks.picture import picture
from tests.benchmarks.report import Figures, beside_each_other, document, machine, milliseconds, show, wholes
from tests.benchmarks.systems import System, bridge_system

CLIENTS = 8


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    :param small: Users of the small directory; its largest group holds all of them.
    :param large: The same of the large one, and of every system over sockets.
    :param huge: Users of the directory whose lists are measured; 0: none is.
    :param group: Members of the group in between.
    :param rounds: How often the systems of a comparison take turns.
    :param number: Requests of one side in a round.
    :param seconds: How long a system is asked over sockets in a round, at most.
    :param percentile: Requests behind a 99th percentile of reads; of group changes it is a quarter.
    """

    small: int = 100
    large: int = 10_000
    huge: int = beside.HUGE
    group: int = 1_000
    rounds: int = 5
    number: int = 40
    seconds: float = 0.5
    percentile: int = 4_000

    @property
    def spare(self) -> int:
        """How many Users are in no group, to be added to one."""
        return max(self.number, self.percentile // 20)


@dataclass(frozen=True, slots=True)
class Systems:
    """The bridge with a small and with a large directory, in this process."""

    small: System
    large: System


async def within(directory: Path, sizes: Sizes, seed: int) -> list[Figures]:
    """Measure what is measured in this process, and return the tables.

    :param directory: Where the databases go; it should lie on a disk.
    """
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        systems = Systems(
            await enter(bridge_system(directory / "small", sizes.small, sizes.spare, (sizes.small,))),
            await enter(bridge_system(directory / "large", sizes.large, sizes.spare, (sizes.group, sizes.large))),
        )
        gc.collect()
        return [await growth(systems, sizes, chance), await goals(systems, sizes, chance)]


async def growth(systems: Systems, sizes: Sizes, chance: random.Random) -> Figures:
    """Compare the bridge with itself: what a request costs in a large directory against a small one."""
    figures = Figures(
        f"The bridge with {sizes.large:,} users against {sizes.small:,}",
        "Medians of one request; × tells how many times what the small directory needs the large one needs.",
        ("", *(f"{who}{unit}" for unit in (", ms of CPU", ", ms") for who in ("large", "small", "×"))),
    )
    for operation in (*operations.EVERYWHERE, operations.JOIN_LARGEST):
        numbers = (sizes.number, sizes.number)
        pair = await compare((systems.large, systems.small), operation, chance, sizes.rounds, numbers)
        figures.pair(operation.name, *pair, inverse=True)
    return figures


async def goals(systems: Systems, sizes: Sizes, chance: random.Random) -> Figures:
    """Hold the bridge with the large directory against the project's goals."""
    large = systems.large
    reads = await percentile(large, operations.RETRIEVE, chance, sizes.percentile, sizes.percentile)
    joins = await percentile(large, operations.JOIN_LARGEST, chance, sizes.percentile // 4, sizes.spare)
    per_second, per_processor_second = await throughput(large, chance, sizes.percentile // 4, CLIENTS)
    rows: list[tuple[str, ...]] = [
        _p99(operations.RETRIEVE, reads, "< 50 ms"),
        _p99(operations.JOIN_LARGEST, joins, "< 100 ms"),
        ("mixed reads and writes, a second", f"{per_second:,.0f}", f"{per_processor_second:,.0f}", "≥ 25"),
    ]
    return Figures(
        "Goals",
        f"One connection, {sizes.large:,} users. The mixture of {CLIENTS} clients is 4 GET by id, 3 searches for a "
        "userName, 1 POST, 1 deactivation and 1 addition to the group that everybody is in, in random order.",
        ("", "measured", "in CPU time", "goal"),
        rows,
    )


def _p99(operation: Operation, sample: Sample, goal: str) -> tuple[str, ...]:
    name = f"{operation.name}, p99 of {len(sample.wall):,}"
    return name, f"{milliseconds(p99(sample.wall))} ms", f"{milliseconds(p99(sample.busy))} ms", goal


def sockets(directory: Path, sizes: Sizes, base: str | None) -> tuple[list[beside.Row], list[beside.Whole]]:
    """Measure what is measured over sockets.

    :param base: The commit beside this build.
    """
    with contextlib.ExitStack() as stack:
        sources = None if base is None else stack.enter_context(beside.sources_of(base, directory))
        return beside.tables(
            directory, sources, users=sizes.large, huge=sizes.huge, rounds=sizes.rounds, seconds=sizes.seconds
        )


def main() -> None:
    """Measure at full size."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--seed", type=int, default=20, help="of all choices")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="how often the systems take turns")
    parser.add_argument("--huge", type=int, default=Sizes.huge, help="users of the directory whose lists are measured")
    parser.add_argument("--directory", type=Path, help="where the databases of the systems go, and stay")
    parser.add_argument("--base", help="a commit that is measured beside this build")
    parser.add_argument("--document", type=Path, help="the page to write; its picture goes beside it")
    arguments = parser.parse_args()
    sizes = Sizes(rounds=arguments.rounds, huge=arguments.huge)
    line = machine(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        rows, seen = sockets(arguments.directory or Path(temporary), sizes, arguments.base)
        tables = beside_each_other(rows, sizes.large, sizes.huge, arguments.base)
        tables.append(wholes(seen, arguments.base))
        _write(arguments.document, line, tables, picture(rows, arguments.base))  # what follows takes minutes again
        tables += asyncio.run(within(Path(temporary), sizes, arguments.seed))
    console = Console()
    console.width = max(console.width, 120)
    show(console, line, tables)
    _write(arguments.document, line, tables, picture(rows, arguments.base))


def _write(page: Path | None, line: str, tables: list[Figures], drawn: str) -> None:
    if page is not None:
        page.write_text(document(line, tables), encoding="utf-8")
        page.with_suffix(".svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
