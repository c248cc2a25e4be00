"""The preflight of a HubSpot connection: what the token may, what the account has, and what this configuration can do.

Every finding of level ``error`` names a configured feature that cannot work; nothing is written anywhere.
"""

from collections.abc import Awaitable, Callable, Iterable, Sized
from functools import partial
from typing import Literal

from scim_bridge.errors import ConnectorError, RemoteNotFoundError
from scim_bridge.models import Finding

from .bindings import Inventory, Thing
from .client import HubSpotClient
from .config import STRIP, HubSpotConfig
from .deactivated import OWNERS_SCOPE, SEARCH_SCOPE
from .deprovision.scim import ScimEndpoint
from .errors import NoPermissionSetsError
from .identity import Identity, TokenOwner
from .mapping import OTHER_GROUPS, Mapper
from .wire import PermissionSet, Seat, Team

Level = Literal["ok", "info", "warning", "error"]

BILLING = "settings.billing.write"
SHOWN_NAMES = 20
MEMBER_PAGES = 20
"""How many pages of people a check looks at for Super Admins."""
RENAMED = "was it renamed or deleted in HubSpot? Write its new name or, better, its id"
NONE_AT_ALL = {
    "permission set": "permission sets are an Enterprise feature: make it in HubSpot, or leave the entry out",
    "team": "teams need Professional: make it in HubSpot, or leave the entry out",
    "seat": "HubSpot shows no seats: leave the entry out",
}
"""What to do about a name of something that the account has none of."""
STRIPLESS = 'permission sets are an Enterprise feature: make it in HubSpot, or set deprovision = "remove"'

DEPROVISIONING = {
    "remove": "active=false removes the account from HubSpot; active=true adds it again, teams and seats included",
    "scim": "active=false deactivates the account through HubSpot's SCIM endpoint",
    "strip": "active=false leaves the account with a permission set without rights; the person can still log in",
}


