"""Clients that change the same person at the same time through different replicas, and note what they know."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any
from urllib.parse import unquote

import httpx2

from tests.faults.promises.diary import Line
from tests.faults.replicas.cluster import BUDGET_SECONDS, CONNECTIONS, Cluster, Replica
from tests.faults.replicas.linearizability import ABSENT, Action, Operation, Register
from tests.faults.replicas.portal import GROUPS

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CLIENTS = 3
ACTIONS = 4
"""What each client does to each person after the creation."""

PAUSE = 1.5
RETRY_SECONDS = 2.0
TIMEOUT = BUDGET_SECONDS + 3
ACCEPTED = "accepted;"
"""How the detail of a 429 begins when the change will be made."""

CHOICES: tuple[tuple[Action, int], ...] = (
    ("deactivate", 4), ("reactivate", 4), ("join", 4), ("leave", 3), ("read", 4), ("delete", 1),
)  # fmt: skip


@dataclass
class Person:
    """One person of a history.

    :param ids: What creations were answered; more than one after a deletion.
    :param operations: What the clients know.
    """

    connection: str
    email: str
    ids: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


@dataclass
class Clients:
    """The clients of one history.

    :param statuses: How often each status was answered; 0 for no answer.
    """

    cluster: Cluster
    random: random.Random
    statuses: dict[int, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    """What was sent and answered."""
    _numbers: Iterator[int] = field(default_factory=count)

    async def lead(self, person: Person) -> None:
        """Create a person at several replicas at once, then let several clients change them."""
        await asyncio.gather(*(self._act(person, "create", f"client {one}") for one in range(CLIENTS)))
        while not person.ids:
            await asyncio.sleep(RETRY_SECONDS)
            await self._act(person, "create", "client 0")
            if not person.ids:  # the answer to an earlier one was lost, and now it is 409: look, as clients do
                await self._act(person, "read", "client 0")
        await asyncio.gather(*(self._client(person, f"client {one}") for one in range(CLIENTS)))

    async def _client(self, person: Person, name: str) -> None:
        actions, weights = zip(*CHOICES, strict=True)
        for _ in range(ACTIONS):
            await asyncio.sleep(self.random.uniform(0, PAUSE))
            await self._act(person, self.random.choices(actions, weights)[0], name)

    async def look(self, person: Person) -> None:
        """Read once everything is over."""
        while not await self._act(person, "read", "last look"):
            await asyncio.sleep(0.2)

    def _replica(self) -> Replica:
        return self.random.choice(
            [replica for replica in self.cluster.replicas if replica.alive] or self.cluster.replicas
        )

    async def _act(self, person: Person, action: Action, client: str) -> bool:
        """Send a request and note its outcome; tell whether it had one."""
        group = self.random.choice(GROUPS) if action in {"join", "leave"} else ""
        method, path, body = self._request(person, action, group)
        replica = self._replica()
        began, number = time.time(), f"{next(self._numbers)}"
        asked: Line = [time.monotonic(), "asked", number, method, unquote(path), body]
        self.lines.append(asked)
        try:
            answer = await self.cluster.http.request(
                method,
                f"{replica.url}/{person.connection}/scim/v2{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.cluster.tokens[person.connection]}"},
                timeout=TIMEOUT,
            )
        except httpx2.ConnectError:
            self._count(0)
            self.lines.remove(asked)  # nothing was sent
            return False
        except httpx2.TransportError:
            self._count(0)
            if action != "read":
                person.operations.append(Operation(action, began, certain=False, group=group, client=client))
            return False
        self._count(answer.status_code)
        told = answer.headers.get("retry-after", "")
        document = answer.json() if answer.content else {}
        self.lines.append([time.monotonic(), "answered", number, answer.status_code, told, document])
        return self._note(person, Operation(action, began, time.time(), group=group, client=client), answer)

    def _note(self, person: Person, operation: Operation, answer: httpx2.Response) -> bool:
        """Note what an answer says."""
        action, status = operation.action, answer.status_code
        known: dict[str, Any] = {"status": status}
        if status in {200, 201, 204}:
            if action == "create":
                person.ids.append(str(answer.json()["id"]))
            elif action == "read":
                known["seen"] = self._seen(person, answer.json())
                if not person.ids:
                    person.ids += [str(one["id"]) for one in answer.json().get("Resources") or ()][:1]
        elif status == 429:
            if action == "read":  # the database is down
                return False
            # What was not accepted might still have been, when the database died while it committed.
            known |= {"status": 0, "ended": inf, "certain": answer.json()["detail"].startswith(ACCEPTED)}
        elif (status, action) not in {(409, "create"), (404, "delete"), (404, "deactivate"), (404, "reactivate")}:
            person.unexpected.append(f"{action} of {person.email}: {status} {answer.text}")
            return False
        fields = {name: getattr(operation, name) for name in Operation.__slots__} | known
        person.operations.append(Operation(**fields))
        return True

    def _request(self, person: Person, action: Action, group: str) -> tuple[str, str, Any]:
        if action == "create":
            name = {"givenName": "Given", "familyName": "Family"}
            body = {"schemas": [USER], "userName": person.email, "externalId": person.email, "name": name}
            return "POST", "/Users", {**body, "active": True}
        if action == "read":
            return "GET", f'/Users?filter=userName%20eq%20"{person.email}"', None
        id_ = person.ids[-1]
        if action == "delete":
            return "DELETE", f"/Users/{id_}", None
        operation: dict[str, Any]
        if group:
            path = f"/Groups/{self.cluster.groups[person.connection][group]}"
            operation = (
                {"op": "add", "path": "members", "value": [{"value": id_}]}
                if action == "join"
                else {"op": "remove", "path": f'members[value eq "{id_}"]'}
            )
        else:
            path = f"/Users/{id_}"
            operation = {"op": "replace", "path": "active", "value": action == "reactivate"}
        return "PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]}

    def _seen(self, person: Person, document: Mapping[str, Any]) -> Register:
        found = document.get("Resources") or []
        if not found:
            return ABSENT
        names = {id_: name for name, id_ in self.cluster.groups[person.connection].items()}
        groups = frozenset(names[group["value"]] for group in found[0].get("groups", ()))
        # Without `active` somebody is still to lose access.
        return Register("active" if found[0].get("active", True) else "inactive", groups)

    def _count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


def people(number: int, seed: int, count: int) -> list[Person]:
    """Return the people of a history, all of one connection."""
    connection = CONNECTIONS[number % len(CONNECTIONS)]
    return [Person(connection, f"h{number}-s{seed}-{one}@corp.example") for one in range(count)]
