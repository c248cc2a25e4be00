"""Histories at the edges: what identity providers, gateways and people in HubSpot were really seen to do.

A client without a model of anything sends what others' clients sent: it renames whom it deletes, gives an address to
somebody else, writes whole resources and Bulk requests, takes over groups that it has not made and deletes them. Around
it gateways answer in their own words, records are mixed up, routes are gone, and people change accounts by hand.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

import httpx2

from tests.faults.hubspot_world import ROLES, HubSpotWorld
from tests.faults.promises.watching import Outside, Watched
from tests.faults.simulation.ending import Ending
from tests.faults.simulation.network import BridgeTransport
from tests.faults.simulation.world import BASE_URL, World

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PEOPLE = ("ada", "bob", "cyd", "dan", "eva")
UNMANAGED = ("mary", "zoe")
"""People whom no client ever writes; a client may name one of them as a member."""
PRESETS = ("generic", "okta", "entra")
ATTEMPTS = 12
"""How often a request is sent until it is answered with anything but 429."""
MOST_WAIT = 40
STATED = frozenset({"I3", "I9", "error"})
"""Invariants that hold here, too. The others know nothing of renames and of what is done by hand in so many ways."""

Body = Mapping[str, Any]


class EdgeClient:
    """A client that knows what it was answered and nothing else.

    :param ids: SCIM ids of people by name, as answers told them. :param groups: The same of groups.
    """

    def __init__(self, world: World, outside: Outside, random: Random) -> None:
        transport = BridgeTransport("edge", world.listening, world.weather, outside)
        self.http = httpx2.AsyncClient(base_url=BASE_URL, transport=transport)
        self.random = random
        self.world = world
        self.ids: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        """The name in force of a group that was renamed."""
        self._uses: Counter[str] = Counter()

    # -- Requests ------------------------------------------------------------------------------------------------------

    async def send(self, method: str, path: str, body: Body | None = None) -> tuple[int, Body]:
        """Send a request until it is answered with anything but 429; after too many attempts, 0."""
        headers = {"Authorization": self.world.authorization, "Content-Type": "application/scim+json"}
        for _ in range(ATTEMPTS):
            wait = self.random.choice([1.0, 5.0])
            try:
                answer = await self.http.request(method, path, json=body, headers=headers)
            except httpx2.TransportError:
                await asyncio.sleep(wait)
                continue
            if answer.status_code != 429:
                return answer.status_code, answer.json() if answer.content else {}
            told = answer.headers.get("retry-after", "")
            await asyncio.sleep(min(float(told), MOST_WAIT) if told.isdigit() else wait)
        return 0, {}

    async def patch(self, path: str, *operations: Body) -> int:
        """Send a PATCH."""
        status, _ = await self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})
        return status

    async def find(self, name: str) -> str:
        """Look somebody up, and return the id; empty for nobody, or for no answer."""
        _, document = await self.send("GET", f'/Users?filter=userName%20eq%20"{address(name)}"')
        found = document.get("Resources") or []
        return str(found[0]["id"]) if found else ""

    def user(self, name: str, *, active: bool = True) -> dict[str, Any]:
        """Return a whole User."""
        names = {"givenName": name.title(), "familyName": self.random.choice(["Byron", "Hopper", "Noether"])}
        return {
            "schemas": [USER], "userName": address(name), "externalId": f"x-{name}-{self._uses[name]}",
            "active": active, "name": names, "emails": [{"value": address(name), "type": "work", "primary": True}],
        }  # fmt: skip

    # -- People --------------------------------------------------------------------------------------------------------

    async def provision(self, name: str) -> None:
        """Look somebody up; create them, or let them in again."""
        if found := await self.find(name):
            self.ids[name] = found
            await self.patch(f"/Users/{found}", {"op": "replace", "path": "active", "value": True})
        else:
            await self.create(name)

    async def create(self, name: str) -> None:
        """Create somebody without a look."""
        status, document = await self.send("POST", "/Users", self.user(name))
        if status in {200, 201}:
            self.ids[name] = str(document["id"])

    async def reuse(self, name: str) -> None:
        """Create somebody else who has been given the same address."""
        self._uses[name] += 1
        await self.create(name)

    async def deactivate(self, name: str) -> None:
        """End somebody's access, in one of the forms that clients write."""
        path = f"/Users/{self.ids[name]}"
        form = self.random.randrange(4)
        if form == 0:
            await self.patch(path, {"op": "replace", "path": "active", "value": False})
        elif form == 1:
            await self.patch(path, {"op": "Replace", "path": "active", "value": "False"})
        elif form == 2:
            await self.patch(path, {"op": "replace", "value": {"active": False}})
        else:
            await self.send("PUT", path, self.user(name, active=False))

    async def replace(self, name: str) -> None:
        """Write the whole of somebody."""
        await self.send("PUT", f"/Users/{self.ids[name]}", self.user(name))

    async def rename(self, name: str) -> None:
        """Change a family name, by a request that says nothing of access."""
        value = self.random.choice(["Lovelace", "Curie"])
        await self.patch(f"/Users/{self.ids[name]}", {"op": "replace", "path": "name.familyName", "value": value})

    async def bury(self, name: str) -> None:
        """Rename and deactivate in one request, as Entra ID does with whom it deletes."""
        tombstone = f"{self.random.getrandbits(128):032x}{address(name)}"
        await self.patch(
            f"/Users/{self.ids[name]}",
            {"op": "Replace", "path": "userName", "value": tombstone},
            {"op": "Replace", "path": "active", "value": "False"},
        )

    async def exhume(self, name: str) -> None:
        """Rename somebody back and let them in, as Entra ID does with whom it restores."""
        await self.patch(
            f"/Users/{self.ids[name]}",
            {"op": "Replace", "path": "userName", "value": address(name)},
            {"op": "Replace", "path": "active", "value": "True"},
        )

    async def delete(self, name: str) -> None:
        """Delete somebody, and forget the id once that was answered."""
        status, _ = await self.send("DELETE", f"/Users/{self.ids[name]}")
        if status in {204, 404}:
            self.ids.pop(name, None)

    async def bulk(self, name: str) -> None:
        """Create, or deactivate, several people by one request."""
        operations: list[Body] = []
        for one in {name, self.random.choice(PEOPLE)}:
            if one in self.ids:
                change = {"op": "replace", "path": "active", "value": self.random.random() < 0.3}
                data = {"schemas": [PATCH_OP], "Operations": [change]}
                operations.append({"method": "PATCH", "path": f"/Users/{self.ids[one]}", "bulkId": one, "data": data})
            else:
                operations.append({"method": "POST", "path": "/Users", "bulkId": one, "data": self.user(one)})
        operations.sort(key=lambda operation: str(operation["bulkId"]))
        _, document = await self.send("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": operations})
        for outcome in document.get("Operations") or ():
            if outcome.get("method") == "POST" and str(outcome.get("status")) in {"200", "201"}:
                self.ids[outcome["bulkId"]] = str(outcome["location"]).rpartition("/")[2]

    # -- Groups --------------------------------------------------------------------------------------------------------

    def members(self) -> list[Body]:
        """Return some people whose ids are known."""
        return [{"value": id_} for _, id_ in sorted(self.ids.items()) if self.random.random() < 0.5]

    async def push(self, group: str) -> None:
        """Take a group over, or make it, and write its members."""
        _, document = await self.send("GET", f'/Groups?filter=displayName%20eq%20"{group}"&excludedAttributes=members')
        found = document.get("Resources") or []
        if found:
            self.groups[group] = str(found[0]["id"])
            operation = {"op": "replace", "path": "members", "value": self.members()}
            await self.patch(f"/Groups/{self.groups[group]}", operation)
            return
        body = {"schemas": [GROUP], "displayName": group, "externalId": f"g-{group}", "members": self.members()}
        status, document = await self.send("POST", "/Groups", body)
        if status in {200, 201}:
            self.groups[group] = str(document["id"])

    async def put_group(self, group: str) -> None:
        """Write the whole of a group."""
        body = {"schemas": [GROUP], "displayName": self.renamed.get(group, group), "members": self.members()}
        await self.send("PUT", f"/Groups/{self.groups[group]}", body)

    async def join(self, group: str) -> None:
        """Add members."""
        if members := self.members():
            operation = {"op": "add", "path": "members", "value": members}
            await self.patch(f"/Groups/{self.groups[group]}", operation)

    async def leave(self, group: str) -> None:
        """Remove a member, in one of the forms that clients write."""
        if not self.ids:
            return
        id_ = self.ids[self.random.choice(sorted(self.ids))]
        operation: Body = {"op": "remove", "path": f'members[value eq "{id_}"]'}
        if self.random.random() < 0.3:
            operation = {"op": "Remove", "path": "members", "value": [{"value": id_}]}
        await self.patch(f"/Groups/{self.groups[group]}", operation)

    async def rename_group(self, group: str) -> None:
        """Give a group another name, or its own again."""
        name = group if group in self.renamed else f"{group} (old)"
        status = await self.patch(
            f"/Groups/{self.groups[group]}", {"op": "replace", "path": "displayName", "value": name}
        )
        if status in {200, 204}:
            self.renamed = {**self.renamed, group: name} if name != group else {
                other: given for other, given in self.renamed.items() if other != group
            }  # fmt: skip

    async def drop(self, group: str) -> None:
        """Delete a group that it pushed."""
        status, _ = await self.send("DELETE", f"/Groups/{self.groups[group]}")
        if status in {204, 404}:
            self.groups.pop(group, None)
            self.renamed.pop(group, None)

    async def mirror(self, _group: str) -> None:
        """Delete a group that it has not pushed, as clients do that make the other side like their own."""
        _, document = await self.send("GET", "/Groups?excludedAttributes=members")
        foreign = [one for one in document.get("Resources") or () if one["id"] not in self.groups.values()]
        if foreign:
            await self.send("DELETE", f"/Groups/{self.random.choice(foreign)['id']}")

    async def name_an_unmanaged(self, group: str) -> None:
        """Remove somebody from a group whom no client manages, by name."""
        if id_ := await self.find(self.random.choice(UNMANAGED)):
            await self.patch(f"/Groups/{self.groups[group]}", {"op": "remove", "path": f'members[value eq "{id_}"]'})


