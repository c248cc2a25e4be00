"""A plugin of pytest: runs tests on a product with a planted defect.

``SCIM_BRIDGE_DEFECT=missing_connection pytest -p tests.faults.plant …``
"""

import os

import pytest

from tests.faults.defects import DEFECTS

VARIABLE = "SCIM_BRIDGE_DEFECT"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plant it once all modules are there, and before any test runs."""
    DEFECTS[os.environ[VARIABLE]]()
