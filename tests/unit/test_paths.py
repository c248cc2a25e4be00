"""Attribute paths: URNs, what is unassigned, and documents that are not as they should be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.paths import attributes_of, names_of, nested, value_at, with_values

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATHS = ("userName", "name.givenName", "name.familyName", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value")

values = st.dictionaries(st.sampled_from(PATHS), st.text(min_size=1))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("userName", ["userName"]),
        ("name.givenName", ["name", "givenName"]),
        (f"{ENTERPRISE}:department", [ENTERPRISE, "department"]),
        (f"{ENTERPRISE}:manager.value", [ENTERPRISE, "manager", "value"]),
    ],
)
def test_a_path_is_split_and_a_urn_is_not(path: str, names: list[str]) -> None:
    """A URN has dots of its own."""
    assert names_of(path) == names


@given(values)
def test_what_is_put_at_paths_is_found_there(wanted: dict[str, str]) -> None:
    """Made of nothing, or written over something else."""
    assert attributes_of(nested(wanted), PATHS) == wanted
    before = nested(dict.fromkeys(PATHS, "before"))
    assert attributes_of(with_values(before, PATHS, wanted), PATHS) == wanted
    assert before == nested(dict.fromkeys(PATHS, "before"))


def test_what_becomes_empty_is_unassigned() -> None:
    """And other members stay."""
    document = {"userName": "ada", "name": {"givenName": "Ada"}, "roles": []}
    assert with_values(document, ["name.givenName"], {"userName": "bob"}) == {"userName": "ada"}


@pytest.mark.parametrize("odd", [None, "Ada", [{"givenName": "Ada"}], 1])
def test_what_should_be_an_object_and_is_not_holds_nothing(odd: Any) -> None:
    """A remote system may answer anything; a value that is written then takes its place."""
    document = {"name": odd}
    assert value_at(document, "name.givenName") is None
    assert with_values(document, ["name.givenName"], {"name.givenName": "Ada"}) == {"name": {"givenName": "Ada"}}
