"""The same requests to the bridge and to scim2-server: the same answers and the same resources, but for what is meant.

Others wrote scim2-server 0.8.3 from the same RFCs. Each difference that is meant has a name here, and has to come up.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from plugins.scim.tests.providers import scim2_server
from scim_bridge.protocol import preset
from tests.http.bridge import ENTERPRISE, GROUP, PATCH_OP, USER, bridge

SEEDS = range(1, 41)
REQUESTS = 60
NOBODY = "00000000-0000-4000-8000-000000000000"

Answer = tuple[int, Any]

FILTERS = (
    'userName eq "ada@example.com"',
    "active eq true",
    "active eq false",
    'emails.value co "x.org"',
    'emails[type eq "work"]',
    'emails[type eq "work" and value co "b"]',
    "externalId pr",
    "not (title pr)",
    'name.familyName sw "b" and active eq true',
    'title eq "x" or externalId eq "e1"',
    'userName gt "b"',
    'emails co "a@"',
    'displayName ne "Ada B"',
    'title eq ""',
    "title eq null",
    f'{USER}:userName co "A"',
    f'{ENTERPRISE}:department eq "r"',
    'unknown eq "x"',
    "userName eq 5",
    'active eq "true"',
)
QUERIES = ("", "?count=0", "?startIndex=0", "?startIndex=50", "?attributes=active", "?sortBy=userName")

MEANT: dict[str, Callable[[str, str, Answer, Answer], bool]] = {
    "a User whose userName was deactivated is taken up again": lambda method, path, ours, theirs: (
        (method, path, ours[0], theirs[0]) == ("POST", "/Users", 201, 409)
    ),
    "two Groups of one displayName are refused": lambda method, path, ours, theirs: (
        path.startswith("/Groups") and method != "GET" and ours[0] == 409 and theirs[0] < 300
    ),
    "a member who is named twice is one": lambda method, path, ours, theirs: (
        path.startswith("/Groups") and ours[0] in {200, 201} and _once(theirs) == ours
    ),
    "a userName in another case is the one that it was": lambda method, path, ours, theirs: (
        json.dumps(ours[1]).lower() == json.dumps(theirs[1]).lower()
    ),
    "a boolean is compared with booleans only": lambda method, path, ours, theirs: (
        quote('active eq "true"') in path and (ours[0], theirs[0]) == (400, 200)
    ),
}
"""What the bridge does on purpose where scim2-server does something else, and how that is told from any other."""


@dataclass
class Side:
    """One of the two, and the ids that it gave to what both have."""

    http: httpx2.AsyncClient
    root: str
    token: str
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request that names resources by their labels; ids of the answer become labels again."""
        text = None if body is None else json.dumps(body)
        for label, id_ in self.ids.items():
            path = path.replace(label, id_)
            text = text and text.replace(label, id_)
        headers = {"Authorization": f"Bearer {self.token}"} | (
            {"Content-Type": "application/scim+json"} if text else {}
        )
        response = await self.http.request(method, self.root + path, content=text, headers=headers)
        labels = {id_: label for label, id_ in self.ids.items()}
        return response.status_code, _comparable(json.loads(response.content) if response.content else None, labels)


