"""People who are made anew, with something wrong at every call: ``python -m tests.faults.recreations``.

With ``rename = "recreate"`` a new userName makes another account, and whoever comes back is invited anew: for a moment
a person has two. Each round lets one begin, strikes at its nth call to HubSpot, lets the client want something else at
that moment, and looks when all is at rest: HubSpot has one account of the person or none, as the client wants by then.
Every promise is held against each round, too.
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx2

from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults import recreation_defects
from tests.faults.cases import MODES
from tests.faults.histories import Histories
from tests.faults.hubspot_world import HubSpotWorld
from tests.faults.instruments import workplace
from tests.faults.promises.cases import Case, staffed
from tests.faults.promises.edges import PATCH_OP, USER, address
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.record import Account
from tests.faults.simulation import Report, Violation
from tests.faults.simulation.loop import PROCESS

PEOPLE = re.compile(r"/settings/users/[^/]+/?$|/settings/users/[^/]+/(?!roles$|teams$|seats$)[^/]+$|/scim/v2/Users")
"""Calls about people."""
HAND = "By hand"
"""A team that no group manages."""
BACK = "back under another userName"
MOST_CALLS = 12
"""More than any re-creation makes."""
LASTING = 120.0
"""Seconds for which removals fail, where they fail for long."""
HAND_MADE = ("Service",)
"""What an account holds that was made by hand."""
OLD, NEW, OTHER = "ada", "ada.new", "ada.third"

Client = Callable[["Recreated"], Awaitable[object]]


class Strike(NamedTuple):
    """What goes wrong, and at which call."""

    kind: str
    call: int


class Round(NamedTuple):
    """What happens.

    :param start: How the person comes to have two accounts.
    :param then: What the client wants at the moment of the strike.
    """

    mode: str
    start: str
    then: str
    strike: Strike

    def __str__(self) -> str:
        return f"{self.mode}, {self.start}, {self.strike.kind} at call {self.strike.call}, then {self.then}"


class Road(httpx2.AsyncBaseTransport):
    """The way to HubSpot, on which one call is struck."""

    def __init__(self, one: "Recreated") -> None:
        self._one = one
        self._inner = one.hubspot.transport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on, unless it is the one."""
        one = self._one
        if not one.armed or PEOPLE.search(request.url.path) is None:
            return await self._inner.handle_async_request(request)
        one.calls += 1
        kind, nth = one.round.strike
        if kind == "removals fail" and request.method == "DELETE":
            one.hubspot.faults.add("error", method="DELETE", path="/settings/", seconds=LASTING, times=None)
            one.hit()
        elif one.calls == nth and kind in FAULTS:
            FAULTS[kind](one.hubspot)
            one.hit()
        elif one.calls == nth and kind == "killed before":
            await self._die()
        response = await self._inner.handle_async_request(request)
        if one.armed and one.calls == nth and kind == "killed after":
            await self._die()
        return response

    async def _die(self) -> None:
        process = PROCESS.get()
        assert process is not None
        self._one.killed = True
        self._one.hit()
        process.die()
        await asyncio.sleep(0)


FAULTS: dict[str, Callable[[HubSpotEmulator], object]] = {
    "500": lambda hubspot: hubspot.faults.add("error", status=500),
    "500 after": lambda hubspot: hubspot.faults.add("error", status=500, commit=True),
    "423": lambda hubspot: hubspot.faults.add("locked"),
    "reset before": lambda hubspot: hubspot.faults.add("drop_before"),
    "reset after": lambda hubspot: hubspot.faults.add("drop_after"),
}
STRIKES = (*FAULTS, "killed before", "killed after")


