#!/usr/bin/env bash
# hubspot-api-client 12.0.0 (PyPI) and @hubspot/api-client 14.0.1 (npm), against a local server: one update of a user each.
# Guessed: {roleId: null} takes a permission set away with both, and seatNames, which HubSpot's published documents of v3 have
# since August 2026, is sent or refused. Seen: Python sends {} for role_id=None and has no seat_names; Node sends null, but for
# {seatNames: [...]} it sends {} without a word. An empty PUT is what other connectors revoke a permission set with.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @hubspot/api-client@14.0.1
env/bin/pip install --quiet --disable-pip-version-check hubspot-api-client==12.0.0 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen, answers = [], []


class HubSpot(BaseHTTPRequestHandler):
    def answer(self):
        seen.append((self.command, self.rfile.read(int(self.headers.get("content-length") or 0)).decode()))
        status, headers, body = answers[min(len(seen), len(answers)) - 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), HubSpot)
threading.Thread(target=server.serve_forever, daemon=True).start()
JSON = {"Content-Type": "application/json"}
import hubspot
from hubspot.settings.users import PublicUserUpdate

users = hubspot.Client.create(access_token="none").settings.users.users_api
users.api_client.configuration.host = f"http://127.0.0.1:{server.server_address[1]}"

import subprocess

answers[:] = [(200, JSON, '{"id": "1", "email": "ada@example.com", "roleIds": [], "superAdmin": false}')]
users.replace("1", PublicUserUpdate(role_id=None))
script = """
const { Client } = require("@hubspot/api-client");
const users = new Client({ accessToken: "none", basePath: process.argv[1] }).settings.users.usersApi;
(async () => { await users.replace("1", { roleId: null }); await users.replace("1", { seatNames: ["Core"] }); process.exit(0); })();
"""
subprocess.run(["node", "-e", script, users.api_client.configuration.host], check=True)
bodies = [json.loads(body) for _, body in seen]
print("Python, no role:", bodies[0], " Node, no role:", bodies[1], " Node, a seat:", bodies[2])
assert bodies == [{}, {"roleId": None}, {}]
assert "seat_names" not in PublicUserUpdate.attribute_map
print("as found")
PY
