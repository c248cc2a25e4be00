"""A simulated plain SCIM 2.0 client, as an access manager's: lists, filters, POST, PATCH or PUT, DELETE, memberships.

AccessOwl publishes nothing of its requests. This client is the least that access management needs (every account listed
for a review, accounts made and ended, memberships changed), written as RFC 7644 has it, with ``application/json``.
"""

from random import Random
from typing import Literal

import httpx2

from scim_bridge.testing.clients.comparison import values_of
from scim_bridge.testing.clients.directory import (
    ENTERPRISE,
    GROUP,
    PATCH,
    USER,
    WORK_EMAIL,
    BelievedUser,
    Change,
    ConnectionTest,
    Person,
    PushedGroup,
)
from scim_bridge.testing.clients.queue import Job, QueueingProvider
from scim_bridge.testing.clients.session import (
    Clock,
    Document,
    RequestFailedError,
    Session,
    SystemClock,
    created,
    listed,
    quoted,
)


class GenericClient(QueueingProvider):
    """A simulated plain SCIM client.

    :param http: Its ``base_url`` is the SCIM root of the connection.
    :param authorization: The whole ``Authorization`` header.
    :param update: How attributes and ``active`` are changed.
    :param deprovision: Whether the end of access is ``active=false`` or DELETE.
    :param timeout: Seconds after which the socket is closed.
    """

    MAX_RETRIES = 6

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        authorization: str,
        update: Literal["patch", "put"] = "patch",
        deprovision: Literal["deactivate", "delete"] = "deactivate",
        clock: Clock | None = None,
        random: Random | None = None,
        concurrency: int = 2,
        timeout: float = 60,
    ) -> None:
        session = Session(
            http,
            headers={"Authorization": authorization, "Accept": "application/json"},
            content_type="application/json",
            clock=clock or SystemClock(),
            timeout=timeout,
        )
        super().__init__(session, random or Random(0), concurrency=concurrency)
        self._update_verb = update
        self._deprovision = deprovision

    async def test_connection(self) -> ConnectionTest:
        """Ask for one account and one group."""
        query = [("startIndex", "1"), ("count", "1")]
        return await self._test(("/Users", query), ("/Groups", query))

    # -- When a push fails -----------------------------------------------------------------------------------------

    def _pause(self, job: Job, error: RequestFailedError) -> float | None:
        """Wait as a 429 or 503 says, else 1, 2, 4, … seconds after what may pass; refusals are final."""
        passing = error.status is None or error.status == 429 or error.status >= 500
        if not passing or error.status == 501 or job.failures > self.MAX_RETRIES:
            return None
        return float(error.wait if error.wait is not None else 2 ** (job.failures - 1))

    # -- Users -----------------------------------------------------------------------------------------------------

    async def _assign(self, person: str) -> None:
        known = self.people[person]
        found = await self._match(known)
        if found is None:
            answer = await self.session.send("POST", "/Users", body=_document(known))
            self.believed[person] = BelievedUser(created(answer), active=True, attributes=known.attributes)
        else:
            await self._change(known, found["id"], values_of(found), active=True)

    async def _unassign(self, person: str) -> None:
        belief = self.believed.get(person)
        if belief is None:
            return
        if self._deprovision == "delete":
            await self.session.send("DELETE", f"/Users/{belief.remote_id}", accept=(404,))
            del self.believed[person]
            for group in self.believed_groups.values():
                group.members.discard(person)
        elif self._update_verb == "put":
            await self._change(self.people[person], belief.remote_id, {}, active=False)
        else:
            await self._patch(f"/Users/{belief.remote_id}", [{"op": "replace", "path": "active", "value": False}])
            self.believed[person] = BelievedUser(belief.remote_id, active=False, attributes=belief.attributes)

    async def _update(self, person: str) -> None:
        belief = self.believed.get(person)
        if belief is not None and person in self.assigned and belief.attributes != self.people[person].attributes:
            await self._change(self.people[person], belief.remote_id, belief.attributes, active=None)

    async def _match(self, person: Person) -> Document | None:
        """Look a person up by userName, then by e-mail address."""
        for path, value in (("userName", person.user_name), (WORK_EMAIL, person.email or person.user_name)):
            answer = await self.session.send("GET", "/Users", query=[("filter", f"{path} eq {quoted(value)}")])
            if found := listed(answer):
                return found[0]
        return None

    async def _change(self, person: Person, remote_id: str, held: dict[str, str], *, active: bool | None) -> None:
        """Send the whole account, or what differs; ``active=None`` leaves it as it is."""
        path = f"/Users/{remote_id}"
        belief = self.believed.get(person.id)
        state = active if active is not None else belief is None or belief.active
        if self._update_verb == "put":
            body = {**_document(person), "id": remote_id, "active": state}
            await self.session.send("PUT", path, body=body)
        else:
            wanted = person.attributes
            operations: list[Document] = [
                {"op": "replace", "path": name, "value": value}
                for name, value in wanted.items()
                if held.get(name) != value
            ]
            operations += [
                {"op": "remove", "path": name} for name, value in held.items() if value and name not in wanted
            ]
            if active is not None:
                operations.append({"op": "replace", "path": "active", "value": active})
            if operations:
                await self._patch(path, operations)
        self.believed[person.id] = BelievedUser(remote_id, state, person.attributes)

    # -- Groups ----------------------------------------------------------------------------------------------------

    async def _push_group(self, group: PushedGroup, change: Change) -> None:
        belief = self.believed_groups.get(group.id)
        if belief is None:
            name = group.name
            found = [one for one in await self.import_groups() if one["displayName"] == name]
            held = {one["value"] for one in (found[0].get("members") or [])} if found else set()
            remote_id = found[0]["id"] if found else await self._create_group(name)
            members = {one for one, user in self.believed.items() if user.remote_id in held}
            belief = self._link_group(group, name, remote_id, members)
        path = f"/Groups/{belief.remote_id}"
        if belief.name != (name := group.name):
            await self._patch(path, [{"op": "replace", "path": "displayName", "value": name}])
            belief.name = name
        wanted = self.linked_members(group)
        if change is Change.PUSH_NOW:
            await self._patch(path, [{"op": "replace", "path": "members", "value": self._references(wanted)}])
            belief.members = wanted
            return
        for gone in sorted(belief.members - wanted):
            if gone in self.believed:
                target = f'members[value eq "{self.believed[gone].remote_id}"]'
                await self._patch(path, [{"op": "remove", "path": target}])
            belief.members.discard(gone)
        if new := (wanted & self.believed.keys()) - belief.members:  # somebody may have been deleted meanwhile
            links = {one: self.believed[one].remote_id for one in new}
            await self._patch(path, [{"op": "add", "path": "members", "value": self._references(new)}])
            # Somebody deleted meanwhile is no member, and neither is the account that was made for them since.
            belief.members |= {one for one, user in self.believed.items() if links.get(one) == user.remote_id}

    async def _create_group(self, name: str) -> str:
        body = {"schemas": [GROUP], "displayName": name}
        return created(await self.session.send("POST", "/Groups", body=body))

    def _references(self, people: set[str]) -> list[Document]:
        return [{"value": self.believed[one].remote_id} for one in sorted(people)]

    async def _patch(self, path: str, operations: list[Document]) -> None:
        await self.session.send("PATCH", path, body={"schemas": [PATCH], "Operations": operations})


def _document(person: Person) -> Document:
    """Return a whole account (RFC 7643 §4.1); what is not known is left out."""
    document: Document = {
        "schemas": [USER],
        "externalId": person.id,
        "userName": person.user_name,
        "active": True,
        "emails": [{"value": person.email or person.user_name, "type": "work", "primary": True}],
    }
    name = {"givenName": person.given_name, "familyName": person.family_name}
    extension = {"department": person.department, "employeeNumber": person.employee_number}
    optional = {"name": _given(name), "displayName": person.display_name, "title": person.title}
    document |= _given(optional | {ENTERPRISE: _given(extension)})
    if ENTERPRISE in document:
        document["schemas"] = [USER, ENTERPRISE]
    return document


def _given(values: Document) -> Document:
    return {name: value for name, value in values.items() if value}
