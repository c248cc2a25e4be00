"""What a bridge takes from the machine."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from scim_bridge.connector import ClientFactory
from scim_bridge.desk import now
from scim_bridge.provisioning import Provisioning
from scim_bridge.provisioning.identifiers import new_id as mint
from scim_bridge.upstream import HttpClients


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a bridge takes from the machine; a simulation puts its own in place of it.

    :param http_client: Opens HTTP clients.
    :param clock: Tells the time in UTC. Durations are the event loop's.
    :param new_id: Mints resource ids.
    :param chance: Returns numbers in [0, 1), for jitter.
    :param threads: Whether the store may use threads.
    """

    http_client: ClientFactory = field(default_factory=HttpClients)
    clock: Callable[[], datetime] = now
    new_id: Callable[[], str] = mint
    chance: Callable[[], float] = random.random
    threads: bool = True

    @property
    def provisioning(self) -> Callable[..., Provisioning]:
        """What makes the provisioning of a connection, with this clock, these ids and this chance."""
        return partial(Provisioning, clock=self.clock, new_id=self.new_id, chance=self.chance)
