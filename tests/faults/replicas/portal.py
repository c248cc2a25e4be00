"""A HubSpot emulator in a process of its own, which notes who called what, when, for whom, and what came of it.

It listens on one port for each replica, so that every call tells which process sent it. A call takes a while on its way
in: what a dying process sent last takes effect when it is dead.
"""

import asyncio
import json
import random
import re
import socket
import sys
import time
from dataclasses import asdict, dataclass, field, replace

from scim_bridge_hubspot.emulator import Profile, Switches
from scim_bridge_hubspot.emulator.asgi import Message, Receive, Scope, Send, deliver, lifespan, make_server
from scim_bridge_hubspot.emulator.asgi import read_request as request_of
from scim_bridge_hubspot.emulator.wire import Request
from tests.faults.promises.diary import NotingEmulator

LATENCY = (0.002, 0.02)
SLOW_LATENCY = (0.1, 0.4)
SLOW_SHARE = 0.03
"""The share of calls that take so long; none while the emulator keeps a limit: it counts after the delay."""
MANY = 1_000_000
UNLIMITED = Profile(
    name="unlimited",
    permission_sets=True,
    teams=True,
    scim=True,
    max_users=1_000_000,
    calls_per_ten_seconds=MANY,
    calls_per_day=1_000_000_000,
)
"""The limit is judged by the log: a call too many is to be seen, not to be refused."""

SET = "Sales"
TEAM = "North"
GROUPS = (SET, TEAM)
USER_PATH = re.compile(r"/settings/users/[\w-]+/(?P<key>[^/]+)")


@dataclass(slots=True)
class Noted:
    """One call.

    :param came: When it arrived, in seconds since the epoch, as the other times.
    :param applied: When it took effect, if it was to have one.
    :param left: When the answer was sent; 0 while it is not.
    :param replica: The number of the replica that sent it.
    :param account: The token, less its prefix: the connection.
    :param person: The address of whom it is about; empty for none.
    :param committed: Whether it was a write that took effect.
    :param held: What the person holds after it, in ``(active, groups)``; ``None`` for no account.
    """

    came: float
    replica: int
    account: str
    method: str
    person: str
    applied: float = 0.0
    left: float = 0.0
    status: int = 0
    committed: bool = False
    held: tuple[bool, list[str]] | None = None


@dataclass
class NotingPortal:
    """An ASGI application around the emulator.

    :param ports: The ports, in the order of the replicas.
    :param limited: Whether the emulator keeps a limit.
    """

    hubspot: NotingEmulator
    ports: list[int]
    random: random.Random
    limited: bool = False
    log: list[Noted] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note it."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["path"] == "/log":
            since = int(scope["query_string"] or b"0")
            await _send_json(send, [asdict(call) for call in self.log[since:]])
        elif scope["path"] == "/noted":
            await _send_json(send, self.hubspot.noted)
        elif scope["path"] == "/held":
            everybody = {email: self._held(email) for email in self.hubspot.snapshot()}
            await _send_json(send, {email: held[1] for email, held in everybody.items() if held and held[0]})
        elif scope["path"].startswith("/emulator/"):
            await self.hubspot.asgi(scope, receive, send)
        else:
            await self._noted(scope, receive, send)

    async def _noted(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await request_of(scope, receive)
        account = request.headers.get("authorization", "").rpartition("-")[2]
        call = Noted(time.time(), self.ports.index(scope["server"][1]), account, request.method, self._person(request))
        self.log.append(call)
        if not self.limited:
            slow = self.random.random() < SLOW_SHARE
            await asyncio.sleep(self.random.uniform(*(SLOW_LATENCY if slow else LATENCY)))
        number = self.hubspot.calls.total
        delivery = self.hubspot.answer(request)
        call.applied = time.time()
        newest = self.hubspot.calls[-1] if self.hubspot.calls.total > number else None
        call.committed = newest is not None and newest.committed
        call.status = (newest.status if newest else None) or 0
        call.held = self._held(call.person)
        try:
            await asyncio.sleep(delivery.delay)
            await deliver(delivery, scope, receive, send)
        finally:
            call.left = time.time()

    def _person(self, request: Request) -> str:
        if request.method == "POST" and request.path.startswith("/settings/users"):
            return str(json.loads(request.body).get("email", "")).lower()
        match = USER_PATH.match(request.path)
        if match is None or match["key"] in {"roles", "teams", "seats"}:
            return ""
        person = self.hubspot.people.get(match["key"]) or self.hubspot.find(match["key"])
        return person.email.lower() if person else match["key"].lower()

    def _held(self, email: str) -> tuple[bool, list[str]] | None:
        person = self.hubspot.find(email) if email else None
        if person is None or person.membership is None:
            return None
        account = self.hubspot.account(person)
        return account.active, sorted([*account.roles, *account.secondary_teams])


async def _send_json(send: Send, document: object) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def main(arguments: list[str]) -> None:
    """Serve until killed: ``portal SEED RATE LIMIT ACCOUNT…``; prints the ports.

    RATE is the probability that a call fails in a way that says nothing about whether it took effect; LIMIT is how many
    calls each account may send in ten seconds, 0 for any number.
    """
    seed, rate, limit, *accounts = arguments
    switches = Switches(names_unactivated="accepted", list_lag_reads=0)
    hubspot = NotingEmulator(
        switches=switches,
        profile=replace(UNLIMITED, calls_per_ten_seconds=int(limit) or MANY),
        seed=int(seed),
        log_size=10,
    )
    hubspot.add_role(SET)
    hubspot.add_team(TEAM)
    for account in accounts:
        hubspot.add_token(token_of(account))
    if float(rate):
        hubspot.faults.random(float(rate), ["drop_before", "drop_after", "error"], path="/settings/users")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [listener.getsockname()[1] for listener in sockets]
    print(json.dumps(ports), flush=True)
    application = NotingPortal(hubspot, ports, random.Random(int(seed)), limited=int(limit) > 0)
    make_server(application).run(sockets=sockets)  # type: ignore[arg-type] # any ASGI application will do


def token_of(account: str) -> str:
    """Return the private app's token of a connection."""
    return f"pat-na1-replicas-{account}"


if __name__ == "__main__":
    main(sys.argv[1:])
