#!/usr/bin/env bash
# scim2-filter 0.2.0 (npm), and scim2-parse-filter 0.2.10, its fork.
# Guessed: what it parses right, as the tree shows, it filters right (RFC 7644 section 3.4.2.2). Seen: a filter with `or`, or `and`,
# lets nobody through whoever matches, and `not (a) and b` is read as `not (a and b)`, which is everybody. One comparison alone
# works, so a lookup by userName does and the second condition that is added later ends it. The fork finds whom it should.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim2-filter@0.2.0 scim2-parse-filter@0.2.10
cat > run.cjs <<'JS'
const assert = require("node:assert");
const people = [{ userName: "ada", active: true }, { userName: "ben", active: false }];
const asked = ['userName eq "ada"', 'userName eq "ada" or userName eq "ben"', 'userName eq "ada" and active eq true', "not (active eq true) and userName pr"];
const found = (library) => asked.map((text) => people.filter(library.filter(library.parse(text))).map((one) => one.userName).join());
const tree = require("scim2-filter").parse(asked[1]);
const [original, fork] = [found(require("scim2-filter")), found(require("scim2-parse-filter"))];
console.table(asked.map((filter, at) => ({ filter, "scim2-filter": original[at], "scim2-parse-filter": fork[at] })));
assert.deepEqual([tree.op, tree.filters.length], ["or", 2]);
assert.deepEqual(original, ["ada", "", "", "ada,ben"]);
assert.deepEqual(fork, ["ada", "ada,ben", "ada", "ben"]);
JS
node run.cjs && echo "as found"
