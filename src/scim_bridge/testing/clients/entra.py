"""A simulated Microsoft Entra ID provisioning job: matching by filter, both PATCH dialects, cycles, escrow, quarantine.

After Microsoft's "use SCIM to provision users and groups", "SCIM 2.0 compliance", "how provisioning works" and
"quarantine status", and recorded traffic:

* Each cycle looks a changed person up by filter and sends a PATCH of what differs, or a POST. People come before
  groups; a group's members are one PATCH each, several at a time.
* A creation that times out is sent again **without** another look. Somebody who leaves the scope and has no link is
  skipped: an account whose creation was never answered is not disabled.
* What failed is tried in the next cycle, then after 6, 12 and 24 hours, then daily; after 28 days it is dropped.
* 401, and 404 where a list is expected, quarantine the job at once: one cycle a day, off after 28 days.
"""

import asyncio
from random import Random
from typing import Literal

import httpx2

from scim_bridge.testing.clients.comparison import values_of
from scim_bridge.testing.clients.cycles import CyclicProvider, Schedule, Work
from scim_bridge.testing.clients.directory import (
    WORK_EMAIL,
    BelievedGroup,
    BelievedUser,
    Change,
    ConnectionTest,
    Person,
    PushedGroup,
)
from scim_bridge.testing.clients.entra_dialect import EntraDialect, new_group, new_user
from scim_bridge.testing.clients.session import (
    Answer,
    Clock,
    Document,
    RequestFailedError,
    Session,
    SystemClock,
    created,
    listed,
    quoted,
)


