"""``scim-bridge-hubspot probe``: the questions and warnings around a probe, and its report for people."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx2

from .calls import Calls, ProbeError
from .plan import Plan
from .report import Report
from .run import Probe, nobody

SECONDS = 30.0
"""How long one call may take."""


@click.command()
@click.option("--email", prompt="Address of a throw-away person", help="Nobody of the account may have it.")
@click.option("--token-env", default="HUBSPOT_TOKEN", show_default=True, help="The variable that holds the token.")
@click.option(
    "--api-version", type=click.Choice(["v3", "2026-03", "2026-09-beta"]), default="2026-09-beta", show_default=True
)
@click.option("--base-url", default="https://api.hubapi.com", show_default=True, help="HubSpot's API, or an emulator.")
@click.option("--permission-set", default="", metavar="NAME", help="A harmless set to be held for a moment.")
@click.option("--team", default="", metavar="NAME", help="A team to be in for a moment.")
@click.option("--by-hand", is_flag=True, help="Ask you to deactivate the person in HubSpot on the way.")
@click.option("--portal", type=int, metavar="ID", help="Confirms the account to be written to; asked for otherwise.")
@click.option("--report", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as JSON.")
def probe(
    *,
    email: str,
    token_env: str,
    api_version: str,
    base_url: str,
    permission_set: str,
    team: str,
    by_hand: bool,
    portal: int | None,
    target: Path | None,
) -> None:
    """Ask a HubSpot test portal what nobody has published.

    It invites one throw-away person, changes them, and removes them at the end. The report has no personal data and can
    be sent to whoever maintains the connector; it ends with the switches that make `scim-bridge-hubspot emulate` behave
    as this portal does.
    """
    token = os.environ.get(token_env, "")
    if not token:
        raise click.UsageError(f"the environment variable {token_env} is not set")
    http = httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS)
    plan = Plan(email.strip(), permission_set, team)
    probing = Probe(Calls(http, api_version, bearer=token), plan, hand=_hand if by_hand else nobody)
    report = asyncio.run(_conduct(http, probing, portal))
    if target is not None:
        target.write_text(json.dumps(report.as_document(), indent=2) + "\n", "utf-8")
    _print(report)
    if report.left_behind or report.ended_early:
        raise SystemExit(1)


async def _conduct(http: httpx2.AsyncClient, probing: Probe, portal: int | None) -> Report:
    """Look, have the account confirmed, and probe."""
    async with http:
        try:
            account = await probing.look()
        except ProbeError as error:
            raise click.ClickException(str(error)) from None
        _confirm(account, probing.plan.email, portal)
        return await probing.run()


def _confirm(account: Mapping[str, Any], email: str, portal: int | None) -> None:
    """Let the operator confirm which account is written to, by its id."""
    actual = account.get("portalId")
    click.echo(f"HubSpot account {actual or 'of unknown id'}, type {account.get('accountType', 'unknown')}.")
    click.echo(f"The probe will invite {email} without an e-mail to them, change them, and remove them again.")
    click.echo("HubSpot may remember the address for ever, and a seat may be taken for some minutes.")
    typed = portal if portal is not None else click.prompt("Type the account's id to go on", type=int)
    if typed != actual:
        raise click.ClickException("this is another account; nothing was written")


async def _hand(task: str) -> bool:
    return await asyncio.to_thread(click.confirm, f"Now {task}. Done?")


def _print(report: Report) -> None:
    """Print a report for people."""
    for point in report.points:
        decided = f"  [{point.switch} = {point.reading}]" if point.switch and point.reading is not None else ""
        click.echo(f"{point.question:<58} {point.seen}{decided}")
    click.echo("\nThis portal in the emulator:")
    click.echo(
        " \\\n".join(["  scim-bridge-hubspot emulate", *(f"    --switch {one}" for one in report.assignments())])
    )
    click.echo("\nNot decided:")
    for switch, reason in report.open_points().items():
        click.echo(f"  {switch:<24} {reason}")
    for switch, reading in report.surprises().items():
        click.echo(f"New: {switch} = {reading}. The connector has not been tested under it: please send the report.")
    if report.ended_early:
        click.echo(f"\nEnded early: {report.ended_early}")
    if report.left_behind:
        click.echo("\nThe throw-away person could not be removed. Remove them in HubSpot: Settings, Users & Teams.")
