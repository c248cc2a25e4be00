"""What the machinery needs to know of a remote system; a plugin's tests say it of theirs."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

import httpx2


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account holds at one moment.

    :param privileges: Names of the groups whose effect it has.
    :param attributes: Values by SCIM attribute path, those that are comparable.
    """

    active: bool
    privileges: frozenset[str] = frozenset()
    attributes: tuple[tuple[str, str], ...] = ()


NOTHING = Holding(active=False)
"""What somebody holds who has no account."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A call that reached the remote system.

    :param subject: The userName it was about, folded; empty when it was about nobody in particular.
    :param kind: ``create``, ``write``, ``remove`` or ``read``.
    :param committed: Whether something was written.
    :param status: What was answered; ``None``: nothing.
    :param limited: Whether the remote system's own limit refused it.
    :param before: What the subject held before it.
    :param after: What the subject held after it.
    :param budget: Whose limit it counts against, as :meth:`RemoteWorld.budget_of` names it.
    """

    subject: str
    kind: Literal["create", "write", "remove", "read"]
    committed: bool
    status: int | None
    limited: bool
    before: Holding
    after: Holding
    budget: str = ""

    @property
    def grants(self) -> bool:
        """Whether it gave something."""
        return (self.after.active and not self.before.active) or bool(self.after.privileges - self.before.privileges)


class RemoteWorld(Protocol):
    """A remote system and what can happen to it.

    :param connector: The connector type that speaks to it.
    :param settings: The connector's settings.
    :param groups: Names of groups that an identity provider may push.
    :param limit: The most calls in a rolling window, and its seconds; ``None``: none worth checking.
    :param faults: What can go wrong, by name; each call arranges one.
    :param changes: What people can do by hand to somebody, by name; each returns whether it could be done.
    :param untouched: userNames that the bridge must never write.
    :param watch: Called with each effect.
    """

    connector: str
    settings: Mapping[str, Any]
    groups: Collection[str]
    limit: tuple[int, float] | None
    faults: Mapping[str, Callable[[Random], None]]
    changes: Mapping[str, Callable[[Random, str], bool]]
    untouched: Collection[str]
    watch: Callable[[Effect], None]

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the way to it."""

    def fired(self) -> Counter[str]:
        """Return how often each fault struck."""

    def heal(self) -> None:
        """End all faults."""

    def holding(self, user_name: str) -> Holding:
        """Return what somebody holds."""

    def come_to(self, groups: Collection[str]) -> frozenset[str]:
        """Return the privileges that membership of these groups comes to."""

    def subject_of(self, request: httpx2.Request) -> str:
        """Return the userName that a call is about, folded; empty when it is about nobody in particular."""

    def budget_of(self, request: httpx2.Request) -> str:
        """Return whose limit a call counts against, by any name; empty for the one that :attr:`limit` tells."""
