"""What operators are shown: on both databases, of a bridge that has really been used, through the real command line."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scim_bridge.app import opened
from scim_bridge.cli import NEEDED, SECTIONS, main
from scim_bridge.cli.looking import os_user
from scim_bridge.config import AlertSettings, load_settings
from scim_bridge.errors import PendingError, RefusedError, RemoteForbiddenError, RemoteUnavailableError
from scim_bridge.models import Group, Unrevoked, User
from scim_bridge.provisioning import Provisioning
from scim_bridge.provisioning.policy import Watch
from scim_bridge.store import membership_changes, resources
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory_remote import MemoryRemote
from scim_bridge.views.departures import note_unrevoked
from tests.postgresql import PostgresqlServer

CONFIGURATION = """
[store]
url = "{url}"

[connections.acme]
connector = "memory"
[connections.acme.config]
remote = "{remote}"
[connections.acme.guard]
grants_floor = 0
privileged = ["Admins"]

[connections.beta]
connector = "memory"
[connections.beta.config]
remote = "{remote}-too"
"""

NO_REMOVALS = "grants_floor = 0\nremovals_floor = 0\nremovals_share = 0"


@dataclass
class Operator:
    """Somebody with a shell."""

    file: Path
    ids: dict[str, str]

    def run(self, *arguments: str, status: int = 0) -> Result:
        """Run a command; it ends with this exit status."""
        result = CliRunner().invoke(main, ["--config", str(self.file), *arguments])
        assert result.exit_code == status, result.output
        return result

    def rows(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """Return what a command tells as JSON."""
        return [json.loads(line) for line in self.run(*arguments, "--json", status=status).stdout.splitlines()]

    def ask(self, *wishes: str) -> None:
        """Have a client of acme *reactivate* or *deactivate* somebody, while the remote system does not answer."""

        async def live() -> None:
            async with opened(load_settings(self.file), only="acme") as bridge:
                provisioning = bridge.provisioning("acme")
                provisioning.policy = replace(provisioning.policy, budget=0.01)
                # The guard does not count whoever came a moment ago.
                await bridge.store.write(lambda tx: tx.exec_driver_sql("UPDATE resource SET created_at = 0"))
                for change, name in map(str.split, wishes):
                    with suppress(PendingError):
                        await provisioning.modify_user(
                            self.ids[name], inactive if change == "deactivate" else active, lambda _etag: None
                        )

        asyncio.run(live())


def person(name: str, *, active: bool = True) -> User:
    """Return a User to be created."""
    return User(user_name=f"{name}@x.example", active=active)


def inactive(user: User) -> User:
    """Change a User so that they have no access."""
    user.active = False
    return user


def active(user: User) -> User:
    """Change a User so that they have access."""
    user.active = True
    return user


async def lived(provisioning: Provisioning, remote: MemoryRemote) -> dict[str, str]:
    """Have clients and a remote system do what operators ask about; return the ids of everybody."""
    ids = {name: (await provisioning.create_user(person(name))).row.id for name in ("ada", "bob", "dan", "eve", "fay")}
    members = [{"value": ids[name]} for name in ("ada", "bob", "dan")]
    await provisioning.create_group(Group.model_validate({"displayName": "Sales", "members": members}))
    await provisioning.modify_user(ids["ada"], inactive, lambda _etag: None)
    await provisioning.delete_user(ids["bob"], lambda _etag: None)
    with suppress(PendingError):
        admins = {"displayName": "Admins", "members": [{"value": ids["eve"]}]}
        await provisioning.create_group(Group.model_validate(admins))
    told = (Unrevoked("their API keys", "Revoke them there", "https://crm.example/keys"), Unrevoked("copies", "Ask"))
    await provisioning.store.write(partial(note_unrevoked, connection_id="acme", told=told, now=datetime.now(UTC)))
    remote.fail("create_user", RemoteForbiddenError("nobody called cyd"))
    with suppress(RefusedError):
        await provisioning.create_user(person("cyd"))
    remote.fail("deactivate_user", *[RemoteUnavailableError("down")] * 99)
    remote.fail("get_user", *[RemoteUnavailableError("down")] * 99)
    provisioning.policy = replace(provisioning.policy, budget=0.01)
    with suppress(PendingError):
        await provisioning.modify_user(ids["dan"], inactive, lambda _etag: None)
    while not await provisioning.store.read(lambda tx: tried(tx, ids["dan"])):
        await asyncio.sleep(0.01)
    return ids


def tried(tx: Transaction, resource_id: str) -> bool:
    """Whether a change of a User was tried, and failed."""
    row = resources.get(tx, "acme", "User", resource_id)
    return row is not None and row.attempt > 0


@contextmanager
def living(directory: Path, url: str) -> Iterator[Operator]:
    """Yield the operator of a bridge whose server has stopped in the middle of an outage."""
    remote = MemoryRemote.named(directory.name)
    remote.members.add((remote.add_group("Support"), remote.add_account("mary@x.example")))
    file = directory / "scim-bridge.toml"
    file.write_text(CONFIGURATION.replace("{url}", url).replace("{remote}", directory.name))
    assert CliRunner().invoke(main, ["--config", str(file), "import", "acme"]).exit_code == 0

    async def live() -> dict[str, str]:
        async with opened(load_settings(file), only="acme") as bridge:
            return await lived(bridge.provisioning("acme"), remote)

    try:
        yield Operator(file, asyncio.run(live()))
    finally:
        MemoryRemote.forget(directory.name)
        MemoryRemote.forget(f"{directory.name}-too")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def operator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[Operator]:
    """An operator who only looks, on either database."""
    directory = tmp_path_factory.mktemp("looking")
    if request.param == "sqlite":
        with living(directory, f"sqlite:///{directory}/bridge.db") as found:
            yield found
        return
    name = postgresql_server.create_database()
    with living(directory, postgresql_server.url(name)) as found:
        yield found
    postgresql_server.drop_database(name)


@pytest.fixture
def deciding(tmp_path: Path, sqlite_url: str) -> Iterator[Operator]:
    """An operator who changes something."""
    with living(tmp_path, sqlite_url) as found:
        yield found


def test_everybody_is_told_with_what_is_wanted_and_what_is_there(operator: Operator) -> None:
    """The refused are nobody, the deleted gone; who is managed by none is told so, and every choice chooses."""
    told = {row["name"].split("@")[0]: row for row in operator.rows("people", "acme")}
    assert list(told) == ["ada", "dan", "eve", "fay", "mary"]
    shown = {name: (row["wanted"], row["there"], row["state"], row["managed"]) for name, row in told.items()}
    assert shown == {
        "ada": ("inactive", "inactive", "settled", True),
        "dan": ("inactive", "active", "pending", True),
        "eve": ("active", "active", "held", True),
        "fay": ("active", "active", "settled", True),
        "mary": ("active", "active", "settled", False),
    }
    (admins,) = told["eve"]["groups"]
    assert (admins["name"], admins["wanted"], admins["there"]) == ("Admins", True, False)
    assert [group["on_return"] for group in told["ada"]["groups"]] == [True]
    assert [group["by_hand"] for group in told["mary"]["groups"]] == [True]

    def chosen(*options: str) -> list[str]:
        return [row["name"].split("@")[0] for row in operator.rows("people", "acme", *options)]

    assert chosen("--access") == ["dan", "eve", "fay", "mary"]
    assert chosen("--unmanaged") == ["mary"]
    assert chosen("--managed", "--state", "settled") == ["ada", "fay"]
    assert chosen("--group", "sales") == ["ada", "dan"]
    assert operator.rows("people", "--group", "sales") == operator.rows("people", "acme", "--group", "sales")
    assert chosen("--filter", 'userName sw "a" or userName sw "f"') == ["ada", "fay"]
    assert 'is called "none"' in operator.run("people", "acme", "--group", "none", status=1).stderr
    assert "--filter" in operator.run("people", "--filter", "userName", status=2).stderr


def test_one_person_is_told_in_a_sentence_with_what_waits_and_how_it_came_to_that(operator: Operator) -> None:
    """Without naming the connection; of the deleted the id finds what happened, without a name."""
    shown = operator.run("person", "dan@x.example").stdout
    assert shown.startswith("dan@x.example has access, in Sales; pending: deactivated (the remote system")
    (told,) = operator.rows("person", "acme", operator.ids["dan"])
    assert (told["wanted"], told["there"]) == ("inactive", "active")
    assert told["work"]["attempts"] > 0
    assert told["work"]["lane"] == "removal"
    assert [(one["event"], one["what"]) for one in told["history"]][:2] == [
        ("intent", "create"),
        ("outcome", "create_user"),
    ]
    (refused,) = operator.rows("person", "cyd@x.example")
    assert (refused["there"], refused["state"]) == ("absent", "blocked")
    assert "nobody called cyd" in refused["work"]["why"]
    (gone,) = operator.rows("person", operator.ids["bob"])
    assert [one["what"] for one in gone["history"]][-3:] == ["delete", "delete_user", "delete"]
    assert "bob@" not in json.dumps(gone)
    operator.run("person", operator.ids["bob"], "--history", "0", status=2)  # nothing else is left to tell
    nobody = operator.run("person", "nobody@x.example", status=1).stderr
    assert "lists everybody" in nobody
    assert "departures --who" in nobody


def test_departures_tell_when_it_was_asked_and_confirmed_and_what_is_left(operator: Operator) -> None:
    """Who lost access, in order; the one whose removal is not confirmed still has the account and the group."""
    told = operator.rows("departures", "acme")
    assert [(row["name"], row["state"]) for row in told] == [
        ("ada@x.example", "confirmed"),
        ("bob@x.example", "confirmed"),
        ("dan@x.example", "pending"),
    ]
    ada, bob, dan = told
    assert ada["proof"] == "the remote system took the deactivation"
    assert bob["proof"] == "the remote system took the deletion"
    assert ada["asked"] == ada["accepted"] <= ada["confirmed"]
    assert (dan["confirmed"], dan["minutes"], dan["left"]) == (None, None, ["the account in acme", "group Sales"])
    assert [row["name"] for row in operator.rows("departures", "--open", "--exit-status", status=NEEDED)] == [
        "dan@x.example"
    ]
    assert operator.rows("departures", "acme", "--since", "2999-01-01") == []
    for who in ("ada", "bob", "dan", "eve"):
        found = [row for row in told if row["name"] == f"{who}@x.example"]
        assert operator.rows("departures", "acme", "--who", f"{who.upper()}@x.example") == found
    assert [row["unrevoked"] for row in told] == [["their API keys", "copies"]] * 3
    shown = operator.run("departures", "acme").stdout
    assert "3 asked, 2 confirmed, 1 not ended" in shown
    assert "acme does not revoke their API keys. Revoke them there (https://crm.example/keys)" in shown
    assert "acme does not revoke copies. Ask" in shown


def test_who_is_handed_names_is_in_the_chain(deciding: Operator) -> None:
    """As of the console's files: which, and by whom; a table leaves nothing, nor does what names nobody."""

    def exports(connection: str) -> list[tuple[str, str]]:
        entries = [
            json.loads(line)["event"] for line in deciding.run("audit", "export", connection).stdout.splitlines()
        ]
        return [(one["operation"], one["actor"]) for one in entries if one["event"] == "export"][:-1]

    before = exports("acme")
    deciding.run("people")
    deciding.run("status", "--json")
    deciding.run("people", "--csv")
    deciding.run("departures", "acme", "--json")
    deciding.run("person", "acme", "ada@x.example", "--json")
    deciding.run("plan", "acme", "--csv")
    handed = ["audit", "people.csv", "departures.json", "person.json", "plan.csv"]
    assert exports("acme")[len(before) :] == [(what, f"operator {os_user()}") for what in handed]
    assert [what for what, _ in exports("beta")] == ["people.csv"]


