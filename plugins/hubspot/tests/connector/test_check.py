"""The preflight: what it finds on portals of every kind, and that a configured feature that cannot work is an error."""

from typing import Any

import pytest

from plugins.hubspot.tests.connector.portals import ADA, SCIM_URL, World, world
from scim_bridge.errors import RemoteInvalidValueError
from scim_bridge.models import Finding, Group, User
from scim_bridge_hubspot.emulator import ALL_SCOPES

BETA = "2026-09-beta"


def stocked(profile: str = "enterprise", **switches: Any) -> World:
    """Return a portal with sets, a team and seats."""
    portal = world(profile, **switches)
    portal.hubspot.add_role("Sales")
    portal.hubspot.add_team("EMEA")
    portal.hubspot.add_seat_pool("Core Seat", total=2)
    portal.hubspot.add_seat_pool("Sales Seat", total=0)
    return portal


async def found(portal: World, **settings: Any) -> list[Finding]:
    """Return the findings of a check, which must have written nothing."""
    async with portal.connector(**settings) as connector:
        findings = await connector.check_connection()
    assert portal.writes() == []
    return findings


def errors(findings: list[Finding]) -> set[str]:
    """Return the subjects of what cannot work."""
    return {finding.subject for finding in findings if finding.level == "error"}


def messages(findings: list[Finding], subject: str) -> str:
    """Return all that was found of a subject."""
    return "\n".join(finding.message for finding in findings if finding.subject == subject)


async def test_a_good_connection_has_no_error_and_tells_everything() -> None:
    """Token, owner, scopes, sets, teams, seats with what is left, limits, and what will happen."""
    findings = await found(stocked(), api_version=BETA, seats_as_groups=True, teams_as_groups="primary")
    assert errors(findings) == set()
    assert "Super Admin" in messages(findings, "token owner")
    assert messages(findings, "permission sets") == '"Sales"'
    assert messages(findings, "seat Core Seat") == "2 left"
    assert [finding.level for finding in findings if finding.subject == "seat Sales Seat"] == ["warning"]
    assert "1000000" in messages(findings, "limits")
    assert "removes the account" in messages(findings, "deprovisioning")


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
async def test_each_missing_scope_is_told_by_feature(scope: str) -> None:
    """Taking one scope away is an error exactly where a configured feature has no other."""
    portal = stocked()
    portal.hubspot.add_token("narrow", scopes=ALL_SCOPES - {scope})
    findings = await found(
        portal,
        token="narrow",
        api_version=BETA,
        seats_as_groups=True,
        teams_as_groups="primary",
        job_title=True,
        deactivated_by="owners",
    )
    expected = {
        "settings.users.teams.read": {"scope: teams", "teams"},
        "settings.billing.write": {"scope: seats", "seats"},
        "crm.objects.owners.read": {"scope: recognise deactivated"},
        "crm.objects.users.read": {"scope: read job titles"},
        "crm.objects.users.write": {"scope: write job titles"},
    }
    assert errors(findings) == expected.get(scope, set())


@pytest.mark.parametrize("reading", ["known", "404"])
async def test_a_token_that_cannot_read_accounts_fails_the_check(reading: str) -> None:
    """Whether or not HubSpot tells the scopes."""
    portal = stocked(token_info=reading)
    portal.hubspot.add_token("narrow", scopes=["oauth"])
    assert errors(await found(portal, token="narrow"))


async def test_a_wrong_token_is_one_finding() -> None:
    """Nothing else is asked with a token that HubSpot refuses."""
    findings = await found(stocked(), token="wrong")
    assert [(finding.subject, finding.level) for finding in findings] == [("token", "error")]
    assert "wrong, expired or revoked" in findings[0].message


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        ({"groups": {"A": {"permission_set": "Nope"}}}, 'groups."A".permission_set'),
        ({"groups": {"A": {"primary_team": "Nope"}}}, 'groups."A".primary_team'),
        ({"groups": {"A": {"seats": ["Nope"]}}, "api_version": BETA}, 'groups."A".seats'),
        ({"fallback_permission_set": "Nope"}, "fallback_permission_set"),
        ({"deprovision": "strip", "strip": {"permission_set": "Nope"}}, "strip.permission_set"),
    ],
)
async def test_a_configured_name_that_does_not_exist_is_an_error(settings: dict[str, Any], subject: str) -> None:
    """The check finds it before a person is refused for it, and tells what exists."""
    findings = await found(stocked(), **settings)
    assert subject in errors(findings)
    assert "Sales" in messages(findings, subject) or "EMEA" in messages(findings, subject)


