"""A portal that somebody has worked in already, for demonstrations."""

from .portal import Portal

SETS = ("Sales", "Marketing", "Support", "Read Only", "Sales Manager")
"""The permission sets of the demonstration; ``Billing`` and ``Super Admin Access`` come on top."""


def seed(portal: Portal) -> None:
    """Fill a portal: two Super Admins beside the owner of the token, a few people made by hand, sets, teams, seats."""
    for name in SETS:
        portal.add_role(name)
    portal.add_role("Billing", requires_billing_write=True)
    portal.add_role("Super Admin Access", super_admin=True)
    portal.add_seat_pool("Core Seat", 100, description="Edit what the account has", default=True)
    portal.add_seat_pool("Sales Hub Professional", 20, description="Sales tools")
    portal.add_seat_pool("View-Only Seat", description="Looks, changes nothing")
    north, south = portal.add_team("Sales North"), portal.add_team("Sales South")
    portal.add_team("Support Desk")
    portal.add_person("grace.hopper@corp.example", super_admin=True, first_name="Grace", last_name="Hopper")
    if len(portal.members) >= portal.profile.max_users:
        return
    core = ["Core Seat"]
    portal.add_person("alan.turing@corp.example", super_admin=True, first_name="Alan", last_name="Turing", seats=core)
    portal.add_person(
        "mary.jackson@corp.example",
        roles=["Sales"],
        first_name="Mary",
        last_name="Jackson",
        primary_team=north,
        secondary_teams=[south],
        seats=[*core, "Sales Hub Professional"],
    )
    portal.add_person(
        "joan.clarke@corp.example", roles=["Marketing", "Read Only"], first_name="Joan", last_name="Clarke", seats=core
    )
    portal.add_person("left.behind@corp.example", roles=["Support"], first_name="Left", last_name="Behind", seats=core)
    portal.add_person("invited@corp.example", roles=["Read Only"], activated=False, seats=["View-Only Seat"])
    portal.add_person("gone@corp.example", roles=["Support"], first_name="Gone", last_name="Away", seats=core)
    portal.ui_deactivate("gone@corp.example")
