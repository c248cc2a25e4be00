"""The settings of a bridge: ``scim-bridge.toml``, with secrets as references to the environment or to files.

::

    [server]
    host = "127.0.0.1"
    port = 8080

    [store]
    url = "sqlite:///scim-bridge.db"

    [connections.acme]
    connector = "hubspot"
    client = "okta"

    [connections.acme.config]
    token = { env = "HUBSPOT_TOKEN" }

Whatever is wrong becomes one clear line per mistake; a value is never shown, it may be a secret.
"""

import os
import re
import secrets
import tomllib
from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator

from scim_bridge.config.console import ConsoleOidcSettings, ConsoleProxySettings, ConsoleSettings
from scim_bridge.config.table import Table
from scim_bridge.config.watching import AlertSettings, MailSettings, TracingSettings, WebhookSettings, key_of
from scim_bridge.errors import ConfigurationError, ConnectionSettingsError
from scim_bridge.protocol.clients import preset
from scim_bridge.provisioning.policy import Budget, GuardPolicy, ProvisioningPolicy
from scim_bridge.references import Source
from scim_bridge.store.chain import YOUNG_DAYS, read_private

__all__ = [
    "CONNECTION_ID",
    "DEFAULT_PATH",
    "EVERY",
    "PATH_VARIABLE",
    "AlertSettings",
    "AuditSettings",
    "ConnectionSettings",
    "ConsoleOidcSettings",
    "ConsoleProxySettings",
    "ConsoleSettings",
    "GuardSettings",
    "MailSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TracingSettings",
    "WebhookSettings",
    "key_of",
    "load_settings",
    "settings_of",
]

DEFAULT_PATH = Path("scim-bridge.toml")
PATH_VARIABLE = "SCIM_BRIDGE_CONFIG"

CONNECTION_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A connection id is the first segment of its URLs. Okta refuses base URLs with an underscore."""

RESERVED_IDS = frozenset({"console", "healthz", "readyz", "metrics"})


class ServerSettings(Table):
    """``[server]``.

    :param public_url: The URL clients reach the bridge at, behind a proxy; ``meta.location`` is built of it. Without it
        the request's own ``Host`` counts.
    :param cursor_secret: What paging cursors (RFC 9865) are sealed with. All replicas share it; without it each process
        makes its own and cursors end with it.
    :param metrics: Whether ``/metrics`` is served: no personal data, but it names connections and needs no token.
    :param plugins: Entry points that may be loaded; all installed ones by default.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str | None = None
    cursor_secret: SecretStr | None = None
    plugins: tuple[str, ...] | None = None
    metrics: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("public_url")
    @classmethod
    def _is_a_url_of_the_web(cls, url: str | None) -> str | None:
        """Refuse what cannot be the beginning of a resource's location."""
        parts = urlsplit(url) if url is not None else None
        if parts is not None and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query):
            raise ValueError("not an http or https URL")
        return url

    def cursor_key(self) -> bytes:
        """Return what cursors are sealed with: the secret, or a fresh one."""
        secret = self.cursor_secret
        return secrets.token_bytes(32) if secret is None else secret.get_secret_value().encode()


class StoreSettings(Table):
    """``[store]``.

    :param url: ``sqlite:///path`` or ``postgresql+psycopg://user@host/database``.
    :param production: Refuse file systems on which SQLite can lose what it acknowledged, and connectors in memory.
    :param takeover_seconds: On PostgreSQL, after how many seconds without a sign of life another replica takes a
        connection over from one that is frozen. No call to a remote system outlasts it.
    :param wait_seconds: For how long a server waits at its start for a database that does not answer yet.
    :param requests_days: For how many days it is kept what was asked, and the calls that it caused; 0: not at all.
    :param departures_days: For how many days the name of somebody who was deleted is kept; then a keyed hash of it.
    """

    url: str = "sqlite:///scim-bridge.db"
    production: bool = False
    takeover_seconds: Annotated[float, Field(ge=6, le=600)] = 60.0
    wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    requests_days: Annotated[int, Field(ge=0, le=3650)] = 30
    departures_days: Annotated[int, Field(ge=0, le=36_500)] = 365

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; ``None`` of another."""
        location, _, _ = self.url.partition("?")  # options follow
        return Path(location.removeprefix("sqlite:///")) if location.startswith("sqlite:///") else None


class AuditSettings(Table):
    """``[audit]``.

    :param signing_key: What heads of the chains are signed with: an Ed25519 key in PEM. Without it nothing is signed.
    :param sign_minutes: How often.
    :param keep_days: After how many days an entry is pruned; 0: never.
    """

    signing_key: SecretStr | None = None
    sign_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0

    @field_validator("signing_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what cannot sign."""
        if value is not None:
            read_private(value.get_secret_value())
        return value

    @field_validator("keep_days")
    @classmethod
    def _keeps_what_is_young(cls, days: int) -> int:
        """Refuse to prune what reports tell of."""
        if 0 < days < YOUNG_DAYS:
            raise ValueError(f"0, or {YOUNG_DAYS} or more")
        return days

    def key(self) -> Ed25519PrivateKey | None:
        """Return what heads are signed with."""
        return None if self.signing_key is None else read_private(self.signing_key.get_secret_value())


