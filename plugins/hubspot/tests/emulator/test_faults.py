"""Scripted faults: which calls they strike, how often, and whether the call takes effect."""

from collections import Counter
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge_hubspot.emulator import TRANSIENT, Fault, FaultKind, HubSpotEmulator
from scim_bridge_hubspot.emulator.faults import Media

from .conftest import Api, Clock, Connect

V = "/settings/users/2026-03"


@pytest.mark.parametrize(
    ("kind", "status", "marker"),
    [
        ("unauthorized", 401, "INVALID_AUTHENTICATION"),
        ("wrong_scope", 403, "crm.objects.contacts.read"),
        ("locked", 423, "LOCKED"),
        ("rate_secondly", 429, '"policyName": "SECONDLY"'),
        ("rate_ten_secondly", 429, '"policyName": "TEN_SECONDLY_ROLLING"'),
        ("rate_daily", 429, '"policyName": "DAILY"'),
        ("migration", 477, "data centers"),
        ("error", 500, "INTERNAL_ERROR"),
    ],
)
async def test_an_error_strikes_once_and_the_call_has_no_effect(
    api: Api, hubspot: HubSpotEmulator, kind: FaultKind, status: int, marker: str
) -> None:
    """The answer has the status and the body of its kind; the next call works."""
    rule = hubspot.faults.add(kind)
    answer = await api.create("ada@corp.example")
    assert answer.status_code == status
    assert marker in answer.text
    assert "ada@corp.example" not in hubspot.snapshot()
    assert (hubspot.calls[-1].fault, hubspot.calls[-1].committed) == (kind, False)
    assert (await api.create("ada@corp.example")).status_code == 201
    assert (rule.fired, hubspot.faults.fired[kind]) == (1, 1)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 521, 523, 524])
async def test_an_error_may_hide_that_the_call_took_effect(api: Api, hubspot: HubSpotEmulator, status: int) -> None:
    """A gateway can time out after the work is done."""
    hubspot.faults.add("error", status=status, commit=True)
    assert (await api.create("ada@corp.example")).status_code == status
    assert "ada@corp.example" in hubspot.snapshot()
    assert hubspot.calls[-1].committed


@pytest.mark.parametrize("status", [400, 403, 404, 408, 410, 421])
@pytest.mark.parametrize(("media", "content_type"), [
    ("json", "application/json"), ("html", "text/html"), ("plain", "text/plain"), ("empty", None),
])  # fmt: skip
async def test_an_edge_answers_in_its_own_words(
    api: Api, hubspot: HubSpotEmulator, status: int, media: Media, content_type: str | None
) -> None:
    """HubSpot never saw the call: it has no effect, and nothing in the answer is HubSpot's."""
    hubspot.faults.add("edge", status=status, media=media)
    answer = await api.create("ada@corp.example")
    assert answer.status_code == status
    assert (answer.headers.get("content-type") or "").partition(";")[0] == (content_type or "")
    assert not {"category", "correlationId"} & set(answer.json() if media == "json" else ())
    assert "ada@corp.example" not in hubspot.snapshot()


async def test_the_wrong_data_centre_names_the_right_one(api: Api, hubspot: HubSpotEmulator) -> None:
    """488 is no status of HTTP; its body tells where the portal is."""
    hubspot.faults.add("edge", status=488)
    answer = await api.create("ada@corp.example")
    assert (answer.status_code, answer.json()["correctHublet"]) == (488, "eu1")


async def test_routes_can_be_gone_while_others_work(api: Api, hubspot: HubSpotEmulator) -> None:
    """Reading one person is 404 by a gateway; the list, and afterwards the person, are there."""
    person = hubspot.add_person("ada@corp.example")
    rule = hubspot.faults.gone(rf"{V}/\d+$")
    gone = await api.read(person.id)
    assert (gone.status_code, "category" in gone.json()) == (404, False)
    assert (await api.get(V)).status_code == 200
    hubspot.faults.clear(rule.id)
    assert (await api.read(person.id)).status_code == 200


