#!/usr/bin/env bash
# databricks-sdk 0.162.0 (PyPI) against a local server: users.list(start_index=3, count=2) of five users.
# Guessed: two users from the third on, as startIndex and count say (RFC 7644 section 3.4.2.4). Seen: startIndex 1 is sent, and
# pages are turned to the end: all five come. It stops at an empty page only, and never looks at totalResults.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check databricks-sdk==0.162.0 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

asked, people = [], [{"id": str(number), "userName": f"p{number}"} for number in range(1, 6)]


class Workspace(BaseHTTPRequestHandler):
    def do_GET(self):
        if "/scim/" not in self.path:
            return self.send_error(404)
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
        asked.append(query["startIndex"])
        page = people[query["startIndex"] - 1 :][: query["count"]]
        body = {"totalResults": len(people), "startIndex": query["startIndex"], "itemsPerPage": len(page), "Resources": page}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Workspace)
threading.Thread(target=server.serve_forever, daemon=True).start()
from databricks.sdk import WorkspaceClient

client = WorkspaceClient(host=f"http://127.0.0.1:{server.server_address[1]}", token="none", auth_type="pat")
found = [user.user_name for user in client.users_v2.list(start_index=3, count=2)]
print("found:", found, " startIndex that was sent:", asked)
assert found == ["p1", "p2", "p3", "p4", "p5"]
assert asked == [1, 3, 5, 6]
print("as found")
PY
