"""Lives of configured HubSpot connections, with defects that may be planted: ``python -m tests.faults.configured``."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from plugins.hubspot.tests.configured.lives import main
from scim_bridge.errors import RemoteNotFoundError
from scim_bridge_hubspot import config
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.bindings import Bindings
from scim_bridge_hubspot.given import NOTHING, Given, Grant, Remembered
from scim_bridge_hubspot.inventory import InventoryReader
from scim_bridge_hubspot.mapping import Mapper, Resolution
from scim_bridge_hubspot.records import AccountRecords
from scim_bridge_hubspot.wire import Assignment, PublicUser
from tests.faults.defects import Defects, listed_in, plant

DEFECTS: Defects = {}
"""Each defect by its name; calling it plants it in this process."""

FIRST = {"removals_wait_for_a_seat": 120}
"""From which life on some of them are found soon; the others are from the beginning."""

defect = listed_in(DEFECTS)


@defect
def an_unknown_set_of_stripped_people_ends_all_groups() -> None:
    """Ours: a set of stripped people that was renamed is taken for "this group is gone", of every group."""
    original = Mapper.grant_of

    def grant_of(self: Mapper, remote_id: str) -> Grant:
        if self.config.strip and self.stripped_role is None:
            raise RemoteNotFoundError("gone")
        return original(self, remote_id)

    plant(Mapper, "grant_of", grant_of)


@defect
def one_broken_entry_stops_the_rest() -> None:
    """Ours: an alias that names something renamed stops every write of the connection."""
    original = Mapper.refuse_incomplete

    def refuse_incomplete(self: Mapper, groups: Iterable[str]) -> None:
        original(self, [*groups, *(f"alias:{name}" for name in self.config.groups)])

    plant(Mapper, "refuse_incomplete", refuse_incomplete)


@defect
def rules_of_grants_hold_removals() -> None:
    """Ours: whoever leaves a group keeps its set while the next one must not be given."""
    original = Mapper.resolve

    def resolve(
        self: Mapper,
        groups: Iterable[str],
        held: Assignment,
        *,
        asked: Collection[str] = (),
        given: Mapping[str, Given] = NOTHING,
    ) -> Resolution:
        known = list(groups)
        return original(self, known, held, asked=known, given=given)

    plant(Mapper, "resolve", resolve)


@defect
def the_answer_is_built_and_not_read() -> None:
    """Ours: who was deactivated by hand is said to be active again after stripping."""

    async def refuse_deactivated(self: Accounts, user: PublicUser) -> None:
        return None

    plant(Accounts, "refuse_deactivated", refuse_deactivated)


@defect
def contradictions_are_accepted() -> None:
    """Ours: a configuration may contradict itself."""
    vars(config)["contradictions"] = lambda _config: iter(())


@defect
def what_is_gone_takes_the_rest_along() -> None:
    """Ours: who returns loses every team and seat when one of them was deleted."""

    async def left_of(self: InventoryReader, held: Assignment) -> Assignment:
        return held

    plant(InventoryReader, "left_of", left_of)


@defect
def unknown_seats_are_sent() -> None:
    """Ours: a seat that was renamed is written by its old name, also when something is taken away."""
    original = Bindings.id

    def of(self: Bindings, entry: str, name: str | None) -> str | None:
        found = original(self, entry, name)
        return name if found is None and entry.rpartition(".")[2] in {"seat", "seats", "fallback_seat"} else found

    plant(Bindings, "id", of)


@defect
def removals_wait_for_a_seat() -> None:
    """Ours: whoever leaves a group keeps what it gave while the seat that they would be left with is sold out."""

    async def assign_unsold(
        self: Accounts, user: PublicUser, resolution: Resolution, _mapper: Mapper, **_: object
    ) -> PublicUser:
        return await self.assign(user, resolution.assignment, asked=resolution.roles)

    plant(Accounts, "_assign_unsold", assign_unsold)


@defect
def the_seat_that_is_held_is_named() -> None:
    """Ours: when no seat is free, another one than that which is wanted is said to be sold out."""
    original = InventoryReader.seats_told

    async def told(self: InventoryReader, wanted: Assignment) -> str:
        others = frozenset(seat.name for seat in await self._client.seats()) - (wanted.seat_names or frozenset())
        return await original(self, replace(wanted, seat_names=others))

    plant(InventoryReader, "seats_told", told)


@defect
def what_was_held_is_noted_anew() -> None:
    """Ours: whoever is inactive already, and is ended in another way, loses what is remembered of them."""
    original = AccountRecords.bury

    async def bury(
        self: AccountRecords, user: PublicUser, external_id: str | None, stripped_to: str | None = None
    ) -> None:
        await self.unbury(user.id)
        await original(self, user, external_id, stripped_to)

    plant(AccountRecords, "bury", bury)


@defect
def forgotten_with_the_configuration() -> None:
    """Ours: what a group gave is known from the configuration alone, and stays when that gives it no more."""
    original = AccountRecords.remembered

    async def remembered(self: AccountRecords, remote_id: str) -> Remembered:
        return replace(await original(self, remote_id), given=NOTHING)

    plant(AccountRecords, "remembered", remembered)


if __name__ == "__main__":
    main("tests.faults.configured", DEFECTS)
