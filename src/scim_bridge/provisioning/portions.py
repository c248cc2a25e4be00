"""How many members one call is given, where the remote system keeps them on the group.

Some systems take one request a member: what they can do before a call's deadline is for them to show. So a call that
came to no end is followed by one about half as many, and one that did by one about twice as many.
"""

from scim_bridge.errors import (
    ConnectorError,
    RemoteRateLimitedError,
    RemoteSuspendedError,
    RemoteUnavailableError,
)
from scim_bridge.provisioning.situation import Situation

NOT_OF_THE_MEMBERS = (RemoteRateLimitedError, RemoteSuspendedError)
"""Failures that say nothing about how many members a call was given, or which."""


class Portions:
    """The portions of one connection's calls about members.

    :param most: How many members the connector takes at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most
        self._behind: dict[str, set[str]] = {}
        """Members whose call failed though it was about them alone, by group: the others go first."""

    def cut(self, situation: Situation) -> Situation:
        """Return the same, about as many members as the next call is given."""
        if not situation.portion:
            self._behind.pop(situation.row.id, None)
            return situation
        first = situation.portion - self._behind.get(situation.row.id, set()) or situation.portion
        return situation.of_members(frozenset(sorted(first)[: self.size]))

    def done(self, situation: Situation) -> None:
        """Take note that a call about members came to its end."""
        if situation.portion:
            self.size = min(self.most, max(self.size, 2 * len(situation.portion)))
            self._behind.get(situation.row.id, set()).difference_update(situation.portion)

    def failed(self, situation: Situation, error: ConnectorError) -> None:
        """Take note that one did not."""
        members = situation.portion
        if not isinstance(error, RemoteUnavailableError) or isinstance(error, NOT_OF_THE_MEMBERS):
            return
        if len(members) > 1:
            self.size = max(1, len(members) // 2)
        elif members:
            self._behind.setdefault(situation.row.id, set()).update(members)
