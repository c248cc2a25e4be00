"""Each preset with a sequence of requests as its client sends them: what is stored, and what the remote system holds.

Bodies are those of the sources that the preset names; of a client whose bodies are not public, only the requests that
are known are in its own form. Every sequence has Ada and Bob made and put in a group, and ends Bob's access.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.config import ConnectionSettings
from scim_bridge.protocol import PRESETS, preset
from scim_bridge.server import ConnectionOptions
from tests.http.bridge import ENTERPRISE, GROUP, PATCH_OP, USER, Tenant, bridge

ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
LEGACY = ["urn:scim:schemas:core:2.0", "urn:scim:schemas:extension:enterprise:2.0"]


@dataclass(frozen=True)
class Step:
    """A request. ``{ada}``, ``{bob}`` and ``{group}`` stand for ids that earlier answers gave.

    :param keep: Under which name the id of the answer is kept.
    :param found: Of how many resources the answer is a list.
    """

    method: str
    path: str
    body: Any = None
    status: int = 200
    keep: str = ""
    found: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def get(path: str, found: int | None = None) -> Step:
    """Return a read."""
    return Step("GET", path, found=found)


def made(name: str, body: Mapping[str, Any], path: str = "/Users") -> Step:
    """Return a creation."""
    return Step("POST", path, body, 201, name)


def put(path: str, body: Mapping[str, Any]) -> Step:
    """Return a replacement."""
    return Step("PUT", path, body)


def patch(path: str, *operations: Mapping[str, Any], status: int = 204, **envelope: Any) -> Step:
    """Return a PATCH."""
    return Step("PATCH", path, {"schemas": [PATCH_OP], **envelope, "Operations": list(operations)}, status)


def delete(path: str) -> Step:
    """Return a deletion."""
    return Step("DELETE", path, status=204)


def person(name: str, /, **attributes: Any) -> dict[str, Any]:
    """Return a User in the RFC's form."""
    return {"schemas": [USER], "userName": f"{name}@example.com", "active": True, **attributes}


def members(*names: str) -> list[dict[str, Any]]:
    """Return members."""
    return [{"value": f"{{{name}}}"} for name in names]


def group(*names: str, **attributes: Any) -> dict[str, Any]:
    """Return a Group in the RFC's form."""
    return {"schemas": [GROUP], "displayName": "eng", "members": members(*names), **attributes}


ADA, BOB = made("ada", person("ada")), made("bob", person("bob"))
BOTH = made("group", group("ada", "bob"), "/Groups")
BOB_OUT = patch("/Users/{bob}", {"op": "replace", "path": "active", "value": False}, status=200)
OKTA = {"groups": [], "password": "1mz050nq", "locale": "en-US"}
OKTA_NAMED = {"op": "replace", "value": {"id": "{group}", "displayName": "eng"}}
ENTRA_MADE = {
    "schemas": [GROUP, ADSCIM],
    "externalId": "8aa1a0c0",
    "displayName": "eng",
    "meta": {"resourceType": "Group"},
}
AUTHENTIK_GROUP = {"id": "{group}", "schemas": [GROUP], "displayName": "eng", "externalId": "g"}

