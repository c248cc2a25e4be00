#!/usr/bin/env bash
# GitHubKit 0.16.1 with its schemas 26.10.21 (PyPI), made from GitHub's OpenAPI, against a local server: GitHub's SCIM API.
# Guessed: GitHub's documented deactivation, `replace` of `active` with false, can be sent to both of its SCIM APIs. Seen: that of
# enterprises takes texts only: false, the form without a path, and a list of members are refused before anything is sent, and
# "false" arrives as a text. That of organisations refuses false with a path, and takes it without one. (As released it cannot
# be imported either: its own range lets hishel 2.0.0 in, which lacks what it imports. 1.4.0 is used here.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check githubkit==0.16.1 'githubkit-schemas[all]==26.10.21' hishel==2.0.0 2>/dev/null
if env/bin/python -c 'import githubkit' 2>import.txt; then echo "it can be imported now"; exit 1; fi
grep -o "ImportError: cannot import name 'CachePolicy' from 'hishel'" import.txt
env/bin/pip install --quiet --disable-pip-version-check 'hishel[async,httpx]==1.4.0' 2>/dev/null
env/bin/python - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

written = []


class GitHubServer(BaseHTTPRequestHandler):
    def do_PATCH(self):
        written.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Operations"][0])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), GitHubServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
from githubkit import GitHub
from pydantic import ValidationError

github = GitHub("none", base_url=f"http://127.0.0.1:{server.server_address[1]}/")
rest = github.rest("ghec-2026-03-10")


def sent(send, *where, **operation):
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    written.clear()
    try:
        send(*where, data=body)
        outcome = written[0]["value"]
    except ValidationError:
        outcome = None if not written else written
    print(f"{send.__name__}: {operation} -> {'refused, nothing sent' if outcome is None else repr(outcome)}")
    return outcome


user, group = rest.enterprise_admin.update_attribute_for_enterprise_user, rest.enterprise_admin.update_attribute_for_enterprise_group
for value in ({"path": "active", "value": False}, {"value": {"active": False}}):
    assert sent(user, "u1", "enterprise", op="replace", **value) is None
assert sent(user, "u1", "enterprise", op="replace", path="active", value="false") == "false"
assert sent(group, "g1", "enterprise", op="add", path="members", value=[{"value": "u1"}]) is None
person = rest.scim.update_attribute_for_user
assert sent(person, "acme", "u1", op="replace", path="active", value=False) is None
assert sent(person, "acme", "u1", op="replace", value={"active": False}) == {"active": False}
print("as found")
PY
