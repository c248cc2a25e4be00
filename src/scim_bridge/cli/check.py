"""``scim-bridge check``: whether this is going to work."""

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from scim_bridge.app import connectors_of
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import ConnectorError
from scim_bridge.models import Finding

STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", "error": "bold red"}


@click.command()
@click.argument("connection", required=False)
@click.pass_obj
def check(path: Path | None, connection: str | None) -> None:
    """Check the configuration and what each remote system allows; exit status 1 when something cannot work."""
    settings = load_settings(path)
    if connection is not None:
        require_connection(settings, connection)
    failed = False
    for connection_id, findings in asyncio.run(_findings(settings, connection)).items():
        table = Table("", "What", "Found", "What to do", title=f"Connection {connection_id}")
        for finding in findings:
            failed |= finding.level == "error"
            mark = f"[{STYLES[finding.level]}]{finding.level}[/]"
            table.add_row(mark, finding.subject, finding.message, finding.remedy)
        Console().print(table)
    if not settings.connections:
        click.echo("no connections are configured")
    raise SystemExit(1 if failed else 0)


async def _findings(settings: Settings, only: str | None) -> dict[str, list[Finding]]:
    async with connectors_of(settings) as pool:
        found = {}
        for connection_id in pool:
            if only not in {None, connection_id}:
                continue
            connector = pool[connection_id]
            if "check_connection" not in connector.operations:
                found[connection_id] = [Finding("preflight", "info", "this connector has no checks of its own")]
                continue
            try:
                found[connection_id] = await connector.check_connection()
            except ConnectorError as error:
                found[connection_id] = [Finding("preflight", "error", error.detail)]
        return found
