"""When what the remote system has outlives the resource that stood for it, and another resource takes its place.

One account or group of the remote system stands for one resource at most, whatever is renamed on either side, and what
people were seen to hold is not forgotten. A client may delete a group and push it again before everybody has left it; a
deleted group may have members whom no client manages; a client may rename somebody as it deactivates them, and create
their old userName anew; an address may be changed by hand.
"""

from dataclasses import replace
from datetime import datetime

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.models import Group, Remote, User
from scim_bridge.provisioning.guard import inherit
from scim_bridge.provisioning.journal import record
from scim_bridge.provisioning.plan import Step, differing, same
from scim_bridge.provisioning.situation import Capabilities, Situation
from scim_bridge.store import documents, membership_changes, memberships, resources
from scim_bridge.store.comparison import fold
from scim_bridge.store.rows import Observed, Ownership, Refusal, ResourceRow, State
from scim_bridge.store.transaction import Transaction

OPERATOR = 30.0
"""Seconds after which it is looked again whether an operator has decided on a deletion."""


def standing(tx: Transaction, row: ResourceRow, remote_id: str) -> ResourceRow | None:
    """Return the other resource that stands for a remote object, if there is one."""
    other = resources.find_by_remote_id(tx, row.connection_id, row.kind, remote_id)
    return None if other is None or other.id == row.id else other


def keeps(other: ResourceRow) -> bool:
    """Whether a resource goes on standing for its remote object: clients manage it and want it."""
    return not other.deleted and other.active and other.ownership is not Ownership.DISCOVERED


def contested(row: ResourceRow, other: ResourceRow) -> Refusal:
    """Return why a resource cannot stand for what another one stands for.

    A Group's is no 409: that says that there is one of this displayName, and no search would find it.
    """
    if row.kind == "User":
        return Refusal(409, "uniqueness", f"the account of this userName is the one of the User {other.id}")
    return Refusal(
        400,
        "invalidValue",
        f'the remote system has one group of this displayName, and the Group "{other.name}" stands for it already',
    )


def refuse_unsettled(other: ResourceRow) -> None:
    """Leave alone what a change of another resource is about.

    :raises RemoteUnavailableError: While a change of it is pending, or an operator has to decide on it.
    """
    if other.state in {State.PENDING, State.HELD}:
        seconds = OPERATOR if other.state is State.HELD else 1.0
        detail = f"a change of the {other.kind} {other.id}, which stands for the same, is under way"
        raise RemoteUnavailableError(detail, ambiguous=False, retry_after=seconds)


def part(tx: Transaction, former: ResourceRow, row: ResourceRow) -> None:
    """Let a User have the account of another one, who is not to have it, or has lost it.

    What the account was seen in comes with it, so that it is taken away; what the former wanted does not. A User whom
    no client has written is not kept beside the one that takes its place.
    """
    groups = memberships.groups_of(tx, row.connection_id, [former.id])[former.id]
    for group in groups:
        if group.observed:
            membership_changes.observe_group(tx, row.connection_id, group.id, added=[row.id], removed=[former.id])
        if group.desired and former.ownership is Ownership.DISCOVERED:
            membership_changes.set_desired(tx, row.connection_id, group.id, [row.id], desired=True)
    resources.touch(tx, row.connection_id, [group.id for group in groups])
    if former.ownership is Ownership.DISCOVERED:
        resources.remove(tx, former.connection_id, former.id)
        return
    left = replace(former, remote_id=None, observed=Observed(), ambiguous=False)
    if keeps(former) and former.state is not State.PENDING:
        lost = Refusal(409, "uniqueness", f"the account of this User is gone; the User {row.id} has it now")
        left = replace(left, state=State.BLOCKED, refusal=lost)
    resources.save(tx, left)


def named_by(answer: Remote[User] | Remote[Group]) -> str:
    """Return the userName of an account that was found; empty of a group."""
    return "" if isinstance(answer.resource, Group) else str(answer.resource.user_name or "")


def called_otherwise(row: ResourceRow, situation: Situation) -> ResourceRow:
    """Return a User whose account keeps another userName than the client's, when that one was refused.

    No client asked for it just now, and the client goes on calling the person as it does: to take the account's name
    would hide them from it, and it would make them anew. A row of which that is not so comes back as it is.
    """
    observed = row.observed or Observed()
    asked = situation.step is Step.UPDATE_USER and "userName" in differing(situation.desired, situation.seen)
    if not (asked and same("userName", observed.called, row.name)):
        return row
    return replace(row, observed=replace(observed, deferred=(*observed.deferred, "userName")))


def take_name(tx: Transaction, row: ResourceRow, name: str, capabilities: Capabilities, *, now: datetime) -> None:
    """Give a User the userName under which its account was found: it was changed by hand.

    Its client's next write may say otherwise; until then a search for the account's name finds it. It stays as it is
    while a change of it is under way, and where another one has the name.
    """
    if not name or fold(name) == fold(row.name) or row.state not in {State.SETTLED, State.BLOCKED}:
        return
    if resources.find_by_name(tx, row.connection_id, row.kind, name) is not None:
        return
    user = documents.decode(row, capabilities.user_model)
    user.user_name = name
    observed = row.observed or Observed()
    seen = replace(
        observed,
        attributes={**observed.attributes, "userName": name},
        deferred=tuple(path for path in observed.deferred if path != "userName"),
        called="",
    )
    called = replace(row, name=name, document=documents.encode(user, row.id), observed=seen, version=row.version + 1)
    resources.save(tx, called, user)
    record(tx, row, "drift", now=now, drift=["userName"])


def succeed(tx: Transaction, former: ResourceRow, row: ResourceRow, *, now: datetime) -> ResourceRow:
    """Let a Group that was found to be the same group as a deleted one take its place, with who still holds it.

    Whoever could not leave the former is shown in the new one until they have left, and holds up nobody else.

    :raises RemoteUnavailableError: When a call about the former is under way, or an operator has to decide on it.
    """
    if former.ambiguous or former.state is State.HELD:
        seconds = OPERATOR if former.state is State.HELD else 1.0
        raise RemoteUnavailableError("a deletion of the same group is under way", ambiguous=False, retry_after=seconds)
    membership_changes.hand_over(tx, row.connection_id, former.id, row.id)
    inherit(tx, row.connection_id, former.id, row.id, now)
    resources.remove(tx, former.connection_id, former.id)
    return replace(row, lane=min(row.lane, former.lane), version=row.version + 1)


def let_go(tx: Transaction, row: ResourceRow, resource_id: str, *, now: datetime) -> None:
    """Keep a deleted group for the members whom no client manages: it is nobody's, under an id that was never used."""
    if resources.find_by_name(tx, row.connection_id, "Group", row.name) is not None:
        resources.remove(tx, row.connection_id, row.id)  # it was pushed again, and is about to be taken over
        return
    document = documents.decode(row, Group)
    document.external_id = None
    heir = replace(
        row,
        id=resource_id,
        document=documents.encode(document, resource_id),
        external_id=None,
        created_at=now,
        modified_at=now,
        active=True,
        shown_active=True,
        generation=1,
        observed_generation=1,
        ownership=Ownership.DISCOVERED,
        state=State.SETTLED,
        attempt=0,
        not_before=None,
        ambiguous=False,
        deleted=False,
        version=1,
    )
    resources.save(tx, replace(row, remote_id=None))
    resources.insert(tx, heir, document)
    membership_changes.hand_over(tx, row.connection_id, row.id, heir.id)
    inherit(tx, row.connection_id, row.id, heir.id, now)
    resources.remove(tx, row.connection_id, row.id)
