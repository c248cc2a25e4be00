"""The page about what is kept tells the times that the code has."""

import re
from datetime import timedelta

from pydantic import BaseModel

from scim_bridge.config import AuditSettings, ConnectionSettings, StoreSettings
from scim_bridge.desk import LINK_MINUTES, SESSION
from scim_bridge.provisioning.drift import KEPT
from scim_bridge.provisioning.recorder import REFUSED_KEPT
from scim_bridge.store.chain import YOUNG_DAYS
from tests.unit.docs.pages import table, text

ROWS = {row[0]: row for row in table(text("docs/operating/keeping.md"), "## What is kept, and how long")}
MODELS: dict[str, type[BaseModel]] = {
    "store": StoreSettings,
    "audit": AuditSettings,
    "connections.ID": ConnectionSettings,
}


def row(begins: str) -> list[str]:
    """Return the row of something."""
    (found,) = [cells for what, cells in ROWS.items() if what.startswith(begins)]
    return found


def test_every_row_is_whole() -> None:
    """What, of whom, how long, and how it goes; the setting where there is one."""
    for cells in ROWS.values():
        assert len(cells) == 5
        assert all(cells[:3])
        assert cells[4]


def test_every_setting_is_there_and_none_of_days_is_forgotten() -> None:
    """Whatever is kept for days by a setting has a row."""
    named = {found for cells in ROWS.values() for found in re.findall(r"`\[([\w.]+)\] (\w+)`", cells[3])}
    assert all(name in MODELS[table_].model_fields for table_, name in named)
    of_days = {
        (table_, name)
        for table_ in ("store", "audit")
        for name in MODELS[table_].model_fields
        if name.endswith("_days")
    }
    assert of_days <= named


def test_times_are_those_of_the_code() -> None:
    """Defaults of settings, and what no setting changes."""
    assert row("[requests]")[2] == f"{StoreSettings().requests_days} days"
    assert row("[departures]")[2] == f"{StoreSettings().departures_days} days"
    assert AuditSettings().keep_days == 0
    assert row("[audit chain]")[2] == "for ever"
    assert f"the last {YOUNG_DAYS} days" in row("[audit chain]")[4]
    assert row("creations")[2] == f"{REFUSED_KEPT // timedelta(hours=1)} hour"
    assert row("one-time links")[2].startswith(f"{LINK_MINUTES} minutes")
    assert row("sessions")[2] == f"{SESSION // timedelta(hours=1)} hours"
    assert f"{KEPT} differences" in row("drift")[4]
