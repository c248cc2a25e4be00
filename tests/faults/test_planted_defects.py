"""The fault histories find what they must find: each planted defect turns them red within a bounded number."""

import pytest

from tests.faults.instruments import run
from tests.faults.planted import DEFECTS

WITHIN = 200


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_histories_find(defect: str) -> None:
    """An instrument that stays green on a broken bridge proves nothing."""
    found = run("histories", "--histories", str(WITHIN), "--most-failures", "1", "--defect", defect)
    print(
        f"{defect}: found after {found['histories']} histories: {next(iter(found['failed'].values()), [''])[0][:160]}"
    )
    assert found["failed"]
