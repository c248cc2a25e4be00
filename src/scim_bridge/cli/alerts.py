"""``scim-bridge alerts``: whether somebody would be told."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from scim_bridge.alerts.channels import Message, UntoldError, channels_of
from scim_bridge.config import Settings, load_settings
from scim_bridge.errors import ConfigurationError


@click.group()
def alerts() -> None:
    """Who is told of what needs an operator."""


@alerts.command()
@click.pass_obj
def test(path: Path | None) -> None:
    """Send a message to every channel of [alerts]. Exit status 1 when one did not take it."""
    settings = load_settings(path, connectors=(), alerts=True)
    untold = asyncio.run(_send(settings))
    raise SystemExit(1 if untold else 0)


async def _send(settings: Settings) -> int:
    channels, now = channels_of(settings.alerts), datetime.now(UTC)
    if not channels:
        raise ConfigurationError("nobody is told; add [alerts.webhook] or [alerts.mail] to the configuration file")
    text = "this is a test; alerts of this bridge arrive here"
    at, url = now.isoformat(), settings.server.public_url
    message = Message(
        f"test-{int(now.timestamp())}", "scim_bridge.alert", "test", "test", "", 0, (), at, None, text, "", url
    )
    untold = 0
    for channel in channels:
        try:
            await channel.send(message, now)
            click.echo(f"{channel.name}: taken")
        except UntoldError as error:
            untold += 1
            click.echo(f"scim-bridge: {error}", err=True)
    return untold
