"""The command line: ``scim-bridge``.

Every command stops with one clear line and exit status 2 when it cannot do what was asked because of the configuration.
Each lives in a module of its own, loaded when it is asked for: a short command does not pay for the long ones.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scim_bridge.errors import AddressUnavailableError, ConfigurationError, ServingError, StoreUnreachableError

TRY_LATER = 75
"""Exit status of what may work later as it is (``EX_TEMPFAIL`` of ``sysexits.h``)."""

REMOTE_DIFFERS = 3
"""Exit status when a remote system is not the one that the connection had, or is not its alone."""

NOT_NOW = (StoreUnreachableError, AddressUnavailableError)
"""The database does not answer; the address to listen on is taken."""

COMMANDS = {
    "serve": "serve:serve",
    "check": "check:check",
    "connectors": "connectors:connectors",
    "token": "token:token",
    "import": "reconcile:import_",
    "reconcile": "reconcile:reconcile",
    "explain": "explain:explain",
    "approve": "guard:approve",
    "reject": "guard:reject",
    "hold": "hold:hold",
    "go-live": "hold:go_live",
    "audit": "audit:audit",
    "demo": "demo:demo",
}
"""The commands, in the order in which help shows them, with module and name."""


class Commands(click.Group):
    """The group of all commands; turns the errors of a wrong configuration into one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            for line in str(error).splitlines():
                click.echo(f"scim-bridge: {line}", err=True)
            ctx.exit(TRY_LATER if isinstance(error, NOT_NOW) else 2)
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
