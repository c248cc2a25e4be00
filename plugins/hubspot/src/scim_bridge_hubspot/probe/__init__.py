"""What a real portal does where nobody has published what HubSpot does: asked, told without personal data.

The points are those of the emulator's :class:`~scim_bridge_hubspot.emulator.Switches`. A probe makes one throw-away
person at an address that the operator gives, asks about each point with the smallest call that answers it, removes the
person, and tells which reading of each switch the portal has::

    probe = Probe(calls, Plan("throw.away@corp.example"))
    await probe.look()
    report = await probe.run()
"""

from .calls import Calls, ProbeError
from .plan import Plan
from .report import Point, Report
from .run import Hand, Probe, nobody

__all__ = ["Calls", "Hand", "Plan", "Point", "Probe", "ProbeError", "Report", "nobody"]