def test_a_departure_that_is_held_is_not_told_as_let_through(deciding: Operator) -> None:
    """Not before an operator lets it; whoever leaves twice stands in order with the others both times."""
    deciding.ask("reactivate ada", "deactivate ada")
    deciding.file.write_text(deciding.file.read_text().replace("grants_floor = 0", NO_REMOVALS))
    deciding.ask("deactivate fay")
    told = deciding.rows("departures", "acme")
    assert [row["asked"] for row in told] == sorted(row["asked"] for row in told)
    assert [(row["name"], row["state"]) for row in told][-3:] == [
        ("dan@x.example", "pending"),
        ("ada@x.example", "pending"),
        ("fay@x.example", "held"),
    ]
    assert told[-2]["accepted"] == told[-2]["asked"]
    assert told[-1]["accepted"] is None
    deciding.run("approve", "acme", deciding.ids["fay"])
    (*_, fay) = deciding.rows("departures", "acme")
    assert (fay["state"], fay["accepted"] > fay["asked"]) == ("pending", True)


def test_what_waits_is_told_with_why_and_since_when(operator: Operator) -> None:
    """Removals first; what an operator decides is told alike by ``held`` and by ``approve`` without ids."""
    told = operator.rows("pending")
    assert [(row["name"], row["state"], row["lane"]) for row in told] == [
        ("dan@x.example", "pending", "removal"),
        ("cyd@x.example", "blocked", "creation"),
        ("eve@x.example", "held", "update"),
    ]
    assert told[0]["why"] in {
        "the remote system did not answer as it should",
        "the remote system has been failing, and is left alone for a while",
    }
    assert told[0]["next_at"] is not None
    (held,) = operator.rows("held")
    assert (held["wanted"], held["why"]) == ("joins Admins", "more privileged grants than usual")
    assert operator.rows("approve", "acme") == [held]
    assert operator.rows("reject", "acme") == [held]


