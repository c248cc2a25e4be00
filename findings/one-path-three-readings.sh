#!/usr/bin/env bash
# scim-patch 0.8.3, scimmy 1.3.5 (npm) and scim2-models 0.12.3 (PyPI): five paths of PATCH that RFC 7644 section 3.5.2 allows,
# the same in each.
# Guessed: all three do all five (names go without regard to case, RFC 7643 section 2.1; a sub-attribute of several values changes
# in all of them). Seen: scim2-models does them, with noTarget where nothing matches, as the RFC has it. scim-patch stores a name
# in another case as a second attribute, and makes a value where none matches. scimmy refuses the schema's URN, another case, a
# sub-attribute of all values, and a new value for what the filter compares (noTarget, though one matches). So a client keeps to
# the schema's own spelling, and finds an e-mail by its type.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null; python3 -m venv env
npm install --silent --no-audit --no-fund scim-patch@0.8.3 scimmy@1.3.5
env/bin/pip install --quiet --disable-pip-version-check scim2-models==0.12.3 2>/dev/null
cat > paths.json <<'JSON'
{
  "schema's URN": ["urn:ietf:params:scim:schemas:core:2.0:User:displayName", "A"],
  "another case": ["DISPLAYNAME", "A"],
  "what the filter compares": ["emails[value eq \"w@example.com\"].value", "n@example.com"],
  "all values": ["emails.display", "E"],
  "no match": ["emails[type eq \"other\"].value", "o@example.com"]
}
JSON
cat > run.mjs <<'JS'
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import SCIMMY from "scimmy";
const { scimPatch } = createRequire(import.meta.url)("scim-patch");
const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
const user = () => ({ schemas, userName: "ada", emails: [{ value: "w@example.com", type: "work" }, { value: "h@example.com", type: "home" }] });
const engines = {
  "scim-patch": async (operation) => scimPatch({ ...user(), meta: {} }, [operation]),
  scimmy: async (operation) => {
    const message = { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: [operation] };
    return new SCIMMY.Messages.PatchOp(message).apply(new SCIMMY.Schemas.User({ ...user(), id: "1" }, "out"), async (changed) => changed);
  },
};
const told = ({ displayName, DISPLAYNAME, emails }) => displayName ?? (DISPLAYNAME && "stored as DISPLAYNAME") ?? emails.map((one) => one.display ?? one.value[0]).join() + (emails.length > 2 ? " and one more" : "");
const seen = {};
for (const [engine, patch] of Object.entries(engines))
  for (const [what, [path, value]] of Object.entries(JSON.parse(readFileSync("paths.json"))))
    (seen[what] ??= {})[engine] = await patch({ op: "replace", path, value }).then(told, (error) => error.scimType ?? error.scimCode);
console.table(seen);
assert.deepEqual(Object.values(seen).map((row) => row["scim-patch"]), ["A", "stored as DISPLAYNAME", "n,h", "E,E", "w,h,o and one more"]);
assert.deepEqual(Object.values(seen).map((row) => row.scimmy), ["invalidPath", "invalidPath", "noTarget", "invalidValue", "noTarget"]);
JS
node run.mjs
env/bin/python -W ignore - <<'PY'
import json

from scim2_models import NoTargetException, PatchOp, User

seen = []
for path, value in json.load(open("paths.json")).values():
    emails = [{"value": "w@example.com", "type": "work"}, {"value": "h@example.com", "type": "home"}]
    user = User.model_validate({"userName": "ada", "emails": emails})
    try:
        PatchOp[User].model_validate({"Operations": [{"op": "replace", "path": path, "value": value}]}).patch(user)
        seen.append(user.display_name or ",".join(one.display or one.value[0] for one in user.emails))
    except NoTargetException:
        seen.append("noTarget")
print("scim2-models:", seen)
assert seen == ["A", "A", "n,h", "E,E", "noTarget"]
PY
echo "as found"
