"""Service providers whose errors are not in SCIM's form, as web frameworks answer them: Open WebUI 0.12.4 is one."""

import httpx2
import pytest

from plugins.scim.tests.providers import Odd, scim2_server
from plugins.scim.tests.test_odd_providers import ada, connector_to
from scim_bridge.errors import RemoteMisroutedError, RemoteNotFoundError
from scim_bridge.models import Group, User


def framework(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Answer an error as FastAPI does."""
    return response if response.is_success else httpx2.Response(response.status_code, json={"detail": "no"})


async def test_who_is_there_already_is_adopted() -> None:
    """409: whoever has the userName is the one who was to be made."""
    async with connector_to(Odd(scim2_server(), framework)) as connector:
        made = await connector.create_user(ada())
        again = await connector.create_user(ada())
        assert (again.remote_id, again.existed) == (made.remote_id, True)


async def test_who_is_in_the_way_and_is_not_found_is_no_conflict() -> None:
    """409 of the road says nothing about the person: they are asked for again later, not refused."""
    provider = Odd(scim2_server(), before=lambda request: refusal if request.method == "POST" else None)
    refusal = httpx2.Response(409, json={"detail": "no"})
    async with connector_to(provider) as connector:
        with pytest.raises(RemoteMisroutedError):
            await connector.create_user(ada())


async def test_who_is_gone_stays_gone() -> None:
    """A repeated deletion, of a person and of a group, ends well; who was gone before is told so."""
    async with connector_to(Odd(scim2_server(), framework)) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.create_user(User(user_name="bob@corp.example"))
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        for _ in range(2):
            await connector.delete_user(person)
            await connector.delete_group(group)
        for change in (connector.get_user(person), connector.deactivate_user(person, ada())):
            with pytest.raises(RemoteNotFoundError):
                await change


@pytest.mark.parametrize("hidden", ["/Users/", "/Users"])
async def test_who_is_listed_or_whose_list_is_not_shown_is_not_gone(hidden: str) -> None:
    """404 of the road, to one person or to everything: access that nobody ended is not told as ended."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.create_user(User(user_name="bob@corp.example"))
        lost = httpx2.Response(404, json={"detail": "no"})
        provider.before = lambda request: lost if hidden in request.url.path else None
        for ending in (connector.delete_user(person), connector.deactivate_user(person, ada())):
            with pytest.raises(RemoteMisroutedError):
                await ending
        provider.before = lambda _request: None
        assert (await connector.get_user(person)).resource.active is True


async def test_who_is_not_listed_is_gone_only_where_somebody_else_is_found() -> None:
    """404 to everybody's id: the route is wrong, whatever the list leaves out."""

    def without_ada(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if request.method != "GET" or not request.url.path.endswith("/Users"):
            return response
        shown = [one for one in response.json().get("Resources") or [] if one["userName"] != "ada@corp.example"]
        return httpx2.Response(200, json=response.json() | {"Resources": shown, "totalResults": len(shown)})

    provider = Odd(scim2_server(), without_ada)
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.create_user(User(user_name="bob@corp.example"))
        lost = httpx2.Response(404, json={"detail": "no"})
        provider.before = lambda request: lost if "/Users/" in request.url.path else None
        with pytest.raises(RemoteMisroutedError):
            await connector.deactivate_user(person, ada())
