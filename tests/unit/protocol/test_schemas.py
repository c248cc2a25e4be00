"""scim-schemas/ and the models that validate requests say the same; every difference that is meant is listed here."""

from collections.abc import Iterator
from typing import Any

import pytest

from scim_bridge.models import CoreUser, EnterpriseUser, Group, User
from scim_bridge.protocol import BridgeProvider, Limits
from scim_bridge.protocol.schemas import ENTERPRISE_USER, GROUP, USER, load

MODELS: dict[str, Any] = {"User": CoreUser, "EnterpriseUser": EnterpriseUser, "Group": Group}

MEANT = {
    "User.groups.type.canonicalValues",
    "Group.displayName.uniqueness",
    "Group.members.$ref.referenceTypes",
    "Group.members.type.canonicalValues",
    "Group.members.display.mutability",
}
ACME = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": "urn:acme:params:scim:schemas:extension:1.0:User",
    "name": "Acme",
    "attributes": [
        {
            "name": "badge",
            "type": "string",
            "multiValued": False,
            "description": "The badge.",
            "required": False,
            "caseExact": False,
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        }
    ],
}


def differences(name: str, file: Any, model: Any) -> Iterator[str]:
    """Yield where two lists of attributes differ, prose apart."""
    from_file = {attribute["name"]: attribute for attribute in file}
    from_model = {attribute["name"]: attribute for attribute in model}
    for attribute in from_file.keys() ^ from_model.keys():
        yield f"{name}.{attribute}: only in the {'model' if attribute in from_model else 'file'}"
    for attribute in from_file.keys() & from_model.keys():
        one, other = from_file[attribute], from_model[attribute]
        yield from differences(f"{name}.{attribute}", one.get("subAttributes", []), other.get("subAttributes", []))
        keys = {"type", "multiValued", "required", "mutability", "returned", "canonicalValues", "referenceTypes"}
        if one["type"] not in ("complex", "boolean"):
            keys |= {"caseExact", "uniqueness"}
        for key in keys:
            if one.get(key) != other.get(key):
                yield f"{name}.{attribute}.{key}"


def test_the_files_and_the_models_agree() -> None:
    """What is advertised is what is enforced, except where a reason is written down."""
    found = {
        difference
        for name, model in MODELS.items()
        for difference in differences(
            name, load(f"schemas/{name}")["attributes"], model.to_schema().model_dump()["attributes"]
        )
    }
    assert found == MEANT


def test_the_verified_errata_are_applied() -> None:
    """RFC 7643's errata 8415, 6004, 5368, 8472, 8471, 5607."""
    attributes = {
        (name, attribute["name"]): attribute for name in MODELS for attribute in load(f"schemas/{name}")["attributes"]
    }
    for attribute in attributes.values():
        assert all(sub["type"] != "complex" for sub in attribute.get("subAttributes", []))
        if attribute["type"] == "complex":
            assert "uniqueness" not in attribute
    assert attributes["Group", "displayName"]["required"] is True
    manager = {sub["name"]: sub for sub in attributes["EnterpriseUser", "manager"]["subAttributes"]}
    assert manager["value"]["caseExact"] is True
    groups = {sub["name"]: sub for sub in attributes["User", "groups"]["subAttributes"]}
    assert groups["$ref"]["referenceTypes"] == ["Group"]


def test_no_published_document_holds_null() -> None:
    """Entra's "Test Schema" trips over one."""

    def values(value: Any) -> Iterator[Any]:
        yield value
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from values(inner)

    names = [f"schemas/{name}" for name in MODELS] + ["resource-types/User", "resource-types/Group"]
    for name in [*names, "service-provider-config"]:
        assert None not in list(values(load(name)))


def test_the_announced_limits_are_the_enforced_ones() -> None:
    """RFC 7643 §5."""
    config, limits = load("service-provider-config"), Limits()
    assert config["bulk"]["maxOperations"] == limits.bulk_operations
    assert config["bulk"]["maxPayloadSize"] == limits.body_bytes
    assert config["filter"]["maxResults"] == config["pagination"]["maxPageSize"] == limits.count


def test_without_extensions_the_model_is_the_one_connectors_see() -> None:
    """So what the server validates is what provisioning takes."""
    assert BridgeProvider().model("User") is User


def test_a_connectors_schema_is_published_bound_and_validated() -> None:
    """Its attributes are taken, found by a bare name and refused when wrong."""
    provider = BridgeProvider([ACME])
    assert [document["id"] for document in provider.documents] == [USER, ENTERPRISE_USER, GROUP, ACME["id"]]
    (user_type, group_type) = provider.resource_types
    assert [str(one.schema_) for one in user_type.schema_extensions or []] == [ENTERPRISE_USER, ACME["id"]]
    assert not group_type.schema_extensions
    found = provider.definitions["User"].in_extensions("BADGE")
    assert found is not None
    assert found.path == f"{ACME['id']}:badge"
    model = provider.model("User")
    assert issubclass(model, CoreUser)
    user = model.model_validate({"userName": "a", str(ACME["id"]): {"badge": "7"}})
    assert user.model_dump()[str(ACME["id"])] == {"badge": "7"}


@pytest.mark.parametrize(("name", "urn"), [("department", ENTERPRISE_USER), ("userName", None), ("nope", None)])
def test_a_bare_name_is_found_in_the_only_extension_that_has_it(name: str, urn: str | None) -> None:
    """A core attribute is never taken for one of an extension."""
    found = BridgeProvider().definitions["User"].in_extensions(name)
    assert (found.schema if found else None) == urn
