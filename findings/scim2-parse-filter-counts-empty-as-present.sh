#!/usr/bin/env bash
# scim2-parse-filter 0.2.10 (npm), the filter parser of most Node servers.
# Guessed: "emails pr" is false of an empty list (RFC 7643 section 2.5: it is unassigned), and 'schemas eq "a"' matches when one
# of the values is "a". Seen: "pr" is true of [] and of "", and a multi-valued attribute of plain texts matches no value at all.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim2-parse-filter@0.2.10
cat > run.cjs <<'JS'
const assert = require("node:assert");
const { parse, filter } = require("scim2-parse-filter");
const matches = (text, resource) => filter(parse(text))(resource);
const seen = { "emails pr, []": matches("emails pr", { emails: [] }), 'nickName pr, ""': matches("nickName pr", { nickName: "" }), "schemas eq one of them": matches('schemas eq "a"', { schemas: ["a", "b"] }), "emails.value eq one of them": matches('emails.value eq "a"', { emails: [{ value: "a" }, { value: "b" }] }) };
console.table(seen);
assert.deepEqual(Object.values(seen), [true, true, false, true]);
JS
node run.cjs && echo "as found"
