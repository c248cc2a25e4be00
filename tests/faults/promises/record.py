"""What can be seen from outside of a bridge: what clients sent and were answered, and what HubSpot shows.

A record is kept while something runs and judged when it is over. It knows neither the bridge's database nor any of its
modules: an account is what HubSpot's pages show, a request is the bytes on the wire.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

UNACCEPTED = re.compile(r"\b(?:not|nothing was) accepted\b")
"""What a client is told by whoever has taken nothing in."""
REFERENCE = re.compile(r'(?<=[/"])bulkId:([^"\\]+)(?=\\?")')
TARGET = re.compile(r"/(?:Users|Groups|Bulk)(?:/[^/?]+)?(?:\?.*)?$")


class Account(NamedTuple):
    """What HubSpot shows of somebody.

    :param email: The address, in lower case.
    :param access: Whether the person gets in.
    :param sets: Names of permission sets and teams.
    :param admin: Whether the person is a Super Admin.
    """

    email: str
    access: bool
    sets: frozenset[str] = frozenset()
    admin: bool = False


@dataclass(slots=True, eq=False)
class Ask:
    """One SCIM operation as the bridge got it: a request, or a part of a Bulk request.

    :param order: When it arrived, in the order of everything in the record.
    :param at: When that was, in seconds.
    :param path: Below the base URL, with the query, percent-decoded.
    :param answered: When it was answered, in the same order; ``None`` when it was not.
    :param status: The status; 0 while there is no answer.
    :param retry_after: The header as it came.
    :param answer: The JSON object of the answer; empty for none.
    """

    order: int
    at: float
    method: str
    path: str
    document: Mapping[str, Any]
    answered: int | None = None
    answered_at: float = 0.0
    status: int = 0
    retry_after: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether the client was told that it is so."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the client was told that it will not be so."""
        return 400 <= self.status < 500 and self.status != 429

    @property
    def accepted(self) -> bool:
        """Whether the client was told that it is so, or will be."""
        return self.succeeded or (self.status == 429 and not UNACCEPTED.search(str(self.answer.get("detail", ""))))

    def __str__(self) -> str:
        return f"{self.method} {self.path} answered {self.status or 'nothing'} at {self.answered_at:.3f} s"


class Change(NamedTuple):
    """An account became another. :param key: HubSpot's id. :param by: Who did it: the bridge, or a person by hand."""

    order: int
    at: float
    by: Literal["bridge", "hand"]
    key: str
    before: Account | None
    after: Account | None


class Call(NamedTuple):
    """A call that reached HubSpot, or what stands before it.

    :param fault: What answered instead of HubSpot, or what became of its answer; empty: it answered itself.
    :param whom: The address of whom it creates; empty for all other calls.
    """

    order: int
    at: float
    method: str
    path: str
    status: int
    fault: str
    whom: str = ""


@dataclass(slots=True)
class Record:
    """Everything that was seen.

    :param clock: Returns seconds.
    :param limit: The most calls in a rolling window, and its seconds.
    :param strength: Permission sets of which an account holds one, the strongest first.
    :param privileged: Names of sets, and how many grants of them may be made without an operator.
    :param protected: Addresses of accounts that are never to be changed.
    :param secrets: What no line of a log may hold.
    :param lines: Lines of the log.
    :param moves: Whether a new userName makes a new account, and the old one is removed once that is there.
    :param approved: When an operator approved all that was held; 0 for never.
    :param rested: Whether everything had come to rest when the record was ended.
    :param lists: What a client read in the end: Users, then Groups.
    """

    clock: Callable[[], float]
    limit: tuple[int, float] | None = None
    strength: tuple[str, ...] = ()
    privileged: tuple[frozenset[str], int] = (frozenset(), 0)
    protected: frozenset[str] = frozenset()
    secrets: set[str] = field(default_factory=set)
    asks: list[Ask] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    initial: dict[str, Account] = field(default_factory=dict)
    moves: bool = False
    approved: int = 0
    rested: bool = False
    lists: tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] | None = None
    _order: int = 0

    def began(self, accounts: Mapping[str, Account]) -> None:
        """Note what there is before anything happens."""
        self.initial, self.accounts = dict(accounts), dict(accounts)

    def next(self) -> int:
        """Return the next place in the order of everything."""
        self._order += 1
        return self._order

    def start(self) -> None:
        """Note that a bridge starts."""
        self.starts.append(self.clock())

    def approve(self) -> None:
        """Note that an operator approves all that is held."""
        self.approved = self.next()

    def asked(self, method: str, target: str, body: bytes) -> Ask | None:
        """Note that a request reaches the bridge; ``None`` when it is about nobody."""
        found = TARGET.search(target)
        if found is None:
            return None
        ask = Ask(self.next(), self.clock(), method, unquote(found[0]), object_of(body))
        self.asks.append(ask)
        return ask

    def answered(self, ask: Ask, status: int, retry_after: str, body: bytes) -> None:
        """Note how a request was answered."""
        ask.answered, ask.answered_at, ask.status, ask.retry_after = self.next(), self.clock(), status, retry_after
        ask.answer = object_of(body)

    def called(self, method: str, path: str, status: int, fault: str, body: bytes = b"") -> None:
        """Note a call."""
        whom = str(object_of(body).get("email", "")) if method == "POST" else ""
        self.calls.append(Call(self.next(), self.clock(), method, path, status, fault, whom))

    def shows(self, by: Literal["bridge", "hand"], accounts: Mapping[str, Account]) -> None:
        """Note what HubSpot shows now, by HubSpot's id, and who has done what is new in it."""
        for key in self.accounts.keys() | accounts.keys():
            before, after = self.accounts.get(key), accounts.get(key)
            if before != after:
                self.changes.append(Change(self.next(), self.clock(), by, key, before, after))
        self.accounts = dict(accounts)

    def operations(self) -> Iterator[Ask]:
        """Yield all operations in order, those of Bulk requests each for itself."""
        for ask in self.asks:
            if ask.path.startswith("/Bulk"):
                yield from parts(ask)
            else:
                yield ask


def parts(bulk: Ask) -> Iterator[Ask]:
    """Yield the operations of a Bulk request, with the answer to each, and what they refer to (RFC 7644 §3.7)."""
    told = bulk.answer.get("Operations") or []
    made = {str(one.get("bulkId")): str(one["location"]).rpartition("/")[2] for one in told if "location" in one}
    for position, raw in enumerate(bulk.document.get("Operations") or []):
        operation = json.loads(REFERENCE.sub(lambda found: made.get(found[1], found[0]), json.dumps(raw)))
        outcome = told[position] if position < len(told) else {}
        status = int(str(outcome.get("status", bulk.status if not bulk.succeeded else 0)))
        answer = dict(outcome.get("response") or {})
        if "id" not in answer and "location" in outcome:
            answer["id"] = str(outcome["location"]).rpartition("/")[2]
        data = operation.get("data") or {}
        yield Ask(
            bulk.order, bulk.at, str(operation["method"]).upper(), operation["path"], data,
            bulk.answered if status else None, bulk.answered_at, status, "0", answer,
        )  # fmt: skip


def object_of(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a body; an empty one when there is none."""
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
