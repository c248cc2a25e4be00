"""What a run says of the instruments: how far they are, their figures, and with ``make evidence`` the table of results.

An instrument prints its figures; pytest keeps what is printed with the report. With ``SCIM_BRIDGE_EVIDENCE`` set to a
file name, what :func:`tests.faults.instruments.run` measured is put into the table there.
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.faults import evidence, instruments

VARIABLE = "SCIM_BRIDGE_EVIDENCE"
OURS = "tests/faults/"
MEASURED = "measured"
PLANTED_IN = "test_planted_defects.py"
"""Defects that other tests plant, as their control, are no row."""


class Writer:
    """Writes the table anew after each test, so that a run that is ended loses nothing it measured."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._runs: list[instruments.Run] = []
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test measured."""
        runs = _runs(report)
        if runs:
            self._runs += runs
            self._failed |= {evidence.kind_of(run) for run in runs if report.failed}
            evidence.write(self._page, evidence.measured(self._runs, frozenset(self._failed)))


def pytest_configure(config: pytest.Config) -> None:
    """When somebody waits for the evidence, write it, and let instruments tell how far they are, past any capturing."""
    page = os.environ.get(VARIABLE)
    capturing = config.pluginmanager.getplugin("capturemanager")
    if not page or capturing is None:
        return
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(Path(page)))

    def tell(line: str) -> None:
        with capturing.global_and_fixture_disabled():
            print(f"  {line}", file=sys.stderr, flush=True)

    instruments.progress.append(tell)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what was measured into the report, which workers send to the process that writes the table."""
    report = yield
    if report.when == "call" and instruments.RUNS:
        report.user_properties += [(MEASURED, tuple(run)) for run in instruments.RUNS]
        instruments.RUNS.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the instruments measured."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.nodeid.startswith(OURS) and report.when == "call"
    ]
    told = [report for report in reports if report.capstdout.strip()]
    if told:
        terminalreporter.section("instruments")
    for report in told:
        terminalreporter.write_line(f"{report.nodeid.removeprefix(OURS)} ({report.duration:.0f} s)")
        for line in report.capstdout.strip().splitlines():
            terminalreporter.write_line(f"  {line}")


def _runs(report: pytest.TestReport) -> list[instruments.Run]:
    """Return what a test measured; lists are what the way between processes makes of tuples."""
    found = []
    for name, value in report.user_properties if report.when == "call" else ():
        if name == MEASURED and isinstance(value, list | tuple):
            module, arguments, *rest = value
            run = instruments.Run(module, tuple(arguments), *rest)
            if evidence.kind_of(run) != evidence.PLANTED or PLANTED_IN in report.nodeid:
                found.append(run)
    return found
