"""Scripted faults: what goes wrong, on which calls, how often.

A fault strikes the calls that its method and path match. It may wait for the nth of them, strike a number of times,
last a number of seconds, or strike at random by a seed. Every strike is counted.
"""

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

FaultKind = Literal[
    "unauthorized",
    "wrong_scope",
    "locked",
    "rate_secondly",
    "rate_ten_secondly",
    "rate_daily",
    "migration",
    "error",
    "drop_before",
    "drop_after",
    "half",
    "slow",
    "content_type",
    "malformed",
    "oversized",
    "edge",
    "mixed_up",
    "unkept",
]
"""What can go wrong:

``unauthorized`` 401 · ``wrong_scope`` 403 MISSING_SCOPES naming a scope that is not the one · ``locked`` 423 ·
``rate_secondly``, ``rate_ten_secondly``, ``rate_daily`` 429 · ``migration`` 477 · ``error`` any ``status``, 500
unless told · ``drop_before`` and ``drop_after`` the connection is reset before or after the call takes effect ·
``half`` half of the body, then the end · ``slow`` the answer comes after ``delay`` seconds · ``content_type`` an HTML
page with status 200 · ``malformed`` broken JSON · ``oversized`` a body of ``size`` bytes · ``edge`` the answer of a
gateway or an edge that HubSpot never saw: any ``status``, 404 unless told, written as ``media`` says · ``mixed_up`` the
record of another person, as a proxy or a cache that mixes up answers gives it · ``unkept`` HubSpot answers that a PUT
was done and leaves everything as it was, or that a POST gave a permission set and teams and makes the bare account.
"""

Media = Literal["json", "html", "plain", "empty"]
"""How the body of an ``edge`` is written."""

STATUSES: dict[str, int] = {
    "unauthorized": 401,
    "wrong_scope": 403,
    "locked": 423,
    "rate_secondly": 429,
    "rate_ten_secondly": 429,
    "rate_daily": 429,
    "migration": 477,
    "error": 500,
    "edge": 404,
}
"""The kinds that answer with an error status."""

AFTER_COMMIT = frozenset({"drop_after", "half", "slow", "content_type", "malformed", "oversized", "mixed_up", "unkept"})
"""The kinds that strike when the call has taken effect."""

TRANSIENT: tuple[FaultKind, ...] = (
    "locked",
    "rate_secondly",
    "rate_ten_secondly",
    "error",
    "drop_before",
    "drop_after",
    "half",
    "content_type",
    "malformed",
)
"""The kinds a connector must survive by trying again; the usual choice for random faults."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule.

    :param kind: What goes wrong.
    :param method: The method it strikes; ``None`` for all.
    :param path: A regular expression that is found in the path, ``""`` for all.
    :param nth: Strikes from the nth matching call on, counted from 1.
    :param times: How many strikes; ``None`` for no end.
    :param seconds: How long it lasts from when it was added; ``None`` for no end.
    :param rate: The probability of a strike on a matching call.
    :param status: The status of ``error``: 500, 502, 503, 504, 521, 523, 524, …; or of ``edge``: 400, 403, 404, 408,
        410, 421, 488, …
    :param media: How the body of ``edge`` is written.
    :param commit: Whether the call takes effect although it answers an error status.
    :param retry_after: Seconds in a ``Retry-After`` header; ``None`` for no header.
    :param retry_after_date: Writes the header as an HTTP-date.
    :param delay: Seconds that ``slow`` takes.
    :param size: Bytes that ``oversized`` sends.
    """

    kind: FaultKind
    method: str | None = None
    path: str = ""
    nth: int = 1
    times: int | None = 1
    seconds: float | None = None
    rate: float = 1.0
    status: int = 0
    media: Media = "json"
    commit: bool = False
    retry_after: float | None = None
    retry_after_date: bool = False
    delay: float = 0.0
    size: int = 20_000_000

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"no fault {self.kind!r}; kinds: {', '.join(get_args(FaultKind))}")
        if self.media not in get_args(Media):
            raise ValueError(f"no media {self.media!r}; there are: {', '.join(get_args(Media))}")
        re.compile(self.path)

    @property
    def answers(self) -> int:
        """The status it answers with; 0 when the answer is HubSpot's own, whatever becomes of it."""
        return self.status or STATUSES.get(self.kind, 0)

    @property
    def commits(self) -> bool:
        """Whether a call it strikes takes effect."""
        return self.commit or self.kind in AFTER_COMMIT

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "Fault":
        """Return the fault of a JSON object.

        :raises ValueError: For an unknown field or kind; the message says which there are.
        """
        known = {entry.name for entry in fields(cls)}
        if "kind" not in values or not set(values) <= known:
            raise ValueError(f"a fault has kind and may have {', '.join(sorted(known - {'kind'}))}")
        try:
            return cls(**values)
        except (TypeError, re.error) as error:
            raise ValueError(str(error)) from None


