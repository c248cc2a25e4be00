"""Writes the table of HubSpot's open points into ``docs/hubspot-evidence.md``, from the documentation of the switches.

Run ``python -m plugins.hubspot.tests.evidence_table``; a test checks that the table is up to date.
"""

import ast
import inspect
import itertools
import sys
from pathlib import Path

from scim_bridge_hubspot.emulator import Switches
from scim_bridge_hubspot.emulator import switches as switches_module
from scim_bridge_hubspot.probe.report import NOT_ASKED

PAGE = Path(__file__).parents[3] / "docs" / "hubspot-evidence.md"
BEGIN, END = "<!-- switches: begin -->", "<!-- switches: end -->"


def documentation() -> dict[str, str]:
    """Return the text below each switch, on one line."""
    tree = ast.parse(inspect.getsource(switches_module))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Switches")
    texts: dict[str, str] = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            texts[ast.unparse(field.target)] = " ".join(ast.literal_eval(text.value).replace("``", "`").split())
    return texts


def table() -> str:
    """Return one row for each switch."""
    default = Switches()
    rows = ["| switch | readings (the default first) | what it is, and the evidence | the probe |", "|---|---|---|---|"]
    texts = documentation()
    for name, readings in Switches.choices().items():
        first = getattr(default, name)
        ordered = [first, *(reading for reading in readings if reading != first)]
        values = ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in ordered)
        rows.append(f"| `{name}` | {values} | {texts[name]} | {NOT_ASKED.get(name, 'asks')} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """Return the page with the table between its markers."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main() -> None:
    """Write the table."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
    sys.stdout.write(table() + "\n")


if __name__ == "__main__":
    main()
