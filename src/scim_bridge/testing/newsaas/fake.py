"""A Newsaas that is none: its API with state, for the tests and for a first look.

``python -m scim_bridge.testing.newsaas.fake`` serves it.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Query = dict[str, str]


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Person:
    """A person."""

    id: str
    email: str
    first: str = ""
    last: str = ""
    active: bool = True


@dataclass(slots=True)
class Team:
    """A team, with the ids of its members."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)

    def document(self) -> dict[str, str]:
        """Return what the API tells of it."""
        return {"id": self.id, "name": self.name}


def own_error(status: int, message: str) -> dict[str, Any]:
    """Return an error in Newsaas's form."""
    return {"error": message, "status": status, "request_id": "r-1"}


class FakeNewsaas:
    """People and teams behind HTTP; change its fields as somebody does by hand."""

    token = "not-a-real-token"

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.teams: dict[str, Team] = {}
        self._minted = 0

    def mint(self) -> str:
        """Return a new id."""
        self._minted += 1
        return str(self._minted)

    def answer(self, method: str, path: str, query: Query, body: Any) -> Any:  # noqa: PLR0911 - one a route
        """Return the body of a 200. :raises RefusalError: What else is answered."""
        match method, path.strip("/").split("/"):
            case "GET", ["account"]:
                return {"id": "account-1"}
            case "GET", ["people"] if "email" in query:
                wanted = query["email"].casefold()
                return {"items": [asdict(one) for one in self.people.values() if one.email.casefold() == wanted]}
            case "GET", ["people"]:
                return page([asdict(one) for one in self.people.values()], query)
            case "POST", ["people"]:
                return asdict(self.add_person(body))
            case _, ["people", id_, *rest]:
                return asdict(self.change_person(method, self.people.get(id_), rest, body))
            case "GET", ["teams"]:
                return page([one.document() for one in self.teams.values()], query)
            case "POST", ["teams"]:
                self.free(self.teams, "name", body["name"])
                made = Team(self.mint(), body["name"])
                self.teams[made.id] = made
                return made.document()
            case _, ["teams", id_, *rest]:
                return self.change_team(method, self.teams.get(id_), rest, body)
            case _:
                raise RefusalError(404)

    def free(self, those: dict[str, Any], name: str, value: str, but: object = None) -> None:
        """Refuse a value that is another's."""
        if any(getattr(one, name).casefold() == value.casefold() for one in those.values() if one is not but):
            raise RefusalError(409)

    def add_person(self, body: dict[str, Any]) -> Person:
        """Make somebody."""
        self.free(self.people, "email", body["email"])
        person = Person(self.mint(), **body)
        self.people[person.id] = person
        return person

    def change_person(self, method: str, person: Person | None, rest: list[str], body: Any) -> Person:
        """Read or change somebody; whoever is deactivated leaves all teams."""
        if person is None:
            raise RefusalError(404)
        if method == "PATCH":
            self.free(self.people, "email", body.get("email", person.email), person)
            for name, value in body.items():
                setattr(person, name, value)
        elif (method, rest) == ("PUT", ["active"]):
            person.active = body
            if not person.active:
                for team in self.teams.values():
                    team.members.discard(person.id)
        elif method != "GET" or rest:
            raise RefusalError(405)
        return person

    def change_team(self, method: str, team: Team | None, rest: list[str], body: Any) -> Any:
        """Read or change a team, or who is in it."""
        if team is None:
            raise RefusalError(404)
        match method, rest:
            case "GET", ["members"]:
                return sorted(team.members)
            case "PUT", ["members", id_]:
                if id_ not in self.people or not self.people[id_].active:
                    raise RefusalError(404)
                team.members.add(id_)
            case "DELETE", ["members", id_]:
                team.members.discard(id_)
            case "PATCH", []:
                self.free(self.teams, "name", body["name"], team)
                team.name = body["name"]
            case "DELETE", []:
                del self.teams[team.id]
            case "GET", []:
                pass
            case _:
                raise RefusalError(405)
        return team.document()

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer one request of ASGI."""
        if scope["type"] != "http":
            raise RuntimeError("this serves HTTP only")  # uvicorn goes on without what is not served
        content, more = b"", True
        while more:
            message = await receive()
            content += message.get("body", b"")
            more = message.get("more_body", False)
        headers = dict(scope["headers"])
        status, body = 200, None
        try:
            if headers.get(b"authorization") != f"Bearer {self.token}".encode():
                raise RefusalError(401)  # noqa: TRY301 - one place where refusals are answered
            query = dict(parse_qsl(scope["query_string"].decode()))
            body = self.answer(scope["method"], scope["path"], query, json.loads(content or b"null"))
        except RefusalError as refusal:
            status, body = refusal.status, own_error(refusal.status, "no")
        except (KeyError, TypeError, ValueError, AttributeError):
            status, body = 400, own_error(400, "what is this?")
        start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def page(items: list[Any], query: Query) -> dict[str, Any]:
    """Return a page of a list, and what to pass for the next one."""
    start, limit = int(query.get("after", "0")), min(int(query.get("limit", "50")), 100)
    more = start + limit < len(items)
    return {"items": items[start : start + limit], "next": str(start + limit) if more else None}


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(FakeNewsaas(), port=8790, log_level="info")