class GuardSettings(Table):
    """``[connections.ID.guard]``: what a rightful client may not do by itself.

    :param protected: userNames of accounts that are never changed.
    :param keep_holder: Names of groups that never lose their last active member.
    :param privileged: Names of groups whose grants are counted.
    :param removals_floor: So many removals in the window are never held; 0 with a share of 0 holds every one.
    :param removals_share: Nor is this share of the Users, where that is more.
    :param day_removals_floor: So many removals in a day are never held.
    :param day_removals_share: Nor is this share of the Users, where that is more.
    :param grants_floor: So many grants of privileged groups in the window are never held.
    :param window_minutes: How long a change counts.
    :param hold_minutes: After how long something held is released unless it was rejected.
    :param mass_change: Whether anything is held at all.
    """

    protected: frozenset[str] = frozenset()
    keep_holder: frozenset[str] = frozenset()
    privileged: frozenset[str] = frozenset()
    removals_floor: Annotated[int, Field(ge=0)] = 25
    removals_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    day_removals_floor: Annotated[int, Field(ge=0)] = 100
    day_removals_share: Annotated[float, Field(ge=0, le=1)] = 0.4
    grants_floor: Annotated[int, Field(ge=0)] = 5
    window_minutes: Annotated[int, Field(ge=1)] = 10
    hold_minutes: Annotated[int, Field(ge=1)] = 60
    mass_change: bool = True

    def policy(self) -> GuardPolicy:
        """Return the guard policy these settings make."""
        window, day = timedelta(minutes=self.window_minutes), timedelta(days=1)
        of_a_day = Budget(self.day_removals_floor, self.day_removals_share, day)
        return GuardPolicy(
            protected=self.protected,
            keep_holder=self.keep_holder,
            privileged=self.privileged,
            removals=Budget(self.removals_floor, self.removals_share, window) if self.mass_change else None,
            removals_of_a_day=of_a_day if self.mass_change else None,
            grants=Budget(self.grants_floor, 0.0, window) if self.mass_change else None,
            hold=timedelta(minutes=self.hold_minutes),
        )


