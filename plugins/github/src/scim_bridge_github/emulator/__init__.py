"""A stateful emulator of the parts of GitHub's REST API that the connector uses, for tests and for a first look.

::

    github = GitHubEmulator(switches=Switches(accepts="by_hand"))
    github.person("octocat")
    client = httpx2.AsyncClient(transport=github.transport(), base_url="https://api.github.com")
    github.accept("octocat")
    github.snapshot()
"""

from .app import GitHubEmulator
from .organization import Organization, Person, Switches, Team

__all__ = ["GitHubEmulator", "Organization", "Person", "Switches", "Team"]
