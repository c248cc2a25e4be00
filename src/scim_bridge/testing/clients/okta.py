"""A simulated Okta: a custom SCIM 2.0 application, of the catalog (PATCH) or of the wizard (PUT for everything).

After Okta's SCIM 2.0 reference and FAQ, its staff's statements and recorded traffic:

* Before a creation it looks the ``userName`` up; a failed creation or re-activation stores no link, so that a later
  unassignment sends **nothing**. Users are never deleted.
* 429 pauses the push: the integer ``Retry-After`` (without one: 5 minutes) and its doubles, at most ten attempts. Every
  other failure waits for an administrator.
* It closes the socket after 60 seconds.
"""

from random import Random
from typing import Literal

import httpx2

from scim_bridge.testing.clients.directory import (
    ENTERPRISE,
    GROUP,
    PATCH,
    USER,
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

OPERATIONS_PER_PATCH = 50
"""Okta publishes no number; 50 is the least that draft-schreiber-ipsie-scim-profile asks a server to take."""


class OktaClient(QueueingProvider):
    """A simulated Okta.

    :param http: Its ``base_url`` is the SCIM root of the connection.
    :param authorization: The whole ``Authorization`` header: ``Bearer …``, or the token alone, as admins paste it.
    :param kind: ``catalog``: PATCH for activation and groups, PUT for profiles; ``wizard``: PUT for everything.
    :param fresh_retry_after: Whether each 429's own ``Retry-After`` restarts the doubling. Okta does not say.
    :param reduced_put: Whether the wizard's deactivation carries a reduced set of attributes.
    """

    unsent = frozenset({"title", f"{ENTERPRISE}:department", f"{ENTERPRISE}:employeeNumber"})
    MAX_RETRIES = 10
    DEFAULT_RETRY_AFTER = 300
    SOCKET_TIMEOUT = 60

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        authorization: str,
        kind: Literal["catalog", "wizard"] = "catalog",
        clock: Clock | None = None,
        random: Random | None = None,
        concurrency: int = 4,
        fresh_retry_after: bool = False,
        reduced_put: bool = False,
    ) -> None:
        headers = {
            "Authorization": authorization,
            "Accept": "application/scim+json",
            "Accept-Charset": "utf-8",
            "User-Agent": "Okta SCIM Client 1.0.0",
        }
        session = Session(
            http,
            headers=headers,
            content_type="application/scim+json; charset=utf-8",
            clock=clock or SystemClock(),
            timeout=self.SOCKET_TIMEOUT,
        )
        super().__init__(session, random or Random(0), concurrency=concurrency)
        self._kind = kind
        self._fresh_retry_after = fresh_retry_after
        self._reduced_put = reduced_put

    async def test_connection(self) -> ConnectionTest:
        """Do what "Test API Credentials" does: a page of users, then one of groups."""
        return await self._test(
            ("/Users", [("startIndex", "1"), ("count", "2")]),
            ("/Groups", [("startIndex", "1"), ("count", "100")]),
        )

    def push_now(self, name: str) -> None:
        """Push a group's whole list of members, as "Push now" does."""
        self._changed(self.group(name).id, Change.PUSH_NOW)

    # -- When a push fails -----------------------------------------------------------------------------------------

    def _pause(self, job: Job, error: RequestFailedError) -> float | None:
        if error.status != 429 or job.failures > self.MAX_RETRIES:
            return None
        told = self.DEFAULT_RETRY_AFTER if error.wait is None else error.wait
        return float(told) if job.failures == 1 or self._fresh_retry_after else job.wait * 2

    def _give_up(self, job: Job) -> None:
        if job.change is Change.ASSIGN:
            self.believed.pop(job.subject, None)  # "this is intended": a later unassignment sends nothing

    # -- Users -----------------------------------------------------------------------------------------------------

    async def _assign(self, person: str) -> None:
        known = self.people[person]
        belief = self.believed.get(person)
        if belief is not None:
            await self._activate(known, belief.remote_id)
            return
        found = await self._match(known.user_name)
        if found is None:
            answer = await self.session.send("POST", "/Users", body=self._new_user(known))
            self._believe(known, created(answer), active=True)
        elif not found.get("active", True):
            await self._activate(known, found["id"])
        else:
            await self._put(known, found["id"], active=True)

    async def _unassign(self, person: str) -> None:
        belief = self.believed.get(person)
        if belief is None:
            return
        if self._kind == "wizard":
            await self._put(self.people[person], belief.remote_id, active=False, reduced=self._reduced_put)
        else:
            await self._set_active(belief.remote_id, active=False)
        self.believed[person] = BelievedUser(belief.remote_id, active=False, attributes=belief.attributes)

    async def _update(self, person: str) -> None:
        belief = self.believed.get(person)
        if belief is not None and belief.active and belief.attributes != self.attributes_of(self.people[person]):
            await self._put(self.people[person], belief.remote_id, active=True)

    async def _match(self, user_name: str) -> Document | None:
        """Look a userName up; 404 is taken as "none"."""
        query = [("filter", f"userName eq {quoted(user_name)}"), ("startIndex", "1"), ("count", "100")]
        answer = await self.session.send("GET", "/Users", query=query, accept=(404,))
        found = listed(answer) if answer.status == 200 else []
        return found[0] if found else None

    async def _activate(self, person: Person, remote_id: str) -> None:
        """Re-activate an account, then push the profile."""
        if self._kind == "catalog":
            await self._set_active(remote_id, active=True)
        await self._put(person, remote_id, active=True)

    async def _set_active(self, remote_id: str, *, active: bool) -> None:
        await self._patch(f"/Users/{remote_id}", [{"op": "replace", "value": {"active": active}}])

    async def _put(self, person: Person, remote_id: str, *, active: bool, reduced: bool = False) -> None:
        """Read the account, and send it back changed."""
        answer = await self.session.send("GET", f"/Users/{remote_id}")
        document = {} if reduced else answer.body
        document = {**document, "schemas": document.get("schemas", [USER]), "id": remote_id, "active": active}
        document |= {"userName": person.user_name, "emails": _emails(person, document.get("emails"))}
        document["name"] = (document.get("name") or {}) | {"givenName": person.given_name}
        document["name"] |= {"familyName": person.family_name}
        if not reduced:
            document |= {"displayName": _display_name(person), "externalId": person.id, "groups": []}
        await self.session.send("PUT", f"/Users/{remote_id}", body=document)
        self._believe(person, remote_id, active=active)

    def _believe(self, person: Person, remote_id: str, *, active: bool) -> None:
        self.believed[person.id] = BelievedUser(remote_id, active, self.attributes_of(person))

    def _new_user(self, person: Person) -> Document:
        """Return the body of a creation; the password is a placeholder and always there."""
        return {
            "schemas": [USER],
            "userName": person.user_name,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "emails": _emails(person, None),
            "displayName": _display_name(person),
            "locale": "en-US",
            "externalId": person.id,
            "groups": [],
            "password": f"{self.random.getrandbits(40):08x}"[:8],
            "active": True,
        }

    # -- Groups ----------------------------------------------------------------------------------------------------

    async def _push_group(self, group: PushedGroup, change: Change) -> None:
        belief = self.believed_groups.get(group.id)
        if belief is None:
            name = group.name
            remote_id = await self._match_group(name)
            if remote_id is None:
                body = {"schemas": [GROUP], "displayName": name, "members": []}
                remote_id = created(await self.session.send("POST", "/Groups", body=body))
            belief = self._link_group(group, name, remote_id, set())
            change = Change.PUSH_NOW if self.linked_members(group) else Change.PUSH
        elif change is Change.PUSH:  # linked by an attempt that failed before the members were sent
            change = Change.PUSH_NOW
        wanted = self.linked_members(group)
        if change is Change.PUSH or (change is Change.MEMBERS and belief.members == wanted):
            return
        if self._kind == "wizard":
            await self._put_group(group, belief.remote_id, wanted)
        else:
            await self._patch_group(group, belief.remote_id, belief.members, wanted, change)
        belief.name, belief.members = group.name, wanted

    async def _match_group(self, name: str) -> str | None:
        query = [("filter", f"displayName eq {quoted(name)}"), ("startIndex", "1"), ("count", "100")]
        found = listed(await self.session.send("GET", "/Groups", query=query))
        return str(found[0]["id"]) if found else None

    async def _put_group(self, group: PushedGroup, remote_id: str, wanted: set[str]) -> None:
        members = [{"value": self.believed[one].remote_id, "display": None} for one in sorted(wanted)]
        body = {"schemas": [GROUP], "id": remote_id, "displayName": group.name, "members": members}
        await self.session.send("PUT", f"/Groups/{remote_id}", body=body)

    async def _patch_group(
        self, group: PushedGroup, remote_id: str, held: set[str], wanted: set[str], change: Change
    ) -> None:
        """Send the name, which Okta does at every change of members too, then the members."""
        path = f"/Groups/{remote_id}"
        await self._patch(path, [{"op": "replace", "value": {"id": remote_id, "displayName": group.name}}])
        if change is Change.PUSH_NOW:
            await self._patch(path, [{"op": "replace", "path": "members", "value": self._members(wanted)}])
            return
        operations: list[Document] = [
            {"op": "remove", "path": f'members[value eq "{self.believed[one].remote_id}"]'}
            for one in sorted(held - wanted)
            if one in self.believed
        ]
        if added := self._members(wanted - held):
            operations.append({"op": "add", "path": "members", "value": added})
        for start in range(0, len(operations), OPERATIONS_PER_PATCH):
            await self._patch(path, operations[start : start + OPERATIONS_PER_PATCH])

    def _members(self, people: set[str]) -> list[Document]:
        return [
            {"value": self.believed[one].remote_id, "display": self.people[one].user_name} for one in sorted(people)
        ]

    async def _patch(self, path: str, operations: list[Document]) -> None:
        await self.session.send("PATCH", path, body={"schemas": [PATCH], "Operations": operations})


def _emails(person: Person, held: list[Document] | None) -> list[Document]:
    """Return the work address, with the sub-attributes it had, and the other addresses as they were."""
    work = next((one for one in held or [] if one.get("type") == "work"), {"primary": True})
    others = [one for one in held or [] if one.get("type") != "work"]
    return [work | {"value": person.email or person.user_name, "type": "work"}, *others]


def _display_name(person: Person) -> str:
    return person.display_name or f"{person.given_name} {person.family_name}".strip() or person.user_name
