"""What clients ask of a directory, as requests that can be repeated: each operation can undo what it did."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from tests.benchmarks.systems import Request, System, person

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PAGE = 100

Requests = Callable[[System, random.Random, int], list[Request]]
Undo = Callable[[System, Sequence[Request], Sequence[bytes]], list[Request]]

_numbers = count(10_000_000)


def _nothing(system: System, requests: Sequence[Request], answers: Sequence[bytes]) -> list[Request]:
    return []


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request.

    :param name: What the tables call it.
    :param requests: Returns some requests of it to a system; no two concern the same resource and value.
    :param undo: Returns what puts the directory back, given those requests and their answers. It is not measured.
    """

    name: str
    requests: Requests
    undo: Undo = _nothing


def _patch(path: str, op: str, attribute: str, value: object = None) -> Request:
    operation = {"op": op, "path": attribute} | ({} if value is None else {"value": value})
    return Request("PATCH", path, "", {"schemas": [PATCH_OP], "Operations": [operation]})


def _retrievals(system: System, chance: random.Random, number: int) -> list[Request]:
    return [Request("GET", f"/Users/{id_}") for id_, _ in chance.choices(system.users, k=number)]


def _searches(system: System, chance: random.Random, number: int) -> list[Request]:
    filters = [f'userName eq "{name}"' for _, name in chance.choices(system.users, k=number)]
    return [Request("GET", "/Users", f"filter={quote(filter_)}") for filter_ in filters]


def _pages(system: System, chance: random.Random, number: int) -> list[Request]:
    starts = [chance.randrange(0, len(system.users), PAGE) + 1 for _ in range(number)]
    return [Request("GET", "/Users", f"startIndex={start}&count={PAGE}") for start in starts]


def _creations(system: System, chance: random.Random, number: int) -> list[Request]:
    people = [person(next(_numbers)).model_dump() for _ in range(number)]
    return [Request("POST", "/Users", "", one) for one in people]


def _deletions(system: System, requests: Sequence[Request], answers: Sequence[bytes]) -> list[Request]:
    made = zip(requests, answers, strict=True)
    return [Request("DELETE", f"{request.path}/{json.loads(answer)['id']}") for request, answer in made]


def _deactivations(system: System, chance: random.Random, number: int) -> list[Request]:
    chosen = chance.sample(system.users, k=min(number, len(system.users)))
    return [_patch(f"/Users/{id_}", "replace", "active", value=False) for id_, _ in chosen]


def _reactivations(system: System, requests: Sequence[Request], answers: Sequence[bytes]) -> list[Request]:
    return [_patch(request.path, "replace", "active", value=True) for request in requests]


def _joins(size: Callable[[System], int]) -> Requests:
    def requests(system: System, chance: random.Random, number: int) -> list[Request]:
        path = f"/Groups/{system.groups[size(system)]}"
        chosen = chance.sample(system.spare, k=min(number, len(system.spare)))
        return [_patch(path, "add", "members", [{"value": one}]) for one in chosen]

    return requests


def _leaves(system: System, requests: Sequence[Request], answers: Sequence[bytes]) -> list[Request]:
    joined = [request.body["Operations"][0]["value"][0]["value"] for request in requests]
    return [
        _patch(request.path, "remove", f'members[value eq "{member}"]')
        for request, member in zip(requests, joined, strict=True)
    ]


def _largest(system: System) -> int:
    return max(system.groups)


RETRIEVE = Operation("GET /Users/{id}", _retrievals)
SEARCH = Operation('GET /Users?filter=userName eq "…"', _searches)
LIST = Operation(f"GET /Users, any page of {PAGE}", _pages)
CREATE = Operation("POST /Users", _creations, _deletions)
DEACTIVATE = Operation("PATCH /Users/{id}, active=false", _deactivations, _reactivations)
JOIN_LARGEST = Operation("PATCH /Groups/{id}, +1 member, everybody in it", _joins(_largest), _leaves)


def join(size: int) -> Operation:
    """Return the addition of one member to a Group of ``size`` members."""
    return Operation(f"PATCH /Groups/{{id}}, +1 member to {size:,}", _joins(lambda _: size), _leaves)


EVERYWHERE = (RETRIEVE, SEARCH, LIST, CREATE, DEACTIVATE)
"""What does not depend on the size of a group."""
