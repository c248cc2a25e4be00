#!/usr/bin/env bash
# slack-objects 0.3.0 (PyPI), helpers around Slack's Web and SCIM APIs, against a local server.
# Guessed: whether somebody is active is told by an answer of SCIM, and no answer is an error, as in everything else of it. Seen:
# `is_active_scim` is False for 429, 503 and a token that is not taken (401) as for somebody who is inactive or not there: an
# access review, or a program that ends what is left of whoever is inactive, takes an outage of Slack for a leaver. The same
# failures of a group's members are raised.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check slack-objects==0.3.0 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, ERROR = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:api:messages:2.0:Error"
answer = [200]


class Slack(BaseHTTPRequestHandler):
    def do_GET(self):
        ada = {"schemas": [USER], "id": "U1", "userName": "ada", "active": True}
        data = json.dumps(ada if answer[0] == 200 else {"schemas": [ERROR], "status": str(answer[0])}).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Slack)
threading.Thread(target=server.serve_forever, daemon=True).start()
from requests import HTTPError
from slack_objects.client import SlackObjectsClient
from slack_objects.config import SlackObjectsConfig

url = f"http://127.0.0.1:{server.server_address[1]}/scim"
slack = SlackObjectsClient(SlackObjectsConfig(bot_token="none", scim_token="none", scim_base_url=url))
active = {}
for answer[0] in (200, 404, 401, 429, 503):
    active[answer[0]] = slack.users().is_active_scim("U1")
try:
    members = slack.idp_groups().is_member("U1", "G1")
except HTTPError:
    members = "raised"
print("active, by status:", active, " a member, with 503:", members)
assert active == {200: True, 404: False, 401: False, 429: False, 503: False} and members == "raised"
print("as found")
PY
