"""What the end of a test run must say about the plugin's tests."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud when the emulator was not compared with HubSpot's documents: a skip alone is easily missed."""
    for report in terminalreporter.getreports("skipped"):
        if "test_published_documents" in report.nodeid:
            terminalreporter.write_line(f"NOT RUN: {report.longrepr[2]}", yellow=True)
