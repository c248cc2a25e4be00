"""What a service provider answers, as objects: its resources, its lists, what it can do; and what is sent to it."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.models import Group, Remote, User
from scim_bridge.paths import attributes_of, with_values

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

Document = dict[str, Any]
"""A SCIM resource as JSON."""


class Answer(BaseModel):
    """A JSON object; what is not named here is kept, or does not matter."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


ReadT = TypeVar("ReadT", bound=Answer)


class Listing(Answer):
    """A ListResponse (RFC 7644 §3.4.2)."""

    total: int = Field(alias="totalResults", ge=0)
    start: int | None = Field(default=None, alias="startIndex")
    resources: list[Document] = Field(default_factory=list, alias="Resources")


class Supported(Answer):
    """Whether something is supported."""

    supported: bool = False


class ServiceProvider(Answer):
    """The parts of a ServiceProviderConfig that decide what is sent (RFC 7643 §5)."""

    patch: Supported
    filter: Supported
    etag: Supported = Supported()


class Account(Answer):
    """The parts of a User that are looked at."""

    id: str = Field(min_length=1, max_length=1000)
    user_name: str = Field(alias="userName", min_length=1)
    active: StrictBool = True


class Team(Answer):
    """The parts of a Group that are looked at."""

    id: str = Field(min_length=1, max_length=1000)
    display_name: str = Field(alias="displayName", min_length=1)
    members: list[Document] | None = None

    def people(self) -> list[str]:
        """Return the ids of its members who are Users; nested groups are left out (RFC 7643 §4.2)."""
        return [
            str(one["value"])
            for one in self.members or ()
            if one.get("value") and one.get("type", "User") != "Group" and "/Groups/" not in str(one.get("$ref", ""))
        ]


def values(document: Mapping[str, Any], paths: Collection[str]) -> Document:
    """Return the values of a resource by attribute path; what is empty is unassigned, too."""
    return {path: value for path, value in attributes_of(document, paths).items() if value not in ("", [])}


def remote_user(document: Document, kept: Collection[str], *, existed: bool = False) -> Remote[User]:
    """Return an account as the bridge reads it. :raises RemoteUnavailableError: When it is not understood."""
    account = _read(Account, document)
    shown = with_values({"schemas": [USER]}, kept, values(document, kept))
    try:
        user: User = User.model_validate(shown | {"active": account.active})
    except ValidationError:
        raise RemoteUnavailableError("the service provider shows an account that is not understood") from None
    user.groups = None  # told by the groups
    return Remote(account.id, user, existed=existed)


def remote_group(document: Document, *, existed: bool = False) -> Remote[Group]:
    """Return a group as the bridge reads it, without members."""
    team = _read(Team, document)
    return Remote(team.id, Group(display_name=team.display_name), existed=existed)


def team(document: Document) -> Team:
    """Return a group with its members."""
    return _read(Team, document)


def account(document: Document) -> Account:
    """Return what is looked at of an account."""
    return _read(Account, document)


def _read(model: type[ReadT], document: Document) -> ReadT:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)})
        raise RemoteUnavailableError(
            f"the service provider shows a resource that is not understood ({', '.join(places[:3])})"
        ) from None
