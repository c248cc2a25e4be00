"""A record in the form that rules ask: the words about each account, and what was allowed at a moment."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import NamedTuple

from tests.faults.promises.record import Account, Ask, Change, Record
from tests.faults.promises.words import END, Names, Word, person_named, words_of

UNDER_WAY = 120.0
"""Seconds for which a request that nobody answered may still be at work."""


class Finding(NamedTuple):
    """A promise that was broken."""

    rule: str
    at: float
    detail: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.at:.3f} s: {self.detail}"


class Story:
    """What happened, by account."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.asks: list[Ask] = list(record.operations())
        self.words: list[Word] = [word for ask in self.asks for word in words_of(ask)]
        self.names = Names(record, self.asks)
        self.access: defaultdict[str, list[Word]] = defaultdict(list)
        self.members: defaultdict[str, list[Word]] = defaultdict(list)
        self.whole: list[Word] = []
        self.changes: defaultdict[str, list[Change]] = defaultdict(list)
        for word in self.words:
            if word.kind in {"in", "out"}:
                for key in self.names.who(word):
                    self.access[key].append(word)
            elif word.kind in {"join", "leave"}:
                if word.kind == "join" and self.ended.get(word.user, END) < word.ask.order:
                    continue  # an id that names nobody any more is no member, and is left out
                for key in self.names.member(word.user):
                    self.members[key].append(word)
            else:
                self.whole.append(word)
        for change in record.changes:
            self.changes[change.key].append(change)

    # -- HubSpot -----------------------------------------------------------------------------------------------------

    def account(self, key: str, order: int) -> Account | None:
        """Return what HubSpot showed of somebody at a moment."""
        held = self.record.initial.get(key)
        for change in self.changes[key]:
            if change.order > order:
                break
            held = change.after
        return held

    def has_access(self, key: str) -> bool:
        """Whether somebody gets in at the end."""
        held = self.record.accounts.get(key)
        return held is not None and held.access

    def by_hand(self, key: str, after: int, before: int) -> Iterator[Change]:
        """Yield what people did to an account between two moments."""
        return (one for one in self.changes[key] if one.by == "hand" and after < one.order < before)

    @cached_property
    def ended(self) -> dict[str, int]:
        """When each SCIM id ceased to name anybody: its deletion was asked for, and nobody said no to it since.

        What comes before the answer may be done before it. One that was not answered may never have arrived: an id that
        is seen after it named somebody until then.
        """
        seen = {id_: ask.order for ask in self.asks if ask.accepted for id_ in self.names.there(ask)}
        found: dict[str, int] = {}
        for ask in self.asks:
            if ask.method != "DELETE" or not ask.path.startswith("/Users/"):
                continue
            id_ = ask.path.rpartition("/")[2]
            if ask.refused and ask.status != 404:
                found.pop(id_, None)
            elif ask.accepted or ask.answered is None or ask.refused:
                found.setdefault(id_, ask.answered or max(ask.order, seen.get(id_, 0)))
        return found

    def others(self, key: str) -> frozenset[str]:
        """Return the accounts that stand for the same person, where a new userName makes the account anew."""
        if not self.record.moves:
            return frozenset()
        same = [keys for id_ in self.names.users if key in (keys := self.names.member(id_))]
        return frozenset().union(*same) - {key}

    # -- Who was named -----------------------------------------------------------------------------------------------

    @cached_property
    def first_named(self) -> dict[str, int]:
        """When a client first named each account."""
        found: dict[str, int] = {}
        for words in (self.access, self.members):
            for key, named in words.items():
                for word in named[:1]:  # they are in order
                    found[key] = min(found.get(key, word.ask.order), word.ask.order)
        for ask in self.asks:  # a change of a name, or any other, is a word about somebody as well
            kind, _, id_ = ask.path.partition("?")[0].strip("/").partition("/")
            if kind == "Users" and id_ and ask.method not in {"GET", "DELETE"}:
                for key in self.names.member(id_):
                    found[key] = min(found.get(key, ask.order), ask.order)
        return found

    def is_anothers(self, key: str, id_: str, order: int) -> bool:
        """Whether an account was handed over to another User than this one, which a client wants to have access.

        A creation that nobody was told an id of makes another one, if this one had given up its name.
        """
        last: dict[str, Word] = {}
        for one in self.access[key]:
            own = one.user == id_ or (not one.user and not self.names.gave_up(id_, one.name, one.ask.order))
            if not own and one.ask.order < order and not one.ask.refused:
                last[one.user] = one
        return any(one.kind == "in" for one in last.values())

    def is_unrecognisable(self, key: str, id_: str, order: int) -> bool:
        """Whether nobody but the client could tell that an account is that of a User."""
        return self._is_namesakes(key, id_, order) or self._was_lost(key, order)

    def _is_namesakes(self, key: str, id_: str, order: int) -> bool:
        """Whether an account was made by hand under an address that is not a User's any more.

        The client had given the User another name before it was first made; or the User's own account had the address,
        was given another one by hand, and is still there.
        """
        made = [one for one in self.changes[key] if one.by == "hand" and one.before is None and one.order < order]
        if not made or made[-1].after is None:
            return False
        if made[0] is self.changes[key][0] and self.names.gave_up(id_, made[-1].after.email, made[-1].order):
            return True
        lost = {
            other for other, until in self.names.spans[person_named(made[-1].after.email)] if until < made[-1].order
        }
        there = [other for other in lost & self.names.member(id_) if self.account(other, made[-1].order) is not None]
        return any(self.account(other, order) is not None for other in there if other != key)

    def _was_lost(self, key: str, order: int) -> bool:
        """Whether an account that the bridge made was given another address by hand before that was known.

        No client had been told of the creation by then, nor had the bridge seen the account: HubSpot's answer was lost,
        and it keeps no key of ours by which the account could be found again.
        """
        makings = [one.order for one in self.changes[key] if one.by == "bridge" and one.before is None]
        made = max((making for making in makings if making < order), default=END)
        hands = self.by_hand(key, made, order)
        readdressed = (one for one in hands if one.before and one.after and one.before.email != one.after.email)
        moved = next((one.order for one in readdressed), made)
        told = (word.ask for word in self.access[key] if word.kind == "in" and word.ask.succeeded)
        return made < moved and not (
            any(made < (ask.answered or 0) < moved for ask in told)
            or any(
                made < call.order < moved and call.status == 200 and not call.fault and key in self.names.called(call)
                for call in self.record.calls
            )
        )

    # -- What was wanted -----------------------------------------------------------------------------------------------

    def wants_access(self, key: str, order: int, *, wanted: bool, users: Collection[str] | None = None) -> bool:
        """Whether a client's word asks for somebody's access, or its end, and none that was confirmed overrules it.

        :param users: Only words about these Users count; ``None``: all do.
        """
        words = [word for word in self.access[key] if users is None or word.user in users]
        return stands(
            [word for word in words if (word.kind == "in") == wanted],
            [word for word in words if (word.kind == "in") != wanted],
            order,
        )

    @staticmethod
    def overlap(one: Ask, other: Ask) -> bool:
        """Whether the first of two requests came later than the second, or was not answered yet when that came."""
        if one.order >= other.order:
            return True
        return other.at - one.at < UNDER_WAY if one.answered is None else one.answered > other.order

    def is_asked_for(self, id_: str, change: Change) -> bool:
        """Whether the resource of a SCIM id is one that a client wants to have access when an account changes."""
        words = [word for word in self.access[change.key] if word.user == id_ and not word.ask.refused]
        before = [word for word in words if word.ask.order < change.order]
        return bool(before) and before[-1].kind == "in"

    def wants_set(self, key: str, name: str, order: int, users: Collection[str] | None = None) -> bool:
        """Whether a client's word puts somebody into a group of this name; ``users`` as in :meth:`wants_access`."""
        joins = [word for word in self._joins(key) if name in self.sets_of(word)]
        takes = self.takes(key, name)
        if users is not None:
            joins = [word for word in joins if word.user in users]
            takes = (word for word in takes if not word.user or word.user in users)
        return stands(joins, list(takes), order)

    def _joins(self, key: str) -> Iterator[Word]:
        yield from (word for word in self.members[key] if word.kind == "join")

    def was_put_in(self, key: str, word: Word) -> bool:
        """Whether a client had put somebody into the group of a word, and no confirmed word had taken them since.

        One that was accepted, and after which HubSpot showed them without the set, has: a hand gave it since.
        """
        before, sets = word.ask.order, self.sets_of(word)

        def last(words: list[Word]) -> int:
            return max((one.ask.order for one in words if one.ask.order < before), default=-1)

        def came_true(ask: Ask) -> bool:
            shown = [self.account(key, ask.order)]
            shown += [one.after for one in self.changes[key] if ask.order < one.order < before]
            return ask.accepted and any(account is None or not account.sets & sets for account in shown)

        same = [one for one in self.members[key] if one.group == word.group]
        taken = [one for one in same if one.kind == "leave"]
        taken += [one for one in self.whole if one.group == word.group and self._omits(one, key)]
        taken += [one for one in self.access[key] if one.ask.method == "DELETE"]
        ended = [one for one in taken if one.ask.answered is not None and one.ask.answered < before]
        ended = [one for one in ended if one.ask.succeeded or came_true(one.ask)]
        joined = [
            one
            for one in same
            if one.kind == "join"
            and one.ask.succeeded
            and not self.is_unrecognisable(key, one.user, before)
            and not self.is_anothers(key, one.user, before)
            and self.ended.get(one.user, END) > before
        ]
        return last(joined) > last(ended)

    def takes(self, key: str, name: str) -> Iterator[Word]:
        """Yield the words that take a set from somebody."""
        for word in self.members[key]:
            if word.kind == "leave" and name in self.sets_of(word):
                yield word
        for word in self.whole:
            if self._omits(word, key) and name in self.sets_of(word):
                yield word
        for word in self.access[key]:
            if word.ask.method == "DELETE":
                yield word

    def _omits(self, word: Word, key: str) -> bool:
        """Whether a word about a whole group leaves somebody out."""
        return word.kind == "drop" or key not in {one for id_ in word.users for one in self.names.member(id_)}

    def sets_of(self, word: Word) -> frozenset[str]:
        """Return the names that a word's group ever had: the set it stands for keeps one of them when it is renamed."""
        known = self.names.groups
        same = [known.get(word.group, set())] if word.group else [one for one in known.values() if word.name in one]
        return frozenset({word.name}.union(*same))


def stands(words: list[Word], against: list[Word], order: int) -> bool:
    """Whether one of some words still counts at a moment, though others were said against it.

    A word against it that was confirmed overrules what was said before; of two that are under way, either may be done.
    """
    over = [word.ask for word in against if word.ask.succeeded and (word.ask.answered or order) < order]
    last = max(over, key=lambda ask: ask.order) if over else None
    for word in words:
        ask = word.ask
        if ask.order > order or (word.is_void and (ask.answered or order) < order):
            continue
        if last is None or ask.order > last.order:
            return True
        open_ = ask.answered is None and last.at - ask.at < UNDER_WAY
        if open_ or (ask.answered is not None and ask.answered > last.order):
            return True
    return False
