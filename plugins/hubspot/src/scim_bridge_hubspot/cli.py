"""``scim-bridge-hubspot``: HubSpot's emulator as a server of its own, and a probe of what a real portal does."""

import socket

import click

from .emulator import PROFILES, HubSpotEmulator, Switches, UnknownSwitchError
from .emulator.asgi import make_server
from .emulator.demo import seed
from .probe.command import probe


@click.group()
def main() -> None:
    """Tools of the HubSpot connector of scim-bridge."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="0 takes a free one.")
@click.option("--seed-demo", is_flag=True, help="Begin with Super Admins, people made by hand, sets, teams and seats.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="enterprise", show_default=True, help="The tier.")
@click.option("--switch", "assignments", multiple=True, metavar="NAME=VALUE", help="A reading of what is uncertain.")
@click.option("--token", default=HubSpotEmulator.token, show_default=True, help="The private app's token.")
@click.option("--portal-id", type=int, default=HubSpotEmulator.portal_id, show_default=True, help="The account's id.")
@click.option("--random-seed", type=int, default=0, show_default=True, help="Makes ids, orders and random faults.")
def emulate(
    *,
    host: str,
    port: int,
    seed_demo: bool,
    profile: str,
    assignments: tuple[str, ...],
    token: str,
    portal_id: int,
    random_seed: int,
) -> None:
    """Run a HubSpot that is none: its user APIs, with state, limits and faults on demand.

    The root shows a page for people, /emulator/... is the control API for programs.
    """
    try:
        switches = Switches().changed(assignments)
    except UnknownSwitchError as error:
        raise click.BadParameter(str(error), param_hint="--switch") from None
    hubspot = HubSpotEmulator(switches=switches, profile=profile, seed=random_seed)
    hubspot.portal_id = portal_id
    if token != hubspot.token:
        del hubspot.tokens[hubspot.token]
        hubspot.add_token(token)
    if seed_demo:
        seed(hubspot)
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
    url = f"http://{host}:{listener.getsockname()[1]}"
    click.echo(f"HubSpot emulator ({profile}) on {url} · token {token} · SCIM token {hubspot.scim_token}")
    make_server(hubspot.asgi).run(sockets=[listener])


main.add_command(probe)
