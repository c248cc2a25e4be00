"""``scim-bridge audit``: keys, what is told of an exported file, pruning; and the server's part of it."""

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scim_bridge.cli import main
from scim_bridge.cli.looking import os_user
from scim_bridge.config import Settings, load_settings, settings_of
from scim_bridge.errors import ConfigurationError, StoreError, StoreUnavailableError
from scim_bridge.keeping import CONFIGURATION, keeping, note_start, prune_due, sign_due
from scim_bridge.store import audit, connector_state, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import row_of, user
from tests.hang_guard import HANG_SECONDS

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a bridge with a signing key."""
    result = run(tmp_path, "audit", "key", str(tmp_path / "audit.pem"))
    (tmp_path / "audit.pub").write_text(result.stdout)
    text = """
[store]
url = "sqlite:///{}/bridge.db"
[audit]
signing_key = {{ file = "audit.pem" }}
keep_days = 365
[connections.acme]
connector = "memory"
"""
    (tmp_path / "scim-bridge.toml").write_text(text.format(tmp_path))
    return load_settings(tmp_path / "scim-bridge.toml")


def run(directory: Path, *arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, ["--config", str(directory / "scim-bridge.toml"), *arguments])


def fill(tx: Transaction) -> None:
    """Write entries of two years: in the second one, somebody was to leave who never had access."""
    for month in range(24):
        left = {"operation": "delete", "generation": 1, "lane": "REMOVE", "actor": "operator"} if month == 13 else {}
        event = {"event": "intent" if left else "drift", "kind": "User", "id": "ada", **left}
        audit.append(tx, "acme", event, now=NOW - 2 * YEAR + timedelta(days=30 * month))


async def filled(settings: Settings) -> Store:
    """Return a store with entries."""
    store = await Store.open(settings.store.url, exclusive=False)
    await store.write(fill)
    return store


async def test_what_a_broken_store_put_off_is_done_at_the_next_look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a day later."""
    store = await filled(settings)
    outcomes: list[StoreError | None] = [StoreUnavailableError("down"), None]
    pruned = asyncio.Event()
    looks = 0

    async def sign(*_: object) -> None:
        nonlocal looks
        looks += 1

    async def hide(*_: object) -> None:
        if (error := outcomes.pop(0)) is not None:
            raise error

    async def prune(*_: object) -> None:
        assert looks == 2
        pruned.set()

    for name, value in (("LOOK_SECONDS", 0), ("sign_due", sign), ("hide_due", hide), ("prune_due", prune)):
        monkeypatch.setattr(f"scim_bridge.keeping.{name}", value)
    async with keeping(settings, store, lambda: NOW):
        await asyncio.wait_for(pruned.wait(), HANG_SECONDS)
    await store.close()
    assert outcomes == []


async def test_a_file_is_verified_with_a_key_and_tells_what_is_wrong(tmp_path: Path, settings: Settings) -> None:
    """Signed by the server; a tail cut off before the time it has to be signed, another key, no signature."""
    store = await filled(settings)
    async with keeping(settings, store, lambda: NOW):
        while not (heads := await store.read(lambda tx: audit.latest(tx, "acme", resource_id="head", limit=9))):
            await store.write(lambda _: None)  # the task has its turns meanwhile
    await sign_due(settings, store, NOW + timedelta(minutes=59))
    assert len(heads) == 1
    lines = await store.scan(lambda tx: [one.sequence for one in audit.export(tx, "acme")])
    await store.close()
    exported = in_thread(tmp_path, "audit", "export", "acme").splitlines()
    assert [json.loads(one)["sequence"] for one in exported] == [*lines, lines[-1] + 1]
    file, public, today = tmp_path / "a.jsonl", tmp_path / "audit.pub", f"{NOW:%Y-%m-%d}"

    def verified(lines: list[str], key: Path = public, since: str = today) -> str:
        file.write_text("".join(f"{one}\n" for one in lines))
        result = run(tmp_path / "nowhere", "audit", "verify", str(file), "--key", str(key), "--signed-since", since)
        return f"{result.exit_code} {result.output}"

    head = heads[0].sequence
    assert f"Signed up to entry {head} " in verified(exported)
    assert verified(exported).startswith("0 ")
    assert "1 entries follow it" in verified(exported)
    tomorrow = f"{NOW + timedelta(days=1):%Y-%m-%d}"
    assert f"is cut off: no head is signed since {tomorrow}" in verified(exported, since=tomorrow)
    unsigned = [one for one in exported if json.loads(one)["sequence"] < head]
    assert verified(unsigned).startswith("1 ")
    assert "no head is signed" in verified(unsigned)
    run(tmp_path, "audit", "key", str(tmp_path / "other.pem"))
    (tmp_path / "other.pub").write_text(run(tmp_path, "audit", "key", str(tmp_path / "another.pem")).stdout)
    assert f"line {head - lines[0] + 1}: entry {head} is signed with another key" in verified(
        exported, tmp_path / "other.pub"
    )
    assert "entry 20 was changed" in verified([one.replace("2 years", "") for one in tampered(exported, 20)])


def tampered(lines: list[str], sequence: int) -> list[str]:
    """Return the lines with one event changed."""
    return [one.replace('"ada"', '"bob"') if json.loads(one)["sequence"] == sequence else one for one in lines]


