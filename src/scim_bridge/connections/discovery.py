"""Finds the connector types of installed plugins through the entry point group ``scim_bridge``."""

from collections.abc import Collection, Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import pluggy

from scim_bridge.connector import ConnectorRegistry, DiscoverySpec
from scim_bridge.errors import ConfigurationError
from scim_bridge.hookspecs import PROJECT

GROUP = PROJECT
"""The entry point group; each entry point names a module."""


def discover(
    allowed: Collection[str] | None = None, *, installed: Iterable[EntryPoint] | None = None
) -> ConnectorRegistry:
    """Return the connector types that installed plugins register.

    :param allowed: Names of the entry points that may be loaded; ``None`` allows every installed one. A plugin that is
        not allowed is not even imported.
    :param installed: The entry points to choose from; by default those of this environment.
    :raises ConfigurationError: with one line, when a plugin is missing, cannot be imported, is no module, or breaks the
        contract.
    """
    candidates = sorted(entry_points(group=GROUP) if installed is None else installed, key=lambda point: point.name)
    names = {point.name for point in candidates}
    for name in sorted(set(allowed or ()) - names):
        raise ConfigurationError(f'plugin "{name}" is not installed; installed: {", ".join(sorted(names)) or "none"}')
    registry = ConnectorRegistry()
    for point in candidates:
        if allowed is None or point.name in allowed:
            _register(point, registry)
    return registry


def _register(point: EntryPoint, registry: ConnectorRegistry) -> None:
    who = f'plugin "{point.name}" ({point.value})'
    try:
        module = point.load()
    except Exception as error:
        raise ConfigurationError(f"{who} cannot be imported: {type(error).__name__}: {_first_line(error)}") from error
    if not isinstance(module, ModuleType):
        # pluggy would register the functions of a class unbound (pluggy#643).
        raise ConfigurationError(f"{who}: the entry point must name a module, not {type(module).__name__}")
    plugins = pluggy.PluginManager(PROJECT)
    plugins.add_hookspecs(DiscoverySpec)
    try:
        plugins.register(module, name=point.name)
        plugins.check_pending()
    except pluggy.PluginValidationError as error:
        raise ConfigurationError(f"{who}: {_first_line(error)}") from error
    if not plugins.hook.register_connectors.get_hookimpls():
        raise ConfigurationError(f"{who} has no register_connectors decorated with @hookimpl")
    try:
        plugins.hook.register_connectors(registry=registry)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{who} failed: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
