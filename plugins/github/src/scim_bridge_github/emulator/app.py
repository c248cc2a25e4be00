"""The emulated API: routes, credentials, limits, pages; an ASGI application and a transport."""

import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from . import documents
from .organization import Organization, Person, Switches, Team

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
DOCUMENTATION = "https://docs.github.com/rest"


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)})
        self.answer.headers |= headers or {}
        if errors is not None:
            self.answer.body |= {"errors": errors}


class Answer:
    """An answer; no body for 204."""

    def __init__(self, status: int, body: Any = None) -> None:
        self.status = status
        self.body = body
        self.headers: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the routes read it."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    token: str


class GitHubEmulator(Organization):
    """One organisation behind GitHub's REST API, with what tests do to it.

    :param now: Seconds since the epoch.
    """

    token = "ghp_not-a-real-token"

    def __init__(
        self, login: str = "acme", *, switches: Switches | None = None, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(login, now=now)
        self.switches = switches or Switches()
        self.limited = 0
        """So many further requests meet a secondary limit."""
        self.seats: int | None = None
        """How many people the organisation pays for; ``None``: as many as there are."""
        self.invitations_left: int | None = None
        """How many people GitHub lets it invite today; ``None``: any number."""
        self.sees_members = True
        """Whether the token may see the organisation's members."""
        self.log: list[tuple[str, str, int]] = []
        """Method, path and status of every request but for the control's."""

    # -- Requests --------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        if request.path.startswith("/emulator/"):
            return self._control(request)
        self.expire()
        try:
            self._admit(request)
            answer = self._route(request)
        except RefusalError as refusal:
            answer = refusal.answer
        self.log.append((request.method, request.path, answer.status))
        return answer

    def _admit(self, request: Request) -> None:
        if request.token != self.token:
            raise RefusalError(401, "Bad credentials")
        if self.limited <= 0:
            return
        self.limited -= 1
        status = int(self.switches.limit_status)
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        headers = {"Retry-After": "30"} if self.switches.secondary == "retry_after" else {}
        raise RefusalError(status, message, headers=headers)

    def _route(self, request: Request) -> Answer:
        organization = f"/orgs/{re.escape(self.login)}"
        routes: list[tuple[str, Callable[..., Answer]]] = [
            ("/user", lambda _: Answer(200, documents.profile(self.owner))),
            (r"/user/(\d+)", lambda _, id_: Answer(200, documents.profile(self._by_id(id_)))),
            ("/users/([^/]+)", lambda _, login: Answer(200, documents.profile(self._by_login(login)))),
            (organization, lambda _: Answer(200, documents.organization(self))),
            (f"{organization}/members", self._members),
            (f"{organization}/invitations", self._invitations),
            (f"{organization}/memberships/([^/]+)", self._membership),
            (f"{organization}/teams", self._teams),
            (rf"/organizations/{self.id}/team/(\d+)", self._team),
            (rf"/organizations/{self.id}/team/(\d+)/members", self._team_members),
            (rf"/organizations/{self.id}/team/(\d+)/teams", self._child_teams),
            (rf"/organizations/{self.id}/team/(\d+)/memberships/([^/]+)", self._team_membership),
        ]
        for pattern, handler in routes:
            if (found := re.fullmatch(pattern, request.path, re.IGNORECASE)) is not None:
                if "/team" in pattern or "/mem" in pattern or "/inv" in pattern:
                    self._permit()
                return handler(request, *found.groups())
        parts = request.path.split("/")
        if self.switches.renamed == "301" and parts[1] == "orgs" and parts[2] in self.former:
            place = "/".join([documents.API, "organizations", str(self.id), *parts[3:]])
            raise RefusalError(301, "Moved Permanently", headers={"Location": place})
        raise RefusalError(404, "Not Found")

    def _permit(self) -> None:
        if not self.sees_members:
            hidden = self.switches.forbidden == "404"
            message = "Not Found" if hidden else "Resource not accessible by personal access token"
            raise RefusalError(404 if hidden else 403, message)

    def _by_id(self, id_: str) -> Person:
        return self._there(self.people.get(int(id_)))

    def _by_login(self, login: str) -> Person:
        return self._there(self.find(login))

    @staticmethod
    def _there(person: Person | None) -> Person:
        if person is None:
            raise RefusalError(404, "Not Found")
        return person

    def _page(self, request: Request, items: list[dict[str, Any]]) -> Answer:
        size = min(max(int(request.query.get("per_page", "30")), 1), 100)
        number = max(int(request.query.get("page", "1")), 1)
        answer = Answer(200, items[(number - 1) * size : number * size])
        if number * size < len(items):
            url = f"{documents.API}{request.path}?per_page={size}&page={number + 1}"
            answer.headers["Link"] = f'<{url}>; rel="next"'
        return answer

    # -- Members ---------------------------------------------------------------------------------------------------

    def _members(self, request: Request) -> Answer:
        role = request.query.get("role", "all")
        told = [(id_, one) for id_, one in self.members.items() if one.invited_at is None]
        found = [self.people[id_] for id_, one in told if role in ("all", one.role)]
        return self._page(request, [documents.user(one) for one in found])

    def _invitations(self, request: Request) -> Answer:
        found = [(self.people[id_], one) for id_, one in self.members.items() if one.invited_at is not None]
        return self._page(request, [documents.invitation(self, person, one) for person, one in found])

    def _membership(self, request: Request, login: str) -> Answer:
        person = self._by_login(login)
        member = self.members.get(person.id)
        if request.method == "PUT":
            if person.type != "User":
                raise RefusalError(422, "Validation Failed", [{"resource": "Membership", "code": "invalid"}])
            if member is None:
                if self.seats is not None and len(self.members) >= self.seats:
                    message = "You must purchase at least one more seat to add this user as a member."
                    raise RefusalError(422, message, [{"code": "no_seat", "field": "user"}])
                if self.invitations_left is not None:
                    if self.invitations_left == 0:
                        error = {"resource": "OrganizationInvitation", "code": "unprocessable"}
                        error["message"] = "Over invitation rate limit"
                        raise RefusalError(422, "Validation Failed", [error])
                    self.invitations_left -= 1
                self.invite(person, request.body.get("role", "member"))
                if self.switches.accepts == "at_once":
                    self.accept(person.login)
            else:
                member.role = request.body.get("role", "member")
            member = self.members[person.id]
        if member is None:
            raise RefusalError(404, "Not Found")
        if request.method == "DELETE":
            owners = [id_ for id_, one in self.members.items() if one.role == "admin" and one.invited_at is None]
            if owners == [person.id]:
                raise RefusalError(403, "You can't remove the last owner of this organization.")
            self.remove(person)
            return Answer(204)
        return Answer(200, documents.membership(self, person, member))

    # -- Teams -----------------------------------------------------------------------------------------------------

    def _teams(self, request: Request) -> Answer:
        if request.method == "POST":
            self._free(request.body["name"])
            team = self.add_team(request.body["name"])
            team.members[self.owner.id] = "maintainer"
            return Answer(201, documents.team(self, team, full=True))
        return self._page(request, [documents.team(self, one) for one in self.teams.values()])

    def _free(self, name: str, but: Team | None = None) -> None:
        taken = Team(0, name).slug
        if any(one.slug == taken for one in self.teams.values() if one is not but):
            error = {"resource": "Team", "code": "already_exists", "field": "name"}
            raise RefusalError(422, "Validation Failed", [error])

    def _found(self, id_: str) -> Team:
        if int(id_) not in self.teams:
            raise RefusalError(404, "Not Found")
        return self.teams[int(id_)]

    def _team(self, request: Request, id_: str) -> Answer:
        team = self._found(id_)
        if request.method == "DELETE":
            for child in self.below(team):
                del self.teams[child.id]
            del self.teams[team.id]
            return Answer(204)
        if request.method == "PATCH":
            self._free(request.body["name"], team)
            team.name = request.body["name"]
        return Answer(200, documents.team(self, team, full=True))

    def _team_members(self, request: Request, id_: str) -> Answer:
        found = self.all_members(self._found(id_)).items()
        told = [(self.people[one], role, inherited) for one, (role, inherited) in found if one in self.members]
        return self._page(
            request, [documents.user(one) | {"role": role, "inherited": only} for one, role, only in told]
        )

    def _child_teams(self, request: Request, id_: str) -> Answer:
        return self._page(request, [documents.team(self, one) for one in self.below(self._found(id_))])

    def _team_membership(self, request: Request, id_: str, login: str) -> Answer:
        team, person = self._found(id_), self._by_login(login)
        if request.method == "PUT":
            if person.id not in self.members:
                self.invite(person, "member")
            team.members[person.id] = request.body.get("role", "member")
        if request.method == "DELETE":
            if team.members.pop(person.id, None) is None and self.switches.leave_unknown == "404":
                raise RefusalError(404, "Not Found")
            return Answer(204)
        role = self.all_members(team).get(person.id)
        if role is None:
            raise RefusalError(404, "Not Found")
        return Answer(200, documents.team_membership(self, team, person, role[0]))

    # -- What tests and people do ------------------------------------------------------------------------------------

    def _control(self, request: Request) -> Answer:
        """Answer ``GET /emulator/state``, and ``POST /emulator/ACTION/LOGIN``."""
        action, _, name = request.path.removeprefix("/emulator/").partition("/")
        actions: dict[str, Callable[[], object]] = {
            "people": partial(self.person, name),
            "accept": partial(self.accept, name),
            "members": partial(self.add_member, name),
        }
        if request.method == "POST" and name and action in actions:
            actions[action]()
        elif (request.method, action) != ("GET", "state"):
            return Answer(404, {"message": "GET /emulator/state; POST /emulator/{people,members,accept}/LOGIN"})
        return Answer(200, self.snapshot())

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return what a client is given in place of the network."""
        return httpx2.ASGITransport(app=self.asgi)

    async def asgi(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request, or the start and the end of a server."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        content = b""
        while True:
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        sent = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        token = sent.get("authorization", "").removeprefix("Bearer ")
        answer = self.handle(Request(scope["method"], scope["path"], query, json.loads(content or b"{}"), token))
        headers = {"Date": formatdate(self.now(), usegmt=True), **answer.headers}
        body = b"" if answer.status == 204 else json.dumps(answer.body).encode()
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})
