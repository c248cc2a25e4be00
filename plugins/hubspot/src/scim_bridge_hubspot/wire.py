"""What HubSpot sends, read leniently, and what is sent to it.

The documents and the service differ: ids come as strings or numbers, ``superAdmin`` once was the string ``"false"``,
optional fields are absent, ``null`` or empty. Whatever access depends on is required here: an account without an id,
an e-mail address or ``superAdmin`` is not understood, and nothing is done to it. Source: HubSpot's OpenAPI documents of
the User Provisioning, Owners, Account Info and OAuth APIs; the CRM users guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _identifier(value: Any) -> Any:
    """Read an id that may be a number or a string; ``""`` and 0 are none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return None if value in ("", "0") else value


def _text(value: Any) -> Any:
    return None if value == "" else value


def _list(value: Any) -> Any:
    return () if value is None else value


def _identifiers(value: Any) -> Any:
    if not isinstance(value, list):
        return _list(value)
    return tuple(identifier for identifier in map(_identifier, value) if identifier is not None)


Identifier = Annotated[str, BeforeValidator(_identifier)]
OptionalIdentifier = Annotated[str | None, BeforeValidator(_identifier)]
OptionalText = Annotated[str | None, BeforeValidator(_text)]
Identifiers = Annotated[tuple[str, ...], BeforeValidator(_identifiers)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_list)]


USER_ID = r"[0-9]{1,20}"
"""The form of a Settings user id (SPEC: ``int64`` as a string)."""

UserId = Annotated[Identifier, Field(pattern=f"^{USER_ID}$")]


class Wire(BaseModel):
    """An object of HubSpot's: camelCase, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class PublicUser(Wire):
    """A member of the account (schema ``PublicUser``).

    :param id: The Settings user id: global, and the same again when a removed person returns.
    :param role_id: The permission set that the API can write.
    :param role_ids: All permission sets; HubSpot's user interface can give several.
    :param seat_names: ``None`` when this version's answer does not tell.
    :param super_admin: Read-only in every API.
    """

    id: UserId
    email: str = Field(min_length=3)
    first_name: OptionalText = None
    last_name: OptionalText = None
    role_id: OptionalIdentifier = None
    role_ids: Identifiers = ()
    primary_team_id: OptionalIdentifier = None
    secondary_team_ids: Identifiers = ()
    seat_names: tuple[str, ...] | None = None
    super_admin: bool

    @property
    def roles(self) -> frozenset[str]:
        """The permission sets the person holds; none means individual permissions."""
        return frozenset(self.role_ids) | ({self.role_id} if self.role_id else frozenset())

    @property
    def is_complete(self) -> bool:
        """Whether the answer told all permission sets and teams: what it leaves out may be held."""
        return {"role_ids", "secondary_team_ids"} <= self.model_fields_set

    @property
    def normal_email(self) -> str:
        """The e-mail address in the form that is compared."""
        return self.email.strip().lower()


class PermissionSet(Wire):
    """A permission set, "role" in the API (schema ``PublicPermissionSet``).

    :param requires_billing_write: Whether assigning it also takes the scope ``settings.billing.write``.
    """

    id: Identifier
    name: str
    requires_billing_write: bool = False


class Team(Wire):
    """A team (schema ``PublicTeam``)."""

    id: Identifier
    name: str


class Seat(Wire):
    """A kind of seat (schema ``PublicSeat``)."""

    name: str
    remaining_seats: int | None = None


ItemT = TypeVar("ItemT", bound=Wire)


class Next(Wire):
    """Where a listing goes on. HubSpot's ``link`` is never followed."""

    after: OptionalIdentifier = None


class Paging(Wire):
    """The paging of a listing."""

    next: Next | None = None


class Collection(Wire, Generic[ItemT]):
    """A listing, or one page of it."""

    results: list[ItemT]
    paging: Paging | None = None

    @property
    def after(self) -> str | None:
        """The cursor of the next page; ``None`` on the last one."""
        return self.paging.next.after if self.paging and self.paging.next else None


class Owner(Wire):
    """An owner of CRM records (schema ``PublicOwner``).

    :param user_id_including_inactive: The Settings user id, also of archived owners, whose ``userId`` is null.
    """

    archived: bool = False
    email: OptionalText = None
    user_id: OptionalIdentifier = None
    user_id_including_inactive: OptionalIdentifier = None

    @property
    def settings_user_id(self) -> str | None:
        """The Settings user id behind the owner."""
        return self.user_id_including_inactive or self.user_id


class CrmUser(Wire):
    """A CRM user object (type 0-115); ``id`` is not the Settings user id, ``hs_internal_user_id`` is."""

    id: Identifier
    properties: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def settings_user_id(self) -> str | None:
        """The Settings user id of the record."""
        value = _identifier(self.properties.get("hs_internal_user_id"))
        return value if isinstance(value, str) else None

    @property
    def deactivated(self) -> bool:
        """Whether HubSpot says that the person is deactivated."""
        return str(self.properties.get("hs_deactivated")).lower() == "true"

    @property
    def job_title(self) -> str | None:
        """The writable property ``hs_job_title``."""
        value = self.properties.get("hs_job_title")
        return value if isinstance(value, str) and value else None


