"""The command line: ``scim-bridge``.

Every command stops with one clear line and exit status 2 when it cannot do what was asked because of the configuration.
"""

from pathlib import Path
from typing import Any

import click

from scim_bridge.cli import audit, check, connectors, demo, explain, guard, reconcile, serve, token
from scim_bridge.errors import ConfigurationError, ServingError


class Commands(click.Group):
    """The group of all commands; turns the errors of a wrong configuration into one line each."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            for line in str(error).splitlines():
                click.echo(f"scim-bridge: {line}", err=True)
            ctx.exit(2)
        except ServingError as error:
            click.echo(f"scim-bridge: {error.detail}", err=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SCIM_BRIDGE_CONFIG",
    help="The configuration file; scim-bridge.toml by default.",
)
@click.version_option(package_name="scim-bridge")
@click.pass_context
def main(ctx: click.Context, path: Path | None) -> None:
    """Serve SCIM 2.0 to identity providers and turn what they push into calls of a connector."""
    ctx.obj = path


for command in (
    serve.serve,
    check.check,
    connectors.connectors,
    token.token,
    reconcile.import_,
    reconcile.reconcile,
    explain.explain,
    guard.approve,
    guard.reject,
    audit.audit,
    demo.demo,
):
    main.add_command(command)
