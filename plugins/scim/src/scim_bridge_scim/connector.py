"""Any SCIM 2.0 service provider as the remote system: the hooks.

Accounts are its Users, groups its Groups, whose members are kept on the group (RFC 7643 §4.2). What takes access away
is believed when it is read again.
"""

import base64
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Self

from scim_bridge import Connector, hookimpl
from scim_bridge.connector import ConnectorContext
from scim_bridge.errors import (
    ConnectorError,
    OperationNotSupportedError,
    RemoteConflictError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import Explanation, Finding, Group, MemberPage, Page, RateLimit, Remote, Unrevoked, User
from scim_bridge.paths import names_of, with_values
from scim_bridge.upstream import ClientCredentials

from .client import ScimClient
from .config import ScimConfig
from .errors import OtherFormConflictError
from .roster import Roster
from .wire import GROUP, USER, Document, account, remote_group, remote_user, team, values


class ScimConnector(Connector[ScimConfig]):
    """Drives a SCIM 2.0 service provider."""

    name = "scim"
    config_model = ScimConfig
    unrevoked = (
        Unrevoked(
            "sessions, tokens and keys of theirs",
            "See what the service provider says of an inactive User: SCIM speaks of none of them",
            "https://www.rfc-editor.org/rfc/rfc7643#section-4.1.1",
        ),
    )

    client: ScimClient
    roster: Roster

    def __init__(self, context: ConnectorContext[ScimConfig]) -> None:
        super().__init__(context)
        self.kept: Collection[str] = sorted(self.config.attributes)
        self.user_attributes = frozenset(self.kept)
        self.inactive_is_absent = self.config.inactive_is_absent

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._http = self.context.http_client(
            base_url=self.config.base_url,
            account=self.config.base_url,
            rate_limit=RateLimit(requests=max(1, round(self.config.requests_per_second * 10)), seconds=10.0),
            auth=self._tokens(),
            headers={} if self.config.oauth else {"Authorization": self._authorization()},
        )
        self.client = ScimClient(self._http, patch=self.config.patch)
        self.roster = Roster(self.client, looks_up=not self.config.refuses_unknown_members)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._http.aclose()

    def _tokens(self) -> ClientCredentials | None:
        if (oauth := self.config.oauth) is None:
            return None
        return ClientCredentials(oauth.token_url, oauth.client_id, oauth.client_secret.get_secret_value(), oauth.scope)

    def _authorization(self) -> str:
        if self.config.basic is not None:
            pair = f"{self.config.basic.user}:{self.config.basic.password.get_secret_value()}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        return f"Bearer {self.config.token.get_secret_value() if self.config.token else ''}"

    # -- Accounts --------------------------------------------------------------------------------------------------

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of Users, by index."""
        part = await self.client.part("/Users", int(cursor or 1), limit)
        found = [remote_user(one, self.kept) for one in part.documents]
        return Page(found, None if part.after is None else str(part.after))

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the User of a userName, or ``None``."""
        found = await self.client.named("/Users", "userName", user_name)
        return remote_user(found[0], self.kept) if found else None

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one User."""
        return remote_user(await self.client.read("/Users", remote_id), self.kept)

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create a User, or adopt the one of this userName (409, RFC 7644 §3.3)."""
        body = with_values({"schemas": self._schemas()}, self.kept, values(user.model_dump(), self.kept))
        try:
            return remote_user(await self.client.create("/Users", body | {"active": True}), self.kept)
        except (RemoteConflictError, OtherFormConflictError):
            found = await self.client.named("/Users", "userName", str(user.user_name), certain=True)
            if not found:
                raise
            return remote_user(found[0], self.kept, existed=True)

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Write the attributes that differ."""
        held, wanted = values(before.model_dump(), self.kept), values(after.model_dump(), self.kept)
        differing = [path for path in self.kept if held.get(path) != wanted.get(path)]
        if not differing:
            return await self.get_user(remote_id)
        return remote_user(await self._write(remote_id, differing, wanted), self.kept)

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Set the User inactive; it keeps its groups."""
        await self._change(remote_id, ["active"], {"active": False})
        try:
            seen = await self.client.read("/Users", remote_id)
        except RemoteNotFoundError:
            return  # it was there, and is shown no more
        if account(seen).active:
            raise RemoteUnavailableError("the service provider still shows the account active")

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Set the User active again, once it is in no group that it should not be in."""
        wanted = {str(group.value) for group in user.groups or ()}
        document = await self.client.read("/Users", remote_id)
        for group in await self.roster.groups_of(document):
            if group not in wanted:
                await self.roster.remove(group, [remote_id])
        return remote_user(await self._write(remote_id, ["active"], {"active": True}), self.kept)

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Delete the User, or see it inactive where a deletion is a deactivation; deactivate it where none is taken."""
        try:
            left = await self.client.delete("/Users", remote_id)
        except OperationNotSupportedError:
            with suppress(RemoteNotFoundError):
                await self.deactivate_user(remote_id)
            return
        if left is not None and account(left).active:
            raise RemoteUnavailableError("the service provider still shows an account active that it deleted")

    async def _write(self, remote_id: str, paths: Sequence[str], wanted: Document) -> Document:
        """Give some attributes of a User their values, and return it as it is seen afterwards."""
        seen = await self._change(remote_id, paths, wanted)
        return await self.client.read("/Users", remote_id) if seen is None or "userName" not in seen else seen

    async def _change(self, remote_id: str, paths: Sequence[str], wanted: Document) -> Document | None:
        """Give some attributes of a User their values, and return what was answered."""
        operations: list[Document] = [
            {"op": "replace", "path": path, "value": wanted[path]} if path in wanted else {"op": "remove", "path": path}
            for path in paths
        ]
        return await self.client.change(
            "/Users", remote_id, operations, lambda before: with_values(before, paths, wanted)
        )

    def _schemas(self) -> list[str]:
        extensions = sorted({names_of(path)[0] for path in self.kept if path.startswith("urn:")})
        return [USER, *extensions]

    # -- Groups ----------------------------------------------------------------------------------------------------

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of Groups, by index."""
        part = await self.client.part("/Groups", int(cursor or 1), limit)
        return Page([remote_group(one) for one in part.documents], None if part.after is None else str(part.after))

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one Group."""
        return remote_group(await self.client.read("/Groups", remote_id))

    @hookimpl
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create a Group, or adopt the one of this displayName; most service providers would make a second one."""
        found = await self.client.named("/Groups", "displayName", str(group.display_name))
        if len(found) > 1:
            raise RemoteInvalidValueError(f"the service provider has {len(found)} groups of this displayName")
        if found:
            return remote_group(found[0], existed=True)
        return remote_group(
            await self.client.create("/Groups", {"schemas": [GROUP], "displayName": group.display_name})
        )

    @hookimpl
    async def update_group(self, remote_id: str, after: Group) -> Remote[Group]:
        """Rename a Group."""
        before = await self.client.read("/Groups", remote_id)
        if team(before).display_name == after.display_name:
            return remote_group(before)
        name = after.display_name
        operation = {"op": "replace", "path": "displayName", "value": name}
        await self.client.change("/Groups", remote_id, [operation], lambda before: before | {"displayName": name})
        return await self.get_group(remote_id)

    @hookimpl
    async def delete_group(self, remote_id: str) -> None:
        """Delete the Group, and see that it is gone."""
        if await self.client.delete("/Groups", remote_id) is not None:
            raise RemoteUnavailableError("the service provider still shows a group that it deleted")

    @hookimpl
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Add Users to a Group."""
        await self.roster.add(remote_id, members)

    @hookimpl
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Remove Users from a Group."""
        await self.roster.remove(remote_id, members)

    @hookimpl
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of the Users in a Group."""
        return await self.roster.page(remote_id, cursor, limit)

    # -- Descriptions ----------------------------------------------------------------------------------------------

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Read what the service provider says of itself, and whether it does so."""
        provider = await (self.client.provider() if self.config.patch == "auto" else self.client.told())
        silent = Finding("service provider", "info", "it does not show its ServiceProviderConfig: `patch` decides")
        findings = [Finding("service provider", "ok", self.config.base_url) if provider else silent]
        if not await self.client.takes_patch():
            message = "it takes no PATCH: each change reads and replaces a whole resource"
            findings.append(Finding("PATCH", "info", message))
        if provider and not provider.filter.supported:
            message = "it reads no filters: to find somebody takes the whole list"
            findings.append(Finding("filter", "warning", message, "ask the vendor for filter=userName eq"))
        for endpoint in ("/Users", "/Groups"):
            try:
                await self.client.part(endpoint, 1, 2)
            except ConnectorError as error:
                findings.append(Finding(endpoint, "error", error.detail, "see that the token may read them"))
        return findings

    @hookimpl
    async def explain_user(self, remote_id: str) -> Explanation:
        """List the groups that a User is in."""
        groups = await self.roster.groups_of(await self.client.read("/Users", remote_id))
        held = [group for group in groups if remote_id in await self.roster.members(group)]
        return Explanation(f"the User is in {len(held)} groups", effective=tuple(sorted(held)))
