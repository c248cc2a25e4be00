"""The invariants of a bridge under faults, checked from outside while a history runs (I1–I5, I7–I10 as they happen).

What a client was told is compared with what the remote system holds at that instant; what was written there, with what
was durably desired before. Nothing is taken from the bridge's own word.
"""

import asyncio
import json
import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from scim_bridge.models import Lane
from scim_bridge.store.comparison import fold
from scim_bridge.upstream.responses import retry_after
from tests.faults.simulation.loop import Mortal
from tests.faults.simulation.network import Inbound, Outbound
from tests.faults.simulation.remote import Effect
from tests.faults.simulation.requests import Meaning, meaning_of
from tests.faults.simulation.weather import EPOCH
from tests.faults.simulation.witness import Desire

if TYPE_CHECKING:
    from tests.faults.simulation.world import World

ANSWER_WITHIN = 30.0
REMEMBERED = timedelta(seconds=50)
"""For how long after a write a bridge that starts takes the last one's calls into account."""

MEMORY = 45.0
"""Seconds for which something that was desired may still be on its way: one hook call and its answer."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold.

    :param invariant: ``I1`` to ``I10``.
    """

    invariant: str
    at: float
    detail: str


@dataclass(slots=True)
class Mutation:
    """A write that took effect in the remote system.

    :param ids: SCIM ids of the person's rows at that moment.
    :param after_event: The newest audit event at that moment.
    """

    subject: str
    kind: str
    ids: tuple[str, ...]
    after_event: int