def in_thread(directory: Path, *arguments: str) -> str:
    """Run a command, which has an event loop of its own, from a test that has one."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(run, directory, *arguments).result()
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_the_server_prunes_what_is_older_than_it_is_to_be_kept(tmp_path: Path, settings: Settings) -> None:
    """And tells of it in an entry; there is nothing more to do then."""
    store = await filled(settings)
    for _ in range(2):
        await prune_due(settings, store, NOW)
    first, *_, last = await store.scan(lambda tx: list(audit.export(tx, "acme")))
    assert first.at >= NOW - YEAR
    assert (last.event["event"], last.event["through"], last.event["actor"]) == (
        "prune",
        first.sequence - 1,
        "bridge",
    )
    assert last.sequence == 25
    assert await store.scan(lambda tx: audit.verify(tx, "acme")) is None
    await store.close()
    file = tmp_path / "pruned.jsonl"
    file.write_text(in_thread(tmp_path, "audit", "export", "acme"))
    assert f"Entries 1 to {first.sequence - 1} were pruned, as entry 25 tells" in in_thread(
        tmp_path, "audit", "verify", str(file)
    )


async def test_nothing_young_and_nothing_that_is_needed_is_pruned(tmp_path: Path, settings: Settings) -> None:
    """Of the last 30 days nothing goes, nor while somebody asked for before has access; the rest does, by name."""
    store = await filled(settings)
    ada = row_of(user("ada@x.example"), id="ada", active=False, state=State.PENDING)
    await store.write(lambda tx: resources.insert(tx, ada, user("ada@x.example")))
    before = f"{NOW - timedelta(days=200):%Y-%m-%d}"
    assert "entries of the last 30 days are kept" in failed(tmp_path, f"{NOW - timedelta(days=29):%Y-%m-%d}")
    assert "1 whose access is not ended were asked for before: ada" in failed(tmp_path, before)
    await prune_due(replace(settings, days=300), store, NOW)
    assert len(await store.scan(lambda tx: list(audit.export(tx, "acme")))) == 24

    await store.write(lambda tx: resources.remove(tx, "acme", "ada"))
    await store.close()
    assert "pruned: " in in_thread(tmp_path, "audit", "prune", "acme", "--before", before)
    told = json.loads(in_thread(tmp_path, "audit", "export", "acme").splitlines()[-2])["event"]
    assert (told["event"], told["actor"]) == ("prune", f"operator {os_user()}")


def replace(settings: Settings, days: int) -> Settings:
    """Return the settings with another time to keep entries."""
    return settings.model_copy(update={"audit": settings.audit.model_copy(update={"keep_days": days})})


def failed(directory: Path, before: str) -> str:
    """Return why entries are not pruned."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(run, directory, "audit", "prune", "acme", "--before", before).result()
    assert result.exit_code == 1
    return result.output


async def test_a_start_tells_which_settings_are_others_and_no_value(settings: Settings) -> None:
    """By path, also a secret's; the database has neither secrets nor plain hashes of them."""
    store = await filled(settings)
    for minutes, token in ((60, "s3cret-one"), (60, "s3cret-one"), (30, "s3cret-two")):
        document = {
            "audit": {"sign_minutes": minutes},
            "connections": {"acme": {"connector": "memory", "config": {"token": token}}},
        }
        await store.write(partial(note_start, settings=settings_of(document), now=NOW))
    told = [one.event for one in await store.read(lambda tx: audit.latest(tx, "acme", limit=3))]
    assert [one["changed"] for one in told] == [["audit.sign_minutes", "connections.acme.config.token"], [], []]
    assert told[1]["digest"] == told[2]["digest"] != told[0]["digest"]
    assert {(one["event"], one["operation"], one["actor"]) for one in told} == {("configuration", "start", "bridge")}
    kept = str(await store.read(lambda tx: connector_state.get(tx, "acme", CONFIGURATION))) + str(told)
    for secret in ("s3cret-one", "s3cret-two"):
        assert secret not in kept
        assert hashlib.sha256(repr(secret).encode()).hexdigest() not in kept
    await store.close()


def test_a_key_is_made_once_and_its_public_half_told(tmp_path: Path, settings: Settings) -> None:
    """For its owner alone; never written over; a command that signs nothing needs none."""
    assert (tmp_path / "audit.pem").stat().st_mode & 0o777 == 0o600
    assert run(tmp_path, "audit", "key", str(tmp_path / "audit.pem")).exit_code == 1
    assert run(tmp_path, "audit", "key").stdout == (tmp_path / "audit.pub").read_text()
    (tmp_path / "audit.pem").unlink()
    assert run(tmp_path, "status").exit_code != 2
    assert settings.audit.key() is not None


@pytest.mark.parametrize("wrong", [{"signing_key": "no key"}, {"keep_days": 29}])
def test_wrong_settings_are_told_without_their_values(wrong: dict[str, object]) -> None:
    """A key that is none, and a time that is too short."""
    with pytest.raises(ConfigurationError, match=r"configuration: audit\.") as told:
        settings_of({"audit": wrong})
    assert "no key" not in str(told.value)
