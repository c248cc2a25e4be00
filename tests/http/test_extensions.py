"""A connector's own extension schemas, from the request to the remote system."""

import json
from pathlib import Path

from tests.http.bridge import bridge
from tests.unit.protocol.test_schemas import ACME

BADGE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ACME["id"]],
    "userName": "ada@x.example",
    "active": True,
}


async def test_an_extension_is_stored_reaches_the_connector_and_survives_a_deactivation(tmp_path: Path) -> None:
    """The account is made, the extension reads back after a PATCH, and removals are not stuck."""
    async with bridge(tmp_path, "acme", extensions=(ACME,)) as (tenant,):
        created = await tenant.post("/Users", {**BADGE, ACME["id"]: {"badge": "A-1"}})
        path = f"/Users/{created.json()['id']}"

        patched = await tenant.patch(path, {"op": "replace", "path": "active", "value": False})
        read = await tenant.get(path)

        assert created.status_code == 201
        assert patched.status_code == 200
        assert read.json()[ACME["id"]] == {"badge": "A-1"}
        assert read.json()["active"] is False
        (account,) = tenant.remote.accounts.values()
        assert not account.active
        creation = next(call for call in tenant.remote.calls if call.hook == "create_user")
        assert "A-1" in json.dumps(creation.arguments["user"].model_dump())
