"""Nothing is reached without a valid token of the very connection; all refusals look the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.server import ServerOptions, TokenAuthentication
from scim_bridge.server.authentication import REMEMBER_SECONDS, FailedAuthentications, FailureLimit, bearer_token
from scim_bridge.store import tokens
from tests.http.bridge import Tenant, bridge

ROUTES = (
    "/Users",
    "/Users/x",
    "/Groups",
    "/Bulk",
    "/.search",
    "/Me",
    "/Schemas",
    "/ServiceProviderConfig",
    "/nope",
    "",
)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])
async def test_every_route_is_closed_without_a_token(acme: Tenant, method: str) -> None:
    """401, a challenge and a SCIM error, whatever the route, also of a connection that does not exist."""
    for prefix in (
        "/acme/scim/v2",
        "/other/scim/v2",
        "/acme/scim/v1",
        "/acme",
        "",
        "/metrics",
        "/healthzz",
        "/healthz/x",
    ):
        for route in ROUTES:
            response = await acme.http.request(method, prefix + (route or "/"))
            assert response.status_code in (401, 429), (method, prefix, route)
            assert response.json()["status"] == str(response.status_code)


async def test_unknown_connection_wrong_and_missing_token_answer_alike(acme: Tenant) -> None:
    """An answer tells a stranger nothing: not which connections exist, not what is wrong with a token."""
    wrong = acme.token[:-1] + ("a" if acme.token[-1] != "a" else "b")
    foreign, _ = tokens.mint("acme", now=datetime.now(UTC))
    answers = set()
    for path, headers in (
        ("/acme/scim/v2/Users", {}),
        ("/acme/scim/v2/Users", {"Authorization": f"Bearer {wrong}"}),
        ("/acme/scim/v2/Users", {"Authorization": f"Bearer {foreign}"}),
        ("/acme/scim/v2/Users", {"Authorization": "Bearer "}),
        ("/acme/scim/v2/Users", {"Authorization": f"Basic {acme.token}"}),
        ("/acme/scim/v2/Users", {"Authorization": f"Bearer {acme.token} x"}),
        ("/other/scim/v2/Users", {"Authorization": f"Bearer {acme.token}"}),
        ("/other/scim/v2/Users", {}),
    ):
        response = await acme.http.get(path, headers=headers)
        answers.add((response.status_code, response.content, response.headers.get("WWW-Authenticate")))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


async def test_a_token_opens_its_own_connection_only(tmp_path: Path) -> None:
    """The other connection's data is out of reach in every way."""
    async with bridge(tmp_path, "one", "two") as (one, two):
        mine, theirs = await one.user("me@x.io"), await two.user("them@x.io")
        crossed = await two.http.get("/two/scim/v2/Users", headers={"Authorization": f"Bearer {one.token}"})
        assert crossed.status_code == 401
        assert (await one.get(f"/Users/{theirs['id']}")).status_code == 404
        assert (await one.delete(f"/Users/{theirs['id']}")).status_code == 404
        assert (
            await one.patch(f"/Users/{theirs['id']}", {"op": "replace", "path": "active", "value": False})
        ).status_code == 404
        group = await one.group("X", mine["id"], theirs["id"])
        assert await one.members(group) == {mine["id"]}
        assert (await one.get("/Users")).json()["totalResults"] == 1
        assert (await two.read(theirs))["active"] is True
        assert two.remote_active() == {"them@x.io": True}


async def test_a_bare_token_is_taken_as_okta_sends_it(acme: Tenant) -> None:
    """Administrators paste the token without `Bearer`; the scheme's case does not matter."""
    for value in (acme.token, f"bearer {acme.token}", f"BEARER  {acme.token}"):
        assert (await acme.get("/Users", Authorization=value)).status_code == 200


async def test_several_authorization_headers_are_refused(acme: Tenant) -> None:
    """Two layers could read two different ones."""
    headers = [("Authorization", f"Bearer {acme.token}"), ("Authorization", f"Bearer {acme.token}")]
    assert (await acme.http.get("/acme/scim/v2/Users", headers=headers)).status_code == 401


async def test_a_method_override_changes_nothing(acme: Tenant) -> None:
    """`X-HTTP-Method-Override` is ignored."""
    user = await acme.user()
    response = await acme.send("GET", f"/Users/{user['id']}", X_HTTP_Method_Override="DELETE")
    assert response.status_code == 200
    assert (await acme.read(user))["id"] == user["id"]


async def test_a_revoked_and_an_expired_token_open_nothing_within_a_second(acme: Tenant) -> None:
    """What was valid is remembered for a second at most."""
    now, ticks = datetime.now(UTC), 0.0
    authenticate = TokenAuthentication(acme.store, clock=lambda: now, monotonic=lambda: ticks)
    lookup_id = tokens.parse(acme.token)
    assert await authenticate("acme", acme.token) == lookup_id
    await acme.store.write(lambda tx: tokens.revoke(tx, str(lookup_id), now))
    ticks += REMEMBER_SECONDS
    assert await authenticate("acme", acme.token) is None
    short, record = tokens.mint("acme", now=now, expires_at=now + timedelta(hours=1))
    await acme.store.write(lambda tx: tokens.create(tx, record))
    assert await authenticate("acme", short) == record.lookup_id
    assert await authenticate("other", short) is None
    now += timedelta(hours=1)
    ticks += REMEMBER_SECONDS
    assert await authenticate("acme", short) is None


async def test_failures_of_one_address_are_put_off_and_valid_tokens_are_not(tmp_path: Path) -> None:
    """Guessing is slowed down; whoever has the token is served all the same."""
    options = ServerOptions(failed_authentications=FailureLimit(failures=3, seconds=60))
    async with bridge(tmp_path, server_options=options) as (acme,):
        statuses = [(await acme.http.get("/acme/scim/v2/Users")).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        refused = await acme.http.get("/acme/scim/v2/Users")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await acme.get("/Users")).status_code == 200


def test_the_failures_of_an_address_are_forgotten_in_time_and_in_number() -> None:
    """The table of addresses has an end."""
    now = 0.0
    failures = FailedAuthentications(FailureLimit(failures=1, seconds=10, addresses=2), clock=lambda: now)
    assert failures.failed("a") == 0
    assert failures.failed("a") == 10
    now = 10.0
    assert failures.failed("a") == 0
    assert [failures.failed(address) for address in "bc"] == [0, 0]
    assert failures.failed("a") == 0


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_authorization_header_yields_one_token_or_none(values: list[bytes]) -> None:
    """Never an error, and never a token with a space in it."""
    token = bearer_token(values)
    assert token is None or (len(values) == 1 and token and " " not in token)
