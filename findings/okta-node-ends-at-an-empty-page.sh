#!/usr/bin/env bash
# @okta/okta-sdk-nodejs 8.1.0 (npm), Okta's SDK for Node, against a local server that answers two pages of users.
# Guessed: a list goes on as long as an answer has a `Link` to the next page. Seen: a page without users ends it, link or not:
# `each` asks no more, calls nothing and raises nothing. Whoever is on the pages behind an empty one is not there for a program
# that compares, and a comparison that ends access for whoever is missing would end theirs.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @okta/okta-sdk-nodejs@8.1.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import http from "node:http";
import okta from "@okta/okta-sdk-nodejs";
const person = (id) => ({ id, status: "ACTIVE", profile: { login: `${id}@example.com`, email: `${id}@example.com`, firstName: "A", lastName: "B" } });
let first = [];
let asked = [];
const server = http.createServer((request, response) => {
  asked.push(request.url);
  const second = request.url.includes("after=");
  const link = second ? {} : { link: `<${url}/api/v1/users?after=2>; rel="next"` };
  response.writeHead(200, { "content-type": "application/json", ...link });
  response.end(JSON.stringify(second ? [person("ben")] : first));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}`;
const client = new okta.Client({ orgUrl: url, token: "none", testing: { disableHttpsCheck: true } });
const all = async (page) => {
  [first, asked] = [page, []];
  const found = [];
  await (await client.userApi.listUsers()).each((user) => { found.push(user.id); });
  return [found, asked.length];
};
const full = await all([person("ada")]);
const empty = await all([]);
server.close();
console.log("first page with ada:", full, "- first page empty, with a link:", empty);
assert.deepEqual([full, empty], [[["ada", "ben"], 2], [[], 1]]);
JS
node run.mjs && echo "as found"
