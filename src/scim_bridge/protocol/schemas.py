"""Loads ``scim-schemas/`` and describes the service provider of a connection from it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from scim2_models import (
    Extension,
    Group,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
)

import scim_bridge
from scim_bridge.models import CoreUser, EnterpriseUser, EntitledUser

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
CATALOGUE = ("Role", "Entitlement")
"""The resource types of what people can hold: only to be read."""

HELD = ("roles", "entitlements")
"""The attributes of a User that tell what they hold."""

STATES = ("pending", "shadowed")
"""What is told of a role that is asked for and not in force: it is on its way, or another one takes its place."""


def directory() -> Path:
    """Return where ``scim-schemas/`` is: inside the installed package, or at the root of a checkout."""
    package = Path(scim_bridge.__file__).parent
    installed = package / "scim-schemas"
    return installed if installed.is_dir() else package.parents[1] / "scim-schemas"


@cache
def load(name: str) -> dict[str, Any]:
    """Return one of the documents, by its path below ``scim-schemas/`` without the suffix (``"schemas/User"``)."""
    document: dict[str, Any] = json.loads((directory() / f"{name}.json").read_text("utf-8"))
    return document


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as its schema defines it (RFC 7643 §7).

    :param name: The canonical spelling.
    :param schema: The URN of the extension that defines it; ``None``: the core schema.
    :param definition: The characteristics, with ``subAttributes``.
    """

    name: str
    schema: str | None
    definition: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The attribute path, with the URN of an extension (RFC 7644 §3.10)."""
        return f"{self.schema}:{self.name}" if self.schema else self.name

    @property
    def complex(self) -> bool:
        """Whether its values are objects."""
        return bool(self.definition["type"] == "complex")

    @property
    def multi_valued(self) -> bool:
        """Whether it holds a list."""
        return bool(self.definition["multiValued"])

    @property
    def sub_attributes(self) -> frozenset[str]:
        """The names of its sub-attributes, in lower case."""
        return frozenset(sub["name"].lower() for sub in self.definition.get("subAttributes", ()))

    def part(self, name: str) -> Mapping[str, Any] | None:
        """Return the characteristics of the sub-attribute of a name, or ``None``."""
        parts = self.definition.get("subAttributes", ())
        return next((part for part in parts if part["name"].lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class ResourceDefinition:
    """What a resource type consists of, looked up without regard to case (RFC 7643 §2.1).

    :param kind: The name of the resource type.
    :param urn: The core schema.
    :param core: The attributes of the core schema and the common ones, by name in lower case.
    :param extensions: URN of each extension → its attributes, by name in lower case.
    """

    kind: str
    urn: str
    core: Mapping[str, Attribute]
    extensions: Mapping[str, Mapping[str, Attribute]]
    _urns: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_urns", {urn.lower(): urn for urn in (self.urn, *self.extensions)})

    def known_urn(self, urn: str) -> str | None:
        """Return the canonical spelling of a schema URN of this resource type, or ``None``."""
        return self._urns.get(urn.lower())

    def attribute(self, name: str, urn: str | None = None) -> Attribute | None:
        """Return the attribute of a name in one schema; ``urn=None``: the core schema."""
        if urn is None or urn == self.urn:
            return self.core.get(name.lower())
        return self.extensions.get(urn, {}).get(name.lower())

    def in_extensions(self, name: str) -> Attribute | None:
        """Return the attribute of a bare name that exactly one extension defines and the core schema does not."""
        if name.lower() in self.core:
            return None
        found = [extension[name.lower()] for extension in self.extensions.values() if name.lower() in extension]
        return found[0] if len(found) == 1 else None


_COMMON: tuple[dict[str, Any], ...] = tuple(
    {"name": name, "type": type_, "multiValued": multi_valued, "mutability": mutability}
    for name, type_, multi_valued, mutability in (
        ("schemas", "reference", True, "readWrite"),
        ("id", "string", False, "readOnly"),
        ("externalId", "string", False, "readWrite"),
        ("meta", "complex", False, "readOnly"),
    )
)
"""The common attributes (RFC 7643 §3.1), which no schema lists."""


def _attributes(definitions: Iterable[Mapping[str, Any]], urn: str | None) -> dict[str, Attribute]:
    return {definition["name"].lower(): Attribute(definition["name"], urn, definition) for definition in definitions}


def _taken(definitions: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes that are read: a password is published, since clients send it, and dropped unread."""
    return (definition for definition in definitions if definition["mutability"] != "writeOnly")


