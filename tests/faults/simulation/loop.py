"""An event loop that a seed drives: virtual time, a chosen order of what is ready, and processes that can die.

A *process* here is everything that runs in one :mod:`contextvars` context marked with a :class:`Mortal`. When it dies,
nothing of it runs any more: no ``except``, no ``finally``, as after ``kill -9``.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from random import Random
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class Mortal:
    """Something that can die between two steps of its tasks.

    ``fuse`` is after how many steps it dies by itself (``None``: never), ``at_death`` what its operating system does
    then. ``alive`` tells whether its tasks go on, ``ended`` whether it is over for everybody else.
    """

    def __init__(self) -> None:
        self.fuse: int | None = None
        self.alive = True
        self.ended = False
        self.at_death: list[Callable[[], None]] = []
        self.tasks: WeakKeyDictionary[asyncio.Task[Any], None] = WeakKeyDictionary()  # in order, unlike a set
        self.withheld: list[asyncio.Handle] = []

    def may_step(self) -> bool:
        """Count a step, and tell whether it is to be taken."""
        if self.fuse is not None and self.alive:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                self.die()
        return self.alive

    def die(self) -> None:
        """Stop at once."""
        if self.alive:
            self.alive, self.ended = False, True
            for action in self.at_death:
                action()


PROCESS: ContextVar[Mortal | None] = ContextVar("PROCESS", default=None)
"""The process that the running code belongs to."""


ROUNDS = 100_000
"""How often the loop may turn before its clock has to move on."""


class DeadlockError(Exception):
    """Nothing is ready and nothing ever will be, or something is ready again and again at the same moment."""


class _Selector(selectors.DefaultSelector):
    """Moves the clock on where another selector would block. There are no sockets, so the kernel is never asked."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("every task waits for something that nothing will bring about")
        self._rounds = 0 if timeout > 0 else self._rounds + 1
        if self._rounds > ROUNDS:
            raise DeadlockError("a task goes round and round")
        self.now += max(0.0, timeout)
        return []


class _Ready(deque[asyncio.Handle]):
    """The callbacks that may run now; the next one is drawn."""

    def __init__(self, random: Random, disorder: float, nothing: asyncio.Handle) -> None:
        super().__init__()
        self._random = random
        self._disorder = disorder
        self._nothing = nothing

    def popleft(self) -> asyncio.Handle:
        position = 0
        if len(self) > 1 and self._disorder and self._random.random() < self._disorder:
            position = self._random.randrange(len(self))
        handle = self[position]
        del self[position]
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if process is None or process.may_step():
            return handle
        process.withheld.append(handle)
        return self._nothing


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs a history.

    :param random: Draws what runs next.
    :param disorder: How often something else than the oldest callback runs; 0 is asyncio's own order.
    """

    def __init__(self, random: Random, disorder: float = 0.0) -> None:
        asyncio.SelectorEventLoop.__init__(self, selector := _Selector())
        self._clock = selector
        nothing = asyncio.Handle(lambda: None, (), self)
        nothing.cancel()
        self._ready: Any = _Ready(random, disorder, nothing)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._clock.now

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        """Start a task, of the process whose code starts it or whose context it is given."""
        task: asyncio.Task[Any] = super().create_task(coro, name=None if name is None else str(name), context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks[task] = None
        return task

    def run_in_executor(  # type: ignore[override] # typeshed has it with variadic types
        self,
        executor: object,
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Do at once what would be done in a thread, which virtual time would not wait for."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            done.set_exception(error)
        return done

    def revive(self, process: Mortal) -> None:
        """Let the tasks of a dead process take their next steps after all, so that they can be ended in good order."""
        process.alive = True
        self._ready.extend(process.withheld)
        process.withheld.clear()
