"""The connector of the tutorial in ``plugins/README.md``, loaded from there, and an emulator of the Acme it drives."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

README = Path(__file__).parents[3] / "plugins" / "README.md"
MODULE = "scim_bridge_acme"


def tutorial() -> ModuleType:
    """Return the tutorial's plugin as a module, made from the first Python block of the page."""
    if MODULE not in sys.modules:
        found = re.search(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        assert found is not None
        module = ModuleType(MODULE)
        exec(compile(found[1], str(README), "exec"), vars(module))
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == "builtins":
                value.__module__ = MODULE
        sys.modules[MODULE] = module
    return sys.modules[MODULE]


class ProblemError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@contextmanager
def problems() -> Iterator[None]:
    """Turn what a malformed request leads to into a status."""
    try:
        yield
    except (KeyError, ValueError, TypeError) as error:
        raise ProblemError(400) from error


class Acme:
    """A stateful emulator of Acme's API, to be wrapped in ``httpx2.MockTransport``."""

    token = "acme-test-token"

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return httpx2.Response(401, json={"error": "who are you?"})
        try:
            return httpx2.Response(200, json=self.answer(request))
        except ProblemError as problem:
            return httpx2.Response(problem.status, json={"error": "no"})

    def answer(self, request: httpx2.Request) -> dict[str, Any]:
        """Return the body of a 200, or raise a problem."""
        _, collection, *rest = request.url.path.split("/")
        body: Any = json.loads(request.content) if request.content else {}
        if collection != "people":
            raise ProblemError(404)
        with problems():
            match request.method, rest:
                case "GET", []:
                    return self.page(request.url.params)
                case "POST", []:
                    return self.add(body)
                case "GET", [id]:
                    return self.person(id)
                case "PATCH", [id]:
                    return self.change(self.person(id), body)
                case "PUT", [id, ("active" | "teams") as field]:
                    return self.change(self.person(id), {field: body})
                case _:
                    pass
        raise ProblemError(405)

    def person(self, id: str) -> dict[str, Any]:
        """Return a person or 404."""
        if id not in self.people:
            raise ProblemError(404)
        return self.people[id]

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make a person; 409 when the e-mail is taken."""
        if self.of_email(body["email"]):
            raise ProblemError(409)
        id = str(1000 + len(self.people))
        self.people[id] = {"id": id, "active": True, "teams": [], "first": "", "last": "", **body}
        return self.people[id]

    def change(self, person: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Change a person; 409 when the new e-mail is another's."""
        if any(other is not person for other in self.of_email(values.get("email", person["email"]))):
            raise ProblemError(409)
        person.update(values)
        return person

    def of_email(self, email: str) -> list[dict[str, Any]]:
        """Return who has an e-mail, whatever its case."""
        return [person for person in self.people.values() if person["email"].casefold() == email.casefold()]

    def page(self, params: httpx2.QueryParams) -> dict[str, Any]:
        """Return a page of people, or those of one e-mail."""
        if "email" in params:
            return {"people": self.of_email(params["email"]), "next": None}
        start, limit = int(params.get("after", "0")), int(params["limit"])
        people = list(self.people.values())
        return {
            "people": people[start : start + limit],
            "next": str(start + limit) if start + limit < len(people) else None,
        }
