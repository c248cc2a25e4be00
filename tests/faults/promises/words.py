"""What clients asked for, read from their requests as RFC 7644 has them, and whom their ids and names stand for."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.faults.promises.record import Ask, Call, Record

MEMBER = re.compile(r'members\[\s*value\s+eq\s+"([^"]+)"\s*\]', re.IGNORECASE)
END = 10**9
"""Later than everything."""
FILTER = re.compile(r'filter=userName eq "([^"]+)"', re.IGNORECASE)
CALLED = re.compile(r"/(?:settings/users/[^/]+|scim/v2/Users)/(?!roles|teams|seats)([^/?]+)")
"""The person in the path of a call."""
TOMBSTONE = re.compile(r"[0-9a-f]{32}(.+@.+)")
"""How Entra ID renames whom it deletes: the object id without dashes, then the name."""

Kind = Literal["in", "out", "join", "leave", "only", "drop"]


@dataclass(frozen=True, slots=True)
class Word:
    """One thing that a client asked for.

    :param kind: ``in`` and ``out``: somebody's access · ``join`` and ``leave``: a member of a group · ``only``: the
        only members of a group · ``drop``: no such group any more.
    :param user: The SCIM id of whom it is about; empty when only a name is known.
    :param name: The userName, or the displayName of a group.
    :param group: The SCIM id of the group; empty when only a name is known.
    :param users: SCIM ids of the only members.
    """

    ask: Ask
    kind: Kind
    user: str = ""
    name: str = ""
    group: str = ""
    users: frozenset[str] = frozenset()

    @property
    def is_void(self) -> bool:
        """Whether its refusal ended it.

        A removal that was refused stays wanted, and of a group's members the refusal is about those it names.
        """
        return self.kind == "in" and self.ask.refused


def words_of(ask: Ask) -> Iterator[Word]:
    """Yield what an operation asks for; a read asks for nothing."""
    path = ask.path.partition("?")[0]
    kind, _, id_ = path.strip("/").partition("/")
    if ask.method == "GET" or kind not in {"Users", "Groups"}:
        return
    if kind == "Users":
        yield from _of_user(ask, id_ or str(ask.answer.get("id", "")))
    else:
        yield from _of_group(ask, id_ or str(ask.answer.get("id", "")))


def _of_user(ask: Ask, id_: str) -> Iterator[Word]:
    if ask.method == "DELETE":
        yield Word(ask, "out", id_)
        return
    name = str(ask.document.get("userName", ""))
    values = [("active", ask.document["active"])] if "active" in ask.document else []
    if ask.method == "POST":
        values = values or [("active", True)]
    elif ask.method == "PATCH":
        values = [(path, value) for op, path, value in operations(ask.document) if op != "remove"]
        name = ""
    for path, value in values:
        if path.lower() == "active":
            yield Word(ask, "in" if str(value).lower() == "true" else "out", id_, name)


def _of_group(ask: Ask, id_: str) -> Iterator[Word]:
    if ask.method == "DELETE":
        yield Word(ask, "drop", group=id_)
        return
    name = str(ask.document.get("displayName", ""))
    if ask.method != "PATCH":
        members = frozenset(values_of(ask.document.get("members")))
        for member in members:
            yield Word(ask, "join", member, name, id_)
        if ask.method == "PUT":
            yield Word(ask, "only", "", name, id_, members)
        return
    for op, path, value in operations(ask.document):
        named = MEMBER.match(path)
        if named and op == "remove":
            yield Word(ask, "leave", named[1], "", id_)
        elif path.lower() == "members":
            members = frozenset(values_of(value))
            for member in members:
                yield Word(ask, "leave" if op == "remove" else "join", member, "", id_)
            if op == "replace" or (op == "remove" and value is None):
                yield Word(ask, "only", "", "", id_, members)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield op, path and value of a PATCH; one without path says several (RFC 7644 §3.5.2)."""
    for operation in document.get("Operations") or ():
        op, path, value = str(operation.get("op", "")).lower(), operation.get("path"), operation.get("value")
        if path is None and isinstance(value, dict):
            yield from ((op, name, one) for name, one in value.items())
        else:
            yield op, str(path or ""), value


