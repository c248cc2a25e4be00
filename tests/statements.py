"""What is sent to a database while something happens, whichever way it goes there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from scim_bridge.store.prepared import Prepared


@contextmanager
def asked() -> Iterator[list[tuple[str, Any]]]:
    """Collect each statement with its parameters, in a ``with`` block; of one run for many with the first ones."""
    found: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        found.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    run, run_all = Prepared.run, Prepared.run_all

    def one(self: Prepared, driver: Any, dialect: Any, values: Any) -> Any:
        found.append((self.sql(dialect), self.parameters(dialect, values)))
        return run(self, driver, dialect, values)

    def each(self: Prepared, driver: Any, dialect: Any, values: Any) -> None:
        found.append((self.sql(dialect), self.parameters(dialect, values[0])))
        run_all(self, driver, dialect, values)

    event.listen(Engine, "before_cursor_execute", listen)
    setattr(Prepared, "run", one)  # noqa: B010 - both put back below
    setattr(Prepared, "run_all", each)  # noqa: B010 - mypy would object to an assignment
    try:
        yield found
    finally:
        setattr(Prepared, "run", run)  # noqa: B010 - mypy would object to an assignment
        setattr(Prepared, "run_all", run_all)  # noqa: B010 - mypy would object to an assignment
        event.remove(Engine, "before_cursor_execute", listen)
