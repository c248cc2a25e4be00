"""``scim-bridge doctor``: what it finds, by its exit status, and that it changes nothing."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import create_engine, text

from scim_bridge.cli import NEEDED, main
from scim_bridge.store.clock import to_microseconds

CONFIGURATION = """
[server]
port = {port}
[store]
url = "{url}"
[connections.acme]
connector = "memory"
"""


def configured(directory: Path, url: str, *, port: int = 9, more: str = "") -> Path:
    """Write a configuration; by default nobody listens."""
    file = directory / "scim-bridge.toml"
    file.write_text(CONFIGURATION.format(port=port, url=url) + more)
    return file


def examined(file: Path, status: int) -> dict[str, tuple[str, str]]:
    """Return what the doctor says of each subject; it ends with this exit status."""
    result = CliRunner().invoke(main, ["--config", str(file), "doctor", "--json"])
    assert result.exit_code == status, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(row["remedy"] for row in rows if row["level"] in {"warning", "error"})
    return {row["subject"]: (row["level"], row["message"]) for row in rows}


@contextmanager
def served(file: Path) -> Iterator[int]:
    """Serve a configuration; the port is that of the line that tells it."""
    command = [str(Path(sys.executable).with_name("scim-bridge")), "--config", str(file), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in iter(process.stdout.readline, "") if '"serving ' in line)
            yield int(json.loads(line)["message"].rpartition(":")[2])
        finally:
            process.terminate()
            process.stdout.close()


def token(file: Path, *more: str) -> str:
    """Make a token, and the database with it; return its lookup id."""
    result = CliRunner().invoke(main, ["--config", str(file), "token", "create", "acme", *more])
    assert result.exit_code == 0
    return result.stdout.split("_")[2]


def test_before_the_first_start_nothing_is_made(tmp_path: Path) -> None:
    """A new installation is examined like any other; that nobody serves needs somebody."""
    file = configured(tmp_path, f"sqlite:///{tmp_path}/bridge.db")

    found = examined(file, NEEDED)

    assert found["database"][0] == "info"
    assert found["listener"][0] == "warning"
    assert found["remote system"][0] == "ok"
    assert list(tmp_path.iterdir()) == [file]


def test_beside_the_server_all_is_well(tmp_path: Path) -> None:
    """The real server listens, drives and has a token: exit status 0, and no file more (the server may write)."""
    url = f"sqlite:///{tmp_path}/bridge.db"
    file = configured(tmp_path, url, more="import_at_start = false\nreconcile_minutes = 0\n")
    token(file)
    with served(file) as port:
        configured(tmp_path, url, port=port)
        before = {one.name for one in tmp_path.iterdir()}

        found = examined(file, 0)

        assert {one.name for one in tmp_path.iterdir()} == before
    assert found["listener"] == ("ok", f"http://127.0.0.1:{port} is ready")
    assert found["leadership"] == ("ok", "the process that has the file drives it")
    assert found["clock"][0] == found["database"][0] == "ok"


def test_a_database_that_is_damaged_or_of_another_version_is_told_and_left_alone(tmp_path: Path) -> None:
    """Neither is opened by what the doctor asks afterwards: that would bring it to this version."""
    database = tmp_path / "bridge.db"
    file = configured(tmp_path, f"sqlite:///{database}")
    token(file)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
    assert "revision 0005" in examined(file, 1)["database"][1]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0005",)
    content = database.read_bytes()
    database.write_bytes(content[:8192] + bytes(8192) + content[16384:])
    assert examined(file, 1)["database"][1].startswith("damaged: ")


def test_clocks_tokens_and_secrets_are_told(tmp_path: Path) -> None:
    """Each with what to do; without the secrets the rest is told nevertheless."""
    database = tmp_path / "bridge.db"
    file = configured(tmp_path, f"sqlite:///{database}")
    token(file, "--days", "3")
    with closing(sqlite3.connect(database)) as connection, connection:
        future = to_microseconds(datetime.now(UTC) + timedelta(hours=1))
        connection.execute("UPDATE audit SET at = ?", (future,))
    found = examined(file, 1)
    assert found["clock"][0] == "error"
    assert found["token"][1].startswith("the last valid token ends on ")
    assert found["leadership"] == ("warning", "no process drives it")
    configured(tmp_path, f"sqlite:///{database}", more='[connections.acme.config]\nremote = { env = "NOT_THERE" }\n')
    found = examined(file, 1)
    assert found["configuration"][0] == "warning"
    assert "NOT_THERE" in found["configuration"][1]
    assert "remote system" not in found


def test_who_drives_is_told_of_postgresql_too(tmp_path: Path, postgresql_url: str) -> None:
    """Also that nobody does; a database that does not answer is one line."""
    file = configured(tmp_path, postgresql_url)
    token(file)
    found = examined(file, NEEDED)
    assert found["database"][1].startswith("PostgreSQL ")
    assert found["leadership"] == ("warning", "no process drives it")
    engine = create_engine(postgresql_url)
    with engine.begin() as tx:
        now = to_microseconds(datetime.now(UTC))
        tx.execute(text("INSERT INTO ownership VALUES ('acme', 'host:1:term', :now, :now)"), {"now": now})
    assert examined(file, NEEDED)["leadership"][1].startswith("driven by host:1, heard of ")
    with engine.begin() as tx:
        tx.execute(text("UPDATE ownership SET heartbeat_at = heartbeat_at - 600000000"))
    assert examined(file, NEEDED)["driver"][0] == "warning"
    engine.dispose()
    configured(tmp_path, "postgresql+psycopg://postgres@127.0.0.1:9/nothing")
    assert examined(file, 1)["database"][0] == "error"
