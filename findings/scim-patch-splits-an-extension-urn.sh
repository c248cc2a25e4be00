#!/usr/bin/env bash
# scim-patch 0.8.3 (npm). PATCH "add" without a path, whose value holds an extension as an object under its URN, which is
# how RFC 7644 section 3.5.2.1 has it.
# Guessed: the object is stored under the URN. Seen: the URN is split at its last colon, and the extension is stored as an
# object "User" under "urn:ietf:params:scim:schemas:extension:enterprise:2.0"; no error. The same attribute sent by its full
# path is stored right, so the resource then has both.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim-patch@0.8.3
cat > run.cjs <<'JS'
const assert = require("node:assert");
const { scimPatch } = require("scim-patch");
const urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const user = () => ({ schemas: [], userName: "ada", meta: { resourceType: "User", created: new Date(), lastModified: new Date(), location: "/Users/1" } });
const whole = scimPatch(user(), [{ op: "add", value: { [urn]: { department: "Maths" } } }]);
const path = scimPatch(user(), [{ op: "add", path: urn + ":department", value: "Maths" }]);
console.log("sent whole:  ", Object.keys(whole).filter((key) => key.startsWith("urn")), JSON.stringify(whole["urn:ietf:params:scim:schemas:extension:enterprise:2.0"]));
console.log("sent by path:", Object.keys(path).filter((key) => key.startsWith("urn")));
assert.deepEqual(whole["urn:ietf:params:scim:schemas:extension:enterprise:2.0"], { User: { department: "Maths" } });
assert.equal(whole[urn], undefined);
assert.deepEqual(path[urn], { department: "Maths" });
JS
node run.cjs && echo "as found"