async def test_a_mixed_up_answer_is_another_persons_record(api: Api, hubspot: HubSpotEmulator) -> None:
    """The record of the answer is somebody else's; the call did what it says."""
    ada, bob = hubspot.add_person("ada@corp.example"), hubspot.add_person("bob@corp.example")
    hubspot.faults.add("mixed_up")
    answer = (await api.read(ada.id)).json()
    assert answer["id"] in {bob.id, hubspot.owner.id}
    assert (await api.read(ada.id)).json()["id"] == ada.id


async def test_an_unkept_write_is_answered_as_if_it_was_done(api: Api, hubspot: HubSpotEmulator) -> None:
    """A PUT leaves the person as they were, a POST makes the bare account; both answers say what was sent."""
    sales = hubspot.add_role("Sales").id
    ada = hubspot.add_person("ada@corp.example", first_name="Ada")
    hubspot.faults.add("unkept", times=2)
    put = (await api.write(ada.id, roleId=sales, firstName="Augusta")).json()
    assert (put["roleIds"], put["firstName"], hubspot.calls[-1].committed) == ([sales], "Augusta", False)
    post = (await api.create("bob@corp.example", roleId=sales)).json()
    assert (post["roleIds"], hubspot.calls[-1].committed) == ([sales], True)
    people = hubspot.snapshot()
    assert [people[f"{one}@corp.example"].roles for one in ("ada", "bob")] == [(), ()]
    assert people["ada@corp.example"].first_name == "Ada"
    assert (await api.write(ada.id, roleId=sales)).json() == (await api.read(ada.id)).json()


@pytest.mark.parametrize(("kind", "committed"), [("drop_before", False), ("drop_after", True)])
async def test_a_dropped_connection(api: Api, hubspot: HubSpotEmulator, kind: FaultKind, committed: bool) -> None:
    """No answer comes, whether or not the call took effect."""
    hubspot.faults.add(kind)
    with pytest.raises(httpx2.ReadError):
        await api.create("ada@corp.example")
    assert ("ada@corp.example" in hubspot.snapshot()) == committed
    assert (hubspot.calls[-1].status, hubspot.calls[-1].committed) == (None, committed)


async def test_half_an_answer(api: Api, hubspot: HubSpotEmulator) -> None:
    """The call took effect, its answer is lost midway."""
    hubspot.faults.add("half")
    with pytest.raises(httpx2.RemoteProtocolError):
        await api.create("ada@corp.example")
    assert "ada@corp.example" in hubspot.snapshot()


async def test_a_slow_answer(api: Api, hubspot: HubSpotEmulator, clock: Clock) -> None:
    """It comes late on the emulator's own clock, or the client gives up first; the call took effect either way."""
    hubspot.faults.add("slow", delay=3, times=2)
    assert (await api.create("ada@corp.example")).status_code == 201
    with pytest.raises(httpx2.ReadTimeout):
        await api.post(V, json={"email": "b@corp.example", "sendWelcomeEmail": False}, timeout=2)
    assert clock.slept == [3, 2]
    assert {"ada@corp.example", "b@corp.example"} <= set(hubspot.snapshot())


async def test_answers_that_are_none(api: Api, hubspot: HubSpotEmulator) -> None:
    """A page of HTML, broken JSON and a body that is far too large come with a success status."""
    hubspot.faults.add("content_type")
    page = await api.create("a@corp.example")
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    hubspot.faults.add("malformed")
    broken = await api.create("b@corp.example")
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the decoder says
        broken.json()
    hubspot.faults.add("oversized", size=50_000)
    assert len((await api.create("c@corp.example")).content) == 50_000
    assert {"a@corp.example", "b@corp.example", "c@corp.example"} <= set(hubspot.snapshot())


async def test_a_rule_waits_for_its_calls(api: Api, hubspot: HubSpotEmulator) -> None:
    """Method, path and number select the calls that are struck."""
    hubspot.faults.add("error", method="GET", path=r"/roles$", nth=2, times=2)
    statuses = [(await api.get(f"{V}/{name}")).status_code for name in ("roles", "teams", "roles", "roles", "roles")]
    assert statuses == [200, 200, 500, 500, 200]
    assert (await api.create("ada@corp.example")).status_code == 201