@dataclass
class Oracle:
    """Watches one history.

    :param world: What it watches.
    """

    world: "World"
    violations: list[Violation] = field(default_factory=list)
    mutations: list[Mutation] = field(default_factory=list)
    touched: dict[str, float] = field(default_factory=dict)
    """When somebody was changed by hand last, by userName."""
    worked_on: dict[str, float] = field(default_factory=dict)
    """When the bridge last called about somebody, other than to compare."""
    written: dict[str, float] = field(default_factory=dict)
    """When the bridge last changed what somebody holds."""
    samples: dict[str, deque[tuple[float, Desire]]] = field(default_factory=lambda: defaultdict(deque))
    paused_until: dict[tuple[Mortal, str], float] = field(default_factory=dict)
    arrivals: deque[float] = field(default_factory=deque)
    unanswered_creations: dict[str, float] = field(default_factory=dict)
    started_at: float = 0.0
    ignorant_until: float = 0.0
    sampled_at_event: int = 0
    wrote_at: datetime = EPOCH - REMEMBERED
    """When the bridge last wrote to its audit trail, by its own clock."""
    unheard: set[tuple[str, str]] = field(default_factory=set)
    """What a client asked for without ever hearing that it was done: (userName, group or, for access, nothing)."""

    def violated(self, invariant: str, detail: str) -> None:
        """Note a violation."""
        now = asyncio.get_running_loop().time()
        self.violations.append(Violation(invariant, now, detail))
        self.world.note(f"*** {invariant}: {detail}")

    def starts(self) -> None:
        """Note that a bridge starts: it cannot know of calls when the one before it only read, and died."""
        self.started_at = now = asyncio.get_running_loop().time()
        if self.world.weather.clock(now) - self.wrote_at >= REMEMBERED and self.world.remote.limit is not None:
            self.ignorant_until = now + self.world.remote.limit[1]

    def clock_jumps(self) -> None:
        """Note that the wall clock jumps: how old a call is that a bridge before this one sent, nobody can tell now.

        Of its own calls a bridge knows by the loop's clock.
        """
        now = asyncio.get_running_loop().time()
        if self.world.remote.limit is None:
            return
        seconds = self.world.remote.limit[1]
        if self.world.listening() is None or now < self.started_at + seconds:
            self.ignorant_until = max(self.ignorant_until, now + seconds)

    def by_hand(self, subject: str) -> None:
        """Note that a person changed somebody in the remote system's own pages."""
        self.touched[fold(subject)] = asyncio.get_running_loop().time()

    # -- The bridge's calls ----------------------------------------------------------------------------------------

    def departed(self, call: Outbound) -> None:
        """Check what may be sent now (I4, I9), and remember what is desired of whom it is about."""
        now = call.left_at
        paused_until = self.paused_until.get((call.process, self.world.remote.budget_of(call.request)), 0.0)
        if now < paused_until - 0.001:
            self.violated("I9", f"a call {paused_until - now:.1f} s before the Retry-After had passed")
        subject = self.world.remote.subject_of(call.request)
        if not subject:
            return
        self._sample(subject)
        if call.lane is not Lane.READ:
            self.worked_on[subject] = now
        if call.request.method == "GET":
            self.unanswered_creations.pop(subject, None)
        elif subject in self.unanswered_creations:
            self.violated("I4", f"{call.request.method} about {subject} without a look after an unanswered creation")

    def returned(self, call: Outbound) -> None:
        """Learn what the remote system asked for, and which creations went unanswered."""
        response = call.response
        status = None if response is None else response.status_code
        self.world.note(
            f"   upstream {call.request.method} {call.request.url.path} -> {status or 'nothing'} [{call.lane.name}]"
        )
        if response is not None and status == 429 and (wait := retry_after(response)) is not None:
            whose = (call.process, self.world.remote.budget_of(call.request))
            paused_until = self.paused_until.get(whose, 0.0)
            self.paused_until[whose] = max(paused_until, asyncio.get_running_loop().time() + wait)
        subject = self.world.remote.subject_of(call.request)
        unclear = response is None or response.status_code >= 500 or not _is_json(response)
        if call.request.method == "POST" and subject and unclear and self._reached(call):
            self.unanswered_creations[subject] = call.left_at

    def _reached(self, call: Outbound) -> bool:
        """Whether a call that was not answered may have had an effect."""
        return not call.refused

    def effect(self, effect: Effect) -> None:
        """Check a call at the moment it takes effect (I1, I5, I7, I9)."""
        now = asyncio.get_running_loop().time()
        if not effect.budget:
            self._count(now, limited=effect.limited)
        if not effect.subject or not effect.committed:
            return
        self._sample(effect.subject)
        if effect.before.privileges != effect.after.privileges:
            self.written[effect.subject] = now
        self.world.note(f"   EFFECT {effect.kind} {effect.subject}: {effect.before} -> {effect.after}")
        if effect.subject in self.world.remote.untouched:
            self.violated("I7", f"{effect.kind} of {effect.subject}, whom no client provisioned")
        desire = self.world.witness.desire(effect.subject)
        if not desire.ids and not self.samples[effect.subject]:
            self.violated("I1", f"{effect.kind} of {effect.subject} without any durable intent")
        self.mutations.append(
            Mutation(effect.subject, effect.kind, self._ids(effect.subject), self.world.witness.last_event())
        )
        if effect.grants:
            self._check_grant(effect)

    def _check_grant(self, effect: Effect) -> None:
        desires = [desire for _, desire in self.samples[effect.subject]]
        if effect.after.active and not effect.before.active and not any(desire.active for desire in desires):
            self.violated("I5", f"{effect.subject} was let in though nobody wants that")
        gained = effect.after.privileges - effect.before.privileges
        allowed = {one for desire in desires for one in desire.groups}
        if gained - allowed:
            self.violated("I5", f"{effect.subject} was given {sorted(gained - allowed)} though nobody wants that")

    def _count(self, now: float, *, limited: bool) -> None:
        """Check the remote system's own limit; of calls before its start, a bridge knows by what was written then."""
        if self.world.remote.limit is None:
            return
        most, seconds = self.world.remote.limit
        self.arrivals.append(now)
        while self.arrivals[0] <= now - seconds:
            self.arrivals.popleft()
        started = now < self.started_at + seconds  # a bridge just started lets only removals through, within a tenth
        allowed = most + most // 10 if started else most
        if now >= self.ignorant_until and (len(self.arrivals) > allowed or (limited and not started)):
            self.violated("I9", f"{len(self.arrivals)} calls within {seconds:.0f} s, the limit is {most}")

    def committed(self) -> None:
        """Remember what is desired of everybody whenever that may have changed."""
        last = self.world.witness.last_event()
        if last != self.sampled_at_event:
            self.sampled_at_event = last
            self.wrote_at = self.world.weather.clock(asyncio.get_running_loop().time())
            for client in self.world.clients:
                for person in client.people:
                    self._sample(fold(person.user_name))

    def _sample(self, subject: str) -> None:
        now = asyncio.get_running_loop().time()
        samples = self.samples[subject]
        desire = self.world.witness.desire(subject)
        if not samples or samples[-1][1] != desire:
            samples.append((now, desire))
        while len(samples) > 1 and samples[1][0] < now - MEMORY:
            samples.popleft()

    def _ids(self, subject: str) -> tuple[str, ...]:
        return tuple(sorted({id_ for _, desire in self.samples[subject] for id_ in desire.ids}))

    # -- The bridge's answers ----------------------------------------------------------------------------------------

    def asked(self, exchange: Inbound) -> None:
        """Remember what is asked for: a client that never hears of it may forget it."""
        self.unheard |= set(self._asked_for(meaning_of(exchange)))

    def heard(self, exchange: Inbound) -> None:
        """Forget what the client was told of."""
        if 200 <= (exchange.status or 0) < 300:
            self.unheard -= set(self._asked_for(meaning_of(exchange)))

    def _asked_for(self, meaning: Meaning) -> Iterator[tuple[str, str]]:
        if meaning.kind == "Users" and meaning.active is not None:
            yield fold(meaning.name) if meaning.name else self.world.person_of(meaning.id), ""
        if meaning.kind == "Groups" and (group := self.world.group_of(meaning.id)):
            ids = meaning.joining | meaning.leaving
            if meaning.only is not None:
                ids |= {one.remote_id for client in self.world.clients for one in client.provider.believed.values()}
            for member in ids:
                yield self.world.person_of(member), group

    def answered(self, exchange: Inbound) -> None:
        """Check an answer at the moment it leaves the bridge (I2, I10)."""
        took = (exchange.answered_at or 0.0) - (exchange.arrived_at or 0.0)
        status = exchange.status or 0
        self.world.note(f"{exchange.client}: {exchange.method} {exchange.path} -> {status} after {took:.2f} s")
        if took >= ANSWER_WITHIN:
            self.violated("I10", f"{exchange.method} {exchange.path} was answered after {took:.1f} s")
        if status >= 500:
            self.violated("I10", f"{exchange.method} {exchange.path} was answered {status}: {exchange.answer[:200]!r}")
        if status == 429 and not (exchange.retry_after or "").isdigit():
            self.violated("I10", f"429 with Retry-After {exchange.retry_after!r}, which Okta cannot read")
        if status in (401, 403) and b"HubSpot" not in exchange.answer and b"protected" not in exchange.answer:
            self.violated("I10", f"{exchange.method} {exchange.path} was answered {status}: {exchange.answer[:200]!r}")
        if 200 <= status < 300:
            self._check_claims(exchange, meaning_of(exchange))

    def _check_claims(self, exchange: Inbound, meaning: Meaning) -> None:
        if meaning.kind == "Users" and meaning.active is not None:
            name = fold(meaning.name) if meaning.name else self.world.person_of(meaning.id)
            if name:
                self._check_access(exchange, name, wanted=meaning.active)
        elif meaning.kind == "Groups":
            self._check_members(exchange, meaning)

    def _check_access(self, exchange: Inbound, name: str, *, wanted: bool) -> None:
        holding = self.world.remote.holding(name)
        arrived = exchange.arrived_at or 0.0
        touched = self.touched.get(name, -math.inf)
        if not wanted and holding.active and touched < arrived and not self._only_touched(name):
            self.violated("I2", f"{exchange.status} to the removal of {name}, who still has access")
        asked = self.worked_on.get(name, -math.inf)
        removed_meanwhile = arrived <= touched and _shown_inactive(exchange.answer)
        if wanted and not holding.active and asked >= arrived and touched < asked and not removed_meanwhile:
            self.violated("I2", f"{exchange.status} to the provisioning of {name}, who has no access")

    def _only_touched(self, name: str) -> bool:
        """Whether somebody has access only because a person gave it, of which the bridge cannot know yet."""
        return self.touched.get(name, -math.inf) >= self.worked_on.get(name, -math.inf)

    def _check_members(self, exchange: Inbound, meaning: Meaning) -> None:
        client = next(one for one in self.world.clients if one.name == exchange.client)
        provider = client.provider
        group = next((one for one, belief in provider.believed_groups.items() if belief.remote_id == meaning.id), None)
        if group is None or group not in provider.groups:
            return
        name = provider.groups[group].name
        for member in meaning.joining:
            self._check_joined(exchange, self.world.person_of(member))
        for belief in provider.believed.values():
            gone = belief.remote_id in meaning.leaving
            gone = gone or (meaning.only is not None and belief.remote_id not in meaning.only)
            person = self.world.person_of(belief.remote_id)
            if not gone or name not in self.world.remote.holding(person).privileges:
                continue
            if self.touched.get(person, -math.inf) >= self.written.get(person, -math.inf):
                continue  # given by hand since, and nothing but a comparison has to notice
            if person not in self.touched or not self.world.witness.desire(person).open:
                self.violated("I2", f"{exchange.status} to taking {name} from {person}, who still has it")

    def _check_joined(self, exchange: Inbound, person: str) -> None:
        """Check that whoever was given a group, with calls to that end, has an account at all."""
        asked = self.worked_on.get(person, -math.inf)
        by_hand = self.touched.get(person, -math.inf)
        removed = person in self.touched and by_hand >= self.written.get(person, -math.inf)
        if asked < (exchange.arrived_at or 0.0) or by_hand >= asked or removed:
            return  # whoever was removed by hand stays out until a client asks for their access anew
        desire = self.world.witness.desire(person)
        if desire.active and not desire.open and not self.world.remote.holding(person).active:
            self.violated("I2", f"{exchange.status} to a new membership of {person}, who has no access")

    # -- The end -------------------------------------------------------------------------------------------------------

    def check_audit(self) -> None:
        """Check that each write has an intent before it and an outcome after it (I1, I8)."""
        events = self.world.witness.events()
        for mutation in self.mutations:
            about = [one for one in events if one[1].get("id") in mutation.ids or one[1].get("kind") == "Group"]
            before = [
                one
                for one, event in about
                if event["event"] in {"intent", "drift", "guard"} and one <= mutation.after_event
            ]
            if not before:
                self.violated(
                    "I1", f"{mutation.kind} of {mutation.subject} without an intent in the audit trail before it"
                )
            after = [one for one, event in about if event["event"] == "outcome" and one > mutation.after_event]
            if not after:
                self.violated(
                    "I8", f"{mutation.kind} of {mutation.subject} without an outcome in the audit trail after it"
                )


def _shown_inactive(answer: bytes) -> bool:
    """Tell whether an answer shows its User as inactive: it claims no access."""
    try:
        shown = json.loads(answer)
    except ValueError:
        return False
    return isinstance(shown, dict) and shown.get("active") is False


def _is_json(response: Any) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return "json" in content_type
