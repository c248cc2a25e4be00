"""Directories made by chance, in every state that a resource and a membership can be in."""

import random
from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert

from scim_bridge.models import Group, Kind, User
from scim_bridge.store import resources
from scim_bridge.store.rows import Ownership
from scim_bridge.store.tables import member
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, group, row_of, user

NAMES = ("ada", "Ada", "\uff21\uff24\uff21", "grace@x.y", 'a"b', "ä\\b", "ß", "\U0001f600")
"""Texts that a name is made of: some are one to a comparison, some need care in JSON."""


def fill(tx: Transaction, seed: int, size: int = 14) -> tuple[list[str], list[str]]:
    """Make Users, Groups and memberships; return the ids of the Users and of the Groups, deleted ones too."""
    chance = random.Random(seed)
    ids: dict[Kind, list[str]] = {"User": [], "Group": []}
    for number in range(size):
        kind: Kind = "Group" if number % 3 == 2 else "User"
        id_ = str(UUID(int=chance.getrandbits(128)))
        name = f"{chance.choice(NAMES)}{number}"
        mail = chance.choice((name, "L" * 200, "L" * 201 + "M1", f"{'L' * 250}@{number}"))
        emails = [{"value": mail}, {"value": name, "primary": True}]
        resource: User | Group = group(name)
        if kind == "User":
            resource = user(name, displayName=mail, externalId=name, emails=emails, name={"familyName": name})
        active = chance.random() < 0.7
        row = row_of(
            resource,
            id=id_,
            created_at=NOON + timedelta(microseconds=chance.choice((0, 1, 10**6, number))),
            modified_at=NOON + timedelta(seconds=number, microseconds=chance.choice((0, 5))),
            external_id=name if kind == "User" else None,
            active=active,
            shown_active=active or chance.random() < 0.5,
            deleted=chance.random() < 0.2,
            ownership=chance.choice(list(Ownership)),
            version=chance.randrange(1, 2000),
        )
        resources.insert(tx, row, resource)
        ids[kind].append(id_)
    # One of another connection, with ids and names of this one.
    other = row_of(user("ada0"), id=ids["User"][0], connection_id="other")
    resources.insert(tx, other, user("ada0"))
    for group_id in ids["Group"]:
        for user_id in ids["User"]:
            desired, observed = chance.random() < 0.5, chance.random() < 0.5
            if chance.random() < 0.7 and (desired or observed):
                which = {"connection_id": CONNECTION, "group_id": group_id, "user_id": user_id, "desired": desired}
                doubtful = observed and chance.random() < 0.4
                tx.execute(
                    insert(member),
                    which | {"observed": observed, "doubtful": doubtful, "changed_at": chance.choice((0, 1))},
                )
    return ids["User"], ids["Group"]
