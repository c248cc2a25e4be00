"""From a client to the organisation and back: what is asked of the bridge, and what the organisation then holds."""

from pathlib import Path

import httpx2
import pytest

from plugins.github.tests.bridged import PATCH, Bridged, Clock, bridged
from scim_bridge.errors import ConnectorError
from scim_bridge.store.rows import State
from scim_bridge.testing.clients import EntraClient, OktaClient, Person
from scim_bridge.testing.contexts import connected
from scim_bridge.upstream import HttpClients
from scim_bridge_github.connector import GitHubConnector
from scim_bridge_github.emulator import GitHubEmulator, Switches
from scim_bridge_github.emulator.app import Answer
from scim_bridge_github.emulator.organization import WEEK

OWNER = {"owner": "admin"}


def okta(bridge: Bridged) -> OktaClient:
    """Return a simulated Okta that is connected to a bridge."""
    url = str(bridge.http.base_url)
    http = httpx2.AsyncClient(transport=bridge.http._transport, base_url=url)
    return OktaClient(http, authorization=f"Bearer {bridge.token}")


def organization(*logins: str, **switches: str) -> GitHubEmulator:
    """Return an organisation in a GitHub that knows some people."""
    github = GitHubEmulator(switches=Switches().changed(f"{name}={value}" for name, value in switches.items()))
    for login in logins:
        github.person(login)
    return github


async def test_okta_pushes_a_team_and_lets_somebody_go(tmp_path: Path) -> None:
    """Who is invited is in no team before they accept; who leaves is out of everything, and nobody else is."""
    github = organization("ada", "bob")
    async with bridged(tmp_path, github) as bridge:
        client = okta(bridge)
        ada, bob = Person("ada", "ada", "Ada", "Byron"), Person("bob", "bob", "Bob", "Moss")
        client.assign(ada)
        client.assign(bob)
        client.push_group("Engineering", [ada, bob])
        await client.run_until_idle()
        assert github.snapshot() == {
            "members": OWNER,
            "invited": {"ada": "member", "bob": "member"},
            "teams": {"Engineering": []},
        }

        github.accept("ada")
        github.accept("bob")
        await bridge.compare()
        assert github.snapshot()["teams"] == {"Engineering": ["ada", "bob"]}

        client.unassign(ada)
        await client.run_until_idle()
        assert github.snapshot() == {
            "members": OWNER | {"bob": "member"},
            "invited": {},
            "teams": {"Engineering": ["bob"]},
        }
        assert (await bridge.row("ada")).state is State.SETTLED


async def test_an_invitation_is_no_access_and_is_sent_once(tmp_path: Path) -> None:
    """``active`` is false until they accept, whatever the client repeats; a comparison neither alarms nor repeats."""
    github = organization("ada")
    async with bridged(tmp_path, github) as bridge:
        created = await bridge.create("ada")
        assert created.status_code == 201
        assert created.json()["active"] is False
        id_ = created.json()["id"]
        for _ in range(2):
            repeated = await bridge.active(id_, active=True)
            assert (repeated.status_code, repeated.json()["active"]) == (200, False)
        assert await bridge.compare() == []
        invited = [path for method, path, _ in github.log if method == "PUT"]
        assert invited == ["/orgs/acme/memberships/ada"]
        row = await bridge.row("ada")
        assert (row.state, row.is_invited, row.missing) == (State.SETTLED, True, False)

        github.accept("ada")
        await bridge.compare()
        assert (await bridge.http.get(f"/Users/{id_}")).json()["active"] is True


async def test_who_is_to_be_out_is_not_left_an_invitation(tmp_path: Path) -> None:
    """A deactivation withdraws it; one that somebody sends by hand later is withdrawn by the next comparison."""
    github = organization("ada")
    async with bridged(tmp_path, github) as bridge:
        id_ = (await bridge.create("ada")).json()["id"]
        assert (await bridge.active(id_, active=False)).status_code == 200
        assert github.snapshot()["invited"] == {}

        github.invite(github.person("ada"), "member")
        assert await bridge.compare() == ["extra_active"]
        assert github.snapshot()["invited"] == {}


