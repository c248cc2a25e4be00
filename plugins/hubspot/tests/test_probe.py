"""The probe of a portal: it reads every switch rightly, or says that it cannot tell, and leaves nobody behind."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from scim_bridge_hubspot.cli import main
from scim_bridge_hubspot.emulator import HubSpotEmulator, Switches
from scim_bridge_hubspot.probe import Calls, Plan, Probe, ProbeError, Report
from scim_bridge_hubspot.probe.report import NOT_ASKED

EMAIL = "throw.away@corp.example"


def every_reading() -> Iterator[tuple[str, Any]]:
    """Yield each switch with each of its readings."""
    for switch, readings in Switches.choices().items():
        for reading in readings:
            yield switch, reading


def portal(**switches: Any) -> HubSpotEmulator:
    """Return a portal with everything that a switch can show."""
    ticks = count(0, 5)  # the rate limit is not the matter here
    hubspot = HubSpotEmulator(switches=Switches(**switches), clock=lambda: next(ticks), sleep=no_sleep)
    hubspot.add_role("Harmless")
    hubspot.add_role("Other")
    team = hubspot.add_team("Everybody")
    hubspot.add_seat_pool("Core Seat", 1 if switches.get("seat_lag_creates") else 500, default=True)
    hubspot.add_person("two.sets@corp.example", roles=["Harmless", "Other"], primary_team=team)
    for number in range(130):
        hubspot.add_person(f"member-{number}@corp.example")
    return hubspot


async def no_sleep(seconds: float) -> None:
    """Let time pass at once."""


async def probed(hubspot: HubSpotEmulator, *, version: str = "2026-09-beta", **plan: str) -> Report:
    """Probe a portal in process, with somebody who deactivates the person when asked."""

    async def hand(task: str) -> bool:
        assert "deactivate" in task
        hubspot.ui_deactivate(EMAIL)
        return True

    headers = {"Authorization": f"Bearer {hubspot.token}"}
    base = "https://api.hubapi.com"
    async with httpx2.AsyncClient(transport=hubspot.transport(), base_url=base, headers=headers) as http:
        calls = Calls(http, version, bearer=hubspot.token, sleep=no_sleep)
        probe = Probe(calls, Plan(EMAIL, **({"permission_set": "Harmless", "team": "Everybody"} | plan)), hand=hand)
        await probe.look()
        return await probe.run()


def alike(switches: Switches) -> dict[str, Any]:
    """Return the readings of a portal, with one spelling for what nobody can tell apart."""
    readings = switches.as_mapping()
    readings["page_size_default"] = min(switches.page_size_default, switches.page_size_cap)
    if switches.put_mode == "merge" and switches.role_clear == "omit":
        readings["role_clear"] = "null"  # under ``merge`` an omitted field is kept, so both mean an explicit null
    return readings


@pytest.mark.parametrize(("switch", "reading"), list(every_reading()))
async def test_every_reading_of_every_switch_is_seen_or_left_open(switch: str, reading: Any) -> None:
    """A probe implies no reading that the portal does not have, and leaves no one but members behind."""
    hubspot = portal(**{switch: reading})
    before = hubspot.snapshot()
    report = await probed(hubspot)
    assert not report.ended_early
    actual = alike(hubspot.switches)
    implied = report.readings()
    assert {name: value for name, value in implied.items() if actual[name] != value} == {}
    assert report.left_behind == (hubspot.snapshot() != before)
    if switch not in NOT_ASKED and switch not in report.open_points():
        assert implied[switch] == actual[switch]


@pytest.mark.parametrize(("switch", "reading"), [one for one in every_reading() if one[0] not in NOT_ASKED])
async def test_what_a_probe_can_decide_it_decides(switch: str, reading: Any) -> None:
    """Each switch is decided on a portal that can show it, or stands with its reason in the list of the others."""
    needs: dict[str, dict[str, Any]] = {
        "null_clears_teams": {"put_mode": "merge"},
        "role_clear": {"put_mode": "merge"} if reading == "null" else {},
    }
    profile = "professional" if switch == "roles_without_sets" else "free" if switch == "teams_without_tier" else None
    hubspot = portal(**needs.get(switch, {}), **{switch: reading})
    plan: dict[str, str] = {}
    if profile is not None:
        hubspot.profile = replace(HubSpotEmulator(profile=profile).profile, max_users=1000)
        plan = {"permission_set": "", "team": ""}
    report = await probed(hubspot, **plan)
    if (switch, reading) == ("seat_lag_creates", 0):
        assert report.open_points()[switch] == "0 times"  # seen on every portal with seats to spare
        return
    assert report.readings()[switch] == alike(hubspot.switches)[switch]


@pytest.mark.parametrize("unkept", [False, True])
async def test_answers_to_puts_are_compared_with_what_is_read_after_them(unkept: bool) -> None:
    """The connector believes them of what is given; a portal that answers what is not so is told."""
    hubspot = portal()
    if unkept:
        hubspot.faults.add("unkept", method="PUT", times=None)
    told = {point.question: point.seen for point in (await probed(hubspot)).points}
    matching, _, all_of_them, _ = told["Are answers to PUT what is read after them?"].split()
    assert (int(matching) < int(all_of_them)) == unkept


async def test_a_report_names_nobody() -> None:
    """No address, name, id or token of anybody is in a report."""
    hubspot = portal()
    report = json.dumps((await probed(hubspot)).as_document())
    secrets = {hubspot.token, EMAIL, "corp.example", "Olivia", "Harmless", "Everybody", str(hubspot.portal_id)}
    secrets |= {person.id for person in hubspot.people.values()}
    assert {secret for secret in secrets if secret.lower() in report.lower()} == set()


async def test_a_person_who_has_the_address_is_left_alone() -> None:
    """Before anything is written the probe makes sure that the address is nobody's."""
    hubspot = portal()
    hubspot.add_person(EMAIL)
    with pytest.raises(ProbeError, match="give one that nobody has"):
        await probed(hubspot)
    assert [call.method for call in hubspot.calls if call.method not in ("GET", "HEAD")] == []


