"""The choices an operator makes for a connection that concern provisioning."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProvisioningPolicy:
    """How writes of one connection are treated.

    :param budget: Seconds within which a request is answered; Okta closes its socket at 60.
    :param idempotent_create: For how long a repeated creation with the same ``externalId`` and ``userName`` that was
        already answered is answered 201 with the same id; zero answers 409. An unanswered one is always repeated calmly.
    :param duplicate_group_names: Whether two groups may share a displayName.
    :param unknown_members: ``drop`` them with a warning, or ``refuse`` the request.
    :param delete_unowned: What DELETE does to an account that no client has written: ``refuse``, ``deactivate`` or
        ``delete``.
    :param deferrable_additions: From how many affected people on a group write may be answered before its *additions* are
        confirmed, once its removals are.
    :param outage_retry_after: Whole seconds told to a client while the remote system is down. Okta doubles from the first
        value, at most ten times: 60 survives an outage of 17 hours.
    :param concurrency: Resources that are worked on at the same time; two more are kept for removals.
    """

    budget: float = 25.0
    idempotent_create: timedelta = timedelta(minutes=5)
    duplicate_group_names: bool = False
    unknown_members: Literal["drop", "refuse"] = "drop"
    delete_unowned: Literal["refuse", "deactivate", "delete"] = "refuse"
    deferrable_additions: int = 20
    outage_retry_after: int = 60
    concurrency: int = 8