class BridgeProvider(ScimProvider):
    """A service provider that publishes ``scim-schemas/`` word for word.

    scim2-models would publish schemas derived from its classes, which cannot express every erratum.

    :param extensions: Further schemas of the connector, as JSON; each extends User unless its URN ends in ``:Group``.
    :param policy: What the client's requests may depart from the RFC in.
    :param entitlements: What ``roles`` and ``entitlements`` of a User are: ``asked`` for by clients, only ``shown``,
        or, where the remote system tells of none, just ``kept``.
    """

    def __init__(
        self,
        extensions: Iterable[Mapping[str, Any]] = (),
        policy: ScimPolicy | None = None,
        *,
        entitlements: Literal["asked", "shown", "kept"] = "kept",
    ) -> None:
        added = [dict(extension) for extension in extensions]
        self.entitlements = entitlements
        user = load("schemas/User") if entitlements == "kept" else _entitled(read_only=entitlements == "shown")
        catalogue = () if entitlements == "kept" else CATALOGUE
        listed = (load(f"schemas/{name}") for name in catalogue)
        self.documents = (user, load("schemas/EnterpriseUser"), load("schemas/Group"), *listed, *added)
        names = ("User", "Group", *catalogue)
        types = [_resource_type(name, added) for name in names]
        super().__init__(
            models=[
                CoreUser if entitlements == "kept" else EntitledUser,
                EnterpriseUser,
                Group,
                *(_catalogue_model(name) for name in catalogue),
                *(_extension_model(json.dumps(extension)) for extension in added),
            ],
            resource_types=[ResourceType.model_validate(type_) for type_ in types],
            config=ServiceProviderConfig.model_validate(load("service-provider-config")),
            policy=policy,
        )
        by_urn = {document["id"]: document["attributes"] for document in self.documents}
        self.definitions: dict[str, ResourceDefinition] = {
            type_["name"]: ResourceDefinition(
                kind=type_["name"],
                urn=type_["schema"],
                core=_attributes((*_COMMON, *_taken(by_urn[type_["schema"]])), None),
                extensions={
                    bound["schema"]: _attributes(by_urn[bound["schema"]], bound["schema"])
                    for bound in type_.get("schemaExtensions", ())
                },
            )
            for type_ in types
        }

    def model(self, kind: str) -> type[Resource[Any]]:
        """Return the class that a resource type's requests are validated with, extensions included."""
        return cast("type[Resource[Any]]", self.model_for(kind))

    def told_config(self, config: Mapping[str, Any], *, additions: bool) -> dict[str, Any]:
        """Return a ServiceProviderConfig for a client, with what was added since RFC 7643 if it can read that.

        ``RolesAndEntitlements`` is of draft-ietf-scim-roles-entitlements-01. There is no ``securityEvents``, which says
        that no request is answered asynchronously (RFC 9967 §4).
        """
        if not additions:
            return {name: value for name, value in config.items() if name != "pagination"}
        if self.entitlements == "kept":
            return dict(config)
        return {**config, "RolesAndEntitlements": load("roles-and-entitlements")}


@cache
def _catalogue_model(name: str) -> type[Resource[Any]]:
    """Return the class of a resource type of what people can hold: one for all connections, as their messages are."""
    return Resource.from_schema(Schema.model_validate(load(f"schemas/{name}")))


@lru_cache(maxsize=64)
def _extension_model(document: str) -> type[Extension]:
    """Return the class of a connector's schema, given as JSON text."""
    return Extension.from_schema(Schema.model_validate_json(document))


@cache
def _entitled(*, read_only: bool) -> dict[str, Any]:
    """Return the schema of Users of whom the remote system tells what they hold.

    :param read_only: Whether clients do not ask for it in this way.
    """
    state = {
        "name": "state",
        "type": "string",
        "multiValued": False,
        "description": "What keeps it from being in force; not there when it is.",
        "required": False,
        "caseExact": True,
        "mutability": "readOnly",
        "returned": "default",
        "uniqueness": "none",
        "canonicalValues": list(STATES),
    }

    def held(attribute: dict[str, Any]) -> dict[str, Any]:
        if attribute["name"] not in HELD:
            return attribute
        mutability = "readOnly" if read_only else "readWrite"
        return {**attribute, "mutability": mutability, "subAttributes": [*attribute["subAttributes"], state]}

    document = load("schemas/User")
    return {**document, "attributes": [held(attribute) for attribute in document["attributes"]]}


def _resource_type(name: str, extensions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ResourceType of a name with the connector's extensions bound to it."""
    document = dict(load(f"resource-types/{name}"))
    ours = [extension["id"] for extension in extensions if extension["id"].endswith(":Group") == (name == "Group")]
    bound = [*document.get("schemaExtensions", ()), *({"schema": urn, "required": False} for urn in ours)]
    if bound:
        document["schemaExtensions"] = bound
    return document
