"""The settings of a HubSpot connection: the ``config`` table in ``scim-bridge.toml``, validated before anything runs.

Names of permission sets, teams and seats are written as HubSpot shows them; an id may stand wherever a name may. Names
are resolved against the account when they are needed, and by ``scim-bridge check``.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

ApiVersion = Literal["v3", "2026-03", "2026-09-beta"]
"""The versions of HubSpot's User Provisioning API. Seats are writable in ``v3`` and ``2026-09-beta`` only."""

HUBSPOT_HOST = re.compile(r"api(-[a-z]{2}\d)?\.(hubapi|hubspot)\.com")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SCIM_URL = "https://api.hubspot.com/scim/v2"
SUPER_ADMIN = "super admin"
"""What, in the name of a permission set, makes it privileged, in lower case."""

STRIP = "strip.permission_set"
FALLBACK = "fallback_permission_set"


def _base_url(value: str) -> str:
    """Allow HubSpot's hosts over TLS, and this machine for tests: nothing else ever gets the token."""
    url = urlsplit(value)
    hubspot = url.scheme == "https" and HUBSPOT_HOST.fullmatch(url.hostname or "") is not None and url.port is None
    local = url.scheme == "http" and url.hostname in LOCAL_HOSTS
    if not (hubspot or local) or url.query or url.fragment or url.username or (hubspot and url.path not in ("", "/")):
        raise ValueError("must be https://api.hubapi.com or its EU host (tests: http://localhost or 127.0.0.1)")
    return value.rstrip("/")


def _email(value: str) -> str:
    """Bring an e-mail address into the form that is sent and compared: lower case, no blanks around it."""
    return value.strip().lower()


