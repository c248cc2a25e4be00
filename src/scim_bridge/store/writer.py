"""The thread that writes to SQLite, with group commit.

It takes whatever queued up during the previous commit, runs each function in a SAVEPOINT of its own, commits once, and
only then wakes the callers.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from scim_bridge.errors import StoreError
from scim_bridge.store.failures import is_transient
from scim_bridge.store.transaction import Transaction

LATER = 1.0
"""Seconds that a transaction waits at most for others to share their commit, if it may."""


class Writer:
    """One thread that runs all writes, with group commit.

    :param connection: A connection that nobody else uses.
    """

    def __init__(self, connection: Transaction) -> None:
        self._connection = connection
        self._gathered: list[_Write] = []
        self._due = False
        self._queue: SimpleQueue[list[_Write] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="scim-bridge store writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[Transaction], Any], *, apart: bool = False, later: bool = False
    ) -> asyncio.Future[Any]:
        """Queue a transaction; the future is done after its COMMIT. Cancelling the future does not undo the work.

        :param apart: Whether it has a COMMIT of its own, so that its failure is nobody else's.
        :param later: Whether it may wait for others to share their commit.
        """
        if not self._thread.is_alive():
            raise StoreError("the store is closed")
        write = _Write(work, apart=apart)
        self._gathered.append(write)
        if later:
            write.loop.call_later(LATER, self._hand_over)
        elif not self._due:  # what is ready at the same moment shares a commit, too: it is handed over together
            self._due = True
            write.loop.call_soon(self._hand_over)
        return write.future

    def _hand_over(self) -> None:
        gathered, self._gathered, self._due = self._gathered, [], False
        if gathered:
            self._queue.put(gathered)

    async def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            stopping = None in batch
            writes = [write for gathered in batch if gathered is not None for write in gathered]
            together = [write for write in writes if not write.apart]
            for group in ([together] if together else []) + [[write] for write in writes if write.apart]:
                self._commit(group)

    def _commit(self, writes: "list[_Write]") -> None:
        try:
            with self._connection.begin():
                for write in writes:
                    write.run(self._connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, no caller may wait for ever
            for write in writes:
                write.fail(error)
            self._recover()
        for loop in {write.loop for write in writes}:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_answer, [write for write in writes if write.loop is loop])

    def _recover(self) -> None:
        """Begin again on a fresh connection: a COMMIT that failed may have left the old one inside its transaction."""
        if self._connection.in_transaction():
            self._connection.rollback()
        self._connection.invalidate()


class _Write:
    """A transaction on its way through the writer thread."""

    def __init__(self, work: Callable[[Transaction], Any], *, apart: bool) -> None:
        self.work = work
        self.apart = apart
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self, connection: Transaction) -> None:
        """Run the function in a SAVEPOINT of its own; only an error of the database itself ends the whole batch."""
        # Not begin_nested(): it never names two alike, and what is new has to be compiled, here and by SQLite.
        connection.exec_driver_sql("SAVEPOINT one_write")
        try:
            self._result = self.work(connection)
        except BaseException as error:
            if is_transient(error):
                raise
            connection.exec_driver_sql("ROLLBACK TO one_write")
            self._error = error
        connection.exec_driver_sql("RELEASE one_write")

    def fail(self, error: BaseException) -> None:
        """Note that the COMMIT of the batch failed."""
        self._error = self._error or error

    def answer(self) -> None:
        """Wake the caller."""
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)


def _answer(writes: list[_Write]) -> None:
    """Wake all callers of a batch at the same moment: what they write next is one batch again."""
    for write in writes:
        write.answer()
