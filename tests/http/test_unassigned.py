"""What a client unassigns is unassigned in the store, in the answer and in the remote system alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.errors import RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.store.rows import State
from scim_bridge.testing.memory import MemoryConnector
from tests.http.bridge import USER, Tenant, bridge

ADA = "ada@example.com"
FULL = {"name": {"givenName": "Ada", "familyName": "Byron"}, "title": "Countess"}
PUT: dict[str, Any] = {"schemas": [USER], "userName": ADA, "name": {"givenName": "Ada"}}
PATCH = ({"op": "remove", "path": "name.familyName"}, {"op": "remove", "path": "title"})


async def unassign(acme: Tenant, ada: Mapping[str, Any], form: str) -> Any:
    """Take family name and title from somebody, and return the answer."""
    path = f"/Users/{ada['id']}"
    return await (acme.put(path, PUT) if form == "PUT" else acme.patch(path, *PATCH))


def held(acme: Tenant) -> dict[str, Any]:
    """Return the names and the title of the account."""
    account = acme.remote.find(ADA)
    assert account is not None
    return account.user.model_dump(include={"name", "title"}, exclude_none=True)


@pytest.mark.parametrize("form", ["PUT", "PATCH"])
async def test_what_a_write_unassigns_is_unassigned_everywhere(tmp_path: Path, form: str) -> None:
    """A PUT that omits it, or a PATCH that removes it: one call, and the same again sends nothing."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        answer = await unassign(acme, ada, form)

        assert answer.status_code == 200, answer.text
        for shown in (answer.json(), await acme.read(ada), await acme.stored(ada)):
            assert shown["name"] == {"givenName": "Ada"}
            assert "title" not in shown
        assert held(acme) == {"name": {"givenName": "Ada"}}
        row = await acme.row(ada)
        assert (row.state, row.observed and row.observed.cleared) == (State.SETTLED, ())
        assert acme.remote.called("update_user") == 1
        await unassign(acme, ada, form)
        assert acme.remote.called("update_user") == 1


async def test_what_no_client_gave_a_value_stays(tmp_path: Path) -> None:
    """A title that somebody set by hand, or that was set after the client's had been cleared, is left alone."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        await unassign(acme, ada, "PATCH")
        account = acme.remote.find(ADA)
        assert account is not None
        account.user.title = "Analyst"
        await acme.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "name.givenName", "value": "Augusta"})

        assert held(acme) == {"name": {"givenName": "Augusta"}, "title": "Analyst"}


@pytest.mark.parametrize("form", ["PUT", "PATCH"])
async def test_what_is_unassigned_in_an_outage_is_unassigned_after_it(tmp_path: Path, form: str) -> None:
    """The write is durable; what was given again meanwhile is not taken."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        acme.remote.fail("update_user", RemoteUnavailableError("down", retry_after=60.0))
        assert (await unassign(acme, ada, form)).status_code == 429
        await acme.patch(f"/Users/{ada['id']}", {"op": "add", "path": "title", "value": "Analyst"})

        assert held(acme) == {"name": {"givenName": "Ada"}, "title": "Analyst"}
        assert (await acme.read(ada))["title"] == "Analyst"


async def test_an_account_that_is_looked_at_between_is_cleared_all_the_same(tmp_path: Path) -> None:
    """The answer to the update is lost: what the look shows is what is still to be cleared."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        acme.remote.fail("update_user", RemoteUnavailableError("lost", ambiguous=True, retry_after=0.05))
        assert (await unassign(acme, ada, "PATCH")).status_code == 200

        assert acme.remote.called("get_user") == 1
        assert held(acme) == {"name": {"givenName": "Ada"}}


async def test_what_cannot_be_cleared_is_told_and_stays(tmp_path: Path) -> None:
    """The remote system wants a family name: 400, and store, answer and account hold it."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        acme.remote.fail("update_user", RemoteInvalidValueError("a family name is required"))
        assert (await unassign(acme, ada, "PATCH")).status_code == 400

        for shown in (await acme.read(ada), await acme.stored(ada), held(acme)):
            assert (shown["name"].get("familyName", shown["name"].get("family_name")), shown["title"]) == (
                "Byron",
                "Countess",
            )
        await acme.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "name.givenName", "value": "Augusta"})
        assert held(acme)["title"] == "Countess"


async def test_what_is_unassigned_of_somebody_inactive_is_unassigned_when_they_return(tmp_path: Path) -> None:
    """Nothing is written to an inactive account; it keeps what it is to lose until it is active again."""
    async with bridge(tmp_path) as (acme,):
        ada = await acme.user(ADA, **FULL)
        path = f"/Users/{ada['id']}"
        await acme.patch(path, {"op": "replace", "path": "active", "value": False})
        assert (await unassign(acme, ada, "PATCH")).status_code == 200
        assert held(acme)["title"] == "Countess"
        await acme.patch(path, {"op": "replace", "path": "active", "value": True})

        assert held(acme) == {"name": {"givenName": "Ada"}}


class Deferring(MemoryConnector):
    """Does not take a title at first."""

    taken = 0

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Leave the title as it is, the first time."""
        type(self).taken += 1
        if self.taken > 1:
            return await super().update_user(remote_id, before, after)
        title = self.remote.account(remote_id).user.title
        seen = await super().update_user(remote_id, before, after.model_copy(update={"title": title}))
        return Remote(remote_id, seen.resource, deferred=frozenset({"title"}))


async def test_what_is_deferred_is_cleared_by_the_next_comparison(tmp_path: Path) -> None:
    """The remote system does not take it at present: it is not forgotten."""
    Deferring.taken = 0
    async with bridge(tmp_path, connector_type=Deferring) as (acme,):
        ada = await acme.user(ADA, **FULL)
        assert (await unassign(acme, ada, "PATCH")).status_code == 200
        assert held(acme) == {"name": {"givenName": "Ada"}, "title": "Countess"}
        await acme.compare()

        assert held(acme) == {"name": {"givenName": "Ada"}}
