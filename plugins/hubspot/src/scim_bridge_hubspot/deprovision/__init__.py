"""The three things that ``active=false`` can mean in HubSpot; each is reversible and verified by reading back."""

from .interface import Deprovisioning
from .remove import Removal
from .scim import ScimDeactivation
from .strip import Stripping

__all__ = ["Deprovisioning", "Removal", "ScimDeactivation", "Stripping"]
