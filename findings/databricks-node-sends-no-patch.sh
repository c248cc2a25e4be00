#!/usr/bin/env bash
# @databricks/sdk-experimental 0.17.0 (npm), Databricks' SDK for Node, whose users and groups are SCIM 2.0, against a local server.
# Guessed: a PATCH carries its operations, and a list goes on where its page ended. Seen: bodies are sent with POST and PUT only, so
# each PATCH of SCIM arrives empty, and a server that answers 2xx to it lets a deactivation look done. `list` sends the same
# request for every page: whoever is past the first page is never seen, and only an empty answer ends it. (Databricks' Python SDK
# has other faults: databricks-sdk-leaves-false-out.sh. The bridge answers 400 to a PATCH without a body.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @databricks/sdk-experimental@0.17.0
cat > run.cjs <<'JS'
const assert = require("node:assert");
const http = require("node:http");
const { WorkspaceClient } = require("@databricks/sdk-experimental");
const asked = [];
const pages = [];
const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  asked.push([request.method, request.url.replace("/api/2.0/preview/scim/v2", ""), body && JSON.parse(body).Operations]);
  const found = request.method === "GET" ? pages.shift() : [];
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ totalResults: 2, startIndex: 1, itemsPerPage: 1, Resources: found.map((id) => ({ id })) }));
});
server.listen(0, "127.0.0.1", async () => {
  const users = new WorkspaceClient({ host: `http://127.0.0.1:${server.address().port}`, token: "none", authType: "pat" }).usersV2;
  const Operations = [{ op: "replace", path: "active", value: false }];
  const schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
  await users.patch({ id: "1", schemas, Operations });
  await users.update({ id: "1", schemas: [], userName: "ada@example.com" });
  pages.push(["ada"], ["ben"], []);
  const found = [];
  for await (const user of users.list({ count: 1 })) found.push(user.id);
  server.close();
  console.log("asked:", JSON.stringify(asked), "found:", found.join());
  assert.deepEqual(asked[0], ["PATCH", "/Users/1", ""]);
  assert.deepEqual(asked[1].slice(0, 2), ["PUT", "/Users/1"]);
  assert.deepEqual(asked.slice(2), Array(3).fill(["GET", "/Users?count=1", ""]));
  process.exit(0);
});
JS
node run.cjs && echo "as found"
