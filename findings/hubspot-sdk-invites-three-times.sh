#!/usr/bin/env bash
# hubspot-sdk 0.1.0a9 (PyPI), HubSpot's newer Python SDK (it speaks /settings/users/2026-03), as it comes, against a local server.
# Guessed: a creation is sent once, or again with a key that lets HubSpot see the repetition; a conflict is final; a Retry-After is
# waited for. Seen: the invitation is sent again after 502, when the first may have been made, without any key; "this e-mail is
# taken" (409) is asked three times; and of a Retry-After longer than a minute nothing is waited: it is sent again within seconds.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hubspot-sdk==0.1.0a9 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked, answers = [], []
MADE = {"id": "1", "email": "ada@example.com", "roleIds": [], "superAdmin": False}


class HubSpotServer(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        keys = sorted(name for name in self.headers if "idempot" in name.lower())
        asked.append((time.monotonic(), self.path, keys))
        status, headers = answers.pop(0) if answers else (201, {})
        body = json.dumps(MADE if status == 201 else {"status": "error", "message": "m"}).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), HubSpotServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
from hubspot_sdk import ConflictError, HubSpot

client = HubSpot(access_token="none", base_url=f"http://127.0.0.1:{server.server_address[1]}")


def invite(*planned):
    asked.clear()
    answers[:] = planned
    try:
        outcome = client.settings.users.create(email="ada@example.com", send_welcome_email=True).id
    except ConflictError:
        outcome = "conflict"
    assert all(path == "/settings/users/2026-03" and not keys for _, path, keys in asked)
    return outcome, len(asked), asked[-1][0] - asked[0][0]


lost, taken, limited = invite((502, {})), invite(*[(409, {})] * 3), invite((429, {"Retry-After": "90"}))
print("after 502:", lost[:2], " 409:", taken[:2], " Retry-After 90:", limited[:2], "within", round(limited[2], 1), "s")
assert (lost[:2], taken[:2], limited[:2]) == (("1", 2), ("conflict", 3), ("1", 2)) and limited[2] < 30
print("as found")
PY