async def test_an_outage_lasts_seconds_or_calls(api: Api, hubspot: HubSpotEmulator, clock: Clock) -> None:
    """Until its time or its number is over, every call is refused."""
    hubspot.faults.outage(calls=2)
    assert [(await api.get(V)).status_code for _ in range(3)] == [503, 503, 200]
    hubspot.faults.outage(seconds=30, status=502)
    statuses = []
    for _ in range(4):
        statuses.append((await api.get(V)).status_code)
        clock.seconds += 10
    assert statuses == [502, 502, 502, 200]
    assert hubspot.faults.rules == []


async def test_clearing_ends_one_fault_or_all(api: Api, hubspot: HubSpotEmulator) -> None:
    """The counts of what struck stay."""
    first = hubspot.faults.add("error", times=None)
    hubspot.faults.add("locked", times=None)
    await api.get(V)
    hubspot.faults.clear(first.id)
    assert (await api.get(V)).status_code == 423
    hubspot.faults.clear()
    assert (await api.get(V)).status_code == 200
    assert hubspot.faults.fired == Counter(error=1, locked=1)


async def test_retry_after_is_absent_seconds_or_a_date(api: Api, hubspot: HubSpotEmulator) -> None:
    """The header says what the fault says."""
    hubspot.faults.add("rate_ten_secondly")
    assert "Retry-After" not in (await api.get(V)).headers
    hubspot.faults.add("migration", retry_after=86_400)
    assert (await api.get(V)).headers["Retry-After"] == "86400"
    hubspot.faults.add("locked", retry_after=2.5, retry_after_date=True)
    date = parsedate_to_datetime((await api.get(V)).headers["Retry-After"])
    assert 0 < date.timestamp() - hubspot.now() <= 3


def test_a_fault_that_does_not_exist_is_refused() -> None:
    """Unknown kinds, fields and patterns are told at once."""
    for wrong in ({}, {"kind": "fire"}, {"kind": "error", "colour": 1}, {"kind": "error", "path": "("}):
        with pytest.raises(ValueError, match=r"kind|pattern|missing"):
            Fault.from_mapping(wrong)


async def history(seed: int, rate: float) -> list[str]:
    """Return the faults of a hundred calls."""
    hubspot = HubSpotEmulator(seed=seed)
    hubspot.faults.random(rate)
    async with Api(hubspot) as api:
        for _ in range(100):
            try:
                await api.get(V)
            except httpx2.TransportError:
                continue
    return [call.fault for call in hubspot.calls]


async def test_random_faults_repeat_by_their_seed(connect: Connect) -> None:
    """The same seed is the same history; all kinds come up; the rate is about what was asked."""
    first = await history(1, 0.3)
    assert first == await history(1, 0.3)
    assert first != await history(2, 0.3)
    struck = Counter(fault for fault in first if fault)
    assert 15 <= struck.total() <= 45
    assert set(struck) <= set(TRANSIENT)
    assert await history(3, 0.0) == [""] * 100


@given(st.lists(st.tuples(st.sampled_from(["GET", "PUT"]), st.integers(1, 4), st.integers(1, 3)), max_size=5))
@settings(max_examples=60)
def test_every_rule_strikes_exactly_its_times(rules: list[tuple[str, int, int]]) -> None:
    """However rules overlap, each strikes as often as it should once enough calls came, and every strike counts."""
    hubspot = HubSpotEmulator()
    added = [hubspot.faults.add("error", method=method, nth=nth, times=times) for method, nth, times in rules]
    for _ in range(50):
        for method in ("GET", "PUT"):
            hubspot.faults.strike(method, "/x")
    assert [rule.fired for rule in added] == [times for _, _, times in rules]
    assert hubspot.faults.fired.total() == sum(times for _, _, times in rules)
    assert hubspot.faults.rules == []
