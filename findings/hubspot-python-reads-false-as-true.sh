#!/usr/bin/env bash
# hubspot-api-client 12.0.0 (PyPI), HubSpot's Python SDK, against a local server.
# Guessed: "superAdmin": "false" (a text, as in HubSpot's older documentation) is False or an error, and an HTML answer with
# status 200 is an error. Seen: the text is True, since any text is; and the HTML answer is a user whose every field is None.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
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

answers[:] = [(200, JSON, '{"id": "1", "email": "ada@example.com", "roleIds": [], "superAdmin": "false"}')]
admin = users.get_by_id("1").super_admin
answers[:] = [(200, {"Content-Type": "text/html"}, "<html>Please sign in</html>")]
user = users.get_by_id("1")
print("superAdmin 'false' is", admin, "; the HTML page is", {"id": user.id, "email": user.email})
assert admin is True
assert user.id is None and user.email is None
print("as found")
PY
