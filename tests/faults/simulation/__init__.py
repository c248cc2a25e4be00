"""Deterministic simulation: the real bridge in one process, on virtual time, with everything going wrong around it.

A seed decides a history: who pushes what, which fault strikes when, which task runs next, at which await the process
dies. A history runs the application, its store and a connector; the remote system is an emulator behind
:class:`RemoteWorld`. Oracles watch from outside and know nothing of the bridge but its database and its answers.
"""

from tests.faults.simulation.database import Template
from tests.faults.simulation.history import OPERATIONS, History, Report, run_history
from tests.faults.simulation.oracle import Violation
from tests.faults.simulation.remote import NOTHING, Effect, Holding, RemoteWorld

__all__ = [
    "NOTHING",
    "OPERATIONS",
    "Effect",
    "History",
    "Holding",
    "RemoteWorld",
    "Report",
    "Template",
    "Violation",
    "run_history",
]
