#!/usr/bin/env bash
# hubspot-sdk 0.1.0a9 (PyPI), HubSpot's newer Python SDK, against a local server.
# Guessed: users are listed as long as a page names the next; what does not fit the model is an error, as its types promise. Seen:
# a page without users ends the list, though `paging.next` is there: whoever is behind it is missing to a comparison. A page of a
# gateway with status 200 comes back as a text where a user was promised, and `"superAdmin": "false"` (older HubSpot examples) as
# the text, which is true. `role_id=None` does send null, though its signature has no None; HubSpot's other SDK leaves it out.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hubspot-sdk==0.1.0a9 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

answers, written = [], []


def person(number, admin=False):
    return {"id": str(number), "email": f"{number}@example.com", "roleIds": [], "superAdmin": admin}


class HubSpotServer(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = answers.pop(0)
        text = isinstance(answer, str)
        body = answer.encode() if text else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        written.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answers[:] = [person(1)]
        self.do_GET()

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), HubSpotServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
from hubspot_sdk import HubSpot

users = HubSpot(access_token="none", base_url=f"http://127.0.0.1:{server.server_address[1]}").settings.users


def listed(*pages):
    answers[:] = [{"results": page, "paging": {"next": {"after": "x"}}} for page in pages] + [{"results": [person(9)]}]
    return [user.id for user in users.list(limit=1)]


full, empty = listed([person(1)], [person(2)]), listed([person(1)], [])
answers[:] = ["<html>maintenance</html>", person(1, "false")]
page, admin = users.get("1"), users.get("1").super_admin
users.update("1", role_id=None)
print("full pages:", full, " an empty one between:", empty, " a gateway:", repr(page), " admin:", repr(admin), " sent:", written)
assert full == ["1", "2", "9"] and empty == ["1"]
assert page == "<html>maintenance</html>" and admin == "false" and written == [{"roleId": None}]
print("as found")
PY
