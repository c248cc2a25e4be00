"""A connector type that breaks the contract is refused when it is registered."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from scim_bridge.connector import Connector, ConnectorRegistry
from scim_bridge.definition import ENTERPRISE
from scim_bridge.errors import ConnectorDefinitionError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, Unrevoked, User
from scim_bridge.testing.memory import MemoryAccounts, MemoryConnector


async def undecorated(self: object, remote_id: str) -> None:
    """A hook's body."""


def synchronous(self: object, remote_id: str) -> None:
    """A hook that is not async."""


async def of_another_argument(self: object, remote_id: str, colour: str) -> None:
    """A hook that asks for what there is not."""


async def with_a_default(self: object, cursor: str | None = None) -> None:
    """A hook whose argument pluggy would never pass."""


async def by_keyword(self: object, *, remote_id: str) -> None:
    """A hook whose argument pluggy would never pass."""


async def members(self: object, remote_id: str, members: Sequence[str]) -> None:
    """A hook of the membership of groups."""


def variant(base: type[Connector[Any]] = MemoryConnector, **changes: object) -> type[Connector[Any]]:
    """Return a connector type with some members changed."""
    return type("Acme", (base,), {"name": "acme", **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: variant(get_user=undecorated), "get_user has a hook's name but is not decorated"),
        (lambda: variant(delete_user=hookimpl(synchronous)), "delete_user must be async def"),
        (
            lambda: variant(remove_user=hookimpl(undecorated)),
            "remove_user is decorated with @hookimpl but is not a hook",
        ),
        (lambda: variant(get_user=hookimpl(of_another_argument)), "get_user asks for colour; the hook has remote_id"),
        (lambda: variant(list_users=hookimpl(with_a_default)), "list_users: cursor must be a plain parameter"),
        (lambda: variant(get_user=hookimpl(by_keyword)), "get_user: remote_id must be a plain parameter"),
        (
            lambda: variant(MemoryAccounts, add_group_members=hookimpl(members)),
            "add_group_members and remove_group_members belong together",
        ),
        (
            lambda: variant(add_group_members=hookimpl(members), remove_group_members=hookimpl(members)),
            "implements both shapes of membership",
        ),
        (
            lambda: variant(list_group_members=hookimpl(undecorated)),
            "list_group_members is for systems that keep members on the group",
        ),
        (lambda: variant(MemoryAccounts), "has groups but neither set_user_groups nor add/remove_group_members"),
        (lambda: variant(Connector, config_model=MemoryAccounts.config_model), "get_user is required"),
        (lambda: type("Acme", (MemoryAccounts,), {}), "has no name"),
        *(
            (lambda path=path: variant(user_attributes=frozenset({"userName", path})), f'"{path}" is not an attribute')
            for path in ("userNam", "active", "name.given", "userName.part", "emails.value", f"{ENTERPRISE}:boss")
        ),
        (lambda: variant(user_attributes="userName"), "user_attributes must be a set of attribute paths"),
        (lambda: variant(unrevoked=[Unrevoked("keys", "revoke")]), "unrevoked must be a tuple of Unrevoked"),
        (lambda: variant(unrevoked=(Unrevoked("keys", ""),)), "each with what it is and a remedy"),
        (lambda: variant(group_attributes=frozenset({"members"})), '"members" is not an attribute'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_definition_is_refused_with_the_mend(make: Callable[[], type[Connector[Any]]], message: str) -> None:
    """What pluggy would let pass in silence stops the registration; the message names class and method."""
    registry = ConnectorRegistry()

    with pytest.raises(ConnectorDefinitionError) as refused:
        registry.add(make())

    assert message in str(refused.value)
    assert "Acme" in str(refused.value)
    assert not registry.types()


def test_attributes_of_every_kind_are_taken() -> None:
    """Texts, parts of what is complex, whole lists, and those of extensions."""
    paths = {
        "userName",
        "name.givenName",
        "emails",
        "roles",
        f"{ENTERPRISE}:manager.value",
        "urn:example:acme:User:colour",
    }
    ConnectorRegistry().add(variant(user_attributes=frozenset(paths)))


def test_a_hook_may_take_any_subset_of_the_arguments() -> None:
    """Arguments are matched by name, so new ones can be added to a hook without breaking anybody."""

    async def update_user(self: object, after: User) -> Remote[User]:
        return Remote("7", after)

    registry = ConnectorRegistry()
    registry.add(variant(update_user=hookimpl(update_user)))

    assert list(registry.types()) == ["acme"]
