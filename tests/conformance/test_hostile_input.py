"""Whatever a client sends, the answer is a declared one: never a 5xx, never a crash, never a change by halves."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_bridge.protocol import BridgeProvider, BridgeService, Limits, preset
from scim_bridge.protocol.limits import check_filter
from scim_bridge.protocol.strict_json import decode
from tests.http.bridge import attempt

SERVICES = {
    name: BridgeService(BridgeProvider(policy=preset(name).policy), preset(name), secret="s" * 32)
    for name in ("generic", "strict")
}
DECLARED = {400, 413, 501}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
attribute_names = st.sampled_from(
    [
        "userName", "USERNAME", "name", "name.givenName", "active", "emails", 'emails[type eq "work"]', "manager",
        'emails[type eq "work"].value', "members", 'members[value eq "a"]', "members.value", "groups", "id", "meta",
        "schemas", "password", "displayName", "roles", 'roles[primary eq "True"].value', "externalId",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department",
        "urn:ietf:params:scim:schemas:core:2.0:Group:members", "__class__", "model_fields", "addresses[", "",
    ]
)  # fmt: skip
paths = attribute_names | st.text(max_size=20) | st.text(alphabet='membrs[]().:"= valueqtyp\\andor', max_size=30)
scim_values = (
    json_values
    | st.sampled_from(["True", "False", "", "x@y.io", [], {}, [{"value": "a"}], {"value": "a"}, [{"value": None}], "a"])
    | st.dictionaries(attribute_names, json_values, max_size=3)
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "Replace", "remove", "REMOVE", "move"]) | json_values,
        "path": paths | json_values,
        "value": scim_values,
        "Extra": json_values,
    },
)


@settings(max_examples=1_500)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """The only errors are 400 and 413."""
    _, error = attempt(lambda: decode(body))
    assert error is None or error.status in DECLARED


@settings(max_examples=1_500)
@given(json_values)
def test_what_is_decoded_is_what_every_parser_reads(value: Any) -> None:
    """An accepted text means the same to the standard library; what JSON cannot say is refused."""
    text = json.dumps(value)
    decoded, error = attempt(lambda: decode(text.encode()))
    if error is not None:
        assert error.status in DECLARED
        return
    assert decoded == json.loads(text)
    json.dumps(decoded, allow_nan=False).encode()


@pytest.mark.parametrize("name", SERVICES)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.dictionaries(attribute_names, scim_values, max_size=6), kind=st.sampled_from(["User", "Group"]))
def test_any_resource_is_validated_or_refused(name: str, body: dict[str, Any], kind: Any) -> None:
    """What is taken carries no password and an active flag."""
    service = SERVICES[name]
    resource: Any
    resource, error = attempt(lambda: service.creation(kind, body))
    _, of_replacement = attempt(lambda: service.replacement(kind, body))
    assert {one.status for one in (error, of_replacement) if one is not None} <= DECLARED
    if kind == "User" and resource is not None:
        assert resource.password is None
        assert resource.active is not None


@pytest.mark.parametrize("name", SERVICES)
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(given_operations=st.lists(operations, max_size=4), kind=st.sampled_from(["User", "Group"]))
def test_any_patch_is_applied_or_refused_whole(name: str, given_operations: list[Any], kind: Any) -> None:
    """A refused PATCH leaves the resource as it was; an applied one leaves it valid."""
    service = SERVICES[name]
    name_of = "userName" if kind == "User" else "displayName"
    current: Any = service.creation(kind, {"schemas": [service.provider.definitions[kind].urn], name_of: "ada"})
    if kind == "Group":
        current.members = None
    current.meta = {"resourceType": kind, "version": 'W/"1"'}
    before = current.model_copy(deep=True)
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": given_operations}
    wanted, error = attempt(lambda: service.modification(kind, body))
    change = wanted.change if wanted is not None else None
    changed = None
    if change is not None:
        changed, error = attempt(lambda: change(current))
    if error is not None or wanted is None:
        assert error is not None
        assert error.status in DECLARED
        assert current == before
        return
    assert all(isinstance(one, str) and one for delta in wanted.deltas for one in delta.ids)
    if changed is not None:
        assert (changed.user_name if kind == "User" else changed.display_name).strip()
        assert getattr(changed, "active", True) is not None
        changed.model_dump_json()


@settings(max_examples=500)
@given(st.text(max_size=60) | st.text(alphabet='userName emaisctv[]()"\\ eqnorand.:1', max_size=60))
def test_any_filter_is_read_or_refused(text: str) -> None:
    """`invalidFilter` is the only answer to what is none."""
    service = SERVICES["generic"]
    with service.provider:
        types = [service.resource_type_at("Users")]
        _, error = attempt(lambda: service.read_search(types, {"filter": text}))
    assert error is None or error.status in DECLARED


@settings(max_examples=500)
@given(st.integers(0, 40), st.integers(0, 100), st.text(alphabet='ab"\\()', max_size=10))
def test_a_filter_over_a_limit_never_reaches_the_parser(depth: int, terms: int, literal: str) -> None:
    """Depth and terms are counted outside of strings."""
    text = "(" * depth + " and ".join([f"title eq {json.dumps(literal)}"] * (terms + 1)) + ")" * depth
    limits = Limits()
    within = depth <= limits.filter_depth and terms + 1 <= limits.filter_terms
    _, error = attempt(lambda: check_filter(text, limits))
    assert (error is None) is within
    assert error is None or error.scim_type == "invalidFilter"
