"""The emulator against HubSpot's own OpenAPI documents: whatever they allow to be sent, what comes back conforms.

The documents are HubSpot's and no part of this project. They are found in the directory that the environment variable
``SCIM_BRIDGE_HUBSPOT_SPECS`` names, or in ``shared/hubspot-specs`` beside a directory above the checkout. Without them
nothing is compared, and the end of the test run says so.
"""

import asyncio
import functools
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from scim_bridge_hubspot.emulator import HubSpotEmulator
from scim_bridge_hubspot.emulator.demo import seed

NOT_RUN = "HubSpot's OpenAPI documents were not found: the emulator was NOT compared with them"
EXAMPLES = 20

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]


def documents() -> list[Path]:
    """Return the documents, none when they are not here."""
    named = os.environ.get("SCIM_BRIDGE_HUBSPOT_SPECS")
    above = [parent / "shared" / "hubspot-specs" for parent in Path(__file__).resolve().parents]
    for directory in [Path(named)] if named else above:
        if found := sorted(directory.glob("*.json")):
            return found
    return []


@functools.cache
def operations() -> list[Any]:
    """Return every operation of every document as a parameter of a test."""
    found = []
    for path in documents():
        schema = schemathesis.openapi.from_dict(json.loads(path.read_text()))
        for result in schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr] # the documents are in order
            name = f"{path.stem}/{operation.method.upper()}{operation.path.replace('/', '.')}"
            found.append(pytest.param(operation, id=name))
    return found


if not documents():
    pytest.skip(NOT_RUN, allow_module_level=True)


class Portal:
    """A portal that knows a few people, and the values that fill a request so that it can succeed."""

    def __init__(self) -> None:
        self.hubspot = HubSpotEmulator(clock=itertools.count().__next__)
        seed(self.hubspot)
        self.hubspot.add_oauth_app("app", "secret", refresh_token="refresh", code="code")
        person = self.hubspot.member("mary.jackson@corp.example")
        team, role = next(iter(self.hubspot.teams.values())), self.hubspot.role_named("Sales")
        self.path = {"userId": person.id, "teamId": team.id, "ownerId": person.owner_id}
        self.body: dict[str, Any] = {
            "email": "new@corp.example",
            "roleId": role.id,
            "primaryTeamId": team.id,
            "parentTeamId": team.id,
            "secondaryTeamIds": [team.id],
            "seatNames": ["View-Only Seat"],
            "name": "A team",
            "userId": person.id,
            "client_id": "app",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "code": "code",
            "token": "refresh",
        }

    def fill(self, body: Any) -> Any:
        """Return a body with the values that exist, wherever the body has a field for one."""
        if isinstance(body, list):
            return [self.fill(item) for item in body]
        if not isinstance(body, dict):
            return body
        return {name: self.body.get(name, self.fill(value)) for name, value in body.items()}


async def send(hubspot: HubSpotEmulator, case: schemathesis.Case[Any]) -> httpx2.Response:
    """Send a generated request to the emulator."""
    request = case.as_transport_kwargs(base_url="https://api.hubapi.com")
    known = {name: request[name] for name in ("params", "json", "data", "headers", "content") if request.get(name)}
    if "json" in request:
        known["json"] = request["json"]
    if isinstance(known.get("data"), (str, bytes)):
        known["content"] = known.pop("data")
    async with httpx2.AsyncClient(transport=hubspot.transport()) as client:
        client.headers["Authorization"] = f"Bearer {hubspot.token}"
        return await client.request(request["method"], request["url"], **known)


@pytest.mark.parametrize("operation", operations())
def test_every_answer_conforms_and_success_is_reached(operation: Any) -> None:
    """Generated requests, half of them filled with ids that exist, are answered as the document says."""
    statuses: Counter[int] = Counter()

    # Nothing is shrunk: generating from a document is slow, and a failure names the request anyhow.
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=operation.as_strategy(), filled=st.booleans())
    def run(case: schemathesis.Case[Any], filled: bool) -> None:
        portal = Portal()
        if filled:
            case.path_parameters = {name: portal.path[name] for name in case.path_parameters or {}}
            case.query = {name: value for name, value in case.query.items() if name != "after"} if case.query else {}
            case.body = portal.fill(case.body)
        response = asyncio.run(send(portal.hubspot, case))
        statuses[response.status_code] += 1
        # The document of revocation tells no success at all, so that an empty 200 (RFC 7009 §2.2) is an error to it.
        if documents_success or not response.is_success:
            case.validate_response(response, checks=CHECKS)

    documents_success = any(status.startswith("2") for status in operation.definition.raw["responses"])
    run()
    print(operation.label, dict(statuses))
    assert any(status < 300 for status in statuses), statuses


@pytest.mark.parametrize("operation", [each for each in operations() if "POST.settings.users" in str(each.id)])
def test_creations_that_break_the_document_are_refused(operation: Any) -> None:
    """Wrong types, missing fields and unknown choices are answered with an error, and nothing is written."""
    seen = 0

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def run(case: schemathesis.Case[Any]) -> None:
        nonlocal seen
        portal = Portal()
        before = portal.hubspot.snapshot()
        response = asyncio.run(send(portal.hubspot, case))
        case.validate_response(response, checks=[openapi_checks.negative_data_rejection, checks.not_a_server_error])
        assert portal.hubspot.snapshot() == before
        seen += 1

    run()
    assert seen


def test_every_user_operation_of_the_emulator_is_documented() -> None:
    """The routes of the users API, of teams and of owners are those of the documents, none more and none less."""
    published = set()
    for path in documents():
        for template, methods in json.loads(path.read_text())["paths"].items():
            published |= {(method.upper(), template) for method in methods}
    hubspot = HubSpotEmulator()
    for method, template in published:
        route, _, _ = hubspot.router.match(method, template)
        assert route is not None, (method, template)
        assert route.template == template
    versions = ("/settings/users/2026", "/settings/teams/", "/crm/owners/", "/account-info/2026-03", "/oauth/2026-03")
    offered = {(route.method, route.template) for _, route in hubspot.router._routes}
    assert {entry for entry in offered if entry[1].startswith(versions)} <= published
