"""Lives of people in an identity provider: requests in order, what HubSpot must show after each, and who was told what.

The client repeats a request that was not answered, as identity providers do. A journal that survives its process notes
each request before it is sent and each answer before anything else happens; so whoever comes after a crash knows what
was promised.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MOST_429 = 400
"""So many times for each person may be answered 429 before the bridge is taken to be stuck."""


class Held(NamedTuple):
    """What an active account holds in HubSpot. Somebody without an active account is ``None``."""

    family_name: str
    groups: frozenset[str] = frozenset()


class Answer(NamedTuple):
    """What a client was answered."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, Any]


class ViolationError(AssertionError):
    """A promise was broken."""


Send = Callable[[str, str, Any], Awaitable[Answer]]
"""Sends a request (method, path below the base URL, JSON or ``None``)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request in a life.

    :param name: ``create``, ``rename``, ``join Sales``, ``leave Sales``, ``deactivate``, ``reactivate`` or ``delete``;
        ``replace`` and ``retire``, which rename and deactivate by PUT; or ``move``, which changes the userName.
    :param after: What HubSpot holds once it was answered.
    :param family_name: What the client has by then, also of somebody whom HubSpot does not show.
    :param email: The userName by then.
    """

    name: str
    after: Held | None
    family_name: str
    email: str

    @property
    def removes(self) -> bool:
        """Whether it takes something away."""
        return self.name.split()[0] in {"leave", "deactivate", "retire", "delete"}


@dataclass(frozen=True, slots=True)
class Life:
    """A person and what happens to them.

    :param steps: In order; each is sent once the one before was answered.
    """

    name: str
    steps: tuple[Step, ...]

    @property
    def email(self) -> str:
        """The first userName."""
        return f"{self.name}@corp.example"

    def after(self, steps: int) -> Held | None:
        """Return what HubSpot holds after so many steps."""
        return self.steps[steps - 1].after if steps else None

    @property
    def creations(self) -> int:
        """How often HubSpot has to create the account: removed accounts are created anew."""
        states = [None, *(step.after for step in self.steps)]
        return sum(before is None and after is not None for before, after in pairwise(states))


def life(name: str, *names: str) -> Life:
    """Return the life of somebody from the names of its steps."""
    active, family, groups, renames = False, f"{name.title()}son", set[str](), 0
    email = f"{name}@corp.example"
    steps = []
    for step in names:
        verb, _, group = step.partition(" ")
        if verb in {"rename", "replace"}:
            renames += 1
            family = f"{name.title()}-{renames}"
        elif verb == "join":
            groups.add(group)
        elif verb == "leave":
            groups.discard(group)
        elif verb == "move":
            email = f"new.{email}"
        else:
            active = verb in {"create", "reactivate"}
        if verb == "delete":
            groups.clear()
        steps.append(Step(step, Held(family, frozenset(groups)) if active else None, family, email))
    return Life(name, tuple(steps))


WHOLE = (
    "create",
    "join Sales",
    "rename",
    "leave Sales",
    "join Support",
    "deactivate",
    "rename",
    "reactivate",
    "deactivate",
    "delete",
)
"""Everything that can happen to somebody."""


@dataclass(slots=True)
class Progress:
    """How far a life has come, as its client knows.

    :param begun: How many requests were sent.
    :param answered: How many were answered with success.
    :param id: The ``id`` that the client was told; empty before.
    """

    begun: int = 0
    answered: int = 0
    id: str = ""


