"""Statements that are compiled once and run on the driver itself."""

import sqlite3

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from scim_bridge.errors import StoreError
from scim_bridge.store import (
    audit,
    connector_state,
    index,
    membership_changes,
    memberships,
    rate_windows,
    resources,
    shown,
    work,
)
from scim_bridge.store.engine import Store
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import resource
from scim_bridge.store.transaction import Transaction

MODULES = (audit, connector_state, index, membership_changes, memberships, rate_windows, resources, shown, work)
CLEARING = (membership_changes._CLEARING_GROUP, membership_changes._CLEARING_USER)
STATEMENTS = {
    f"{owner.__name__ if owner in MODULES else type(owner).__name__}.{name}": value
    for owner in (*MODULES, *CLEARING)
    for name, value in vars(owner).items()
    if isinstance(value, Prepared)
}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_is_whole_on_both_databases(name: str) -> None:
    """No list of constants is left to be written out at the call: that is what SQLAlchemy would do, and is left out."""
    for dialect in (sqlite.dialect(), postgresql.psycopg.dialect()):  # type: ignore[no-untyped-call]  # of SQLAlchemy
        assert "POSTCOMPILE" not in STATEMENTS[name].sql(dialect)


async def test_a_value_that_is_missing_is_an_error(any_store_url: str) -> None:
    """It is not taken for NULL, with which nothing is found."""
    store = await Store.open(any_store_url)
    statement = Prepared(select(resource.c.id).where(resource.c.id == bindparam("key")))
    try:
        with pytest.raises((KeyError, StoreError)):
            await store.read(lambda tx: statement.rows(tx, {}))
    finally:
        await store.close()


async def test_an_error_is_raised_as_any_other_statement_raises_it(sqlite_url: str) -> None:
    """One of the driver becomes SQLAlchemy's, one of the caller stays as it is, and none is its own cause."""
    store = await Store.open(sqlite_url)
    statement = Prepared(select(resource.c.id).where(resource.c.id == bindparam("key")))
    try:
        with pytest.raises(TypeError) as missing:
            await store.read(lambda tx: statement.rows(tx, None))  # type: ignore[arg-type]  # the mistake that is made here
        await store.write(lambda tx: tx.exec_driver_sql("ALTER TABLE resource RENAME TO moved"))

        def failing(tx: Transaction) -> object:
            with pytest.raises(OperationalError) as failed:
                statement.rows(tx, {"key": "1"})
            return failed.value

        error = await store.read(failing)
    finally:
        await store.close()
    assert missing.value.__cause__ is None
    assert isinstance(error, OperationalError)
    assert isinstance(error.orig, sqlite3.OperationalError)
    assert error.__cause__ is error.orig
