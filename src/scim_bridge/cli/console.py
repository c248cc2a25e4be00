"""``scim-bridge console``: a way into the operator's pages."""

import asyncio
from pathlib import Path
from typing import get_args

import click

from scim_bridge.cli.looking import os_user
from scim_bridge.config import ConsoleSettings, Settings, load_settings
from scim_bridge.desk import LINK_MINUTES, Desk, Role
from scim_bridge.errors import ConfigurationError
from scim_bridge.store.engine import Store


@click.group()
def console() -> None:
    """Sign in to the operator's pages."""


@console.command()
@click.option("--name", help="Who signs in: decisions are recorded under this name. Your name on this machine.")
@click.option("--role", type=click.Choice(get_args(Role)), default="operator", show_default=True)
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=LINK_MINUTES, show_default=True, help="How long it works."
)
@click.pass_obj
def login(path: Path | None, name: str | None, role: Role, minutes: int) -> None:
    """Print a link that signs one person in, once.

    A viewer looks; an auditor has files, too; an operator decides.
    """
    settings = load_settings(path, connectors=())
    if settings.console is None:
        raise ConfigurationError("there is no console: add [console] to the configuration, and restart the server")
    person = (name or os_user()).strip()
    if not person.isprintable() or not 0 < len(person) <= 100:
        raise click.UsageError("--name: 1 to 100 printable characters")
    click.echo(
        f"{root_of(settings.console)}/console/sign-in?link={asyncio.run(_invite(settings, person, role, minutes))}"
    )
    click.echo(f"Works once, within {minutes} minutes, for {person} as {role}; signed in for 8 hours.", err=True)


def root_of(console: ConsoleSettings) -> str:
    """Return what a browser opens the console at."""
    if console.public_url is not None:
        return console.public_url.rstrip("/")
    host = f"[{console.host}]" if ":" in console.host else console.host
    return f"http://{host}:{console.port}"


async def _invite(settings: Settings, person: str, role: Role, minutes: int) -> str:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await Desk(store).invite(person, role, minutes=minutes)
    finally:
        await store.close()
