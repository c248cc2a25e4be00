"""What a HubSpot portal holds: people, their membership, permission sets, teams, seats, and credentials."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

ALL_SCOPES = frozenset(
    {
        "oauth",
        "settings.users.read",
        "settings.users.write",
        "settings.users.teams.read",
        "settings.users.teams.write",
        "settings.billing.write",
        "crm.objects.users.read",
        "crm.objects.users.write",
        "crm.objects.owners.read",
        "account-info.security.read",
    }
)
"""The scopes this emulator checks, and those a connector may want besides."""


TokenKind = Literal["private_app", "service_key", "oauth", "scim"]
"""What a token belongs to."""


@dataclass(slots=True)
class Membership:
    """A person's place in the portal.

    :param activated: Whether the person accepted the invitation once.
    :param deactivated: Whether access was switched off without removing the person.
    :param role_ids: Permission sets; the API writes at most one, HubSpot's pages several.
    """

    activated: bool = False
    deactivated: bool = False
    super_admin: bool = False
    role_ids: list[str] = field(default_factory=list)
    primary_team_id: str | None = None
    secondary_team_ids: list[str] = field(default_factory=list)
    seat_names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Person:
    """A human being, as HubSpot knows them across all portals.

    :param id: The Settings user id: the same again after a removal and a new invitation (LIVE).
    :param owner_id: The id of the owner record, which stays when the person leaves, archived.
    :param crm_id: The id of the CRM user record.
    :param membership: ``None`` when the person is not in the portal.
    :param former: The membership that ended, while lists still show it.
    :param listed: How many more reads of the list show a former membership.
    """

    id: str
    email: str
    owner_id: int
    crm_id: str
    first_name: str = ""
    last_name: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    membership: Membership | None = None
    former: Membership | None = None
    listed: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def active(self) -> bool:
        """Whether the person can work in the portal."""
        return self.membership is not None and not self.membership.deactivated


@dataclass(slots=True)
class Role:
    """A permission set.

    :param requires_billing_write: Whether it carries a paid seat, which takes ``settings.billing.write`` to assign.
    :param super_admin: Whether whoever gets it becomes a Super Admin.
    :param seat: The seat it needs where combinations are checked.
    """

    id: str
    name: str
    requires_billing_write: bool = False
    super_admin: bool = False
    seat: str | None = None


@dataclass(slots=True)
class Team:
    """A team. Its members are found in their memberships."""

    id: str
    name: str
    parent_id: str | None = None


@dataclass(slots=True)
class SeatPool:
    """The seats of one kind.

    :param total: How many were bought; ``None`` for kinds that cost nothing.
    :param released: For each seat given back lately, how many more creations find it taken.
    """

    name: str
    total: int | None = None
    description: str = ""
    released: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Token:
    """A bearer token.

    :param person_id: Who made the app or the key.
    :param expires_at: On the emulator's clock; ``None`` for static tokens.
    """

    value: str
    scopes: frozenset[str]
    person_id: str
    kind: TokenKind = "private_app"
    expires_at: float | None = None
    revoked: bool = False
    client_id: str = ""


@dataclass(slots=True)
class OAuthApp:
    """An OAuth app that is installed in the portal.

    :param person_id: Who installed it.
    :param refresh_tokens: Those that still work.
    :param codes: Authorization codes that nobody exchanged yet.
    """

    client_id: str
    client_secret: str
    scopes: frozenset[str]
    person_id: str
    refresh_tokens: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)


class Account(NamedTuple):
    """What a person has in the portal, comparable and with names instead of ids."""

    active: bool
    roles: tuple[str, ...]
    primary_team: str | None
    secondary_teams: tuple[str, ...]
    seats: tuple[str, ...]
    first_name: str
    last_name: str
    super_admin: bool
