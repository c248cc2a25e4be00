"""Rules about what the bridge did in HubSpot: each change of an account needs somebody who asked for it."""

from collections import deque
from collections.abc import Iterator

from tests.faults.promises.record import Account, Change
from tests.faults.promises.story import Story
from tests.faults.promises.words import person_named

NOBODY = Account("", access=False)
WINDOW = 3600.0
"""Seconds in which grants of privileged sets are counted together."""


def of_the_bridge(story: Story) -> Iterator[tuple[Change, Account, Account]]:
    """Yield each change that the bridge made, with what there was and what came."""
    for change in story.record.changes:
        if change.by == "bridge":
            yield change, change.before or NOBODY, change.after or NOBODY


def email_of(change: Change) -> str:
    """Return whose account it was."""
    return (change.after or change.before or NOBODY).email


def nothing_unasked(story: Story) -> Iterator[tuple[float, str]]:
    """Nobody gets access, or a set, that no client asks for and nobody gave by hand.

    An account under the name that Entra ID gives to whom it deletes is that User's alone: what a client says of another
    one, who has the former address by now, is not about it.
    """
    for change, before, after in of_the_bridge(story):
        users = story.names.renamed_to(after.email, change.order)
        gets_in = after.access and not before.access
        if gets_in and not story.wants_access(change.key, change.order, wanted=True, users=users):
            yield change.at, f"{after.email} was let in, and no client asks for it"
        for name in sorted(after.sets - before.sets if after.access else ()):
            if story.wants_set(change.key, name, change.order, users) or _was_given(story, change, name):
                continue
            yield change.at, f"{after.email} was given {name}, and no client asks for it"


def _was_given(story: Story, change: Change, name: str) -> bool:
    """Whether somebody gave a set by hand before, and did not remove the account by hand since."""
    for key in {change.key, *story.others(change.key)}:
        gone = [one.order for one in story.by_hand(key, 0, change.order) if one.after is None]
        since = gone[-1] if gone else 0
        started = None if gone else story.record.initial.get(key)
        given = any(one.after and name in one.after.sets for one in story.by_hand(key, since, change.order))
        if given or (started is not None and name in started.sets):
            return True
    return False


def hand_removal_stays(story: Story) -> Iterator[tuple[float, str]]:
    """Whoever a person removed by hand stays out until a client asks for their access, or for a membership, anew."""
    for change, before, after in of_the_bridge(story):
        if before.access or not after.access:
            continue
        removals = [one for one in story.by_hand(change.key, 0, change.order) if not (one.after and one.after.access)]
        if not removals:
            continue
        taken = removals[-1].order
        words = [word for word in story.access[change.key] if word.kind == "in" and word.ask.order < change.order]
        words += [word for word in story.members[change.key] if word.kind == "join" and word.ask.order < change.order]
        anew = any(word.ask.answered is None or word.ask.answered > taken or word.ask.status == 429 for word in words)
        if not anew:
            yield change.at, f"{after.email} was let in again after being removed by hand, and nobody asks for it since"


def named_only(story: Story) -> Iterator[tuple[float, str]]:
    """Nobody loses what no client named: whoever no client manages keeps all, and others what they were put into."""
    for change, before, after in of_the_bridge(story):
        out = before.access and not after.access
        lost = before.sets - after.sets if after.access else frozenset()
        named = story.first_named.get(change.key, change.order) < change.order
        if not named and (out or lost):
            yield change.at, f"{before.email}, whom no client has named, lost {sorted(lost) or 'access'}"
        elif out and not _is_left(story, change):
            yield change.at, f"{before.email} lost access, and no client asks for that"
        for name in sorted(lost if named else ()):
            stronger = set(story.record.strength[: _rank(story, name)]) & after.sets
            if not stronger and _is_member(story, change, name):
                yield change.at, f"{before.email} lost {name}, into which a client put them"


def _is_left(story: Story, change: Change) -> bool:
    """Whether a client asks for the end of an access, or the person has another account by now."""
    elsewhere = [story.account(key, change.order) for key in story.others(change.key)]
    return any(held and held.access for held in elsewhere) or story.wants_access(change.key, change.order, wanted=False)


def _rank(story: Story, name: str) -> int:
    strength = story.record.strength
    return strength.index(name) if name in strength else 0


def _is_member(story: Story, change: Change, name: str) -> bool:
    """Whether nothing but clients' word puts somebody into a group of this name, and nothing speaks against it.

    What takes them out while it is said may come after it.
    """
    key, order = change.key, change.order
    takes = [word for word in story.takes(key, name) if word.ask.order < order]
    last = max((word.ask.answered or word.ask.order for word in takes), default=0)
    if any(word.kind == "out" and word.ask.order > last for word in story.access[key] if word.ask.order < order):
        return False
    return any(
        word.kind == "join" and word.ask.succeeded and last < word.ask.order < order
        and (word.ask.answered or order) < order and name in story.sets_of(word)
        for word in story.members[key]
    )  # fmt: skip


def admins_untouched(story: Story) -> Iterator[tuple[float, str]]:
    """No Super Admin, protected account or account of the token itself is ever changed."""
    for change, before, after in of_the_bridge(story):
        if before.admin or before.email in story.record.protected:
            yield change.at, f"{before.email}, who is never to be changed, became {after}"
        elif after.admin:
            yield change.at, f"{after.email} was made a Super Admin"


def guard_kept(story: Story) -> Iterator[tuple[float, str]]:
    """No more grants of privileged sets than the guard allows reach HubSpot without an operator."""
    names, most = story.record.privileged
    recent: deque[float] = deque()
    for change, before, after in of_the_bridge(story):
        if 0 < story.record.approved < change.order:
            return
        for _name in names & (after.sets - before.sets):
            recent.append(change.at)
            while recent[0] <= change.at - WINDOW:
                recent.popleft()
            if len(recent) > most:
                yield change.at, f"{after.email} is the {len(recent)}th to get {sorted(names)}; {most} are allowed"


def _two_in_the_end(story: Story) -> Iterator[tuple[float, str]]:
    users = story.record.lists[0] if story.record.lists is not None else ()
    named = {person_named(str(user.get("userName", ""))) for user in users}
    for user in users:
        id_, name = str(user.get("id", "")), person_named(str(user.get("userName", "")))
        former = story.names.users.get(id_, set()) - named
        left = [one.email for one in story.record.accounts.values() if one.access and person_named(one.email) in former]
        if left:
            yield story.record.clock(), f"{name} still has {', '.join(sorted(left))}"


def one_person_one_account(story: Story) -> Iterator[tuple[float, str]]:
    """Never two accounts for one person: none is made while another of the same resource has access.

    Where a new userName makes the account anew, a person has two for a moment, and one in the end.
    """
    if story.record.moves:
        yield from _two_in_the_end(story)
        return
    for change, before, after in of_the_bridge(story):
        if before.access or not after.access or story.record.moves:
            continue
        for id_ in story.names.users:
            keys = story.names.member(id_)
            if change.key not in keys or not story.is_asked_for(id_, change):
                continue
            if story.is_anothers(change.key, id_, change.order):  # two Users of the client's, and it asked for both
                continue
            others = [
                story.account(key, change.order)
                for key in keys - {change.key}
                if not story.is_anothers(key, id_, change.order) and not story.is_unrecognisable(key, id_, change.order)
            ]
            doubled = [one.email for one in others if one is not None and one.access]
            if doubled:
                yield change.at, f"{after.email} was made while the same person has {', '.join(doubled)}"
