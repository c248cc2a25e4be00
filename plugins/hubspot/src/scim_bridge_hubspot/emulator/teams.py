"""The Teams API of 2026-09-beta (SPEC teams.2026-09-beta): teams and their members, without a user's PUT."""

from collections.abc import Mapping
from typing import Any

from .records import Membership, Person, Team
from .routing import Exchange, Route
from .users import refuse_tier
from .wire import API_BASE, Answer, RefusalError, invalid, json_object, not_found, text_of

BASE = "/settings/teams/2026-09-beta"
READ = ("settings.users.teams.read",)
WRITE = ("settings.users.teams.write",)
TYPES = ("DEFAULT", "EXTRA")
"""``DEFAULT`` is a person's primary team, ``EXTRA`` a secondary one."""


def routes() -> list[Route]:
    """Return the routes."""
    one, members = f"{BASE}/{{teamId}}", f"{BASE}/{{teamId}}/members"
    return [
        Route("GET", BASE, list_teams, READ),
        Route("POST", BASE, create_team, WRITE, writes=True),
        Route("GET", one, read_team, READ),
        Route("PATCH", one, update_team, WRITE, writes=True),
        Route("DELETE", one, delete_team, WRITE, writes=True),
        Route("GET", members, list_members, READ),
        Route("POST", members, add_member, WRITE, writes=True),
        Route("POST", f"{members}/batch", add_members, WRITE, writes=True),
        Route("DELETE", f"{members}/{{userId}}", remove_member, WRITE, writes=True),
    ]


def list_teams(call: Exchange) -> Answer:
    """Answer a page of the teams."""
    teams = [] if lacks_teams(call) else [(team.id, team) for team in call.portal.teams.values()]
    page, paging = call.portal.pager.page(call.request.query, call.request.path, teams)
    return Answer(200, {"results": [render(team) for team in page], **paging})


def create_team(call: Exchange) -> Answer:
    """Make a team with its first members."""
    refuse_without_teams(call)
    document = json_object(call.request.body)
    name, parent = text_of(document, "name"), parent_of(call, document)
    if not name:
        raise invalid("name is required", "name", "REQUIRED_FIELD")
    members = assignments_of(document, "members")
    joining = [(person_of(call, assignment), assignment["type"]) for assignment in members]
    team = call.portal.add_team(name, parent)
    for (person, membership), kind in joining:
        join(team, membership, kind)
        call.portal.touch(person)
    return Answer(201, render(team), {"Location": f"{API_BASE}{BASE}/{team.id}"})


def read_team(call: Exchange) -> Answer:
    """Answer one team."""
    return Answer(200, render(team_of(call)))


def update_team(call: Exchange) -> Answer:
    """Rename a team or move it below another."""
    team, document = team_of(call), json_object(call.request.body)
    name, parent = text_of(document, "name"), parent_of(call, document)
    if name == "":
        raise invalid("name must not be empty", "name")
    team.name = name or team.name
    if "parentTeamId" in document:
        team.parent_id = parent.id if parent else None
    return Answer(200, render(team))


def delete_team(call: Exchange) -> Answer:
    """Remove a team from the portal and from everybody in it."""
    team = team_of(call)
    for person in call.portal.members:
        if person.membership is not None:
            leave(team, person.membership, "DEFAULT")
            leave(team, person.membership, "EXTRA")
    del call.portal.teams[team.id]
    for child in call.portal.teams.values():
        child.parent_id = None if child.parent_id == team.id else child.parent_id
    return Answer(204)


def list_members(call: Exchange) -> Answer:
    """Answer a page of a team's members."""
    primary, secondary = call.portal.team_members(team_of(call))
    entries = [{"userId": person_id, "type": "DEFAULT"} for person_id in primary]
    entries += [{"userId": person_id, "type": "EXTRA"} for person_id in secondary]
    keyed = [("/".join(entry.values()), entry) for entry in entries]
    page, paging = call.portal.pager.page(call.request.query, call.request.path, keyed)
    return Answer(200, {"results": page, **paging})


def add_member(call: Exchange) -> Answer:
    """Add one member."""
    team, document = team_of(call), json_object(call.request.body)
    assignment = assignment_of(document)
    person, membership = person_of(call, assignment)
    join(team, membership, assignment["type"])
    call.portal.touch(person)
    location = f"{API_BASE}{BASE}/{team.id}/members/{person.id}"
    return Answer(201, assignment, {"Location": location})