@pytest.mark.parametrize("at", range(1, 45))
async def test_the_person_is_removed_when_the_probe_breaks_off(at: int) -> None:
    """A connection that is lost at any call ends the probe, and the person is removed all the same."""
    hubspot = portal()
    before = hubspot.snapshot()

    class Cut(httpx2.AsyncBaseTransport):
        """Loses one answer, after HubSpot has done what was asked."""

        sent = 0

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            Cut.sent += 1
            answer = await hubspot.transport().handle_async_request(request)
            if Cut.sent == at:
                raise httpx2.ReadError("lost", request=request)
            return answer

    headers = {"Authorization": f"Bearer {hubspot.token}"}
    async with httpx2.AsyncClient(transport=Cut(), base_url="https://api.hubapi.com", headers=headers) as http:
        probe = Probe(Calls(http, "2026-09-beta", bearer=hubspot.token, sleep=no_sleep), Plan(EMAIL))
        report = await probe.run()
    assert report.ended_early or Cut.sent < at or report.left_behind
    assert report.left_behind or hubspot.snapshot() == before


async def test_a_portal_whose_person_stays_is_told() -> None:
    """When the removal is refused the operator is told that somebody is left."""
    hubspot = portal(write_deactivated="404", create_deactivated="409")
    report = await probed(hubspot)
    assert report.left_behind
    assert EMAIL in hubspot.snapshot()


def test_the_command_writes_to_no_account_that_was_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's id is asked for; another one ends the command before anything is written."""
    hubspot = portal()
    client = httpx2.AsyncClient
    monkeypatch.setenv("HUBSPOT_TOKEN", hubspot.token)
    monkeypatch.setattr(
        "scim_bridge_hubspot.probe.command.httpx2.AsyncClient",
        lambda **settings: client(transport=hubspot.transport(), **settings),
    )
    refused = CliRunner().invoke(main, ["probe", "--email", EMAIL], input="1\n")
    assert refused.exit_code == 1
    assert "another account; nothing was written" in refused.output
    assert {call.method for call in hubspot.calls} == {"GET"}
    done = CliRunner().invoke(main, ["probe", "--email", EMAIL, "--portal", str(hubspot.portal_id)])
    assert done.exit_code == 0, done.output
    assert "duplicate_create = 409" in done.output
    assert "--switch put_mode" not in done.output  # no set and no team was offered
    assert EMAIL not in hubspot.snapshot()
