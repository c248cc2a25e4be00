"""Whatever a client sends, the answer is a declared one: never a 5xx, never a crash, never a change by halves."""

import json
import threading
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_server.requests import ScimRequest

from scim_bridge.protocol import BridgeProvider, BridgeService, Limits, preset
from scim_bridge.protocol.limits import check_filter
from scim_bridge.protocol.strict_json import decode
from scim_bridge.server.requests import aside
from tests.http.bridge import USER, Tenant, attempt

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


# -- Work grows with the length of a request, and only with it ---------------------------------------------------------

BELOW, ABOVE = "\u0323\u0307" * 15, "\u0323\u0307" * 15 + "\u0323"
"""As many combining marks in a row as are taken, and one more: to order them takes the square of their number."""


def user_of(**attributes: Any) -> bytes:
    """Return the body of a User."""
    body = {"schemas": [USER], "userName": "ada", **attributes}
    return json.dumps(body, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("within", "above"),
    [
        (BELOW, ABOVE),
        (f"a{BELOW}" * 500, f"a{BELOW}" * 500 + "\u0f73"),
        ("\u0344" * 30, "\u0344" * 31),
        ("\u0f73" * 30, "\u0f73" * 31),
        ("\uff9e" * 30, "\uff9e" * 31),
        ("é" * 16_384, "é" * 16_385),
        ("a" * 262_144, "a" * 262_145),
    ],
    ids=["marks", "late", "decomposed", "hidden", "half width", "length", "ASCII length"],
)
def test_a_text_that_is_slow_to_fold_is_refused_when_it_is_decoded(within: str, above: str) -> None:
    """Before anything is folded; each is in the body of a User far below its largest size."""
    assert decode(user_of(title=within))["title"] == within
    for attributes in ({"title": above}, {"name": {"givenName": above}}, {above: 1}, {"roles": [{"value": above}]}):
        _, error = attempt(partial(decode, user_of(**attributes)))
        assert error is not None
        assert error.status == 400


@pytest.mark.parametrize("name", SERVICES)
def test_texts_beyond_ascii_are_bounded_together(name: str) -> None:
    """Of a creation, a replacement, a PATCH, and of what a PATCH makes of what is stored."""
    service, limits = SERVICES[name], Limits()
    parts = [{"value": f"{'é' * 16_380}{number:04}"} for number in range(5)]
    body = {"schemas": [USER], "userName": "ada"}

    def patch(*roles: Any) -> Any:
        operation = {"op": "add", "path": "roles", "value": list(roles)}
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        return service.modification("User", {"schemas": schemas, "Operations": [operation]})

    current: Any = service.creation("User", {**body, "roles": parts[:3]})
    current.meta = {"resourceType": "User", "version": 'W/"1"'}
    for refused in (
        lambda: service.creation("User", {**body, "roles": parts}),
        lambda: service.replacement("User", {**body, "roles": parts}),
        lambda: patch(*parts),
        lambda: patch(*parts[3:]).change(current.model_copy(deep=True)),
    ):
        _, error = attempt(refused)
        assert error is not None
        assert error.status == 413
        assert str(limits.text) in (error.detail or "")
    assert len(patch(parts[3]).change(current).roles) == 4


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "path": f'emails[value eq "{"q" * 4_000}"].type', "value": "x"}] * 5,
        [{"op": "replace", "value": {f"a{number}": 1 for number in range(201)}}],
        [{"op": "replace", "value": {f"a{number}": 1}} for number in range(100) for _ in range(3)],
        [{"op": "replace", "value": {"a" * 4_000 + str(number): 1}} for number in range(5)],
        [
            {
                "op": "replace",
                "value": {USER: dict.fromkeys(map(str, range(201)))},
            }
        ],
    ],
    ids=["filters", "names", "operations", "long names", "names below a URN"],
)
def test_the_paths_of_a_patch_are_bounded_together(operations: list[Any]) -> None:
    """Each is parsed and resolved, however it is written."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
    _, error = attempt(lambda: SERVICES["generic"].modification("User", body))
    assert error is not None
    assert error.status == 413


@pytest.mark.parametrize("name", ["attributes", "excludedAttributes", "ATTRIBUTES"])
@pytest.mark.parametrize("as_text", [True, False], ids=["query", "body"])
def test_a_projection_names_so_many_attributes_only(name: str, as_text: bool) -> None:
    """Each is resolved anew."""
    service = SERVICES["generic"]
    types = [service.resource_type_at("Users")]
    for count, refused in ((100, False), (101, True)):
        names = ["emails.value"] * count
        given: Any = ",".join(names) if as_text else names
        with service.provider:
            _, error = attempt(partial(service.read_search, types, {name: given}))
        assert (error is not None) is refused
        assert error is None or error.status == 400


async def test_a_large_body_is_read_beside_the_event_loop() -> None:
    """Who sends the next request does not wait for it."""
    here = threading.get_ident()
    small, large = (ScimRequest("POST", "", "/Users", {}, {}, body=b" " * size) for size in (4_096, 4_097))
    assert await aside(small, threading.get_ident) == here
    assert await aside(large, threading.get_ident) != here


async def test_every_way_to_send_a_large_body_is_read_beside_the_event_loop(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One resource, a PATCH, a search and a Bulk request."""
    here, seen = threading.get_ident(), set[tuple[str, bool]]()
    for name in ("payload", "creation", "replacement", "modification"):
        real = getattr(BridgeService, name)

        def watched(*given: Any, name: str = name, real: Any = real, **named: Any) -> Any:
            seen.add((name, threading.get_ident() == here))
            return real(*given, **named)

        monkeypatch.setattr(BridgeService, name, watched)
    user = json.loads(user_of(title="t" * 5_000))
    created = await acme.post("/Users", user)
    path = f"/Users/{created.json()['id']}"
    await acme.put(path, user)
    await acme.patch(path, {"op": "replace", "path": "title", "value": "u" * 5_000})
    await acme.post("/Users/.search", {"attributes": ["userName"], "filter": f'title eq "{"t" * 4_000}"' + " " * 80})
    data = {"method": "PATCH", "path": path, "data": {"Operations": [{"op": "add", "path": "title", "value": "v"}]}}
    await acme.post("/Bulk", {"Operations": [data], "filler": "x" * 5_000})
    assert seen == {(name, False) for name in ("payload", "creation", "replacement", "modification")}
