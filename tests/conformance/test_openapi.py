"""The OpenAPI document says what is served: valid, complete, and held against the running bridge by schemathesis."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from scim2_server.routing import ROUTES

from scim_bridge.protocol import preset
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.server import ConnectionOptions, ServerOptions
from scim_bridge.server.authentication import FailureLimit
from scim_bridge.testing.memory_roles import MemoryRolesConnector
from tests.conformance import schemathesis_hooks
from tests.conformance.live import Live
from tests.http.bridge import ERROR, GROUP, USER, Tenant, bridge

HERE = Path(__file__).parent
HOOKS = {"SCHEMATHESIS_HOOKS": "tests.conformance.schemathesis_hooks", "PYTHONPATH": str(HERE.parents[1])}
EXTENSION = "urn:example:params:scim:schemas:extension:acme:2.0:User"
BADGE = {
    "id": EXTENSION,
    "name": "Acme",
    "attributes": [
        {
            "name": "badge",
            "type": "string",
            "multiValued": False,
            "required": False,
            "caseExact": False,
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        }
    ],
}
FULL = "SCIM_BRIDGE_OPENAPI"
"""Set to ``full``, all phases run, with more than ten thousand requests."""


async def _document(tenant: Tenant) -> dict[str, Any]:
    response = await tenant.get("/openapi.json")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    document: dict[str, Any] = response.json()
    return document


async def test_it_is_valid_openapi(acme: Tenant) -> None:
    """By the schema of OpenAPI 3.1, which finds a document without a title invalid."""
    document = await _document(acme)
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()

    del document["info"]["title"]
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(document).validate()


async def test_it_is_behind_the_token_and_only_read(acme: Tenant) -> None:
    """As every other endpoint."""
    for given, method, status in ((" x", "GET", 401), (f" {acme.token}", "POST", 405), (f" {acme.token}", "PUT", 405)):
        response = await acme.send(method, "/openapi.json", {}, Authorization=f"Bearer{given}")
        assert response.status_code == status
        assert response.json()["schemas"] == [ERROR]


async def test_a_trailing_slash_is_harmless(acme: Tenant) -> None:
    """As at every other endpoint."""
    assert (await acme.get("/openapi.json/")).json() == await _document(acme)


async def test_each_route_that_is_served_is_described_and_no_other(acme: Tenant) -> None:
    """Those of the library, for each resource type; ``/Me`` is not served."""
    described = {(method.upper(), path) for path, item in (await _document(acme))["paths"].items() for method in item}
    served = {
        (route.method, route.pattern.replace("/{endpoint}", endpoint).replace("{resource_id}", "{id}"))
        for route in ROUTES
        for endpoint in ("/Users", "/Groups")
        if route.pattern != "/Me"
    }
    assert described == served


async def test_attributes_are_those_of_the_schemas_the_connectors_own_included(tmp_path: Path) -> None:
    """As ``/Schemas`` has them; what is never returned is no part of an answer."""
    async with bridge(tmp_path, extensions=(BADGE,)) as (acme,):
        published = {one["id"]: one["attributes"] for one in (await acme.get("/Schemas")).json()["Resources"]}
        described = (await _document(acme))["components"]["schemas"]
    common = {"id", "externalId", "meta", "schemas"}
    for name, urn in (("User", USER), ("Group", GROUP)):
        extensions = {one for one in published if one.endswith(f":{name}") and one != urn}
        sent = {attribute["name"] for attribute in published[urn]}
        answered = {attribute["name"] for attribute in published[urn] if attribute["returned"] != "never"}
        assert described[f"{name}Request"]["properties"].keys() == sent | extensions | common
        assert described[name]["properties"].keys() == answered | extensions | common
    assert described["User"]["properties"][EXTENSION]["properties"].keys() == {"badge"}
    assert "password" not in described["User"]["properties"]
    paths = [one["properties"].get("path", {}) for one in _operations(described["UserPatch"])]
    assert {"const": f"{EXTENSION}:badge"} in paths
    assert {"const": "name.givenName"} in paths
    assert {"const": "groups"} not in paths


def _operations(patch: dict[str, Any]) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = patch["properties"]["Operations"]["items"]["anyOf"]
    return operations


async def test_settings_of_the_connection_are_in_it(tmp_path: Path) -> None:
    """Its address, the status of what is transient, and that of a PATCH of a Group."""
    options = ConnectionOptions(transient_status=503, group_patch_status=200)
    async with bridge(tmp_path, options=options) as (acme,):
        document = await _document(acme)
        config = (await acme.get("/ServiceProviderConfig")).json()
    assert document["servers"] == [{"url": "http://bridge.test/acme/scim/v2"}]
    patched = document["paths"]["/Groups/{id}"]["patch"]["responses"]
    assert {"200", "503"} < patched.keys()
    assert "204" not in patched
    bulk = document["components"]["schemas"]["BulkRequest"]["properties"]["Operations"]
    assert bulk["maxItems"] == config["bulk"]["maxOperations"]


STRICT = ("examples,fuzzing,stateful", 6)
ROLES = ("fuzzing", 2)
"""Of a connection whose remote system tells what people hold, and that takes roles."""
PHASES = (
    {"strict": STRICT, "okta": ROLES}
    if os.environ.get(FULL) != "full"
    else {
        "strict": ("examples,coverage,fuzzing,stateful", 60),
        "generic": ("examples,coverage,fuzzing,stateful", 60),
        "okta": ("examples,coverage,fuzzing,stateful", 60),
    }
)


@pytest.mark.parametrize("client", PHASES)
def test_schemathesis_finds_no_difference(tmp_path: Path, client: str) -> None:
    """Every answer is as described, what is described is accepted, what is not is refused; then both sides agree."""
    phases, examples = PHASES[client]
    options = ServerOptions(failed_authentications=FailureLimit(10**9))  # it asks without a token, and wants 401
    roles: dict[str, Any] = {}
    if client == "okta":
        roles = {
            "connector_type": MemoryRolesConnector,
            "policy": ProvisioningPolicy(assign="both", unknown_roles="drop"),
        }
    with Live(tmp_path, client=preset(client), server_options=options, **roles) as live:
        if roles:
            live.tenant.remote.add_group("Sales")
            live.ask(live.tenant.compare())
        member = live.ask(live.tenant.user("member@example.com"))["id"]
        # What a client sends wrong, `generic` reads if it can be read.
        left_out = [] if client == "strict" else ["--exclude-checks", "negative_data_rejection"]
        run = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run",
             f"{live.url}/openapi.json", "--header", f"Authorization: Bearer {live.tenant.token}", "--seed", "1",
             "--phases", phases, "--max-examples", str(examples), "--no-shrink", "--continue-on-failure", *left_out],
            env={**os.environ, **HOOKS, schemathesis_hooks.MEMBER: member},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[run.stdout.find("= FAILURES") :][:20_000]
        generated = re.search(r"(\d+) generated", run.stdout)
        assert generated is not None, run.stdout
        print(f"{client}: {generated[0]}")
        least = 10_000 if "coverage" in phases else 50 * examples
        assert int(generated[1]) > least, run.stdout
        live.ask(_agree(live.tenant))


async def _agree(tenant: Tenant) -> None:
    """Wait until nothing is left to do, and compare what is stored with the remote system: people, groups, members."""
    await tenant.settled()
    users = {one["id"]: one for one in await _all(tenant, "/Users")}
    active = {
        one["id"] for one in users.values() if one["active"]
    }  # the name of who is out may differ until they return
    assert {users[id_]["userName"] for id_ in active} == {name for name, on in tenant.remote_active().items() if on}
    for group in await _all(tenant, "/Groups"):
        held = {users[one["value"]]["userName"] for one in group["members"] if one["value"] in active}
        there = {name for name in tenant.remote_members(group["displayName"]) if tenant.remote_active()[name]}
        assert held == there


async def _all(tenant: Tenant, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await tenant.get(f"{path}?count=200&cursor={cursor}")).json()
        found += page["Resources"]
        cursor = page.get("nextCursor")
    return found


async def test_what_schemathesis_found_is_mended(tmp_path: Path) -> None:
    """``.search`` is no id, Bulk and PATCH have their schemas, ``false`` is no number, and errors quote no library."""
    async with bridge(tmp_path, client=preset("strict")) as (acme,):
        ada = await acme.user()
        bulk = {"Operations": [{"method": "DELETE", "path": f"/Users/{ada['id']}"}]}
        for method, path, body, status in (
            ("GET", "/Users/.search", None, 405),
            ("PUT", "/Groups/.search", {"schemas": [GROUP], "displayName": "x"}, 405),
            ("POST", "/Bulk", bulk, 400),
            ("POST", "/Groups", {"schemas": [], "displayName": "x"}, 400),
            ("POST", "/.search", {"count": False}, 400),
            (
                "PATCH",
                f"/Users/{ada['id']}",
                {"schemas": [USER], "Operations": [{"op": "remove", "path": "title"}]},
                400,
            ),
        ):
            response = await acme.send(method, path, body)
            assert (response.status_code, response.json()["schemas"]) == (status, [ERROR]), path
        refused = await acme.patch(f"/Users/{ada['id']}", {"op": "add", "value": {"profileUrl": "no address"}})
        assert refused.status_code == 400
        assert "pydantic" not in refused.text
        assert await acme.stored(ada) == {name: value for name, value in ada.items() if name != "meta"}
        assert acme.remote_active() == {"ada@example.com": True}
