#!/usr/bin/env bash
# @boxyhq/saml-jackson 26.2.0 (npm), its directory sync (a SCIM service provider), engine "mem".
# Guessed: `userName eq` finds whoever has that userName, without regard to case. Seen: it asks for the first e-mail address instead,
# in one spelling: a person whose userName is no address is found by none of theirs and by the address of another attribute, so a
# client that searches before it creates is told "nobody" and then 409. A Group that was renamed is found by its old name only,
# and `"False"`, as Entra ID sends it, is stored as a text, which every test for truth takes for active.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @boxyhq/saml-jackson@26.2.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import jackson from "@boxyhq/saml-jackson";
const quiet = { info() {}, warn() {}, error() {} };
const options = { externalUrl: "http://localhost:1", samlAudience: "a", samlPath: "/s", scimPath: "/scim", acsUrl: "http://localhost:1/a", db: { engine: "mem" }, logger: quiet };
const { directorySyncController: sync } = await (jackson.default ?? jackson.controllers ?? jackson)(options);
const { data: directory } = await sync.directories.create({ tenant: "t", product: "p", name: "d", type: "generic-scim-v2" });
const ask = (method, resourceType, resourceId, body, query = {}) =>
  sync.requests.handle({ method, resourceType, resourceId, body, query, directoryId: directory.id, apiSecret: directory.scim.secret }, async () => {});
const found = async (type, filter) => (await ask("GET", type, undefined, undefined, { filter, startIndex: 1, count: 100 })).data.totalResults;
const ada = { userName: "abyron", name: { givenName: "Ada", familyName: "Byron" }, emails: [{ value: "ada@example.com" }], active: true };
const made = await ask("POST", "users", undefined, ada);
const people = {
  "userName eq abyron": await found("users", 'userName eq "abyron"'),
  "userName eq ada@example.com": await found("users", 'userName eq "ada@example.com"'),
  "userName eq ADA@example.com": await found("users", 'userName eq "ADA@example.com"'),
  "created again": (await ask("POST", "users", undefined, ada)).status,
};
const inactive = await ask("PATCH", "users", made.data.id, { Operations: [{ op: "Replace", path: "active", value: "False" }] });
const group = await ask("POST", "groups", undefined, { displayName: "Sales" });
const renamed = await ask("PATCH", "groups", group.data.id, { Operations: [{ op: "replace", path: "displayName", value: "Support" }] });
const groups = { name: renamed.data.displayName, Sales: await found("groups", 'displayName eq "Sales"'), Support: await found("groups", 'displayName eq "Support"') };
console.log(JSON.stringify(people), "active:", JSON.stringify(inactive.data.active), JSON.stringify(groups));
assert.deepEqual(people, { "userName eq abyron": 0, "userName eq ada@example.com": 1, "userName eq ADA@example.com": 0, "created again": 409 });
assert.strictEqual(inactive.data.active, "False");
assert.deepEqual(groups, { name: "Support", Sales: 1, Support: 0 });
process.exit(0);
JS
node run.mjs && echo "as found"
