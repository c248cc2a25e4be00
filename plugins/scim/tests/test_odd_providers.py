"""Service providers that say one thing and do another, and what stands on the way to them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from plugins.scim.tests.providers import BASE_URL, Odd, body_of, of_few_paths, pages, scim2_server, scim_error
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import (
    RemoteConflictError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteUnavailableError,
)
from scim_bridge.models import Group, Name, User
from scim_bridge.testing.contexts import connected
from scim_bridge.upstream import HttpClients
from scim_bridge_scim.config import ScimConfig
from scim_bridge_scim.connector import ScimConnector

OAUTH = {"token_url": "http://localhost/token", "client_id": "bridge", "client_secret": "s"}


@asynccontextmanager
async def connector_to(provider: Odd, **settings: Any) -> AsyncIterator[BoundConnector]:
    """Open a connector to a service provider."""
    config = {"base_url": BASE_URL, "token": "t", "requests_per_second": 1000, **settings}
    async with connected(ScimConnector, config, http_client=HttpClients(provider)) as connector:
        yield connector


def ada(**attributes: Any) -> User:
    """Return a person."""
    return User(user_name="ada@corp.example", name=Name(given_name="Ada", family_name="Byron"), **attributes)


def changed(response: httpx2.Response, document: Any) -> httpx2.Response:
    """Return an answer with another body."""
    return httpx2.Response(response.status_code, json=document, headers={"Content-Type": "application/scim+json"})


def nothing_done(method: str, path: str) -> Callable[[httpx2.Request], httpx2.Response | None]:
    """Return a service provider's way to say 204 to a change that it does not make."""

    def instead(request: httpx2.Request) -> httpx2.Response | None:
        return httpx2.Response(204) if request.method == method and path in request.url.path else None

    return instead


async def test_a_deactivation_that_is_only_said_is_not_believed() -> None:
    """204 to PATCH active, and the User is active still: nothing is claimed."""
    provider = Odd(scim2_server(), before=nothing_done("PATCH", "/Users/"))
    async with connector_to(provider) as connector:
        made = await connector.create_user(ada())
        with pytest.raises(RemoteUnavailableError, match="still shows the account active"):
            await connector.deactivate_user(made.remote_id, ada())


async def test_a_removal_from_a_group_that_is_only_said_is_not_believed() -> None:
    """The members are read again after the PATCH."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        await connector.add_group_members(group, [person])
        provider.before = nothing_done("PATCH", "/Groups/")
        with pytest.raises(RemoteUnavailableError, match="still shows somebody"):
            await connector.remove_group_members(group, [person])
        provider.before = lambda _request: None
        await connector.remove_group_members(group, [person])
        assert (await connector.list_group_members(group, None, 10)).members == []


async def group_of(connector: BoundConnector, *people: str) -> tuple[str, list[str]]:
    """Make people and a group of them; return its remote id and theirs."""
    ids = [(await connector.create_user(User(user_name=f"{one}@corp.example"))).remote_id for one in people]
    group = (await connector.create_group(Group(display_name="Sales"))).remote_id
    await connector.add_group_members(group, ids)
    return group, ids


async def test_a_removal_does_not_wait_for_a_look_at_who_is_in_the_group() -> None:
    """The group cannot be read: they are out all the same, and that it is so is told when it can be seen."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        group, people = await group_of(connector, "ada", "bob")
        provider.before = lambda request: (
            httpx2.Response(503) if (request.method, "/Groups/" in request.url.path) == ("GET", True) else None
        )
        with pytest.raises(RemoteUnavailableError):
            await connector.remove_group_members(group, people)
        provider.before = lambda _request: None

        assert (await connector.list_group_members(group, None, 10)).members == []