async def test_an_invitation_that_nobody_accepts_is_missing(tmp_path: Path) -> None:
    """After seven days GitHub drops it; the bridge tells, and invites again only when a client asks for it."""
    now = Clock()
    github = GitHubEmulator(now=now)
    github.person("ada")
    async with bridged(tmp_path, github) as bridge:
        id_ = (await bridge.create("ada")).json()["id"]
        now.at += WEEK
        assert await bridge.compare() == ["missing"]
        assert github.snapshot()["invited"] == {}
        assert (await bridge.row("ada")).missing
        await bridge.active(id_, active=True)
        assert github.snapshot()["invited"] == {"ada": "member"}


async def test_the_tokens_user_stays_and_other_owners_go(tmp_path: Path) -> None:
    """One owner always stays, whoever is deprovisioned."""
    github = organization()
    github.add_member("second", "admin")
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        for login, status in (("second", 200), ("owner", 403)):
            id_ = (await bridge.row(login)).id
            assert (await bridge.active(id_, active=False)).status_code == status
        assert github.snapshot()["members"] == OWNER


async def test_what_is_hidden_is_not_taken_for_gone(tmp_path: Path) -> None:
    """A token that lost its right gets 404 for everybody: no deactivation is told as done, and nobody as missing."""
    github = organization()
    github.add_member("ada")
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        id_ = (await bridge.row("ada")).id
        github.sees_members = False
        answer = await bridge.active(id_, active=False)
        assert answer.status_code == 429
        assert (await bridge.http.get(f"/Users/{id_}")).json()["active"] is True
        github.sees_members = True
        await bridge.compare()
        await bridge.active(id_, active=False)
        assert github.snapshot()["members"] == OWNER


async def test_a_new_login_is_the_persons_own(tmp_path: Path) -> None:
    """The client follows whoever changed theirs; somebody else's account is refused, and nobody is invited."""
    github = organization("eve")
    ada = github.add_member("ada")
    async with bridged(tmp_path, github) as bridge:
        id_ = (await bridge.create("ada")).json()["id"]
        ada.login = "countess"
        answers = []
        for login in ("countess", "eve"):
            operation = {"op": "replace", "path": "userName", "value": login}
            body = {"schemas": [PATCH], "Operations": [operation]}
            answers.append((await bridge.http.patch(f"/Users/{id_}", json=body)).status_code)
        assert answers == [200, 400]
        assert (await bridge.http.get(f"/Users/{id_}")).json()["userName"] == "countess"
        assert github.snapshot() == {"members": OWNER | {"countess": "member"}, "invited": {}, "teams": {}}


async def test_who_takes_a_login_is_not_who_had_it(tmp_path: Path) -> None:
    """The person is the id: they are removed under their new login, and whoever has the old one stays."""
    github = organization()
    ada = github.add_member("ada")
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        id_ = (await bridge.row("ada")).id
        ada.login = "countess"
        github.add_member("ada")
        assert (await bridge.active(id_, active=False)).status_code == 200
        assert github.snapshot()["members"] == OWNER | {"ada": "member"}


async def test_a_team_is_not_a_way_in(tmp_path: Path) -> None:
    """Whoever was removed by hand is not invited by being put into a team; a new name of it changes nothing."""
    github = organization()
    github.add_member("ada")
    async with bridged(tmp_path, github) as bridge:
        id_ = (await bridge.create("ada")).json()["id"]
        team = (await bridge.http.post("/Groups", json={"displayName": "Core"})).json()["id"]
        github.remove(github.person("ada"))
        (held,) = github.teams.values()
        held.name = "Kernel"
        operation = {"op": "add", "path": "members", "value": [{"value": id_}]}
        await bridge.http.patch(f"/Groups/{team}", json={"schemas": [PATCH], "Operations": [operation]})
        assert github.snapshot() == {"members": OWNER, "invited": {}, "teams": {"Kernel": []}}

        await bridge.compare()
        assert github.snapshot() == {"members": OWNER, "invited": {}, "teams": {"Core": []}}


