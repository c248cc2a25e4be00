"""What people can hold in the remote system of a connection, as it was last listed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

from scim_bridge.models import Entitlement
from scim_bridge.store import connector_state
from scim_bridge.store.comparison import fold
from scim_bridge.store.transaction import Transaction

KEY = "bridge:entitlements"
"""Key of the list in the connection's small store."""


_IDS = UUID("c1c5b1a2-7d0e-5a53-9f0b-5a2f5f5a7c11")


def id_of(remote_id: str) -> str:
    """Return the SCIM id of an entitlement: of one remote id always the same, also in another store."""
    return str(uuid5(_IDS, remote_id))


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The entitlements of one connection.

    :param entitlements: By remote id, in the order of their names.
    """

    entitlements: Mapping[str, Entitlement]
    _by_id: dict[str, Entitlement] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {id_of(one): each for one, each in self.entitlements.items()})

    def meant(self, text: str, *, resource_type: str = "", type_: str = "") -> list[Entitlement]:
        """Return those that a text means: the one of this id, else those of this name, without regard to case.

        An id is SCIM's or the remote system's.

        :param resource_type: Of several, those of this resource type are meant, if there are any.
        :param type_: The same of their type.
        """
        if (one := self.entitlements.get(text) or self._by_id.get(text)) is not None:
            return [one]
        found = [one for one in self.entitlements.values() if fold(one.name) == fold(text)]
        for narrower in (
            [one for one in found if one.name == text],
            [one for one in found if one.resource_type == resource_type],
            [one for one in found if fold(one.type) == fold(type_)],
        ):
            found = [one for one in found if one in narrower] or found
        return found


def load(tx: Transaction, connection_id: str) -> Catalogue | None:
    """Return the entitlements of a connection; ``None``: they were never listed."""
    text = connector_state.text(tx, connection_id, KEY)
    return None if text is None else _catalogue(text)


def save(tx: Transaction, connection_id: str, entitlements: Iterable[Entitlement], now: datetime) -> None:
    """Keep the entitlements of a connection as they were just listed."""
    listed = sorted(entitlements, key=lambda one: (fold(one.name), one.remote_id))
    connector_state.put(tx, connection_id, KEY, {"entitlements": [asdict(one) for one in listed]}, now)


@lru_cache(maxsize=64)
def _catalogue(text: str) -> Catalogue:
    listed = [Entitlement(**one) for one in json.loads(text)["entitlements"]]
    return Catalogue({one.remote_id: one for one in listed})
