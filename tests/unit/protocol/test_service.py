"""What a service does not do anew for each request, because it costs more than the rest of it."""

import copy
import gc
import weakref
from typing import Any, Union, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import ListResponse, Meta, SCIMException
from scim2_models.path import AttributeBinding, Path

from scim_bridge.models import User
from scim_bridge.protocol import BridgeProvider, BridgeService, preset
from scim_bridge.protocol.clients import tolerant_policy
from scim_bridge.protocol.normalisation import PATCH_OP
from scim_bridge.protocol.schemas import USER
from scim_bridge.store.comparison import comparison_key

BODY = {"schemas": [USER], "userName": "Ada", "emails": [{"value": "ada@x.example"}]}


def service(policy: Any = None) -> BridgeService:
    """Return a service, with another policy than its preset's if one is given."""
    chosen = preset("generic")
    return BridgeService(BridgeProvider(policy=policy or chosen.policy), chosen, secret="s" * 32)


def test_a_whole_resource_is_read_without_comparing_its_strings() -> None:
    """Validation asks for no comparison key, while PATCH paths and filters still find values by it."""
    asked: list[str] = []

    def counting(binding: AttributeBinding, value: str) -> str:
        asked.append(value)
        return comparison_key(binding, value)

    bridge = service(tolerant_policy().model_copy(update={"comparison_key": counting}))
    created: Any = bridge.creation("User", BODY)
    bridge.replacement("User", BODY)
    created.meta = Meta(version='W/"1"')
    assert created.user_name == "Ada"
    assert asked == []

    name = "\N{FULLWIDTH LATIN CAPITAL LETTER A}da@x.example"
    operation = {"op": "replace", "path": f'emails[value eq "{name}"].type', "value": "work"}
    wanted = bridge.modification("User", {"Operations": [operation]})
    assert wanted.change is not None
    assert wanted.change(created).emails[0].type == "work"
    assert name in asked


@settings(max_examples=300)
@given(text=st.text())
def test_every_string_can_be_compared(text: str) -> None:
    """No string has to be refused because it has no comparison key; so none needs to be asked for one."""
    for name in ("userName", "externalId"):
        binding = Path[User](name).resolve()
        assert isinstance(binding, AttributeBinding)
        assert isinstance(comparison_key(binding, text), str)


def test_the_class_of_list_responses_is_made_once() -> None:
    """It outlives the answers that use it: to make it again takes longer than to answer."""
    seat = {"name": "seat", "type": "string", "multiValued": False}
    schema = {"id": "urn:test:seat:User", "name": "Seat", "attributes": [seat]}
    bridge = BridgeService(BridgeProvider([schema]), preset("generic"), secret="s" * 32)
    used = weakref.ref(cast("Any", ListResponse)[Union[tuple(bridge.get_models())]])  # noqa: UP007 - of a tuple known at run time
    gc.collect()
    assert used() is not None


VALUES = st.sampled_from(["", "Ada", "\N{FULLWIDTH LATIN CAPITAL LETTER A}da", True, False, None, "false", 7])
PATHS = st.sampled_from(
    ["active", "active", "Active", "displayName", "name.familyName", "name", "userName", "emails", "schemas", "nope"]
)
REPLACEMENTS = st.one_of(
    st.fixed_dictionaries({"op": st.just("replace"), "path": PATHS, "value": VALUES}),
    st.fixed_dictionaries({"op": st.just("replace"), "value": st.dictionaries(PATHS, VALUES, min_size=1)}),
)


def patched(operations: list[dict[str, Any]], *, active: bool | None) -> Any:
    """Return what becomes of a User, or why nothing does."""
    bridge = service()
    current: Any = bridge.creation("User", BODY)
    current.active = active
    try:
        wanted = bridge.modification("User", {"schemas": [PATCH_OP], "Operations": operations})
        changed = None if wanted.change is None else wanted.change(current)
    except SCIMException as error:
        return type(error), str(error)
    return changed and changed.model_dump()


@settings(max_examples=80, deadline=None)
@given(operations=st.lists(REPLACEMENTS, min_size=1, max_size=2), active=st.sampled_from([None, True, False]))
def test_single_values_are_replaced_alike_the_short_way(
    operations: list[dict[str, Any]], *, active: bool | None
) -> None:
    """A PATCH that compares nothing, or is about ``active`` alone, does what it does the long way."""
    short = patched(copy.deepcopy(operations), active=active)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scim_bridge.protocol.simple_patches.compare_nothing", lambda _: False)
        patch.setattr("scim_bridge.protocol.simple_patches.activation", lambda _: None)
        assert patched(copy.deepcopy(operations), active=active) == short


def test_a_deactivation_asks_for_no_comparison() -> None:
    """The most frequent PATCH does not have every string of the model looked at."""
    bridge = service(tolerant_policy().model_copy(update={"comparison_key": _refused}))
    wanted = bridge.modification("User", {"Operations": [{"op": "Replace", "value": {"active": False}}]})
    assert wanted.change is not None
    assert wanted.change(bridge.creation("User", BODY)).active is False


def _refused(binding: AttributeBinding, value: str) -> str:
    raise AssertionError(f"{binding.urn} was compared")
