"""Copies of the database, through the command line: on both databases, and what refuses them."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, make_url, text

from scim_bridge.cli import main
from scim_bridge.errors import StoreConfigurationError
from scim_bridge.provisioning import observing
from scim_bridge.store import audit, backups, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.sqlite import DatabaseFile
from scim_bridge.store.transaction import Transaction
from tests.postgresql import PostgresqlServer

T = TypeVar("T")

CONFIGURATION = """
[store]
url = "{url}"
[connections.acme]
connector = "memory"
[connections.beta]
connector = "memory"
"""


def run(directory: Path, url: str, *arguments: object, status: int = 0) -> Result:
    """Run a command on a database; it ends with this exit status."""
    file = directory / "scim-bridge.toml"
    file.write_text(CONFIGURATION.replace("{url}", url))
    result = CliRunner().invoke(main, ["--config", str(file), *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def look(url: str, work: Callable[[Transaction], T]) -> T:
    """Ask a store something."""

    async def ask() -> T:
        store = await Store.open(url)
        try:
            return await store.scan(work)
        finally:
            await store.close()

    return asyncio.run(ask())


@pytest.fixture
def empty_url(any_store_url: str, postgresql_server: PostgresqlServer, tmp_path: Path) -> Iterator[str]:
    """Where the copy of a database is restored to: another database of the same kind."""
    if any_store_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'restored.db'}"
        return
    name = postgresql_server.create_database(migrated=False)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(autouse=True)
def _programs(postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the server's own version are found."""
    monkeypatch.setenv("PATH", f"{postgresql_server.programs}{os.pathsep}{os.environ['PATH']}")


def test_a_copy_is_restored_with_every_connection_observing(tmp_path: Path, any_store_url: str, empty_url: str) -> None:
    """What was in the database is there again; nothing is sent, of those that are not configured any more neither."""
    run(tmp_path, any_store_url, "token", "create", "acme", "--name", "okta")
    copy = tmp_path / "copy"

    run(tmp_path, any_store_url, "backup", copy)
    run(tmp_path, any_store_url, "token", "create", "acme", "--name", "later")
    told = run(tmp_path, empty_url, "restore", copy).output

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [one.label for one in look(empty_url, lambda tx: tokens.list_tokens(tx, "acme"))] == ["okta"]
    for connection in ("acme", "beta"):
        observes = look(empty_url, partial(observing.current, connection_id=connection))
        assert observes is not None
        assert observes.reason == "restored"
        assert f"scim-bridge go-live {connection}" in told
        assert look(empty_url, partial(audit.verify, connection_id=connection)) is None
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith(".")) == []


def test_a_copy_is_whole_while_somebody_writes(tmp_path: Path, sqlite_url: str) -> None:
    """A transaction that is open waits for nobody, and is not in the copy; what is committed is."""
    run(tmp_path, sqlite_url, "token", "create", "acme", "--name", "okta")
    with closing(sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)) as server:
        server.execute("PRAGMA journal_mode = WAL")
        server.execute("UPDATE token SET label = 'committed'")
        server.execute("BEGIN IMMEDIATE")
        server.execute("UPDATE token SET label = 'open'")

        run(tmp_path, sqlite_url, "backup", tmp_path / "copy")

        server.execute("COMMIT")
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT label FROM token").fetchall() == [("committed",)]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_the_database_that_was_there_is_kept(tmp_path: Path, sqlite_url: str) -> None:
    """Whoever restored the wrong file has lost nothing."""
    run(tmp_path, sqlite_url, "token", "create", "acme", "--name", "okta")
    run(tmp_path, sqlite_url, "backup", tmp_path / "copy")
    run(tmp_path, sqlite_url, "token", "create", "acme", "--name", "later")

    run(tmp_path, sqlite_url, "restore", tmp_path / "copy")

    (aside,) = tmp_path.glob("*.before-*")
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM token").fetchone() == (2,)
    assert len(look(sqlite_url, lambda tx: tokens.list_tokens(tx, "acme"))) == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_a_token_that_was_revoked_since_the_copy_stays_revoked(tmp_path: Path, sqlite_url: str, damaged: bool) -> None:
    """As far as the database that was there can be asked; what is valid is told, and nobody stays signed in."""
    for name in ("okta", "lost", "before"):
        run(tmp_path, sqlite_url, "token", "create", "acme", "--name", name)
    ids = {one.label: one.lookup_id for one in look(sqlite_url, tokens.list_tokens)}
    run(tmp_path, sqlite_url, "token", "revoke", ids["before"])
    with closing(sqlite3.connect(make_url(sqlite_url).database or "")) as console, console:
        console.execute(
            "INSERT INTO sign_in (digest, opens, person, role, expires_at) VALUES (x'00', 'session', 'a', '', 9)"
        )
    run(tmp_path, sqlite_url, "backup", tmp_path / "copy")
    run(tmp_path, sqlite_url, "token", "revoke", ids["lost"])
    if damaged:
        Path(make_url(sqlite_url).database or "").write_bytes(b"damaged" * 9000)
        for end in ("-wal", "-shm"):
            Path(f"{make_url(sqlite_url).database}{end}").unlink(missing_ok=True)

    told = run(tmp_path, sqlite_url, "restore", tmp_path / "copy").output

    valid = {one.label for one in look(sqlite_url, tokens.list_tokens) if one.revoked_at is None}
    assert valid == ({"okta", "lost"} if damaged else {"okta"})
    assert {name for name, id_ in ids.items() if f"  {id_} of acme: {name}" in told} == valid
    assert ("also what was revoked since" in told) is damaged
    assert look(sqlite_url, lambda tx: tx.execute(text("SELECT count(*) FROM sign_in")).scalar_one()) == 0


