"""The figures as tables: with rich in a terminal, with Markdown in ``docs/benchmarks.md``."""

import os
import platform
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

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

The machine is a shared one with 2 cores, and other work ran on it: read the ratios and the CPU times, and take wall
times as upper bounds. Both systems run in one process and are called as ASGI applications, without sockets. The bridge
has all it has in production: authentication, an SQLite file with `synchronous=FULL`, the audit chain, the mass-change
guard and the driver, which confirms each write in a remote system that answers at once. scim2-server keeps its
directory in memory, checks no token and confirms nothing. CPU times are of all threads and contain what the bridge
does after it has answered.

A list costs more in a large directory by nature: `totalResults` is counted, and `startIndex` walks to where the page
begins. Any other growth would be a defect; `tests/unit/store/test_query_plans.py` holds hot statements to their
indexes.
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
