"""The emulator as people start it."""

import re
import subprocess
import sys

import httpx2


def test_the_command_serves_an_organisation() -> None:
    """What a person does by a click is a request; the API asks for the token that the command prints."""
    program = [sys.executable, "-c", "from scim_bridge_github.cli import main; main()"]
    arguments = ["emulate", "--port", "0", "--person", "octocat", "--switch", "accepts=by_hand"]
    with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url, token = re.findall(r"(http://\S+).* token (\S+)", server.stdout.readline())[0]
            path, headers = f"{url}/orgs/acme/memberships/octocat", {"Authorization": f"Bearer {token}"}
            assert httpx2.put(path, json={"role": "member"}).status_code == 401
            assert httpx2.put(path, json={"role": "member"}, headers=headers).json()["state"] == "pending"
            httpx2.post(f"{url}/emulator/accept/octocat")
            assert httpx2.get(path, headers=headers).json()["state"] == "active"
            assert httpx2.get(f"{url}/emulator/state").json()["members"] == {"owner": "admin", "octocat": "member"}
        finally:
            server.terminate()
