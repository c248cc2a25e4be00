"""Each quirk is rewritten where it is switched on, counted by its name, and refused or left alone where it is off."""

from typing import Any

import pytest
from scim2_models import SCIMException

from scim_bridge.errors import ConnectionSettingsError
from scim_bridge.protocol import PRESETS, QUIRKS, BridgeProvider, BridgeService, preset
from scim_bridge.protocol.schemas import ENTERPRISE_USER, USER
from scim_bridge.store.rows import MemberDelta

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BASE = {"schemas": [USER], "userName": "ada"}


def service(*off: str, client: str = "generic") -> tuple[BridgeService, list[str]]:
    """Return a service without some quirks, and the names of those it meets."""
    chosen, met = preset(client).switched(off=off), list[str]()
    return BridgeService(BridgeProvider(policy=chosen.policy), chosen, secret="s" * 32, count=met.append), met


BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "missing_schemas": ({"userName": "ada"}, {}),
    "schema_urn_spelling": ({**BASE, "schemas": [USER.upper()]}, {}),
    "legacy_schema_urn": ({**BASE, "schemas": ["urn:scim:schemas:core:2.0"]}, {}),
    "unknown_schema_urn": ({**BASE, "schemas": [USER, "urn:x:y"]}, {}),
    "password": ({**BASE, "password": "p"}, {}),
    "bare_extension_attribute": ({**BASE, "department": "D"}, {ENTERPRISE_USER: {"department": "D"}}),
    "string_for_complex": (
        {**BASE, ENTERPRISE_USER: {"manager": "m"}}, {ENTERPRISE_USER: {"manager": {"value": "m"}}},
    ),
    "list_for_single_value": ({**BASE, "active": ["False"]}, {"active": False}),
    "object_for_list": ({**BASE, "emails": {"value": "a@x.io"}}, {"emails": [{"value": "a@x.io"}]}),
    "empty_complex": ({**BASE, ENTERPRISE_USER: {"manager": {"value": ""}}}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_quirk_of_a_body_is_rewritten_and_counted(name: str) -> None:
    """What is validated is the RFC's form."""
    body, expected = BODIES[name]
    bridge, met = service()
    dumped = bridge.creation("User", body).model_dump()
    for key in ("schemas", "userName"):
        dumped.pop(key)
    assert dumped == {"active": True} | expected
    assert name in met


VALUES: dict[str, list[dict[str, Any]]] = {
    "null_active": [{"op": "replace", "path": "active"}, {"op": "replace", "value": {"active": None}}],
    "password": [
        {"op": "replace", "path": "password", "value": "p"}, {"op": "add", "value": {"password": "p"}},
    ],
    "read_only_in_value": [{"op": "replace", "value": {"id": "x", "meta": {}, "groups": [], "schemas": []}}],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_quirk_of_a_patch_changes_nothing_and_is_counted(name: str) -> None:
    """Neither `active` nor a secret nor an identity is touched."""
    for operation in VALUES[name]:
        bridge, met = service()
        current: Any = bridge.creation("User", {**BASE, "active": False})
        current.meta = {"resourceType": "User"}
        wanted = bridge.modification("User", {"schemas": [PATCH_OP], "Operations": [{"value": None, **operation}]})
        assert wanted.change is None or wanted.change(current) is None
        assert name in met


def test_a_dotted_path_and_a_filter_on_a_complex_attribute_mean_their_standard_form() -> None:
    """`…:User.department`, `manager eq`, `active eq "True"`."""
    bridge, met = service()
    current: Any = bridge.creation("User", BASE)
    current.meta = {"resourceType": "User"}
    operation = {"op": "add", "path": f"{ENTERPRISE_USER}.department", "value": "D"}
    wanted = bridge.modification("User", {"schemas": [PATCH_OP], "Operations": [operation]})
    assert wanted.change is not None
    assert wanted.change(current).model_dump()[ENTERPRISE_USER] == {"department": "D"}
    with bridge.provider:
        search, _ = bridge.read_search(
            [bridge.resource_type_at("Users")], {"filter": 'manager eq "m" and active eq "TRUE"'}
        )
    assert str(search.filter) == f'{ENTERPRISE_USER}:manager.value eq "m" and active eq true'
    assert {"dotted_extension_path", "complex_in_filter", "boolean_string_in_filter"} <= set(met)


def test_members_keep_their_derived_values_and_a_null_list_is_not_given() -> None:
    """`member_display` and `null_members`."""
    bridge, met = service()
    operations = [
        {"op": "replace", "path": 'members[value eq "a"].display', "value": "x"},
        {"op": "replace", "value": {"members": None}},
        {"op": "add", "path": "members", "value": [{"value": "a"}]},
    ]
    wanted = bridge.modification("Group", {"schemas": [PATCH_OP], "Operations": operations})
    assert wanted.change is None
    assert wanted.deltas == (MemberDelta("add", ("a",)),)
    assert met == ["member_display", "null_members"]


@pytest.mark.parametrize("name", ["missing_schemas", "legacy_schema_urn", "string_for_complex", "object_for_list"])
def test_a_quirk_that_is_off_is_held_to_the_rfc(name: str) -> None:
    """It is refused, and not counted."""
    bridge, met = service(name, "unknown_schema_urn")
    with pytest.raises(SCIMException) as refused:
        bridge.creation("User", BODIES[name][0])
    assert refused.value.status == 400
    assert name not in met


def test_every_quirk_is_part_of_generic_and_strict_drops_passwords_only() -> None:
    """The union understands everybody; a password is never kept, whoever sends it."""
    assert PRESETS["generic"].quirks == QUIRKS.keys()
    assert PRESETS["strict"].quirks == {"password"}
    assert PRESETS["okta"].quirks < PRESETS["generic"].quirks
    assert PRESETS["entra"].quirks < PRESETS["generic"].quirks
    assert {client for quirk in QUIRKS.values() for client in quirk.clients} <= PRESETS.keys()


def test_an_unknown_name_is_a_setting_error_that_lists_the_known() -> None:
    """Of a client and of a quirk."""
    with pytest.raises(ConnectionSettingsError, match="okta"):
        preset("oktta")
    with pytest.raises(ConnectionSettingsError, match="missing_schemas"):
        preset("okta").switched(off=["nope"])


def test_an_email_keeps_the_case_of_its_domain() -> None:
    """Entra would send the same update in every cycle."""
    bridge, _ = service()
    user = bridge.creation("User", {**BASE, "emails": [{"value": "Ada@CONTOSO.Com"}]})
    assert user.model_dump()["emails"] == [{"value": "Ada@CONTOSO.Com"}]
