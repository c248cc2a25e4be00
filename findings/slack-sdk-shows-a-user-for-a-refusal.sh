#!/usr/bin/env bash
# slack_sdk 3.48.0 (PyPI), Slack's own Python SDK, its SCIM client against a local server.
# Guessed: a creation that is refused raises, or has errors and no user. Seen: 409 with an error of RFC 7644 raises nothing,
# `errors` is None (only Slack's older `Errors` is read), and `user` is a User whose `status` is "409". A search that is refused,
# or answered by RFC 7644 with totalResults 0 and no Resources, ends in a TypeError about None.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check slack_sdk==3.48.0 2>/dev/null
env/bin/python - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TAKEN = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "409", "scimType": "uniqueness", "detail": "taken"}
NOBODY = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0}


class Provider(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = (409, TAKEN) if self.command == "POST" else (200, NOBODY)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
from slack_sdk.scim import SCIMClient, User

client = SCIMClient(token="none", base_url=f"http://127.0.0.1:{server.server_address[1]}/")
answer = client.create_user({"userName": "ada"})
print("create:", answer.status_code, "| errors:", answer.errors, "| user:", answer.user.to_dict())
assert answer.status_code == 409 and answer.errors is None and isinstance(answer.user, User)
assert answer.user.to_dict()["status"] == "409"
found = client.search_users(count=10, start_index=1, filter='userName eq "nobody"')
try:
    print("search:", found.users)
    raise SystemExit("a list without Resources is read now")
except TypeError as error:
    print("search:", found.status_code, found.body, "->", error)
print("as found")
PY
