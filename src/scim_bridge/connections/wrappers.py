"""What surrounds every hook call: a deadline, a check of whom an answer is about, an error boundary and an observer.

All are generated from the specification.

pluggy knows no async: a wrapper sees the coroutine of a hook, never its result. So it returns a new coroutine that
awaits the first.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias

from scim_bridge.connector import call_deadline, call_writes
from scim_bridge.errors import (
    ConnectorError,
    LostLeadershipError,
    RemoteMisroutedError,
    RemoteUnavailableError,
    StoreUnavailableError,
    without_text,
)
from scim_bridge.hookspecs import HOOKS, ConnectorSpec, hookimpl
from scim_bridge.models import Remote, User

Observer: TypeAlias = Callable[[str, str | None, str, float], None]
"""Called after each hook call with the hook's name, the remote id (where the hook has one), the outcome (``"ok"``,
``"cancelled"`` or the name of the error's class) and the seconds it took."""

HookCall: TypeAlias = Coroutine[Any, Any, Any]


class Wrappers:
    """A pluggy plugin with one wrapper per hook of :class:`~scim_bridge.hookspecs.ConnectorSpec`.

    :param deadline: Seconds that one hook call may take, waits and retries included.
    :param logger: Told of every exception that is no ``ConnectorError``, with its class and place.
    :param observer: Called after each call; how tests see what came of it.
    """

    def __init__(self, *, deadline: float, logger: logging.Logger, observer: Observer | None = None) -> None:
        self._deadline = deadline
        self._logger = logger
        self._observer = observer
        for hook in HOOKS:
            setattr(self, hook, self._wrapper(hook))

    def _wrapper(self, hook: str) -> Callable[..., Any]:
        # pluggy matches arguments by name, so a wrapper can only ask for what its hook has.
        if hook == "update_user":

            def wrapper_of_update(remote_id: str, before: User, after: User) -> Generator[None, HookCall, HookCall]:
                renamed = _folded(before.user_name) != _folded(after.user_name)
                return self._guarded(hook, remote_id, (yield), may_differ=renamed)

            return hookimpl(wrapper=True)(wrapper_of_update)
        if "remote_id" in inspect.signature(getattr(ConnectorSpec, hook)).parameters:

            def wrapper_of_object(remote_id: str) -> Generator[None, HookCall, HookCall]:
                return self._guarded(hook, remote_id, (yield), may_differ=hook == "reactivate_user")

            return hookimpl(wrapper=True)(wrapper_of_object)

        def wrapper() -> Generator[None, HookCall, HookCall]:
            return self._guarded(hook, None, (yield))

        return hookimpl(wrapper=True)(wrapper)

    async def _guarded(self, hook: str, remote_id: str | None, call: HookCall, *, may_differ: bool = False) -> Any:
        started = asyncio.get_running_loop().time()
        outcome = "cancelled"
        try:
            result = await self._bounded(hook, _about(hook, None if may_differ else remote_id, call))
        except Exception as error:
            outcome = type(error).__name__
            raise
        else:
            outcome = "ok"
            return result
        finally:
            if self._observer is not None:
                self._observer(hook, remote_id, outcome, asyncio.get_running_loop().time() - started)

    async def _bounded(self, hook: str, call: HookCall) -> Any:
        now = asyncio.get_running_loop().time()
        outer = call_deadline.get()
        ends = now + self._deadline if outer is None else min(outer, now + self._deadline)
        token = call_deadline.set(ends)
        writes: list[str] = []
        writing = call_writes.set(writes)
        try:
            async with asyncio.timeout_at(ends):
                return await call
        except LostLeadershipError:
            raise
        except ConnectorError as error:
            error.ambiguous = error.ambiguous or bool(writes)
            raise
        except TimeoutError as error:
            raise RemoteUnavailableError("the remote system did not answer in time", ambiguous=True) from error
        except StoreUnavailableError as error:
            self._logger.warning("the store is unavailable; %s was cut short", hook)
            raise RemoteUnavailableError("the store is unavailable", ambiguous=True) from error
        except Exception as error:
            self._logger.exception(
                "the connector failed in %s with an exception of its own", hook, exc_info=without_text(error)
            )
            raise RemoteUnavailableError("the connector failed unexpectedly", ambiguous=True) from error
        finally:
            call_writes.reset(writing)
            call_deadline.reset(token)


async def _about(hook: str, remote_id: str | None, call: HookCall) -> Any:
    """Await a hook, and believe its answer only when it is about the object that was asked for.

    :param remote_id: ``None`` where the answer may be about another one.
    """
    result = await call
    if hook == "get_user" and result.unfinished:  # of two accounts of one person either may be there
        return result
    if remote_id is not None and isinstance(result, Remote) and result.remote_id != remote_id:
        raise RemoteMisroutedError("the remote system answered about another account or group than it was asked for")
    return result


def _folded(name: str | None) -> str:
    return (name or "").strip().casefold()
