#!/usr/bin/env bash
# scim-patch 0.8.3 and scimmy 1.3.5 (npm), the two PATCH engines of Node. The same change in both spellings of RFC 7644
# section 3.5.2.3: replace name by {givenName}, once with path "name", once without a path.
# Guessed: both spellings do the same, and both libraries agree. Seen: scim-patch keeps familyName with a path and drops it
# without; scimmy drops it with a path and keeps it without. A client that knows one server loses last names at the other.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim-patch@0.8.3 scimmy@1.3.5
cat > run.mjs <<'JS'
import assert from "node:assert";
import { createRequire } from "node:module";
import SCIMMY from "scimmy";
const { scimPatch } = createRequire(import.meta.url)("scim-patch");
const name = () => ({ givenName: "Ada", familyName: "Byron" });
const spellings = { "with a path": { op: "replace", path: "name", value: { givenName: "Augusta" } }, "without": { op: "replace", value: { name: { givenName: "Augusta" } } } };
const engines = {
  "scim-patch": async (operation) => scimPatch({ schemas: [], userName: "ada", name: name(), meta: { resourceType: "User", created: new Date(), lastModified: new Date(), location: "/Users/1" } }, [operation]),
  "scimmy": async (operation) => {
    const { User } = SCIMMY.Schemas;
    const user = new User({ schemas: [User.definition.id], id: "1", userName: "ada", name: name() }, "out");
    return new SCIMMY.Messages.PatchOp({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: [operation] }).apply(user, async (changed) => changed);
  },
};
const seen = {};
for (const [engine, patch] of Object.entries(engines))
  for (const [spelling, operation] of Object.entries(spellings)) {
    const result = await patch(operation);
    seen[engine + " " + spelling] = result.name.familyName ?? "gone";
  }
console.table(seen);
assert.deepEqual(seen, { "scim-patch with a path": "Byron", "scim-patch without": "gone", "scimmy with a path": "gone", "scimmy without": "Byron" });
JS
node run.mjs && echo "as found"
