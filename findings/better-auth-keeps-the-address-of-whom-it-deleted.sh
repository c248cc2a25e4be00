#!/usr/bin/env bash
# @better-auth/scim 1.7.5 with better-auth 1.7.5 (npm), on its adapter in memory.
# Guessed: after DELETE the person can be created again (RFC 7644 section 3.6: a deleted resource is no conflict). Seen: 409 for
# ever, since the application's own user keeps the e-mail, while no filter finds anybody: whoever is hired again cannot be
# provisioned by any client, and asking before creating does not help.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund --legacy-peer-deps @better-auth/scim@1.7.5 better-auth@1.7.5 @better-auth/core@1.7.5 @better-auth/utils@0.4.2
cat > run.mjs <<'JS'
import assert from "node:assert";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { scim } from "@better-auth/scim";
const plugin = scim({ connections: [{ id: "acme", credentials: [{ type: "bearer", id: "one", token: "none" }] }] });
const tables = ["user", "session", "account", "verification", ...Object.keys(plugin.schema)];
const database = memoryAdapter(Object.fromEntries(tables.map((table) => [table, []])));
const auth = betterAuth({ baseURL: "http://localhost", secret: "a secret of at least thirty-two characters", database, plugins: [plugin] });
const call = async (method, path, body) => {
  const headers = { authorization: "Bearer none", "content-type": "application/scim+json" };
  const response = await auth.handler(new Request("http://localhost/api/auth/scim/v2" + path, { method, headers, body: body && JSON.stringify(body) }));
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
};
const ada = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "ada@example.com", emails: [{ value: "ada@example.com" }] };
const made = await call("POST", "/Users", ada);
const gone = await call("DELETE", "/Users/" + made.body.id);
const found = await call("GET", "/Users?filter=" + encodeURIComponent('userName eq "ada@example.com"'));
const again = await call("POST", "/Users", ada);
console.log("created", made.status, "deleted", gone.status, "found", found.body.totalResults, "created again", again.status, again.body.detail);
assert.deepEqual([made.status, gone.status, found.body.totalResults, again.status], [201, 204, 0, 409]);
JS
node run.mjs && echo "as found"
