"""Accounts and groups as SCIM resources, and what HubSpot is sent of a SCIM User."""

import re
from collections.abc import Sequence

from scim_bridge.errors import RemoteInvalidValueError
from scim_bridge.models import Group, Remote, User

from .wire import PublicUser

NAME_PATHS = {"firstName": "name.givenName", "lastName": "name.familyName"}
"""HubSpot's name fields and the SCIM attributes they hold."""

ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")
"""What may be an e-mail address; the rest is HubSpot's to judge."""


def resource_of(account: PublicUser, groups: Sequence[str], *, active: bool, title: str | None) -> User:
    """Return an account as a SCIM User (RFC 7643 §4.1).

    ``emails`` is what is read of people whom no client has written. It is none of ``user_attributes``, so it is never
    compared or sent.
    """
    name = {"givenName": account.first_name, "familyName": account.last_name}
    document = {
        "userName": account.normal_email,
        "emails": [{"value": account.normal_email, "type": "work", "primary": True}],
        "name": {path: value for path, value in name.items() if value},
        "active": active,
        "groups": [{"value": group} for group in groups],
        "title": title,
    }
    return User.model_validate({path: value for path, value in document.items() if value not in (None, {})})


def names_held(account: PublicUser) -> dict[str, str]:
    """Return the names of an account, as HubSpot's fields; empty ones for none."""
    return {"firstName": account.first_name or "", "lastName": account.last_name or ""}


def group_of(remote_id: str, name: str, *, existed: bool = False) -> Remote[Group]:
    """Return a group by its remote id and its name."""
    return Remote(remote_id, Group.model_validate({"displayName": name}), existed=existed)


def address_of(user: User) -> str:
    """Return the address of a person's account, in the form that is sent and compared: it is the userName.

    :raises RemoteInvalidValueError: When the userName is none.
    """
    address = str(user.user_name).strip().lower()
    if ADDRESS.fullmatch(address) is None:
        raise RemoteInvalidValueError(
            "the userName is no e-mail address, and HubSpot knows people by nothing else: have the identity provider"
            " send the address as userName (emails are not read for it)"
        )
    return address


def names_of(user: User) -> dict[str, str]:
    """Return HubSpot's name fields of a SCIM User; unassigned ones are empty."""
    name = user.name
    return {
        "firstName": (name.given_name if name else None) or "",
        "lastName": (name.family_name if name else None) or "",
    }


def groups_of(user: User) -> tuple[str, ...]:
    """Return the remote ids of the groups a SCIM User should have."""
    return tuple(sorted(str(group.value) for group in user.groups or () if group.value))
