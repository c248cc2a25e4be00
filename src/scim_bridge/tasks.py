"""Tasks that run beside something else."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run something for the length of a ``with`` block, as a task of this name; it is over when the block is left."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def on_signal(number: signal.Signals, work: Callable[[], Awaitable[None]], name: str) -> AsyncIterator[None]:
    """Do something after each signal that the process gets in a ``with`` block, instead of ending.

    A thread beside the main one gets no signals: there nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = asyncio.Event()

    async def attend() -> None:
        while True:
            await heard.wait()
            heard.clear()
            await work()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, heard.set)
    try:
        async with beside(attend(), name):
            yield
    finally:
        loop.remove_signal_handler(number)
