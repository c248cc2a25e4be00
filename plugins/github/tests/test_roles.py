"""Owners and teams as roles and entitlements: what is shown, and what can be asked for."""

from pathlib import Path
from typing import Any

from plugins.github.tests.bridged import PATCH, Bridged, bridged
from plugins.github.tests.test_through_a_bridge import organization


async def held(bridge: Bridged, login: str) -> dict[str, list[tuple[str, str | None]]]:
    """Return what a person is shown to hold, each with what keeps it from being in force."""
    (user,) = (await bridge.http.get("/Users", params={"filter": f'userName eq "{login}"'})).json()["Resources"]
    return {
        name: sorted((one["display"], one.get("state")) for one in user.get(name, []))
        for name in ("roles", "entitlements")
    }


async def test_a_team_is_asked_for_as_an_entitlement(tmp_path: Path) -> None:
    """Given once the person has accepted, pending until then; taken away when that is answered."""
    github = organization("ada", accepts="by_hand")
    github.add_team("Engineering")
    async with bridged(tmp_path, github, assign="roles") as bridge:
        await bridge.compare()
        made = await bridge.create("ada", entitlements=["Engineering"])
        assert made.status_code == 201, made.text
        assert (await held(bridge, "ada"))["entitlements"] == [("Engineering", "pending")]
        assert github.snapshot()["teams"] == {"Engineering": []}

        github.accept("ada")
        await bridge.compare()
        assert github.snapshot()["teams"] == {"Engineering": ["ada"]}
        assert await held(bridge, "ada") == {"roles": [], "entitlements": [("Engineering", None)]}

        removal: dict[str, Any] = {"op": "remove", "path": 'entitlements[value eq "Engineering"]'}
        answer = await bridge.http.patch(
            f"/Users/{made.json()['id']}", json={"schemas": [PATCH], "Operations": [removal]}
        )
        assert (answer.status_code, answer.json().get("entitlements")) == (200, None)
        assert github.snapshot()["teams"] == {"Engineering": []}
        assert await bridge.compare() == []


async def test_owners_are_shown_and_nobody_is_made_one(tmp_path: Path) -> None:
    """Whoever is made an owner by hand is shown as one after the next comparison, and no longer when they are not."""
    github = organization("eve")
    async with bridged(tmp_path, github, assign="both") as bridge:
        ada = github.add_member("ada")
        await bridge.compare()
        listed = (await bridge.http.get("/Roles")).json()["Resources"]
        assert [(one["displayName"], one["supported"]) for one in listed] == [("Owner", False)]
        assert (await held(bridge, "owner"))["roles"] == [("Owner", None)]
        for role, shown in (("admin", [("Owner", None)]), ("member", [])):
            github.members[ada.id].role = role
            await bridge.compare()
            assert (await held(bridge, "ada"))["roles"] == shown
        refused = await bridge.create("eve", roles=["Owner"])
        assert refused.status_code == 403
        assert "eve" not in {**github.snapshot()["members"], **github.snapshot()["invited"]}