class Journal:
    """Notes on a file what a client sent and was answered. A killed process loses nothing of it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, name: str, progress: Progress) -> None:
        """Note how far somebody is."""
        line = json.dumps([name, progress.begun, progress.answered, progress.id])
        os.write(self._file, f"{line}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @staticmethod
    def read(path: Path) -> dict[str, Progress]:
        """Return how far everybody is."""
        found = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                name, *progress = json.loads(line)
                found[name] = Progress(*progress)
        return found


@dataclass
class Client:
    """An identity provider that leads lives.

    :param groups: ``id`` of each Group by displayName.
    :param note: Called before each request and after each answer.
    :param pause: Seconds to wait after a 429, whatever it says.
    """

    send: Send
    groups: Mapping[str, str]
    note: Callable[[str, Progress], None] = lambda _name, _progress: None
    pause: float = 0.02
    statuses: Counter[int] = field(default_factory=Counter)
    progress: dict[str, Progress] = field(default_factory=dict)

    async def lead(self, lives: Sequence[Life]) -> None:
        """Lead these lives at the same time, each from where it stands."""
        await asyncio.gather(*(self._lead(one) for one in lives))

    async def _lead(self, one: Life) -> None:
        progress = self.progress.setdefault(one.name, Progress())
        while progress.answered < len(one.steps):
            await self.step(one)

    async def step(self, one: Life) -> None:
        """Take the next step of a life, again until it is answered with success."""
        progress = self.progress.setdefault(one.name, Progress())
        step = one.steps[progress.answered]
        repeated = progress.begun > progress.answered
        progress.begun = progress.answered + 1
        self.note(one.name, progress)
        answer, again = await self.insist(f"{step.name} of {one.name}", *self.request(one, step, progress.id))
        progress.id = await self._id_of(one, step, answer, progress.id, repeated=repeated or again)
        progress.answered += 1
        self.note(one.name, progress)

    async def insist(self, what: str, method: str, path: str, body: Any) -> tuple[Answer, bool]:
        """Send a request until it is not answered 429; return the answer, and whether the request was repeated."""
        repeated = False
        while (answer := await self.send(method, path, body)).status == 429:
            if not answer.headers.get("retry-after", "").isdigit():
                raise ViolationError(f"{what}: 429 without whole seconds in Retry-After")
            await self.pending(what)
            repeated = True
        self.statuses[answer.status] += 1
        return answer, repeated

    async def pending(self, what: str) -> None:
        """Wait after a 429."""
        self.statuses[429] += 1
        if self.statuses[429] > MOST_429 * len(self.progress):
            raise ViolationError(f"{what} is answered 429 without end")
        await asyncio.sleep(self.pause)

    async def _id_of(self, one: Life, step: Step, answer: Answer, known: str, *, repeated: bool) -> str:
        """Return the ``id`` of a person whose request succeeded. :raises ViolationError: When it did not."""
        if answer.status in (200, 201, 204):
            return str(answer.document["id"]) if step.name == "create" else known
        if repeated and step.name == "delete" and answer.status == 404:
            return known
        if repeated and step.name == "create" and answer.status == 409:
            found = await self.send("GET", f'/Users?filter=userName%20eq%20"{one.email}"', None)
            if found.document.get("totalResults") == 1:
                return str(found.document["Resources"][0]["id"])
        raise ViolationError(f"{step.name} of {one.name} was answered {answer.status} {dict(answer.document)}")

    def request(self, one: Life, step: Step, id_: str) -> tuple[str, str, Any]:
        """Return method, path and body of a step."""
        verb, _, group = step.name.partition(" ")
        if verb == "create":
            return "POST", "/Users", user_of(one, step)
        if verb in {"replace", "retire"}:
            return "PUT", f"/Users/{id_}", user_of(one, step)
        if verb == "delete":
            return "DELETE", f"/Users/{id_}", None
        path = f"/Groups/{self.groups[group]}" if group else f"/Users/{id_}"
        operation = {
            "join": {"op": "add", "path": "members", "value": [{"value": id_}]},
            "leave": {"op": "remove", "path": f'members[value eq "{id_}"]'},
            "rename": {"op": "replace", "path": "name.familyName", "value": step.family_name},
            "move": {"op": "replace", "path": "userName", "value": step.email},
            "deactivate": {"op": "replace", "path": "active", "value": False},
            "reactivate": {"op": "replace", "path": "active", "value": True},
        }[verb]
        return "PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]}


def user_of(one: Life, step: Step) -> dict[str, Any]:
    """Return the User that a step creates or replaces."""
    name = {"givenName": "Given", "familyName": step.family_name}
    active = step.name != "retire"
    return {"schemas": [USER], "userName": step.email, "externalId": one.name, "active": active, "name": name}


def at_any_time(one: Life, progress: Progress, held: Held | None) -> str:
    """Return what is wrong with what somebody holds while a request may be under way; empty when nothing is.

    What was taken away and answered is gone; what was given and answered is there; in between both may be.
    """
    before, after = one.after(progress.answered), one.after(progress.begun)
    if before is None and after is None:
        return f"{one.name} has an account after {progress.answered} steps" if held else ""
    if held is None:
        return "" if before is None or after is None else f"{one.name} lost the account after {progress.answered} steps"
    allowed = (before.groups if before else frozenset()) | (after.groups if after else frozenset())
    granted = held.groups - allowed
    return f"{one.name} has {set(granted)} after {progress.answered} steps" if granted else ""


def at_rest(one: Life, progress: Progress, held: Held | None) -> str:
    """Return what is wrong with what somebody holds when nothing is under way; empty when nothing is."""
    expected = [one.after(steps) for steps in range(progress.answered, progress.begun + 1)]
    return "" if held in expected else f"{one.name} holds {held} instead of {' or '.join(map(str, expected))}"
