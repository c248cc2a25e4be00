"""The conformance kit of connectors: inherit :class:`ConnectorContract`, give two fixtures, run pytest.

::

    class TestAcme(ConnectorContract):
        @pytest.fixture
        def connector_type(self):
            return AcmeConnector

        @pytest.fixture
        def settings(self):
            return {"token": "t"}

        @pytest.fixture
        def remote(self):  # optional: without it, rules about failures are skipped
            return httpx2.MockTransport(AcmeEmulator())

Each test is one rule, named as the rule. A rule about a hook that the connector does not implement is skipped with the
reason, unless ``required_operations`` names the hook. A run ends with the list of operations it checked.
"""

import pytest

# Before the rules are imported: their assertions then show what was compared.
pytest.register_assert_rewrite("scim_bridge.testing.contract_rules")

from scim_bridge.testing.contract_remote import ContractRemote, HttpRemote, RemoteFault  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.accounts import ConvergenceRules, HonestyRules, IdentityRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.candour import CandourRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.definition import DefinitionRules, IsolationRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.entitlements import EntitlementRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.faults import FaultRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.identification import IdentificationRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.lifecycle import LifecycleRules, ListingRules  # noqa: E402 - as above
from scim_bridge.testing.contract_rules.membership import GroupRules, MembershipRules  # noqa: E402 - as above

__all__ = ["ConnectorContract", "ContractRemote", "HttpRemote", "RemoteFault"]


class ConnectorContract(
    DefinitionRules,
    IsolationRules,
    IdentificationRules,
    IdentityRules,
    HonestyRules,
    ConvergenceRules,
    CandourRules,
    LifecycleRules,
    ListingRules,
    GroupRules,
    MembershipRules,
    EntitlementRules,
    FaultRules,
):
    """Everything that the bridge relies on in a connector, as tests to inherit.

    Fixtures to give: ``connector_type``, ``settings``, and ``remote`` where the remote system can be made to fail: an
    httpx2 transport, transports by the beginning of the base URL, an :class:`HttpRemote` around either, or a
    :class:`ContractRemote` for what does not speak HTTP. A ``remote`` must be fresh for each test.

    To override where the remote system is particular: ``other_settings``, ``make_user``, ``samples``, ``truth``,
    ``two_groups``, ``unknown_id``, ``fault_errors``, ``loop_factory``, ``required_operations``.
    """
