"""Rules about the end, when nothing goes wrong any more and everything has come to rest."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.promises.story import Story
from tests.faults.promises.words import Word, person_named


def accepted_is_done(story: Story) -> Iterator[tuple[float, str]]:
    """A removal that was accepted (429) is done in the end, as one that was confirmed."""
    if not story.record.rested:
        return
    for key in story.access:
        held, last = story.record.accounts.get(key), _last_words(story, key)
        outs = [word for word in last.values() if word.kind == "out"]
        if held is None or not held.access or not outs or len(outs) < len(last):
            continue
        if all(story.is_namesakes(key, word.user, word.ask.order) for word in outs):
            continue
        newest = max(word.ask.order for word in outs)
        if any(one.after and one.after.access for one in story.by_hand(key, newest, 10**9)):
            continue
        if any(one.kind == "in" and story.overlap(one.ask, outs[-1].ask) for one in story.access[key]):
            continue
        if all(word.ask.succeeded or word.ask.status == 429 for word in outs):
            yield outs[-1].ask.answered_at, f"{held.email} gets in at the end, after {outs[-1].ask}"
    yield from _memberships(story)


def _memberships(story: Story) -> Iterator[tuple[float, str]]:
    """Yield who holds a set at the end that a client took from them: by name, or from whoever is not on its list."""
    end = 10**9
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
            if not (word.ask.succeeded or word.ask.status == 429):
                continue
            if story.is_namesakes(key, word.user, word.ask.order):
                continue
            for name in held.sets & story.sets_of(word):
                given = any(one.after and name in one.after.sets for one in story.by_hand(key, word.ask.order, end))
                if not given and not _joins_later(story, words, word, name):
                    yield word.ask.answered_at, f"{held.email} has {name} at the end, after {word.ask}"


def _joins_later(story: Story, words: list[Word], word: Word, name: str) -> bool:
    """Whether somebody is put into a group of a name after a word that takes it."""
    return any(one.kind == "join" and one.ask.order > word.ask.order and name in story.sets_of(one) for one in words)


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
    """What a client reads in the end is what HubSpot shows: who is active, and who holds the set of a group."""
    if story.record.lists is None:
        return
    users, groups = story.record.lists
    at = story.record.clock()
    active: dict[str, bool] = {}
    for user in users:
        for key in story.names.with_addresses({person_named(str(user.get("userName", "")))}):
            active[key] = active.get(key, False) or user.get("active") is not False
    for key, shown in sorted(active.items()):
        held = story.record.accounts.get(key)
        if shown != (held is not None and held.access):
            yield at, f"{held.email if held else key} is shown {'in' if not shown else ''}active, HubSpot has {held}"
    inside = {str(user.get("id")) for user in users if user.get("active") is not False}
    for group in groups:
        yield from ((at, detail) for detail in _members_of(story, group, inside))


def _members_of(story: Story, group: Mapping[str, Any], inside: set[str]) -> Iterator[str]:
    """Yield what is wrong with the members of a group. :param inside: SCIM ids of whoever is shown active."""
    names = story.names.groups.get(str(group.get("id")), set()) | {str(group.get("displayName", ""))}
    ids = {str(member.get("value", "")) for member in group.get("members") or ()} & inside
    members = {key for id_ in ids for key in story.names.member(id_)}
    strength = story.record.strength
    name = " or ".join(sorted(names))
    stronger = set(strength[: min((strength.index(one) for one in names & set(strength)), default=0)])
    for key, held in story.record.accounts.items():
        if held.admin:
            continue
        if key not in members and held.access and names & held.sets:
            yield f"{held.email} holds {name}, whose members do not show it"
        if key in members and held.access and not held.sets & (names | stronger):
            yield f"{held.email} is shown as a member of {name} and holds {sorted(held.sets)}"
