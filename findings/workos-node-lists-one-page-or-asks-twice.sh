#!/usr/bin/env bash
# @workos-inc/node 11.0.0 (npm), the SDK of a directory sync that many SaaS stand on, against a local server with two people.
# Guessed: `autoPagination()` goes on from the page that is there. Seen: with a `limit` it is that page and no more, though the
# answer names the next; without one the page that was read is thrown away and the list asked for again from its start, a hundred
# a page, so people who changed in between are seen once, twice or never. And a person's `username` and `emails` are left out of
# what is returned: whoever matches people by userName has nothing to match by.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @workos-inc/node@11.0.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import http from "node:http";
import { WorkOS } from "@workos-inc/node";
const person = (id) => ({
  object: "directory_user", id, directory_id: "d", organization_id: "o", idp_id: id, first_name: id, last_name: "B", email: `${id}@example.com`,
  emails: [{ primary: true, type: "work", value: `${id}@example.com` }], username: id, state: "active", custom_attributes: {}, raw_attributes: {},
  groups: [], created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z",
});
const people = [person("ada"), person("ben")];
let asked = [];
const server = http.createServer((request, response) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  asked.push([query.get("limit"), query.get("after")].join("/"));
  const start = query.get("after") === "ada" ? 1 : 0;
  const page = people.slice(start, start + Number(query.get("limit") ?? 1));
  const after = start + page.length < people.length ? page.at(-1).id : null;
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ data: page, list_metadata: { before: null, after } }));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const workos = new WorkOS("none", { apiHostname: "127.0.0.1", https: false, port: server.address().port });
const all = async (options) => {
  asked = [];
  const list = await workos.directorySync.listUsers({ directory: "d", ...options });
  const found = await list.autoPagination();
  return { found: found.map((user) => user.id), next: list.listMetadata.after, asked, names: found.map((user) => user.username ?? null) };
};
const limited = await all({ limit: 1 });
const unlimited = await all({});
server.close();
console.log("limit 1:", JSON.stringify(limited), "- no limit (asked: limit/after):", JSON.stringify(unlimited));
assert.deepEqual(limited, { found: ["ada"], next: "ada", asked: ["1/"], names: [null] });
assert.deepEqual(unlimited, { found: ["ada", "ben"], next: "ada", asked: ["/", "100/"], names: [null, null] });
JS
node run.mjs && echo "as found"
