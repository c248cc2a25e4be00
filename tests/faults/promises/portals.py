"""What HubSpot's pages show of everybody, in the form of a record."""

from scim_bridge_hubspot.emulator import HubSpotEmulator, Person
from tests.faults.promises.record import Account

NO_ACCESS = "No access"
"""The permission set of those whose access was stripped: whoever holds nothing else does not get in."""


def accounts_of(hubspot: HubSpotEmulator) -> dict[str, Account]:
    """Return every member's account by HubSpot's id."""
    return {person.id: account_of(hubspot, person) for person in hubspot.people.values() if person.membership}


def account_of(hubspot: HubSpotEmulator, person: Person) -> Account:
    """Return what HubSpot shows of a member; whoever does not get in has the use of nothing."""
    held = hubspot.account(person)
    sets = {*held.roles, *held.secondary_teams, *([held.primary_team] if held.primary_team else [])}
    access = held.active and held.roles != (NO_ACCESS,)
    return Account(person.email.lower(), access, frozenset(sets - {NO_ACCESS} if access else ()), held.super_admin)
