"""Fills a store with people and with work, as the server would, but in large transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from scim_bridge.models import User
from scim_bridge.provisioning.users import UserIntake
from scim_bridge.store import resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Observed, Ownership, State
from scim_bridge.store.transaction import Transaction

BATCH = 500


async def commit_creations(store: Store, intake: UserIntake, names: Sequence[str]) -> None:
    """Commit a creation for each name."""

    def create(tx: Transaction, batch: Sequence[str]) -> None:
        for name in batch:
            intake.create(tx, User(user_name=name, active=True))

    for begin in range(0, len(names), BATCH):
        await store.write(partial(create, batch=names[begin : begin + BATCH]))


async def commit_settled(store: Store, intake: UserIntake, remote_ids: Mapping[str, str]) -> dict[str, str]:
    """Make people as if they had been provisioned long ago; return their ``id`` by userName.

    :param remote_ids: HubSpot's id of each by userName.
    """
    made: dict[str, str] = {}

    def settle(tx: Transaction) -> None:
        for name, remote_id in remote_ids.items():
            row = intake.create(tx, User(user_name=name, active=True)).row
            observed = Observed(present=True, active=True, attributes={"userName": name})
            resources.save(
                tx,
                replace(
                    row,
                    observed=observed,
                    remote_id=remote_id,
                    observed_generation=row.generation,
                    state=State.SETTLED,
                    answered=True,
                    ownership=Ownership.CREATED,
                ),
            )
            made[name] = row.id

    await store.write(settle)
    return made


def left(user: User) -> User:
    """Return somebody who has left."""
    user.active = False
    return user
