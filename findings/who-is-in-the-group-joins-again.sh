#!/usr/bin/env bash
# scim2-models 0.12.3 (PyPI) and scimmy 1.3.5 (npm). PATCH "add" of a member who is there already; RFC 7644 section 3.5.2.1: "If
# the value already exists, no changes SHOULD be made", and clients repeat an addition whenever they are unsure.
# Guessed: the group stays as it is. Seen: stored as {value, display} and added as {value}, the member is there twice with both;
# one removal by filter takes both away. (The bridge keeps members as rows, so it has them once.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null; python3 -m venv env
npm install --silent --no-audit --no-fund scimmy@1.3.5
env/bin/pip install --quiet --disable-pip-version-check scim2-models==0.12.3 2>/dev/null
cat > run.mjs <<'JS'
import assert from "node:assert";
import SCIMMY from "scimmy";
const { Group } = SCIMMY.Schemas;
const patch = async (group, ...Operations) => new SCIMMY.Messages.PatchOp({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations }).apply(group, async (changed) => changed);
const group = () => new Group({ schemas: [Group.definition.id], id: "g", displayName: "G", members: [{ value: "1", display: "Ada" }] }, "out");
const add = { op: "add", path: "members", value: [{ value: "1" }] };
const twice = (await patch(group(), add)).members.map((member) => member.value);
const none = (await patch(group(), add, { op: "remove", path: 'members[value eq "1"]' })).members ?? [];
console.log("scimmy:       added", twice, "then removed", none);
assert.deepEqual([twice, none.length], [["1", "1"], 0]);
JS
node run.mjs
env/bin/python - <<'PY'
from scim2_models import Group, PatchOp

add = {"op": "add", "path": "members", "value": [{"value": "1"}]}
remove = {"op": "remove", "path": 'members[value eq "1"]'}


def members(*operations):
    group = Group.model_validate({"id": "g", "displayName": "G", "members": [{"value": "1", "display": "Ada"}]})
    PatchOp[Group].model_validate({"Operations": list(operations)}).patch(group)
    return [member.value for member in group.members or ()]


print("scim2-models: added", members(add), "then removed", members(add, remove))
assert (members(add), members(add, remove)) == (["1", "1"], [])
PY
echo "as found"
