"""The names of all metrics, as the code has them, and their labels."""

import re

from scim_bridge.server.metrics import PREFIX, Metrics
from scim_bridge.server.scraping import OWN_GAUGES
from scim_bridge.views.gauges import GAUGES
from tests.unit.docs.pages import text


def metric_names() -> set[str]:
    """Return each name as a page tells it: of a counter with ``_total``, of a histogram without its endings."""
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics()._registry.collect()
    }
    return counted | {PREFIX + name for name in GAUGES | OWN_GAUGES}


def metric_labels() -> dict[str, set[str]]:
    """Return the labels of each metric as the page about watching tells them; a scrape holds that page to the truth."""
    page = text("docs/operating/watching.md")
    found: dict[str, set[str]] = {}
    for heading, usual in (("## Health, metrics, logs", set[str]()), ("How a connection stands", {"connection"})):
        rows = re.findall(r"^\| `(scim_bridge_\w+)` \|([^|]*)\|", page.partition(heading)[2], re.MULTILINE)
        found |= {name: usual | set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    return found
