"""The command line: what a wrong configuration says, and what the short commands do."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scim_bridge.app import opened
from scim_bridge.cli import COMMANDS, REMOTE_DIFFERS, TRY_LATER, main
from scim_bridge.cli.looking import os_user
from scim_bridge.config import load_settings
from scim_bridge.errors import PendingError, RefusedError, RemoteUnavailableError
from scim_bridge.models import Group, User
from scim_bridge.protocol import PRESETS, QUIRKS
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
        ('[connections.acme]\nconnector = "hubspt"', 'unknown connector "hubspt"; installed: '),
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
        (
            '[store]\nurl = "sqlite:///{directory}/b.db"\nproduction = true\n[connections.acme]\nconnector = "memory"',
            'connection "acme": the connector "memory" forgets everybody',
        ),
        ('[server]\npublic_url = "javascript:0"\n[connections.acme]\nconnector = "memory"', "server.public_url: Value"),
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
    (told,) = rows(run(tmp_path, GOOD, "token", "list", "--json"))
    assert datetime.fromisoformat(str(told["created"])).tzinfo is not None
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("bridge.db*"))
    assert clear.encode() not in stored

    run(tmp_path, GOOD, "token", "revoke", lookup_id)
    assert "revoked" in run(tmp_path, GOOD, "token", "list", COLUMNS="200").stdout


def test_what_becomes_of_a_token_is_in_the_audit_chain(tmp_path: Path) -> None:
    """Made and revoked, by the operator; the second revocation is none."""
    lookup_id = tokens.parse(run(tmp_path, GOOD, "token", "create", "acme").stdout.strip())
    run(tmp_path, GOOD, "token", "revoke", str(lookup_id))
    run(tmp_path, GOOD, "token", "revoke", str(lookup_id))

    events = [json.loads(line)["event"] for line in run(tmp_path, GOOD, "audit", "export", "acme").stdout.splitlines()]
    assert [(event["event"], event["operation"], event.get("token"), event["actor"]) for event in events] == [
        ("token", "create", lookup_id, "operator"),
        ("token", "revoke", lookup_id, "operator"),
        ("export", "audit", None, f"operator {os_user()}"),
    ]
    assert "unbroken" in run(tmp_path, GOOD, "audit", "verify", "acme").stdout


def test_an_exported_file_is_verified_without_the_database(tmp_path: Path) -> None:
    """Also one that goes on from a former one; a change of any line, or a dropped one, is told by its number."""
    for name in ("one", "two", "three"):
        run(tmp_path, GOOD, "token", "create", "acme", "--name", name)
    lines = run(tmp_path, GOOD, "audit", "export", "acme").stdout.splitlines()[:3]
    (tmp_path / "scim-bridge.db").unlink(missing_ok=True)
    file = tmp_path / "acme.jsonl"

    def verified(*written: str) -> Result:
        file.write_text("".join(f"{line}\n" for line in written), "utf-8")
        return CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "audit", "verify", str(file)])

    head = json.loads(lines[-1])["hash"]
    assert f"entries 1 to 3, unbroken; the last hash is {head}" in verified(*lines).output
    assert f"from entry 1, whose hash has to be {json.loads(lines[0])['hash']}" in verified(*lines[1:]).output
    for broken, number in [
        ((lines[0], lines[2]), 2),
        ((lines[0], lines[1].replace("operator", "somebody"), lines[2]), 2),
        ((lines[0], lines[1], lines[2].replace('{"at": "20', '{"at": "19')), 3),
        ((lines[0].replace('"hash": "', '"hash": "0'), lines[1]), 1),
        ((lines[0].replace('"sequence": 1', '"sequence": 1, "sequence": 1'), lines[1]), 1),
        ((lines[0].replace(f'"previous_hash": "{"0" * 64}"', f'"previous_hash": "{"1" * 64}"'), lines[1]), 1),
        ((lines[0], "[]"), 2),
        ((lines[0], "nonsense"), 2),
    ]:
        result = verified(*broken)
        assert result.exit_code == 1, result.output
        assert f"is broken at line {number}" in result.output
    empty = verified()
    assert (empty.exit_code, "is empty" in empty.output) == (1, True)
    assert run(tmp_path, GOOD, "audit", "verify", str(tmp_path / "none.jsonl")).exit_code == 1


def test_somebody_who_was_deleted_is_explained_by_their_id(tmp_path: Path) -> None:
    """Also when they were inactive: the chain has the deletion, the look before its answer, its end, and who asked."""
    MemoryRemote.named("gone")
    configuration = GOOD + '[connections.acme.config]\nremote = "gone"\n'
    (tmp_path / "scim-bridge.toml").write_text(configuration.replace("{directory}", str(tmp_path)))

    async def left() -> str:
        async with opened(load_settings(tmp_path / "scim-bridge.toml"), only="acme") as bridge:
            provisioning = bridge.provisioning("acme")
            person = (await provisioning.create_user(User(user_name="mary@x.example", active=False))).row.id
            await provisioning.delete_user(person, lambda _etag: None)
            return person

    person = asyncio.run(left())
    (gone,) = rows(run(tmp_path, configuration, "explain", "acme", person, "--json"))
    told: Any = gone["history"]
    asked, looked, end = told[-3:]
    assert [(one["event"], one["what"], one["by"]) for one in (told[0], asked, looked, end)] == [
        ("intent", "create", "operator"),
        ("intent", "delete", "operator"),
        ("outcome", "probe", "bridge"),
        ("outcome", "delete", "bridge"),
    ]
    assert end["outcome"] == "gone"
    assert "mary" not in json.dumps(told)


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
    assert "acme" in good.stdout
    assert bad.exit_code == 1


def test_check_looks_at_the_database(tmp_path: Path) -> None:
    """One that is not there yet is the server's to make, and stays so; one that cannot be used is status 1."""
    before = run(tmp_path, GOOD, "check", "--json")
    (told,) = [row for row in rows(before) if row["subject"] == "database"]
    assert (before.exit_code, told["level"]) == (0, "info")
    assert not (tmp_path / "bridge.db").exists()

    (tmp_path / "bridge.db").write_text("no database at all")
    (tmp_path / "bridge.db").chmod(0o600)
    after = run(tmp_path, GOOD, "check", "--json")
    (told,) = [row for row in rows(after) if row["subject"] == "database"]
    assert (after.exit_code, told["level"]) == (1, "error")