class ConnectionSettings(Table):
    """``[connections.ID]``.

    :param connector: The connector type (``hubspot``).
    :param client: The preset of client quirks (``okta``, ``entra``, …, ``generic``, ``strict``).
    :param mode: Whether a new connection only plans until ``scim-bridge go-live``; it counts at its first start.
    :param config: The settings of the connector; its own model validates them.
    :param quirks_on: Quirks that are understood besides those of the preset.
    :param quirks_off: Quirks of the preset that are refused as the RFC says.
    :param transient_status: What transient failures answer. Okta retries by itself on 429 alone.
    :param group_patch_status: What a Group PATCH answers when no attributes are asked for.
    :param list_unmanaged: Whether listings show accounts that no client has written; ``None``: unless the client
        deletes what a list shows and it did not make.
    :param unknown_members: Whether unknown members of a group are dropped with a warning or refuse the request.
    :param nested_groups: Whether a group as a member of a group refuses the request or is dropped with a warning.
    :param unmanaged_members: Whether members whom no client manages stay in a group that is replaced or deleted.
    :param assign: Whether what a person holds is asked for by the members of ``groups``, by the ``roles`` of Users, or
        by ``both``.
    :param unknown_roles: Whether a role that does not exist refuses the write that asks for it, or is dropped.
    :param role_attribute: A further attribute of a User that names one role.
    :param delete_unowned: What DELETE does to an account or group that no client has written.
    :param duplicate_group_names: Whether two groups may share a displayName.
    :param idempotent_create_seconds: For how long a repeated creation that was answered is answered 201 again; ``None``
        takes the client preset's.
    :param budget_seconds: Within how many seconds a write is answered.
    :param outage_retry_after: Whole seconds told to the client while the remote system is down.
    :param import_at_start: Whether everything is compared, and what no client owns taken over, at the start.
    :param attribute_drift: Whether drift that is no matter of security is repaired or only reported.
    :param missing_accounts: Whether accounts that a comparison does not find are made again or only reported.
    :param reconcile_minutes: How often everything is compared; 0 never.
    :param shared_remote: Whether another connection that says so, too, may have the same remote system.
    :param guard: What a rightful client may not do by itself.
    """

    connector: str
    client: str = "generic"
    mode: Literal["live", "plan"] = "live"
    config: dict[str, Any] = Field(default_factory=dict)
    quirks_on: frozenset[str] = frozenset()
    quirks_off: frozenset[str] = frozenset()
    transient_status: Literal[429, 503] = 429
    group_patch_status: Literal[204, 200] = 204
    list_unmanaged: bool | None = None
    unknown_members: Literal["drop", "refuse"] = "drop"
    nested_groups: Literal["refuse", "drop"] = "refuse"
    unmanaged_members: Literal["keep", "remove"] = "keep"
    assign: Literal["groups", "roles", "both"] = "groups"
    unknown_roles: Literal["refuse", "drop"] = "refuse"
    role_attribute: Literal["title", "userType"] | None = None
    delete_unowned: Literal["refuse", "deactivate", "delete"] = "refuse"
    duplicate_group_names: bool = False
    idempotent_create_seconds: Annotated[int, Field(ge=0)] | None = None
    budget_seconds: Annotated[float, Field(gt=0, le=50)] = 25.0
    outage_retry_after: Annotated[int, Field(ge=1, le=600)] = 60
    import_at_start: bool = True
    attribute_drift: Literal["enforce", "report"] = "enforce"
    missing_accounts: Literal["enforce", "report"] = "report"
    reconcile_minutes: Annotated[int, Field(ge=0)] = 15
    shared_remote: bool = False
    guard: GuardSettings = Field(default_factory=GuardSettings)

    @property
    def lists_unmanaged(self) -> bool:
        """Whether listings show accounts that no client has written."""
        return not preset(self.client).mirrors if self.list_unmanaged is None else self.list_unmanaged

    def policy(self) -> ProvisioningPolicy:
        """Return the provisioning policy these settings make."""
        seconds = self.idempotent_create_seconds
        if seconds is None:
            seconds = 300 if preset(self.client).repeats_creations else 0
        return ProvisioningPolicy(
            budget=self.budget_seconds,
            idempotent_create=timedelta(seconds=seconds),
            duplicate_group_names=self.duplicate_group_names,
            unknown_members=self.unknown_members,
            nested_groups=self.nested_groups,
            unmanaged_members=self.unmanaged_members,
            assign=self.assign,
            unknown_roles=self.unknown_roles,
            role_attribute="user_type" if self.role_attribute == "userType" else self.role_attribute,
            delete_unowned=self.delete_unowned,
            outage_retry_after=self.outage_retry_after,
            guard=self.guard.policy(),
        )


