#!/usr/bin/env bash
# databricks-sdk 0.162.0 (PyPI), whose account and workspace users and groups are SCIM 2.0, against a local server.
# Guessed: {"op": "replace", "path": "active", "value": false} is sent as it is written, and so is an emptied list of members.
# Seen: a value that is false, empty or 0 is left out, so the deactivation is an operation without a value; it arrives only when
# it is wrapped in an object, without a path. (The bridge answers 400 to it, and changes nobody.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check databricks-sdk==0.162.0 2>/dev/null
env/bin/python -W ignore - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen = []


class Workspace(BaseHTTPRequestHandler):
    def do_PATCH(self):
        seen.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["Operations"][0])
        self.send_response(204)
        self.end_headers()

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Workspace)
threading.Thread(target=server.serve_forever, daemon=True).start()
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.iam import Patch, PatchOp, PatchSchema

client = WorkspaceClient(host=f"http://127.0.0.1:{server.server_address[1]}", token="none", auth_type="pat")
schemas = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]


def sent(resources, **operation):
    resources.patch("1", operations=[Patch(op=PatchOp.REPLACE, **operation)], schemas=schemas)
    return seen[-1]


by_path = sent(client.users_v2, path="active", value=False)
wrapped = sent(client.users_v2, value={"active": False})
emptied = sent(client.groups_v2, path="members", value=[])
print("deactivate:", by_path, " wrapped:", wrapped, " empty a group:", emptied)
assert by_path == {"op": "replace", "path": "active"}
assert wrapped == {"op": "replace", "value": {"active": False}}
assert emptied == {"op": "replace", "path": "members"}
print("as found")
PY
