"""``scim-bridge connectors``: what is installed."""

import click

from scim_bridge.cli.tables import as_json, show
from scim_bridge.connections import discover
from scim_bridge.definition import describe, implemented

COLUMNS = {"connector": "Connector", "from": "From", "operations": "Operations"}


@click.command()
@as_json
def connectors(*, as_json: bool) -> None:
    """List the installed connectors and what they can do."""
    rows = [
        {"connector": name, "from": describe(one), "operations": sorted(implemented(one))}
        for name, one in discover().types().items()
    ]
    show("Installed connectors", COLUMNS, rows, as_json=as_json)
