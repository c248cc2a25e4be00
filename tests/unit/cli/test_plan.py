"""``mode = "plan"``, ``plan``, ``go-live`` and ``hold --plan``: on both databases, through the real command line."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from scim_bridge.app import opened
from scim_bridge.cli import NEEDED, TRY_LATER, hold, main
from scim_bridge.config import load_settings
from scim_bridge.models import Group, User
from scim_bridge.provisioning import Provisioning
from scim_bridge.store import audit, resources
from scim_bridge.store.rows import MemberDelta
from scim_bridge.testing.memory_remote import MemoryRemote

CONFIGURATION = """
[store]
url = "{url}"

[connections.acme]
connector = "memory"
mode = "{mode}"
[connections.acme.config]
remote = "{remote}"
[connections.acme.guard]
privileged = ["Admins"]
"""
ADA, BOB, CYD = "ada@x.example", "bob@x.example", "cyd@x.example"
WRITES = ("create_", "update_", "deactivate_", "reactivate_", "delete_", "set_", "finish_")


class Operator:
    """Somebody with a shell, and the client of acme."""

    def __init__(self, directory: Path, url: str) -> None:
        self.name = f"remote-{uuid4()}"
        self.remote = MemoryRemote.named(self.name)
        self.file = directory / "scim-bridge.toml"
        self.url = url
        self.configure("plan")

    def configure(self, mode: str) -> None:
        """Write the configuration."""
        self.file.write_text(CONFIGURATION.format(url=self.url, mode=mode, remote=self.name), encoding="utf-8")

    def run(self, *arguments: str, status: int = 0, answer: str | None = None) -> Result:
        """Run a command; it ends with this exit status."""
        result = CliRunner().invoke(main, ["--config", str(self.file), *arguments], input=answer)
        assert result.exit_code == status, result.output
        return result

    def plan(self, *, status: int = 0) -> dict[str, Any]:
        """Return the plan."""
        found: dict[str, Any] = json.loads(self.run("plan", "acme", "--json", "--exit-status", status=status).stdout)
        return found

    def push(self, work: Callable[[Provisioning], Awaitable[None]]) -> None:
        """Have the client write."""

        async def live() -> None:
            async with opened(load_settings(self.file), only="acme") as bridge:
                await work(bridge.provisioning("acme"))
                await bridge.provisioning("acme").driver.idle()

        asyncio.run(live())

    def written(self) -> list[str]:
        """Return the hooks that were called to change something."""
        return [one.hook for one in self.remote.calls if one.hook.startswith(WRITES)]

    def long_ago(self) -> None:
        """Have everything been asked for long ago."""

        async def age() -> None:
            async with opened(load_settings(self.file), only="acme") as bridge:
                await bridge.store.write(lambda tx: tx.exec_driver_sql("UPDATE resource SET modified_at = 0"))

        asyncio.run(age())

    def last_decision(self) -> dict[str, Any]:
        """Return the last entry of the audit chain about the mode."""

        async def look() -> dict[str, Any]:
            async with opened(load_settings(self.file), only="acme") as bridge:
                found = await bridge.store.read(lambda tx: audit.latest(tx, "acme", limit=50))
            return next(one.event for one in found if one.event["event"] == "observing")

        return asyncio.run(look())


@pytest.fixture
def operator(tmp_path: Path, any_store_url: str) -> Iterator[Operator]:
    """An operator of a remote system with two people in Sales, whose bridge was never started."""
    one = Operator(tmp_path, any_store_url)
    sales = one.remote.add_group("Sales")
    one.remote.members |= {(sales, one.remote.add_account(name)) for name in (ADA, BOB)}
    yield one
    MemoryRemote.forget(one.name)


async def first_push(provisioning: Provisioning) -> None:
    """Push: Ada is out, Bob has left Sales and is an admin, Cyd is new."""
    ids = {name: (await provisioning.create_user(User(user_name=name, active=True))).row.id for name in (ADA, BOB, CYD)}

    def out(user: User) -> User:
        user.active = False
        return user

    await provisioning.modify_user(ids[ADA], out, lambda _etag: None)
    for name, member in (("Sales", CYD), ("Admins", BOB)):
        group = Group.model_validate({"displayName": name, "members": [{"value": ids[member]}]})
        row = (await provisioning.create_group(group)).row
        if name == "Sales":
            await provisioning.modify_group(row.id, None, [MemberDelta("remove", (ids[BOB],))], lambda _etag: None)


async def one_more_leaves(provisioning: Provisioning) -> None:
    """Delete Bob."""
    row = await provisioning.store.read(lambda tx: resources.find_by_name(tx, "acme", "User", BOB))
    assert row is not None
    await provisioning.delete_user(row.id, lambda _etag: None)


def test_from_the_first_import_to_going_live_and_back(operator: Operator) -> None:
    """Nothing is sent before somebody has said how much of it takes away; then all of it is true."""
    operator.run("import", "acme")
    assert operator.plan()["has_removals"] is False
    operator.push(first_push)
    assert operator.written() == []

    found = operator.plan(status=NEEDED)
    assert found["plans"] is found["has_removals"] is True
    assert [(one["name"], one["group"]) for one in found["changes"][: found["removed"]]] == [
        (ADA, None),
        (BOB, "Sales"),
    ]
    assert {one["name"] for one in found["changes"] if one["privileged"]} == {BOB}
    told = operator.run("plan", "acme").stdout.splitlines()
    line = told.index(f"acme: − 2 removed, ~ {found['changed']} changed, + {found['created']} created")
    assert [ADA in told[line + 1], BOB in told[line + 2], len(told) - line] == [True, True, 3]
    rows = list(csv.DictReader(io.StringIO(operator.run("plan", "--csv").stdout)))
    assert [row["name"] for row in rows] == [one["name"] for one in found["changes"]]
    operator.long_ago()
    status = json.loads(operator.run("status", "acme", "--json").stdout)
    assert status["mode"] == "plans"
    assert not any("not confirmed" in one for one in status["needs"]), "it waits for the operator"
    assert "plans" in operator.run("check").output

    operator.run("reconcile", "acme", "--apply", status=1)
    operator.run("go-live", "acme", answer="n\n", status=1)
    operator.run("go-live", "acme", "--yes", status=1)
    operator.run("go-live", "acme", "--yes", "--accept-removals", "3", "--accept-privileged", "1", status=1)
    operator.run("go-live", "acme", "--yes", "--accept-removals", "2", status=1)
    assert operator.written() == []
    assert operator.last_decision()["decision"] == "plan"

    operator.run("go-live", "acme", "--yes", "--accept-removals", "2", "--accept-privileged", "1")
    numbers = {"removed": 2, "changed": found["changed"], "created": found["created"]}
    assert operator.last_decision() == {**operator.last_decision(), "decision": "live", "actor": "operator", **numbers}
    operator.push(_nothing)
    assert operator.plan()["changes"] == []
    ada = operator.remote.find(ADA)
    assert ada is None or not ada.active
    assert operator.remote.find(CYD) is not None

    operator.run("hold", "acme", "--plan")
    written = len(operator.written())
    operator.push(one_more_leaves)
    assert len(operator.written()) == written
    assert operator.plan(status=NEEDED)["removed"] == 1


async def _nothing(_: Provisioning) -> None:
    """Let the driver do what there is."""


def test_the_mode_of_the_file_counts_once(operator: Operator) -> None:
    """Edited afterwards it neither sends anything nor has clients told what is not so; ``check`` tells of it."""
    operator.run("import", "acme")
    operator.configure("live")
    operator.push(first_push)
    assert operator.written() == []
    assert "at the first start only" in operator.run("check").output.replace("\n", " ")

    operator.run("go-live", "acme", answer="y\n")
    operator.configure("plan")
    operator.push(_nothing)
    assert operator.written() != []
    assert json.loads(operator.run("status", "acme", "--json").stdout)["mode"] == "live"
    assert "at the first start only" in operator.run("check").output.replace("\n", " ")


def test_a_connection_that_was_in_use_is_not_made_to_plan_by_its_file(operator: Operator) -> None:
    """Its clients would be told of removals that nobody sends."""
    operator.configure("live")
    operator.run("import", "acme")
    operator.configure("plan")
    operator.push(first_push)
    assert operator.written() != []


def test_what_was_written_after_the_plan_was_shown_is_not_approved(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client writes between the plan and the answer: somebody else would go, so nothing happens."""
    operator.run("import", "acme")
    operator.push(first_push)
    release = hold._release

    async def late(*arguments: Any, **options: Any) -> bool:
        async with opened(load_settings(operator.file), only="acme") as bridge:
            await one_more_leaves(bridge.provisioning("acme"))
        return await release(*arguments, **options)

    monkeypatch.setattr(hold, "_release", late)
    operator.run("go-live", "acme", answer="y\n", status=TRY_LATER)
    assert operator.written() == []
    assert operator.last_decision()["decision"] == "plan"
