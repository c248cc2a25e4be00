#!/usr/bin/env bash
# scimmy 1.3.5 (npm): its Filter is what its documentation gives an application to answer `filter=` with.
# Guessed: userName is not caseExact (RFC 7643 §4.1.1, §8.7.1), so `eq` finds "Ada" by "ada". Seen: Filter.match compares exactly, and so does `co`; whoever searches in lower case before they create somebody, as most
# identity providers do, is told "nobody" and then 409.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund scimmy@1.3.5
cat > try.mjs <<'JS'
import SCIMMY from "scimmy";
const people = [{ userName: "Ada@Example.com" }];
const found = (filter) => new SCIMMY.Types.Filter(filter).match(people).length;
const seen = {
  same: found('userName eq "Ada@Example.com"'),
  lower: found('userName eq "ada@example.com"'),
  contains: found('userName co "ada@"'),
};
console.log(JSON.stringify(seen));
if (JSON.stringify(seen) !== '{"same":1,"lower":0,"contains":0}') process.exit(1);
console.log("as found");
JS
node try.mjs
