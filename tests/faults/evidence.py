"""The table of results: what each instrument measured, when, on which commit, and how often each fault struck.

Rows are kept in a JSON document beside the page; a run replaces those it measured and leaves the others as they are.
No figure is typed by hand.
"""

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.catalogue import evidence_of, trials
from tests.faults.instruments import ROOT, Run

BEGIN, END = "<!-- evidence: written by `make evidence` -->\n", "<!-- end of evidence -->\n"
PLANTED = "planted"


@dataclass(slots=True)
class Row:
    """What an instrument measured.

    :param goals: Of ``docs/evidence.md``'s list; several when the instrument shows several.
    :param figures: In words.
    :param cpu: Seconds of all its processes together.
    :param fired: How often each fault struck.
    """

    goals: str
    promise: str
    figures: str
    passed: bool
    seeds: str = ""
    date: str = ""
    commit: str = ""
    machine: str = ""
    cpu: float = 0.0
    seconds: float = 0.0
    fired: dict[str, int] = field(default_factory=dict)


class Kind(NamedTuple):
    """An instrument: the goals it shows, what they say, and how its reports are told."""

    goals: str
    promise: str
    tell: Callable[[Sequence[dict[str, Any]]], str]


def total(reports: Iterable[dict[str, Any]], name: str) -> int:
    """Return the sum of a count, of a dictionary of them, or how many a list has."""
    found = 0
    for report in reports:
        count = report.get(name, 0)
        counts = count.values() if isinstance(count, dict) else [count]
        found += sum(one if isinstance(one, int) else len(one) for one in counts)
    return found


def most(reports: Iterable[dict[str, Any]], name: str) -> float:
    """Return the largest of a figure."""
    return float(max(report.get(name, 0) for report in reports))


