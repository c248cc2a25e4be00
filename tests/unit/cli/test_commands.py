"""The command line: what a wrong configuration says, and what the short commands do."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scim_bridge.app import opened
from scim_bridge.cli import COMMANDS, TRY_LATER, main
from scim_bridge.config import load_settings
from scim_bridge.errors import RefusedError
from scim_bridge.models import User
from scim_bridge.store import tokens
from scim_bridge.testing.memory_remote import MemoryRemote

GOOD = """
[store]
url = "sqlite:///{directory}/bridge.db"

[connections.acme]
connector = "memory"
"""


def run(directory: Path, configuration: str, *arguments: str, **environment: str) -> Result:
    """Run a command with a configuration file."""
    file = directory / "scim-bridge.toml"
    file.write_text(configuration.replace("{directory}", str(directory)))
    return CliRunner().invoke(main, ["--config", str(file), *arguments], env=environment)


def one_line(result: Result) -> str:
    """Return what a refused command said; it is one line, and the exit status is 2."""
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("scim-bridge: ")
    assert "Traceback" not in result.output
    return line.removeprefix("scim-bridge: ")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ('[connections.acme]\nconnector = "hubspt"', 'unknown connector "hubspt"; installed: hubspot, memory'),
        (
            '[connections.acme]\nconnector = "hubspot"\n[connections.acme.config]\ntoken = { env = "NOT_THERE" }',
            "configuration: connections.acme.config.token: environment variable NOT_THERE is not set",
        ),
        (
            '[connections.acme]\nconnector = "hubspot"\n[connections.acme.config]\ntoken = { file = "none" }',
            "configuration: connections.acme.config.token: secret file",
        ),
        ('[connections.acme]\nconnector = "hubspot"', 'connection "acme": config'),
        ('[connections.acme]\nconnector = "memory"\nclient = "octa"', "unknown client 'octa'; clients: okta, entra"),
        ('[connections.acme]\nconnector = "memory"\ncolour = 1', "configuration: connections.acme.colour"),
        ('[connections.Ac_me]\nconnector = "memory"', 'connection "Ac_me": an id has'),
        (
            '[store]\nurl = "postgresql+psycopg://u:p@host:port/x"\n[connections.acme]\nconnector = "memory"',
            "[store] url is neither sqlite",
        ),
        ('[store]\nurl = "mysql://x"\n[connections.acme]\nconnector = "memory"', "[store] url is neither sqlite"),
        (
            '[store]\nurl = "sqlite:////proc/nowhere/b.db"\n[connections.acme]\nconnector = "memory"',
            "the directory /proc/nowhere does not exist",
        ),
        ("[server", "not valid TOML"),
        ("", "no connections are configured"),
    ],
)
def test_a_wrong_configuration_stops_with_one_clear_line(tmp_path: Path, configuration: str, said: str) -> None:
    """Each mistake says what is wrong, with what, and nothing else."""
    if "[store]" not in configuration and not configuration.startswith("[server"):
        configuration = '[store]\nurl = "sqlite:///{directory}/bridge.db"\n' + configuration

    line = one_line(run(tmp_path, configuration, "serve"))

    assert said in line


def test_a_server_waits_for_its_database_and_then_says_so_with_a_status_of_its_own(tmp_path: Path) -> None:
    """A start before the database is up is no wrong configuration: a supervisor may try again."""
    url = "postgresql+psycopg://u:hunter2@127.0.0.1:1/x"
    connections = '[connections.acme]\nconnector = "memory"'
    result = run(tmp_path, f'[store]\nurl = "{url}"\nwait_seconds = 0.1\n{connections}', "serve")
    assert result.exit_code == TRY_LATER
    assert "waiting for it, for 0 s at most" in result.stdout
    reason = "[store] url: the database cannot be opened: the server cannot be reached"
    assert result.stderr.strip() == f"scim-bridge: {reason}"
    assert "hunter2" not in result.output


def test_an_unsafe_database_file_is_refused(tmp_path: Path) -> None:
    """A database that others can read stops the server, with the command that mends it."""
    database = tmp_path / "bridge.db"
    database.touch()
    database.chmod(0o644)

    line = one_line(run(tmp_path, GOOD, "serve"))

    assert f"chmod 600 {database}" in line


def test_a_missing_configuration_file_is_named(tmp_path: Path) -> None:
    """The line tells which file was looked for and how to name another."""
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "serve"])

    assert "none.toml" in one_line(result)


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    """A value that does not validate is not repeated: it may be the secret in the wrong place."""
    configuration = GOOD + '[connections.acme.config]\nremote = { env = "SECRET" }\nlatency = { env = "SECRET" }\n'

    result = run(tmp_path, configuration, "check", SECRET="canary-7f3a")

    assert result.exit_code == 2
    assert "canary-7f3a" not in result.output


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    """The clear text is shown once and is not in the database; a revoked token says so."""
    created = run(tmp_path, GOOD, "token", "create", "acme", "--name", "okta")
    clear = created.stdout.strip()
    lookup_id = tokens.parse(clear)
    assert lookup_id is not None

    listed = run(tmp_path, GOOD, "token", "list", COLUMNS="200")
    assert lookup_id in listed.stdout
    assert "valid" in listed.stdout
    assert clear not in listed.stdout
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("bridge.db*"))
    assert clear.encode() not in stored

    run(tmp_path, GOOD, "token", "revoke", lookup_id)
    assert "revoked" in run(tmp_path, GOOD, "token", "list", COLUMNS="200").stdout


def test_a_token_for_an_unknown_connection_is_refused(tmp_path: Path) -> None:
    """The line lists what is configured."""
    line = one_line(run(tmp_path, GOOD, "token", "create", "acne"))

    assert line == 'unknown connection "acne"; configured: acme'


def test_check_prints_a_table_and_tells_by_its_exit_status(tmp_path: Path) -> None:
    """A remote system that answers is exit status 0; one that refuses the credentials is 1."""
    good = run(tmp_path, GOOD, "check")
    bad = run(
        tmp_path, GOOD + '[connections.acme.config]\nfaults = { check_connection = ["credentials"] }\n', "check", "acme"
    )

    assert good.exit_code == 0
    assert "Connection acme" in good.stdout
    assert bad.exit_code == 1


def test_an_import_and_the_audit_trail_of_nothing(tmp_path: Path) -> None:
    """The short commands work on an empty remote system, without a server."""
    assert "0 accounts and groups listed" in run(tmp_path, GOOD, "import", "acme").stdout
    assert "0 compared, 0 differ" in run(tmp_path, GOOD, "reconcile", "acme", "--plan").stdout
    assert "unbroken" in run(tmp_path, GOOD, "audit", "verify", "acme").stdout
    assert [json.loads(line) for line in run(tmp_path, GOOD, "audit", "export", "acme").stdout.splitlines()] == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str) -> None:
    """Each command loads, and says what it does."""
    result = CliRunner().invoke(main, [command, "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_connectors_are_listed(tmp_path: Path) -> None:
    """The HubSpot plugin and the memory connector are found through their entry points."""
    result = CliRunner().invoke(main, ["connectors"], env={"COLUMNS": "200", **os.environ})

    assert "scim-bridge-hubspot" in result.stdout
    assert "memory" in result.stdout
    assert tmp_path.is_dir()


def test_explain_tells_of_a_refused_creation(tmp_path: Path) -> None:
    """Somebody whom the remote system would not have is nowhere to be found; the operator is told why."""
    configuration = GOOD + '[connections.acme.config]\nremote = "refusing"\nfaults = { create_user = ["forbidden"] }\n'
    (tmp_path / "scim-bridge.toml").write_text(configuration.replace("{directory}", str(tmp_path)))

    async def refused() -> None:
        async with opened(load_settings(tmp_path / "scim-bridge.toml"), only="acme") as bridge:
            with pytest.raises(RefusedError):
                await bridge.provisioning("acme").create_user(User(user_name="Ada@x.example", active=True))

    asyncio.run(refused())
    result = run(tmp_path, configuration, "explain", "acme", "ada@x.example")

    assert result.exit_code == 0, result.output
    assert "refused: the remote system refuses this object" in result.output


def test_explain_tells_what_a_person_holds_by_hand(tmp_path: Path) -> None:
    """Of somebody whom no client has written, in a group that none has named them in."""
    remote = MemoryRemote.named("by-hand")
    remote.members.add((remote.add_group("Sales"), remote.add_account("mary@x.example")))
    configuration = GOOD + '[connections.acme.config]\nremote = "by-hand"\n'
    assert run(tmp_path, configuration, "import", "acme").exit_code == 0
    result = run(tmp_path, configuration, "explain", "acme", "mary@x.example")

    assert result.exit_code == 0, result.output
    assert "by hand" in result.output