@dataclass(slots=True)
class Rule:
    """A fault in force."""

    id: int
    fault: Fault
    started: float
    random: random.Random
    seen: int = 0
    fired: int = 0

    def spent(self, now: float) -> bool:
        """Tell whether it will never strike again."""
        timed_out = self.fault.seconds is not None and now >= self.started + self.fault.seconds
        return timed_out or (self.fault.times is not None and self.fired >= self.fault.times)


@dataclass(slots=True)
class Faults:
    """The faults in force, first added first asked.

    :param clock: Monotonic seconds.
    :param seed: Makes random faults.
    """

    clock: Callable[[], float]
    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, kind: FaultKind | Fault, **values: Any) -> Rule:
        """Add a fault, given whole or by its kind and fields; the rule tells how often it struck."""
        fault = replace(kind, **values) if isinstance(kind, Fault) else Fault(kind, **values)
        number = next(self._ids)
        rule = Rule(number, fault, self.clock(), random.Random(f"{self.seed}/{number}"))
        self.rules.append(rule)
        return rule

    def outage(self, *, seconds: float | None = None, calls: int | None = None, **values: Any) -> Rule:
        """Let HubSpot be down, with 503 unless told, for so many seconds or calls."""
        return self.add("error", **{"status": 503, "times": calls, "seconds": seconds} | values)

    def gone(self, path: str, *, seconds: float | None = None, **values: Any) -> Rule:
        """Let the routes in which a regular expression is found be gone, with a gateway's 404 unless told."""
        return self.add("edge", **{"path": path, "times": None, "seconds": seconds} | values)

    def random(
        self, rate: float, kinds: Iterable[FaultKind] = TRANSIENT, *, seed: int | None = None, **values: Any
    ) -> list[Rule]:
        """Let each call fail with a probability, in all of these ways alike.

        :param seed: Repeats a history; the emulator's own by default.
        """
        chosen = list(kinds)
        rules = [self.add(kind, **{"rate": rate / len(chosen), "times": None} | values) for kind in chosen]
        for position, rule in enumerate(rules):
            rule.random = random.Random(f"{self.seed if seed is None else seed}/{position}/{rule.fault.kind}")
        return rules

    def clear(self, rule_id: int | None = None) -> None:
        """Drop one fault, or all; the counts stay."""
        self.rules = [rule for rule in self.rules if rule_id is not None and rule.id != rule_id]

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes a call, if any, and count it."""
        now, struck = self.clock(), None
        for rule in self.rules:
            fault = rule.fault
            if rule.spent(now) or fault.method not in (None, method) or not re.search(fault.path, path):
                continue
            rule.seen += 1
            if struck is None and rule.seen >= fault.nth and rule.random.random() < fault.rate:
                rule.fired += 1
                self.fired[fault.kind] += 1
                struck = fault
        self.rules = [rule for rule in self.rules if not rule.spent(now)]
        return struck

    def as_list(self) -> list[dict[str, Any]]:
        """Return the faults in force, for the control API and the page."""
        return [{"id": rule.id, "fired": rule.fired, "seen": rule.seen, **asdict(rule.fault)} for rule in self.rules]
