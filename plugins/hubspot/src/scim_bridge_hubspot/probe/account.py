"""Questions that only read: what the account has, how its lists are cut, and what the token may learn."""

from typing import Any

from .calls import Calls, document_of, next_of, results_of
from .report import Report

ABOVE_EVERY_CAP = 1000
SCOPES = ("settings.", "crm.objects.", "oauth", "account-info.")
INTROSPECTION = "/oauth/v2/private-apps/get/access-token-info"
NEVER_GIVEN = "900000000000017"
"""An id that is longer than HubSpot's, so that it is nobody's."""


async def ask_account(calls: Calls, report: Report) -> None:
    """Ask all of them."""
    report.facts["api_version"] = calls.version
    await _lists(calls, report)
    await _sets(calls, report)
    await _teams(calls, report)
    await _unknown_id(calls, report)
    await _versions(calls, report)
    await _token(calls, report)
    older = sorted(name for name in calls.limit_headers if "secondly" in name.lower())
    seen = ", ".join(older) or ("no" if calls.limit_headers else "no limit headers at all")
    report.add(
        "Are the older limit headers sent?", seen, "secondly_headers", bool(older) if calls.limit_headers else None
    )


async def _lists(calls: Calls, report: Report) -> None:
    plain = await calls.list("list the members without a limit")
    shown = results_of(plain)
    default = len(shown) if next_of(plain) else None
    report.add("How long is a page?", _pages(default, len(shown)), "page_size_default", default)
    large = await calls.list("list the members with a large limit", limit=ABOVE_EVERY_CAP)
    cap = len(results_of(large)) if next_of(large) else None
    over = "400" if large.status_code == 400 else "capped" if cap else None
    seen = f"status {large.status_code}" if over != "capped" else f"{cap} of them, and a next page"
    report.add("What does a limit of 1000 do?", seen, "limit_over_cap", over)
    report.add("How long can a page be?", _pages(cap, len(results_of(large))), "page_size_cap", cap)
    _forms(report, [member async for member in calls.members("list all members")])


def _pages(size: int | None, shown: int) -> str:
    return f"{size} members" if size else f"all {shown} members fit on one"


def _forms(report: Report, members: list[dict[str, Any]]) -> None:
    """Tell how members are written, whoever they are."""
    if not members:
        return
    present = all("roleIds" in member for member in members)
    report.add(
        "Is roleIds always there?", "yes" if present else "no", "role_ids_form", "present" if present else "absent"
    )
    kinds = {type(member.get("superAdmin")).__name__ for member in members}
    form = {"bool": "boolean", "str": "string"}.get(kinds.pop()) if len(kinds) == 1 else None
    report.add("How is superAdmin written?", form or "in several ways", "super_admin_form", form)
    several = [member for member in members if len(member.get("roleIds") or []) > 1]
    first = any(member.get("roleId") for member in several)
    report.add(
        "What is roleId of a person with several sets?",
        ("one of them" if first else "left out") if several else "nobody has several",
        "role_id_of_several",
        ("first" if first else "absent") if several else None,
    )


async def _sets(calls: Calls, report: Report) -> None:
    answer = await calls.send("list the permission sets", "GET", calls.path("roles"))
    some = answer.is_success and bool(results_of(answer))
    reading = None if some else "empty" if answer.is_success else str(answer.status_code)
    seen = f"{len(results_of(answer))} sets" if answer.is_success else f"status {answer.status_code}"
    report.add("What does an account without permission sets answer?", seen, "roles_without_sets", reading)


async def _teams(calls: Calls, report: Report) -> None:
    plain = await calls.send("list the teams", "GET", calls.path("teams"))
    asked = await calls.send("list the teams with members", "GET", calls.path("teams"), params={"includeMembers": True})
    scope = "MISSING_SCOPES" in plain.text
    some = plain.is_success and bool(results_of(plain))
    reading = None if some or scope else "empty" if plain.is_success else str(plain.status_code)
    seen = "the token lacks the scope" if scope else f"{len(results_of(plain))} teams"
    report.add(
        "What does an account without teams answer?",
        seen if plain.is_success or scope else f"status {plain.status_code}",
        "teams_without_tier",
        reading,
    )
    with_members, when_asked = _has_members(results_of(plain)), _has_members(results_of(asked))
    members = "always" if with_members else "on_request" if when_asked else None
    report.add("When do teams list their members?", members or "no team has members", "team_members", members)


def _has_members(teams: list[dict[str, Any]]) -> bool:
    return any(team.get("userIds") or team.get("secondaryUserIds") for team in teams)


async def _unknown_id(calls: Calls, report: Report) -> None:
    """Read and remove a person HubSpot never knew."""
    read = await calls.read("read an id that was never given", NEVER_GIVEN)
    report.add("What does reading an unknown id answer?", f"status {read.status_code}")
    if read.status_code != 404:
        return
    removed = await calls.remove("remove an id that was never given", NEVER_GIVEN)
    report.add(
        "What does removing an unknown id answer?",
        f"status {removed.status_code}",
        "delete_unknown",
        str(removed.status_code),
    )


async def _versions(calls: Calls, report: Report) -> None:
    newest = await calls.send("list through 2026-09", "GET", calls.path(version="2026-09"), params={"limit": 1})
    reading = True if newest.is_success else False if newest.status_code == 404 else None
    report.add("Is there a version 2026-09?", f"status {newest.status_code}", "version_2026_09", reading)


async def _token(calls: Calls, report: Report) -> None:
    if not calls.bearer:
        return
    answer = await calls.send("ask about the token", "POST", INTROSPECTION, json={"tokenKey": calls.bearer})
    reading = "known" if answer.is_success else "404" if answer.status_code == 404 else None
    report.add("Does HubSpot tell about this kind of token?", f"status {answer.status_code}", "token_info", reading)
    scopes = document_of(answer).get("scopes")
    told = [one for one in scopes if isinstance(one, str)] if isinstance(scopes, list) else []
    report.facts["scopes"] = sorted(one for one in told if one.startswith(SCOPES))
