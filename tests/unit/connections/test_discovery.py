"""Finding plugins, and refusing those that break the contract."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from scim_bridge.connections import discover
from scim_bridge.connector import ConnectorRegistry
from scim_bridge.errors import ConfigurationError, UnknownConnectorError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.testing.memory import MemoryConnector


def plugin(name: str, **contents: object) -> EntryPoint:
    """Make a module of these contents importable, and return an entry point that names it."""
    module = ModuleType(f"scim_bridge_test_{name}")
    vars(module).update(contents)
    sys.modules[module.__name__] = module
    return EntryPoint(name, module.__name__, "scim_bridge")


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    """Remove the modules that a test made."""
    yield
    for name in [name for name in sys.modules if name.startswith("scim_bridge_test_")]:
        del sys.modules[name]


@hookimpl
def register_memory(registry: ConnectorRegistry) -> None:
    """Register one type."""
    registry.add(MemoryConnector)


def test_installed_plugins_are_found() -> None:
    """The entry points of this environment give the memory connectors."""
    assert {"memory", "memory-groups"} <= set(discover(["memory"]).types())


def test_only_allowed_plugins_are_imported() -> None:
    """A plugin that is not on the list is not even loaded."""
    good = plugin("good", register_connectors=register_memory)
    evil = EntryPoint("evil", "scim_bridge_test_that_does_not_exist", "scim_bridge")

    registry = discover(["good"], installed=[evil, good])

    assert list(registry.types()) == ["memory"]


def test_an_allowed_plugin_that_is_not_installed_is_refused() -> None:
    """A typo in the allow-list is told with the names that exist."""
    good = plugin("good", register_connectors=register_memory)

    with pytest.raises(ConfigurationError, match='plugin "goood" is not installed; installed: good'):
        discover(["goood"], installed=[good])


def test_a_plugin_that_cannot_be_imported_is_refused_in_one_line() -> None:
    """The line names the plugin and the cause."""
    broken = EntryPoint("broken", "scim_bridge_test_that_does_not_exist", "scim_bridge")

    with pytest.raises(ConfigurationError) as refused:
        discover(installed=[broken])

    assert str(refused.value) == (
        'plugin "broken" (scim_bridge_test_that_does_not_exist) cannot be imported:'
        " ModuleNotFoundError: No module named 'scim_bridge_test_that_does_not_exist'"
    )


def test_an_entry_point_must_name_a_module() -> None:
    """A class would lose its hooks in silence."""
    named = plugin("classy", Plugin=MemoryConnector)
    point = EntryPoint("classy", f"{named.value}:Plugin", "scim_bridge")

    with pytest.raises(ConfigurationError, match="must name a module, not type"):
        discover(installed=[point])


def test_a_module_without_the_hook_is_refused() -> None:
    """A forgotten decorator is not taken for a plugin without connectors."""

    def undecorated(registry: ConnectorRegistry) -> None:
        registry.add(MemoryConnector)

    with pytest.raises(ConfigurationError, match="has no register_connectors decorated with @hookimpl"):
        discover(installed=[plugin("plain", register_connectors=undecorated)])


def test_a_misspelt_module_hook_is_refused() -> None:
    """A hook that does not exist is an error, not a no-op."""

    @hookimpl
    def register_conectors(registry: ConnectorRegistry) -> None:
        registry.add(MemoryConnector)

    with pytest.raises(ConfigurationError, match="unknown hook 'register_conectors'"):
        discover(installed=[plugin("misspelt", register_conectors=register_conectors)])


def test_a_plugin_that_fails_while_registering_is_refused() -> None:
    """The line names the plugin."""

    @hookimpl
    def register_connectors(registry: ConnectorRegistry) -> None:
        raise RuntimeError("no licence\nsecond line")

    with pytest.raises(ConfigurationError, match=r'plugin "angry" .* failed: RuntimeError: no licence$'):
        discover(installed=[plugin("angry", register_connectors=register_connectors)])


def test_a_taken_name_is_refused() -> None:
    """Two plugins cannot both be called memory; the message names both classes."""
    points = [plugin(name, register_connectors=register_memory) for name in ("one", "two")]

    with pytest.raises(ConfigurationError, match=r'"memory" is registered twice: .*MemoryConnector.*MemoryConnector'):
        discover(installed=points)


def test_an_unknown_connector_is_told_with_those_installed() -> None:
    """A typo in a connection is answered with the names that exist."""
    registry = discover(installed=[plugin("good", register_connectors=register_memory)])

    with pytest.raises(UnknownConnectorError, match='unknown connector "memroy"; installed: memory'):
        registry.get("memroy")
