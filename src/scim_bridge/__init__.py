"""A SCIM 2.0 service provider that identity providers push to and that drives pluggable connectors.

These are the names that plugins may import, besides those of the modules ``errors``, ``models``, ``connector``,
``definition``, ``hookspecs``, ``upstream`` and ``testing``. They are loaded when somebody asks for them, so that
``--help`` need not wait a second for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scim_bridge.connector import Connector, ConnectorContext, ConnectorRegistry
    from scim_bridge.hookspecs import hookimpl

__all__ = ["Connector", "ConnectorContext", "ConnectorRegistry", "hookimpl"]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'hookspecs' if name == 'hookimpl' else 'connector'}"), name)
