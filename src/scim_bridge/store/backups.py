"""Copies of the database: made beside the running bridge, checked, and put back so that nothing is sent unseen.

A copy is one file that its owner alone can read. Of SQLite it is a database, of PostgreSQL the SQL text of ``pg_dump``.
"""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from scim_bridge.errors import StoreConfigurationError
from scim_bridge.store import migrations
from scim_bridge.store.engine import parse, refused_plainly
from scim_bridge.store.postgresql import pooled_engine
from scim_bridge.store.sqlite import DatabaseFile, check_integrity, writer_engine
from scim_bridge.store.transaction import Transaction

Revoked = Collection[str]
"""The lookup ids of tokens."""

Prepare = Callable[[Transaction, Revoked | None], None]
"""Makes what is to hold in a restored database before anything can use it. It is told which tokens are revoked in the
database that was there; ``None`` where none could be asked."""

COMPLETE = b"-- PostgreSQL database dump complete"
"""What ``pg_dump`` ends a whole text with."""

NOT_YET = "restoring "
"""Stands before the revision of a database that is not prepared: every bridge refuses it."""

DUMP = ("pg_dump", "--format=plain", "--no-owner", "--no-privileges")
LOAD = ("psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1")


def back_up(url: str, target: Path) -> int:
    """Write a copy of the database and check it. Returns its size in bytes.

    :param target: A file that is not there yet; it is complete, or not made.
    :raises StoreConfigurationError: In one line, why there is no copy.
    """
    database = parse(url)
    if target.exists():
        raise StoreConfigurationError(f"{target} is there already; name another file")
    with _beside(target) as fresh:
        if database.get_backend_name() == "sqlite":
            _copy(Path(str(database.database)), fresh)
        else:
            _dump(database, fresh)
        _durable(fresh)
        fresh.rename(target)
    return target.stat().st_size


def restore(url: str, source: Path, prepare: Prepare, *, production: bool, now: datetime) -> Path | None:
    """Put a copy in the place of the database, prepared. Returns where the database that was there is now.

    :param source: What :func:`back_up` wrote.
    :param production: Whether to refuse file systems on which SQLite is not safe.
    :raises StoreConfigurationError: In one line, why it was not done; what was there still is.
    """
    database = parse(url)
    if not source.is_file():
        raise StoreConfigurationError(f"there is no file {source}")
    if database.get_backend_name() == "sqlite":
        return _restore_sqlite(database, source, prepare, production=production, now=now)
    _restore_postgresql(database, source, prepare)
    return None


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Make an empty file for its owner alone in the directory of another; what is left of it is removed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    except OSError as error:
        raise StoreConfigurationError(f"{target} cannot be written: {error.strerror}") from None
    os.close(descriptor)
    fresh = Path(name)
    try:
        yield fresh
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            fresh.with_name(fresh.name + end).unlink(missing_ok=True)


def _durable(file: Path) -> None:
    for place in (file, file.parent):
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _copy(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment; nobody who writes to it waits."""
    if not source.is_file():
        raise StoreConfigurationError(f"there is no database {source}")
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, wherever it is read
            found = new.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found == "ok":
                new.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise StoreConfigurationError(f"{source} cannot be copied: {error}") from None
    if found != "ok":
        raise StoreConfigurationError(f"{source} is damaged ({found})")


def _restore_sqlite(url: URL, source: Path, prepare: Prepare, *, production: bool, now: datetime) -> Path | None:
    there = (was := Path(str(url.database))).exists() and was.stat().st_size > 0
    held = DatabaseFile(url, production=production)  # nobody has it, and nobody takes it meanwhile
    try:
        with _beside(held.path) as fresh:
            _copy(source, fresh)
            engine = writer_engine(fresh)
            try:
                with engine.begin() as tx:
                    check_integrity(tx, source)
                    migrations.upgrade(tx)
                    prepare(tx, _revoked_in(held.path) if there else None)
            finally:
                engine.dispose()
            _durable(fresh)
            aside = _set_aside(held.path, now) if there else None
            fresh.rename(held.path)
            _durable(held.path)
        return aside
    finally:
        held.release()


def _revoked_in(database: Path) -> Revoked | None:
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as there:
            return {row[0] for row in there.execute("SELECT lookup_id FROM token WHERE revoked_at IS NOT NULL")}
    except sqlite3.Error:
        return None


def _set_aside(path: Path, now: datetime) -> Path:
    """Rename a database, the log of what is not in it yet too. Until the new one is there, nothing is."""
    aside = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}")
    path.rename(aside)
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def _dump(url: URL, target: Path) -> None:
    _run(url, (*DUMP, f"--file={target}"), "run where it is, and keep the file from others")
    _require_end(target)


def _require_end(dump: Path) -> None:
    """Refuse the text of a dump whose end is missing: what is there of it may well be valid SQL."""
    with dump.open("rb") as file:
        file.seek(max(0, dump.stat().st_size - 4096))
        if COMPLETE not in file.read():
            raise StoreConfigurationError(f"{dump} is no whole dump: the last line of pg_dump is missing")


def _restore_postgresql(url: URL, source: Path, prepare: Prepare) -> None:
    """Load the text of a dump into an empty database.

    Until it is prepared, its revision is none that a bridge knows: one that starts too early refuses it.
    """
    _require_end(source)
    engine = pooled_engine(url)
    try:
        with refused_plainly(), engine.begin() as tx:
            if inspect(tx).get_table_names():
                raise StoreConfigurationError(
                    "[store] url: the database is not empty; stop the bridge, make an empty one, and name that one"
                )
        mark = f"UPDATE alembic_version SET version_num = '{NOT_YET}' || version_num"  # noqa: S608 - of this module
        then = "into the database; then, before anything else: scim-bridge hold --all --restored"
        _run(url, (*LOAD, f"--file={source}", "--command=RESET search_path", f"--command={mark}"), then)
        try:
            with engine.begin() as tx:
                tx.execute(text("SET LOCAL statement_timeout = 0"))
                tx.execute(
                    text("UPDATE alembic_version SET version_num = substr(version_num, :n)"), {"n": len(NOT_YET) + 1}
                )
                migrations.upgrade(tx)
                prepare(tx, None)
        except DBAPIError as error:
            raise StoreConfigurationError(
                f"{source} holds no database of scim-bridge: {type(error.orig).__name__}"
            ) from None
    finally:
        engine.dispose()


def _run(url: URL, command: tuple[str, ...], then: str) -> None:
    """Run a program of PostgreSQL for a database, without the password among its arguments, which others can list."""
    program = command[0]
    if shutil.which(program) is None:
        raise StoreConfigurationError(
            f"{program} is not installed here (Debian: postgresql-client); {then}: {' '.join(command)} {url.database}"
        )
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    ended = subprocess.run(  # noqa: S603 - a program of PostgreSQL, and the operator's own file
        [*command, f"--dbname={address}"], env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        told = [line for line in ended.stderr.splitlines() if "error" in line.lower()]
        raise StoreConfigurationError(f"{program} failed: {told[0] if told else f'exit status {ended.returncode}'}")
