"""The names of all metrics, as the code has them."""

from scim_bridge.server.metrics import PREFIX, Metrics
from scim_bridge.server.scraping import OWN_GAUGES
from scim_bridge.views.gauges import GAUGES


def metric_names() -> set[str]:
    """Return each name as a page tells it: of a counter with ``_total``, of a histogram without its endings."""
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics()._registry.collect()
    }
    return counted | {PREFIX + name for name in GAUGES | OWN_GAUGES}
