"""A small driver for histories: the bridge's own plan of steps, without a store, over one connector."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from plugins.hubspot.tests.connector.portals import groups_of, person
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteForbiddenError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import Remote, User
from scim_bridge.provisioning.plan import Desired, Seen, Step, next_user_step

STEPS = 60
"""More steps than any person may need; whoever needs them all goes round in circles."""


@dataclass
class Employee:
    """One person as the identity provider wants them, and as the driver has seen them.

    :param refusal: What HubSpot, or a guard, refused for good; ``None`` when nothing is.
    """

    email: str
    exists: bool = True
    active: bool = True
    given: str = "Given"
    groups: frozenset[str] = frozenset()
    remote_id: str | None = None
    seen: Seen | None = None
    refusal: ConnectorError | None = None

    def user(self) -> User:
        """Return the SCIM User that hooks are given."""
        return person(self.email, self.given, "Family", groups=sorted(self.groups), active=self.active)

    def desired(self) -> Desired:
        """Return what is wanted."""
        names = {"userName": self.email, "name.givenName": self.given, "name.familyName": "Family"}
        return Desired(self.exists, self.active, names, self.groups)


@dataclass
class Driver:
    """Brings people to what is desired, one step at a time, and asks before it repeats."""

    connector: BoundConnector
    errors: Counter[str] = field(default_factory=Counter)

    async def settle(self, employee: Employee, steps: int = STEPS) -> bool:
        """Take steps until nothing differs, HubSpot refuses, or the steps are used up.

        :returns: Whether it came to an end.
        """
        employee.refusal = None
        for _ in range(steps):
            try:
                if await self._is_settled(employee):
                    return True
            except RemoteUnavailableError as error:
                self.errors[type(error).__name__] += 1
                employee.seen = None
                await asyncio.sleep(min(error.retry_after or 1.0, 700.0))
            except RemoteNotFoundError:
                employee.seen = None
            except ConnectorError as error:
                self.errors[type(error).__name__] += 1
                employee.seen, employee.refusal = None, error
                if isinstance(error, RemoteForbiddenError | RemoteConflictError):
                    return True
                await asyncio.sleep(1.0)
        return False

    async def _is_settled(self, employee: Employee) -> bool:
        if employee.seen is None:
            await self._probe(employee)
        seen = employee.seen or Seen()
        step = next_user_step(employee.desired(), seen, self.connector.operations)
        if step is not None:
            await self._take(step, employee, seen)
        return step is None

    async def _probe(self, employee: Employee) -> None:
        try:
            if employee.remote_id is None:
                self._note(employee, await self.connector.find_user(employee.email))
            else:
                self._note(employee, await self.connector.get_user(employee.remote_id))
        except RemoteNotFoundError:
            employee.seen = Seen(known=True)

    async def _take(self, step: Step, employee: Employee, seen: Seen) -> None:
        connector, user, remote_id = self.connector, employee.user(), employee.remote_id or ""
        before = person(employee.email, str(seen.attributes.get("name.givenName", "")), "Family")
        calls: dict[Step, Callable[[], Awaitable[Remote[User] | None]]] = {
            Step.CREATE_USER: lambda: connector.create_user(user),
            Step.REACTIVATE_USER: lambda: connector.reactivate_user(remote_id, user),
            Step.DEACTIVATE_USER: lambda: connector.deactivate_user(remote_id, user),
            Step.DELETE_USER: lambda: connector.delete_user(remote_id),
            Step.UPDATE_USER: lambda: connector.update_user(remote_id, before, user),
            Step.SET_USER_GROUPS: lambda: connector.set_user_groups(remote_id, user, sorted(employee.groups)),
        }
        answer = await calls[step]()
        if answer is None:
            employee.seen = Seen(known=True)
        else:
            self._note(employee, answer)

    @staticmethod
    def _note(employee: Employee, remote: Remote[User] | None) -> None:
        if remote is None:
            employee.seen = Seen(known=employee.remote_id is not None)
            return
        name = remote.resource.name
        attributes = {
            "userName": remote.resource.user_name,
            "name.givenName": name.given_name if name else None,
            "name.familyName": name.family_name if name else None,
        }
        employee.remote_id = remote.remote_id
        active = remote.resource.active is not False
        held = frozenset(groups_of(remote))
        employee.seen = Seen(True, True, active, attributes, remote.deferred, held)
