"""Keeps, across the bridges of one process and its forks, what does not depend on any of them.

Compiled statements and the registry of installed connectors are the same in every bridge; a program that opens
thousands of bridges need not make them thousands of times.
"""

from functools import cache
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.util import LRUCache

from scim_bridge import app
from scim_bridge.connections.discovery import discover


def install() -> None:
    """Share them from now on."""
    statements: LRUCache[Any, Any] = LRUCache(2000)
    # Not by a wrapper of __init__: create_engine() asks that for the names of its parameters.
    setattr(Engine, "_compiled_cache", property(lambda _: statements, lambda _, __: None))  # noqa: B010 - mypy would object to an assignment
    # Dialects are part of the key of a statement; all of this process have the same settings.
    SQLiteDialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign] # of this process
    SQLiteDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign] # of this process
    registry = cache(discover)
    vars(app)["discover"] = lambda plugins: registry(None if plugins is None else tuple(plugins))
