"""``scim-bridge-github``: an emulated organisation as a server of its own."""

import socket

import click
import uvicorn

from .emulator import GitHubEmulator, Switches
from .emulator.organization import OWNER_LOGIN, UnknownSwitchError


@click.group()
def main() -> None:
    """Tools of the GitHub connector of scim-bridge."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8702, show_default=True, help="0 takes a free one.")
@click.option("--organization", default="acme", show_default=True, help="The organisation's login.")
@click.option("--person", "people", multiple=True, metavar="LOGIN", help="Somebody at GitHub who can be invited.")
@click.option("--switch", "assignments", multiple=True, metavar="NAME=VALUE", help="Another behaviour.")
def emulate(*, host: str, port: int, organization: str, people: tuple[str, ...], assignments: tuple[str, ...]) -> None:
    """Run a GitHub that is none, with one organisation.

    GET /emulator/state shows it; POST /emulator/people/LOGIN makes somebody, .../accept/LOGIN accepts for them.
    """
    try:
        switches = Switches().changed(assignments)
    except UnknownSwitchError as error:
        raise click.BadParameter(str(error), param_hint="--switch") from None
    github = GitHubEmulator(organization, switches=switches)
    for login in people:
        github.person(login)
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
    url = f"http://{host}:{listener.getsockname()[1]}"
    click.echo(f"GitHub emulator on {url} · organisation {organization}, owner {OWNER_LOGIN} · token {github.token}")
    # A method: uvicorn would take it for an application of ASGI 2.
    uvicorn.Server(uvicorn.Config(github.asgi, interface="asgi3", log_level="warning")).run(sockets=[listener])
