"""HubSpot's limits: a rolling ten seconds for each app, a day for the account, a second for the CRM search."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .profiles import Profile
from .records import Token
from .switches import Switches
from .wire import Answer

DAY = 86_400.0
INTERVAL = 10.0

MESSAGES = {
    "SECONDLY": "You have reached your secondly limit.",
    "TEN_SECONDLY_ROLLING": "You have reached your ten_secondly_rolling limit.",
    "DAILY": "You have reached your daily limit.",
}
"""The message of each policy of a 429."""


@dataclass(slots=True)
class Limits:
    """Counts calls and says when one is too many.

    :param clock: Monotonic seconds.
    """

    clock: Callable[[], float]
    profile: Profile
    switches: Switches
    used_today: int = 0
    _day_began: float = field(default=0.0)
    _windows: dict[tuple[str, bool], deque[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._day_began = self.clock()

    def admit(self, token: Token, *, search: bool) -> tuple[str | None, float]:
        """Count a call; return the policy it breaks, if any, and the seconds until one is admitted again."""
        now = self.clock()
        if now - self._day_began >= DAY:
            self.used_today, self._day_began = 0, now
        if self.used_today >= self.profile.calls_per_day:
            return "DAILY", self._day_began + DAY - now
        window = self._window(token, search=search, now=now)
        if len(window) >= self.most(token, search=search):
            policy = "SECONDLY" if search else "TEN_SECONDLY_ROLLING"
            return policy, window[0] + self.interval(search=search) - now
        window.append(now)
        self.used_today += 1
        return None, 0.0

    def most(self, token: Token, *, search: bool) -> int:
        """Return how many calls an interval admits."""
        if search:
            return self.switches.search_per_second
        return self.switches.oauth_burst if token.kind == "oauth" else self.profile.calls_per_ten_seconds

    def interval(self, *, search: bool) -> float:
        """Return the length of the window in seconds."""
        return 1.0 if search else INTERVAL

    def headers(self, token: Token, *, search: bool) -> dict[str, str]:
        """Return the rate limit headers; searches carry none, OAuth apps none for the day (DOC)."""
        if search:
            return {}
        most = self.most(token, search=False)
        left = max(0, most - len(self._window(token, search=False, now=self.clock())))
        prefix = "X-HubSpot-RateLimit"
        headers = {
            f"{prefix}-Interval-Milliseconds": str(int(INTERVAL * 1000)),
            f"{prefix}-Max": str(most),
            f"{prefix}-Remaining": str(left),
        }
        if self.switches.secondly_headers:
            a_second = most // 10
            headers |= {f"{prefix}-Secondly": str(a_second), f"{prefix}-Secondly-Remaining": str(min(a_second, left))}
        if token.kind != "oauth":
            daily = self.profile.calls_per_day
            left_today = max(0, daily - self.used_today)
            headers |= {f"{prefix}-Daily": str(daily), f"{prefix}-Daily-Remaining": str(left_today)}
        return headers

    def resets_in(self) -> float:
        """Return the seconds until the day's count begins anew."""
        return max(0.0, self._day_began + DAY - self.clock())

    def _window(self, token: Token, *, search: bool, now: float) -> deque[float]:
        window = self._windows.setdefault((token.value, search), deque())
        while window and now - window[0] >= self.interval(search=search):
            window.popleft()
        return window


def too_many(policy: str, correlation_id: str, headers: dict[str, str] | None = None) -> Answer:
    """Return a 429 with the body that was seen in the wild: no category (HGData/mk-node-hubspot#89)."""
    document = {
        "status": "error",
        "message": MESSAGES[policy],
        "errorType": "RATE_LIMIT",
        "correlationId": correlation_id,
        "policyName": policy,
        "requestId": correlation_id[::-1],
    }
    return Answer(429, document, headers or {})
