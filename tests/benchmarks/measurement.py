"""Stopwatches: interleaved rounds for ratios, single long runs for percentiles, several clients for throughput."""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks import operations
from tests.benchmarks.operations import Operation
from tests.benchmarks.systems import Request, System


@dataclass(slots=True)
class Sample:
    """What one operation of one system cost.

    :param wall: Seconds of each request, from the call to its answer.
    :param busy: CPU seconds of each request, of all threads, from the call to its answer.
    :param processor: CPU seconds a request of each round, of all threads, with what went on after the answers.
    """

    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def median_wall(self) -> float:
        """The median of the seconds of a request."""
        return statistics.median(self.wall)

    @property
    def median_processor(self) -> float:
        """The median over the rounds of the CPU seconds of a request."""
        return statistics.median(self.processor)


def p99(values: Sequence[float]) -> float:
    """Return what 99 of 100 values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]


async def measure(system: System, operation: Operation, chance: random.Random, number: int, into: Sample) -> None:
    """Send some requests one after the other, add what they cost to a sample, and put the directory back."""
    requests = operation.requests(system, chance, number)
    answers = []
    await settled(system)
    gc.collect()
    began = time.process_time()
    for request in requests:
        at, busy = time.perf_counter(), time.process_time()
        answers.append(await system.send(request))
        into.wall.append(time.perf_counter() - at)
        into.busy.append(time.process_time() - busy)
    await settled(system)
    into.processor.append((time.process_time() - began) / len(requests))
    for request in operation.undo(system, requests, answers):
        await system.send(request)
    await settled(system)


async def compare(
    pair: tuple[System, System],
    operation: Operation,
    chance: random.Random,
    rounds: int,
    numbers: tuple[int, int],
) -> tuple[Sample, Sample]:
    """Measure an operation on two systems in turn (A B A B …), so that what else the machine does strikes both.

    :param numbers: How many requests a round each of them gets.
    """
    samples = (Sample(), Sample())
    for system in pair:
        await measure(system, operation, chance, 1, Sample())  # what is made on first use is made now
    for _ in range(rounds):
        for system, number, sample in zip(pair, numbers, samples, strict=True):
            await measure(system, operation, chance, number, sample)
    return samples


async def percentile(system: System, operation: Operation, chance: random.Random, number: int, portion: int) -> Sample:
    """Send many requests, in portions whose effect is undone in between."""
    sample = Sample()
    while len(sample.wall) < number:
        await measure(system, operation, chance, min(portion, number - len(sample.wall)), sample)
    return sample


async def throughput(system: System, chance: random.Random, number: int, clients: int) -> tuple[float, float]:
    """Let several clients send a mixture of reads (7 of 10) and writes (3 of 10), each one request at a time.

    :return: Requests a second, and requests a CPU second.
    """
    mixture = [
        *operations.RETRIEVE.requests(system, chance, number * 4 // 10),
        *operations.SEARCH.requests(system, chance, number * 3 // 10),
        *operations.CREATE.requests(system, chance, number // 10),
        *operations.DEACTIVATE.requests(system, chance, number // 10),
        *operations.JOIN_LARGEST.requests(system, chance, number // 10),
    ]
    chance.shuffle(mixture)
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_client(system, mixture[first::clients]) for first in range(clients)))
    wall = time.perf_counter() - wall
    await settled(system)
    processor = time.process_time() - processor
    return len(mixture) / wall, len(mixture) / processor


async def _client(system: System, requests: Sequence[Request]) -> None:
    for request in requests:
        await system.send(request)


async def settled(system: System) -> None:
    """Wait until nothing of earlier requests is left to do."""
    if system.settle is not None:
        await system.settle()
