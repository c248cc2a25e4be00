"""SCIM without I/O: strict JSON, client quirks, the protocol service, member deltas and rendering."""

from scim_bridge.protocol.clients import PRESETS, QUIRKS, ClientPreset, Quirk, preset
from scim_bridge.protocol.limits import Limits
from scim_bridge.protocol.schemas import BridgeProvider
from scim_bridge.protocol.service import BridgeService, Modification

__all__ = [
    "PRESETS",
    "QUIRKS",
    "BridgeProvider",
    "BridgeService",
    "ClientPreset",
    "Limits",
    "Modification",
    "Quirk",
    "preset",
]
