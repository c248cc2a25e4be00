"""Every form of a change of members becomes deltas; whatever is none is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import PayloadTooLargeException, SCIMException

from scim_bridge.protocol import PRESETS, Limits
from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.members import split_body, split_operations
from scim_bridge.protocol.schemas import GROUP
from scim_bridge.store.rows import MemberDelta

ALL = Quirks(PRESETS["generic"].quirks)


def split(*operations: dict[str, Any]) -> tuple[list[dict[str, Any]], list[MemberDelta]]:
    """Split operations as a generic client's."""
    return split_operations(list(operations), ALL, Limits())


@pytest.mark.parametrize(
    ("operation", "deltas"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}, [("add", "a", "b")]),
        ({"op": "Add", "path": "MEMBERS", "value": {"VALUE": "a", "$ref": None}}, [("add", "a")]),
        ({"op": "add", "path": "members", "value": ["a", "a"]}, [("add", "a")]),
        ({"op": "add", "path": "members.value", "value": "a"}, [("add", "a")]),
        ({"op": "replace", "path": f"{GROUP}:members", "value": []}, [("replace",)]),
        ({"op": "replace", "path": "members", "value": None}, [("replace",)]),
        ({"op": "replace", "path": "members", "value": [{"value": "a", "display": None}]}, [("replace", "a")]),
        ({"op": "remove", "path": "members"}, [("replace",)]),
        ({"op": "remove", "path": "members", "value": []}, [("remove",)]),
        ({"op": "Remove", "path": "members", "value": [{"value": "a"}]}, [("remove", "a")]),
        ({"op": "remove", "path": 'members[value eq "a"]'}, [("remove", "a")]),
        ({"op": "remove", "path": 'Members[ VALUE EQ "a" ]'}, [("remove", "a")]),
        ({"op": "remove", "path": 'members[value eq "a" or value eq "b"]'}, [("remove", "a", "b")]),
        ({"op": "remove", "path": 'members[type eq "User" and value eq "a"]'}, [("remove", "a")]),
        ({"op": "remove", "path": 'members[value eq "a" and value eq "b"]'}, [("remove",)]),
        ({"op": "remove", "path": 'members[value eq "a]\\"b"]'}, [("remove", 'a]"b')]),
        ({"op": "add", "path": 'members[value eq "a"]', "value": {"value": "a"}}, [("add", "a")]),
        ({"op": "replace", "path": 'members[value eq "a"].display', "value": "x"}, []),
        ({"op": "replace", "path": "members.display", "value": "x"}, []),
        ({"op": "replace", "value": {"members": [{"value": "a"}]}}, [("replace", "a")]),
        ({"op": "add", "value": {GROUP: {"members": [{"value": "a"}]}}}, [("add", "a")]),
        ({"op": "replace", "value": {"members": None}}, []),
    ],
)  # fmt: skip
def test_each_form_of_a_change_becomes_its_delta(operation: dict[str, Any], deltas: list[tuple[str, ...]]) -> None:
    """None of them reaches the PATCH engine."""
    attributes, found = split(operation)
    assert attributes == []
    assert found == [MemberDelta(action, tuple(ids)) for action, *ids in deltas]


def test_attributes_and_members_of_one_value_are_split() -> None:
    """Okta's rename with the whole list in it."""
    operation = {"op": "replace", "value": {"id": "g", "displayName": "X", "members": []}}
    attributes, deltas = split(operation)
    assert attributes == [{"op": "replace", "value": {"id": "g", "displayName": "X"}}]
    assert deltas == [MemberDelta("replace", ())]


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "remove", "path": "members["}, "invalidPath"),
        ({"op": "remove", "path": 'members[value eq "a"] x'}, "invalidPath"),
        ({"op": "remove", "path": 'members[display eq "a"]'}, "invalidFilter"),
        ({"op": "remove", "path": 'members[not (value eq "a")]'}, "invalidFilter"),
        ({"op": "remove", "path": 'members[value ne "a"]'}, "invalidFilter"),
        ({"op": "remove", "path": 'members[value eq "a" or display eq "b"]'}, "invalidFilter"),
        ({"op": "remove", "path": 'members[type eq "User"]'}, "invalidFilter"),
        ({"op": "remove", "path": "members.value"}, "mutability"),
        ({"op": "remove", "path": 'members[value eq "a"].value'}, "mutability"),
        ({"op": "replace", "path": 'members[value eq "a"].value', "value": "b"}, "mutability"),
        ({"op": "add", "path": "members", "value": [{"display": "a"}]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [5]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": ""}]}, "invalidValue"),
        ({"op": "add", "path": "members"}, "invalidValue"),
        ({"op": "replace", "path": "members"}, "invalidValue"),
        ({"op": "move", "path": "members", "value": []}, "invalidValue"),
        ({"op": "add", "path": "members.nope", "value": "x"}, "invalidPath"),
    ],
)
def test_what_is_no_change_of_members_is_refused(operation: dict[str, Any], scim_type: str) -> None:
    """A removal that is not understood removes nobody, and does not say that it did."""
    with pytest.raises(SCIMException) as refused:
        split(operation)
    assert refused.value.scim_type == scim_type


def test_a_null_list_without_path_is_a_change_where_the_quirk_is_off() -> None:
    """The RFC reads null as the empty list."""
    _, deltas = split_operations([{"op": "replace", "value": {"members": None}}], Quirks(()), Limits())
    assert deltas == [MemberDelta("replace", ())]


def test_a_body_is_split_whatever_the_case_of_its_names() -> None:
    """POST and PUT."""
    rest, ids = split_body(
        {"displayName": "X", "MEMBERS": [{"value": "a"}, {"value": "b"}, {"value": "a"}]}, ALL, Limits()
    )
    assert rest == {"displayName": "X"}
    assert ids == ("a", "b")


def test_too_many_members_are_refused_over_all_operations() -> None:
    """The limit is one of the request."""
    operation = {"op": "add", "path": "members", "value": ["a", "b"]}
    with pytest.raises(PayloadTooLargeException):
        split_operations([operation, operation], ALL, Limits(member_values=3))
    with pytest.raises(PayloadTooLargeException):
        split_body({"members": ["a", "b"]}, ALL, Limits(member_values=1))


ids = st.sampled_from("abcd")
changes = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "replace"]), st.lists(ids, max_size=3)),
    st.tuples(st.just("filter"), st.lists(ids, min_size=1, max_size=3)),
)


@given(st.sets(ids), st.lists(changes, max_size=6))
def test_the_deltas_of_a_patch_come_to_what_its_operations_mean(
    start: set[str], history: list[tuple[str, list[str]]]
) -> None:
    """Against sets: the order of the operations is that of the deltas."""
    expected = set(start)
    given_operations: list[dict[str, Any]] = []
    for action, chosen in history:
        values = [{"value": id_} for id_ in chosen]
        if action == "filter":
            expected -= set(chosen)
            selection = " or ".join(f'value eq "{id_}"' for id_ in chosen)
            given_operations.append({"op": "remove", "path": f"members[{selection}]"})
            continue
        expected = {"add": expected | set(chosen), "remove": expected - set(chosen), "replace": set(chosen)}[action]
        given_operations.append({"op": action, "path": "members", "value": values})
    found = set(start)
    for delta in split(*given_operations)[1]:
        chosen_ids = set(delta.ids)
        found = {"add": found | chosen_ids, "remove": found - chosen_ids, "replace": chosen_ids}[delta.action]
    assert found == expected
