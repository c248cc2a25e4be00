#!/usr/bin/env bash
# @okta/okta-sdk-nodejs 8.1.0 (npm), Okta's SDK for Node, with its own settings, against a local server.
# Guessed: 429 and 503 with `Retry-After` (RFC 9110 section 10.2.3) are tried again after it. Seen: `Retry-After` is not read. A
# 429 with it, or 503, is an error at once, after one request; only 429 with Okta's own `X-Rate-Limit-Reset` and a `Date` is
# waited for. What stands between, a proxy that limits by itself, makes a program fail that would have had to wait a second.
# (Okta's Python SDK does not read it either, but repeats 503 at once: okta-python-waits-for-no-retry-after.sh.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; npm init -y >/dev/null
npm install --silent --no-audit --no-fund @okta/okta-sdk-nodejs@8.1.0
cat > run.mjs <<'JS'
import assert from "node:assert";
import http from "node:http";
import okta from "@okta/okta-sdk-nodejs";
const user = { id: "ada", profile: { login: "ada@example.com" } };
let refusal;
let asked = 0;
const server = http.createServer((request, response) => {
  asked += 1;
  const [status, headers] = asked === 1 ? refusal : [200, {}];
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(status === 200 ? user : {}));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const client = new okta.Client({ orgUrl: `http://127.0.0.1:${server.address().port}`, token: "none", testing: { disableHttpsCheck: true } });
const outcome = async (...answer) => {
  [refusal, asked] = [answer, 0];
  const said = await client.userApi.getUser({ userId: "ada" }).then((found) => found.id, (error) => error.message.trim());
  return [said.match(/ada|HTTP \d+/)[0], asked];
};
const reset = () => ({ "x-rate-limit-reset": String(Math.floor(Date.now() / 1000) + 1), date: new Date().toUTCString() });
const seen = {
  "429, Retry-After": await outcome(429, { "retry-after": "1" }),
  "503, Retry-After": await outcome(503, { "retry-after": "1" }),
  "429, X-Rate-Limit-Reset": await outcome(429, reset()),
};
server.close();
console.log("answer, and requests sent:", JSON.stringify(seen));
assert.deepEqual(seen, { "429, Retry-After": ["HTTP 429", 1], "503, Retry-After": ["HTTP 503", 1], "429, X-Rate-Limit-Reset": ["ada", 2] });
JS
node run.mjs && echo "as found"
