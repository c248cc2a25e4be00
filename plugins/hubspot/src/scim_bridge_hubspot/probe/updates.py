"""Questions about PUT: what it leaves of what it does not name, how a set is taken away, and what it refuses."""

from collections.abc import Mapping
from typing import Any

from .calls import Answer, Calls, document_of, is_nested
from .plan import Plan
from .report import Report

UNKNOWN_ID = "900000000000019"
"""A set or team that nobody has; longer than HubSpot's ids."""

COMPARED = ("roleId", "roleIds", "primaryTeamId", "secondaryTeamIds", "firstName", "lastName")


async def ask_updates(calls: Calls, report: Report, user_id: str, plan: Plan) -> None:
    """Ask all of them."""
    updates = Updates(calls, report, user_id)
    await updates.names()
    await updates.unknown()
    await updates.seats()  # before a set is given: a PUT that replaces would take the seats away
    await updates.omission(plan)
    updates.answers()


class Updates:
    """Changes one throw-away person and reads what became of them."""

    def __init__(self, calls: Calls, report: Report, user_id: str) -> None:
        self.calls = calls
        self.report = report
        self.user_id = user_id
        self._renaming: Answer | None = None
        self._true: list[bool] = []

    async def put(self, call: str, body: Mapping[str, Any]) -> tuple[Answer, dict[str, Any]]:
        """Send a PUT and return its answer and what is read afterwards."""
        answer = await self.calls.write(call, self.user_id, body)
        told, read = document_of(answer), document_of(await self.calls.read(f"read after: {call}", self.user_id))
        if answer.is_success:
            self._true.append(all(told.get(name) == read.get(name) for name in COMPARED))
        return answer, read

    def answers(self) -> None:
        """Tell whether answers to PUTs were what was read after them: the connector believes them of what is given."""
        seen = f"{sum(self._true)} of {len(self._true)} were"
        self.report.add("Are answers to PUT what is read after them?", seen)

    async def names(self) -> None:
        """Send a new first name for somebody who never logged in."""
        answer, read = await self.put(
            "rename a person who never logged in", {"firstName": "Renamed", "lastName": "Probe"}
        )
        if answer.is_success:
            reading: str | None = "accepted" if read.get("firstName") == "Renamed" else "ignored"
        else:
            reading = "refused" if "USER_NOT_ON_ANY_HUBS" in answer.text else None
        question = "Can somebody who never logged in be renamed?"
        self.report.add(question, reading or f"status {answer.status_code}", "names_unactivated", reading)
        self._renaming = answer

    async def unknown(self) -> None:
        """Name a set and a team that do not exist, and see which refusals are nested."""
        refused = []
        for switch, field, what in (("unknown_role", "roleId", "set"), ("unknown_team", "primaryTeamId", "team")):
            answer, _ = await self.put(f"give an unknown {what}", {field: UNKNOWN_ID})
            reading = str(answer.status_code) if answer.status_code in (400, 404) else None
            self.report.add(f"What does an unknown {what} answer?", f"status {answer.status_code}", switch, reading)
            refused.append(answer)
        self._nested([answer for answer in refused if answer.status_code == 400])

    def _nested(self, plain: list[Answer]) -> None:
        """Tell which refusals carry a JSON document in their message."""
        renaming = self._renaming
        known = renaming is not None and renaming.status_code == 400
        names = renaming is not None and is_nested(document_of(renaming))
        others = [is_nested(document_of(answer)) for answer in plain]
        reading = None
        if known and others:
            reading = "always" if names and all(others) else "some" if names else None if any(others) else "never"
        seen = f"of the renaming: {'yes' if names else 'no'}; of {len(others)} others: {sum(others)}"
        self.report.add("Is the real error inside the message?", seen, "nested_messages", reading)

    # -- What a PUT leaves out ---------------------------------------------------------------------------------------

    async def omission(self, plan: Plan) -> None:
        """See what an empty PUT leaves of a set and a team, and what takes them away if it does not."""
        if not plan.permission_set and not plan.team:
            for switch in ("put_mode", "role_clear", "null_clears_teams"):
                self.report.add("What does a PUT clear?", "no set and no team was offered for it", switch)
            return
        given = {"roleId": plan.permission_set, "primaryTeamId": plan.team}
        given = {name: value for name, value in given.items() if value}
        answer, before = await self.put("give a set and a team", given)
        if not answer.is_success:
            self.report.add("Can a set and a team be given?", f"status {answer.status_code}", "put_mode")
            return
        same = all(document_of(answer).get(name) == before.get(name) for name in COMPARED)
        self.report.add("Does the answer of a PUT equal a read?", "yes" if same else "no")
        _, after = await self.put("change nothing", {})
        role_left, team_left = bool(_roles(after)), bool(after.get("primaryTeamId"))
        replaces = (bool(plan.team) and not team_left) or (bool(plan.permission_set) and not role_left)
        decided = replaces or bool(plan.team)
        seen = f"set {'kept' if role_left else 'gone'}, team {'kept' if team_left else 'gone'}"
        reading = ("replace" if replaces else "merge") if decided else None
        self.report.add("Does a PUT clear what it omits?", seen, "put_mode", reading)
        if plan.permission_set:
            await self._role_clear(role_left)
        if plan.team:
            await self._team_clear(plan.team, replaces)

    async def _role_clear(self, left: bool) -> None:  # noqa: FBT001 - what the empty PUT showed
        """Find what takes a set away."""
        ways: list[tuple[str, dict[str, Any]]] = [("null", {"roleId": None}), ("empty", {"roleId": ""})]
        reading = "never" if left else "omit"
        for way, body in ways if left else ():
            _, read = await self.put(f"clear the set by {way}", body)
            if not _roles(read):
                reading = way
                break
        self.report.add("What takes a permission set away?", reading, "role_clear", reading)

    async def _team_clear(self, team: str, replaces: bool) -> None:  # noqa: FBT001 - what the empty PUT showed
        """See whether ``null`` takes a team away; where a PUT replaces, anything does."""
        if replaces:
            self.report.add("Does null take a team away?", "an omitted one is gone already", "null_clears_teams")
            return
        await self.put("give a team", {"primaryTeamId": team})
        _, read = await self.put("clear the team by null", {"primaryTeamId": None})
        gone = not read.get("primaryTeamId")
        self.report.add("Does null take a team away?", "yes" if gone else "no", "null_clears_teams", gone)

    # -- Seats -------------------------------------------------------------------------------------------------------

    async def seats(self) -> None:
        """Send an empty list of seats; and any list to 2026-03, whose schemas have none."""
        sent = {"seatNames": ["No such seat of a probe"]}
        answer = await self.calls.write("name seats in 2026-03", self.user_id, sent, version="2026-03")
        reading = "ignored" if answer.is_success else "400" if answer.status_code == 400 else None
        seen = f"status {answer.status_code}"
        self.report.add("What does 2026-03 make of seatNames?", seen, "seat_names_2026_03", reading)
        question = "What does an empty list of seats do?"
        held = document_of(await self.calls.read("read the seats", self.user_id)).get("seatNames")
        if self.calls.version == "2026-03" or not held:
            self.report.add(question, "the person has no seat that this version shows", "empty_seats")
            return
        answer, read = await self.put("empty the seats", {"seatNames": []})
        left = read.get("seatNames")
        reading = "400" if answer.status_code == 400 else "keep" if left else "clear" if answer.is_success else None
        self.report.add(question, f"status {answer.status_code}, {len(left or [])} left", "empty_seats", reading)


def _roles(person: Mapping[str, Any]) -> list[Any]:
    """Return the sets that a person is read to have."""
    return list(person.get("roleIds") or filter(None, [person.get("roleId")]))