def of_histories(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of fault histories."""
    operations = sum(report["counts"]["operations"] for report in reports)
    return f"{total(reports, 'histories'):,} histories, {operations:,} operations: {total(reports, 'failed')} violated"


def of_kills(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of kills at boundaries."""
    return (
        f"{total(reports, 'kills'):,} kills at {total(reports, 'distinct'):,} points, {total(reports, 'double')} twice:"
        f" {total(reports, 'violations')} lost, doubled or different; recovered within {most(reports, 'slowest'):.1f} s"
    )


def of_power(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of power cuts."""
    return (
        f"{total(reports, 'images'):,} images, {total(reports, 'unsynced'):,} with unsynced writes:"
        f" {total(reports, 'lost')} lack what was answered, {total(reports, 'damaged')} damaged"
    )


def of_disks(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of failing disks and locks."""
    return (
        f"{total(reports, 'fired'):,} failures: {total(reports, 'violations')} false answers;"
        f" answered within {most(reports, 'slowest'):.0f} s"
    )


def of_single_faults(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of single faults."""
    return f"{total(reports, 'scenarios'):,} scenarios over TCP: {total(reports, 'violations')} do not converge"


def of_sieges(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of killed servers."""
    return (
        f"{total(reports, 'kills')} kills of real processes, {total(reports, 'dropped')} requests struck:"
        f" {total(reports, 'violations')} violations"
    )


def of_replicas(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of histories with three replicas."""
    hand_overs = sorted((what, took["worst"]) for report in reports for what, took in report["hand_over"].items())
    led = ", ".join(f'{worst:.1f} s after "{what}"' for what, worst in hand_overs)
    return (
        f"{total(reports, 'histories'):,} histories, {total(reports, 'operations'):,} operations,"
        f" {total(reports, 'fired')} faults: {total(reports, 'violations')} violations; at most"
        f" {most(reports, 'fullest_window'):.0f} calls in ten seconds; another leads"
        f" {led}"
    )


def of_late_calls(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of replicas that lost their lock while calls waited."""
    return f"{total(reports, 'writes')} writes of the next leader: {total(reports, 'violations')} of the former one"


def of_hand_overs(reports: Sequence[dict[str, Any]]) -> str:
    """Tell how fast the next replica removes."""
    worst = {what: max(took) for report in reports for what, took in report["hand_over"].items()}
    told = [f"{seconds:.1f} s after the leader was {what}" for what, seconds in worst.items()]
    return f"the next removal at worst {', '.join(told)} (lease {most(reports, 'lease'):.0f} s)"


def of_backlogs(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of real starts with much to do."""
    return (
        f"ready after {most(reports, 'ready'):.1f} s, first removal sent after {most(reports, 'first_removal'):.1f} s;"
        f" {of_limits(reports)}"
    )


def of_limits(reports: Sequence[dict[str, Any]]) -> str:
    """Tell how a limit is used while removals pass."""
    return (
        f"{most(reports, 'used'):.1%} of the limit used, at most {most(reports, 'fullest_window'):.0f} calls of 100"
        f" in ten seconds, {total(reports, 'answered_429')} × 429; {total(reports, 'deactivations')} deactivations: p99"
        f" {most(reports, 'deactivation_p99'):.1f} s"
    )


def of_outages(reports: Sequence[dict[str, Any]]) -> str:
    """Tell how what waited for eight hours is worked off."""
    return (
        f"{total(reports, 'changes'):,} changes in {most(reports, 'of_what_the_limit_allows'):.2f} × the time that the"
        f" limit allows, removals first; at most {most(reports, 'most_probes_in_15_seconds'):.0f} probe in 15 s,"
        f" {total(reports, 'answered_429')} × 429"
    )


def of_planted(reports: Sequence[dict[str, Any]]) -> str:
    """Tell of planted defects."""
    return f"{sum(bool(evidence_of(report)) for report in reports)} of {count_of_trials()} found"


def count_of_trials() -> int:
    """Return how many defects there are to find."""
    return len(list(trials()))


def of_anything(reports: Sequence[dict[str, Any]]) -> str:
    """Tell what a report says itself: its figures, and how many violations there were."""
    told = [
        f"{name.replace('_', ' ')} {value:g}"
        for report in reports
        for name, value in report.items()
        if isinstance(value, int | float) and name not in {"seed", "seconds"}
    ]
    if any("violations" in report for report in reports):
        told.append(f"{total(reports, 'violations')} violations")
    return ", ".join(told)


KINDS = {
    "histories": Kind("R1, R7, R10–R12", "no history of faults loses or doubles anything", of_histories),
    "killing": Kind("R2, R14", "`kill -9` at any boundary", of_kills),
    "siege": Kind("R2", "`kill -9` of a server under load", of_sieges),
    "power": Kind("R3", "a power cut loses nothing that was answered", of_power),
    "failing_disk": Kind("R4, R5", "full and failing disks, locked databases", of_disks),
    "single_faults": Kind("R6", "every single fault on the way to HubSpot", of_single_faults),
    "replicas.run": Kind("R8", "three replicas under kills, cuts and freezes", of_replicas),
    "replicas.late": Kind("R8", "a replica that lost its lock sends nothing", of_late_calls),
    "replicas.hand_over": Kind("R8", "another replica takes over", of_hand_overs),
    "replicas.backlog": Kind("R13", "a start with 10,000 creations and 20 removals waiting", of_backlogs),
    "replicas.backlog --killed": Kind("R7, R13", "the same after a kill at the limit", of_backlogs),
    "replicas.pressure backlog": Kind("R7, R16", "behind 10,000 creations, in virtual time", of_limits),
    "replicas.pressure outage": Kind("R9", "after eight hours of outage, in virtual time", of_outages),
    PLANTED: Kind("S12", "planted defects are found", of_planted),
}
"""Those that are known; another one is shown with the figures it prints."""


def kind_of(run: Run) -> str:
    """Return the key of a run's row: its module, and what of its arguments makes it another instrument."""
    if "--defect" in run.arguments:
        return PLANTED
    variant = next((f"{run.module} {word}" for word in run.arguments if f"{run.module} {word}" in KINDS), None)
    return variant or run.module


def measured(runs: Sequence[Run], failed: frozenset[str]) -> dict[str, Row]:
    """Return the rows of what was run.

    :param failed: Keys of rows of which a test failed.
    """
    rows = {}
    for key in sorted({kind_of(run) for run in runs}):
        mine = [run for run in runs if kind_of(run) == key]
        reports = [run.report for run in mine if run.report]
        kind = KINDS.get(key, Kind("", key, of_anything))
        rows[key] = Row(
            kind.goals,
            kind.promise,
            kind.tell(reports) if reports else "ended with an error",
            passed=key not in failed
            and len(reports) == len(mine)
            and (key != PLANTED or len(mine) == count_of_trials()),
            seeds=seeds(mine),
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            commit=commit(),
            machine=f"{os.cpu_count()} cores, Python {platform.python_version()}",
            cpu=sum(run.cpu for run in mine),
            seconds=sum(run.seconds for run in mine),
            fired=fired(reports) if key != PLANTED else {},
        )
    return rows


def seeds(runs: Iterable[Run]) -> str:
    """Return the seeds of some runs, by their arguments."""
    found: list[int] = []
    for run in runs:
        options = dict(zip(run.arguments, run.arguments[1:], strict=False))
        if "--first" in options:
            found += range(int(options["--first"]), int(options["--first"]) + int(options["--histories"]))
        elif "--seed" in options:
            found.append(int(options["--seed"]))
    numbers = sorted(set(found))
    whole = len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]}–{numbers[-1]}" if whole else ", ".join(map(str, numbers))


def fired(reports: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return how often each fault struck."""
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.get("fired", {}))
    return dict(sorted(counts.items()))


def commit() -> str:
    """Return the commit that is measured, with a ``+`` when the code was changed since."""
    head, changed = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False, text=True).stdout.strip()
        for words in (
            ["rev-parse", "--short", "HEAD"],
            ["status", "--porcelain", "--untracked-files=no", "src", "plugins", "tests/faults"],
        )
    )
    return head + "+" * bool(changed)


def write(page: Path, rows: dict[str, Row]) -> None:
    """Put rows into the page and the README; those of other instruments stay."""
    kept = page.with_suffix(".json")
    old = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    every = {key: Row(**row) for key, row in old.items()} | rows
    order = [*KINDS, *sorted(every.keys() - KINDS.keys())]
    every = {key: every[key] for key in order if key in every}
    document = {key: asdict(row) for key, row in every.items()}
    kept.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(whole(every), encoding="utf-8")
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, behind = rest.partition(END)
    if begin and end:
        readme.write_text(f"{before}{BEGIN}{short(every.values())}{END}{behind}", encoding="utf-8")


def short(rows: Iterable[Row]) -> str:
    """Return the table of the README."""
    lines = ["| What | Measured | Commit |", "|---|---|---|"]
    lines += [f"| {row.promise} | {verdict(row)}{row.figures} | {row.commit}, {row.date} |" for row in rows]
    return "\n".join(lines) + "\n"


def verdict(row: Row) -> str:
    """Return what to put before the figures of a row that failed."""
    return "" if row.passed else "**FAILED**: "


def whole(rows: dict[str, Row]) -> str:
    """Return the page."""
    lines = [
        "# Evidence",
        "",
        "Written by `make evidence`, which may run in pieces (`make evidence ARGS='-k kill'`): each row has the date",
        "and commit of its own run; a `+` marks code with changes that were not committed yet. What each instrument",
        "does is in [tests/README.md](../tests/README.md); `make planted` shows that each of them can fail.",
        "",
        "| Goal | What | Result | Measured | Seeds | CPU s | Run s | Date, commit | Machine |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.goals} | {row.promise} | {'passed' if row.passed else '**FAILED**'} | {row.figures} | {row.seeds}"
        f" | {row.cpu:,.0f} | {row.seconds:,.0f} | {row.date}, {row.commit} | {row.machine} |"
        for row in rows.values()
    ]
    lines += ["", "## How often each fault struck", "", "A fault that never strikes fails the run.", ""]
    for key, row in rows.items():
        if row.fired:
            told = ", ".join(f"{name} {count:,}" for name, count in row.fired.items())
            lines += [f"**{key}**: {told}.", ""]
    return "\n".join(lines).rstrip() + "\n"
