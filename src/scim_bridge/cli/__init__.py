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

NEEDED = 4
"""Exit status of ``--exit-status`` when something needs an operator."""

NOT_NOW = (StoreUnreachableError, AddressUnavailableError)
"""The database does not answer; the address to listen on is taken."""

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "serve": ("serve:serve", "Serve SCIM and drive the connections until stopped."),
        "check": ("check:check", "Check configuration, database and remote systems."),
        "connectors": ("connectors:connectors", "List the installed connectors and what they can do."),
        "clients": ("clients:clients", "List the presets of clients and the forms they read."),
        "token": ("token:token", "Create, list and revoke the tokens of a connection."),
        "console": ("console:console", "Print a link into the operator's pages."),
        "demo": ("demo:demo", "Show identity providers provisioning HubSpot, with failures."),
    },
    "Compare and decide": {
        "import": ("reconcile:import_", "Take over the accounts and groups that are there."),
        "reconcile": ("reconcile:reconcile", "Compare the remote system with what is desired."),
        "plan": ("plan:plan", "What would be done there, removals first, by name."),
        "approve": ("guard:approve", "Let held changes through."),
        "reject": ("guard:reject", "Undo held changes in the bridge."),
        "hold": ("hold:hold", "Have connections observe, or plan: nothing is sent."),
        "go-live": ("hold:go_live", "Show the plan, ask, and let it happen."),
    },
    "Look": {
        "status": ("status:status", "How each connection stands, and what needs you."),
        "people": ("people:people", "Who has access, with what, and who manages them."),
        "person": ("person:person", "All about one person: what waits, and why; the history."),
        "explain": ("person:explain", "Why a person has what they have; asks the remote system."),
        "departures": ("departures:departures", "Who lost access when, how that is known, what is left."),
        "requests": ("requests:requests", "What clients asked, and how it was answered."),
        "trace": ("requests:trace", "One request: what it asked, what it caused, how it is now."),
        "pending": ("work:pending", "What is not settled, since when, why, and when next."),
        "held": ("work:held", "What the mass-change guard holds for you."),
        "groups": ("people:groups", "Which groups there are, and what they stand for."),
        "drift": ("drift:drift", "What the last comparison found, and since when."),
    },
    "Keep": {
        "alerts": ("alerts:alerts", "Send a test to whom [alerts] names."),
        "doctor": ("doctor:doctor", "Examine everything the bridge needs; changes nothing."),
        "backup": ("backup:backup", "Write a checked copy of the database to a file."),
        "restore": ("backup:restore", "Put a copy in place; nothing is sent before go-live."),
    },
    "Write a connector": {
        "new-connector": ("new_connector:new_connector", "Write a package to begin a connector with."),
        "try-connector": ("try_connector:try_connector", "Call one hook of a connector, and show each request."),
    },
    "Prove": {
        "audit": ("audit:audit", "Verify, export, sign and prune the audit chain of a connection."),
    },
}
"""The commands, in the order in which help shows them: module and name, and what they do in a few words."""

COMMANDS = {name: told for commands in SECTIONS.values() for name, told in commands.items()}


class Commands(click.Group):
    """The group of all commands; turns the errors of a wrong configuration into one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write what there is, without loading it."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, told) for name, (_, told) in commands.items()])

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