def address(name: str) -> str:
    """Return somebody's userName."""
    return f"{name}@corp.example"


OF_PEOPLE: dict[str, tuple[float, Callable[[EdgeClient, str], Awaitable[None]]]] = {
    "provision": (3.0, EdgeClient.provision),
    "create": (1.0, EdgeClient.create),
    "reuse": (0.5, EdgeClient.reuse),
    "deactivate": (3.0, EdgeClient.deactivate),
    "replace": (1.0, EdgeClient.replace),
    "rename": (1.5, EdgeClient.rename),
    "bury": (1.0, EdgeClient.bury),
    "exhume": (0.7, EdgeClient.exhume),
    "delete": (1.5, EdgeClient.delete),
    "bulk": (1.0, EdgeClient.bulk),
}
"""What is done to people, how often, and by what."""

NEEDS_NO_ID = frozenset({"provision", "create", "reuse", "bulk"})

OF_GROUPS: dict[str, tuple[float, Callable[[EdgeClient, str], Awaitable[None]]]] = {
    "push": (1.5, EdgeClient.push),
    "put group": (1.0, EdgeClient.put_group),
    "join": (2.0, EdgeClient.join),
    "leave": (2.0, EdgeClient.leave),
    "rename group": (0.5, EdgeClient.rename_group),
    "drop group": (0.7, EdgeClient.drop),
    "mirror": (0.3, EdgeClient.mirror),
    "name an unmanaged": (0.1, EdgeClient.name_an_unmanaged),
}
"""What is done to groups."""


