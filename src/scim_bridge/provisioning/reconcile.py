"""Comparing everything: what the remote system shows against what is desired, page by page.

What differs is drift. Drift that gives somebody more than they should have is a matter of security and is always
repaired; the rest by policy. Accounts that no client owns are taken into the store and left as they are.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from scim_bridge.errors import (
    OperationNotSupportedError,
    RemoteNotFoundError,
)
from scim_bridge.models import Group, Kind, Lane, Remote, User
from scim_bridge.provisioning import observing
from scim_bridge.provisioning.drift import SECURITY, Comparison, Drift, DriftClass, keep, last
from scim_bridge.provisioning.journal import actor, record
from scim_bridge.provisioning.listings import LISTINGS, PAGE, Listings
from scim_bridge.provisioning.observation import Observation, follow_loss, holding, unnamed_of
from scim_bridge.provisioning.plan import Desired, Seen, differing, same
from scim_bridge.provisioning.roster import Rosters, comparable
from scim_bridge.provisioning.service import Provisioning
from scim_bridge.provisioning.situation import groups_seen, observed_of, rearmed, situation_of
from scim_bridge.store import audit, entitlements, resources
from scim_bridge.store.rows import Observed, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.upstream.lanes import lane as current_lane

T = TypeVar("T")

COMPARED = frozenset({State.SETTLED, State.BLOCKED})
"""States in which nothing is on its way, so that a difference is drift."""


class Reconciler:
    """Compares one connection, once it is sure that the remote system is the right one: with another one it only tells.

    :param provisioning: The writes of the connection; its driver repairs what is found.
    :param attribute_drift: ``enforce`` what is desired, or ``report`` the difference and leave it.
    :param missing_accounts: The same of accounts that are not there, or inactive: somebody may have been removed by
        hand for a reason, or have left since the backup that was restored.
    """

    def __init__(
        self,
        provisioning: Provisioning,
        *,
        attribute_drift: Literal["enforce", "report"] = "enforce",
        missing_accounts: Literal["enforce", "report"] = "report",
    ) -> None:
        self.connection_id, self.store = provisioning.connection_id, provisioning.store
        self.connector, self.capabilities = provisioning.connector, provisioning.capabilities
        self.discovery, self.identification = provisioning.discovery, provisioning.identification
        self.clock, self.wake = provisioning.clock, provisioning.driver.wake
        self.attribute_drift = attribute_drift
        self.missing_accounts = missing_accounts
        self._is_first = True
        """Whether the connection is compared for the first time: then all that is listed is new, and believed."""
        self._not_ours: set[str] = set()
        """Remote ids of groups that accounts hold and that the connector does not show: not ours to take away."""
        self._in_the_way: set[str] = set()
        """What had the name of another account or group that was found."""
        self._left_alone: set[str] = set()
        """What was in the way last time: nothing of it is tried again, so that it rests and gives its name up."""
        self._plans = False
        """Whether what is pending is not on its way: the connection plans."""
        self.listings = Listings(self.connection_id, self.store, self.connector, clock=self.clock)
        self.rosters = Rosters(self.connection_id, self.store, self.connector, clock=self.clock)
        self.observation = Observation(self.connection_id, self.capabilities, clock=self.clock)
        self.logger = logging.getLogger(f"scim_bridge.reconcile.{self.connection_id}")

    async def run(self, *, apply: bool = True, progress: Callable[[int], None] | None = None) -> Comparison:
        """Compare everything, groups first: the groups of an account are known by then.

        :param apply: Take over what is new and hand drift to the driver; else only tell.
        :param progress: Called with the number of accounts and groups compared so far.
        """
        current_lane.set(Lane.READ)
        actor.set("reconcile")
        right = await self.identification.confirmed()
        observes = await self.store.read(partial(observing.current, connection_id=self.connection_id))
        self._plans = observes is not None and observes.plans
        if apply and (not right or (observes is not None and not self._plans)):
            self.logger.warning("the connection observes: what differs is told and left")
            apply = False
        comparison = Comparison()
        before = await self.store.read(partial(last, connection_id=self.connection_id))
        self._is_first = before is None or not before.applied
        self._not_ours.clear()
        self._left_alone, self._in_the_way = self._in_the_way - self._left_alone, set()
        seen: dict[Kind, set[str]] = {"Group": set(), "User": set()}
        for kind in LISTINGS:
            async for page, read_at in self.listings.pages(kind, apply=apply):
                for remote in page.items:
                    seen[kind].add(remote.remote_id)
                    await self._compare(kind, remote, read_at, comparison, apply=apply)
                comparison.compared += len(page.items)
                if progress is not None:
                    progress(comparison.compared)
            if kind == "Group" and apply:
                await self._list_entitlements()
            if LISTINGS[kind] in self.connector.operations:
                await self._look_for_missing(kind, seen[kind], comparison, apply=apply)
        await self._compare_members(comparison, apply=apply)
        comparison.complete = True
        await self._write(lambda tx: keep(tx, self.connection_id, comparison, applied=apply, now=self.clock()))
        if comparison.drifts and apply:
            self.wake()
        for one in comparison.security:
            self.logger.error("security drift: %s of %s %s", one.drift, one.kind, one.resource_id)
        if missing := comparison.missing_accounts:
            self.logger.error("%d accounts are missing, and are not made again unasked", len(missing))
        return comparison

    async def _list_entitlements(self) -> None:
        """Keep what people can hold, for clients to read; what people hold is told of each account."""
        if "list_entitlements" in self.connector.operations:
            listed = await self.listings.in_turn(self.connector.list_entitlements)
            await self.store.write(lambda tx: entitlements.save(tx, self.connection_id, listed, self.clock()))

    async def _compare_members(self, comparison: Comparison, *, apply: bool) -> None:
        """Compare who is in each group, where members are listed there."""
        mend = self.attribute_drift == "enforce"
        async for one in self.rosters.differences(apply=apply, repair_missing=apply and mend):
            for drift, subject, repaired in (
                (DriftClass.EXTRA_PRIVILEGE, one.extra, apply),
                (DriftClass.MISSING, one.lacking, apply and mend),
            ):
                if subject:
                    group = one.group
                    found = Drift(drift, "Group", group.id, str(group.remote_id), subject, repaired=repaired)
                    comparison.drifts.append(found)

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        def alone(tx: Transaction) -> T:
            audit.serialise(tx, self.connection_id)
            return work(tx)

        return await self.store.write(alone)

    # -- One account or group --------------------------------------------------------------------------------------

    async def _compare(
        self,
        kind: Kind,
        remote: Remote[User] | Remote[Group],
        read_at: datetime,
        comparison: Comparison,
        *,
        apply: bool,
    ) -> None:
        row = await self.store.read(lambda tx: self.discovery.known(tx, kind, remote))
        if row is None:
            if apply and kind == "User" and not self._is_first:
                # Listings lag: who was removed by hand, and then deleted, would be taken in with all that they had.
                read_at = self.clock()
                try:
                    remote = await self.listings.read(kind, remote.remote_id)
                except RemoteNotFoundError:
                    return
            if apply:
                row = await self._write(lambda tx: self.discovery.take(tx, kind, remote, asked=read_at))
                in_the_way = partial(self.discovery.in_the_way, kind=kind, remote=remote)
                if row is None and (other := await self.store.read(in_the_way)) is not None:
                    comparison.displaced += 1
                    self._in_the_way.add(other.id)
            id_, taken = ("", False) if row is None else (row.id, True)
            comparison.drifts.append(Drift(DriftClass.UNMANAGED, kind, id_, remote.remote_id, repaired=taken))
        elif row.ownership is Ownership.DISCOVERED:
            if apply:
                discovered = row
                await self._write(lambda tx: self.discovery.refresh(tx, discovered, remote, asked=read_at))
        else:
            await self._compare_owned(row, remote, read_at, comparison, apply=apply)

    async def _compare_owned(
        self,
        row: ResourceRow,
        remote: Remote[User] | Remote[Group],
        read_at: datetime,
        comparison: Comparison,
        *,
        apply: bool,
    ) -> None:
        if apply and self._is_planned(row):
            await self._write(lambda tx: self._note(tx, row, remote))
        # A time that has not come yet is of before the clock was set back.
        if row.state not in COMPARED or read_at <= row.modified_at <= self.clock():
            return
        drifts = await self.store.read(lambda tx: self._drifts(tx, row, remote))
        if not drifts:
            if apply and (
                row.missing or row.is_invited != remote.invited
            ):  # it is there again, or who was invited came
                await self._write(lambda tx: self._rearm(tx, row, remote, Lane.UPDATE, []))
                self.wake()
            elif apply and await self._write(lambda tx: self._try_deferred(tx, row, remote)):
                self.wake()
            elif apply and self._noted(row, remote) != row:
                await self._write(lambda tx: self._note_shown(tx, row, remote))
            return
        if row.kind == "User":
            # Listings lag: HubSpot still lists an account seconds after its removal. A direct read is believed.
            await self._confirm(row, remote.remote_id, comparison, apply=apply)
            return
        await self._hand_over(row, remote, drifts, comparison, apply=apply)

    def _is_planned(self, row: ResourceRow) -> bool:
        """Whether a change waits for the connection to go live: somebody may make it true by hand meanwhile."""
        return self._plans and row.state is State.PENDING

    def _note(self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group] | None) -> None:
        """Note what is there of something planned. It is looked at again before that is relied on."""
        fresh = resources.get(tx, self.connection_id, row.kind, row.id, lock=True, deleted=True)
        if fresh != row or (remote is not None and row.remote_id not in {None, remote.remote_id}):
            return
        seen = self.observation.vanished(tx, fresh) if remote is None else self.observation.present(tx, fresh, remote)
        if seen != fresh:
            resources.save(tx, replace(seen, ambiguous=True))

    def _try_deferred(self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group]) -> bool:
        """Let the driver try again what the remote system did not take when it was written, if it still differs.

        Nothing is written to somebody who is out.
        """
        if row.id in self._left_alone:
            return False
        fresh = resources.get(tx, self.connection_id, row.kind, row.id, lock=True)
        if fresh is None or not fresh.active or fresh.observed is None or not fresh.observed.deferred:
            return False
        observed = observed_of(remote, self.capabilities.attributes(row.kind), fresh.observed)
        # That an account keeps another userName than the client's was told once, and is so.
        kept = {"userName"}.intersection(fresh.observed.deferred) if fresh.observed.called else frozenset[str]()
        seen = Seen(attributes=observed.attributes, deferred=frozenset(kept))
        different = differing(situation_of(tx, fresh, self.capabilities).desired, seen)
        if not different or fresh.generation != row.generation or fresh.state is not State.SETTLED:
            return False
        tried = replace(fresh, observed=replace(fresh.observed, deferred=tuple(kept)))
        resources.save(tx, rearmed(tried, Lane.UPDATE))
        return True

    def _noted(self, row: ResourceRow, remote: Remote[User] | Remote[Group]) -> ResourceRow:
        """Return a row with what is shown of it that differs in nothing that is the bridge's to mend.

        That is what a person holds, and that a value is not rewritten any more.
        """
        row, before = holding(row, remote), row.observed
        if before is None or not before.rewritten:
            return row
        seen = observed_of(remote, self.capabilities.attributes(row.kind), before)
        return replace(row, observed=replace(row.observed or before, rewritten=seen.rewritten))

    def _note_shown(self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group]) -> None:
        fresh = self._fresh(tx, row, lock=True)
        if fresh is not None:
            resources.save(tx, self._noted(fresh, remote))

    async def _confirm(self, row: ResourceRow, remote_id: str, comparison: Comparison, *, apply: bool) -> None:
        """Read one account or group directly and act on what that shows."""
        try:
            remote = await self.listings.read(row.kind, remote_id)
        except RemoteNotFoundError:
            if row.active and await self.store.read(lambda tx: self._fresh(tx, row) is not None):
                await self._hand_over(row, None, {DriftClass.MISSING: ()}, comparison, apply=apply)
            return
        await self._look_up_groups(remote, apply=apply)
        drifts = await self.store.read(lambda tx: self._drifts(tx, row, remote))
        drifts = await self._without_shadowed(row, drifts)
        drifts = await self._without_lost(row, drifts, comparison, apply=apply)
        if drifts:
            await self._hand_over(row, remote, drifts, comparison, apply=apply)

    async def _look_up_groups(self, remote: Remote[User] | Remote[Group], *, apply: bool) -> None:
        """Take over groups that an account holds and that the store does not know: they were made during the listing.

        A group that the connector does not show either is none of those it manages, and is left to who does.
        """
        for remote_id in sorted((groups_seen(remote.resource) or frozenset()) - self._not_ours):
            find = partial(
                resources.find_by_remote_id, connection_id=self.connection_id, kind="Group", remote_id=remote_id
            )
            if await self.store.read(find) is not None:
                continue
            asked = self.clock()
            try:
                group = await self.connector.get_group(remote_id)
            except (RemoteNotFoundError, OperationNotSupportedError):
                self._not_ours.add(remote_id)
                continue
            if apply:
                await self._write(partial(self.discovery.take, kind="Group", remote=group, asked=asked))

    async def _without_shadowed(
        self, row: ResourceRow, drifts: dict[DriftClass, tuple[str, ...]]
    ) -> dict[DriftClass, tuple[str, ...]]:
        """Leave out groups that an account lacks only because another one takes precedence: that is as it should be."""
        lacking = drifts.get(DriftClass.MISSING, ())
        if not lacking or "explain_user" not in self.connector.operations:
            return drifts
        situation = await self.store.read(lambda tx: situation_of(tx, row, self.capabilities))
        groups = sorted(situation.desired.links)
        explanation = await self.connector.explain_user(str(row.remote_id), situation.user(), groups)
        missing = tuple(group for group in lacking if group not in explanation.shadowed)
        others = {one: subject for one, subject in drifts.items() if one is not DriftClass.MISSING}
        return others | ({DriftClass.MISSING: missing} if missing else {})

    async def _without_lost(
        self,
        row: ResourceRow,
        drifts: dict[DriftClass, tuple[str, ...]],
        comparison: Comparison,
        *,
        apply: bool,
    ) -> dict[DriftClass, tuple[str, ...]]:
        """Tell, take over and leave out that an account lacks groups into which no client has put the person."""
        lacking = drifts.get(DriftClass.MISSING, ())
        unnamed = partial(unnamed_of, connection_id=self.connection_id, user_id=row.id, remote_ids=lacking)
        lost = await self.store.read(unnamed) if lacking else []
        if not lost:
            return drifts
        if apply:
            await self._write(lambda tx: self._follow_loss(tx, row, lacking))
        gone = {str(group.remote_id) for group in lost}
        comparison.drifts.append(Drift(DriftClass.MISSING, "User", row.id, str(row.remote_id), tuple(sorted(gone))))
        others = {one: subject for one, subject in drifts.items() if one is not DriftClass.MISSING}
        missing = tuple(group for group in lacking if group not in gone)
        return others | ({DriftClass.MISSING: missing} if missing else {})

    def _follow_loss(self, tx: Transaction, row: ResourceRow, remote_ids: Collection[str]) -> None:
        fresh = self._fresh(tx, row, lock=True)
        if fresh is not None:
            follow_loss(tx, self.connection_id, row.id, remote_ids)
            record(tx, fresh, "drift", now=self.clock(), drift=[DriftClass.MISSING])

    def _drifts(
        self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group]
    ) -> dict[DriftClass, tuple[str, ...]]:
        """Return what differs, by class, with the subjects; nothing of what was written meanwhile."""
        if self._fresh(tx, row) is None:
            return {}
        found = self._all_drifts(tx, row, remote)
        if row.remote_id is None and row.kind == "Group":
            return {DriftClass.MISSING: ()}
        if row.state is State.BLOCKED:  # what was refused waits for its client; who is there, and in what, does not
            found.pop(DriftClass.ATTRIBUTE, None)
        return found

    def _all_drifts(
        self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group]
    ) -> dict[DriftClass, tuple[str, ...]]:
        desired = situation_of(tx, row, self.capabilities).desired
        observed = observed_of(remote, self.capabilities.attributes(row.kind), row.observed)
        if not desired.active:
            may_act = row.kind == "User" and (observed.active or observed.invited)
            return {DriftClass.EXTRA_ACTIVE: ()} if may_act else {}
        if not observed.active:
            return {} if observed.invited else {DriftClass.MISSING: ()}
        found: dict[DriftClass, tuple[str, ...]] = {}
        if (seen_groups := groups_seen(remote.resource)) is not None:
            apart = comparable(tx, row, (seen_groups ^ desired.links) - self._not_ours, self.capabilities)
            if extra := apart & seen_groups:
                found[DriftClass.EXTRA_PRIVILEGE] = tuple(sorted(extra))
            if lacking := apart - seen_groups:
                found[DriftClass.MISSING] = tuple(sorted(lacking))
        if different := self._attributes_that_drifted(row, desired, observed):
            found[DriftClass.ATTRIBUTE] = tuple(sorted(different))
        return found

    @staticmethod
    def _attributes_that_drifted(row: ResourceRow, desired: Desired, observed: Observed) -> frozenset[str]:
        """Return the attribute paths that differ; deferred ones are no drift but still on their way."""
        before = row.observed or observed
        deferred = set(before.deferred)
        was, now = before.attributes.get("userName"), observed.attributes.get("userName")
        if before.called and not same("userName", was, now):
            deferred.discard("userName")  # it was changed again
        return differing(desired, Seen(attributes=observed.attributes, deferred=frozenset(deferred)))

    async def _hand_over(
        self,
        row: ResourceRow,
        remote: Remote[User] | Remote[Group] | None,
        drifts: dict[DriftClass, tuple[str, ...]],
        comparison: Comparison,
        *,
        apply: bool,
    ) -> None:
        """Record what was seen and let the driver repair it, as far as the policy says so."""
        security = SECURITY.intersection(drifts)
        found = [Drift(one, row.kind, row.id, str(row.remote_id), subject) for one, subject in drifts.items()]
        missing = any(one.is_missing_account for one in found)
        policy = self.missing_accounts if missing else self.attribute_drift
        repair = apply and (bool(security) or policy == "enforce")
        if missing and apply and not repair:
            await self._write(lambda tx: self._note_missing(tx, row, remote))
        if repair:
            lane = Lane.REMOVE if DriftClass.EXTRA_ACTIVE in drifts else Lane.REPAIR if security else Lane.UPDATE
            if not await self._write(lambda tx: self._rearm(tx, row, remote, lane, sorted(drifts))):
                return  # a client wrote it meanwhile: it is the driver's
        comparison.drifts += [replace(one, repaired=repair) for one in found]

    def _fresh(self, tx: Transaction, row: ResourceRow, *, lock: bool = False) -> ResourceRow | None:
        """Return a row as it is now, unless it was written, lost its account or is on its way since it was read."""
        fresh = resources.get(tx, self.connection_id, row.kind, row.id, lock=lock)
        if fresh is None or (fresh.generation, fresh.remote_id) != (row.generation, row.remote_id):
            return None
        return fresh if fresh.state in COMPARED else None

    def _rearm(
        self,
        tx: Transaction,
        row: ResourceRow,
        remote: Remote[User] | Remote[Group] | None,
        lane: Lane,
        drifts: list[DriftClass],
    ) -> bool:
        fresh = self._fresh(tx, row, lock=True)
        if fresh is None:
            return False
        seen = self.observation.vanished(tx, fresh) if remote is None else self.observation.present(tx, fresh, remote)
        shown = seen.active or seen.is_seen_active
        version = seen.version + (shown != fresh.shown_active)
        make = row.kind == "User" and DriftClass.MISSING in drifts and seen.missing
        changed = replace(rearmed(seen, lane), shown_active=shown, version=version, may_make=make)
        if fresh.remote_id is None:
            changed = replace(changed, refusal=None)  # what could not be made is there
        resources.save(tx, changed)
        record(tx, changed, "drift", now=self.clock(), drift=list(drifts))
        return True

    def _note_missing(self, tx: Transaction, row: ResourceRow, remote: Remote[User] | Remote[Group] | None) -> None:
        """Record that an account is not there, or inactive, and leave it so."""
        fresh = self._fresh(tx, row, lock=True)
        if fresh is None:
            return
        seen = self.observation.vanished(tx, fresh) if remote is None else self.observation.present(tx, fresh, remote)
        if seen != fresh or fresh.shown_active:
            shown = fresh.shown_active and not seen.missing
            version = seen.version + (shown != fresh.shown_active)
            resources.save(tx, replace(seen, shown_active=shown, version=version))
        if not fresh.missing:
            record(tx, seen, "drift", now=self.clock(), drift=[DriftClass.MISSING])

    async def _look_for_missing(self, kind: Kind, listed: set[str], comparison: Comparison, *, apply: bool) -> None:
        """Read directly those accounts and groups that should be there, or are shown so, and that no page showed."""
        after: str | None = None
        while True:
            page = partial(resources.iterate, connection_id=self.connection_id, kind=kind, after=after, limit=PAGE)
            rows = await self.store.scan(page)
            for row in rows:
                if row.remote_id is None or row.remote_id in listed:
                    continue
                if apply and self._is_planned(row):
                    await self._note_if_gone(row, row.remote_id)
                if row.deleted or row.state not in COMPARED:
                    continue
                if row.ownership is Ownership.DISCOVERED:
                    await self._forget_if_gone(row, str(row.remote_id), apply=apply)
                elif row.active:
                    await self._confirm(row, str(row.remote_id), comparison, apply=apply)
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def _note_if_gone(self, row: ResourceRow, remote_id: str) -> None:
        """Note that something planned is not there any more."""
        try:
            await self.listings.read(row.kind, remote_id)
        except RemoteNotFoundError:
            await self._write(lambda tx: self._note(tx, row, None))

    async def _forget_if_gone(self, row: ResourceRow, remote_id: str, *, apply: bool) -> None:
        """Forget what nobody manages and is not there any more, instead of showing it for ever."""
        try:
            await self.listings.read(row.kind, remote_id)
        except RemoteNotFoundError:
            if apply:
                await self._write(lambda tx: self._forget(tx, row))

    def _forget(self, tx: Transaction, row: ResourceRow) -> None:
        fresh = resources.get(tx, self.connection_id, row.kind, row.id, lock=True)
        if fresh == row:
            record(tx, row, "drift", now=self.clock(), drift=["gone"])
            resources.remove(tx, self.connection_id, row.id)
