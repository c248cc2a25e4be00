"""The tables that revisions make are the tables that the statements expect."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table, create_engine, inspect, select, text, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Engine
from sqlalchemy.schema import CreateTable

from scim_bridge.errors import StoreConfigurationError
from scim_bridge.store import audit, memberships, migrations
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import metadata
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import NOON
from tests.postgresql import PostgresqlServer


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database without tables."""
    if request.param == "sqlite":
        engine = create_engine(request.getfixturevalue("sqlite_url"))
        yield engine
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        name = server.create_database(migrated=False)
        engine = create_engine(server.url(name))
        yield engine
        server.drop_database(name)
    engine.dispose()


def schema(connection: Transaction) -> set[str]:
    """Return the definition of every table and index, as the database itself tells it."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
        return {
            re.sub(r"\s+", " ", each) for each in found if "alembic_version" not in each and "sqlite_stat" not in each
        }
    columns = connection.execute(
        text(
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '"
            " || coalesce(collation_name, '') || ' ' || is_identity FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
    ).scalars()
    indexes = connection.execute(
        text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
    ).scalars()
    return {*columns, *indexes}


def test_revisions_make_what_the_tables_say(empty: Engine) -> None:
    """A database brought up by all revisions equals one created from the tables at once."""
    with empty.begin() as connection:
        migrations.upgrade(connection)
        migrated = schema(connection)
        assert migrations.current(connection) == migrations.HEAD
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        everything = MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
        metadata.create_all(connection)
        assert schema(connection) == migrated
    assert len(migrated) > 15


def test_the_code_names_the_last_revision() -> None:
    """The revision the code works with is the head of the revisions it carries, of which there is one."""
    assert ScriptDirectory.from_config(migrations.configuration()).get_heads() == [migrations.HEAD]


def test_text_is_compared_byte_by_byte_on_postgresql() -> None:
    """No column leaves its order to the locale of a server."""
    dialect: Any = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it
    for table in metadata.sorted_tables:
        statement = str(CreateTable(table).compile(dialect=dialect))
        assert statement.count(" TEXT") == statement.count(' TEXT COLLATE "C"')


async def test_a_database_of_a_newer_version_is_refused(any_store_url: str) -> None:
    """A database that a newer version wrote is not touched; the message says what to do."""
    store = await Store.open(any_store_url)
    await store.write(lambda tx: tx.execute(update(migrations._version).values(version_num="9999")))
    await store.close()
    with pytest.raises(StoreConfigurationError, match="newer version of scim-bridge"):
        await Store.open(any_store_url)


async def test_a_revision_that_fails_leaves_nothing(empty: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision and its version row are one transaction, on SQLite too."""
    url = empty.url.render_as_string(hide_password=False)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer._insert_version", fail)
        with pytest.raises(RuntimeError):
            await Store.open(url)
    with empty.connect() as connection:
        assert inspect(connection).get_table_names() == []
    store = await Store.open(url)
    assert await store.read(lambda tx: tx.execute(select(metadata.tables["resource"])).all()) == []
    await store.close()


def test_members_of_an_older_database_are_in_no_doubt(empty: Engine) -> None:
    """Who was in which group before the second revision still is, and nothing of it has to be sent again."""
    old = Table("member", MetaData(), *(Column(name) for name in ("connection_id", "group_id", "user_id")))
    for name in ("desired", "observed", "changed_at"):
        old.append_column(Column(name))
    with empty.begin() as connection:
        migrations.upgrade(connection, "0001")
        key = {"connection_id": "acme", "group_id": "sales", "user_id": "ada"}
        connection.execute(old.insert(), key | {"desired": True, "observed": True, "changed_at": 0})
        migrations.upgrade(connection)
        found = connection.execute(select(metadata.tables["member"])).mappings().all()
        assert [dict(row) for row in found] == [
            key | {"desired": True, "observed": True, "changed_at": 0, "doubtful": False, "by_role": 0},
        ]
        assert memberships.unsettled_of_group(connection, "acme", "sales") == ([], [])


def test_the_history_of_an_older_database_is_found_by_its_resource(empty: Engine) -> None:
    """Entries of before the sixth revision are told of whom they are about, and the chain holds."""
    former = MetaData()
    with empty.begin() as connection:
        migrations.upgrade(connection, "0005")
        former.reflect(connection, only=["audit", "audit_head"])
        for sequence, event in enumerate(({"event": "intent", "id": "ada"}, {"event": "token"}), 1):
            before = audit.head(connection, "acme")
            told = event | {"at": NOON.isoformat(timespec="microseconds")}
            text_ = json.dumps(told, sort_keys=True, separators=(",", ":"))
            link = {"previous_hash": before.hash, "hash": hashlib.sha256(before.hash + text_.encode()).digest()}
            key = {"connection_id": "acme", "sequence": sequence}
            connection.execute(
                former.tables["audit"].insert(), key | link | {"at": to_microseconds(NOON), "event": text_}
            )
            connection.execute(former.tables["audit_head"].delete())
            connection.execute(former.tables["audit_head"].insert(), key | {"hash": link["hash"]})
        migrations.upgrade(connection)
        found = audit.latest(connection, "acme", resource_id="ada", limit=5)
        assert [entry.event["event"] for entry in found] == ["intent"]
        assert audit.verify(connection, "acme") is None
