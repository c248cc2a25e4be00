"""The figures as tables: with rich in a terminal, with Markdown in ``docs/benchmarks.md``."""

import os
import platform
import sqlite3
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.beside import Row, Whole
from tests.benchmarks.measurement import Sample


@dataclass(frozen=True, slots=True)
class Figures:
    """One table.

    :param title: Its heading.
    :param about: What a reader has to know to read it.
    :param columns: The headings of its columns; the first one names the row.
    """

    title: str
    about: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def pair(self, name: str, one: Sample, other: Sample, *, inverse: bool = False) -> None:
        """Add the row of two samples: CPU time of both and their ratio, then the same of wall time.

        :param inverse: Whether the ratio is how many times the first costs what the second does.
        """
        row = [name]
        for first, second in (
            (one.median_processor, other.median_processor),
            (one.median_wall, other.median_wall),
        ):
            ratio = first / second if inverse else second / first
            row += [milliseconds(first), milliseconds(second), times(ratio)]
        self.rows.append(tuple(row))


NAMES = ("floor", "scim2-server", "base", "this")


def beside_each_other(rows: list[Row], users: int, huge: int, base: str | None) -> list[Figures]:
    """Return the tables of what was measured over sockets.

    :param rows: Of a directory of ``users``, then of one of ``huge``.
    :param base: The commit beside this build.
    """
    sizes = (users, huge) if huge else (users,)
    return [
        _compared(f"Over sockets, {size:,} users", [row for row in rows if row.users == size], base) for size in sizes
    ]


def wholes(found: list[Whole], base: str | None) -> Figures:
    """Return the table of what was seen of the systems as wholes."""
    shown = [name for name in NAMES if any(name in whole.of for whole in found)]
    figures = Figures(
        "Memory and start",
        "Resident memory after all requests above, that of the remote system included where writes reach one; and the "
        "time from the start of the process until it listens, before a directory that is there, the median.",
        ("", *(_named(name, base) for name in shown), "of the base", "goal"),
    )
    for whole in found:
        cells = [f"{whole.of[name]:,.3g} {whole.unit}" if name in whole.of else "" for name in shown]
        ratio = f"{whole.of['this'] / whole.of['base']:.2g} ×" if "base" in whole.of else ""
        figures.rows.append((whole.name, *cells, ratio, whole.goal))
    return figures


def _named(name: str, base: str | None) -> str:
    return f"`{base}`" if name == "base" else "this build" if name == "this" else name


def _compared(title: str, rows: list[Row], base: str | None) -> Figures:
    shown = [name for name in NAMES if any(name in row.costs for row in rows)]
    named = [_named(name, base) for name in shown]
    ratios = ("× base, CPU", "× base, wall", "of the floor", "goal")
    figures = Figures(
        title,
        "Milliseconds a request, of CPU time of the system and then of wall time; medians of the rounds.",
        ("", *(f"{name}, {what}" for what in ("CPU", "wall") for name in named), *ratios),
    )
    for row in rows:
        costs = [row.costs.get(name) for name in shown]
        cells = ["" if cost is None else milliseconds(cost.median_busy) for cost in costs]
        cells += ["" if cost is None else milliseconds(cost.median_wall) for cost in costs]
        this, earlier, floor = row.costs["this"], row.costs.get("base"), row.costs.get("floor")
        cells.append("" if earlier is None else times(faster(earlier.busy, this.busy)))
        cells.append("" if earlier is None else times(faster(earlier.wall, this.wall)))
        cells.append("" if floor is None else f"{faster(floor.busy, this.busy):.0%}")
        figures.rows.append((row.operation.name, *cells, row.operation.goal))
    return figures


def faster(one: list[float], other: list[float]) -> float:
    """Return how many times what the second costs the first costs: the median of the rounds, pair by pair."""
    return statistics.median(first / second for first, second in zip(one, other, strict=True))


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds with three significant digits."""
    value = seconds * 1000
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """Return a ratio with two significant digits."""
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2g} ×"


def machine(seed: int) -> str:
    """Return what the figures depend on, in one line."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} cores, shared with other work "
        f"(load {os.getloadavg()[0]:.1f}); {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; seed {seed}"
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show(console: Console, line: str, tables: list[Figures]) -> None:
    """Print the tables."""
    console.print(line, style="dim")
    for figures in tables:
        table = Table(*figures.columns, title=figures.title, caption=figures.about, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for row in figures.rows:
            table.add_row(*row)
        console.print(table)


HEAD = """\
# Benchmarks

Written by `make bench`, which runs `tests/benchmarks`. Figures, not verdicts: no test fails for a slow machine.

{line}.

![How many times what the earlier commit needs this build needs](benchmarks.svg)

The machine is a shared one with 2 cores; where its load was high, read the ratios and the CPU times, and take wall
times as upper bounds. `make bench BASE=8256e3b` runs each system in a process of its own and asks them in turn over
real sockets, 8 connections at once for what is quickest, one for the rest. CPU times are of all threads of the system
and contain what it does after it has answered, but for the POST of a large group, whose members are brought to the
remote system afterwards: the row below it is of one of these changes, until the last is done. × and shares of the floor
are the median of the rounds, pair by pair; shares are of CPU time. The bridge has all it has in production:
authentication, an SQLite file with `synchronous=FULL`, the access log, the audit chain, the mass-change guard and the
driver, which confirms each write in a remote system that answers at once. scim2-server keeps its directory in memory,
checks no token and confirms nothing. The floor is bare Starlette that answers the bytes of one User. The other tables
are of requests in one process, without sockets.

A read that grows with the directory would be a defect; `tests/unit/store/test_query_plans.py` holds hot statements to
their indexes.
"""


def document(line: str, tables: list[Figures]) -> str:
    """Return the page of the tables."""
    parts = [HEAD.format(line=line)]
    for figures in tables:
        parts.append(f"## {figures.title}\n\n{figures.about}\n")
        rule = "|".join(["---", *("---:" for _ in figures.columns[1:])])
        parts.append(
            "\n".join(["| " + " | ".join(figures.columns) + " |", f"|{rule}|", *map(_markdown, figures.rows)]) + "\n"
        )
    return "\n".join(parts)


def _markdown(row: tuple[str, ...]) -> str:
    return (
        "| " + " | ".join((f"`{row[0]}`" if row[0].startswith(("GET", "POST", "PATCH")) else row[0], *row[1:])) + " |"
    )
