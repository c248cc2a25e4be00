"""The choices an operator makes for a connection that concern provisioning."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Budget:
    """How many changes of a kind are usual.

    :param floor: This many in a window are never held.
    :param share: Nor is this share of the connection's Users, where that is more.
    :param window: How long a change counts.
    """

    floor: int = 25
    share: float = 0.2
    window: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What a rightful client may not do by itself.

    A group is meant by its displayName, and from the moment it is renamed by its id as well: a new name takes no group
    out of the guard.

    :param protected: userNames of accounts that are never changed.
    :param keep_holder: displayNames of groups that never lose their last active member.
    :param privileged: displayNames of groups whose grants are counted.
    :param removals: The usual number of removals; more are held for an operator. ``None`` holds none.
    :param removals_of_a_day: The same over a day, so that nobody empties a directory in small portions.
    :param grants: The same of privileged grants.
    :param hold: After how long something held is released unless it was rejected.
    """

    protected: frozenset[str] = frozenset()
    keep_holder: frozenset[str] = frozenset()
    privileged: frozenset[str] = frozenset()
    removals: Budget | None = field(default_factory=Budget)
    removals_of_a_day: Budget | None = field(
        default_factory=lambda: Budget(floor=100, share=0.4, window=timedelta(days=1))
    )
    grants: Budget | None = field(default_factory=lambda: Budget(floor=5, share=0.0))
    hold: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watch:
    """From when on an operator is told of something that lasts.

    :param removal: How long a removal may take.
    :param token: How long before its end one is told of a token.
    :param disk_free: Which share of the database's disk is to be free.
    """

    removal: timedelta = timedelta(minutes=15)
    token: timedelta = timedelta(days=14)
    disk_free: float = 0.1


USUAL = Watch()
"""What is watched when nothing is configured."""


@dataclass(frozen=True, slots=True)
class ProvisioningPolicy:
    """How writes of one connection are treated.

    :param budget: Seconds within which a request is answered; Okta closes its socket at 60.
    :param idempotent_create: For how long a repeated creation with the same ``externalId`` and ``userName`` that was
        already answered, and says the same, is answered 201 with the same id; zero answers 409. An unanswered one is
        always repeated calmly.
    :param duplicate_group_names: Whether two groups may share a displayName.
    :param unknown_members: ``drop`` them with a warning, or ``refuse`` the request.
    :param nested_groups: ``refuse`` a request that puts a group into a group, or ``drop`` such members with a warning.
    :param assign: Whether what a person holds is asked for by the members of groups, by the person's ``roles`` and
        ``entitlements``, or by both.
    :param unknown_roles: ``refuse`` a write that asks for a role which does not exist, or ``drop`` the role.
    :param role_attribute: A further attribute of a User that names one role (``title``); Python name.
    :param unmanaged_members: Whether members whom no client manages and whom a write does not name ``keep`` the group
        when its whole list is replaced or it is deleted, or ``remove`` them.
    :param delete_unowned: What DELETE does to an account or group that no client has written: ``refuse``,
        ``deactivate`` (of a group: refuse) or ``delete``.
    :param deferrable_additions: From how many affected people on a group write may be answered before its *additions*
        are confirmed, once its removals are.
    :param outage_retry_after: Whole seconds told to a client while the remote system is down. Okta doubles from the
        first value, at most ten times: 60 survives an outage of 17 hours.
    :param guard: What a rightful client may not do by itself.
    :param apart: The connections that must not have the same remote system.
    :param concurrency: Resources that are worked on at the same time; two more are kept for removals.
    """

    budget: float = 25.0
    idempotent_create: timedelta = timedelta(0)
    duplicate_group_names: bool = False
    unknown_members: Literal["drop", "refuse"] = "drop"
    nested_groups: Literal["refuse", "drop"] = "refuse"
    unmanaged_members: Literal["keep", "remove"] = "keep"
    delete_unowned: Literal["refuse", "deactivate", "delete"] = "refuse"
    assign: Literal["groups", "roles", "both"] = "groups"
    unknown_roles: Literal["refuse", "drop"] = "refuse"
    role_attribute: str | None = None
    deferrable_additions: int = 20
    outage_retry_after: int = 60
    apart: frozenset[str] = frozenset()
    concurrency: int = 8
    guard: GuardPolicy = field(default_factory=GuardPolicy)