class Preflight:
    """Collects the findings of one check."""

    def __init__(
        self, config: HubSpotConfig, client: HubSpotClient, identity: Identity, endpoint: ScimEndpoint | None
    ) -> None:
        self._config = config
        self._client = client
        self._identity = identity
        self._endpoint = endpoint
        self._findings: list[Finding] = []
        self._owner = TokenOwner()
        self._inventory = Inventory()

    async def findings(self) -> list[Finding]:
        """Ask HubSpot for everything once and return what was found, in the order in which it is to be read."""
        if not await self._attempt("token", self._token):
            return self._findings
        await self._attempt("account", self._account, level="info")
        await self._attempt("token owner", self._token_owner, level="warning")
        self._scopes()
        await self._attempt("permission sets", self._permission_sets)
        await self._attempt("teams", self._teams, level="error" if self._config.manages_teams else "info")
        await self._attempt("seats", self._seats, level="error" if self._config.manages_seats else "info")
        await self._attempt("Super Admins", self._super_admins, level="info")
        await self._attempt("limits", self._limits, level="info")
        if self._endpoint is not None:
            await self._attempt("SCIM endpoint", partial(self._scim_endpoint, self._endpoint))
        self._names()
        self._features()
        return self._findings

    def _add(self, subject: str, level: Level, message: str, remedy: str = "") -> None:
        self._findings.append(Finding(subject, level, message, remedy))

    async def _attempt(self, subject: str, look: Callable[[], Awaitable[None]], *, level: Level = "error") -> bool:
        """Run one part; HubSpot's refusal is its finding."""
        try:
            await look()
        except ConnectorError as error:
            self._add(subject, level, error.detail)
            return False
        return True

    # -- The token ---------------------------------------------------------------------------------------------------

    async def _token(self) -> None:
        self._owner = await self._identity.owner()
        kind = "private app token or service key" if self._config.oauth is None else "OAuth authorisation"
        if self._owner.scopes is None:
            await self._client.users(None, 1)
            self._add("token", "warning", f"{kind}; HubSpot does not tell its scopes and owner", "grant all below")
            return
        self._add("token", "ok", f"{kind} of account {self._owner.hub_id or 'unknown'}")

    async def _token_owner(self) -> None:
        if self._owner.user_id is None:
            self._add("token owner", "warning", "unknown: the bridge cannot protect this person's account from itself")
            return
        try:
            user = await self._client.user(self._owner.user_id)
        except RemoteNotFoundError:
            self._add(
                "token owner",
                "error",
                f"user {self._owner.user_id}, who made the token, is no longer in the account",
                "make a new token as a Super Admin who stays",
            )
            return
        if user.super_admin:
            self._add("token owner", "ok", f"user {user.id} is a Super Admin; the bridge never changes this account")
        else:
            self._add(
                "token owner",
                "warning",
                f"user {user.id} is not a Super Admin; HubSpot may refuse permission sets beyond their own",
                "make the token as a Super Admin",
            )

    def _scopes(self) -> None:
        config = self._config
        insists = config.deactivated_by != "auto"
        signals = {"owners": (OWNERS_SCOPE,), "search": (SEARCH_SCOPE,), "off": ()}
        signal = signals.get(config.deactivated_by, (OWNERS_SCOPE, SEARCH_SCOPE))
        features: list[tuple[str, tuple[str, ...], Level]] = [
            ("read accounts", ("settings.users.read", "crm.objects.users.read"), "error"),
            ("write accounts", ("settings.users.write", "crm.objects.users.write"), "error"),
            ("teams", ("settings.users.teams.read",), "error" if config.manages_teams else "info"),
            ("seats", (BILLING,), "error" if config.manages_seats else "info"),
        ]
        if signal:
            features.append(("recognise deactivated", signal, "error" if insists else "warning"))
        if config.job_title:
            features.append(("read job titles", (SEARCH_SCOPE,), "error"))
            features.append(("write job titles", ("crm.objects.users.write",), "error"))
        for feature, wanted, level in features:
            self._scope(feature, wanted, level)

    def _scope(self, feature: str, wanted: tuple[str, ...], level: Level) -> None:
        subject = f"scope: {feature}"
        if self._owner.scopes is None:
            self._add(subject, "info", f"unknown; needs {' or '.join(wanted)}")
        elif found := [scope for scope in wanted if scope in self._owner.scopes]:
            self._add(subject, "ok", found[0])
        else:
            remedy = f"add {' or '.join(wanted)} to the token" if level != "info" else ""
            self._add(subject, level, f"missing: {' or '.join(wanted)}", remedy)

    # -- The account -------------------------------------------------------------------------------------------------

    async def _account(self) -> None:
        details = await self._client.account_details()
        self._add(
            "account",
            "ok",
            f"{details.portal_id or 'unknown'}, {details.account_type or 'unknown kind'}, "
            f"time zone {details.time_zone or 'unknown'}, data in {details.data_hosting_location or 'unknown'}",
        )

    async def _permission_sets(self) -> None:
        try:
            sets = await self._client.permission_sets()
        except NoPermissionSetsError:
            sets = []
        self._inventory = Inventory(tuple(sets), self._inventory.teams, self._inventory.seats, self._owner.scopes)
        if not sets:
            other = self._config.teams_as_groups or self._config.seats_as_groups or self._config.groups
            self._add(
                "permission sets",
                "warning" if other else "error",
                "none: this account's tier has none, or none was made; new accounts get HubSpot's minimum"
                + ("" if other else ", and nothing can be a group"),
                "permission sets are an Enterprise feature" + ("" if other else f"; {OTHER_GROUPS}"),
            )
            return
        self._add("permission sets", "ok", _listed([item.name for item in sets]))
        self._billed(sets)
        mapper = Mapper(self._config, self._inventory)
        barred = [item.name for item in sets if mapper.is_barred(item.id)]
        if barred:
            self._add(
                "permission sets", "info", f"privileged, never granted: {_listed(barred)}", "see allow_privileged"
            )
        doubled = sorted({item.name for item in sets if [other.name for other in sets].count(item.name) > 1})
        if doubled:
            self._add("permission sets", "warning", f"name used twice: {_listed(doubled)}", "map such a group by id")

    def _billed(self, sets: list[PermissionSet]) -> None:
        billed = [item.name for item in sets if item.requires_billing_write]
        scopes = self._owner.scopes
        if billed and scopes is not None and BILLING not in scopes:
            self._add(
                "permission sets",
                "warning",
                f"cannot be assigned without {BILLING}: {_listed(billed)}",
                f"add {BILLING} to the token",
            )

    async def _teams(self) -> None:
        teams: list[Team] = await self._client.teams()
        self._inventory = Inventory(
            self._inventory.permission_sets, tuple(teams), self._inventory.seats, self._owner.scopes
        )
        level: Level = "error" if self._config.manages_teams and not teams else "ok" if teams else "info"
        self._add("teams", level, _listed([team.name for team in teams]) or "none (teams need Professional)")

    async def _seats(self) -> None:
        seats: list[Seat] = await self._client.seats()
        self._inventory = Inventory(
            self._inventory.permission_sets, self._inventory.teams, tuple(seats), self._owner.scopes
        )
        for seat in seats:
            left = seat.remaining_seats
            level: Level = "warning" if left == 0 else "ok"
            told = "any number left" if left is None else f"{left} left"
            self._add(f"seat {seat.name}", level, told, "buy or free one" if left == 0 else "")

    async def _super_admins(self) -> None:
        """Tell who is beyond the bridge: no API changes a Super Admin, and no group shows that somebody is one."""
        named: list[str] = []
        after: str | None = None
        for _ in range(MEMBER_PAGES):
            page = await self._client.users(after, 100)
            named += [user.email for user in page.results if user.super_admin]
            after = page.after
            if after is None:
                break
        more = "" if after is None else f", of the first {MEMBER_PAGES * 100} people"
        remedy = "review them in HubSpot: no API can change them"
        self._add("Super Admins", "info", f"{len(named)}{more}: {_listed(sorted(named))}", remedy)

    async def _limits(self) -> None:
        burst = f"the bridge sends at most {self._config.rate_limit} requests in 10 s"
        for usage in await self._client.daily_usage():
            if usage.usage_limit:
                tier = {250_000: "Free or Starter", 625_000: "Professional", 650_000: "Professional"}
                sign = tier.get(usage.usage_limit, "Enterprise" if usage.usage_limit >= 1_000_000 else "unknown tier")
                burst += f"; {usage.current_usage or 0} of {usage.usage_limit} used today (a sign of {sign})"
                break
        self._add("limits", "ok", burst)

    async def _scim_endpoint(self, endpoint: ScimEndpoint) -> None:
        async for _ in endpoint.users({}):
            break
        self._add("SCIM endpoint", "ok", "answers; it can deactivate only accounts that it knows")

    # -- The configuration -------------------------------------------------------------------------------------------

    def _names(self) -> None:
        """Tell what every name that the configuration mentions came to."""
        config, mapper = self._config, Mapper(self._config, self._inventory)
        problems = mapper.bindings.problems()
        there: dict[Thing, Sized] = {
            "permission set": self._inventory.permission_sets,
            "team": self._inventory.teams,
            "seat": self._inventory.seats,
        }
        for binding in problems:
            remedy = RENAMED if there[binding.thing] else NONE_AT_ALL[binding.thing]
            remedy = STRIPLESS if binding.entry == STRIP and not self._inventory.permission_sets else remedy
            self._add(binding.entry, "error", binding.problem.removeprefix(f"{binding.entry}: "), remedy)
        resolved = len(list(mapper.bindings)) - len(problems)
        if resolved:
            self._add("configured names", "ok", f"{resolved} permission sets, teams and seats are there")
        sets = {form for item in self._inventory.permission_sets for form in (item.id, item.name)}
        for setting, values in (
            ("precedence", config.precedence),
            ("seat_rules", tuple(config.seat_rules)),
            ("privileged", config.privileged),
            ("allow_privileged", config.allow_privileged),
        ):
            folds = setting.endswith("privileged")  # the others go by case, as HubSpot's names do
            known = _folded(sets) if folds else sets
            unknown = [value for value in values if (value.casefold() if folds else value) not in known]
            if unknown:
                self._add(setting, "warning", f"names no permission set of the account: {_listed(unknown)}", RENAMED)
        seats = {seat.name for seat in self._inventory.seats}
        unsold = sorted({seat for carried in config.seat_rules.values() for seat in carried if seat not in seats})
        if unsold:
            self._add("seat_rules", "warning", f"names no seat of the account: {_listed(unsold)}", RENAMED)

    def _resolve(self, subject: str, level: Level, look: Callable[[], object]) -> None:
        try:
            look()
        except ConnectorError as error:
            self._add(subject, level, error.detail)

    def _groups(self) -> None:
        groups = len(Mapper(self._config, self._inventory).groups())
        self._add(
            "groups", "info", f"groups that an IdP can push by name: {groups}; one permission set a person counts"
        )

    def _features(self) -> None:
        """Tell what this configuration will and will not do."""
        config = self._config
        self._resolve("groups", "error", self._groups)
        if len(self._inventory.permission_sets) > 1 and not config.precedence:
            self._add(
                "precedence",
                "info",
                "not configured: of several permission sets for one person the first by name takes effect",
                "list permission sets in precedence, the most important first",
            )
        self._add("deprovisioning", "info", DEPROVISIONING[config.deprovision])
        if not config.has_seats:
            self._add("seats", "info", "api_version 2026-03 cannot read or write them; HubSpot chooses each new one")
        if config.api_version == "v3":
            self._add("api_version", "warning", "HubSpot ends support of v3 in September 2027", "use 2026-03 or later")
        renamed = "refused" if config.rename == "refuse" else "created anew, and the old account removed"
        self._add("user names", "info", f"no API can change an e-mail address; whose userName changes is {renamed}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(f'"{name}"' for name in names[:SHOWN_NAMES]) + more


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}
