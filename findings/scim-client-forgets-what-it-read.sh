#!/usr/bin/env bash
# scim-client 0.2.3 (PyPI, "SCIM v2 API client") against a local server: read a user, change active, update.
# Guessed: what the client has no field for is sent back, since PUT replaces (RFC 7644 section 3.5.1). Seen: title, phone numbers
# and roles are kept on the object as extra_fields and left out of the PUT, which takes them away.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim-client==0.2.3 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sent = []
ada = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "1",
    "externalId": "e1",
    "userName": "ada@example.com",
    "name": {"givenName": "Ada", "familyName": "Byron"},
    "displayName": "Ada Byron",
    "emails": [{"value": "ada@example.com"}],
    "active": True,
    "title": "Countess",
    "phoneNumbers": [{"value": "tel:+44-20-0000-0000"}],
    "roles": [{"value": "admin"}],
}


class Provider(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        if length:
            sent.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(ada).encode())

    do_GET = do_PUT = answer

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
from scim_client import SCIMClient

client = SCIMClient(f"http://127.0.0.1:{server.server_address[1]}", "none")
user = client.read_user("1")
user.active = False
client.update_user(user)
lost = sorted(set(ada) - set(sent[0]))
print("left out of the PUT:", lost)
assert lost == ["phoneNumbers", "roles", "title"]
print("as found")
PY
