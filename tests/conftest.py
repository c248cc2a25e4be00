"""Fixtures of every suite: the two databases. A missing PostgreSQL fails the tests, it skips none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server for the whole session; databases in it are cheap."""
    with PostgresqlServer.running() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The store's URL of a fresh SQLite file."""
    return f"sqlite:///{tmp_path / 'scim-bridge.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The store's URL of a fresh PostgreSQL database."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store_url(request: pytest.FixtureRequest) -> str:
    """The store's URL of a fresh database: SQLite, then PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
