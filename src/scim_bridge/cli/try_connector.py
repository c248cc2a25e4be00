"""``scim-bridge try-connector``: one hook at a time against a real system, for whoever writes a connector."""

import asyncio
import inspect
import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from scim_bridge.config import EVERY, load_settings
from scim_bridge.connections import BoundConnector
from scim_bridge.connector import Connector, ConnectorRegistry
from scim_bridge.errors import ConfigurationError, ConnectorError, OperationNotSupportedError
from scim_bridge.hookspecs import HOOKS, ConnectorSpec
from scim_bridge.models import Remote
from scim_bridge.paths import attributes_of
from scim_bridge.provisioning.plan import same
from scim_bridge.testing.contexts import connected
from scim_bridge.upstream import READING, HttpClients
from scim_bridge.upstream.responses import SAFE_METHODS

DEFAULTS: Mapping[str, Any] = {"cursor": None, "limit": 20}
LOOK_EVERY = 0.5
"""Seconds between two looks whether the connector's files have changed."""


@click.command("try-connector")
@click.argument("module")
@click.argument("hook", type=click.Choice(sorted(HOOKS)))
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--connection", "connection_id", help="Whose settings to take; the only one by default.")
@click.option("--write", is_flag=True, help="Send what changes something; without it, that is shown and not sent.")
@click.option("--bodies", is_flag=True, help="Show queries and bodies, too: personal data.")
@click.option("--watch", is_flag=True, help="Do it again whenever a file of the connector changes.")
@click.pass_obj
def try_connector(
    path: Path | None,
    module: str,
    hook: str,
    arguments: tuple[str, ...],
    connection_id: str | None,
    *,
    write: bool,
    bodies: bool,
    watch: bool,
) -> None:
    """Call one HOOK of the connector in MODULE, and show each request and what came of it.

    Values are JSON, or text: get_user remote_id=42; create_user user='{"userName": "ada@example.com"}'.
    """
    sys.dont_write_bytecode = watch  # what is cached is told by seconds from what was just changed
    while True:
        loaded = import_module(module)
        given = _read_arguments(_connector_in(loaded), hook, arguments)
        config = _config_of(path, connection_id, _connector_in(loaded).name)
        failed = asyncio.run(_try(_connector_in(loaded), config, hook, given, Tracing(write=write, bodies=bodies)))
        if not watch:
            raise SystemExit(failed)
        _wait_for_change(loaded)
        for name in [one for one in sys.modules if one == module or one.startswith(f"{module}.")]:
            del sys.modules[name]
        click.echo("--- again")


