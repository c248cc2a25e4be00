"""HubSpot's limits: ten rolling seconds for an app, a day for the account, a second for searches."""

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge_hubspot.emulator import PROFILES, HubSpotEmulator, Switches
from scim_bridge_hubspot.emulator.limits import Limits
from scim_bridge_hubspot.emulator.records import Token

from .conftest import Api, Clock, Connect

V = "/settings/users/2026-03"
PREFIX = "X-HubSpot-RateLimit"


@pytest.mark.parametrize(
    ("profile", "most"), [("free", 100), ("starter", 100), ("professional", 190), ("enterprise", 190)]
)
async def test_one_call_more_than_the_burst_is_429(connect: Connect, clock: Clock, profile: str, most: int) -> None:
    """The body names the policy and has no category; ten seconds after the first call there is room again."""
    api = connect(profile)
    for number in range(most):
        answer = await api.get(V)
        assert answer.headers[f"{PREFIX}-Remaining"] == str(most - number - 1)
    refused = await api.create("ada@corp.example")
    assert refused.status_code == 429
    assert refused.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert "category" not in refused.json()
    assert (refused.headers[f"{PREFIX}-Max"], refused.headers[f"{PREFIX}-Remaining"]) == (str(most), "0")
    assert "ada@corp.example" not in api.hubspot.snapshot()
    clock.seconds += 9.9
    assert (await api.get(V)).status_code == 429
    clock.seconds += 0.1
    assert (await api.get(V)).status_code == 200


async def test_each_token_has_its_own_window(api: Api, hubspot: HubSpotEmulator) -> None:
    """The burst limit is per app."""
    hubspot.add_token("other")
    for _ in range(190):
        await api.get(V)
    assert (await api.get(V)).status_code == 429
    assert (await api.get(V, headers={"Authorization": "Bearer other"})).status_code == 200


async def test_the_day_is_shared_and_told(api: Api, hubspot: HubSpotEmulator, clock: Clock) -> None:
    """When the day is used up everybody waits for the reset, and the usage call tells how much is gone."""
    hubspot.limits.used_today = 1_000_000 - 1
    usage = (await api.get("/account-info/2026-03/api-usage/daily/private-apps")).json()["results"][0]
    assert (usage["usageLimit"], usage["currentUsage"], usage["fetchStatus"]) == (1_000_000, 1_000_000, "SUCCESS")
    refused = await api.get(V)
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    assert refused.headers[f"{PREFIX}-Daily-Remaining"] == "0"
    clock.seconds += 86_400
    assert (await api.get(V)).status_code == 200


@pytest.mark.parametrize("reading", ["absent", "seconds", "date"])
async def test_retry_after_on_a_real_limit(connect: Connect, reading: str) -> None:
    """The switch decides on the header; its value is when the next call is admitted."""
    api = connect(retry_after=reading)
    for _ in range(190):
        await api.get(V)
    header = (await api.get(V)).headers.get("Retry-After")
    if reading == "absent":
        assert header is None
    elif reading == "seconds":
        assert header == "10"
    else:
        assert header is not None
        assert 8 <= parsedate_to_datetime(header).timestamp() - api.hubspot.now() <= 10


async def test_searches_have_their_own_limit_and_no_headers(connect: Connect, clock: Clock) -> None:
    """Four or five a second, by the switch."""
    api = connect(search_per_second=4, secondly_headers=True)
    answers = [await api.post("/crm/v3/objects/users/search", json={}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert answers[-1].json()["policyName"] == "SECONDLY"
    assert not [name for name in answers[0].headers if name.startswith("x-hubspot")]
    clock.seconds += 1
    assert (await api.post("/crm/v3/objects/users/search", json={})).status_code == 200
    assert f"{PREFIX}-Secondly" in (await api.get(V)).headers


@given(st.lists(st.floats(0, 6), min_size=1, max_size=120), st.integers(1, 8))
@settings(max_examples=80)
def test_no_window_of_ten_seconds_admits_more_than_the_limit(pauses: list[float], most: int) -> None:
    """Whatever the rhythm of calls, any ten seconds hold at most the limit, and a call below it is never refused."""
    now = 0.0
    admitted: list[float] = []
    limits = Limits(lambda: now, PROFILES["enterprise"], Switches(oauth_burst=most))
    token = Token("t", frozenset(), "1", "oauth")
    for pause in pauses:
        now += pause
        policy, wait = limits.admit(token, search=False)
        recent = [moment for moment in admitted if now - moment < 10]
        assert (policy is None) == (len(recent) < most)
        assert policy is None or 0 < wait <= 10
        if policy is None:
            admitted.append(now)
