#!/usr/bin/env bash
# slack_sdk 3.48.0 (PyPI), Slack's own Python SDK, its SCIM client against a local server.
# Guessed: a user who was read and is written back by update_user arrives as they were. Seen: `schemas` arrives as a list of
# two lists, each with every schema, which no service provider can read; and an extension whose URN has an underscore
# (`acme_corp`) arrives under another URN (`acmeCorp`), its attribute `badge_id` as `badgeId`. So does what is created.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check slack_sdk==3.48.0 2>/dev/null
env/bin/python - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CORE, ACME = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:acme_corp:2.0:User"
ADA = {"schemas": [CORE, ACME], "id": "u1", "userName": "ada", "active": True, "name": {"givenName": "Ada"},
       "emails": [{"value": "ada@corp.example", "primary": True}], ACME: {"badge_id": "7"}}
written = []


class Provider(BaseHTTPRequestHandler):
    def answer(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if sent:
            written.append(json.loads(sent))
        content = json.dumps(written[-1] if sent else ADA).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
from slack_sdk.scim import SCIMClient

client = SCIMClient(token="none", base_url=f"http://127.0.0.1:{server.server_address[1]}/")
client.update_user(client.read_user("u1").user)
(put,) = written
for name in sorted(ADA.keys() | put.keys()):
    print(f"{name}: {ADA.get(name)} -> {put.get(name)}")
assert put["schemas"] == [[CORE, ACME], [CORE, ACME]]
renamed = ACME.replace("acme_corp", "acmeCorp")
assert ACME not in put and "badge_id" not in put[renamed]
assert all(put[name] == ADA[name] for name in ("userName", "active", "name", "emails"))
client.create_user({"userName": "bob", ACME: {"badge_id": "8"}})
print("created:", written[-1])
assert written[-1][renamed] == {"badgeId": "8"} and ACME not in written[-1]
print("as found")
PY
