"""GitHub's documents of an emulated organisation, complete as its OpenAPI requires them."""

from datetime import UTC, datetime
from typing import Any

from .organization import Member, Organization, Person, Team

API = "https://api.github.com"
WEB = "https://github.com"
ORGANIZATION_URLS = ("repos", "events", "hooks", "issues", "members", "public_members")
USER_URLS = (
    "events",
    "followers",
    "following",
    "gists",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
)


def user(person: Person) -> dict[str, Any]:
    """Return a ``simple-user``."""
    url = f"{API}/users/{person.login}"
    return {
        "login": person.login,
        "id": person.id,
        "node_id": f"U_{person.id}",
        "avatar_url": f"{WEB}/{person.login}.png",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB}/{person.login}",
        **{f"{name}_url": f"{url}/{name}" for name in USER_URLS},
        "type": person.type,
        "site_admin": False,
    }


def profile(person: Person) -> dict[str, Any]:
    """Return a ``public-user``."""
    unset = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    return user(person) | unset | counts | {"created_at": _date(0), "updated_at": _date(0)}


def simple_organization(one: Organization) -> dict[str, Any]:
    """Return an ``organization-simple``."""
    url = f"{API}/orgs/{one.login}"
    return {
        "login": one.login,
        "id": one.id,
        "node_id": f"O_{one.id}",
        "url": url,
        **{f"{name}_url": f"{url}/{name}" for name in ORGANIZATION_URLS},
        "avatar_url": f"{WEB}/{one.login}.png",
        "description": None,
    }


def organization(one: Organization) -> dict[str, Any]:
    """Return an ``organization-full``."""
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    flags = {"has_organization_projects": True, "has_repository_projects": True}
    dates = {"created_at": _date(0), "updated_at": _date(0), "archived_at": None}
    web = {"html_url": f"{WEB}/{one.login}", "type": "Organization", "two_factor_requirement_enabled": False}
    return simple_organization(one) | counts | flags | dates | web


def membership(one: Organization, person: Person, member: Member) -> dict[str, Any]:
    """Return an ``org-membership``."""
    return {
        "url": f"{API}/orgs/{one.login}/memberships/{person.login}",
        "state": "active" if member.invited_at is None else "pending",
        "role": member.role,
        "organization_url": f"{API}/orgs/{one.login}",
        "organization": simple_organization(one),
        "user": user(person),
    }


def invitation(one: Organization, person: Person, member: Member) -> dict[str, Any]:
    """Return an ``organization-invitation``."""
    return {
        "id": person.id + 500_000,
        "login": person.login,
        "email": None,
        "role": "admin" if member.role == "admin" else "direct_member",
        "created_at": _date(member.invited_at or 0.0),
        "failed_at": None,
        "failed_reason": None,
        "inviter": user(one.owner),
        "team_count": 0,
        "node_id": f"OI_{person.id}",
        "invitation_teams_url": f"{API}/organizations/{one.id}/invitations/{person.id + 500_000}/teams",
        "invitation_source": "member",
    }


def team(one: Organization, found: Team, *, full: bool = False) -> dict[str, Any]:
    """Return a ``team``, or a ``team-full``."""
    url = f"{API}/organizations/{one.id}/team/{found.id}"
    document = {
        "id": found.id,
        "node_id": f"T_{found.id}",
        "name": found.name,
        "slug": found.slug,
        "description": None,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "url": url,
        "html_url": f"{WEB}/orgs/{one.login}/teams/{found.slug}",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
        "type": "organization",
        "organization_id": one.id,
        "parent": None,
    }
    if full:
        document |= {"members_count": len(found.members), "repos_count": 0, "organization": organization(one)}
        document |= {"created_at": _date(0), "updated_at": _date(0)}
    return document


def team_membership(one: Organization, found: Team, person: Person, role: str) -> dict[str, Any]:
    """Return a ``team-membership``."""
    owner = one.members[person.id].role == "admin"
    url = f"{API}/organizations/{one.id}/team/{found.id}/memberships/{person.login}"
    state = "active" if one.members[person.id].invited_at is None else "pending"
    return {"url": url, "role": "maintainer" if owner else role, "state": state}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
