"""The alert rules name metrics that exist, and pages that tell what to do."""

import re
import shutil
import subprocess

import pytest
import yaml  # type: ignore[import-untyped] # it ships no types

from tests.unit.docs.metric_names import metric_names
from tests.unit.docs.pages import ROOT, anchors, section, text

RULES = ROOT / "deploy/prometheus/rules.yml"


def test_every_rule_names_what_exists() -> None:
    """Each metric is one of the code's, and each runbook a heading of a page."""
    rules = yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
    assert len(rules) > 3
    for rule in rules:
        named = set(re.findall(r"scim_bridge_\w+", rule["expr"]))
        assert named
        assert named <= metric_names()
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        found = re.search(r'condition=~"([^"]+)"', rule["expr"])
        meant = {anchor} if found is None else set(found[1].split("|"))
        assert found is None or anchor == "{{ $labels.condition }}"
        assert meant <= anchors(text(page))
        assert found is not None or f"`{rule['alert']}`" in section(text(page), anchor)


@pytest.mark.skipif(shutil.which("promtool") is None, reason=".ci/promtool installs it, as CI does")
def test_prometheus_takes_the_rules() -> None:
    """What Prometheus' own check says."""
    checked = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
