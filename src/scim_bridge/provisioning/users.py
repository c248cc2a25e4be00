"""Writes of Users: the transactions that turn them into desired state."""

import json
from collections.abc import Callable
from dataclasses import replace

from scim2_models import ForbiddenException

from scim_bridge.errors import PendingError
from scim_bridge.models import Lane, User
from scim_bridge.paths import attributes_of, with_values
from scim_bridge.provisioning.intake import Accepted, Check, Intake, taken
from scim_bridge.provisioning.roles import RoleIntake
from scim_bridge.provisioning.succession import part
from scim_bridge.store import documents, membership_changes, resources
from scim_bridge.store.comparison import fold
from scim_bridge.store.rows import NOT_ASKING, Asking, Observed, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction


class UserIntake:
    """Accepts creations, changes and deletions of the Users of one connection.

    :param roles: Accepts what their roles ask for; ``None``: they are only kept, or only shown.
    """

    def __init__(self, intake: Intake, roles: RoleIntake | None = None) -> None:
        self.intake = intake
        self.roles = roles

    def create(self, tx: Transaction, user: User, new_id: str | None = None, *, listed: bool = True) -> Accepted:
        """Accept a creation (RFC 7644 §3.3).

        An account that no client owns, or that is inactive, is taken over instead of refused: what a filter shows and
        what a creation runs into are the same accounts, and a person who returns is let in again. With another
        ``externalId`` than the inactive User's it is another person, whom the address was given to.

        :param new_id: The id of the User if it is a new one.
        :param listed: Whether a role that is not listed does not exist.
        :raises NotListedError: When a role is asked for that is not listed, and that says nothing yet.
        :raises UniquenessException: When an active User of this connection has the userName.
        :raises PendingError: While the access of the person who had the address before is still being taken away.
        """
        if self.roles is None:
            return self._created(tx, user, new_id)
        known = resources.find_by_name(tx, self.intake.connection_id, "User", str(user.user_name), lock=True)
        carry_out = self.roles.accept(tx, known, user, Asking(), listed=listed)
        return carry_out(self._created(tx, user, new_id))

    def _created(self, tx: Transaction, user: User, new_id: str | None) -> Accepted:
        name = str(user.user_name)
        row = resources.find_by_name(tx, self.intake.connection_id, "User", name, lock=True)
        if row is None:
            self.intake.guard.permit_name(name)
            row = self.intake.insert(tx, "User", user, unique=True, new_id=new_id)
            return Accepted(row, self.intake.waits_of(row))
        if _is_somebody_else(row, user):
            row = self._in_place_of(tx, row, user)
            return Accepted(row, self.intake.waits_of(row))
        returns = not row.active and user.active is not False
        if not returns and self.intake.is_repeat(row, user):
            return self._repeated(tx, row, user)
        missing = row.missing and row.state in {State.SETTLED, State.BLOCKED}
        if row.ownership is Ownership.DISCOVERED or not row.active or missing:
            return self._changed(tx, row, self._completed(row, user))
        raise taken("User")

    def modify(
        self,
        tx: Transaction,
        user_id: str,
        change: Callable[[User], User | None],
        check: Check,
        asking: Asking = NOT_ASKING,
        *,
        listed: bool = True,
    ) -> Accepted:
        """Accept a replacement or a modification (RFC 7644 §3.5).

        :param change: Returns the new state, or ``None`` when nothing changes.
        :param asking: How the write asks for roles.
        :param listed: As in :meth:`create`.
        :raises NotFoundException: When there is no such User.
        """
        row = self.intake.live(tx, "User", user_id)
        check(row.etag)
        current = documents.decode(row, self.intake.capabilities.user_model)
        current.active = None  # so that what comes back tells whether the client says something about it
        if self.roles is None:
            return self._modified(tx, row, change(current))
        self.roles.prune(tx, row, current)
        before = self.roles.attribute_of(current)
        user = change(current)
        written = current if user is None else user
        carry_out = self.roles.accept(tx, row, written, asking, before, listed=listed)
        return carry_out(self._modified(tx, row, written if asking.named else user))

    def _modified(self, tx: Transaction, row: ResourceRow, user: User | None) -> Accepted:
        if user is not None and not self._is_as_it_was(row, user):
            return self._changed(tx, row, user)
        asked = user is not None and bool(user.active)
        row = self._kept_out(tx, row) if self._may_have_returned(row) else self.intake.untouched(tx, row, asked=asked)
        return Accepted(row, self.intake.waits_of(row), self._removals(row))

    def delete(self, tx: Transaction, user_id: str, check: Check) -> Accepted:
        """Accept a deletion (RFC 7644 §3.6): invisible at once, its name free, gone when the remote system agrees.

        Asked again while the remote system has not agreed yet, it waits again, instead of claiming a 404.

        :raises NotFoundException: When there is no such User.
        :raises ForbiddenException: When no client has ever written it and the policy protects such accounts.
        """
        pending = resources.get(tx, self.intake.connection_id, "User", user_id, lock=True, deleted=True)
        if pending is not None and pending.deleted and pending.state in {State.PENDING, State.HELD}:
            row = self.intake.untouched(tx, pending)
            return Accepted(row, self.intake.waits_of(row), frozenset({row.id}))
        row = self.intake.live(tx, "User", user_id)
        check(row.etag)
        if row.ownership is Ownership.DISCOVERED and self.intake.policy.delete_unowned != "delete":
            return self._delete_unowned(tx, row)
        self.intake.guard.permit_user(tx, row, leaves=row.active)
        hold = row.active and self.intake.guard.hold_removals(tx, [row.id])
        membership_changes.remove_user(tx, self.intake.connection_id, row.id)
        row = replace(
            self.intake.rearm(tx, row, Lane.REMOVE, hold=hold),
            deleted=True,
            active=False,
            ambiguous=row.ambiguous or self._may_have_returned(replace(row, active=False)),
            modified_at=self.intake.clock(),
        )
        resources.save(tx, row)
        self.intake.record(tx, row, "delete")
        return Accepted(row, self.intake.waits_of(row), frozenset({row.id}))

    def _repeated(self, tx: Transaction, row: ResourceRow, user: User) -> Accepted:
        """Take a creation that was already made, and what it says differently this time."""
        user = self._completed(row, user)
        user.active = row.active
        found = row.ownership is Ownership.DISCOVERED
        if found or documents.encode(user, row.id) != row.document or (row.missing and not row.may_make):
            return replace(self._changed(tx, row, user), repeated=True)
        row = self._kept_out(tx, row) if self._may_have_returned(row) else self.intake.untouched(tx, row, asked=True)
        return Accepted(row, self.intake.waits_of(row), self._removals(row), repeated=True)

    def _completed(self, row: ResourceRow, user: User) -> User:
        """Return a creation with what the remote system holds already and the creation leaves out: that stays."""
        paths = self.intake.capabilities.user_attributes
        sent = json.loads(documents.encode(user, row.id))
        held = attributes_of(json.loads(row.document), paths)
        left_out = held.keys() - attributes_of(sent, paths).keys()
        return (
            self.intake.capabilities.user_model.model_validate(with_values(sent, left_out, held)) if left_out else user
        )

    def _in_place_of(self, tx: Transaction, former: ResourceRow, user: User) -> ResourceRow:
        """Make a User for somebody who was given the address of another person, who has no access any more.

        The account of the address, if there still is one, is theirs; what it was in is taken away. The former User is
        gone, and their id names nobody.
        """
        if former.state in {State.PENDING, State.HELD}:
            raise PendingError("the access of the former holder of this userName is still being removed", retry_after=5)
        self.intake.guard.permit_user(tx, former, leaves=False)
        former = replace(former, deleted=True)
        resources.save(tx, former)
        row = self.intake.insert(tx, "User", user, unique=True)
        part(tx, former, row)
        resources.remove(tx, former.connection_id, former.id)
        self.intake.record(tx, former, "delete")
        if former.observed is None or (former.observed.present and not former.observed.called):
            row = replace(row, remote_id=former.remote_id, observed=former.observed if row.active else None)
            resources.save(tx, row)
        return row

    def _delete_unowned(self, tx: Transaction, row: ResourceRow) -> Accepted:
        if self.intake.policy.delete_unowned == "refuse":
            raise ForbiddenException(
                detail="this account was not created by this client; deactivate it instead, or allow its deletion"
            )
        user = documents.decode(row, self.intake.capabilities.user_model)
        user.active = False
        return self._changed(tx, row, user)

    def _changed(self, tx: Transaction, row: ResourceRow, user: User) -> Accepted:
        """Store a new desired state of an existing User."""
        # A client that sends null for `active` says nothing about it; to read that as either state would be a guess.
        active = row.active if user.active is None else bool(user.active)
        asked, user.active = bool(user.active), active
        if active and not row.active and fold(str(user.user_name)) == fold(row.name):
            user.user_name = self._name_back(tx, row)
        matters = active != row.active or row.ownership is Ownership.DISCOVERED or self.intake.matters(row, user)
        matters |= asked and row.missing
        leaves, returns = row.active and not active, active and not row.active
        look = self._may_have_returned(replace(row, active=active))
        lane = Lane.REMOVE if leaves or look else Lane.CREATE if returns else Lane.UPDATE
        if matters:
            self.intake.guard.permit_user(tx, row, leaves=leaves)
        hold = leaves and row.is_seen_active and self.intake.guard.hold_removals(tx, [row.id])
        # What nobody drives keeps no leave to make an account later, when something else is written.
        make = active and (row.may_make or (asked and (matters or row.state in {State.PENDING, State.HELD})))
        wanted = active and (make or not (row.missing or row.is_invited))
        # A creation that went unanswered may have made the account.
        shown = wanted or row.is_seen_active or (row.is_unsure and row.shown_active)
        found = active and row.ownership is Ownership.DISCOVERED  # and was last seen in a listing, some time ago
        ambiguous = row.ambiguous or look or found
        updated = replace(row, active=active, shown_active=shown, ambiguous=ambiguous, may_make=make)
        updated = replace(updated, observed=_asked_anew(row, user))
        updated = self.intake.store(tx, updated, user, lane=lane, matters=matters or look, hold=hold)
        return Accepted(updated, self.intake.waits_of(updated), self._removals(updated))

    def _name_back(self, tx: Transaction, row: ResourceRow) -> str:
        """Return how somebody is called who returns under the name that they were given while they were out.

        It was not written to their account, which is there: they are called as before, unless somebody else is now.
        """
        observed = row.observed or Observed()
        own = str(observed.attributes.get("userName") or row.name)
        name = observed.called or own
        if not observed.present or fold(name) == fold(row.name) or fold(own) == fold(row.name):
            return row.name
        holder = resources.find_by_name(tx, self.intake.connection_id, "User", name)
        return name if holder is None else row.name

    def _is_as_it_was(self, row: ResourceRow, user: User) -> bool:
        """Whether a write says nothing new: a missing account that it wants to be active is asked for again."""
        active = row.active if user.active is None else bool(user.active)
        if active != row.active or (row.missing and not row.may_make and user.active):
            return False
        written = documents.encode(user.model_copy(update={"active": active}), row.id)
        return bool(json.loads(written) == json.loads(row.document))

    def _may_have_returned(self, row: ResourceRow) -> bool:
        """Whether a person who is to be out may have been let in by hand since.

        So whoever says again that they shall be out, or deletes them, is answered after a look.
        """
        return not row.active and self.intake.may_have_returned(row)

    def _kept_out(self, tx: Transaction, row: ResourceRow) -> ResourceRow:
        """Take that a person shall stay out: nothing changes, but the remote system is asked whether they are."""
        row = replace(row, ownership=self.intake.owned(row), ambiguous=True)
        row = self.intake.rearm(tx, row, Lane.REMOVE)
        resources.save(tx, row)
        self.intake.record(tx, row, "modify")
        return row

    @staticmethod
    def _removals(row: ResourceRow) -> frozenset[str]:
        return frozenset() if row.active else frozenset({row.id})


def _is_somebody_else(row: ResourceRow, user: User) -> bool:
    """Whether a creation is about another person than the User who has its userName, and is shown inactive."""
    known = row.external_id is not None and user.external_id is not None
    gone = not row.active or (row.missing and not row.shown_active)
    return known and gone and row.external_id != user.external_id


def _asked_anew(row: ResourceRow, user: User) -> Observed | None:
    """Return what was seen of a User once a client calls them as this write does: another name is asked for again."""
    observed, name = row.observed, str(user.user_name)
    if observed is None or fold(name) == fold(row.name):
        return observed
    called = "" if fold(name) == fold(str(observed.attributes.get("userName"))) else observed.called
    return replace(observed, called=called, deferred=tuple(path for path in observed.deferred if path != "userName"))