async def test_a_removal_is_sent_whatever_a_look_that_lags_shows() -> None:
    """The group is shown without somebody who is in it: they are removed, and it is not concluded that they are out."""

    def lags(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if (request.method, "/Groups/" in request.url.path) != ("GET", True):
            return response
        return changed(response, {name: value for name, value in body_of(response).items() if name != "members"})

    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        group, people = await group_of(connector, "ada")
        provider.change = lags
        await connector.remove_group_members(group, people)
        provider.change = lambda _request, response: response

        assert (await connector.list_group_members(group, None, 10)).members == []


@pytest.mark.parametrize("status", [400, 404])
async def test_who_is_not_in_the_group_keeps_nobody_in_it(status: int) -> None:
    """A service provider refuses a removal of several as a whole, for one who is out: the others leave."""

    def refuses(request: httpx2.Request) -> httpx2.Response | None:
        if request.method != "PATCH" or absent not in request.content.decode():
            return None
        return scim_error(status, "noTarget" if status == 400 else None)

    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        group, [ada_id, bob_id] = await group_of(connector, "ada", "bob")
        absent = (await connector.create_user(User(user_name="eve@corp.example"))).remote_id
        provider.before = refuses
        await connector.remove_group_members(group, [ada_id, absent])

        assert (await connector.list_group_members(group, None, 10)).members == [bob_id]


async def test_a_deletion_that_is_only_said_is_not_believed() -> None:
    """204, and the User is there still."""
    provider = Odd(scim2_server(), before=nothing_done("DELETE", "/Users/"))
    async with connector_to(provider) as connector:
        made = await connector.create_user(ada())
        with pytest.raises(RemoteUnavailableError, match="still shows"):
            await connector.delete_user(made.remote_id)


async def test_a_deletion_that_only_deactivates_is_done_and_the_name_is_taken_up_again() -> None:
    """Some keep whom they deleted, inactive: access has ended. Whoever is created again is that account."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.deactivate_user(person, ada())
        provider.before = nothing_done("DELETE", "/Users/")
        await connector.delete_user(person)
        assert provider.calls[-2:] == [("DELETE", f"/v2/Users/{person}"), ("GET", f"/v2/Users/{person}")]

        again = await connector.create_user(ada())
        assert (again.remote_id, again.existed, again.resource.active) == (person, True, False)


@pytest.mark.parametrize("status", [405, 501])
async def test_where_no_deletion_is_taken_the_account_is_deactivated(status: int) -> None:
    """The refusal is the service provider's own; a gateway's says nothing, and nothing is done instead."""
    refusal: list[httpx2.Response] = []
    provider = Odd(scim2_server(), before=lambda request: refusal[0] if request.method == "DELETE" else None)
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        refusal[:] = [httpx2.Response(status, text="<html>no</html>")]
        with pytest.raises(RemoteUnavailableError):
            await connector.delete_user(person)
        assert (await connector.get_user(person)).resource.active is True

        refusal[:] = [scim_error(status)]
        await connector.delete_user(person)
        assert (await connector.get_user(person)).resource.active is False


async def test_where_nobody_is_found_by_their_id_nobody_is_gone() -> None:
    """404 in SCIM's own form, to everybody: the route is wrong, and the deactivation is not done."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.create_user(User(user_name="bob@corp.example"))
        provider.before = lambda request: scim_error(404) if "/Users/" in request.url.path else None
        with pytest.raises(RemoteMisroutedError, match="not even those it lists"):
            await connector.deactivate_user(person, ada())
        with pytest.raises(RemoteMisroutedError):
            await connector.delete_user(person)


async def test_another_page_that_is_the_first_again_is_refused() -> None:
    """Whoever is on the pages that are never shown would be taken for gone."""

    def first_again(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if request.method != "GET" or "startIndex" not in request.url.params:
            return response
        document = body_of(response)
        document.pop("startIndex", None)
        document["Resources"] = kept.setdefault("page", document.get("Resources"))
        return changed(response, document)

    kept: dict[str, Any] = {}
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        for number in range(5):
            await connector.create_user(User(user_name=f"p{number}@corp.example"))
        provider.change = first_again
        provider.before = lambda request: scim_error(501) if request.url.path.endswith("/.search") else None
        with pytest.raises(RemoteUnavailableError, match="does not turn pages"):
            [page async for page in pages(connector.list_users, 2)]


async def test_a_list_that_shows_fewer_than_it_says_is_refused() -> None:
    """An empty page in the middle is an error, not the end."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        await connector.create_user(ada())
        provider.change = lambda request, response: (
            changed(response, body_of(response) | {"Resources": []}) if request.method == "GET" else response
        )
        with pytest.raises(RemoteUnavailableError, match="more than it shows"):
            await connector.list_users(None, 10)


async def test_who_cannot_filter_is_searched_page_by_page() -> None:
    """400 to a filter: the person is found in the list, and nobody else is taken for them."""

    def unreadable(request: httpx2.Request) -> httpx2.Response | None:
        return scim_error(400, "invalidFilter") if "filter" in request.url.params else None

    async with connector_to(Odd(scim2_server(), before=unreadable)) as connector:
        for number in range(3):
            await connector.create_user(User(user_name=f"p{number}@corp.example"))
        made = await connector.create_user(ada())
        found = await connector.find_user("ADA@corp.example")
        assert found is not None
        assert found.remote_id == made.remote_id
        assert await connector.find_user("nobody@corp.example") is None
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        await connector.add_group_members(group, [made.remote_id])
        assert (await connector.list_group_members(group, None, 10)).members == [made.remote_id]


@pytest.mark.parametrize(
    ("status", "scim_type", "error"),
    [
        (400, "mutability", RemoteImmutableError),
        (400, "uniqueness", RemoteConflictError),
        (400, "invalidValue", RemoteInvalidValueError),
        (409, None, RemoteConflictError),
        (412, None, RemoteUnavailableError),
    ],
)
async def test_a_refusal_is_told_as_what_it_is(status: int, scim_type: str | None, error: type[Exception]) -> None:
    """By scimType where there is one (RFC 7644 §3.12)."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        made = await connector.create_user(ada())
        provider.before = lambda request: scim_error(status, scim_type) if request.method == "PATCH" else None
        with pytest.raises(error) as raised:
            await connector.update_user(made.remote_id, ada(), User(user_name="ada@corp.example"))
        assert type(raised.value) is error


async def test_reactivation_takes_what_the_person_should_not_have_first() -> None:
    """They are out of the group before they are active again."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        await connector.add_group_members(group, [person])
        await connector.deactivate_user(person, ada())
        provider.calls.clear()

        seen = await connector.reactivate_user(person, ada())

        assert seen.resource.active
        assert (await connector.list_group_members(group, None, 10)).members == []
        writes = [path for method, path in provider.calls if method == "PATCH"]
        assert ["/Groups/" in path for path in writes] == [True, False]


async def test_nested_groups_are_not_people() -> None:
    """A member of type Group is left out of the list, and stays in the group when others change."""
    provider = Odd(scim2_server(patch=False))
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        outer = (await connector.create_group(Group(display_name="Outer"))).remote_id
        inner = (await connector.create_group(Group(display_name="Inner"))).remote_id
        document = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": outer,
            "displayName": "Outer",
            "members": [{"value": inner, "type": "Group"}],
        }
        async with httpx2.AsyncClient(transport=provider, base_url=BASE_URL) as http:
            content = json.dumps(document)
            headers = {"Content-Type": "application/scim+json"}
            assert (await http.put(f"{BASE_URL}/Groups/{outer}", content=content, headers=headers)).status_code == 200
            await connector.add_group_members(outer, [person])
            assert (await connector.list_group_members(outer, None, 10)).members == [person]
            await connector.remove_group_members(outer, [person])
            held = body_of(await http.get(f"{BASE_URL}/Groups/{outer}"))
        assert [one["value"] for one in held["members"]] == [inner]


async def test_what_is_missing_is_found_by_the_check() -> None:
    """No PATCH is told, no filter is warned of, an endpoint that is closed is an error."""

    def closed(request: httpx2.Request) -> httpx2.Response | None:
        return scim_error(403) if request.url.path.endswith("/Groups") else None

    async with connector_to(Odd(scim2_server(patch=False), before=closed)) as connector:
        found = {finding.subject: finding.level for finding in await connector.check_connection()}
    assert found == {"service provider": "ok", "PATCH": "info", "/Groups": "error"}


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "http://wiki.example.com/scim", "token": "t"},
        {"base_url": "https://user@wiki.example.com/scim", "token": "t"},
        {"base_url": "https://wiki.example.com/scim"},
        {"base_url": "https://wiki.example.com/scim", "token": "t", "basic": {"user": "u", "password": "p"}},
        {"base_url": "https://wiki.example.com/scim", "token": "t", "oauth": OAUTH},
        {"base_url": "https://wiki.example.com/scim", "oauth": OAUTH | {"token_url": "http://login.example.com/token"}},
        {"base_url": "https://wiki.example.com/scim", "token": "t", "attributes": ["title"]},
        {"base_url": "https://wiki.example.com/scim", "token": "t", "attributes": ["userName", "groups"]},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """A token goes nowhere without TLS, there is one way to sign, and only attributes of a User are sent."""
    with pytest.raises(ValidationError):
        ScimConfig.model_validate(settings)


async def test_a_token_of_the_clients_credentials_is_asked_for_and_sent() -> None:
    """It is asked for once; without it the service provider answers nobody."""
    asked = []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path == "/token":
            asked.append(request.content)
            return httpx2.Response(200, json={"access_token": "given", "token_type": "bearer", "expires_in": 600})
        return None if request.headers["Authorization"] == "Bearer given" else httpx2.Response(401)

    async with connector_to(Odd(scim2_server(), before=before), token=None, oauth=OAUTH) as connector:
        made = await connector.create_user(ada())
        assert (await connector.get_user(made.remote_id)).resource.active
    assert asked == [b"grant_type=client_credentials"]


async def test_where_get_turns_no_pages_search_does() -> None:
    """As scimmy-routers on Express 5: GET answers the first page whatever is asked, POST /.search the right one."""

    def first_of_two(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if request.method != "GET" or "startIndex" not in request.url.params:
            return response
        document = body_of(response)
        kept.setdefault("page", (document.get("Resources") or [])[:2])
        return changed(response, document | {"Resources": kept["page"], "startIndex": 1, "itemsPerPage": 2})

    kept: dict[str, Any] = {}
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        made = {(await connector.create_user(User(user_name=f"p{n}@corp.example"))).remote_id for n in range(5)}
        provider.change = first_of_two
        seen = [one.remote_id async for page in pages(connector.list_users, 3) for one in page.items]
        assert sorted(seen) == sorted(made)
        assert ("POST", "/v2/Users/.search") in provider.calls


async def test_who_compares_names_by_case_is_searched_after_a_conflict() -> None:
    """The person is adopted, though the filter finds nobody of the spelling that was asked for."""

    def exactly(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        condition = request.url.params.get("filter", "")
        if not condition.startswith("userName eq"):
            return response
        document = body_of(response)
        found = [one for one in document.get("Resources") or [] if f'"{one["userName"]}"' in condition]
        return changed(response, document | {"Resources": found, "totalResults": len(found)})

    provider = Odd(scim2_server(), exactly)
    async with connector_to(provider) as connector:
        first = await connector.create_user(User(user_name="Ada@Corp.example"))
        again = await connector.create_user(User(user_name="aDa@corp.example"))
        assert again.existed
        assert again.remote_id == first.remote_id


@pytest.mark.parametrize("status", [400, 403, 404, 409, 501])
async def test_no_word_about_itself_is_no_word_about_a_person(status: int) -> None:
    """ServiceProviderConfig is refused in SCIM's own form: neither account nor group is gone, or refused."""
    provider = Odd(scim2_server())
    async with connector_to(provider, patch=True) as connector:
        person = (await connector.create_user(ada())).remote_id
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        await connector.add_group_members(group, [person])
        assert await connector.find_user("nobody@corp.example") is None
    provider.before = lambda request: scim_error(status) if request.url.path.endswith("Config") else None
    async with connector_to(provider) as connector:
        with pytest.raises(RemoteMisroutedError, match="ServiceProviderConfig"):
            await connector.deactivate_user(person, ada())
        with pytest.raises(RemoteMisroutedError, match="ServiceProviderConfig"):
            await connector.remove_group_members(group, [person])
        assert (await connector.get_user(person)).resource.active
        assert (await connector.list_group_members(group, None, 10)).members == [person]
        assert await connector.find_user("nobody@corp.example") is None


async def test_what_patch_does_not_do_is_done_otherwise() -> None:
    """A name is taken away and a group renamed by PUT; a member leaves by value, as Entra ID has it, alone."""
    provider = Odd(of_few_paths(scim2_server()))
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        other = (await connector.create_user(User(user_name="bob@corp.example"))).remote_id
        seen = await connector.update_user(person, ada(), User(user_name="ada@corp.example"))
        assert seen.resource.name is None
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        renamed = await connector.update_group(group, Group(display_name="Sales"), Group(display_name="Selling"))
        assert renamed.resource.display_name == "Selling"
        await connector.add_group_members(group, [person, other])
        await connector.remove_group_members(group, [person])
        assert (await connector.list_group_members(group, None, 10)).members == [other]


async def test_who_claims_no_filters_is_searched_where_they_find_nobody() -> None:
    """200 with nobody, to a filter of what cannot be compared: the group is adopted, not made a second time."""

    def nobody(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        document = body_of(response)
        if request.url.path.endswith("Config"):
            return changed(response, document | {"filter": {"supported": False, "maxResults": 0}})
        if request.url.params.get("filter", "").startswith(("displayName", "members")):
            return changed(response, document | {"Resources": [], "totalResults": 0, "itemsPerPage": 0})
        return response

    provider = Odd(scim2_server(), nobody)
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        group = (await connector.create_group(Group(display_name="Sales"))).remote_id
        again = await connector.create_group(Group(display_name="Sales"))
        assert (again.remote_id, again.existed) == (group, True)
        await connector.add_group_members(group, [person])
        await connector.deactivate_user(person, ada())
        await connector.reactivate_user(person, ada())
        assert (await connector.list_group_members(group, None, 10)).members == []


async def test_a_deactivation_by_put_is_sent_whatever_a_look_that_lags_shows() -> None:
    """The User is shown inactive, as it was a moment ago: it is not concluded that there is nothing to write."""

    def lags(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if (request.method, "/Users/" in request.url.path) != ("GET", True):
            return response
        return changed(response, body_of(response) | {"active": False})

    provider = Odd(scim2_server(patch=False))
    async with connector_to(provider) as connector:
        person = (await connector.create_user(ada())).remote_id
        provider.change = lags
        await connector.deactivate_user(person, ada())
        provider.change = lambda _request, response: response

        assert not (await connector.get_user(person)).resource.active


async def test_who_says_nothing_of_itself_is_written_to_by_put() -> None:
    """`patch` says all that is needed; a resource of a version is replaced as long as it has that version."""
    shown, replaced = list[str](), list[str | None]()

    def versions(_request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        shown.append(body_of(response).get("meta", {}).get("version"))
        return response

    def silent(request: httpx2.Request) -> httpx2.Response | None:
        if request.method == "PUT":
            replaced.append(request.headers.get("If-Match"))
        return scim_error(404) if request.url.path.endswith("Config") else None

    provider = Odd(scim2_server(patch=False), versions, silent)
    async with connector_to(provider, patch=False) as connector:
        person = (await connector.create_user(ada())).remote_id
        await connector.deactivate_user(person, ada())

        assert not (await connector.get_user(person)).resource.active
        found = {finding.subject: finding.level for finding in await connector.check_connection()}
    assert found == {"service provider": "info", "PATCH": "info"}
    assert shown[0]
    assert replaced == [shown[0]]


def finds_nobody_by(*attributes: str) -> Callable[[httpx2.Request, httpx2.Response], httpx2.Response]:
    """Return a way to answer 200 with nobody to filters by some attributes, although filters are claimed."""

    def change(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if not request.url.params.get("filter", "").startswith(attributes):
            return response
        return changed(response, body_of(response) | {"Resources": [], "totalResults": 0, "itemsPerPage": 0})

    return change


async def test_nobody_keeps_a_group_that_a_filter_does_not_find() -> None:
    """``members.value eq`` is answered 200 with none: whoever returns is taken out of it before they are let in."""
    provider = Odd(scim2_server(), finds_nobody_by("members"))
    async with connector_to(provider) as connector:
        others = (await connector.create_group(Group(display_name="Empty"))).remote_id
        group, [person, other] = await group_of(connector, "ada", "bob")
        await connector.deactivate_user(person, ada())
        await connector.reactivate_user(person, ada())

        assert (await connector.list_group_members(group, None, 10)).members == [other]
        assert (await connector.list_group_members(others, None, 10)).members == []


async def test_a_filter_that_finds_who_is_there_is_believed_of_who_is_not() -> None:
    """Groups are read until one shows somebody whom the filter finds; after that an answer with none is enough."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        group, [person, _] = await group_of(connector, "ada", "bob")
        await connector.remove_group_members(group, [person])
        told = (await connector.create_user(User(user_name="eve@corp.example"))).remote_id

        reads = []
        for one in (person, told):
            await connector.deactivate_user(one, ada())
            provider.calls.clear()
            await connector.reactivate_user(one, ada())
            reads.append([path for _, path in provider.calls if "/Groups" in path])
    assert reads == [["/v2/Groups", "/v2/Groups", f"/v2/Groups/{group}", "/v2/Groups"], ["/v2/Groups"]]


@pytest.mark.parametrize("alone", [False, True])
async def test_an_account_whose_creation_was_not_answered_is_found(alone: bool) -> None:
    """The filter finds nobody, though it is claimed to: the account is not taken for one that was never made."""
    provider = Odd(scim2_server(), finds_nobody_by("userName", "displayName"))
    async with connector_to(provider) as connector:
        if not alone:
            await connector.create_user(User(user_name="bob@corp.example"))
        provider.before = lambda request: httpx2.Response(502) if request.method == "POST" else None
        with pytest.raises(RemoteUnavailableError):
            await connector.create_user(ada())
        assert await connector.find_user("ada@corp.example") is None
        provider.before = lambda _request: None
        provider.change = answer_lost
        with pytest.raises(RemoteUnavailableError):
            await connector.create_user(ada())
        provider.change = finds_nobody_by("userName", "displayName")

        found = await connector.find_user("ada@corp.example")
        assert found is not None
        await connector.delete_user(found.remote_id)
        assert await connector.find_user("ada@corp.example") is None


def answer_lost(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """Answer a creation that took effect as a gateway does that waited too long."""
    return httpx2.Response(504) if request.method == "POST" else response


async def test_a_group_that_a_filter_does_not_find_is_not_made_twice() -> None:
    """Its creation was not answered, and ``displayName eq`` is answered 200 with none."""
    provider = Odd(scim2_server(), answer_lost)
    async with connector_to(provider) as connector:
        with pytest.raises(RemoteUnavailableError):
            await connector.create_group(Group(display_name="Sales"))
        provider.change = finds_nobody_by("displayName")
        again = await connector.create_group(Group(display_name="Sales"))

        assert again.existed
        assert [one.remote_id for one in (await connector.list_groups(None, 10)).items] == [again.remote_id]


async def test_an_addition_is_not_believed_of_an_answer_without_it() -> None:
    """200 to the PATCH, with the group as it was: nothing is claimed; a read is asked only then."""
    provider = Odd(scim2_server())
    async with connector_to(provider) as connector:
        group, [bob] = await group_of(connector, "bob")
        person = (await connector.create_user(ada())).remote_id
        shown: dict[str, Any] = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": group,
            "displayName": "Sales",
            "members": [{"value": bob}],
        }
        provider.before = lambda request: httpx2.Response(200, json=shown) if request.method == "PATCH" else None
        with pytest.raises(RemoteUnavailableError, match="does not show somebody"):
            await connector.add_group_members(group, [person])
        provider.before = lambda _request: None
        provider.calls.clear()
        await connector.add_group_members(group, [person])

        assert [method for method, path in provider.calls if group in path] == ["PATCH"]
        assert set((await connector.list_group_members(group, None, 10)).members) == {bob, person}
