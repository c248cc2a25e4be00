"""``scim-bridge serve``: the server."""

import logging
from pathlib import Path

import click

from scim_bridge.app import run
from scim_bridge.cli.logs import configure_logging
from scim_bridge.config import load_settings
from scim_bridge.server.serve import run_loop

logger = logging.getLogger("scim_bridge.serve")


@click.command()
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of the configured one.")
@click.pass_obj
def serve(path: Path | None, host: str | None, port: int | None) -> None:
    """Serve SCIM and drive the connections until stopped."""
    settings = load_settings(path)
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=changes)})
    configure_logging(settings.server.log_level)
    connections = ", ".join(settings.connections)
    run_loop(run(settings, started=lambda url: logger.info("serving %s at %s", connections, url)))
