"""Compares what an identity provider wants with what a remote system holds."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from scim_bridge.testing.clients.directory import ENTERPRISE, WORK_EMAIL, IdentityProvider, Person
from scim_bridge.testing.clients.session import Document


@dataclass(frozen=True, slots=True)
class RemoteAccount:
    """An account as the remote system holds it.

    :param attributes: Values by SCIM attribute path; only paths that stand here are compared.
    """

    active: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteSnapshot:
    """A remote system at one moment.

    :param accounts: By ``userName``, in any case.
    :param members: The ``userName`` of every member, by the group's ``displayName``.
    """

    accounts: Mapping[str, RemoteAccount]
    members: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the remote system is not what the identity provider wants.

    :param subject: A ``userName``.
    :param aspect: ``access``, ``member of <group>`` or an attribute path.
    """

    subject: str
    aspect: str
    wanted: str
    found: str


def differences(
    provider: IdentityProvider, remote: RemoteSnapshot, *, group_names: Mapping[str, str] | None = None
) -> list[Difference]:
    """Return in what the remote system differs from what the identity provider **wants**, person by person.

    A person without access may be absent or inactive; memberships of an inactive account have no effect and do not
    count. Accounts that the identity provider does not know are none of its business.

    :param group_names: The remote system's name of a pushed group, where it is another one.
    """
    accounts = {user_name.casefold(): account for user_name, account in remote.accounts.items()}
    members = {name: {one.casefold() for one in names} for name, names in remote.members.items()}
    found: list[Difference] = []
    for person in sorted(provider.people.values(), key=lambda one: one.user_name):
        account = accounts.get(person.user_name.casefold())
        wanted = person.id in provider.assigned
        active = account is not None and account.active
        if wanted != active:
            state = "active" if active else "absent" if account is None else "inactive"
            found.append(Difference(person.user_name, "access", "active" if wanted else "none", state))
        if wanted and account is not None:
            found += _attributes(person, provider.attributes_of(person), account)
        for group in provider.groups.values():
            name = (group_names or {}).get(group.name, group.name)
            holds = active and person.user_name.casefold() in members.get(name, set())
            should = wanted and person.id in group.members
            if holds != should:
                found.append(Difference(person.user_name, f"member of {name}", _yes(wanted=should), _yes(wanted=holds)))
    return found


def snapshot_of(users: Iterable[Document], groups: Iterable[Document] = ()) -> RemoteSnapshot:
    """Return a snapshot of the SCIM resources of a service provider; an attribute that is not there is empty."""
    users = list(users)
    names = {user["id"]: user["userName"] for user in users}
    return RemoteSnapshot(
        accounts={user["userName"]: RemoteAccount(user.get("active", True), values_of(user)) for user in users},
        members={
            group["displayName"]: [names[one["value"]] for one in group.get("members") or [] if one["value"] in names]
            for group in groups
        },
    )


def values_of(user: Document) -> dict[str, str]:
    """Return the values of a SCIM User by the attribute paths of :attr:`Person.attributes`; an absent one is empty."""
    name = user.get("name") or {}
    extension = user.get(ENTERPRISE) or {}
    work = next((one.get("value") for one in user.get("emails") or [] if one.get("type") == "work"), None)
    values = {
        "userName": user.get("userName"),
        "name.givenName": name.get("givenName"),
        "name.familyName": name.get("familyName"),
        WORK_EMAIL: work,
        "displayName": user.get("displayName"),
        "title": user.get("title"),
        f"{ENTERPRISE}:department": extension.get("department"),
        f"{ENTERPRISE}:employeeNumber": extension.get("employeeNumber"),
    }
    return {path: value or "" for path, value in values.items()}


def _attributes(person: Person, wanted: Mapping[str, str], account: RemoteAccount) -> list[Difference]:
    """Compare the attributes that both know; the userName found the account."""
    return [
        Difference(person.user_name, path, wanted[path], value)
        for path, value in account.attributes.items()
        if path in wanted and path != "userName" and wanted[path] != value
    ]


def _yes(*, wanted: bool) -> str:
    return "yes" if wanted else "no"