async def test_members_of_child_teams_and_maintainers_stay_as_they_are(tmp_path: Path) -> None:
    """Who is in a team through one below it is not in it; whoever maintains it goes on doing so."""
    github = organization()
    for login in ("ada", "bob"):
        github.add_member(login)
    parent = github.add_team("Parent", "ada")
    parent.members[github.person("ada").id] = "maintainer"
    child = github.add_team("Child", "bob", parent=parent)
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        shown = (await bridge.http.get("/Groups?filter=displayName%20eq%20%22Parent%22")).json()["Resources"][0]
        ada, bob = (await bridge.row("ada")).id, (await bridge.row("bob")).id
        assert [one["value"] for one in shown["members"]] == [ada]

        value = [{"value": ada}, {"value": bob}]
        await bridge.http.put(f"/Groups/{shown['id']}", json={"displayName": "Parent", "members": value})
        assert {github.people[id_].login: role for id_, role in parent.members.items()} == {
            "ada": "maintainer",
            "bob": "member",
        }
        assert (await bridge.http.delete(f"/Groups/{shown['id']}")).status_code == 403
        assert child.id in github.teams


async def test_a_removal_from_a_team_that_is_only_said_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """204, and the membership is there still: it is tried again until it is not, and shown meanwhile."""
    github = organization()
    github.add_member("ada")
    core = github.add_team("Core", "ada")
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        ada = (await bridge.row("ada")).id
        team = (await bridge.http.get("/Groups")).json()["Resources"][0]["id"]
        gone = {"schemas": [PATCH], "Operations": [{"op": "remove", "path": f'members[value eq "{ada}"]'}]}
        handle = github.handle
        monkeypatch.setattr(
            github, "handle", lambda request: Answer(204) if request.method == "DELETE" else handle(request)
        )
        assert (await bridge.http.patch(f"/Groups/{team}", json=gone)).status_code == 429
        assert [one["value"] for one in (await bridge.http.get(f"/Groups/{team}")).json()["members"]] == [ada]

        monkeypatch.undo()
        assert (await bridge.http.patch(f"/Groups/{team}", json=gone)).status_code == 204
        assert core.members == {}


async def test_who_is_in_a_team_below_leaves_the_one_above(tmp_path: Path) -> None:
    """GitHub tells the memberships of child teams as the team's own: the removal is done all the same."""
    github = organization()
    github.add_member("ada")
    parent = github.add_team("Parent", "ada")
    child = github.add_team("Child", "ada", parent=parent)
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        ada = (await bridge.row("ada")).id
        team = (await bridge.http.get("/Groups?filter=displayName%20eq%20%22Parent%22")).json()["Resources"][0]["id"]
        gone = {"schemas": [PATCH], "Operations": [{"op": "remove", "path": f'members[value eq "{ada}"]'}]}
        assert (await bridge.http.patch(f"/Groups/{team}", json=gone)).status_code == 204
        assert (parent.members, list(child.members)) == ({}, [github.person("ada").id])


@pytest.mark.parametrize("status", ["403", "429"])
@pytest.mark.parametrize("secondary", ["retry_after", "message"])
async def test_a_limit_is_no_refusal(tmp_path: Path, status: str, secondary: str) -> None:
    """Told by 403 or 429, with or without a time: the client is told to wait, and nobody is told as refused."""
    github = organization("ada", limit_status=status, secondary=secondary)
    async with bridged(tmp_path, github) as bridge:
        github.limited = 100
        answer = await bridge.create("ada")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 30
        assert len(github.log) <= 1
        assert (await bridge.row("ada")).state is State.PENDING


@pytest.mark.parametrize("login", ["ada@corp.example", "nobody", "other-company"])
async def test_only_a_persons_login_names_somebody(tmp_path: Path, login: str) -> None:
    """An address, a login of nobody's and one of an organisation's are refused; no part of them is tried."""
    github = organization("ada")
    github.person("other-company", kind="Organization")
    async with bridged(tmp_path, github) as bridge:
        assert (await bridge.create(login)).status_code == 400
        assert github.snapshot()["invited"] == {}


