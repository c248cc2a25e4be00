#!/usr/bin/env bash
# PyGithub 2.10.0 (PyPI), the usual Python client of GitHub, against a local server.
# Guessed: organization.cancel_invitation(user) cancels the user's invitation, as its signature says. Seen: it asks GitHub to
# cancel the invitation whose number is the *user's* id: that of whom was meant stays, the answer is False without an error,
# and if there is one of this number it is somebody else's. Only what invitations() lists, which passes for users, works.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check PyGithub==2.10.0 2>/dev/null
env/bin/python - <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ORG = {"login": "acme", "id": 1}
ADA, OWNER = {"login": "ada", "id": 7, "type": "User"}, {"login": "owner", "id": 2, "type": "User"}
invitations = {900: {"id": 900, "login": "ada", "email": None, "role": "direct_member", "inviter": OWNER}}
asked = []


class GitHub(BaseHTTPRequestHandler):
    def answer(self):
        path = self.path.partition("?")[0]
        asked.append((self.command, path))
        known = {"/orgs/acme": ORG | {"url": f"{url}/orgs/acme"}, "/users/ada": ADA | {"url": f"{url}/users/ada"}}
        known["/orgs/acme/invitations"] = list(invitations.values())
        status, body = (200, known[path]) if path in known else (404, {"message": "Not Found"})
        if self.command == "DELETE" and invitations.pop(int(path.rpartition("/")[2]), None):
            status, body = 204, None
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_DELETE = answer

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
url = f"http://127.0.0.1:{server.server_address[1]}"
threading.Thread(target=server.serve_forever, daemon=True).start()
from github import Auth, Github

github = Github(base_url=url, auth=Auth.Token("none"), retry=None, seconds_between_requests=0, seconds_between_writes=0)
organization = github.get_organization("acme")
(listed,) = list(organization.invitations())
print("listed: invitation", listed.id, "of", listed.login)
done = organization.cancel_invitation(github.get_user("ada"))
print("given the user:", asked[-1], "->", done, "| invitations left:", list(invitations))
assert not done and asked[-1] == ("DELETE", "/orgs/acme/invitations/7") and list(invitations) == [900]
done = organization.cancel_invitation(listed)
print("given what was listed:", asked[-1], "->", done, "| invitations left:", list(invitations))
assert done and not invitations
print("as found")
PY
