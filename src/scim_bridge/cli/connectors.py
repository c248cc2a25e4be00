"""``scim-bridge connectors``: what is installed."""

import click
from rich.console import Console
from rich.table import Table

from scim_bridge.connections import discover
from scim_bridge.connector import describe
from scim_bridge.hookspecs import implemented


@click.command()
def connectors() -> None:
    """List the installed connectors and what they can do."""
    table = Table("Connector", "From", "Operations", title="Installed connectors")
    for name, connector_type in discover().types().items():
        table.add_row(name, describe(connector_type), ", ".join(sorted(implemented(connector_type))))
    Console().print(table)