def _comparable(value: Any, labels: Mapping[str, str]) -> Any:
    """Return a value without what two servers may word, count or order as they like."""
    if isinstance(value, dict):
        kept = {name: _comparable(one, labels) for name, one in value.items() if name not in _FREE}
        return {name: one for name, one in kept.items() if one not in (None, [], {})}
    if isinstance(value, list):
        return sorted((_comparable(one, labels) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return labels.get(value, value) if isinstance(value, str) else value


_FREE = {"meta", "$ref", "detail", "groups", "type", "display"}


def _once(answer: Answer) -> Answer:
    status, document = answer
    members = {json.dumps(one): one for one in document.get("members", ())}
    return status, document | {"members": list(members.values())}


@dataclass
class Requests:
    """Random requests about what was made so far."""

    chance: random.Random
    made: dict[str, list[str]] = field(default_factory=lambda: {"/Users": [], "/Groups": []})

    def one(self) -> tuple[str, str, Any]:
        """Return a method, a path and a body."""
        endpoint = self.chance.choice(["/Users", "/Users", "/Groups"])
        user = endpoint == "/Users"
        match self.chance.choice(
            ["POST", "POST", "PATCH", "PATCH", "PATCH", "PUT", "PUT", "DELETE", "GET", "list", "search"]
        ):
            case "POST":
                return "POST", endpoint, self._user() if user else self._group()
            case "PUT":
                return "PUT", self._some(endpoint), self._user() if user else self._group()
            case "PATCH":
                change = self._user_change if user else self._group_change
                operations = [change() for _ in range(self.chance.choice([1, 1, 2]))]
                return "PATCH", self._some(endpoint), {"schemas": [PATCH_OP], "Operations": operations}
            case "list":
                return "GET", endpoint + self.chance.choice(QUERIES), None
            case "search":
                return "GET", "/Users?filter=" + quote(self.chance.choice(FILTERS)), None
            case method:
                return str(method), self._some(endpoint), None

    def _some(self, endpoint: str) -> str:
        made = self.made[endpoint]
        return f"{endpoint}/{self.chance.choice(made) if made and self.chance.random() < 0.95 else NOBODY}"

    def _members(self, most: int) -> list[dict[str, str]]:
        people = self.made["/Users"]  # who is not there is tested elsewhere: scim2-server takes anybody
        return [{"value": self.chance.choice(people)} for _ in range(self.chance.randint(0, most))] if people else []

    def _name(self) -> str:
        return self.chance.choice(["ada", "ADA", "bob"]) + "@example.com"

    def _user(self) -> dict[str, Any]:
        optional: dict[str, Any] = {
            "name": {"givenName": self.chance.choice(["Ada", "A"]), "familyName": "Byron"},
            "emails": [{"value": self.chance.choice(["a@x.org", "b@x.org"]), "type": "work", "primary": True}],
            "externalId": self.chance.choice(["e1", "e2"]),
            "title": self.chance.choice(["x", ""]),
            "displayName": "Ada B",
            ENTERPRISE: {"department": "R"},
        }
        given = {name: value for name, value in optional.items() if self.chance.random() < 0.4}
        schemas = [USER, ENTERPRISE] if ENTERPRISE in given else [USER]
        return {"schemas": schemas, "userName": self._name(), "active": self.chance.random() < 0.5, **given}

    def _group(self) -> dict[str, Any]:
        name = self.chance.choice(["S1", "s1", "T2", "U3"])
        return {"schemas": [GROUP], "displayName": name, "members": self._members(2)}

    def _user_change(self) -> dict[str, Any]:
        op, path, value = self.chance.choice(
            [
                ("replace", "active", self.chance.random() < 0.5),
                ("replace", None, {"active": False, "title": "y"}),
                ("add", None, {"name": {"middleName": "M"}}),
                ("add", "title", "t"),
                ("remove", "title", None),
                ("replace", "name.familyName", "L"),
                ("replace", "name", {"givenName": "Only"}),
                ("remove", "name", None),
                ("add", "emails", [{"value": "c@x.org", "type": "other"}]),
                ("replace", "emails", [{"value": "z@x.org", "primary": True}]),
                ("replace", 'emails[type eq "work"].value', "n@x.org"),
                ("remove", 'emails[type eq "work"]', None),
                ("remove", "emails", None),
                ("add", "phoneNumbers", [{"value": "1", "primary": True}]),
                ("replace", f"{ENTERPRISE}:department", "S"),
                ("remove", f"{ENTERPRISE}:department", None),
                ("replace", "userName", self._name()),
                ("remove", "userName", None),
                ("replace", "id", "x"),
                ("replace", "unknown", 1),
                ("remove", None, None),
            ]
        )
        given = {"op": op, "path": path, "value": value}
        return {name: one for name, one in given.items() if one is not None}

    def _group_change(self) -> dict[str, Any]:
        one = self._members(1)
        who = one[0]["value"] if one else NOBODY
        return self.chance.choice(
            [
                {"op": "add", "path": "members", "value": one},
                {"op": "add", "value": {"members": one}},
                {"op": "replace", "path": "members", "value": one},
                {"op": "remove", "path": f'members[value eq "{who}"]'},
                {"op": "remove", "path": "members"},
                {"op": "replace", "path": "displayName", "value": self.chance.choice(["S3", "T4"])},
                {"op": "add", "path": "externalId", "value": "g"},
            ]
        )


async def _history(seed: int, ours: Side, theirs: Side, met: Counter[str]) -> None:
    requests = Requests(random.Random(seed))
    for number in range(REQUESTS):
        method, path, body = requests.one()
        answers = [await side.ask(method, path, body) for side in (ours, theirs)]
        statuses = [status for status, _ in answers]
        written = method in {"PATCH", "PUT"} and max(statuses) < 300
        if written:
            answers = [await side.ask("GET", path) for side in (ours, theirs)]
        if method == "POST" and statuses == [201, 201]:
            label = f"#{seed}-{number}#"
            for side, (_, document) in zip((ours, theirs), answers, strict=True):
                side.ids[label] = document.pop("id")
            requests.made[path].append(label)
        if answers[0] != answers[1]:
            meant = next((name for name, tells in MEANT.items() if tells(method, path, *answers)), None)
            assert meant, (
                f"seed {seed}, request {number}: {method} {path} {json.dumps(body)}\n{answers[0]}\n{answers[1]}"
            )
            met[meant] += 1
            if method != "GET":
                return  # from here on the two hold different resources
        met["alike"] += 1
        if method == "DELETE" and statuses[0] == 204:
            endpoint, _, label = path.rpartition("/")
            requests.made[endpoint].remove(label)
            if endpoint == "/Users":
                return  # scim2-server lists a deleted User in its groups for good


async def test_the_same_requests_have_the_same_answers_but_for_what_is_meant(tmp_path: Path) -> None:
    """Histories of random requests; a difference that is meant ends its history, as the two differ from then on."""
    met: Counter[str] = Counter()
    for seed in SEEDS:
        directory = tmp_path / str(seed)
        directory.mkdir()
        async with (
            bridge(directory, client=preset("strict")) as (tenant,),
            httpx2.AsyncClient(transport=scim2_server(), base_url="http://localhost") as http,
        ):
            ours = Side(tenant.http, f"/{tenant.connection_id}/scim/v2", tenant.token)
            await _history(seed, ours, Side(http, "/v2", "none"), met)
    print(f"seeds {SEEDS.start} to {SEEDS.stop - 1}: {dict(met)}")
    assert set(MEANT) <= set(met)
    assert met["alike"] >= 400
