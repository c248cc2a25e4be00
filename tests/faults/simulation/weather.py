"""The faults in force around a bridge: its database, its network, its clock. Each one that strikes is counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When a history begins."""


@dataclass(slots=True)
class Spell:
    """A fault that strikes ``times`` times after it let ``passing`` chances go by."""

    passing: int
    times: int

    def strikes(self) -> bool:
        """Count a chance, and tell whether it is struck."""
        if self.passing > 0:
            self.passing -= 1
            return False
        self.times -= 1
        return self.times >= 0

    @property
    def over(self) -> bool:
        """Whether it will never strike again."""
        return self.times <= 0


@dataclass(slots=True)
class Weather:
    """What goes wrong around the bridge.

    :param random: Draws delays.
    :param spells: The faults in force, by name.
    :param fired: How often each fault struck.
    :param skew: How far the bridge's wall clock is off.
    :param committed: Called after each transaction of the bridge.
    :param unreachable_until: When connections to the remote system are possible again, on the loop's clock.
    """

    random: Random
    spells: dict[str, list[Spell]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    skew: timedelta = timedelta()
    unreachable_until: float = 0.0
    committed: Callable[[], None] = lambda: None

    def add(self, name: str, *, passing: int = 0, times: int = 1) -> None:
        """Let a fault strike."""
        self.spells.setdefault(name, []).append(Spell(passing, times))

    def strikes(self, name: str) -> bool:
        """Tell whether a fault strikes now."""
        struck = False
        for spell in self.spells.get(name, ()):
            struck = spell.strikes() or struck
        if name in self.spells:
            self.spells[name] = [spell for spell in self.spells[name] if not spell.over]
        self.fired[name] += struck
        return struck

    def clock(self, seconds: float) -> datetime:
        """Return what the bridge's wall clock shows at a time of the loop."""
        return EPOCH + timedelta(seconds=seconds) + self.skew

    def clear(self) -> None:
        """Let the sun shine. The clock stays as far off as it is: nobody sets it right by magic."""
        self.spells.clear()
        self.unreachable_until = 0.0

    def database_is_busy(self, what: str) -> bool:
        """Tell whether a transaction finds the database locked. :param what: ``read`` or ``write``."""
        return self.strikes(f"database busy on {what}")

    def delay(self) -> float:
        """Return the seconds that one way over a network takes."""
        return 0.005 + 0.1 * self.random.random() ** 3
