"""What the portals of these tests have, as far as their tier allows it."""

from scim_bridge_hubspot.emulator import HubSpotEmulator

SETS = ("Sales Manager", "Sales", "Marketing", "Support", "Viewer")
STRIPPED = ("No access", "Nothing at all")
"""Permission sets without rights."""
TEAMS = ("EMEA", "APAC", "All hands")
SEATS = ("Core", "Paid", "View")
ENTRIES = (*SETS, *STRIPPED, *TEAMS, *SEATS)


def stock(hubspot: HubSpotEmulator) -> None:
    """Give a portal what its tier allows."""
    for name in (*SETS, *STRIPPED) if hubspot.profile.permission_sets else ():
        hubspot.add_role(name)
    for name in TEAMS if hubspot.profile.teams else ():
        hubspot.add_team(name)
    for name in SEATS:
        hubspot.add_seat_pool(name, None if name == "View" else 50, default=name == "Core")
