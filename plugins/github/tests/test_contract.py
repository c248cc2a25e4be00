"""The bridge's own contract for connectors, on an organisation whose people accept at once."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from scim_bridge.connector import Connector
from scim_bridge.errors import RemoteCredentialsError, RemoteMisroutedError
from scim_bridge.hookspecs import HOOKS
from scim_bridge.models import User
from scim_bridge.testing.connector_contract import ConnectorContract, HttpRemote, RemoteFault
from scim_bridge.testing.contract_rules.accounts import ConvergenceRules, IdentityRules
from scim_bridge.testing.contract_rules.bench import ContractFixtures
from scim_bridge.testing.contract_rules.lifecycle import LifecycleRules, ListingRules
from scim_bridge_github.connector import GitHubConnector
from scim_bridge_github.emulator import GitHubEmulator, Switches


def own_error(status: int, message: str) -> dict[str, Any]:
    """Return an error in GitHub's form."""
    return {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}


class GitHubFixtures(ContractFixtures):
    """People who can be invited are those that GitHub knows: the numbers of the kit are there."""

    accepts = "at_once"
    required_operations = HOOKS - {"delete_user", "finish_user", "set_user_groups", "schemas"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return GitHubConnector

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Say where it is."""
        return {"organization": "acme", "token": GitHubEmulator.token, "invitations_per_minute": 1000}

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh one."""
        github = GitHubEmulator(switches=Switches().changed([f"accepts={self.accepts}"]))
        for number in range(self.crowd):
            github.person(f"contract-{number}")
        github.person("Sample-one")
        github.person("sample-two")
        self.github = github
        return HttpRemote(github.transport(), own_error=own_error)

    def truth(self, remote_id: str) -> bool | None:
        """Look into the organisation."""
        member = self.github.members.get(int(remote_id))
        return member is not None and member.invited_at is None

    def make_user(self, number: int) -> User:
        """Return somebody whom GitHub knows."""
        return User(user_name=f"contract-{number}", active=True)

    def samples(self, path: str) -> tuple[Any, Any]:
        """Return two logins."""
        return "Sample-one", "sample-two"


class TestGitHub(GitHubFixtures, ConnectorContract):
    """Everything."""

    fault_errors: ClassVar = {  # GitHub hides by 404: when it hides the token's own user as well, it tells of nobody
        RemoteFault.NOT_FOUND: (RemoteCredentialsError, RemoteMisroutedError)
    }


class TestInvited(GitHubFixtures, IdentityRules, ConvergenceRules, LifecycleRules, ListingRules):
    """The same of people who have not accepted."""

    accepts = "by_hand"
