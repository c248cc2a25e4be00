"""Simulated identity providers: real HTTP, with each vendor's order of requests, matching, retry rules and failures.

They keep what the identity provider believes and what it wants, so that the end of a history can be compared with the
remote system. Clock and chance are injected: they run on virtual time as well as on the machine's::

    okta = OktaClient(httpx2.AsyncClient(base_url=root), authorization=f"Bearer {token}")
    okta.assign(Person(id="00u1", user_name="ada@example.com", given_name="Ada", family_name="Lovelace"))
    await okta.run_until_idle()
    assert differences(okta, snapshot) == []
"""

from scim_bridge.testing.clients.comparison import (
    Difference,
    RemoteAccount,
    RemoteSnapshot,
    differences,
    snapshot_of,
)
from scim_bridge.testing.clients.cycles import Schedule
from scim_bridge.testing.clients.directory import (
    AdminTask,
    BelievedGroup,
    BelievedUser,
    Change,
    ConnectionTest,
    IdentityProvider,
    Person,
    Progress,
    PushedGroup,
)
from scim_bridge.testing.clients.entra import EntraClient
from scim_bridge.testing.clients.generic import GenericClient
from scim_bridge.testing.clients.okta import OktaClient
from scim_bridge.testing.clients.session import Clock, Exchange, RequestFailedError, SystemClock

__all__ = [
    "AdminTask",
    "BelievedGroup",
    "BelievedUser",
    "Change",
    "Clock",
    "ConnectionTest",
    "Difference",
    "EntraClient",
    "Exchange",
    "GenericClient",
    "IdentityProvider",
    "OktaClient",
    "Person",
    "Progress",
    "PushedGroup",
    "RemoteAccount",
    "RemoteSnapshot",
    "RequestFailedError",
    "Schedule",
    "SystemClock",
    "differences",
    "snapshot_of",
]
