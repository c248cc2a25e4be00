"""scim-sanity's probe, in its strict mode, against a served bridge."""

from pathlib import Path

from scim_sanity.probe.runner import run_probe_api  # type: ignore[import-untyped] # it ships no types

from tests.conformance.live import Live
from tests.hang_guard import HANG_SECONDS

MEANT = {
    "PATCH /Groups/{id}": "Expected HTTP 200, got 204",
    "PATCH /Groups/{id} add member": "Expected 200, got 204",
    "PATCH /Groups/{id} remove members": "Expected 200, got 204",
}
"""RFC 7644 §3.5.2 allows 204; the answer to one more member of 10,000 need not show them all."""


def test_scim_sanity_finds_what_is_meant_and_nothing_else(tmp_path: Path) -> None:
    """The lives of a User and of a Group, discovery, search and errors; agents are no resource type of the bridge."""
    with Live(tmp_path) as live:
        report = run_probe_api(live.url, token=live.tenant.token, user_domain="corp.example", timeout=int(HANG_SECONDS))
    rows = [row for row in report["results"] if "Agent" not in row["name"]]
    found = {row["name"]: row["message"].partition(" (")[0] for row in rows if row["status"] != "pass"}
    assert found == MEANT
    assert report["summary"]["passed"] >= 25