class Settings(Table):
    """The whole file."""

    server: ServerSettings = Field(default_factory=ServerSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    console: ConsoleSettings | None = None
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    tracing: TracingSettings | None = None
    audit: AuditSettings = Field(default_factory=AuditSettings)
    connections: dict[str, ConnectionSettings] = Field(default_factory=dict)
    _source: Source | None = PrivateAttr(default=None)

    def reread(self, *tables: str) -> "Settings":
        """Return the settings with the secrets of some tables (``alerts``, …) as they are now.

        :raises ConfigurationError: When they cannot be read, or will not do.
        """
        if self._source is None:
            return self
        found = {name: self._source.resolved(name) for name in tables if name in self._source.document}
        fresh = settings_of(found)
        return self.model_copy(update={name: getattr(fresh, name) for name in found})

    def reread_config(self, connection_id: str) -> Mapping[str, Any]:
        """Return ``[connections.ID.config]`` with the secrets as they are now. Raises as :meth:`reread`."""
        path = ("connections", connection_id, "config")
        return self.connections[connection_id].config if self._source is None else self._source.resolved(*path) or {}

    def only(self, connection_id: str) -> "Settings":
        """Return the settings with one connection alone."""
        return self.model_copy(update={"connections": {connection_id: self.connections[connection_id]}})

    def require_connections(self) -> None:
        """Refuse a configuration that serves nobody. :raises ConfigurationError: saying what to add."""
        if not self.connections:
            raise ConfigurationError("no connections are configured; add [connections.ID] to the configuration file")

    def policy(self, connection_id: str) -> ProvisioningPolicy:
        """Return the provisioning policy of a connection among the others."""
        return replace(self.connections[connection_id].policy(), apart=self.apart(connection_id))

    def apart(self, connection_id: str) -> frozenset[str]:
        """Return the connections that must not have the remote system of this one."""
        shared = {other for other, one in self.connections.items() if one.shared_remote}
        return frozenset(self.connections) - {connection_id} - (shared if connection_id in shared else set())


class _Every(Container[str]):
    """Has every connection in it."""

    def __contains__(self, connection_id: object) -> bool:
        return True


EVERY = _Every()


def load_settings(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    connectors: Container[str] | None = None,
    alerts: bool = False,
    signing: bool = False,
) -> Settings:
    """Read the settings from ``path``, else the file ``SCIM_BRIDGE_CONFIG`` names, else ``scim-bridge.toml``.

    :param connectors: Ids of the connections whose connectors are going to be opened (:data:`EVERY`: all), and nothing
        else that has secrets: a command needs those that it uses. ``None``: everything is used.
    :param alerts: Whether alerts are going to be sent though not all connectors are opened.
    :param signing: Whether the audit chains' key is used though not all connectors are opened.
    :raises ConfigurationError: with one line per mistake.
    """
    environment = os.environ if environment is None else environment
    path = path or Path(environment.get(PATH_VARIABLE, DEFAULT_PATH))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"no configuration file {path}; name one with --config or {PATH_VARIABLE}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    return settings_of(
        _used(document, connectors, alerts=alerts, signing=signing), environment=environment, base=path.parent
    )


def _used(
    document: Mapping[str, Any], connectors: Container[str] | None, *, alerts: bool, signing: bool
) -> Mapping[str, Any]:
    """Return a parsed configuration without the tables whose secrets a command does not use."""
    if connectors is None:
        return document
    left = {
        "server": _without(document.get("server"), "cursor_secret"),
        "alerts": document.get("alerts") if alerts else _without(document.get("alerts"), "webhook", "mail"),
        "console": _without(document.get("console"), "proxy", "oidc"),
        "tracing": None,
        "audit": document.get("audit") if signing else _without(document.get("audit"), "signing_key"),
        "connections": document.get("connections"),
    }
    if isinstance(connections := left["connections"], Mapping):
        left["connections"] = {
            id_: one if id_ in connectors else _without(one, "config") for id_, one in connections.items()
        }
    return {key: table for key, table in {**document, **left}.items() if table is not None}


def _without(table: Any, *names: str) -> Any:
    return {key: value for key, value in table.items() if key not in names} if isinstance(table, Mapping) else table


def settings_of(
    document: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, base: Path = Path()
) -> Settings:
    """Validate a parsed configuration.

    :param base: What relative paths of secret files are relative to.
    :raises ConfigurationError: with one line per mistake.
    """
    source = Source(document, os.environ if environment is None else environment, base)
    try:
        settings = Settings.model_validate(source.resolved())
    except ValidationError as error:
        lines = [
            f"configuration: {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    else:
        _check_ids(settings)
        settings._source = source  # noqa: SLF001 - where else it is read again from
        return settings
    raise ConfigurationError("\n".join(lines))


def _check_ids(settings: Settings) -> None:
    for connection_id in settings.connections:
        if not CONNECTION_ID.fullmatch(connection_id) or connection_id in RESERVED_IDS:
            raise ConnectionSettingsError(
                f'connection "{connection_id}": an id has 1 to 63 lower-case letters, digits and hyphens,'
                f" and is none of {', '.join(sorted(RESERVED_IDS))}"
            )
