"""scim2-tester, the field's own conformance suite, against a served bridge: no ERROR and no CRITICAL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.conformance.live import Live
from tests.hang_guard import HANG_SECONDS
from tests.http.bridge import GROUP

KEPT = "PATCH modify() did not remove attribute 'active'"
"""The one departure that is meant: an account is active or it is not, and to unset that decides neither."""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A served bridge."""
    with Live(tmp_path) as running:
        yield running


@pytest.mark.parametrize("filled", [False, True], ids=["fresh store", "store with Entra's forms"])
def test_scim2_tester_finds_no_error(live: Live, filled: bool) -> None:
    """On a fresh store, and on one that holds what Entra sends."""
    with Client(
        base_url=live.url, headers={"Authorization": f"Bearer {live.tenant.token}"}, timeout=HANG_SECONDS
    ) as http:
        if filled:
            foreign = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
            group = {"schemas": [GROUP, foreign], "displayName": "entra", "externalId": "e"}
            assert http.post("/Groups", json=group).status_code == 201
            user = {"schemas": ["urn:scim:schemas:core:2.0"], "userName": "e@x.io", "manager": "m", "roles": []}
            assert http.post("/Users", json=user).status_code == 201
        scim = SyncSCIMClient(http)
        scim.discover()
        results = check_server(scim)
    failed = [(result.title, result.reason) for result in results if result.status in (Status.ERROR, Status.CRITICAL)]
    bad = [(title, reason) for title, reason in failed if reason != KEPT]
    assert not bad, "\n".join(map(str, bad))
    passed = sum(result.status is Status.SUCCESS for result in results)
    assert passed > 110, [(result.title, result.status, result.reason) for result in results]
