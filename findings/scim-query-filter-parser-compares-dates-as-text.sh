#!/usr/bin/env bash
# scim-query-filter-parser 2.0.4 (npm).
# Guessed: two spellings of one moment are equal (RFC 7644 section 3.4.2.2: dateTime compares chronologically), and "not" is
# read. Seen: 2021-01-01T00:30+01:00, half an hour before midnight UTC, counts as later than midnight UTC; a moment with and
# without milliseconds differs; every "not (…)" is a syntax error.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scim-query-filter-parser@2.0.4
cat > run.cjs <<'JS'
const assert = require("node:assert");
const { compileFilter } = require("scim-query-filter-parser");
const at = (lastModified) => ({ meta: { lastModified } });
const later = compileFilter('meta.lastModified gt "2021-01-01T00:00:00Z"')(at("2021-01-01T00:30:00+01:00"));
const same = compileFilter('meta.lastModified eq "2021-01-01T00:00:00Z"')(at("2021-01-01T00:00:00.000Z"));
console.log("half an hour earlier counts as later:", later, " the same moment with milliseconds is equal:", same);
assert.deepEqual([later, same], [true, false]);
assert.throws(() => compileFilter('not (userName eq "ada")'), /parse/i);
JS
node run.cjs && echo "as found"
