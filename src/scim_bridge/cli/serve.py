"""``scim-bridge serve``: the server."""

from pathlib import Path

import click

from scim_bridge.app import serve_forever
from scim_bridge.config import load_settings


@click.command()
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of the configured one.")
@click.pass_obj
def serve(path: Path | None, host: str | None, port: int | None) -> None:
    """Serve SCIM and drive the connections until stopped."""
    settings = load_settings(path)
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = settings.server.model_copy(update=changes)
    serve_forever(settings.model_copy(update={"server": server}))