class Edges(Watched):
    """A history at the edges."""

    client: EdgeClient

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        assert isinstance(world.remote, HubSpotWorld)
        random = Random(f"{world.seed}/edges")
        world.clients.clear()
        world.preset = random.choice(PRESETS)
        world.remote.learn_the_edges()
        for name in UNMANAGED:
            world.remote.hubspot.add_person(address(name), roles=[random.choice(ROLES)])
        self.record.began(world.remote.accounts())
        self.client = EdgeClient(world, self.outside, random)
        self.busy: dict[str, asyncio.Task[None]] = {}

    def _begin_all(self) -> None:
        """Let there be some people and groups."""
        for name in PEOPLE[:3]:
            self._do(name, self.client.provision)
        for group in self.world.remote.groups:
            self._do(group, self.client.push)

    def _do(self, subject: str, what: Callable[[str], Awaitable[None]]) -> None:
        """Do something as soon as what is done to the same person or group is finished."""
        before = self.busy.get(subject)

        async def work() -> None:
            if before is not None:
                await asyncio.wait({before})
            await what(subject)

        self.busy[subject] = asyncio.get_running_loop().create_task(work())

    def _one(self) -> None:
        """Do one thing."""
        random, client = self.random, self.client
        self.counts["operations"] += 1
        if random.random() < 0.15:
            name = random.choice([*PEOPLE, *PEOPLE, *UNMANAGED])
            self.counts["by hand"] += 1
            self._by_hand(address(name))
            return
        people = random.random() < 0.6
        table = OF_PEOPLE if people else OF_GROUPS
        name = random.choices(list(table), [weight for weight, _ in table.values()])[0]
        subject = random.choice(PEOPLE if people else list(self.world.remote.groups))
        self.counts[name] += 1
        self.world.note(f"edge: {name} {subject}")

        async def work(one: str) -> None:
            if name in NEEDS_NO_ID or name in {"push", "mirror"} or one in (client.ids if people else client.groups):
                await table[name][1](client, one)

        self._do(subject, work)

    async def run(self) -> None:
        """Let things happen, let all be well, and judge."""
        world, random = self.world, self.random
        await world.start_bridge()
        self._begin_all()
        for _ in range(self.operations):
            if random.random() < 0.4:
                await self._trouble()
                self.counts["troubles"] += 1
            self._one()
            await asyncio.sleep(random.choice([0.0, 0.01, 0.1, 1.0, 5.0, 20.0, 60.0]) * random.random())
        await self._heal()
        while any(not task.done() for task in self.busy.values()):
            await asyncio.wait(self.busy.values())
        for task in self.busy.values():
            task.result()
        ending = Ending(world, self.restart, self.counts)
        await ending.settle()
        await self.restart()
        await asyncio.sleep(60)
        await ending.settle()
        oracle = world.oracle
        oracle.violations[:] = [one for one in oracle.violations if one.invariant in STATED]
        await self.end()
        await self.client.http.aclose()