Email = Annotated[str, AfterValidator(_email)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Settings(BaseModel):
    """A table of settings: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OAuthConfig(Settings):
    """An OAuth authorisation (HubSpot: "Manage OAuth tokens"). The refresh token is replaced as HubSpot rotates it."""

    client_id: Name
    client_secret: SecretStr
    refresh_token: SecretStr


class StripConfig(Settings):
    """What a stripped account is left with.

    :param permission_set: A permission set without rights, made for this purpose (name or id).
    :param seat: The seat it falls back to, where the API version has seats; it should be a free one.
    """

    permission_set: Name
    seat: Name | None = None


class GroupGrant(Settings):
    """What membership of one IdP group grants in HubSpot (an *alias*).

    :param permission_set: A permission set, by name or id.
    :param primary_team: A team, by name or id, that becomes the primary one.
    :param secondary_teams: Further teams.
    :param seats: Seat names, as ``scim-bridge check`` prints them.
    """

    permission_set: Name | None = None
    primary_team: Name | None = None
    secondary_teams: tuple[Name, ...] = ()
    seats: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _grants_something(self) -> Self:
        if not (self.permission_set or self.primary_team or self.secondary_teams or self.seats):
            raise ValueError("grants nothing: name a permission_set, primary_team, secondary_teams or seats")
        return self


class HubSpotConfig(Settings):
    """One HubSpot account.

    :param token: A service key, or the static token of a private app; either this or ``oauth``.
    :param oauth: An OAuth authorisation.
    :param api_version: Version of the User Provisioning API.
    :param base_url: HubSpot's API host.
    :param deprovision: What ``active=false`` does: ``remove`` from the account, deactivate through HubSpot's own
        ``scim`` endpoint, or ``strip`` all access from an account that stays.
    :param scim_token: The token of HubSpot's SCIM endpoint (for ``deprovision = "scim"``).
    :param scim_url: HubSpot's SCIM endpoint.
    :param strip: What a stripped account is left with (for ``deprovision = "strip"``).
    :param groups: IdP group name → what it grants.
    :param teams_as_groups: Whether teams are groups as well, and whether the first one becomes the ``primary`` team.
    :param seats_as_groups: Whether seats are groups as well.
    :param precedence: Permission sets, strongest claim first, for people in several groups; HubSpot's API holds one.
    :param fallback_permission_set: The set of people who are in no group; without it they have HubSpot's minimum.
    :param fallback_seat: The seat of people whose groups grant none, where seats are managed.
    :param several_roles: What to do with accounts that were given several sets in HubSpot's user interface, which any
        write through the API would collapse to one: ``refuse`` the write, or ``take_over``.
    :param protected: E-mail addresses that are never changed.
    :param privileged: Permission sets that may not be granted unless ``allow_privileged`` names them too, besides those
        with "Super Admin" in their name.
    :param adopt: Whether an account that exists already is taken over when its person is provisioned.
    :param rename: What a new userName does; no API of HubSpot can change an e-mail address.
    :param send_welcome_email: Whether HubSpot invites new people by mail; not needed with single sign-on.
    :param seat_rules: Permission set → seats, at least one of which its holders must have.
    :param job_title: Whether SCIM ``title`` is written to the CRM property ``hs_job_title``.
    :param deactivated_by: How accounts deactivated in HubSpot are recognised; ``auto`` takes what the scopes allow.
    :param rate_limit: Requests in 10 seconds: 100 on Free and Starter, 190 on Professional and Enterprise.
    :param daily_reserve: When no more of the day's requests are left than this, listings stop so that writes go on.
    """

    token: SecretStr | None = None
    oauth: OAuthConfig | None = None
    api_version: ApiVersion = "2026-03"
    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.hubapi.com"
    deprovision: Literal["remove", "scim", "strip"] = "remove"
    scim_token: SecretStr | None = None
    scim_url: str = SCIM_URL
    strip: StripConfig | None = None
    groups: dict[Name, GroupGrant] = Field(default_factory=dict)
    teams_as_groups: Literal["primary", "secondary"] | None = None
    seats_as_groups: bool = False
    precedence: tuple[Name, ...] = ()
    fallback_permission_set: Name | None = None
    fallback_seat: Name | None = None
    several_roles: Literal["refuse", "take_over"] = "refuse"
    protected: frozenset[Email] = frozenset()
    privileged: tuple[Name, ...] = ()
    allow_privileged: tuple[Name, ...] = ()
    adopt: Literal["always", "never"] = "always"
    rename: Literal["refuse", "recreate"] = "refuse"
    send_welcome_email: bool = False
    seat_rules: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    job_title: bool = False
    deactivated_by: Literal["auto", "owners", "search", "off"] = "auto"
    rate_limit: int = Field(default=100, ge=1, le=250)
    daily_reserve: int = Field(default=1000, ge=0)

    @property
    def static_token(self) -> str:
        """The static token; empty with OAuth."""
        return self.token.get_secret_value() if self.token is not None else ""

    @property
    def has_seats(self) -> bool:
        """Whether the API version can read and write seats."""
        return self.api_version != "2026-03"

    @property
    def manages_seats(self) -> bool:
        """Whether any configured feature reads or writes seats."""
        return any(self._seat_entries())

    def _seat_entries(self) -> Iterator[str]:
        """Yield the entries that read or write seats, as an operator finds them in the file."""
        yield from (f'groups."{alias}".seats' for alias, grant in self.groups.items() if grant.seats)
        if self.strip is not None and self.strip.seat is not None:
            yield "strip.seat"
        yield from (name for name in ("seats_as_groups", "seat_rules", "fallback_seat") if getattr(self, name))

    @property
    def manages_teams(self) -> bool:
        """Whether any group grants teams."""
        granted = any(grant.primary_team or grant.secondary_teams for grant in self.groups.values())
        return bool(self.teams_as_groups or granted)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.token is None) == (self.oauth is None):
            raise ValueError("give either token or oauth")
        if not self.has_seats and (entry := next(self._seat_entries(), None)) is not None:
            raise ValueError(
                f'{entry}: seats need api_version = "2026-09-beta" (or "v3"); {self.api_version} cannot write them'
            )
        if (self.deprovision == "strip") != (self.strip is not None):
            raise ValueError('deprovision = "strip" and the table strip belong together')
        if (self.deprovision == "scim") != (self.scim_token is not None):
            raise ValueError('deprovision = "scim" and scim_token belong together')
        for one, other in contradictions(self):
            raise ValueError(f"{one} contradicts {other}")
        local = urlsplit(self.scim_url).hostname in LOCAL_HOSTS
        if self.scim_url != SCIM_URL and not local:
            raise ValueError(f"scim_url must be {SCIM_URL} (or this machine, for tests)")
        return self


def contradictions(config: HubSpotConfig) -> Iterator[tuple[str, str]]:
    """Yield pairs of entries that cannot both be meant, as an operator finds them in the file."""
    for entry, name, seats in _given(config):
        if config.strip and name == config.strip.permission_set and entry != STRIP:
            yield f'{entry} = "{name}"', f"{STRIP}, which is the set of people without access"
        yield from _barred(config, f'{entry} = "{name}"', name)
        carried = config.seat_rules.get(name)
        if carried is not None and ((seats and not set(seats) & set(carried)) or not carried):
            with_seats = f" with seats {', '.join(seats)}" if seats else ""
            yield f'{entry} = "{name}"{with_seats}', f'seat_rules."{name}"'
    for name in sorted({name for name in config.precedence if config.precedence.count(name) > 1}):
        yield f'precedence, where "{name}" is first', f'precedence, where "{name}" is again'
    written: dict[str, str] = {}
    for alias in config.groups:
        other = written.setdefault(alias.casefold(), alias)
        if other != alias:
            yield f'groups."{alias}"', f'groups."{other}": a displayName is compared without regard to case'


def _given(config: HubSpotConfig) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield entry, name and seats of every permission set that the configuration gives to somebody."""
    for alias, grant in config.groups.items():
        if grant.permission_set:
            yield f'groups."{alias}".permission_set', grant.permission_set, grant.seats
    if config.fallback_permission_set:
        yield FALLBACK, config.fallback_permission_set, (config.fallback_seat,) if config.fallback_seat else ()
    if config.strip:
        yield STRIP, config.strip.permission_set, (config.strip.seat,) if config.strip.seat else ()


def _barred(config: HubSpotConfig, entry: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield an entry that gives a privileged set which is not allowed, with what forbids it."""
    folded = name.casefold()
    if folded in {allowed.casefold() for allowed in config.allow_privileged}:
        return
    if folded in {privileged.casefold() for privileged in config.privileged}:
        yield entry, "privileged, which forbids it unless allow_privileged names it"
    elif SUPER_ADMIN in folded:
        yield entry, "allow_privileged, which has to name a set of Super Admins"
