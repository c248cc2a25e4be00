"""A stateful emulator of HubSpot's user APIs, for tests, demonstrations and people who write connectors.

HubSpot can be played in every reading of what is uncertain (:class:`Switches`), on every tier (:data:`PROFILES`), and
with every fault (:class:`Faults`)::

    hubspot = HubSpotEmulator(switches=Switches(put_mode="merge"))
    sales = hubspot.add_role("Sales")
    client = httpx2.AsyncClient(transport=hubspot.transport(), base_url="https://api.hubapi.com")
    hubspot.faults.add("drop_after", method="POST")
    hubspot.snapshot()["ada@corp.example"].roles
"""

from .app import HubSpotEmulator
from .calls import Call, CallLog
from .faults import TRANSIENT, Fault, FaultKind, Faults, Rule
from .portal import OWNER_EMAIL, Portal
from .profiles import PROFILES, Profile
from .records import ALL_SCOPES, Account, Membership, Person, Role, SeatPool, Team, Token
from .switches import Switches, UnknownSwitchError

__all__ = [
    "ALL_SCOPES",
    "OWNER_EMAIL",
    "PROFILES",
    "TRANSIENT",
    "Account",
    "Call",
    "CallLog",
    "Fault",
    "FaultKind",
    "Faults",
    "HubSpotEmulator",
    "Membership",
    "Person",
    "Portal",
    "Profile",
    "Role",
    "Rule",
    "SeatPool",
    "Switches",
    "Team",
    "Token",
    "UnknownSwitchError",
]
