"""The rules of a connector type, read off the specification of its hooks."""

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

from scim2_models import BaseModel as ScimModel

from scim_bridge.errors import ConnectorDefinitionError
from scim_bridge.hookspecs import HOOKS, PROJECT, ConnectorSpec
from scim_bridge.models import CoreUser, EnterpriseUser, Group, Unrevoked

__all__ = ["check_definition", "describe", "implemented"]

PAIRS = (
    ("deactivate_user", "reactivate_user"),
    ("add_group_members", "remove_group_members"),
    ("list_groups", "get_group"),
)
MEMBERSHIP = ("set_user_groups", "add_group_members")
NO_ATTRIBUTES = frozenset({"schemas", "id", "meta", "active", "password", "groups", "members"})
"""What resources have but no connector keeps as an attribute: other hooks handle it, or nothing does."""

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
REQUIRED = ("get_user", "create_user", "update_user", "deactivate_user", "reactivate_user")


def implemented(connector_type: type[Any]) -> frozenset[str]:
    """Return the names of the hooks that a connector type implements."""
    return frozenset(
        name for name in HOOKS if getattr(getattr(connector_type, name, None), f"{PROJECT}_impl", None) is not None
    )


def check_definition(connector_type: type[Any]) -> None:
    """Refuse, loudly, a connector type that breaks the contract.

    pluggy itself would let most of these pass: an override without the decorator silently loses the hook.

    :raises ConnectorDefinitionError: naming the class, the method and what to change.
    """
    for fault in _faults(connector_type):
        raise ConnectorDefinitionError(f"{describe(connector_type)}: {fault}")
    check_attributes(connector_type)


def _faults(connector_type: type[Any]) -> Iterator[str]:
    """Yield what is wrong with a connector type, its attribute paths left out."""
    for attribute in ("name", "config_model"):
        if not hasattr(connector_type, attribute):
            yield f"has no {attribute}"
    for name, member in inspect.getmembers(connector_type, callable):
        marked = getattr(member, f"{PROJECT}_impl", None) is not None
        if name in HOOKS and not marked:
            yield f"{name} has a hook's name but is not decorated with @hookimpl"
        if marked and name not in HOOKS:
            yield f"{name} is decorated with @hookimpl but is not a hook; hooks: {', '.join(sorted(HOOKS))}"
        if marked:
            yield from _faults_of_hook(name, member)
    operations = implemented(connector_type)
    for name in REQUIRED:
        if name not in operations:
            yield f"{name} is required"
    for one, other in PAIRS:
        if (one in operations) != (other in operations):
            yield f"{one} and {other} belong together; only one is implemented"
    yield from _faults_of_membership(operations)


def _faults_of_hook(name: str, member: Callable[..., Any]) -> Iterator[str]:
    """Yield what is wrong with one hook."""
    if not inspect.iscoroutinefunction(member):
        yield f"{name} must be async def"
    known = set(inspect.signature(getattr(ConnectorSpec, name)).parameters)
    parameters = inspect.signature(member).parameters
    if unknown := set(parameters) - known:
        yield f"{name} asks for {', '.join(sorted(unknown))}; the hook has {', '.join(sorted(known - {'self'}))}"
    for parameter in parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.default is not parameter.empty:
            # pluggy passes plain parameters only: any other would keep its default in silence.
            yield f"{name}: {parameter.name} must be a plain parameter without a default"


def check_attributes(connector: Any) -> None:
    """Refuse attribute paths that nothing has: what is announced but never found would always differ, in silence.

    And what is not revoked, where it does not say what it is, or who ends it.

    :param connector: An object, whose ``__init__`` may have set them, or a type.
    :raises ConnectorDefinitionError: naming the path.
    """
    connector_type = connector if isinstance(connector, type) else type(connector)
    told = connector.unrevoked
    if not isinstance(told, tuple) or not all(isinstance(one, Unrevoked) and one.what and one.remedy for one in told):
        raise ConnectorDefinitionError(
            f"{describe(connector_type)}: unrevoked must be a tuple of Unrevoked, each with what it is and a remedy"
        )
    models: tuple[tuple[str, type[ScimModel]], ...] = (("user_attributes", CoreUser), ("group_attributes", Group))
    for name, model in models:
        paths = getattr(connector, name)
        if isinstance(paths, str) or not all(isinstance(path, str) for path in paths):
            raise ConnectorDefinitionError(f"{describe(connector_type)}: {name} must be a set of attribute paths")
        for path in sorted(paths):
            if not _is_attribute(model, path):
                raise ConnectorDefinitionError(
                    f'{describe(connector_type)}: {name}: "{path}" is not an attribute that a connector can keep;'
                    " paths look like userName, name.givenName, emails, urn:…:User:department"
                )


def _is_attribute(resource: type[ScimModel], path: str) -> bool:
    """Tell whether a path leads to a value of a resource; of extensions other than the enterprise one it may."""
    if path.startswith("urn:"):
        urn, _, path = path.rpartition(":")
        if urn != ENTERPRISE:
            return bool(path)
        resource = EnterpriseUser
    model: type[ScimModel] | None = resource
    for name in path.split("."):
        fields = {} if model is None else {field.serialization_alias: key for key, field in model.model_fields.items()}
        if model is None or name not in fields or name in NO_ATTRIBUTES:
            return False
        if model.get_field_multiplicity(fields[name]):
            return path == name  # a whole list, or nothing of it
        kind = model.get_field_root_type(fields[name])
        model = kind if isinstance(kind, type) and issubclass(kind, ScimModel) else None
    return True


def _faults_of_membership(operations: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with the shape of membership."""
    shapes = [name for name in MEMBERSHIP if name in operations]
    if len(shapes) == len(MEMBERSHIP):
        yield "implements both shapes of membership; take set_user_groups or add/remove_group_members"
    if "list_group_members" in operations and "add_group_members" not in operations:
        yield "list_group_members is for systems that keep members on the group; it needs add/remove_group_members"
    if "list_entitlements" in operations and "list_groups" not in operations:
        yield "list_entitlements needs list_groups: what is assignable is given by a group"
    if "list_groups" in operations and not shapes:
        yield "has groups but neither set_user_groups nor add/remove_group_members"


def describe(connector_type: type[Any]) -> str:
    """Return class, module and distribution of a connector type, for messages."""
    module = connector_type.__module__
    # By entry point: an editable installation does not list its modules.
    package = module.partition(".")[0]
    found = {
        point.dist.name
        for point in entry_points(group="scim_bridge")
        if point.dist is not None and point.value.partition(".")[0] == package
    }
    return f"{module}.{connector_type.__qualname__} ({', '.join(sorted(found)) or 'not installed'})"
