"""A small registry of counters in Prometheus' text format."""

from collections.abc import Callable, Mapping
from functools import partial

PREFIX = "scim_bridge_"


class Metrics:
    """Counters by name and labels. They count up, and gauges are read when they are asked for."""

    def __init__(self) -> None:
        self._help: dict[str, str] = {}
        self._values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        self._gauges: dict[str, tuple[str, Callable[[], Mapping[tuple[tuple[str, str], ...], float]]]] = {}

    def counter(self, name: str, description: str, **fixed: str) -> Callable[..., None]:
        """Return a function that counts: ``count(by=1, label="value")``.

        :param name: The name without prefix and ``_total``.
        :param fixed: Labels that every count carries.
        """
        self._help[name] = description
        self._values.setdefault(name, {})
        return partial(self._add, name, fixed)

    def _add(self, name: str, fixed: Mapping[str, str], by: float = 1, **labels: str) -> None:
        key = tuple(sorted({**fixed, **labels}.items()))
        values = self._values[name]
        values[key] = values.get(key, 0) + by

    def gauge(
        self, name: str, description: str, read: Callable[[], Mapping[tuple[tuple[str, str], ...], float]]
    ) -> None:
        """Register a value that is read when the metrics are; ``read`` returns it by labels."""
        self._gauges[name] = (description, read)

    def text(self) -> str:
        """Return everything in Prometheus' text format, version 0.0.4."""
        lines: list[str] = []
        for name, values in self._values.items():
            full = f"{PREFIX}{name}_total"
            lines += [f"# HELP {full} {self._help[name]}", f"# TYPE {full} counter"]
            lines += [f"{full}{_labels(key)} {value:g}" for key, value in sorted(values.items())]
        for name, (description, read) in self._gauges.items():
            full = f"{PREFIX}{name}"
            lines += [f"# HELP {full} {description}", f"# TYPE {full} gauge"]
            lines += [f"{full}{_labels(key)} {value:g}" for key, value in sorted(read().items())]
        return "\n".join(lines) + "\n"


def _labels(key: tuple[tuple[str, str], ...]) -> str:
    if not key:
        return ""
    escaped = ((name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for name, value in key)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
