"""Drawn configurations: one that contradicts itself is refused in one line that names both entries, others start."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from plugins.hubspot.tests.configured.configurations import (
    CONTRADICTIONS,
    SCIM_URL,
    Contradiction,
    Settings,
    drawn,
    settings_of,
)
from plugins.hubspot.tests.configured.stock import stock
from plugins.hubspot.tests.connector.portals import BASE_URL
from scim_bridge.errors import ConnectionSettingsError
from scim_bridge.testing.contexts import connected, connector_context
from scim_bridge.upstream import HttpClients
from scim_bridge_hubspot.connector import HubSpotConnector
from scim_bridge_hubspot.emulator import HubSpotEmulator

SEEDS = 60


def valid(seed: int) -> Settings:
    """Return the configuration of a seed."""
    random = Random(seed)
    return settings_of(drawn(random), random)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_configuration_that_can_be_meant_starts(seed: int) -> None:
    """It is accepted, the connection opens, and its check finds nothing wrong with any name."""
    settings = valid(seed)
    clock = asyncio.get_running_loop().time
    hubspot = HubSpotEmulator(seed=seed, clock=clock)
    stock(hubspot)
    transport = hubspot.transport()
    clients = HttpClients({SCIM_URL: transport, BASE_URL: transport}, random=lambda: 0.5)
    async with connected(HubSpotConnector, settings, http_client=clients, deadline=60.0) as connector:
        findings = await connector.check_connection()
        groups = {str(one.resource.display_name) for one in (await connector.list_groups(None, 100)).items}
    wrong = [f"{one.subject}: {one.message}" for one in findings if one.level == "error"]
    assert wrong == []
    assert set(settings["groups"]) <= groups


@pytest.mark.parametrize("contradict", CONTRADICTIONS)
def test_one_that_contradicts_itself_is_refused_in_one_line(
    contradict: Callable[[Settings, Random], Contradiction],
) -> None:
    """The line names both entries, and no value that could be a secret."""
    for seed in range(SEEDS):
        made = contradict(valid(seed), Random(seed))
        with pytest.raises(ConnectionSettingsError) as refused:
            connector_context(HubSpotConnector, made.settings)
        line = str(refused.value)
        assert "\n" not in line
        assert "Value error" not in line
        for entry in made.entries:
            named = re.search(rf"(?<![\w.]){re.escape(entry)}(?![\w.])", line)
            assert named, f"seed {seed}: {entry} is not named: {line}"
        assert HubSpotEmulator.token not in line


def test_every_part_is_drawn() -> None:
    """The configurations differ: each reading of each part occurs several times."""
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(SEEDS):
        counts.update(drawn(Random(seed)).items())
    print(f"{SEEDS} configurations (seeds 0 to {SEEDS - 1}), {len(CONTRADICTIONS)} ways to contradict each")
    assert min(counts.values()) >= 5