def test_check_tells_of_guards_that_guard_nothing(tmp_path: Path) -> None:
    """A misspelt name protects nobody; one that is there, written otherwise, is not told."""
    remote = MemoryRemote.named("guarded")
    remote.add_account("mary@x.example")
    remote.add_group("Admins")
    configuration = (
        GOOD
        + '[connections.acme.config]\nremote = "guarded"\n[connections.acme.guard]\n'
        + 'protected = ["Mary@x.example", "marry@x.example"]\nprivileged = ["admins", "Admin"]\n'
    )
    result = run(tmp_path, configuration, "check", "--json")
    told = [row["message"] for row in rows(result) if row["level"] == "warning"]
    assert result.exit_code == 0
    assert told == ['nobody is named "marry@x.example"', 'no group is named "Admin"']


@pytest.mark.parametrize("command", [("check",), ("serve",)])
def test_a_configuration_without_connections_is_refused_by_all_that_serve_or_check(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Both say what to add."""
    assert one_line(run(tmp_path, "", *command)).startswith("no connections are configured")


def test_what_is_not_there_is_no_success(tmp_path: Path) -> None:
    """An unknown connection is a wrong configuration; an id under which nothing is held is told."""
    assert "unknown connection" in one_line(run(tmp_path, GOOD, "token", "list", "acne"))
    for command in ("approve", "reject"):
        result = run(tmp_path, GOOD, command, "acme", "bogus")
        assert result.exit_code == 1
        assert "nothing is held under bogus" in result.stderr


def test_a_port_that_is_taken_is_told_with_the_status_of_what_may_work_later(tmp_path: Path) -> None:
    """One line, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(tmp_path, GOOD, "serve", "--port", port)
    assert result.exit_code == TRY_LATER
    assert result.stderr.strip().endswith(f"cannot listen on 127.0.0.1:{port}: it is taken, or not of this machine")


SECRET = GOOD + '[connections.acme.config]\nremote = { env = "NOT_THERE" }\n'


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "verify", "acme"),
        ("audit", "export", "acme"),
        ("token", "create", "acme"),
        ("token", "list"),
        ("approve", "acme"),
        ("approve", "acme", "--all"),
        ("reject", "acme"),
    ],
)
def test_commands_ask_for_no_secret_that_they_do_not_use(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Nothing but what opens a connector needs the connector's secrets."""
    assert run(tmp_path, GOOD, "token", "create", "acme").exit_code == 0  # the database is there
    result = run(tmp_path, SECRET, *command)
    assert result.exit_code == 0, result.output


def test_a_command_for_one_connection_asks_for_no_secret_of_another(tmp_path: Path) -> None:
    """The other one's may be for another account of the machine."""
    other = SECRET + '[connections.other]\nconnector = "memory"\n'
    assert run(tmp_path, other, "reconcile", "other").exit_code == 0
    assert run(tmp_path, other, "check", "other").exit_code == 0
    assert "NOT_THERE" in one_line(run(tmp_path, other, "reconcile", "acme"))


def rows(result: Result) -> list[dict[str, object]]:
    """Return what ``--json`` printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_drift_is_told_with_names_and_nothing_is_cut(tmp_path: Path) -> None:
    """Names, of people and of groups, beside whole ids; piped, no line is folded."""
    remote = MemoryRemote.named("drifting")
    group, account = remote.add_group("Sales [west]"), remote.add_account("mary@x.example")
    configuration = GOOD + '[connections.acme.config]\nremote = "drifting"\n'
    assert run(tmp_path, configuration, "import", "acme").exit_code == 0

    async def managed() -> None:
        async with opened(load_settings(tmp_path / "scim-bridge.toml"), only="acme") as bridge:
            await bridge.provisioning("acme").create_user(User(user_name="mary@x.example", active=True))

    asyncio.run(managed())
    remote.members.add((group, account))

    told = run(tmp_path, configuration, "reconcile", "acme", "--json")
    shown = run(tmp_path, configuration, "reconcile", "acme", COLUMNS="80")

    assert told.exit_code == shown.exit_code == 2
    (drift,) = rows(told)
    assert (drift["drift"], drift["name"], drift["differs"]) == ("extra_privilege", "mary@x.example", ["Sales [west]"])
    assert drift["remote_id"] == account
    (line,) = [line for line in shown.stdout.splitlines() if "mary@x.example" in line]
    assert str(drift["id"]) in line
    assert "Sales [west]" in line


def test_what_is_held_is_told_with_names_and_reasons(tmp_path: Path) -> None:
    """Who, what would be done, and why it waits; approving it needs nothing but its id."""
    MemoryRemote.named("held")
    configuration = (
        GOOD
        + '[connections.acme.config]\nremote = "held"\n[connections.acme.guard]\n'
        + 'removals_floor = 0\nremovals_share = 0.0\ngrants_floor = 0\nprivileged = ["Admins"]\nwindow_minutes = 1\n'
    )
    (tmp_path / "scim-bridge.toml").write_text(configuration.replace("{directory}", str(tmp_path)))

    async def held() -> None:
        async with opened(load_settings(tmp_path / "scim-bridge.toml"), only="acme") as bridge:
            provisioning = bridge.provisioning("acme")
            mary = (await provisioning.create_user(User(user_name="mary@x.example", active=True))).row
            group = Group.model_validate({"displayName": "Admins", "members": [{"value": mary.id}]})
            with pytest.raises(PendingError):
                await provisioning.create_group(group)

    asyncio.run(held())
    listed = rows(run(tmp_path, configuration, "approve", "acme", "--json"))
    assert [(row["name"], row["wanted"], row["why"]) for row in listed] == [
        ("mary@x.example", "joins Admins", "more privileged grants than usual")
    ]
    (told,) = rows(run(tmp_path, configuration, "explain", "acme", str(listed[0]["id"]), "--json"))
    history: Any = told["history"]
    assert ("guard", "held") in [(one["event"], one["what"]) for one in history]
    decided = run(tmp_path, configuration, "approve", "acme", str(listed[0]["id"]))
    assert (decided.exit_code, decided.stdout) == (0, "approved: 1\n")
    assert rows(run(tmp_path, configuration, "approve", "acme", "--json")) == []


def test_an_import_and_the_audit_trail_of_nothing(tmp_path: Path) -> None:
    """The short commands work on an empty remote system, without a server."""
    assert "0 accounts and groups listed" in run(tmp_path, GOOD, "import", "acme").stdout
    assert "0 compared, 0 differ" in run(tmp_path, GOOD, "reconcile", "acme", "--plan").stdout
    assert "unbroken" in run(tmp_path, GOOD, "audit", "verify", "acme").stdout
    exported = [json.loads(line) for line in run(tmp_path, GOOD, "audit", "export", "acme").stdout.splitlines()]
    assert {entry["event"]["event"] for entry in exported} <= {"remote", "export"}


LIGHT = """
import sys
from scim_bridge.cli import main
main(sys.argv[1:], standalone_mode=False)
print(sorted({"alembic", "pydantic", "rich", "scim2_models", "sqlalchemy", "starlette"}.intersection(sys.modules)))
"""


def test_help_loads_nothing_that_serving_needs() -> None:
    """It lists every command at once: what takes a second to load is loaded by whoever uses it."""
    told = subprocess.run([sys.executable, "-c", LIGHT, "--help"], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"
    assert all(f"\n  {command} " in told for command in COMMANDS)


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


def test_the_presets_of_clients_are_listed_and_each_form_with_its_source() -> None:
    """What nothing is known of says so."""
    rows = [json.loads(line) for line in CliRunner().invoke(main, ["clients", "--json"]).stdout.splitlines()]
    known = {row["client"]: row["known"] for row in rows}
    assert known.keys() == PRESETS.keys()
    assert known["accessowl"] == "nothing is public; read as generic"

    forms = CliRunner().invoke(main, ["clients", "entra", "--json"]).stdout.splitlines()
    sources = {one["quirk"]: (one["read"], one["source"]) for one in map(json.loads, forms)}
    assert sources.keys() == QUIRKS.keys()
    assert sources["operation_case"] == (True, PRESETS["entra"].sources["operation_case"])
    assert sources["null_members"] == (False, None)


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


def test_a_held_connection_observes_until_it_goes_live(tmp_path: Path) -> None:
    """``check`` and ``reconcile`` tell of it; ``go-live`` shows the plan and asks."""
    remote = MemoryRemote.named("held")
    try:
        configuration = GOOD + '[connections.acme.config]\nremote = "held"\n'
        assert run(tmp_path, configuration, "hold").exit_code == 2
        assert run(tmp_path, configuration, "hold", "nobody").exit_code == 2
        held = run(tmp_path, configuration, "hold", "--all", "--restored")
        assert held.exit_code == 0
        assert "acme observes" in held.output
        remote.add_account("ada@x.example")

        assert "acme observes" in run(tmp_path, configuration, "check").output.replace("\n", " ")
        refused = run(tmp_path, configuration, "reconcile", "acme", "--apply")
        assert refused.exit_code == 1
        assert "observes" in refused.output
        assert "compared, 0 differ" in run(tmp_path, configuration, "reconcile", "acme").output
        assert run(tmp_path, configuration, "go-live", "acme").exit_code == 1, "nobody says yes"
        live = run(tmp_path, configuration, "go-live", "acme", "--yes")

        assert live.exit_code == 0
        assert "− 0 removed, ~ 0 changed, + 0 created" in live.output
        assert "acme is live" in live.output
        assert run(tmp_path, configuration, "reconcile", "acme", "--apply").exit_code == 0
    finally:
        MemoryRemote.forget("held")


def test_a_comparison_that_cannot_be_finished_has_a_status_of_its_own(tmp_path: Path) -> None:
    """The remote system is down: one line, and the status of what may work later."""
    remote = MemoryRemote.named("down")
    try:
        remote.fail("list_users", *[RemoteUnavailableError("the remote system is down")] * 9)
        told = run(tmp_path, GOOD + '[connections.acme.config]\nremote = "down"\n', "reconcile", "acme")

        assert told.exit_code == TRY_LATER
        assert "not finished, 0 compared: the remote system is down" in told.stderr
    finally:
        MemoryRemote.forget("down")


def errors_of(result: Result) -> list[dict[str, str]]:
    """Return the findings of ``check --json`` that are errors."""
    return [row for row in map(json.loads, result.stdout.splitlines()) if row["level"] == "error"]


TWO_REMOTES = GOOD + '[connections.acme.config]\nremote = "{remote}"\n'


def test_another_remote_system_is_told_and_accepted(tmp_path: Path) -> None:
    """``check`` and ``go-live`` name both and end with a status of their own; ``--accept-remote`` takes the other."""
    try:
        one, other = (TWO_REMOTES.replace("{remote}", name) for name in ("cli-one", "cli-two"))
        assert run(tmp_path, one, "check").exit_code == 0
        assert run(tmp_path, one, "reconcile", "acme", "--apply").exit_code == 0

        told = run(tmp_path, other, "check", "--json")
        assert told.exit_code == REMOTE_DIFFERS
        (row,) = errors_of(told)
        assert "memory cli-one" in row["message"]
        assert "memory cli-two" in row["message"]
        refused = run(tmp_path, other, "go-live", "acme", "--yes")
        assert refused.exit_code == REMOTE_DIFFERS
        assert "was memory cli-one and is memory cli-two now" in refused.stderr
        assert run(tmp_path, other, "reconcile", "acme", "--apply").exit_code == 1
        accepted = run(tmp_path, other, "go-live", "acme", "--accept-remote", "--yes")
        assert accepted.exit_code == 0, accepted.output
        assert "is memory cli-two from now on" in accepted.output

        assert run(tmp_path, other, "check").exit_code == 0
        assert run(tmp_path, one, "check").exit_code == REMOTE_DIFFERS
        assert run(tmp_path, other, "audit", "verify", "acme").exit_code == 0
        assert "accepted" in run(tmp_path, other, "audit", "export", "acme").output
    finally:
        for name in ("cli-one", "cli-two"):
            MemoryRemote.forget(name)


def test_two_connections_on_one_remote_system_are_told(tmp_path: Path) -> None:
    """``check`` names both before anything was pinned; ``shared_remote`` in both allows it, in one does not."""
    try:
        second = '[connections.beta]\nconnector = "memory"\n{shared}[connections.beta.config]\nremote = "cli-shared"\n'
        first = GOOD + '{shared}[connections.acme.config]\nremote = "cli-shared"\n'
        for of_first, of_second, status in (
            ("", "", REMOTE_DIFFERS),
            ("shared_remote = true\n", "", REMOTE_DIFFERS),
            ("shared_remote = true\n", "shared_remote = true\n", 0),
        ):
            configuration = first.replace("{shared}", of_first) + second.replace("{shared}", of_second)
            told = run(tmp_path, configuration, "check", "--json")
            assert told.exit_code == status
            wrong = {row["connection"]: row["message"] for row in errors_of(told)}
            assert not status or "of the connection beta" in wrong["acme"]
            assert not status or run(tmp_path, configuration, "check", "acme").exit_code in (0, status)
    finally:
        MemoryRemote.forget("cli-shared")