SEQUENCES: dict[str, tuple[Step, ...]] = {
    "okta": (
        get("/Users?startIndex=1&count=2", 0),
        get("/Users?filter=userName%20eq%20%22ada%40example.com%22&startIndex=1&count=100", 0),
        made("ada", person("ada", externalId="00u1", **OKTA)),
        made("bob", person("bob", externalId="00u2", **OKTA)),
        get("/Groups?filter=displayName%20eq%20%22eng%22&startIndex=1&count=100", 0),
        made("group", group(), "/Groups"),
        patch("/Groups/{group}", OKTA_NAMED),
        patch("/Groups/{group}", {"op": "replace", "path": "members", "value": members("ada", "bob")}),
        patch("/Users/{bob}", {"op": "replace", "value": {"active": False}}, status=200),
    ),
    "entra": (
        get('/Users?filter=userName eq "5b1c0f8e"', 0),
        made("ada", person("ada", schemas=[USER, ENTERPRISE], externalId="a", roles=[])),
        made("bob", person("bob", schemas=[USER, ENTERPRISE], externalId="b", meta={"resourceType": "User"})),
        made("group", ENTRA_MADE, "/Groups"),
        get('/Groups?excludedAttributes=members&filter=displayName eq "eng"', 1),
        patch("/Groups/{group}", {"op": "Add", "path": "members", "value": [{"$ref": None, "value": "{ada}"}]}),
        patch("/Groups/{group}", {"op": "Add", "path": "members", "value": [{"$ref": None, "value": "{bob}"}]}),
        patch("/Users/{ada}", {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "{bob}"}, status=200),
        patch("/Users/{bob}", {"op": "Replace", "path": "active", "value": "False"}, status=200),
    ),
    "onelogin": (
        get('/Users?filter=userName+eq+"ada@example.com"&', 0),
        ADA,
        BOB,
        put("/Users/{ada}?", {"schemas": LEGACY, "userName": "ada@example.com", "name": {"givenName": "Ada"}}),
        BOTH,
        put("/Users/{bob}?", {"schemas": LEGACY, "userName": "bob@example.com", "active": False}),
    ),
    "jumpcloud": (
        made("test", person("test-user")),
        made("test_group", group(displayName="test-group"), "/Groups"),
        delete("/Groups/{test_group}"),
        delete("/Users/{test}"),
        ADA,
        BOB,
        made("group", group(), "/Groups"),
        patch("/Groups/{group}", {"op": "add", "path": "members", "value": members("ada", "bob")}),
        BOB_OUT,
    ),
    "google": (
        Step("GET", "/Users?count=1", found=0, headers={"User-Agent": "Google-Auto-Provisioning"}),
        Step("POST", "/Users", person("ada"), 201, "ada", headers={"Content-Type": "application/json"}),
        Step("POST", "/Users", person("bob"), 201, "bob", headers={"Content-Type": "application/json"}),
        BOTH,
        BOB_OUT,
    ),
    "ping": (
        made("ada", person("ada", emails=[{"value": "ada@example.com", "type": "work"}])),
        get('/Users?filter=emails eq "ada@example.com"', 1),
        get('/Users?filter=userName eq "bob@example.com"', 0),
        BOB,
        BOTH,
        BOB_OUT,
    ),
    "sailpoint": (
        get("/ServiceProviderConfig"),
        get("/ResourceTypes", 2),
        get("/Schemas"),
        get("/ResourceTypes/User"),
        get("/ResourceTypes/Group"),
        ADA,
        BOB,
        BOTH,
        put("/Users/{bob}", person("bob", active=False)),
    ),
    "authentik": (
        get("/ServiceProviderConfig"),
        get("/Groups", 0),
        made("ada", person("ada", externalId="a")),
        made("bob", person("bob", externalId="b")),
        made("group", {"schemas": [GROUP], "displayName": "eng", "externalId": "g"}, "/Groups"),
        patch("/Groups/{group}", *({"op": "add", "path": "members", "value": members(one)} for one in ("ada", "bob"))),
        patch("/Groups/{group}", {"op": "replace", "value": AUTHENTIK_GROUP}),
        get("/Groups/{group}"),
        patch("/Groups/{group}", {"op": "remove", "path": "members", "value": members("bob")}),
        put("/Users/{bob}", person("bob", externalId="b", id="{bob}", active=False)),
    ),
    "keycloak": (
        made("ada", person("ada", externalId="a")),
        made("bob", person("bob", externalId="b")),
        made("group", group("ada", externalId="g"), "/Groups"),
        put(
            "/Groups/{group}",
            {
                **group(externalId="g"),
                "id": "{group}",
                "members": [{"value": f"{{{one}}}", "$ref": f"Users/{{{one}}}"} for one in ("ada", "bob")],
                "meta": {"location": "Groups/{group}"},
            },
        ),
        put("/Users/{bob}", {**person("bob", externalId="b", active=False), "meta": {"location": "Users/{bob}"}}),
    ),
    "pocket-id": (
        get("/Users?count=1000&startIndex=1", 0),
        get("/Groups?count=1000&startIndex=1", 0),
        made("ada", person("ada", externalId="a", name={"givenName": "Ada", "familyName": ""})),
        made("bob", person("bob", externalId="b", name={"givenName": "Bob", "familyName": ""})),
        made("group", group("ada", "bob", externalId="g"), "/Groups"),
        put("/Users/{bob}", person("bob", externalId="b", active=False)),
    ),
    **{
        name: (get("/Users?startIndex=1&count=100", 0), ADA, BOB, BOTH, BOB_OUT)
        for name in ("accessowl", "generic", "strict")
    },
}


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """Return a path or body with the ids that are known."""
    if isinstance(value, str):
        for name, id_ in ids.items():
            value = value.replace(f"{{{name}}}", id_)
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return {key: filled(item, ids) for key, item in value.items()} if isinstance(value, dict) else value


async def play(acme: Tenant, steps: tuple[Step, ...]) -> dict[str, str]:
    """Send the requests, and return the ids that were given."""
    ids: dict[str, str] = {}
    for step in steps:
        headers = {name.replace("-", "_"): value for name, value in step.headers.items()}
        answer = await acme.send(step.method, filled(step.path, ids), filled(step.body, ids), **headers)
        assert answer.status_code == step.status, (step, answer.text)
        if step.keep:
            ids[step.keep] = answer.json()["id"]
        if step.found is not None:
            assert answer.json()["totalResults"] == step.found, step
    return ids