def test_a_restoration_may_end_every_token(tmp_path: Path, any_store_url: str, empty_url: str) -> None:
    """Each end is an entry of the audit chain, as any other."""
    for name in ("okta", "entra"):
        run(tmp_path, any_store_url, "token", "create", "acme", "--name", name)
    run(tmp_path, any_store_url, "backup", tmp_path / "copy")

    told = run(tmp_path, empty_url, "restore", "--revoke-tokens", tmp_path / "copy").output

    assert "0 tokens of the copy are valid" in told
    assert all(one.revoked_at for one in look(empty_url, tokens.list_tokens))
    entries = look(empty_url, lambda tx: [one.event for one in audit.export(tx, "acme")])
    assert [one["operation"] for one in entries if one.get("event") == "token"] == ["create"] * 2 + ["revoke"] * 2


def test_nothing_is_put_in_place_that_is_not_prepared(tmp_path: Path, any_store_url: str, empty_url: str) -> None:
    """Where the holding of the connections fails, no bridge takes the copy for its database."""
    run(tmp_path, any_store_url, "token", "create", "acme", "--name", "okta")
    run(tmp_path, any_store_url, "backup", tmp_path / "copy")

    def fail(_: Transaction, _revoked: backups.Revoked | None) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        backups.restore(empty_url, tmp_path / "copy", fail, production=False, now=datetime.now(UTC))

    if empty_url.startswith("sqlite"):
        assert look(empty_url, lambda tx: tokens.list_tokens(tx, "acme")) == []
    else:
        with pytest.raises(StoreConfigurationError, match="revision"):
            look(empty_url, lambda tx: tokens.list_tokens(tx, "acme"))


def test_what_is_no_copy_is_refused_and_changes_nothing(tmp_path: Path, any_store_url: str, empty_url: str) -> None:
    """Another file, a part of a copy: one line, and what is there stays."""
    run(tmp_path, any_store_url, "token", "create", "acme", "--name", "okta")
    copy = tmp_path / "copy"
    run(tmp_path, any_store_url, "backup", copy)
    whole = copy.read_bytes()
    for content in (b"hello", whole[: len(whole) // 2]):
        copy.write_bytes(content)
        (line,) = run(tmp_path, empty_url, "restore", copy, status=2).stderr.strip().splitlines()
        assert line.startswith("scim-bridge: ")
    run(tmp_path, empty_url, "restore", tmp_path / "none", status=2)
    copy.write_bytes(whole)
    run(tmp_path, empty_url, "restore", copy)


def test_a_copy_overwrites_no_file_and_no_database_in_use(tmp_path: Path, sqlite_url: str, postgresql_url: str) -> None:
    """``backup`` wants a new file; ``restore`` a bridge that is stopped and, of PostgreSQL, an empty database."""
    run(tmp_path, sqlite_url, "token", "create", "acme", "--name", "okta")
    copy = tmp_path / "copy"
    run(tmp_path, sqlite_url, "backup", copy)

    assert "is there already" in run(tmp_path, sqlite_url, "backup", copy, status=2).stderr
    server = DatabaseFile(make_url(sqlite_url), production=False)
    try:
        assert "is in use" in run(tmp_path, sqlite_url, "restore", copy, status=2).stderr
    finally:
        server.release()
    run(tmp_path, postgresql_url, "backup", tmp_path / "dump")
    assert "is not empty" in run(tmp_path, postgresql_url, "restore", tmp_path / "dump", status=2).stderr


def test_a_damaged_database_is_not_copied(tmp_path: Path, sqlite_url: str) -> None:
    """Somebody who needs a copy learns of it today."""
    run(tmp_path, sqlite_url, "token", "create", "acme", "--name", "okta")
    file = Path(make_url(sqlite_url).database or "")
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 9] = bytes(4096 * 6)
    file.write_bytes(content)

    run(tmp_path, sqlite_url, "backup", tmp_path / "copy", status=2)

    assert not (tmp_path / "copy").exists()


def test_without_the_programs_of_postgresql_the_command_is_told(
    tmp_path: Path, postgresql_url: str, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has them elsewhere knows what to run there; a password is in no line."""
    run(tmp_path, postgresql_url, "backup", tmp_path / "copy")
    monkeypatch.setenv("PATH", "")
    url = make_url(postgresql_url).set(password="canary").render_as_string(hide_password=False)

    dump = run(tmp_path, url, "backup", tmp_path / "other", status=2).stderr

    assert "pg_dump --format=plain" in dump
    assert "canary" not in dump
    if empty_url.startswith("postgresql"):
        load = run(tmp_path, empty_url, "restore", tmp_path / "copy", status=2).stderr
        assert "psql" in load
        assert "scim-bridge hold --all --restored" in load


def test_a_revision_that_was_not_prepared_is_no_revision(postgresql_url: str) -> None:
    """The mark of a restoration that was broken off is refused by every bridge."""
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{backups.NOT_YET}0006'"))
    engine.dispose()
    with pytest.raises(StoreConfigurationError):
        look(postgresql_url, lambda tx: tokens.list_tokens(tx, "acme"))