def _read_arguments(connector_type: type[Connector[Any]], hook: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of a hook as its specification has them; what the connector does not declare is ``None``."""
    signature = inspect.signature(getattr(ConnectorSpec, hook), eval_str=True)
    wanted = {name: one.annotation for name, one in signature.parameters.items() if name != "self"}
    given = dict(one.partition("=")[::2] for one in arguments)
    declared = inspect.signature(getattr(connector_type, hook, getattr(ConnectorSpec, hook))).parameters.keys()
    needed = [name for name in wanted if name in declared and name not in given and name not in DEFAULTS]
    if needed or given.keys() - wanted.keys():
        raise click.UsageError(f"{hook} takes {', '.join(f'{name}=' for name in wanted) or 'no arguments'}")
    values = {name: DEFAULTS.get(name) for name in wanted}
    for name, text in given.items():
        try:
            values[name] = TypeAdapter(wanted[name]).validate_python(_value(text, wanted[name]))
        except ValidationError as error:
            raise click.UsageError(f"{name}: {error.errors()[0]['msg']}") from None
    return values


def _value(text: str, kind: Any) -> Any:
    if kind is str or kind == (str | None):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise click.UsageError(f"this is no JSON: {text}") from None


def _connector_in(module: ModuleType) -> type[Connector[Any]]:
    registry = ConnectorRegistry()
    module.register_connectors(registry)
    types = list(registry.types().values())
    if len(types) != 1:
        raise ConfigurationError(f"{module.__name__} registers {len(types)} connectors; one can be tried")
    return types[0]


def _config_of(path: Path | None, connection_id: str | None, connector: str) -> Mapping[str, Any]:
    """Return the ``config`` table of a connection of this connector."""
    settings = load_settings(path, connectors=EVERY)
    found = [
        one.config
        for id_, one in settings.connections.items()
        if one.connector == connector and connection_id in {None, id_}
    ]
    if len(found) != 1:
        raise ConfigurationError(f'{len(found)} connections have connector = "{connector}": see --connection')
    return found[0]


async def _try(
    connector_type: type[Connector[Any]], config: Mapping[str, Any], hook: str, given: dict[str, Any], trace: "Tracing"
) -> bool:
    """Call a hook, and show what came of it. Returns whether it failed."""
    try:
        async with connected(connector_type, config, connection_id="try", http_client=HttpClients(trace)) as connector:
            try:
                result = await getattr(connector, hook)(**given)
            except ConnectorError as error:
                again = getattr(error, "retry_after", None)
                later = f"; again in {again:g} s" if again else ""
                click.echo(f"{type(error).__name__} ({error.status}): {error.detail}{later}")
                _show_own_fault(error)
                return True
            click.echo(json.dumps(_plain(result), indent=2, ensure_ascii=False))
            if isinstance(result, Remote) and trace.wrote:
                await _read_back(connector, hook, given, result)
    finally:
        await trace.aclose()
    return False


def _show_own_fault(error: ConnectorError) -> None:
    """Show an exception that a connector did not mean to raise, with its text, which the bridge's log leaves out."""
    cause = error.__cause__
    if cause is not None and not isinstance(cause, ConnectorError | httpx2.HTTPError | TimeoutError):
        click.echo("".join(traceback.format_exception(cause)), err=True, nl=False)


async def _read_back(connector: BoundConnector, hook: str, given: Mapping[str, Any], result: Remote[Any]) -> None:
    """Read again what was written, and name what differs from what was asked for."""
    group = hook.endswith("_group")
    read = connector.get_group if group else connector.get_user
    paths = connector.group_attributes if group else connector.user_attributes
    wanted = given.get("after") or given.get("user") or given.get("group") or result.resource
    seen = (await read(result.remote_id)).resource
    values = [attributes_of(one.model_dump(), paths) for one in (wanted, seen)]
    for name in sorted(paths - set(result.deferred)):
        if not same(name, values[0].get(name), values[1].get(name)):
            click.echo(f"{name}: {values[0].get(name)!r} was asked for, and a read shows {values[1].get(name)!r}")


def _plain(value: Any) -> Any:
    """Return a result as JSON has it, without what is unassigned."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if is_dataclass(value) and not isinstance(value, type):
        told = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {name: one for name, one in told.items() if one not in (None, False, [], "")}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value


def _wait_for_change(module: ModuleType) -> None:
    """Wait until a file of a module, or of the package that it is in, is another than now."""
    place = Path(str(module.__file__))
    files = place.parent.rglob("*.py") if place.name == "__init__.py" else [place]
    before = {file: file.stat().st_mtime_ns for file in files}
    while all(file.exists() and file.stat().st_mtime_ns == at for file, at in before.items()):
        time.sleep(LOOK_EVERY)


class Tracing(httpx2.AsyncBaseTransport):
    """The network, with a line for each request; what changes something is sent only when that was asked for.

    Neither headers nor, unless asked for, queries and bodies are shown: there are secrets and people in them.

    :param write: Whether to send it.
    :param bodies: Whether to show bodies.
    :param inner: What sends.
    """

    def __init__(self, *, write: bool, bodies: bool, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._write = write
        self._bodies = bodies
        self._inner = inner or httpx2.AsyncHTTPTransport()
        self.wrote = False
        """Whether something was sent that changes something."""

    async def aclose(self) -> None:
        """Close the network."""
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and show it. :raises OperationNotSupportedError: When it is not to be sent."""
        changes = request.method not in SAFE_METHODS and not request.extensions.get(READING)
        line = f"{request.method} {request.url.raw_path.decode() if self._bodies else request.url.path}"
        self._show(">", await request.aread())
        if changes and not self._write:
            click.echo(f"{line} (not sent: see --write)", err=True)
            raise OperationNotSupportedError("this would change something, and was not sent: --write sends it")
        self.wrote |= changes
        begun = time.monotonic()
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        click.echo(f"{line} {response.status_code} {(time.monotonic() - begun) * 1000:.0f} ms", err=True)
        self._show("<", body)
        return response

    def _show(self, mark: str, body: bytes) -> None:
        if self._bodies and body:
            click.echo(f"{mark} {body.decode('utf-8', 'replace')}", err=True)