def values_of(members: Any) -> Iterator[str]:
    """Yield the ids of members."""
    for member in [members] if isinstance(members, dict) else members or ():
        if isinstance(member, dict) and "value" in member:
            yield str(member["value"])


def person_named(name: str) -> str:
    """Return whom a userName stands for: in lower case, without what Entra ID puts before the name of the deleted."""
    folded = name.strip().casefold()
    found = TOMBSTONE.fullmatch(folded)
    return found[1] if found else folded


class Names:
    """Who is who: userNames and groups' names by SCIM id, HubSpot's ids by address."""

    def __init__(self, record: Record, asks: list[Ask]) -> None:
        self.users: defaultdict[str, set[str]] = defaultdict(set)
        self.groups: defaultdict[str, set[str]] = defaultdict(set)
        self.since: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self._called: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self.spans: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._looks: defaultdict[str, list[int]] = defaultdict(list)
        asked: dict[tuple[str, str], int] = {}
        for ask in asks:
            made = (str(ask.document.get("userName")), str(ask.document.get("externalId")))
            if ask.method == "POST" and ask.path.startswith("/Users"):
                asked.setdefault(made, ask.order)
            self._learn(ask, asked)
            if ask.succeeded and ask.method == "POST":
                asked.pop(made, None)
            self._write_down(ask)
            if ask.method == "PATCH" and ask.path.startswith("/Groups/") and not ask.refused:
                called = [str(value) for _, path, value in operations(ask.document) if path.lower() == "displayname"]
                self.groups[ask.path.rpartition("/")[2]].update(called)
        if record.moves:  # it may have made the account anew, though nobody was told
            for id_, given in self._called.items():
                self.users[id_].update(person_named(name) for _, name in given if name)
        self._watch(record)

    def _watch(self, record: Record) -> None:
        """Take over who had which address until when, which accounts the bridge made, and when it was shown them."""
        now = {key: person_named(account.email) for key, account in record.initial.items()}
        for change in record.changes:
            if change.by == "bridge" and change.before is None:
                self.made.setdefault(change.key, change.order)
            if change.key in now:
                self.spans[now.pop(change.key)].append((change.key, change.order))
            if change.after is not None:
                now[change.key] = person_named(change.after.email)
        for key, email in now.items():
            self.spans[email].append((key, END))
        for call in record.calls:
            if call.status == 200 and not call.fault and (found := CALLED.match(call.path)):
                self._looks[person_named(found[1])].append(call.order)

    def _learn(self, ask: Ask, asked: dict[tuple[str, str], int]) -> None:
        """Take over what an answer tells.

        :param asked: When creations were first sent of which no client was told that they are done, by userName and
            externalId: an answer to them, or a look, tells the id.
        """
        told = [ask.answer, *(ask.answer.get("Resources") or ())] if ask.succeeded else []
        if ask.succeeded and ask.path.startswith(("/Users", "/Groups")) and ask.method in {"POST", "PUT"}:
            told.append({**ask.document, "id": ask.answer.get("id", "")})
        for one in told:
            id_ = str(one.get("id", ""))
            if id_ and isinstance(one.get("userName"), str):
                self.users[id_].add(person_named(one["userName"]))
                self.since[id_] = min(self.since.get(id_, END), ask.answered or ask.order)
                first = asked.get((one["userName"], str(one.get("externalId"))), END)
                self.asked[id_] = min(self.asked.get(id_, END), first)
            if id_ and isinstance(one.get("displayName"), str) and "userName" not in one:
                self.groups[id_].add(one["displayName"])

    @staticmethod
    def there(ask: Ask) -> Iterator[str]:
        """Yield the SCIM ids of the Users whom an accepted operation changes, or its answer shows."""
        kind, _, id_ = ask.path.partition("?")[0].strip("/").partition("/")
        if kind == "Users" and id_ and ask.method != "GET":
            yield id_
        for one in (ask.answer, *(ask.answer.get("Resources") or ())):
            if isinstance(one.get("userName"), str):
                yield str(one.get("id", ""))

    def _write_down(self, ask: Ask) -> None:
        """Note how a client calls a User from now on; one that was told as deleted has no name."""
        kind, _, id_ = ask.path.strip("/").partition("/")
        if kind != "Users" or not id_ or ask.refused:
            return
        if ask.method == "DELETE" and ask.succeeded:
            self._called[id_].append((ask.order, ""))
        elif ask.method == "PUT":
            self._called[id_].append((ask.order, str(ask.document.get("userName", "")).casefold()))
        for _, path, value in operations(ask.document) if ask.method == "PATCH" else ():
            if path.casefold() == "username":
                self._called[id_].append((ask.order, str(value).casefold()))

    def gave_up(self, id_: str, name: str, order: int) -> bool:
        """Whether a User had been given another userName by a moment, or was deleted: the name was free then."""
        called = [given for at, given in self._called[id_] if at < order]
        return bool(called) and called[-1] != name.strip().casefold()

    def renamed_to(self, address: str, order: int) -> frozenset[str] | None:
        """Return who was called by an address that Entra ID gives to whom it deletes; ``None``: it is no such one."""
        name = address.strip().casefold()
        if not TOMBSTONE.fullmatch(name):
            return None
        last = {id_: [given for at, given in called if at < order][-1:] for id_, called in self._called.items()}
        return frozenset(id_ for id_, given in last.items() if given == [name]) or None

    def who(self, word: Word) -> frozenset[str]:
        """Return the HubSpot ids of whom a word names; where it tells no id, of the User who has the name as well."""
        names = set(self.users.get(word.user, ())) | (
            {person_named(word.name)} if word.kind in {"in", "out"} else set()
        )
        named = self.with_addresses(names, self.since.get(word.user, word.ask.order), self.asked.get(word.user, END))
        return named.union(*(self.member(id_) for id_ in self._having(word)))

    def _having(self, word: Word) -> Iterator[str]:
        """Yield the Users who have the name of a word about a person that tells no id."""
        order, name = word.ask.order, person_named(word.name)
        for id_, names in self.users.items() if word.kind in {"in", "out"} and not word.user else ():
            if name in names and self.since[id_] < order and not self.gave_up(id_, word.name, order):
                yield id_

    def member(self, id_: str) -> frozenset[str]:
        """Return the HubSpot ids of whom a SCIM id stands for."""
        return self.with_addresses(self.users.get(id_, set()), self.since.get(id_, 0), self.asked.get(id_, END))

    def called(self, call: Call) -> frozenset[str]:
        """Return whom a call is about, by HubSpot's id and by the address that it names; empty for nobody."""
        found = CALLED.match(call.path)
        who = person_named(found[1] if found else call.whom)
        return self.with_addresses({who}) | {who} if who else frozenset()

    def with_addresses(self, names: set[str], since: int = 0, asked: int = END) -> frozenset[str]:
        """Return the HubSpot ids of accounts that had one of these addresses at a moment, or got it later.

        So an id stands for no account whose address was another one before a client first heard of that id, but for one
        that the bridge had made, or found under the address, since the client asked for it.
        """
        return frozenset(
            key
            for name in names
            for key, until in self.spans.get(name, ())
            if until > since
            or any(asked < order < until for order in (self.made.get(key, -1), *self._found(key, name)))
        )

    def _found(self, key: str, name: str) -> list[int]:
        """Return when an account, or an address, was looked at, and HubSpot showed it."""
        return [*self._looks.get(key, ()), *self._looks.get(name, ())]
