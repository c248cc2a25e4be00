#!/usr/bin/env bash
# scimmy-routers 1.3.2 on Express 4.22.1 with scimmy 1.3.5 (npm): lists of one User.
# Guessed: itemsPerPage is what the page holds, count=0 asks for the number alone (RFC 7644 section 3.4.2.4), and every resource
# tells its schemas, whatever attributes are asked for (RFC 7643 section 3: returned always). Seen: itemsPerPage is 20 of one User;
# count 0 does so by GET and is 400 by POST /.search; with attributes=userName a User is {id, userName}, without schemas; and a User told to be inactive has no
# "active" after a PUT that leaves it out, so whoever reads absence as true sees access come back.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund scimmy@1.3.5 scimmy-routers@1.3.2 express@4.22.1
cat > run.mjs <<'JS'
import assert from "node:assert";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";
const people = new Map();
SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .ingress((resource, data) => people.set("1", { ...data, id: "1" }).get("1"))
  .egress((resource) => (resource.id ? people.get(resource.id) : [...people.values()]));
const server = express().use("/v2", new SCIMMYRouters({ type: "bearer", handler: () => "client" })).listen(0, "127.0.0.1", async () => {
  const call = async (method, path, body) => {
    const headers = { "content-type": "application/scim+json" };
    const response = await fetch(`http://127.0.0.1:${server.address().port}/v2${path}`, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const ada = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "ada", active: false };
  await call("POST", "/Users", ada);
  const list = (await call("GET", "/Users")).body;
  const search = { schemas: ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], count: 0 };
  const none = [(await call("GET", "/Users?count=0")).body.Resources.length, (await call("POST", "/Users/.search", search)).status];
  const short = Object.keys((await call("GET", "/Users?attributes=userName")).body.Resources[0]);
  const { active, ...named } = ada;
  const replaced = (await call("PUT", "/Users/1", named)).body;
  console.log("itemsPerPage", list.itemsPerPage, "of", list.Resources.length, "; count 0 by GET shows", none[0], "and by POST is", none[1], "; short:", short, "; active after PUT:", replaced.active);
  assert.deepEqual([list.itemsPerPage, list.Resources.length, none, short, "active" in replaced], [20, 1, [0, 400], ["id", "userName"], false]);
  process.exit(0);
});
JS
node run.mjs && echo "as found"
