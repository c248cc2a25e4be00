#!/usr/bin/env bash
# @boxyhq/saml-jackson 26.2.0 (npm), its directory sync (a SCIM service provider), engine "mem", a directory of type azure-scim-v2.
# Guessed: the members a client names are kept and removed in the forms that Entra ID and Okta send. Seen, all of it answered 2xx:
# members of a POST are not taken; `Remove`, as Entra ID spells it, removes nobody and `remove` does, though the directory is made
# for Entra ID; PUT with an empty list and `remove` of all members leave everybody in; a deleted User stays a member; and no
# read of a Group has a member, so a client that reads back after a removal sees what it hoped for.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @boxyhq/saml-jackson@26.2.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import jackson from "@boxyhq/saml-jackson";
const quiet = { info() {}, warn() {}, error() {} };
const options = { externalUrl: "http://localhost:1", samlAudience: "a", samlPath: "/s", scimPath: "/scim", acsUrl: "http://localhost:1/a", db: { engine: "mem" }, logger: quiet };
const { directorySyncController: sync } = await (jackson.default ?? jackson.controllers ?? jackson)(options);
const { data: directory } = await sync.directories.create({ tenant: "t", product: "p", name: "d", type: "azure-scim-v2" });
const statuses = [];
const ask = async (method, resourceType, resourceId, body) => {
  const request = { method, resourceType, resourceId, body, query: {}, directoryId: directory.id, apiSecret: directory.scim.secret };
  const answer = await sync.requests.handle(request, async () => {});
  statuses.push(answer.status);
  return answer.data;
};
const person = (name) => ({ userName: `${name}@example.com`, name: { givenName: name, familyName: "B" }, emails: [{ value: `${name}@example.com` }], active: true });
const ada = (await ask("POST", "users", undefined, person("ada"))).id;
const ben = (await ask("POST", "users", undefined, person("ben"))).id;
const names = { [ada]: "ada", [ben]: "ben" };
const group = (await ask("POST", "groups", undefined, { displayName: "Sales", members: [{ value: ada }] })).id;
const seen = {};
const look = async (what) => {
  const stored = await sync.groups.setTenantAndProduct("t", "p").getGroupMembers({ groupId: group });
  const shown = (await ask("GET", "groups", group)).members.map((member) => names[member.value]);
  seen[what] = [(stored.data ?? stored).map((member) => names[member.user_id]).sort().join(), shown.join()];
};
const patch = (op, value, path = "members") => ask("PATCH", "groups", group, { Operations: [{ op, path, value }] });
await look("POST with ada");
await patch("Add", [{ value: ada }, { value: ben }]);
await patch("add", [{ value: ada }, { value: ben }]);
await look("add both");
await patch("Remove", [{ value: ben }]);
await look("Remove ben");
await patch("remove", [{ value: ben }]);
await look("remove ben");
await patch("remove");
await ask("PUT", "groups", group, { displayName: "Sales", members: [] });
await look("remove all, PUT nobody");
await ask("DELETE", "users", ada);
await look("DELETE ada");
console.log("stored, then shown:", JSON.stringify(seen), "statuses:", [...new Set(statuses)].sort().join());
assert.deepEqual(seen, {
  "POST with ada": ["", ""], "add both": ["ada,ben", ""], "Remove ben": ["ada,ben", ""], "remove ben": ["ada", ""],
  "remove all, PUT nobody": ["ada", ""], "DELETE ada": ["ada", ""],
});
assert.ok(statuses.every((status) => status < 300));
process.exit(0);
JS
node run.mjs && echo "as found"