def test_of_many_members_some_are_named_and_the_others_counted(
    deciding: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group whose changes are long is told in one line."""
    from scim_bridge.views import work

    def told(tx: Transaction) -> str:
        group = resources.find_by_name(tx, "acme", "Group", "Admins")
        assert group is not None
        membership_changes.set_desired(tx, "acme", group.id, [deciding.ids["fay"]], desired=True)
        return work.wanted(tx, group)

    async def look() -> str:
        async with opened(load_settings(deciding.file), only="acme") as bridge:
            return await bridge.store.write(told)

    assert asyncio.run(look()) == "gains eve@x.example, fay@x.example"
    monkeypatch.setattr(work, "NAMED", 1)
    assert asyncio.run(look()) == "gains eve@x.example and 1 more"


def test_what_was_decided_is_not_told_as_held(deciding: Operator) -> None:
    """An approved change waits for the server, an observing connection for its operator, and both are told so."""
    deciding.run("approve", "acme", deciding.ids["eve"])
    assert deciding.run("held", "acme").stdout == "Held changes of acme: none\n"
    assert {row["name"]: row["state"] for row in deciding.rows("pending")}["eve@x.example"] == "pending"
    deciding.run("hold", "acme")
    (observed,) = deciding.rows("status", "acme", "--exit-status", status=NEEDED)
    assert observed["mode"] == "observes"
    assert "go-live acme" in observed["why"]
    assert {row["name"]: "go-live acme" in row["why"] for row in deciding.rows("pending")} == {
        "dan@x.example": True,
        "eve@x.example": True,
        "cyd@x.example": False,
    }


def test_groups_are_told_with_what_they_stand_for(operator: Operator) -> None:
    """How many are to be in each, and how many are on their way; who is inactive is in none."""
    told = {row["name"]: row for row in operator.rows("groups", "acme")}
    numbers = {name: (row["members"], row["joining"], row["leaving"]) for name, row in told.items()}
    assert numbers == {"Admins": (1, 1, 0), "Sales": (0, 0, 0), "Support": (1, 0, 0)}
    assert {name: row["managed"] for name, row in told.items()} == {"Admins": True, "Sales": True, "Support": False}
    assert all(row["there"] == "present" and row["remote_id"] for row in told.values())


def test_the_status_counts_what_is_not_settled_and_says_what_needs_somebody(operator: Operator) -> None:
    """Of every connection; the exit status tells a job that watches."""
    acme, beta = operator.rows("status")
    assert (acme["mode"], acme["people"], acme["groups"]) == ("live", 5, 3)
    assert (acme["pending"], acme["removals"], acme["held"], acme["refused"]) == (1, 1, 1, 1)
    assert acme["oldest_removal"] == "dan@x.example"
    assert acme["remote_answered"] is not None
    down = acme["needs"].pop(0)
    assert down.startswith("the remote system ")
    assert down.endswith(": scim-bridge pending acme")
    assert acme["needs"] == [
        "held changes wait for you (1): scim-bridge held acme",
        "no token is valid, every request is refused: scim-bridge token create acme",
    ]
    assert (beta["people"], beta["oldest_removal"]) == (0, None)
    assert len(operator.rows("status", "acme", "--exit-status", status=NEEDED)) == 1
    assert "scim-bridge held acme" in operator.run("status").stdout


def test_a_removal_that_is_late_is_told_beside_an_older_one_that_is_held(
    deciding: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one waits for an operator, the other for the remote system: the first does not hide the second."""
    monkeypatch.setattr(AlertSettings, "watch", lambda _: Watch(removal=timedelta(0)))
    usual = deciding.file.read_text()
    deciding.file.write_text(usual.replace("grants_floor = 0", NO_REMOVALS))
    deciding.ask("deactivate fay")
    deciding.file.write_text(usual)
    deciding.ask("reactivate dan", "deactivate dan")
    (told,) = deciding.rows("status", "acme")
    assert told["oldest_removal"] == "fay@x.example"
    assert [one for one in told["needs"] if one.startswith("the removal of dan@x.example is not confirmed")]


def test_a_failure_needs_nobody_once_the_remote_system_was_compared(deciding: Operator) -> None:
    """A change that failed and was withdrawn may leave no answer of its own in the chain."""
    deciding.ask("reactivate dan")
    (down,) = deciding.rows("status", "acme")
    assert down["needs"][0].endswith(": scim-bridge pending acme")
    MemoryRemote.named(deciding.file.parent.name)._faults.clear()  # it is up again
    deciding.run("reconcile", "acme")
    (up,) = deciding.rows("status", "acme")
    assert up["remote_answered"] >= up["compared"]
    assert not [one for one in up["needs"] if one.endswith(": scim-bridge pending acme")]


def test_what_the_last_comparison_found_is_told_by_name_and_since_when(deciding: Operator) -> None:
    """Before there was one it is said so; found again, it has the same beginning; repaired, it is so no more."""
    never = deciding.run("drift", "beta")
    assert "beta was not compared yet" in never.stderr
    remote = MemoryRemote.named(deciding.file.parent.name)
    (support,) = [id_ for id_, group in remote.groups.items() if group.display_name == "Support"]
    (fay,) = [id_ for id_, account in remote.accounts.items() if account.user.user_name == "fay@x.example"]
    remote.members.add((support, fay))
    remote._faults.clear()  # it is up again
    deciding.run("reconcile", "acme", status=2)
    (told,) = deciding.rows("drift", "acme", "--exit-status", status=NEEDED)
    assert (told["drift"], told["name"], told["differs"]) == ("extra_privilege", "fay@x.example", ["Support"])
    assert (told["security"], told["then"]) == (True, "reported")
    (status,) = deciding.rows("status", "acme")
    assert status["differ"] == 1
    assert "people have more than they should (1): scim-bridge drift acme" in status["needs"]
    deciding.run("reconcile", "acme", status=2)
    assert deciding.rows("drift") == [told]
    deciding.run("reconcile", "acme", "--apply")
    (repaired,) = deciding.rows("drift", "--exit-status")
    assert repaired == {**told, "then": "repaired"}
    assert (support, fay) not in remote.members
    deciding.run("reconcile", "acme")
    assert deciding.rows("drift") == []


def test_csv_has_everything_and_no_formula(deciding: Operator) -> None:
    """A name that a spreadsheet would run is a text in it; the rest reads back as it is."""

    async def hostile() -> None:
        async with opened(load_settings(deciding.file), only="beta") as bridge:
            await bridge.provisioning("beta").create_user(User(user_name="=cmd|x", active=True))

    asyncio.run(hostile())
    told = list(csv.DictReader(io.StringIO(deciding.run("people", "--csv").stdout)))
    assert [row["name"] for row in told][-1] == "'=cmd|x"
    assert {row["connection"] for row in told} == {"acme", "beta"}
    assert all(len(row["id"]) == 36 for row in told)
    assert told[0]["groups"] == "Sales (on return)"


def test_pages_follow_each_other_without_a_gap(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short they are, everybody is told once, in the same order."""
    from scim_bridge.views import people, work

    whole = [operator.rows(*command) for command in (("people",), ("groups",), ("pending",))]
    for module in (people, work):
        monkeypatch.setattr(module, "PAGE", 1)
    assert [operator.rows(*command) for command in (("people",), ("groups",), ("pending",))] == whole
    assert all(len(answer) > 2 for answer in whole)


def test_a_database_with_options_in_its_url_is_found(tmp_path: Path) -> None:
    """The file is what stands before them, as for the server."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/bridge.db?timeout=5"\n[connections.acme]\nconnector = "memory"\n'
    )
    assert CliRunner().invoke(main, ["--config", str(file), "token", "create", "acme"]).exit_code == 0
    assert (tmp_path / "bridge.db").exists()
    assert CliRunner().invoke(main, ["--config", str(file), "status"]).exit_code == 0
    checked = CliRunner().invoke(main, ["--config", str(file), "check", "--json"])
    assert "is made at the start" not in checked.stdout


def test_nothing_that_looks_needs_a_secret_or_makes_a_database(tmp_path: Path) -> None:
    """The token of the remote system is not there, and neither is the database: it is said so, and stays so."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/none.db"\n[connections.acme]\nconnector = "memory"\n'
        '[connections.acme.config]\nremote = { env = "NOT_THERE" }\n'
    )
    for command in ("status", "people", "departures", "pending", "held", "groups", "drift"):
        result = CliRunner().invoke(main, ["--config", str(file), command])
        assert result.exit_code == 75
        assert result.stderr.strip().endswith("none.db yet; scim-bridge serve makes it")
    assert not (tmp_path / "none.db").exists()
    CliRunner().invoke(main, ["--config", str(file), "token", "create", "acme"])
    for command in ("status", "people", "departures", "pending", "held", "groups", "drift"):
        assert CliRunner().invoke(main, ["--config", str(file), command]).exit_code == 0


LIGHT = """
import sys
from scim_bridge.cli import COMMANDS, main
for command in sys.argv[1:]:
    main([command, "--help"], standalone_mode=False)
print(sorted({"alembic", "pydantic", "rich", "scim2_models", "sqlalchemy", "starlette"}.intersection(sys.modules)))
"""


def test_the_help_of_what_looks_is_light() -> None:
    """Nothing of the store or of SCIM is loaded for it."""
    looks = [*SECTIONS["Look"]]
    told = subprocess.run([sys.executable, "-c", LIGHT, *looks], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"
