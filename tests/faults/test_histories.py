"""R1, R7, R10, R11: whatever goes wrong around a bridge, HubSpot ends as the identity providers want it."""

from collections import Counter

import pytest

from tests.faults.instruments import run, size

HISTORIES = size("SCIM_BRIDGE_HISTORIES", 600)
SHARES = max(2, HISTORIES // 200)
"""Parts of the run, for as many workers as there are; each is so long that every fault strikes in it."""

MUST_FIRE = frozenset(
    {
        "crash",
        "restart",
        "bridge down",
        "request outlives the bridge",
        "clock jump",
        "connection refused",
        "remote unreachable",
        "database busy on read",
        "database busy on write",
        "request lost",
        "request duplicated",
        "answer lost",
        "client gives up",
        "somebody re-adds an account",
        "somebody gives a role",
        "somebody removes an account",
        "somebody accepts the invitation",
        "reset before",
        "reset after",
        "half JSON",
        "malformed",
        "wrong content type",
        "timeout after",
        "slow",
        "429",
        "429 seconds",
        "429 date",
        "500",
        "502",
        "503",
        "504",
        "500 after",
        "477",
        "423",
        "401",
        "outage",
        "token revoked",
        "stale list",
        "404 JSON of a gateway",
        "404 HTML of a gateway",
        "404 without a body",
        "403 HTML of an edge",
        "403 plain text of an edge",
        "400 HTML of an edge",
        "400 JSON of a gateway",
        "408",
        "410",
        "421",
        "488",
        "mixed-up record",
        "routes that are gone",
        "somebody changes an address",
        "somebody gives several sets",
        "somebody deactivates an account",
        "somebody reactivates an account",
        "somebody makes a Super Admin",
    }
)


@pytest.mark.parametrize("share", range(SHARES))
def test_any_history_of_faults_ends_as_wanted(share: int) -> None:
    """Forty operations, every fault, crashes at any await: no invariant and no promise is violated."""
    number = HISTORIES // SHARES
    found = run("histories", "--first", str(1 + share * number), "--histories", str(number))

    fired = Counter(found["fired"])
    print(
        f"seeds {1 + share * number} to {(share + 1) * number}: {found['counts']['operations']} operations,"
        f" {len(found['failed'])} failed, {found['cpu']:.0f} s CPU, {found['megabytes']:.0f} MB"
    )
    print(f"fired: {', '.join(f'{name} {fired[name]}' for name in sorted(fired))}")
    for seed, violations in found["failed"].items():
        print(f"replay: python -m tests.faults.histories --seed {seed} --trace", *violations, sep="\n  ")
    assert not found["failed"]
    assert found["histories"] == number
    assert {name for name in MUST_FIRE if not fired[name]} == set()