class Recreated(Case):
    """One round."""

    round: Round

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.mode = self.round.mode
        super().__init__(*arguments, **options)
        remote = self.world.remote
        assert isinstance(remote, HubSpotWorld)
        remote.settings = {**remote.settings, "rename": "recreate"}
        remote.settings.pop("teams_as_groups")
        self.record.moves = True
        vars(remote)["transport"] = lambda: Road(self)
        self.hand = self.hubspot.add_team(HAND)
        self.armed = self.killed = False
        self.calls = 0
        self.made_by_hand: Account | None = None
        self.struck = asyncio.Event()

    script = staticmethod(lambda one: one.follow())

    def hit(self) -> None:
        """Strike once."""
        self.armed = False
        self.struck.set()

    # -- What the client writes --------------------------------------------------------------------------------------

    async def change(self, *operations: dict[str, Any]) -> int:
        """Patch the person."""
        return await self.client.patch(f"/Users/{self.client.ids[OLD]}", *operations)

    async def move(self, name: str) -> int:
        """Change the userName."""
        return await self.change({"op": "replace", "path": "userName", "value": address(name)})

    async def active(self, active: bool) -> int:
        """Change ``active``."""
        return await self.change({"op": "replace", "path": "active", "value": active})

    async def leave(self) -> int:
        """Take the person out of Sales."""
        gone = {"op": "remove", "path": f'members[value eq "{self.client.ids[OLD]}"]'}
        return await self.client.patch(f"/Groups/{self.client.groups['Sales']}", gone)

    async def delete(self) -> object:
        """Delete the person."""
        return await self.client.send("DELETE", f"/Users/{self.client.ids[OLD]}")

    async def reuse(self) -> object:
        """Create somebody else under the address that was given up."""
        body = {"schemas": [USER], "userName": address(OLD), "externalId": "another", "active": True}
        return await self.client.send("POST", "/Users", body)

    # -- The round ---------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Let it happen."""
        await staffed(self, OLD)
        membership = self.hubspot.member(address(OLD)).membership
        assert membership is not None
        self.by_hand(membership.secondary_team_ids.append, self.hand.id)
        begin = await STARTS[self.round.start](self)
        self.armed = True
        begun = asyncio.create_task(self.once(*begin))
        hit = asyncio.create_task(self.struck.wait())
        await asyncio.wait({begun, hit}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        hit.cancel()
        self.armed = False
        if self.killed:
            await asyncio.sleep(1)
            await self.world.start_bridge()
        await THEN[self.round.then](self)
        if self.round.then == "nothing else":
            await self.move(NEW)
        await begun
        await asyncio.sleep(2 * LASTING)

    async def once(self, path: str, operation: dict[str, Any]) -> None:
        """Send a PATCH once, whatever comes of it."""
        headers = {"Authorization": self.world.authorization, "Content-Type": "application/scim+json"}
        body = {"schemas": [PATCH_OP], "Operations": [operation]}
        with suppress(httpx2.TransportError):
            await self.client.http.request("PATCH", path, json=body, headers=headers)

    async def end(self) -> None:
        """Judge, and look at what HubSpot and the bridge's database hold of the person."""
        await super().end()
        if (
            self.made_by_hand in accounts_of(self.hubspot).values()
        ):  # it was never the person's, whatever they are called
            violations = self.world.oracle.violations
            violations[:] = [one for one in violations if not one.detail.startswith(address(NEW))]
        for wrong in self.wrong():
            self.world.oracle.violations.append(Violation("recreation", asyncio.get_running_loop().time(), wrong))

    def wrong(self) -> Iterator[str]:
        """Yield what is not as the client wants it."""
        names = {address(name): name for name in (OLD, NEW, OTHER)}
        shown = {names[one.email]: one for one in accounts_of(self.hubspot).values() if one.email in names}
        called_as_before = self.round.start == BACK and self.mode != "remove" and self.round.then != "nothing else"
        stays = {"back": OLD, "a third name": OTHER}.get(self.round.then, OLD if called_as_before else NEW)
        if self.round.then != "nothing else" and self.made_by_hand and shown.get(NEW) == self.made_by_hand:
            shown.pop(NEW)  # it was never taken over, and is left to whoever made it
        others = shown.keys() - {stays} - ({OLD} if self.round.then == "another person" else set())
        if self.round.then in {"deactivate", "delete"}:
            if inside := [name for name, one in shown.items() if one.access]:
                yield f"{inside} get in"
            if len(shown) > (self.mode != "remove" and self.round.then == "deactivate"):
                yield f"HubSpot still has {sorted(shown)}"
        elif stays not in shown or not shown[stays].access:
            yield f"{stays} has no access"
        else:
            wanted = {HAND} if self.round.then == "leave" else {HAND, "Sales"}
            kept = {HAND}
            if wanted == {HAND} and self.made_by_hand:
                kept |= {*HAND_MADE}  # unless the strike came when the group's set had taken its place
            if self.round.then == "another person" and self.round.start == BACK:
                wanted.discard(HAND)  # HubSpot gives the former id to the other person, and what it stood for with it
            if not wanted <= shown[stays].sets <= {*wanted, *kept}:
                yield f"{stays} holds {sorted(shown[stays].sets)} instead of {sorted(wanted)}"
            if others:
                yield f"HubSpot still has {sorted(others)}"
        if (
            self.round.then == "another person"
            and not called_as_before
            and (OLD not in shown or shown[OLD].sets or not shown[OLD].access)
        ):
            yield f"the other person has {shown.get(OLD)}"
        yield from self.left_in_the_store()

    def left_in_the_store(self) -> Iterator[str]:
        """Yield what the bridge's database should not have."""
        connection = self.world.witness._connection
        if connection.execute("SELECT value FROM connector_state WHERE key = 'recreations'").fetchall():
            yield "the note of two accounts stays"
        rows = connection.execute(
            "SELECT name FROM resource WHERE kind = 'User' AND ownership = 'discovered' AND name LIKE 'ada%'"
        ).fetchall()
        if rows and not self.made_by_hand:
            yield f"{rows} are told as nobody's"


async def _renamed(one: Recreated) -> tuple[str, dict[str, Any]]:
    return f"/Users/{one.client.ids[OLD]}", {"op": "replace", "path": "userName", "value": address(NEW)}


async def _adopted(one: Recreated) -> tuple[str, dict[str, Any]]:
    one.by_hand(one.hubspot.add_person, address(NEW), roles=HAND_MADE)
    one.made_by_hand = next(each for each in accounts_of(one.hubspot).values() if each.email == address(NEW))
    return await _renamed(one)


async def _back(one: Recreated) -> tuple[str, dict[str, Any]]:
    await one.active(active=False)
    await one.move(NEW)
    return f"/Users/{one.client.ids[OLD]}", {"op": "replace", "path": "active", "value": True}


STARTS: dict[str, Callable[[Recreated], Awaitable[tuple[str, dict[str, Any]]]]] = {
    "another userName": _renamed,
    "another userName that was made by hand": _adopted,
    BACK: _back,
}


async def _nothing(_one: Recreated) -> None: ...


THEN: dict[str, Client] = {
    "nothing else": _nothing,
    "deactivate": lambda one: one.active(active=False),
    "delete": Recreated.delete,
    "leave": Recreated.leave,
    "back": lambda one: one.move(OLD),
    "a third name": lambda one: one.move(OTHER),
    "another person": Recreated.reuse,
}


def rounds(mode: str, start: str, then: str) -> Iterator[Round]:
    """Return the rounds of one kind: each strike at each call."""
    for kind, call in itertools.product(STRIKES, range(1, MOST_CALLS + 1)):
        yield Round(mode, start, then, Strike(kind, call))
    yield Round(mode, start, then, Strike("removals fail", 0))


def play(histories: Histories, one: Round) -> tuple[Report, bool]:
    """Play a round; return how it went, and whether the strike hit."""
    seen: list[Recreated] = []

    class Played(Recreated):
        round = one

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            seen.append(self)

    report = histories.one(1, kind=Played)
    return report, bool(seen) and seen[0].struck.is_set()


def main() -> None:
    """Run as a program."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        arguments = [sys.executable, "-m", "tests.faults.recreations", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES, action="append", help="only this way to end access")
    parser.add_argument("--start", choices=STARTS, action="append", help="only what begins so")
    parser.add_argument("--then", choices=THEN, action="append", help="only what goes on so")
    parser.add_argument("--strike", default="", help="only strikes with this text in their name")
    parser.add_argument("--call", type=int, help="only strikes at this call")
    parser.add_argument("--every", type=int, default=1, help="play only each so-manieth round")
    parser.add_argument("--most-failures", type=int, default=1000, help="end the run after so many")
    parser.add_argument("--trace", action="store_true", help="show what happens")
    parser.add_argument("--defect", choices=sorted(recreation_defects.DEFECTS), default=None)
    options = parser.parse_args()
    if options.defect:
        recreation_defects.DEFECTS[options.defect]()
    logging.lastResort = None
    struck, failed = Counter[str](), dict[str, Any]()
    kinds = itertools.product(options.mode or MODES, options.start or STARTS, options.then or THEN)
    number = 0
    with workplace("recreations") as directory:
        histories = Histories(directory)
        for kind in kinds:
            beyond = set[str]()  # strikes that the last re-creation of this kind made no call for
            for one in rounds(*kind):
                number += 1
                skipped = options.strike not in one.strike.kind or options.call not in {None, one.strike.call}
                if skipped or number % options.every or one.strike.kind in beyond:
                    continue
                if len(failed) >= options.most_failures:
                    break
                report, hit = play(histories, one)
                if not hit:
                    beyond.add(one.strike.kind)
                struck[one.strike.kind] += hit
                if options.trace:
                    print("\n".join(report.trace))
                if report.violations:
                    failed[str(one)] = [f"{each.invariant}: {each.detail}" for each in report.violations]
                    print(str(one), *failed[str(one)][:2], sep=": ", file=sys.stderr, flush=True)
    print(json.dumps({"scenarios": struck.total(), "struck": struck, "failed": failed}))


if __name__ == "__main__":
    main()
