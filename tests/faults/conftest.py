"""What the end of a run says of the instruments: their figures, seeds and how often each fault fired.

An instrument prints its figures; pytest keeps what is printed with the report. With ``SCIM_BRIDGE_EVIDENCE`` set to a
file name, the same is written there: the page that the README links (``make evidence``).
"""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import pytest

VARIABLE = "SCIM_BRIDGE_EVIDENCE"
OURS = "tests/faults/"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the instruments measured, and write it down when asked to."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.nodeid.startswith(OURS) and report.when == "call"
    ]
    measured = [report for report in reports if report.capstdout.strip()]
    if measured:
        terminalreporter.section("instruments")
    for report in measured:
        terminalreporter.write_line(f"{report.nodeid.removeprefix(OURS)} ({report.duration:.0f} s)")
        for line in report.capstdout.strip().splitlines():
            terminalreporter.write_line(f"  {line}")
    target = os.environ.get(VARIABLE)
    if target and reports:
        Path(target).write_text(page(reports), encoding="utf-8")


def page(reports: list[pytest.TestReport]) -> str:
    """Return the results as a page of Markdown."""
    now = datetime.now(UTC)
    lines = [
        "# Evidence",
        "",
        "Written by `make evidence`; what each instrument does is in [tests/README.md](../tests/README.md).",
        "",
        f"{now:%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores.",
        "",
        "| Instrument | Result | Seconds |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{report.nodeid.removeprefix(OURS)}` | {report.outcome} | {report.duration:.0f} |" for report in reports
    ]
    for report in reports:
        if report.capstdout.strip():
            lines += ["", f"## {report.nodeid.removeprefix(OURS)}", "", "```", report.capstdout.strip(), "```"]
    return "\n".join(lines) + "\n"
