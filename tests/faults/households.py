"""People whose every step is one request about all of them: Bulk, and Groups written with all their members at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.lives import PATCH_OP, Client, Life, Progress, Step, ViolationError

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass
class Household:
    """Leads lives with the same steps, each step by one request.

    :param client: Sends, and knows how far everybody is. Its ``groups`` change when a Group is created.
    :param methods: Of each step: ``BULK``; or how a Group is written, which for ``PUT``, ``POST`` and ``DELETE`` means
        that nobody else is in it.
    """

    client: Client
    groups: dict[str, str]
    methods: Sequence[str]

    async def step(self, lives: Sequence[Life]) -> None:
        """Take everybody's next step, again until it is answered with success for everybody."""
        progress = [self.client.progress.setdefault(one.name, Progress()) for one in lives]
        position = progress[0].answered
        for each in progress:
            each.begun = position + 1
        if self.methods[position] == "BULK":
            await self._bulk(lives, position)
        else:
            await self._group(self.methods[position], lives[0].steps[position], [each.id for each in progress])
        for each in progress:
            each.answered += 1

    async def _bulk(self, lives: Sequence[Life], position: int) -> None:
        """Send a Bulk request, and another with the operations that were answered 429."""
        waiting = {one.name: one for one in lives}
        while waiting:
            operations = [self._operation(one, one.steps[position]) for one in waiting.values()]
            body = {"schemas": [BULK_REQUEST], "Operations": operations}
            answer, _ = await self.client.insist("a Bulk request", "POST", "/Bulk", body)
            for outcome in answer.document["Operations"]:
                status, name = int(outcome["status"]), outcome["bulkId"]
                self.client.statuses[status] += 1
                if status == 429:
                    continue
                if status not in {200, 201, 204}:
                    raise ViolationError(f"{outcome['method']} of {name} was answered {outcome}")
                self.client.progress[name].id = str(outcome["location"]).rpartition("/")[2]
                del waiting[name]
            if waiting:
                await self.client.pending("a Bulk request")

    def _operation(self, one: Life, step: Step) -> dict[str, Any]:
        method, path, body = self.client.request(one, step, self.client.progress[one.name].id)
        operation = {"method": method, "path": path, "bulkId": one.name}
        return operation if body is None else {**operation, "data": body}

    async def _group(self, method: str, step: Step, ids: Sequence[str]) -> None:
        """Write a Group."""
        verb, _, name = step.name.partition(" ")
        path = "/Groups" if method == "POST" else f"/Groups/{self.groups[name]}"
        members = [{"value": id_} for id_ in ids]
        operation = {"op": "add" if verb == "join" else "remove", "path": "members", "value": members}
        body: Any = {
            "PATCH": {"schemas": [PATCH_OP], "Operations": [operation]},
            "PUT": {"schemas": [GROUP], "displayName": name, "members": members if verb == "join" else []},
            "POST": {"schemas": [GROUP], "displayName": name, "externalId": name, "members": members},
            "DELETE": None,
        }[method]
        answer, repeated = await self.client.insist(f"{method} of {name}", method, path, body)
        if answer.status == 404 and method == "DELETE" and repeated:
            return
        if answer.status not in {200, 201, 204}:
            raise ViolationError(f"{method} of {name} was answered {answer.status} {dict(answer.document)}")
        if method == "POST":
            self.groups[name] = str(answer.document["id"])
