"""Rules about what a client was told: it has to be so at the moment of the answer."""

from collections.abc import Iterator

from tests.faults.promises.record import Ask
from tests.faults.promises.story import Story
from tests.faults.promises.words import Word


def removed_is_out(story: Story) -> Iterator[tuple[float, str]]:
    """A 2xx to the end of somebody's access: HubSpot shows them without access at that moment."""
    for key, words in story.access.items():
        for word in words:
            ask = word.ask
            if word.kind != "out" or not ask.succeeded or ask.answered is None:
                continue
            held = story.account(key, ask.answered)
            if held is None or not held.access or _let_in_meanwhile(story, key, ask):
                continue
            if story.is_anothers(key, word.user, ask.answered) or story.is_unrecognisable(key, word.user, ask.order):
                continue
            yield ask.answered_at, f"{held.email} still gets in after {ask}"


def _let_in_meanwhile(story: Story, key: str, ask: Ask) -> bool:
    """Whether somebody let a person in since a request arrived: by hand, or by another request."""
    answered = ask.answered or ask.order
    given = any(one.after and one.after.access for one in story.by_hand(key, ask.order, answered))
    return given or any(
        word.kind == "in" and word.ask.order < answered and not word.ask.refused and story.overlap(word.ask, ask)
        for word in story.access[key]
    )


def left_is_left(story: Story) -> Iterator[tuple[float, str]]:
    """A 2xx to taking somebody from a group: HubSpot shows them without its set at that moment.

    Whoever is named has to be without it; whom a whole group leaves out, if a client had put them in, and had not taken
    them out since: what is given by hand after that is no client's.
    """
    for key, words in story.members.items():
        for word in words:
            if word.kind == "leave" and not story.is_unrecognisable(key, word.user, word.ask.order):
                yield from _still_holds(story, key, word)
    for word in story.whole:
        kept = {key for id_ in word.users for key in story.names.member(id_)}
        for key in story.members.keys() - kept:
            if story.was_put_in(key, word):
                yield from _still_holds(story, key, word)


def _still_holds(story: Story, key: str, word: Word) -> Iterator[tuple[float, str]]:
    ask = word.ask
    if not ask.succeeded or ask.answered is None:
        return
    held = story.account(key, ask.answered)
    for name in held.sets & story.sets_of(word) if held is not None and held.access else ():
        yield from _holds_still(story, key, name, ask)


def _holds_still(story: Story, key: str, name: str, ask: Ask) -> Iterator[tuple[float, str]]:
    answered = ask.answered or ask.order
    if any(one.after and name in one.after.sets for one in story.by_hand(key, ask.order, answered)):
        return
    if story.wants_set(key, name, answered + 1) or _joined_again(story, key, name, ask):
        return
    held = story.account(key, answered)
    yield ask.answered_at, f"{held.email if held else key} still has {name} after {ask}"


def _joined_again(story: Story, key: str, name: str, ask: Ask) -> bool:
    """Whether another request, under way at the same time, puts somebody in again."""
    answered = ask.answered or ask.order
    return any(
        one.kind == "join" and one.ask.order < answered and story.overlap(one.ask, ask) and name in story.sets_of(one)
        for one in story.members[key]
    )


def refusal_leaves_nothing(story: Story) -> Iterator[tuple[float, str]]:
    """No answer 4xx to a creation has an account behind it that was made for it."""
    for ask in story.asks:
        if ask.method != "POST" or not ask.path.startswith("/Users") or not ask.refused or ask.answered is None:
            continue
        for key in story.names.with_addresses({str(ask.document.get("userName", "")).strip().casefold()}):
            made = [
                one
                for one in story.changes[key]
                if one.by == "bridge"
                and ask.order < one.order < ask.answered
                and not (one.before and one.before.access)
            ]
            others = [
                word for word in story.access[key] if word.kind == "in" and word.ask is not ask and not word.ask.refused
            ]
            held = story.account(key, ask.answered)
            if made and held is not None and held.access and not any(one.ask.order < ask.answered for one in others):
                yield ask.answered_at, f"an account of {held.email} was made behind {ask}"
