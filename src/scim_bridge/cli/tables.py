"""What commands print: a table for people, whole ids and names also when it is piped, or one JSON object a line."""

import json
import sys
from collections.abc import Iterable, Mapping

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Columns of an output that is no terminal: nothing is folded or cut."""

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
"""The option of every command that prints a table."""

Row = Mapping[str, object]


def show(
    title: str,
    columns: Mapping[str, str],
    rows: Iterable[Row],
    *,
    as_json: bool,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print rows.

    :param title: What stands above the table.
    :param columns: The heading of each column by its key in the rows; JSON has the keys.
    :param styles: The style of a first column by its text.
    """
    if as_json:
        for row in rows:
            click.echo(json.dumps({key: row.get(key) for key in columns}, default=str))
        return
    table = Table(title=title)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        first, *others = [_text(row.get(key)) for key in columns]
        # Text, not str: a name with brackets in it is no markup.
        table.add_row(Text(first, style=(styles or {}).get(first, "")), *map(Text, others))
    console().print(table)


def console() -> Console:
    """Return where tables are printed."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