class TokenInfo(Wire):
    """Whose token this is. :param user_id: The Settings user id of the person who created or authorised it."""

    user_id: OptionalIdentifier = None
    hub_id: OptionalIdentifier = None
    app_id: OptionalIdentifier = None
    scopes: Texts = ()


class Introspection(BaseModel):
    """What OAuth introspection tells; its fields are in snake case (schema ``TokenInfoResponse``)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    active: bool = True
    user_id: OptionalIdentifier = None
    hub_id: OptionalIdentifier = None
    app_id: OptionalIdentifier = None
    scopes: Texts = ()


class AccountDetails(Wire):
    """The account (schema ``PortalInformationResponse``)."""

    portal_id: OptionalIdentifier = None
    account_type: OptionalText = None
    time_zone: OptionalText = None
    utc_offset_milliseconds: int = 0
    data_hosting_location: OptionalText = None


class DailyUsage(Wire):
    """How much of a daily limit is used (schema ``PublicApiUsageRecord``)."""

    name: str = ""
    usage_limit: int | None = None
    current_usage: int | None = None


class AccessToken(BaseModel):
    """The answer of the OAuth token endpoint (schema ``AccessTokenResponse``)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    access_token: str = Field(min_length=1)
    refresh_token: OptionalText = None
    expires_in: float = 1800


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything a PUT sets about what a person may do. It is always sent whole.

    :param role_id: The permission set.
    :param seat_names: ``None`` when the API version has no seats, or its answer did not tell.
    """

    role_id: str | None = None
    primary_team_id: str | None = None
    secondary_team_ids: frozenset[str] = frozenset()
    seat_names: frozenset[str] | None = None

    @property
    def team_ids(self) -> frozenset[str]:
        """All teams."""
        return self.secondary_team_ids | ({self.primary_team_id} if self.primary_team_id else frozenset())


def assignment_of(user: PublicUser) -> Assignment:
    """Return what a person holds. Of several permission sets it is the one that ``roleId`` names, or the first."""
    return Assignment(
        role_id=user.role_id or next(iter(user.role_ids), None),
        primary_team_id=user.primary_team_id,
        secondary_team_ids=frozenset(user.secondary_team_ids) - {user.primary_team_id or ""},
        seat_names=None if user.seat_names is None else frozenset(user.seat_names),
    )


Clearing = Literal["null", "omitted", "empty"]
"""How a PUT says that a field shall have no value. No document tells which HubSpot takes; see hubspot.md 1.8."""


def assignment_body(wanted: Assignment, held: Assignment, clearing: Clearing = "null") -> dict[str, Any]:
    """Return the body that brings a person from one assignment to another.

    It carries every field that has, or had, a value: HubSpot may drop what a PUT leaves out, and may refuse fields that
    the account's tier does not have.
    """
    body: dict[str, Any] = {}
    for name, new, old in (
        ("roleId", wanted.role_id, held.role_id),
        ("primaryTeamId", wanted.primary_team_id, held.primary_team_id),
    ):
        if new is not None:
            body[name] = new
        elif old is not None and clearing != "omitted":
            body[name] = None if clearing == "null" else ""
    if wanted.team_ids or held.team_ids:
        body["secondaryTeamIds"] = sorted(wanted.secondary_team_ids)
    if wanted.seat_names is not None and (wanted.seat_names or held.seat_names):
        body["seatNames"] = sorted(wanted.seat_names)
    return body


def clears(wanted: Assignment, held: Assignment) -> bool:
    """Whether a field that had a value shall have none."""
    return (held.role_id is not None and wanted.role_id is None) or (
        held.primary_team_id is not None and wanted.primary_team_id is None
    )


def matches(user: PublicUser, wanted: Assignment) -> bool:
    """Whether an account holds an assignment and nothing beyond it."""
    return difference(user, wanted) == ""


def difference(user: PublicUser, wanted: Assignment) -> str:
    """Return, for people, in what an account differs from an assignment; empty when it does not."""
    held = assignment_of(user)
    parts = []
    if user.roles != ({wanted.role_id} if wanted.role_id else frozenset()):
        parts.append(f"permission set {', '.join(sorted(user.roles)) or 'none'} instead of {wanted.role_id or 'none'}")
    if held.team_ids != wanted.team_ids or held.primary_team_id != wanted.primary_team_id:
        parts.append("other teams")
    if wanted.seat_names is not None and held.seat_names is not None and held.seat_names != wanted.seat_names:
        parts.append("other seats")
    return ", ".join(parts)