class EntraClient(CyclicProvider):
    """A simulated Entra ID provisioning job.

    :param http: Its ``base_url`` is the SCIM root of the connection.
    :param authorization: The whole ``Authorization`` header.
    :param rfc_patch: Whether the tenant URL carries ``aadOptscim062020``.
    :param match: The matching attribute the admin chose.
    :param manager_form: ``string`` as recorded, or the ``array`` Microsoft documents.
    :param legacy_bodies: Whether creations have the older documented form: nulls, a misspelt URN.
    :param check_members: Whether each membership is looked up before it is changed, as older documentation has it.
    :param concurrency: Requests at a time.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        authorization: str,
        rfc_patch: bool = False,
        match: Literal["userName", "externalId", "emails"] = "userName",
        manager_form: Literal["string", "array"] = "string",
        legacy_bodies: bool = False,
        check_members: bool = False,
        schedule: Schedule | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        concurrency: int = 4,
    ) -> None:
        schedule = schedule or Schedule()
        session = Session(
            http,
            headers={"Authorization": authorization, "Accept": "application/scim+json"},
            content_type="application/scim+json; charset=utf-8",
            clock=clock or SystemClock(),
            timeout=schedule.timeout,
        )
        super().__init__(session, random or Random(0), schedule=schedule, concurrency=concurrency)
        self._root = str(http.base_url).rstrip("/")
        self._dialect = EntraDialect(rfc=rfc_patch, manager_form=manager_form)
        self._match_path = {"emails": WORK_EMAIL}.get(match, match)
        self._legacy_bodies = legacy_bodies
        self._check_members = check_members

    def delete(self, person: Person) -> None:
        """Delete a person for good, as the directory does 30 days after a soft delete."""
        self.assigned.discard(person.id)
        self._changed(person.id, Change.DELETE)

    async def test_connection(self) -> ConnectionTest:
        """Do what "Test Connection" does: look for a random person and a random group, and find none."""
        try:
            for path, name in (("/Users", self._match_path), ("/Groups", "displayName")):
                query = [("filter", f"{name} eq {quoted(str(self.new_id()))}")]
                if listed(await self.session.send("GET", path, query=query)):
                    return ConnectionTest(succeeded=False, detail=f"{path}: a random filter found something")
        except RequestFailedError as error:
            return ConnectionTest(succeeded=False, detail=str(error))
        return ConnectionTest(succeeded=True)

    async def provision_on_demand(self, person: Person) -> None:
        """Push one person now. It ignores ``aadOptscim062020``, so one tenant sends both dialects.

        :raises RequestFailedError: What the administrator sees.
        :raises QuarantinedError: When the answer stops the whole job.
        """
        dialect, self._dialect = self._dialect, EntraDialect(rfc=False, manager_form=self._dialect.manager_form)
        try:
            await self._provision_user(person.id, Work(Change.UPDATE, self.clock.now()))
            self._work.pop(person.id, None)
        finally:
            self._dialect, self._halt = dialect, ""

    # -- Users -----------------------------------------------------------------------------------------------------

    async def _provision_user(self, person: str, work: Work) -> None:
        known = self.people[person]
        wanted = person in self.assigned
        if work.change is Change.DELETE:
            await self._delete_user(known)
            return
        if not wanted and person not in self.believed:
            return
        found = None if work.blind else await self._find(known)
        if found is None:
            if not wanted:
                self.believed.pop(person, None)
                return
            belief = await self._create(known, work)
        else:
            belief = await self._modify(known, found, wanted=wanted)
        self.believed[person] = await self._set_manager(known, belief)
        self._linked(person)

    async def _find(self, person: Person) -> Document | None:
        """Look a person up by the matching attribute, then by the link."""
        value = person.id if self._match_path == "externalId" else person.attributes[self._match_path]
        if found := await self._query("/Users", [("filter", f"{self._match_path} eq {quoted(value)}")]):
            return found[0]
        belief = self.believed.get(person.id)
        if belief is None:
            return None
        answer = await self._send("GET", f"/Users/{belief.remote_id}", accept=(404,))
        return answer.body if answer.status == 200 else None

    async def _query(self, path: str, query: list[tuple[str, str]]) -> list[Document]:
        """Send a filter. :raises QuarantinedError: at a 404, for a list is expected."""
        answer = await self._send("GET", path, query=query, accept=(404,))
        if answer.status == 404:
            self._stop(f"404 where a list is expected: {path}")
        return listed(answer)

    async def _create(self, person: Person, work: Work) -> BelievedUser:
        """Send a creation; after a time-out send it again at once, without a look."""
        body = new_user(person, legacy=self._legacy_bodies)
        try:
            answer = await self._post(body, work)
        except RequestFailedError as error:
            if error.status is not None:
                raise
            answer = await self._post(body, work)
        work.blind = False
        return BelievedUser(created(answer), active=True, attributes=person.attributes)

    async def _post(self, body: Document, work: Work) -> Answer:
        try:
            return await self._send("POST", "/Users", body=body)
        except RequestFailedError as error:
            work.blind = error.status is None
            raise

    async def _modify(self, person: Person, found: Document, *, wanted: bool) -> BelievedUser:
        """Send what differs from what was read."""
        operations = []
        belief = self.believed.get(person.id)
        mapped = person.attributes.keys() | (belief.attributes.keys() if belief else set())
        attributes = {path: value for path, value in values_of(found).items() if path in mapped}
        if wanted:
            operations += self._dialect.attributes(attributes, person.attributes)
            attributes = person.attributes
        if found.get("active") is not wanted:
            operations.append(self._dialect.set_active(active=wanted))
        if operations:
            await self._send("PATCH", f"/Users/{found['id']}", body=self._dialect.patch(*operations))
        return BelievedUser(found["id"], wanted, attributes, manager=belief.manager if belief else "")

    async def _set_manager(self, person: Person, belief: BelievedUser) -> BelievedUser:
        """Send the manager, when he is known at the service provider and not yet there."""
        manager = self.believed.get(person.manager)
        if not belief.active or person.manager == belief.manager or (person.manager and manager is None):
            return belief
        remote_id = manager.remote_id if manager else ""
        check = f"id eq {quoted(belief.remote_id)} and manager eq {quoted(remote_id)}"
        if not remote_id or not await self._query("/Users", [("filter", check), ("attributes", "id")]):
            operation = self._dialect.set_manager(remote_id, f"{self._root}/Users/{remote_id}")
            await self._send("PATCH", f"/Users/{belief.remote_id}", body=self._dialect.patch(operation))
        return BelievedUser(belief.remote_id, belief.active, belief.attributes, manager=person.manager)

    async def _delete_user(self, person: Person) -> None:
        belief = self.believed.get(person.id)
        if belief is not None:
            await self._send("DELETE", f"/Users/{belief.remote_id}", accept=(404,))
            del self.believed[person.id]

    def _linked(self, person: str) -> None:
        """Look again at the groups and the people that refer to somebody who is known now."""
        for group in self.groups_lacking(person):
            self._changed(group, Change.MEMBERS)
        for one in self.people.values():
            belief = self.believed.get(one.id)
            if one.manager == person and belief is not None and belief.active and belief.manager != person:
                self._changed(one.id, Change.UPDATE)

    # -- Groups ----------------------------------------------------------------------------------------------------

    async def _provision_group(self, subject: str) -> None:
        group = self.groups.get(subject)
        belief = self.believed_groups.get(subject)
        if group is None:
            if belief is not None:
                await self._send("DELETE", f"/Groups/{belief.remote_id}", accept=(404,))
                del self.believed_groups[subject]
            return
        belief = await self._find_group(group, belief)
        if belief.name != (name := group.name):
            body = self._dialect.patch(self._dialect.rename(name))
            await self._send("PATCH", f"/Groups/{belief.remote_id}", body=body)
            belief.name = name
        wanted = self.linked_members(group)
        changes = [(person, True) for person in sorted(wanted - belief.members)]
        changes += [(person, False) for person in sorted(belief.members - wanted)]
        results = await asyncio.gather(
            *(self._change_member(belief, person, member=member) for person, member in changes),
            return_exceptions=True,
        )
        for error in results:
            if error is not None:
                raise error

    async def _find_group(self, group: PushedGroup, belief: BelievedGroup | None) -> BelievedGroup:
        """Read the linked group, or look it up by name, or create it."""
        if belief is not None:
            query = [("excludedAttributes", "members")]
            answer = await self._send("GET", f"/Groups/{belief.remote_id}", query=query, accept=(404,))
            if answer.status == 200:
                return belief
            del self.believed_groups[group.id]
        name = group.name
        query = [("excludedAttributes", "members"), ("filter", f"displayName eq {quoted(name)}")]
        found = await self._query("/Groups", query)
        remote_id = found[0]["id"] if found else ""
        if not remote_id:
            remote_id = created(await self._send("POST", "/Groups", body=new_group(group.id, name)))
        belief = self.believed_groups[group.id] = BelievedGroup(remote_id, name)
        return belief

    async def _change_member(self, belief: BelievedGroup, person: str, *, member: bool) -> None:
        """Send one membership in a PATCH of its own."""
        known = self.believed.get(person)
        if known is not None:
            if self._check_members:
                check = f"id eq {quoted(belief.remote_id)} and members eq {quoted(known.remote_id)}"
                held = bool(await self._query("/Groups", [("filter", check), ("attributes", "id")]))
            else:
                held = not member
            if held != member:
                change = self._dialect.add_member if member else self._dialect.remove_member
                body = self._dialect.patch(change(known.remote_id))
                await self._send("PATCH", f"/Groups/{belief.remote_id}", body=body)
        (belief.members.add if member else belief.members.discard)(person)
