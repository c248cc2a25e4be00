"""From desired to observed: intake, plan, driver (DESIGN §5)."""

from scim_bridge.provisioning.policy import ProvisioningPolicy
from scim_bridge.provisioning.service import Outcome, Provisioning

__all__ = ["Outcome", "Provisioning", "ProvisioningPolicy"]