@pytest.mark.parametrize("name", PRESETS)
async def test_the_sequence_of_each_client_takes_effect(tmp_path: Path, name: str) -> None:
    """Ada is in, Bob is out, in the store and in the remote system."""
    async with bridge(tmp_path, client=preset(name)) as (acme,):
        ids = await play(acme, SEQUENCES[name])
        await acme.settled()
        stored = {who: await acme.stored({"id": ids[who], "meta": {"resourceType": "User"}}) for who in ("ada", "bob")}
        assert {who: (one["userName"], one["active"]) for who, one in stored.items()} == {
            "ada": ("ada@example.com", True),
            "bob": ("bob@example.com", False),
        }
        assert all("password" not in one for one in stored.values())
        assert {who: on for who, on in acme.remote_active().items() if on} == {"ada@example.com": True}
        assert acme.remote_members("eng") - {"bob@example.com"} == {"ada@example.com"}
        met = set(acme.quirks)
        assert met <= PRESETS[name].quirks
        if name not in ("okta", "entra"):  # of the others every form that is known is in the sequence
            assert PRESETS[name].sources.keys() <= met


def test_a_source_is_of_a_form_that_the_preset_reads() -> None:
    """And every preset but those that are for no client, or of which nothing is public, says what is known."""
    for one in PRESETS.values():
        assert one.sources.keys() <= one.quirks, one.name
        assert bool(one.known) == (one.name not in ("accessowl", "generic", "strict"))


@pytest.mark.parametrize(
    ("client", "given", "lists"), [("pocket-id", None, False), ("pocket-id", True, True), ("okta", None, True)]
)
async def test_a_client_that_deletes_what_it_does_not_know_is_not_shown_it(
    tmp_path: Path, client: str, given: bool | None, lists: bool
) -> None:
    """Pocket ID's list is of those it made, unless the operator says otherwise; then nobody else is deleted either."""
    settings = ConnectionSettings(connector="memory", client=client, list_unmanaged=given)
    assert settings.lists_unmanaged is lists
    options = ConnectionOptions(list_unmanaged=settings.lists_unmanaged)
    async with bridge(tmp_path, client=preset(client), options=options) as (acme,):
        acme.remote.add_account("grace@example.com")
        await acme.compare()
        found = (await acme.get("/Users?count=1000&startIndex=1")).json()["Resources"]
        assert [one["userName"] for one in found] == (["grace@example.com"] if lists else [])
        for one in found:
            assert (await acme.delete(f"/Users/{one['id']}")).status_code == 403
        assert acme.remote_active() == {"grace@example.com": True}


# -- A client that is not the configured one ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "agent", "seen", "level"),
    [
        ("entra", "Okta SCIM Client 1.0.0", "okta", "WARNING"),
        ("okta", "Google-Auto-Provisioning", "google", "WARNING"),
        ("generic", "authentik@2026.8.1", "authentik", "INFO"),
    ],
)
async def test_another_client_is_told_to_the_operator_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, configured: str, agent: str, seen: str, level: str
) -> None:
    """By its User-Agent, of which the log has no more than the name of the preset."""
    caplog.set_level("INFO", "scim_bridge.server")
    async with bridge(tmp_path, client=preset(configured)) as (acme,):
        for name in ("ada", "bob"):
            assert (await acme.post("/Users", person(name), User_Agent=agent)).status_code == 201
            assert (await acme.post("/Users", person(f"{name}2"), User_Agent="curl/8")).status_code == 201
    told = [(one.levelname, one.getMessage()) for one in caplog.records if "look like" in one.getMessage()]
    assert told == [(level, f'connection "acme": client = "{configured}", but requests look like those of "{seen}"')]


async def test_a_form_that_only_entra_sends_is_told_also_when_it_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`op: "Replace"` on a connection for Okta: refused, nothing changes, and the operator knows why."""
    async with bridge(tmp_path, client=preset("okta")) as (acme,):
        user = await acme.user()
        for _ in range(2):
            refused = await acme.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "active", "value": "False"})
            assert refused.status_code == 400
        assert (await acme.stored(user))["active"] is True
        assert acme.remote_active() == {"ada@example.com": True}
    told = [one.getMessage() for one in caplog.records if "look like" in one.getMessage()]
    assert told == ['connection "acme": client = "okta", but requests look like those of "entra"']


@pytest.mark.parametrize("name", ["okta", "google", "authentik"])
async def test_the_configured_client_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Its own User-Agent is what is expected."""
    caplog.set_level("INFO", "scim_bridge.server")
    async with bridge(tmp_path, client=preset(name)) as (acme,):
        agent = f"{PRESETS[name].agents[0]} 1.0"
        assert (await acme.post("/Users", person("ada"), User_Agent=agent)).status_code == 201
    assert not [one for one in caplog.records if "look like" in one.getMessage()]
