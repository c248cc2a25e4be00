"""The emulator's answers against GitHub's published OpenAPI, which is too large to keep here.

``npm pack @octokit/openapi``, and ``GITHUB_OPENAPI`` names its ``generated/api.github.com.json``.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from scim_bridge_github.emulator import GitHubEmulator, Switches
from scim_bridge_github.emulator.app import Answer, Request

PUBLISHED = os.environ.get("GITHUB_OPENAPI")

ORG, TEAM = "/orgs/acme", "/organizations/4242/team/{team}"
CALLS = [
    ("GET", "/user", None),
    ("GET", "/user/1001", None),
    ("GET", "/users/owner", None),
    ("GET", "/users/nobody", None),
    ("GET", ORG, None),
    ("PUT", f"{ORG}/memberships/octocat", {"role": "member"}),
    ("GET", f"{ORG}/memberships/octocat", None),
    ("GET", f"{ORG}/memberships/nobody", None),
    ("GET", f"{ORG}/invitations", None),
    ("GET", f"{ORG}/members", None),
    ("POST", f"{ORG}/teams", {"name": "Core", "privacy": "closed"}),
    ("POST", f"{ORG}/teams", {"name": "Core", "privacy": "closed"}),
    ("GET", f"{ORG}/teams", None),
    ("GET", TEAM, None),
    ("PATCH", TEAM, {"name": "Kernel"}),
    ("PUT", f"{TEAM}/memberships/octocat", {"role": "member"}),
    ("GET", f"{TEAM}/memberships/octocat", None),
    ("GET", f"{TEAM}/members", None),
    ("GET", f"{TEAM}/teams", None),
    ("DELETE", f"{TEAM}/memberships/octocat", None),
    ("DELETE", f"{ORG}/memberships/octocat", None),
    ("DELETE", f"{ORG}/memberships/owner", None),
    ("DELETE", TEAM, None),
    ("GET", TEAM, None),
]
"""What the connector asks for, in an order in which it can."""


def as_json_schema(node: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: ``nullable`` is one more type there."""
    if isinstance(node, list):
        return [as_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    read = {name: as_json_schema(value) for name, value in node.items() if name not in {"nullable", "example"}}
    return {"anyOf": [read, {"type": "null"}]} if node.get("nullable") is True else read


@pytest.mark.skipif(PUBLISHED is None, reason="GITHUB_OPENAPI names no copy of GitHub's OpenAPI")
def test_the_answers_are_those_that_github_publishes() -> None:
    """Each request is one that GitHub knows, and each body has the shape that it says."""
    document = json.loads(Path(str(PUBLISHED)).read_text("utf-8"))
    components = as_json_schema(document["components"])
    github = GitHubEmulator(switches=Switches(accepts="by_hand"))
    github.person("octocat")
    wrong = []
    for method, path, body in CALLS:
        team = str(next(iter(github.teams), 9))
        answer = github.handle(Request(method, path.replace("{team}", team), {}, body or {}, github.token))
        told = responses(document, path).get(method.lower(), {}).get("responses")
        assert told is not None, f"GitHub has no {method} {path}"
        wrong += [f"{method} {path} {answer.status}: {one}" for one in faults(components, told, answer)]
    assert not wrong


def responses(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the operations of a path; the documented names of a team by ids are another way to say its slug."""
    template = path.replace(TEAM, "/orgs/{org}/teams/{team_slug}").replace(ORG, "/orgs/{org}")
    template = re.sub(r"/memberships/\w+", "/memberships/{username}", template)
    template = re.sub(r"^/users/\w+", "/users/{username}", re.sub(r"^/user/\d+", "/user/{account_id}", template))
    found: dict[str, Any] = document["paths"].get(template, {})
    return found


def faults(components: dict[str, Any], told: dict[str, Any], answer: Answer) -> list[str]:
    """Return what is wrong with an answer."""
    if str(answer.status) not in told:
        return [] if answer.status in {403, 404} else ["GitHub does not answer so"]
    response = told[str(answer.status)]
    response = components["responses"][response["$ref"].rpartition("/")[2]] if "$ref" in response else response
    content = response.get("content", {}).get("application/json")
    if content is None:
        return []
    schema = as_json_schema(content["schema"]) | {"components": components}
    return [f"{one.instance_path} {one.message}"[:200] for one in jsonschema_rs.iter_errors(schema, answer.body)]
