"""The bodies that Microsoft Entra ID sends: creations, and PATCH with and without ``aadOptscim062020``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scim_bridge.testing.clients.directory import ENTERPRISE, GROUP, PATCH, USER, WORK_EMAIL, Person
from scim_bridge.testing.clients.session import Document

ADSCIM_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


@dataclass(frozen=True, slots=True)
class EntraDialect:
    """How PATCH is written.

    :param rfc: Whether the tenant URL carries ``aadOptscim062020``.
    :param manager_form: ``string`` as recorded, or the ``array`` Microsoft documents.
    """

    rfc: bool
    manager_form: Literal["string", "array"] = "string"

    def patch(self, *operations: Document) -> Document:
        """Return a whole body."""
        return {"schemas": [PATCH], "Operations": list(operations)}

    def set_active(self, *, active: bool) -> Document:
        """Return the operation that enables or disables a person."""
        return self._operation("Replace", "active", active if self.rfc else str(active))

    def attributes(self, held: Mapping[str, str], wanted: Mapping[str, str]) -> list[Document]:
        """Return the operations that bring attributes, by path, from what was read to what is wanted."""
        absent = [path for path in wanted if not held.get(path)]
        changed = [path for path in wanted if held.get(path) and held[path] != wanted[path]]
        gone = [path for path in held if held[path] and path not in wanted]
        operations = [self._operation("Add", path, wanted[path]) for path in absent]
        if self.rfc:
            operations += [self._operation("Replace", path, wanted[path]) for path in changed if path == WORK_EMAIL]
            if together := {path: wanted[path] for path in changed if path != WORK_EMAIL}:
                operations.append({"op": "replace", "value": together})
        else:
            operations += [self._operation("Replace", path, wanted[path]) for path in changed]
        return operations + [self._operation("Remove", path) for path in gone]

    def set_manager(self, manager: str, location: str) -> Document:
        """Return the operation that names a manager by SCIM id; empty: nobody."""
        if self.manager_form == "array":
            if not manager:
                return self._operation("Remove", "manager")
            return self._operation("Add", "manager", [{"$ref": location, "value": manager}])
        return self._operation("Add" if manager else "Replace", f"{ENTERPRISE}:manager", manager)

    def rename(self, name: str) -> Document:
        """Return the operation that renames a group."""
        return self._operation("Replace", "displayName", name)

    def add_member(self, member: str) -> Document:
        """Return the operation that adds a member by SCIM id."""
        return self._operation("Add", "members", [{"$ref": None, "value": member}])

    def remove_member(self, member: str) -> Document:
        """Return the operation that removes a member by SCIM id."""
        if self.rfc:
            return self._operation("Remove", f'members[value eq "{member}"]')
        return self._operation("Remove", "members", [{"$ref": None, "value": member}])

    def _operation(self, op: str, path: str, value: Any = None) -> Document:
        operation: Document = {"op": op.lower() if self.rfc else op, "path": path}
        return operation if value is None else {**operation, "value": value}


def new_user(person: Person, *, legacy: bool) -> Document:
    """Return the body of a creation; ``legacy`` is the older documented form: nulls, a misspelt URN."""
    user: Document = {
        "schemas": [USER, ENTERPRISE],
        "externalId": person.id,
        "userName": person.user_name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": person.email or person.user_name}],
        "meta": {"resourceType": "User"},
    }
    formatted = f"{person.given_name} {person.family_name}".strip()
    name = {"familyName": person.family_name, "givenName": person.given_name}
    if legacy:
        empty = dict.fromkeys(("addresses", "phoneNumbers", "preferredLanguage", "title", "department", "manager"))
        user |= {"schemas": [USER, ENTERPRISE.replace(":User", "User")], "displayName": formatted, "name": name}
        return user | empty
    user |= {"name": {"formatted": formatted, **name}, "roles": []}
    user |= {key: value for key, value in (("displayName", person.display_name), ("title", person.title)) if value}
    extension = {"department": person.department, "employeeNumber": person.employee_number}
    if extension := {key: value for key, value in extension.items() if value}:
        user[ENTERPRISE] = extension
    return user


def new_group(external_id: str, name: str) -> Document:
    """Return the body of a group's creation: a schema that is not SCIM's, and no members."""
    return {
        "schemas": [GROUP, ADSCIM_GROUP],
        "externalId": external_id,
        "displayName": name,
        "meta": {"resourceType": "Group"},
    }