def add_members(call: Exchange) -> Answer:
    """Add several members; those that cannot be added are told, the others are added."""
    team, started = team_of(call), call.portal.timestamp()
    results, errors = [], []
    for assignment in assignments_of(json_object(call.request.body), "inputs"):
        try:
            person, membership = person_of(call, assignment)
        except RefusalError as refusal:
            error = {"status": "error", "category": refusal.category, "message": refusal.message}
            errors.append(error | {"context": {"userId": [assignment["userId"]]}, "errors": [], "links": {}})
            continue
        join(team, membership, assignment["type"])
        call.portal.touch(person)
        results.append(assignment)
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": started}
    answer |= {"completedAt": call.portal.timestamp()}
    if errors:
        answer |= {"errors": errors, "numErrors": len(errors)}
    return Answer(200, answer)


def remove_member(call: Exchange) -> Answer:
    """Remove a member; one who is none is fine."""
    team, kind = team_of(call), call.request.query.get("type", "DEFAULT")
    if kind not in TYPES:
        raise invalid(f"type must be one of {', '.join(TYPES)}", "type")
    person = call.portal.people.get(call.params["userId"])
    if person is None or person.membership is None:
        raise not_found("User")
    leave(team, person.membership, kind)
    call.portal.touch(person)
    return Answer(204)


def lacks_teams(call: Exchange) -> bool:
    """Tell whether the tier has no teams, and refuse where it does not just answer nothing."""
    if call.portal.profile.teams:
        return False
    refuse_tier(call.portal.switches.teams_without_tier, "Account doesn't have access to teams.")
    return True


def refuse_without_teams(call: Exchange) -> None:
    """Refuse to make a team where the tier has none."""
    if lacks_teams(call):
        raise RefusalError(403, "Account doesn't have access to teams.", category="FORBIDDEN")


def team_of(call: Exchange) -> Team:
    """Return the team of the path."""
    team = call.portal.teams.get(call.params["teamId"])
    if lacks_teams(call) or team is None:
        raise not_found("Team")
    return team


def parent_of(call: Exchange, document: Mapping[str, Any]) -> Team | None:
    """Return the team that ``parentTeamId`` names, if any."""
    parent_id = text_of(document, "parentTeamId")
    if parent_id is not None and parent_id not in call.portal.teams:
        raise invalid(f"Team {parent_id} does not exist", "parentTeamId")
    return call.portal.teams[parent_id] if parent_id is not None else None


def assignments_of(document: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    """Return a list of members to be."""
    entries = document.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise invalid(f"{name} is required and must be an array of objects", name)
    return [assignment_of(entry) for entry in entries]


def assignment_of(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return one member to be."""
    person_id, kind = text_of(entry, "userId"), text_of(entry, "type")
    if not person_id:
        raise invalid("userId is required", "userId", "REQUIRED_FIELD")
    if kind not in TYPES:
        raise invalid(f"type must be one of {', '.join(TYPES)}", "type")
    return {"userId": person_id, "type": kind}


def person_of(call: Exchange, assignment: Mapping[str, str]) -> tuple[Person, Membership]:
    """Return the member of the portal whom an assignment names."""
    person = call.portal.people.get(assignment["userId"])
    if person is None or person.membership is None:
        raise invalid(f"User {assignment['userId']} does not exist", "userId")
    return person, person.membership


def join(team: Team, membership: Membership, kind: str) -> None:
    """Put a member into a team; a new primary team takes the place of the old one."""
    if kind == "DEFAULT":
        membership.primary_team_id = team.id
    elif team.id not in membership.secondary_team_ids:
        membership.secondary_team_ids.append(team.id)


def leave(team: Team, membership: Membership, kind: str) -> None:
    """Take a member out of a team."""
    if kind == "DEFAULT" and membership.primary_team_id == team.id:
        membership.primary_team_id = None
    if kind == "EXTRA" and team.id in membership.secondary_team_ids:
        membership.secondary_team_ids.remove(team.id)


def render(team: Team) -> dict[str, str]:
    """Return a ``TeamResponse``."""
    parent = {"parentTeamId": team.parent_id} if team.parent_id else {}
    return {"id": team.id, "name": team.name, **parent}