@pytest.mark.parametrize(
    ("settings", "subject", "told"),
    [
        ({"precedence": ["Slaes", "sales"]}, "precedence", ': "Slaes", "sales"'),
        ({"seat_rules": {"sales": ["Core Seat"]}}, "seat_rules", 'no permission set of the account: "sales"'),
        ({"seat_rules": {"Sales": ["core seat"]}}, "seat_rules", 'no seat of the account: "core seat"'),
        ({"privileged": ["SALES", "Slaes"]}, "privileged", ': "Slaes"'),
    ],
)
async def test_what_names_nothing_and_is_not_acted_on_is_a_warning(
    settings: dict[str, Any], subject: str, told: str
) -> None:
    """It does no harm, but it does not do what its author thinks. Names count by case, but those of privileged sets."""
    findings = await found(stocked(), api_version=BETA, **settings)
    [warning] = [one.message for one in findings if (one.subject, one.level) == (subject, "warning")]
    assert warning.endswith(told)


@pytest.mark.parametrize("profile", ["free", "professional"])
async def test_a_tier_without_permission_sets_is_told(profile: str) -> None:
    """An error with its remedy where nothing else is a group; so are teams without a tier for them, when configured."""
    portal = stocked(profile)
    findings = await found(portal)
    assert errors(findings) == {"permission sets"}
    assert "nothing can be a group" in messages(findings, "permission sets")
    (remedy,) = [finding.remedy for finding in findings if finding.subject == "permission sets"]
    assert "teams_as_groups" in remedy
    with_teams = await found(portal, teams_as_groups="primary")
    assert errors(with_teams) == ({"teams"} if profile == "free" else set())


async def test_a_name_is_not_called_renamed_where_the_tier_has_nothing_of_its_kind() -> None:
    """The remedy is another tier, or another configuration."""
    grant = {"permission_set": "Sales", "primary_team": "EMEA", "seats": ["Nope"]}
    strip = {"deprovision": "strip", "strip": {"permission_set": "No access"}}
    findings = await found(stocked("starter"), api_version=BETA, groups={"A": grant}, **strip)
    remedies = {one.subject: one.remedy for one in findings if one.level == "error"}
    assert "Enterprise" in remedies['groups."A".permission_set']
    assert 'deprovision = "remove"' in remedies["strip.permission_set"]
    assert "Professional" in remedies['groups."A".primary_team']
    assert "renamed" in remedies['groups."A".seats']


async def test_a_group_pushed_where_nothing_can_be_one_is_told_what_to_set() -> None:
    """HubSpot Professional: the client's 400 names the setting."""
    async with stocked("professional").connector() as connector:
        with pytest.raises(RemoteInvalidValueError, match="has nothing that can be one; set teams_as_groups"):
            await connector.create_group(Group(display_name="Sales"))


async def test_super_admins_and_seats_are_seen() -> None:
    """No group shows them: the check names who is one, and explaining one says so, with what seats they have."""
    portal = stocked()
    boss = portal.hubspot.add_person("boss@corp.example", super_admin=True, seats=["Core Seat"])
    findings = await found(portal, api_version=BETA)
    assert "boss@corp.example" in messages(findings, "Super Admins")
    async with portal.connector(api_version=BETA) as connector:
        told = await connector.explain_user(str(boss.id), User(user_name="boss@corp.example"), [])
    assert told.summary.startswith("holds Super Admin, who may do everything; ")
    assert 'seats: "Core Seat"' in told.summary


async def test_a_creator_who_is_no_super_admin_is_a_warning() -> None:
    """HubSpot lets people assign only what they have themselves."""
    portal = stocked()
    portal.hubspot.add_person(ADA)
    portal.hubspot.add_token("adas", creator=ADA)
    findings = await found(portal, token="adas")
    assert [finding.level for finding in findings if finding.subject == "token owner"] == ["warning"]


@pytest.mark.parametrize("token", ["scim-emulator", "wrong"])
async def test_the_scim_endpoint_is_asked_with_its_own_token(token: str) -> None:
    """A token that does not work there is an error when deactivation depends on it."""
    findings = await found(stocked(), deprovision="scim", scim_token=token, scim_url=SCIM_URL)
    assert ("SCIM endpoint" in errors(findings)) is (token == "wrong")


async def test_a_set_that_needs_the_billing_scope_is_named() -> None:
    """The admin learns which sets cannot be assigned with this token."""
    portal = stocked()
    portal.hubspot.add_role("Paid", requires_billing_write=True)
    portal.hubspot.add_token("narrow", scopes=ALL_SCOPES - {"settings.billing.write"})
    assert '"Paid"' in messages(await found(portal, token="narrow"), "permission sets")
