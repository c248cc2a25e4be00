"""The dashboard for Grafana asks for what ``/metrics`` has."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.docs.metric_names import metric_labels
from tests.unit.docs.pages import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def asked(expression: str) -> tuple[str, set[str]]:
    """Return the metric that an expression is about, and the labels that it names."""
    (metric,) = re.findall(r"scim_bridge_\w+", expression)
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    return metric, {label.strip() for labels in grouped for label in labels.split(",")} | set(matched)


def test_every_panel_asks_for_metrics_and_labels_that_exist() -> None:
    """Each expression, and what each line is called by."""
    assert len(PANELS) > 20
    for target in [target for panel in PANELS for target in panel["targets"]]:
        metric, labels = asked(target["expr"])
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        if metric.endswith("_bucket"):
            metric, labels = metric.removesuffix("_bucket"), labels - {"le"}
        assert labels <= metric_labels()[metric], target["expr"]
        assert named <= labels, target


def test_every_metric_is_shown() -> None:
    """A new metric gets a panel."""
    shown = {asked(target["expr"])[0].removesuffix("_bucket") for panel in PANELS for target in panel["targets"]}
    assert shown == set(metric_labels())


def test_panels_are_told_apart_and_have_units() -> None:
    """Grafana mixes up panels of one id, and draws seconds without a unit as bare numbers."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)


def test_removals_come_first() -> None:
    """What must not wait is seen without scrolling."""
    first = [asked(panel["targets"][0]["expr"])[0] for panel in PANELS[:2]]
    assert first == ["scim_bridge_pending_removals", "scim_bridge_oldest_removal_seconds"]


def test_source_and_connection_are_chosen() -> None:
    """No dashboard is bound to somebody's own Grafana."""
    source, connection = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], connection["name"]) == ("datasource", "datasource", "connection")
    assert connection["definition"] == "label_values(scim_bridge_pending, connection)"
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason=".ci/promtool installs it, as CI does")
def test_prometheus_takes_the_expressions(tmp_path: Path) -> None:
    """With what Grafana puts in the place of its variables."""
    values = {"$__rate_interval": "5m", "$__range": "6h", "$connection": ".*"}
    expressions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$\w+", lambda found: values[found[0]], expression)}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
