"""What commands print: a table for people, with whole ids and names also when it is piped; JSON lines, or CSV."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from scim_bridge.views.faces import NOTHING, cells, lines, names, plain, text

if TYPE_CHECKING:  # drawing tables takes a while to load, and help and JSON draw none
    from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

WIDE = 10_000
"""Columns of an output that is no terminal: nothing is folded or cut."""

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
"""The option of a command that prints tables and has no CSV."""

Face = Literal["table", "json", "csv"]
"""How an answer is printed."""

_json = click.option("--json", "face", flag_value="json", help="One JSON object a line, with everything there is.")
_csv = click.option("--csv", "face", flag_value="csv", help="CSV with a line of headings, with everything there is.")
_table = click.option("--table", "face", flag_value="table", default="table", hidden=True)

Row = Mapping[str, object]


def faces(command: Command) -> Command:
    """Give a command ``--json`` and ``--csv``, as the parameter ``face``."""
    return _table(_json(_csv(command)))


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
            click.echo(json.dumps({key: row.get(key) for key in columns}, default=plain))
    else:
        _draw(title, columns, rows, styles or {})


class Answer:
    """Prints an answer that comes in pages: JSON and CSV as they come, a table at the end.

    :param kind: The dataclass of its items; JSON and CSV have all its fields.
    :param title: What stands above the table.
    :param columns: The heading of each column of the table by its field.
    :param styles: The style of a first column by its text.
    """

    def __init__(
        self,
        kind: type[Any],
        title: str,
        columns: Mapping[str, str],
        face: Face,
        styles: Mapping[str, str] | None = None,
    ) -> None:
        self._title = title
        self._columns = columns
        self._face = face
        self._styles = styles or {}
        self._rows: list[Row] = []
        if face == "csv":
            click.echo(lines([names(kind)]), nl=False)

    def add(self, items: Iterable[Any]) -> None:
        """Print more of it."""
        for item in items:
            if self._face == "json":
                print_json(item)
            elif self._face == "csv":
                click.echo(lines([cells(item)]), nl=False)
            else:
                self._rows.append({name: getattr(item, name) for name in self._columns})

    def end(self) -> None:
        """Print what was kept for the table."""
        if self._face == "table":
            _draw(self._title, self._columns, self._rows, self._styles)


def print_json(item: Any) -> None:
    """Print a dataclass as one line of JSON."""
    click.echo(json.dumps(asdict(item), default=plain))


def console() -> "Console":
    """Return where tables are printed."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def _draw(title: str, columns: Mapping[str, str], rows: Iterable[Row], styles: Mapping[str, str]) -> None:
    """Print a table or, on a terminal that is too narrow for its words, a line for each value: no id is ever cut."""
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    told = [[text(row.get(key)) for key in columns] for row in rows]
    if not told:
        click.echo(f"{title}: none")
        return
    table = Table(title=title)
    for heading, values in zip(columns.values(), zip(*told, strict=True), strict=True):
        table.add_column(heading, overflow="fold", no_wrap=not any(" " in value for value in values))
    # Text, not str: a name with brackets in it is no markup.
    cells = [[Text(first, style=styles.get(first, "")), *map(Text, others)] for first, *others in told]
    for line in cells:
        table.add_row(*line)
    output = console()
    if Measurement.get(output, output.options.update(width=WIDE), table).minimum <= output.width:
        output.print(table)
        return
    output.print(Text(title, style="italic"))
    for line in cells:
        record = Table.grid(padding=(0, 2))
        for heading, value in zip(columns.values(), line, strict=True):
            if value.plain != NOTHING:
                record.add_row(Text(heading, style="bold"), value)
        output.print()
        output.print(record)
