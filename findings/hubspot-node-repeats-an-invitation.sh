#!/usr/bin/env bash
# @hubspot/api-client 14.0.1 (npm) against a local server.
# Guessed: numberOfApiCallRetries: 1 repeats a call once, and retries are for calls that may be repeated, and for limits. Seen: 1
# repeats nothing, 2 repeats once; a POST that invites a user is sent again after 502
# (whether the first took effect is unknown); of HubSpot's 429 answers only the policy TEN_SECONDLY_ROLLING is repeated, one
# with SECONDLY or DAILY is not.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @hubspot/api-client@14.0.1
cat > run.cjs <<'JS'
const assert = require("node:assert");
const http = require("node:http");
const { Client } = require("@hubspot/api-client");
let sent = [];
let first;
const server = http.createServer((request, response) => {
  request.resume().on("end", () => {
    sent.push(request.method);
    const [status, body] = sent.length === 1 ? first : [request.method === "POST" ? 201 : 200, { id: "1", email: "ada@example.com" }];
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
});
server.listen(0, "127.0.0.1", async () => {
  const basePath = "http://127.0.0.1:" + server.address().port;
  const of = (numberOfApiCallRetries) => new Client({ accessToken: "none", basePath, numberOfApiCallRetries }).settings.users.usersApi;
  const users = of(2);
  const calls = async (answer, call) => { sent = []; first = answer; await call().catch(() => {}); return sent.length; };
  const invite = (api) => () => api.create({ email: "ada@example.com", sendWelcomeEmail: false });
  const one = await calls([502, {}], invite(of(1)));
  const invitation = await calls([502, {}], invite(users));
  const secondly = await calls([429, { policyName: "SECONDLY" }], () => users.getById("1"));
  console.log("with 1 retry an invitation is sent", one, "times; with 2 retries, an invitation after 502 is sent", invitation, "times, a read after 429 SECONDLY", secondly);
  assert.deepEqual([one, invitation, secondly], [1, 2, 1]);
  process.exit(0);
});
JS
node run.cjs && echo "as found"