async def test_no_seat_is_no_last_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It stays wanted, the operator is told why, a removal goes on; with a seat that is free the invitation is sent."""
    github = organization("ada")
    github.add_member("bob")
    github.seats = 2
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        assert (await bridge.create("ada")).status_code == 429
        row = await bridge.row("ada")
        assert (row.state, row.refusal) == (State.PENDING, None)
        assert "RemoteFullError (the organisation has no seat left" in caplog.text

        await bridge.active((await bridge.row("bob")).id, active=False)
        assert (await bridge.active(row.id, active=True)).status_code == 200
        assert github.snapshot() == {"members": OWNER, "invited": {"ada": "member"}, "teams": {}}


@pytest.mark.parametrize("renamed", ["404", "301"])
async def test_a_renamed_organisation_is_not_an_empty_one(tmp_path: Path, renamed: str) -> None:
    """Nobody is told as gone, and no removal as done; under its new login it is the same one."""
    github = organization(renamed=renamed)
    github.add_member("ada")
    async with bridged(tmp_path, github) as bridge:
        await bridge.compare()
        id_ = (await bridge.row("ada")).id
        github.rename("acme-inc")
        assert (await bridge.active(id_, active=False)).status_code == 429
        assert (await bridge.http.get(f"/Users/{id_}")).json()["active"] is True
        with pytest.raises(ConnectorError):
            await bridge.compare()
        assert "ada" in github.snapshot()["members"]
    clients = HttpClients(github.transport())
    settings = {"organization": "acme-inc", "token": github.token}
    async with connected(GitHubConnector, settings, http_client=clients) as connector:
        assert await connector.identify() == str(github.id)


async def test_entra_reads_who_is_invited_as_out_and_invites_nobody_twice(tmp_path: Path) -> None:
    """Entra ID sends what differs from what it reads: ``active`` in every cycle, which invites nobody again."""
    github = organization("ada")
    async with bridged(tmp_path, github, "entra") as bridge:
        http = httpx2.AsyncClient(transport=bridge.http._transport, base_url=str(bridge.http.base_url))
        entra = EntraClient(http, authorization=f"Bearer {bridge.token}")
        ada = Person("ada", "ada", "Ada", "Byron")
        entra.assign(ada)
        for _ in range(3):
            await entra.run_cycle()
        assert [path for method, path, _ in github.log if method == "PUT"] == ["/orgs/acme/memberships/ada"]

        github.accept("ada")
        await bridge.compare()
        entra.unassign(ada)
        await entra.run_cycle()
        assert github.snapshot() == {"members": OWNER, "invited": {}, "teams": {}}


async def test_no_removal_waits_for_the_pace_of_invitations(tmp_path: Path) -> None:
    """One invitation a minute: the second person waits, and who is to leave is out at once."""
    github = organization("ada", "eve")
    github.add_member("bob")
    async with bridged(tmp_path, github, invitations_per_minute=1) as bridge:
        await bridge.compare()
        assert (await bridge.create("ada")).status_code == 201
        assert (await bridge.create("eve")).status_code == 429
        assert (await bridge.active((await bridge.row("bob")).id, active=False)).status_code == 200
        assert github.snapshot() == {"members": OWNER, "invited": {"ada": "member"}, "teams": {}}
        assert (await bridge.row("eve")).state is State.PENDING


async def test_the_invitations_of_a_day_are_no_last_word(tmp_path: Path) -> None:
    """Whoever comes after them stays wanted."""
    github = organization("ada")
    github.invitations_left = 0
    async with bridged(tmp_path, github) as bridge:
        assert (await bridge.create("ada")).status_code == 429
        row = await bridge.row("ada")
        github.invitations_left = 1
        assert (await bridge.active(row.id, active=True)).status_code == 200
        assert github.snapshot()["invited"] == {"ada": "member"}
