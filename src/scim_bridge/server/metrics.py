"""What ``/metrics`` tells, in Prometheus' text format: what this process counts, and how its connections stand.

No label holds a name, an address or an id of somebody, and each takes few values.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily

from scim_bridge.server.request_log import RequestLog
from scim_bridge.upstream import Call

if TYPE_CHECKING:
    from scim_bridge.server.spans import Spans

PREFIX = "scim_bridge_"
REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
OWN_CLASS = frozenset({"401", "403", "404", "409", "429"})
"""Statuses of a remote system that are told by themselves; the others by their first digit."""

Gauges = Iterable[tuple[str, str, Mapping[str, str], float]]
"""Name without prefix, description, labels and value of each."""

disable_created_metrics()  # type: ignore[no-untyped-call] # it has no types; it spares a second series for each of the first


class Metrics:
    """The metrics of one application.

    :ivar gauges: Asked at each scrape for what is read then.
    """

    def __init__(self) -> None:
        self.gauges: list[Callable[[], Awaitable[Gauges]]] = []
        self._registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered.", "operation", "status")
        self.request_seconds = Histogram(
            f"{PREFIX}request_seconds",
            "How long answers took.",
            ["operation"],
            buckets=REQUEST_SECONDS,
            registry=self._registry,
        )
        self.requests_in_progress = Gauge(
            f"{PREFIX}requests_in_progress", "Requests being worked on.", registry=self._registry
        )
        self.failed_authentications = self._counter("failed_authentications", "Requests without a valid token.")
        self.request_log_lost = self._counter(
            "request_log_lost", "Requests, and calls they caused, that could not be kept."
        )
        self.quirks = self._counter("quirks", "Forms met that the RFC does not have.", "connection", "quirk")
        self.upstream_calls = self._counter(
            "upstream_calls", "Attempts of calls to remote systems, by the class of the answer.", "outcome"
        )
        self.upstream_call_seconds = Histogram(
            f"{PREFIX}upstream_call_seconds",
            "How long calls to remote systems took.",
            buckets=CALL_SECONDS,
            registry=self._registry,
        )

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, description, labels, registry=self._registry)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(operation, str(status)).inc()
        self.request_seconds.labels(operation).observe(seconds)

    def called(self, call: Call) -> None:
        """Count an attempt of a call to a remote system."""
        status = call.outcome
        if not (status.isdecimal() and len(status) == 3):
            outcome = "none"  # an outage, in many words
        else:
            outcome = status if status in OWN_CLASS else f"{status[0]}xx"
        self.upstream_calls.labels(outcome).inc()
        self.upstream_call_seconds.observe(call.seconds)

    def counting(self, log: RequestLog | None, spans: "Spans | None" = None) -> Callable[[Call], None]:
        """Return what counts an attempt of a call, and has it kept and told."""

        def called(call: Call) -> None:
            if spans is not None:  # first: its end is now
                spans.note_call(call)
            self.called(call)
            if log is not None:
                log.note_call(call)

        return called

    async def text(self) -> bytes:
        """Return everything in Prometheus' text format, version 0.0.4."""
        read = _Read()
        for gauges in self.gauges:
            read.take(await gauges())
        return generate_latest(self._registry) + generate_latest(read)


class _Read(CollectorRegistry):
    """What was read for one scrape."""

    def __init__(self) -> None:
        super().__init__()
        self._families: dict[str, GaugeMetricFamily] = {}

    def take(self, gauges: Gauges) -> None:
        for name, description, labels, value in gauges:
            family = self._families.get(name)
            if family is None:
                family = GaugeMetricFamily(PREFIX + name, description, labels=list(labels))
                self._families[name] = family
            family.add_metric(list(labels.values()), value)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families.values()
