"""``scim-bridge demo``: identity providers provision a HubSpot that fails, and HubSpot ends up as they said.

Everything is real but HubSpot: the bridge and one HubSpot emulator per connection are processes of their own, reached
through sockets; the simulated identity providers send what the vendors' send, in their order, with their retries.
"""

import asyncio
import random

import click

from scim_bridge.errors import ConfigurationError


@click.command()
@click.option("--seed", type=int, help="Repeats a demonstration: the people, who moves, who leaves.")
@click.option("--people", default=40, show_default=True, type=click.IntRange(8, 400), help="How many people Okta has.")
@click.option("--quick", is_flag=True, help="A small one: 12 people and a short outage.")
@click.option("--keep", is_flag=True, help="Stay up afterwards, to look around, until Ctrl-C.")
@click.option("--tamper", is_flag=True, help="Change HubSpot behind the bridge's back at the end: must be found.")
def demo(*, seed: int | None, people: int, quick: bool, keep: bool, tamper: bool) -> None:
    """Show identity providers provisioning HubSpot, with failures in the middle.

    Exit status 0 only if HubSpot ends up as they said, and every failure happened.
    """
    # Simulated identity providers are no part of what `scim-bridge serve` has to load.
    from scim_bridge.cli.demo.processes import ProcessFailedError
    from scim_bridge.cli.demo.run import Options, run

    options = Options(
        seed=random.SystemRandom().randrange(10_000) if seed is None else seed,
        people=12 if quick else people,
        quick=quick,
        keep=keep,
        tamper=tamper,
    )
    try:
        succeeded = asyncio.run(run(options))
    except ProcessFailedError as error:
        raise ConfigurationError(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0 if succeeded else 1)
