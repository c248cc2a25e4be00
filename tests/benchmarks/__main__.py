"""``python -m tests.benchmarks``: measure, print and, if asked, write a page."""

import argparse
import asyncio
import gc
import random
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.benchmarks import operations
from tests.benchmarks.measurement import Sample, compare, p99, percentile, throughput
from tests.benchmarks.operations import Operation
from tests.benchmarks.report import Figures, document, machine, milliseconds, show
from tests.benchmarks.systems import System, bridge_system, peer_system

CLIENTS = 8


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    :param small: Users of the small directory; its largest group holds all of them.
    :param large: The same of the large one, and of the peer.
    :param group: Members of the group in between.
    :param rounds: How often the two sides of a comparison take turns.
    :param number: Requests of one side in a round.
    :param slow: Requests of the peer in a round where it takes seconds for each.
    :param percentile: Requests behind a 99th percentile of reads; of group changes it is a quarter.
    """

    small: int = 100
    large: int = 10_000
    group: int = 1_000
    rounds: int = 5
    number: int = 40
    slow: int = 1
    percentile: int = 4_000

    @property
    def spare(self) -> int:
        """How many Users are in no group, to be added to one."""
        return max(self.number, self.percentile // 20)


@dataclass(frozen=True, slots=True)
class Systems:
    """What is measured: the bridge with a small and with a large directory, and the peer with the large one."""

    small: System
    large: System
    peer: System


async def run(directory: Path, sizes: Sizes, seed: int) -> list[Figures]:
    """Measure everything and return the tables.

    :param directory: Where the databases go; it should lie on a disk.
    """
    groups = (sizes.group, sizes.large)
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        systems = Systems(
            await enter(bridge_system(directory / "small", sizes.small, sizes.spare, (sizes.small,))),
            await enter(bridge_system(directory / "large", sizes.large, sizes.spare, groups)),
            await peer_system(sizes.large, sizes.spare, groups),
        )
        gc.collect()
        gc.freeze()  # the peer's directory is Python objects: nobody's requests pay for walking them
        stack.callback(gc.unfreeze)
        return [
            await beside_peer(systems, sizes, chance),
            await growth(systems, sizes, chance),
            await goals(systems, sizes, chance),
        ]


async def beside_peer(systems: Systems, sizes: Sizes, chance: random.Random) -> Figures:
    """Compare the bridge with the peer, both with the large directory."""
    figures = Figures(
        f"Beside scim2-server, {sizes.large:,} users",
        "Medians of one request; × tells how many times what the bridge needs the peer needs.",
        ("", *(f"{who}{unit}" for unit in (", ms of CPU", ", ms") for who in ("bridge", "peer", "×"))),
    )
    fast, slow = (sizes.number, sizes.number), (sizes.number, sizes.slow)
    chosen = [(operation, fast) for operation in operations.EVERYWHERE]
    chosen += [(operations.join(size), slow) for size in (sizes.group, sizes.large)]
    for operation, numbers in chosen:
        pair = await compare((systems.large, systems.peer), operation, chance, sizes.rounds, numbers)
        figures.pair(operation.name, *pair)
    return figures


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


def main() -> None:
    """Measure at full size."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--seed", type=int, default=20, help="of all choices")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="how often the two sides take turns")
    parser.add_argument("--document", type=Path, help="the page to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tables = asyncio.run(run(Path(directory), Sizes(rounds=arguments.rounds), arguments.seed))
    line = machine(arguments.seed)
    console = Console()
    console.width = max(console.width, 120)
    show(console, line, tables)
    if arguments.document:
        arguments.document.write_text(document(line, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
