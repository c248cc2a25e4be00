"""The program that the type checker holds the public names by is a plugin that registers."""

from scim_bridge.connector import ConnectorRegistry
from scim_bridge.definition import implemented
from scim_bridge.hookspecs import HOOKS
from tests.contract.public.typed_program import TypedConnector, register_connectors

OF_THE_OTHER_SHAPE = {
    "add_group_members",
    "create_group",
    "delete_group",
    "list_group_members",
    "remove_group_members",
    "update_group",
}
"""Hooks about groups that the bridge may make, and of systems that keep members there."""


def test_the_typed_program_registers_with_every_hook_of_its_shape() -> None:
    """A hook that is added is in the program, or in the list above."""
    registry = ConnectorRegistry()

    register_connectors(registry)

    assert registry.get("typed") is TypedConnector
    assert implemented(TypedConnector) == HOOKS - OF_THE_OTHER_SHAPE
