#!/usr/bin/env bash
# scim-patch 0.8.3 (npm). {"op": "remove", "path": "members", "value": [{"value": "1"}]} is how Microsoft Entra ID takes
# somebody out of a group.
# Guessed: the member whose value is "1" goes. Seen: members are compared as whole objects; one stored as {value, display}
# stays, and nothing is raised. The same form works as long as no display name was stored.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim-patch@0.8.3
cat > run.cjs <<'JS'
const assert = require("node:assert");
const { scimPatch } = require("scim-patch");
const left = (member, operation) => (scimPatch({ schemas: [], displayName: "G", members: [member, { value: "2" }], meta: { resourceType: "Group", created: new Date(), lastModified: new Date(), location: "/Groups/1" } }, [operation]).members ?? []).map((one) => one.value);
const byValue = { op: "remove", path: "members", value: [{ value: "1" }] };
const byFilter = { op: "remove", path: 'members[value eq "1"]' };
const seen = { "by value, no display": left({ value: "1" }, byValue), "by value, with display": left({ value: "1", display: "Ada" }, byValue), "by filter, with display": left({ value: "1", display: "Ada" }, byFilter) };
console.log(seen);
assert.deepEqual(seen, { "by value, no display": ["2"], "by value, with display": ["1", "2"], "by filter, with display": ["2"] });
JS
node run.cjs && echo "as found"
