"""The reference of settings, quirks, limits and metrics says what the code says."""

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from scim_bridge.cli.clients import told
from scim_bridge.config import (
    RESERVED_IDS,
    AlertSettings,
    ConnectionSettings,
    ConsoleOidcSettings,
    ConsoleProxySettings,
    ConsoleSettings,
    GuardSettings,
    MailSettings,
    ServerSettings,
    StoreSettings,
    TracingSettings,
    WebhookSettings,
)
from scim_bridge.errors import StoreUnavailableError
from scim_bridge.protocol.clients import FORMS, PRESETS, QUIRKS, ClientPreset
from scim_bridge.protocol.limits import Limits
from scim_bridge.provisioning.service import (
    AMBIGUOUS_RETRY_AFTER,
    CREDENTIALS_RETRY_AFTER,
    RATE_LIMIT_RETRY_AFTER,
)
from scim_bridge.server.authentication import FailureLimit
from tests.unit.docs.metric_names import metric_names
from tests.unit.docs.pages import ROOT, links, table, text

TABLES: dict[str, type[BaseModel]] = {
    "### `[server]`": ServerSettings,
    "### `[store]`": StoreSettings,
    "### `[console]`": ConsoleSettings,
    "### `[console.proxy]`": ConsoleProxySettings,
    "### `[console.oidc]`": ConsoleOidcSettings,
    "### `[alerts]`": AlertSettings,
    "### `[alerts.webhook]`": WebhookSettings,
    "### `[alerts.mail]`": MailSettings,
    "### `[tracing]`": TracingSettings,
    "### `[connections.ID]`": ConnectionSettings,
    "### `[connections.ID.guard]`": GuardSettings,
}


def written(value: Any) -> str:
    """Return a default as the reference writes it."""
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    return f"`{json.dumps(sorted(value) if isinstance(value, frozenset) else value)}`"


@pytest.mark.parametrize("heading", TABLES)
def test_every_setting_is_told_with_its_default(heading: str) -> None:
    """No setting is missing, none is invented, and each default is the true one."""
    model = TABLES[heading]
    expected = {
        name: written(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
        if name not in {"guard", "proxy", "oidc", "webhook", "mail"}
    }
    told = {row[0].strip("`"): row[1] for row in table(text("docs/operating/settings.md"), heading)}
    assert told == expected
    assert all(row[2] for row in table(text("docs/operating/settings.md"), heading))


def test_the_ids_that_cannot_be_taken_are_told() -> None:
    """A connection cannot be called like a path of the server."""
    for reserved in RESERVED_IDS:
        assert f"`{reserved}`" in text("docs/operating/settings.md").partition("### `[connections.ID]`")[2][:600]


OWN = ("okta", "entra", "generic", "strict")
"""Presets that the table of quirks names; the others read what ``generic`` reads."""


def test_every_preset_is_told_with_what_is_known_of_its_client() -> None:
    """The table of presets is the code's: what recognises a client, and the source."""
    told_of = {
        row[0].strip("`"): (row[1], row[2]) for row in table(text("docs/operating/settings.md"), "### Client presets")
    }
    assert told_of == {one.name: (_recognised(one), told(one.name)) for one in PRESETS.values()}


def _recognised(one: ClientPreset) -> str:
    agents = [f"User-Agent `{agent}…`" for agent in one.agents]
    return ", ".join([*agents, *(f"`{quirk}`" for quirk, name in FORMS.items() if name == one.name)]) or "nothing"


def test_every_quirk_is_told_with_the_presets_that_read_it() -> None:
    """The table of quirks is the code's."""
    told_of = {
        row[0].strip("`"): set(row[1].split(", ")) for row in table(text("docs/operating/settings.md"), "### Quirks")
    }
    assert told_of == {quirk: {name for name in OWN if quirk in PRESETS[name].quirks} for quirk in QUIRKS}
    assert all(one.quirks == QUIRKS.keys() for one in PRESETS.values() if one.name not in OWN)


def test_every_limit_is_told() -> None:
    """The figures of the table are those that are enforced."""
    rows = table(text("docs/operating/settings.md"), "### Limits of a request")
    limits = Limits()
    enforced = [getattr(limits, name) for name in limits.__dataclass_fields__]
    assert sorted(int(row[1].replace(",", "")) for row in rows) == sorted(enforced)


def test_the_waits_told_to_a_client_are_the_codes() -> None:
    """``Retry-After`` by situation."""
    rows = {row[0]: row for row in table(text("docs/operating/answers.md"), "## What a client is answered")}
    outage = ConnectionSettings(connector="any").outage_retry_after

    def wait(start: str) -> str:
        return next(row[2] for situation, row in rows.items() if situation.startswith(start))

    assert wait("the remote system limits") == f"its own wait, at least {RATE_LIMIT_RETRY_AFTER}"
    assert wait("the remote system is down") == f"`outage_retry_after` ({outage})"
    assert wait("it took too long") == f"{AMBIGUOUS_RETRY_AFTER} (or `outage_retry_after`, if less)"
    assert wait("the remote system refuses the bridge's own") == str(CREDENTIALS_RETRY_AFTER)
    assert wait("the database") == str(StoreUnavailableError.retry_after)
    assert f"more than {FailureLimit().failures} requests a minute" in text("docs/operating/answers.md")
    assert FailureLimit().seconds == 60


def test_every_metric_is_told() -> None:
    """Each counter and gauge of the code has a row."""
    told = set(re.findall(r"`(scim_bridge_\w+)`", text("docs/operating/watching.md")))
    assert told == metric_names()


def test_the_index_has_every_page() -> None:
    """Who opens the folder finds each page."""
    pages = {path.name for path in (ROOT / "docs/operating").glob("*.md")} - {"README.md"}
    assert {path for path, _ in links(text("docs/operating/README.md")) if "/" not in path} == pages
