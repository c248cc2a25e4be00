#!/usr/bin/env bash
# hubspot-api-client 12.0.0 with urllib3 2.8.0 (PyPI), against a local server. The client is made without a retry setting.
# Guessed: an answer 429 is an ApiException at once. Seen: with Retry-After urllib3's default sends it three more times (its
# list of repeated statuses is empty, but 413, 429 and 503 with that header are repeated all the same), PUT and DELETE too;
# without the header it is sent once.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hubspot-api-client==12.0.0 urllib3==2.8.0 2>/dev/null
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

def sent(headers):
    seen.clear()
    answers[:] = [(429, JSON | headers, "{}")]
    try:
        users.replace("1", PublicUserUpdate(role_id="7"))
    except hubspot.settings.users.ApiException as error:
        return len(seen), error.status
    except Exception as error:
        return len(seen), type(error).__name__


counts = {"with Retry-After": sent({"Retry-After": "1"}), "without": sent({})}
print(counts)
assert counts["with Retry-After"][0] == 4
assert counts["without"] == (1, 429)
print("as found")
PY
