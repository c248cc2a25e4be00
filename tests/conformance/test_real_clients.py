"""Clients that others wrote push to a running bridge: Canaille, scim-sim, and one made of SCIMMY's messages.

They end well whatever they are told, so what counts is how each request was answered, and what is there in the end.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conformance.live import Live
from tests.hang_guard import HANG_SECONDS

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / ".clients"
BIN = CLIENTS / "python" / "bin"

pytestmark = pytest.mark.skipif(not (CLIENTS / "installed").exists(), reason=".ci/clients installs them, as CI does")

CANAILLE = """
import datetime, sys
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

now = datetime.datetime.now(datetime.timezone.utc)
app = create_app({
    "SECRET_KEY": "x", "SERVER_NAME": "127.0.0.1:5999", "PREFERRED_URL_SCHEME": "http", "TESTING": True,
    "CANAILLE": {"DATABASE": "memory"}, "CANAILLE_OIDC": {"TRUSTED_DOMAINS": ["127.0.0.1"]},
    "CANAILLE_SCIM": {"ENABLE_SERVER": True, "ENABLE_CLIENT": True},
})
db = app.backend = Backend.instance
base, token = sys.argv[1], sys.stdin.read()
with app.app_context():
    db.setup()
    client = models.Client(
        client_id="c1", client_name="bridge", client_uri=base, client_secret="s", scope=["openid"],
        redirect_uris=["http://127.0.0.1/cb"], grant_types=["authorization_code"], response_types=["code"],
        token_endpoint_auth_method="client_secret_basic", client_id_issued_at=now,
    )
    db.save(client)
    db.save(models.Token(
        token_id="t1", access_token=token, client=client, audience=[client], subject=None, refresh_token="r",
        scope=["openid"], issue_date=now, lifetime=86400,
    ))
    people = {}
    for name in ("jane", "bob", "eve"):
        people[name] = models.User(
            user_name=name, given_name=name.title(), family_name="Doe", formatted_name=f"{name} Doe",
            emails=[f"{name}@example.com"], display_name=name.title(),
        )
        db.save(people[name])
    jane, bob, eve = people.values()
    jane.family_name = "Smith"
    db.save(jane)
    group = models.Group(display_name="eng", members=[jane])
    db.save(group)
    for members in ([jane, bob], [bob, eve]):
        group.members = members
        db.save(group)
    group.display_name = "engineering"
    db.save(group)
    bob.lock_date = now
    db.save(bob)
    db.delete(jane)
    db.teardown()
"""


def run(*command: str | Path, told: str = "", **environment: str) -> str:
    """Run a client until it ends, and return what it said."""
    done = subprocess.run(
        [str(part) for part in command], input=told, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=HANG_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def refused(live: Live) -> list[tuple[str, str, int]]:
    """Return the requests that were not answered 2xx."""
    return [answer for answer in live.answers if answer[2] // 100 != 2]


def test_canaille_pushes_whole_lives(tmp_path: Path) -> None:
    """Creations, a rename, a group whose members come and go, a lock and a deletion: each answered 2xx, and true."""
    with Live(tmp_path) as live:
        run(BIN / "python", "-c", CANAILLE, live.url, told=live.tenant.token)
        assert refused(live) == []
        assert {method for method, _, _ in live.answers} == {"GET", "POST", "PUT", "DELETE"}
        remote = live.tenant.remote
        assert live.tenant.remote_active() == {"bob": False, "eve": True}
        assert {group.display_name for group in remote.groups.values()} == {"engineering"}
        assert live.tenant.remote_members("engineering") == {"bob", "eve"}
        users = live.ask(live.tenant.get("/Users")).json()["Resources"]
        assert {one["userName"]: one["active"] for one in users} == {"bob": False, "eve": True}


def test_scim_sim_pushes_a_directory(tmp_path: Path) -> None:
    """Somebody it makes up joins a group, leaves it, and is removed."""
    home = tmp_path / "home"
    home.mkdir()

    def scim_sim(*arguments: str, told: str = "") -> None:
        said = run(BIN / "scim-sim", *arguments, told=told, HOME=str(home), PYTHONIOENCODING="utf-8")
        assert "❌" not in said, said

    with Live(tmp_path) as live:
        tenant = live.tenant
        scim_sim("setup", told=f"{live.url}\n{tenant.token}\n")
        scim_sim("add-user")
        scim_sim("create-group", "eng")
        (group,) = live.ask(tenant.get("/Groups")).json()["Resources"]
        (user,) = live.ask(tenant.get("/Users")).json()["Resources"]
        scim_sim("add-to-group", user["id"], group["id"])
        assert tenant.remote_members("eng") == {user["userName"]}
        scim_sim("remove-from-group", user["id"], group["id"])
        assert tenant.remote_members("eng") == set()
        assert tenant.remote_active() == {user["userName"]: True}
        scim_sim("remove-user", user["id"])
        assert tenant.remote_active() == {}
        assert refused(live) == []
        assert {method for method, _, _ in live.answers} == {"GET", "POST", "PATCH", "DELETE"}


def test_scimmys_messages_are_ours(tmp_path: Path) -> None:
    """Its schemas read each answer, its messages make each request, and its PATCH comes to what ours does."""
    with Live(tmp_path) as live:
        run("node", HERE / "scimmy_client.mjs", live.url, TOKEN=live.tenant.token, CLIENTS=str(CLIENTS))
        assert live.tenant.remote_active() == {"ada@example.com": False, "eve@example.com": True}
        assert live.tenant.remote_members("Engineering") == {"eve@example.com"}
        assert [answer for answer in refused(live) if answer[2] != 409] == []
