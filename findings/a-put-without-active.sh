#!/usr/bin/env bash
# @better-auth/scim 1.7.5 (npm) and scim2-server 0.8.3 (PyPI), both in memory: a User who is inactive, and a PUT without "active".
# Guessed: they stay inactive, or the PUT is refused; RFC 7644 section 3.5.1 leaves it to the service provider what an attribute
# becomes that a PUT does not name. Seen: better-auth makes them active, since that is its default; scim2-server shows no "active"
# at all, which most clients read as active. (The bridge leaves them inactive.) scim2-server is right by the RFC, and so is the other.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null; python3 -m venv env
npm install --silent --no-audit --no-fund --legacy-peer-deps @better-auth/scim@1.7.5 better-auth@1.7.5 @better-auth/core@1.7.5 @better-auth/utils@0.4.2
env/bin/pip install --quiet --disable-pip-version-check 'scim2-server==0.8.3' 'scim2-models==0.12.3' 'httpx2' 2>/dev/null
cat > run.mjs <<'JS'
import assert from "node:assert";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { scim } from "@better-auth/scim";
const plugin = scim({ connections: [{ id: "acme", credentials: [{ type: "bearer", id: "one", token: "none" }] }] });
const tables = ["user", "session", "account", "verification", ...Object.keys(plugin.schema)];
const database = memoryAdapter(Object.fromEntries(tables.map((table) => [table, []])));
const secret = "a secret of at least thirty-two characters";
const auth = betterAuth({ baseURL: "http://localhost", secret, database, plugins: [plugin] });
const call = async (method, path, body) => {
  const headers = { authorization: "Bearer none", "content-type": "application/scim+json" };
  const url = "http://localhost/api/auth/scim/v2" + path;
  return (await auth.handler(new Request(url, { method, headers, body: JSON.stringify(body) }))).json();
};
const ada = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "ada@example.com" };
const before = await call("POST", "/Users", { ...ada, active: false });
const after = await call("PUT", "/Users/" + before.id, ada);
console.log("better-auth: ", before.active, "then", after.active);
assert.deepEqual([before.active, after.active], [false, true]);
JS
node run.mjs
env/bin/python -W ignore - <<'PY'
import asyncio, json

import httpx2
from scim2_models import ScimProvider
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

provider = ScimProvider.from_discovery(
    load_default_schemas().values(), load_default_resource_types().values(), config=load_default_service_provider_config()
)
ada = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@example.com"}


async def main():
    transport = httpx2.ASGITransport(ASGIApplication(AsyncInMemoryStorage(), provider))
    headers = {"Content-Type": "application/scim+json"}
    async with httpx2.AsyncClient(base_url="http://localhost/v2", transport=transport, headers=headers) as client:
        before = (await client.post("/Users", content=json.dumps(ada | {"active": False}))).json()
        after = (await client.put("/Users/" + before["id"], content=json.dumps(ada))).json()
    print("scim2-server:", before["active"], "then", after.get("active", "none at all"))
    assert before["active"] is False and "active" not in after


asyncio.run(main())
print("as found")
PY
