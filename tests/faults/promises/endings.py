"""Rules about the end, when nothing goes wrong any more and everything has come to rest."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.faults.promises.story import Story
from tests.faults.promises.words import END, Word, person_named


def accepted_is_done(story: Story) -> Iterator[tuple[float, str]]:
    """A removal that was accepted (429) is done in the end, as one that was confirmed.

    Of requests that overlap, any may have come last. So somebody may get in at the end if one that lets them in may
    be the last about its resource: no removal that was accepted began after that one had been answered.
    """
    if not story.record.rested:
        return
    for key, words in story.access.items():
        held = story.record.accounts.get(key)
        outs = [
            word
            for word in words
            if word.kind == "out" and word.ask.accepted and not story.is_unrecognisable(key, word.user, word.ask.order)
        ]
        if held is None or not held.access or not outs:
            continue
        newest = max(outs, key=lambda word: word.ask.order).ask
        by_hand = any(one.after and one.after.access for one in story.by_hand(key, newest.order, END))
        lets_in = any(word.kind == "in" and not word.is_void and _may_be_last(story, word, outs) for word in words)
        if not (by_hand or lets_in):
            yield newest.answered_at, f"{held.email} gets in at the end, after {newest}"
    yield from _memberships(story)


def _may_be_last(story: Story, word: Word, others: list[Word]) -> bool:
    """Whether a word may have come after all of these that are about the same resource.

    A creation that nobody was told an id of is about the User of its name, unless that one had given the name up.
    """
    return all(
        story.overlap(word.ask, one.ask)
        for one in others
        if one.user == word.user or not (word.user or story.names.gave_up(one.user, word.name, word.ask.order))
    )


def _memberships(story: Story) -> Iterator[tuple[float, str]]:
    """Yield who holds a set at the end that a client took from them: by name, or from whoever is not on its list."""
    for key, words in story.members.items():
        held = story.record.accounts.get(key)
        if held is None or not held.access:
            continue
        taken = [word for word in words if word.kind == "leave"]
        for whole in story.whole:
            kept = {one for id_ in whole.users for one in story.names.member(id_)}
            if key not in kept and story.was_put_in(key, whole):
                taken.append(whole)
        for word in taken:
            if not word.ask.accepted or story.is_unrecognisable(key, word.user, word.ask.order):
                continue
            for name in held.sets & story.sets_of(word):
                given = any(one.after and name in one.after.sets for one in story.by_hand(key, word.ask.order, END))
                if not given and not _joins_later(story, words, word, name):
                    yield word.ask.answered_at, f"{held.email} has {name} at the end, after {word.ask}"


def _joins_later(story: Story, words: list[Word], word: Word, name: str) -> bool:
    """Whether somebody is put into a group of a name after a word that takes it, or while that is under way.

    Of two requests that overlap, no client knows which one came first: what is so in the end may be either's.
    """
    joins = [one for one in words if one.kind == "join" and name in story.sets_of(one)]
    return any(one.ask is not word.ask and story.overlap(one.ask, word.ask) for one in joins)


def _last_words(story: Story, key: str) -> dict[str, Word]:
    """Return the last word on somebody's access of each resource that stands for them, but for refused grants."""
    last: dict[str, Word] = {}
    for word in story.access[key]:
        if not word.is_void:
            last[word.user or word.name] = word
    known = {person_named(word.name) for id_, word in last.items() if id_ == word.user and word.name}
    return {id_: word for id_, word in last.items() if word.user or person_named(id_) not in known}


def claimed_stays(story: Story) -> Iterator[tuple[float, str]]:
    """Whoever was let in, and the client was told so, has access in the end unless somebody took it."""
    if not story.record.rested:
        return
    for key in story.access:
        held, last = story.record.accounts.get(key), _last_words(story, key)
        if held is not None and held.access:
            continue
        for word in last.values():
            ask = word.ask
            if word.kind != "in" or not ask.succeeded or any(story.by_hand(key, 0, 10**9)):
                continue
            elsewhere = any(story.has_access(other) for other in story.names.who(word))
            if not elsewhere and not any(
                one.kind == "out" and story.overlap(one.ask, ask) for one in story.access[key]
            ):
                yield ask.answered_at, f"{key} has no access at the end, after {ask}"


def reads_are_true(story: Story) -> Iterator[tuple[float, str]]:
    """What a client reads in the end is what HubSpot shows: who is there and active, and who holds a group's set."""
    if story.record.lists is None:
        return
    users, groups = story.record.lists
    shown = [Shown(user, _accounts_of(story, user)) for user in users]
    details = [*_active(story, shown), *(one for group in groups for one in _members_of(story, group, shown))]
    at = story.record.clock()
    yield from ((at, detail) for detail in details)


class Shown(NamedTuple):
    """A User that a client reads. :param keys: HubSpot's ids of the accounts that it may stand for."""

    user: Mapping[str, Any]
    keys: frozenset[str]

    @property
    def active(self) -> bool:
        """Whether it is shown as somebody who gets in."""
        return self.user.get("active") is not False


def _accounts_of(story: Story, user: Mapping[str, Any]) -> frozenset[str]:
    """Return whom a User stands for: the account that has its userName now, or else those that once had it.

    So one whose address was changed by hand is still looked for, but not where another account has the address by now.
    """
    name, known = str(user.get("userName", "")).strip().casefold(), story.record.accounts
    now = frozenset(key for key, held in known.items() if held.email.casefold() == name)
    return now or story.names.with_addresses({person_named(name)}) & known.keys()


def _active(story: Story, shown: list[Shown]) -> Iterator[str]:
    """Yield who is shown active, or inactive, and is not."""
    for one in shown:
        if one.active and not any(story.has_access(key) for key in one.keys):
            found = [story.record.accounts[key] for key in sorted(one.keys)]
            yield f"{one.user.get('userName')} is shown active, HubSpot has {found or None}"
    for key, held in story.record.accounts.items():
        standing = [one for one in shown if key in one.keys]
        if held.access and not any(one.active for one in standing):
            yield f"{held.email} is shown inactive or not at all, HubSpot has {held}"


def _members_of(story: Story, group: Mapping[str, Any], shown: list[Shown]) -> Iterator[str]:
    """Yield what is wrong with the members of a group."""
    names = story.names.groups.get(str(group.get("id")), set()) | {str(group.get("displayName", ""))}
    ids = {str(member.get("value", "")) for member in group.get("members") or ()}
    inside = [one for one in shown if one.active and one.user.get("id") in ids]
    members = {key for one in inside for key in one.keys}
    strength = story.record.strength
    name = " or ".join(sorted(names))
    stronger = set(strength[: min((strength.index(one) for one in names & set(strength)), default=0)])
    for key, held in story.record.accounts.items():
        if key not in members and held.access and not held.admin and names & held.sets:
            yield f"{held.email} holds {name}, whose members do not show it"
    for one in inside:
        found = [story.record.accounts[key] for key in sorted(one.keys) if story.has_access(key)]
        if found and not any(held.admin or held.sets & (names | stronger) for held in found):
            yield f"{one.user.get('userName')} is shown as a member of {name} and holds {sorted(found[0].sets)}"
