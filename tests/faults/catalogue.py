"""Every planted defect, what it breaks, and the instrument that has to find it.

``make planted`` plants all, one after the other; ``make planted DEFECT=P5`` one, by number or name. The table it prints
ends with an error when an instrument stays green. P-numbers are those of the reference; the others are our own.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.faults import configured, defects, instruments, planted, recreation_defects
from tests.faults.instruments import run
from tests.faults.promises import defects as edges

HISTORIES = ("--histories", "200", "--most-failures", "1")
KILLS = ("--kills", "60", "--seed", "1", "--patience", "20", "--most-violations", "1")
LIVES = ("--lives", "75", "--most-failures", "1")
QUICK = ("--patience", "5", "--most-violations", "1")
PER_KEY = "tests/contract/store/test_resources.py"
PER_TOKEN = "tests/http/test_authentication.py"
IDENTIFICATION = "tests/unit/provisioning/test_identification.py"
BRIDGED = "plugins/hubspot/tests/bridge"
REFUSED = f"{BRIDGED}/test_nobody_else.py::test_a_refused_membership_is_not_desired_any_more"
SHADOWED = f"{BRIDGED}/test_what_was_granted.py::test_what_was_taken_by_hand_from_a_shadowed_alias_is_given_back"
HIDDEN = f"{BRIDGED}/test_one_account.py::test_an_inactive_account_that_hubspot_hides_is_found_by_its_own_scim"
OAUTH = "plugins/hubspot/tests/connector/test_oauth.py"

ELSEWHERE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("acknowledge_before_commit", "killing", KILLS),
    ("acknowledge_before_commit", "power", ("--images", "120")),
    ("synchronous_normal", "power", ("--images", "120")),
    ("lower_for_casefold", "suite", (PER_KEY,)),
    ("missing_connection", "suite", (PER_KEY, PER_TOKEN)),
    ("any_remote_system_will_do", "suite", (IDENTIFICATION,)),
    ("what_is_refused_stays_wanted", "suite", (REFUSED,)),
    ("the_road_ends_an_authorisation", "suite", (OAUTH,)),
    ("what_was_set_is_held", "suite", (SHADOWED,)),
    ("who_is_hidden_is_not_looked_for", "suite", (HIDDEN,)),
    ("no_recovery", "killing", KILLS),
    ("failed_commit_is_success", "failing_disk", ("--points", "60", *QUICK)),
    ("no_answer_is_success", "single_faults", ("--share", "0.1")),
    *((name, "configured", ("--first", str(configured.FIRST.get(name, 0)), *LIVES)) for name in configured.DEFECTS),
    *((name, "cases", ("--rule", rule, "--most-failures", "1")) for name, rule in edges.FINDERS.items()),
    *((name, "recreations", ("--most-failures", "1", *which)) for name, which in recreation_defects.FINDERS.items()),
)
"""Defects that other instruments than the histories find, with how those are run."""

REPLICAS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("P7", "P7: whoever once led a connection goes on calling", "replicas.late", ("--rounds", "3")),
    ("everybody-drives", "Ours: no replica takes the lock", "replicas.run", ("--histories", "8", "--seed", "2")),
    ("window-of-its-own", "Ours: processes share no rate limit", "replicas.run", ("--histories", "8", "--seed", "1")),
)
"""Those of several processes, with what they break."""

TRIED = ("histories", "cases", "lives", "kills", "images", "points", "scenarios", "tests", "writes")
"""What instruments count."""


class Trial(NamedTuple):
    """A defect and an instrument.

    :param number: That of the reference; ``own`` for ours.
    :param breaks: What is wrong with the product then.
    """

    number: str
    defect: str
    breaks: str
    instrument: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a run is called."""
        return f"{self.defect} by {self.instrument}"

    def run(self) -> "Verdict":
        """Plant the defect and run the instrument."""
        report = run(self.instrument, *self.arguments, "--defect", self.defect)
        return Verdict(evidence_of(report), after(report), instruments.RUNS[-1].seconds)


class Verdict(NamedTuple):
    """What became of a trial.

    :param evidence: What the instrument found first; empty when it found nothing.
    :param after: How much it did until then.
    """

    evidence: str
    after: str
    seconds: float


def evidence_of(report: dict[str, Any]) -> str:
    """Return what an instrument found first; empty when it found nothing."""
    failed = report.get("failed", {})
    found = [*(reasons[0] for reasons in failed.values()), *report.get("violations", ()), *report.get("examples", ())]
    return " ".join(str(found[0]).split()) if found else ""


def after(report: dict[str, Any]) -> str:
    """Return how much an instrument did."""
    name = next(name for name in TRIED if name in report)
    count = report[name]
    return f"{sum(count.values()) if isinstance(count, dict) else count} {name}"


def trial(defect: str, told: str, instrument: str, arguments: tuple[str, ...]) -> Trial:
    """Return a trial from what a defect tells of itself: ``P5: …`` or ``Ours: …``."""
    number, _, breaks = told.partition(": ")
    known = re.fullmatch(r"P\d+", number)
    return Trial(number if known else "own", defect, breaks or told, instrument, arguments)


def trials() -> Iterator[Trial]:
    """Return all there are, in the order of their numbers."""
    known = defects.DEFECTS | edges.DEFECTS | recreation_defects.DEFECTS | configured.DEFECTS
    found = [trial(name, first_line(plant), "histories", HISTORIES) for name, plant in planted.DEFECTS.items()]
    found += [trial(name, first_line(known[name]), how, options) for name, how, options in ELSEWHERE]
    found += [trial(*each) for each in REPLICAS]
    yield from sorted(found, key=lambda one: int(one.number[1:]) if one.number != "own" else 99)


def first_line(plant: Any) -> str:
    """Return what a defect tells of itself."""
    return str(plant.__doc__).splitlines()[0].rstrip(".")


def main() -> None:
    """Run the trials that are named, by number, defect or both; all by default."""
    wanted = set(sys.argv[1:])
    chosen = [one for one in trials() if not wanted or wanted & {one.number, one.defect}]
    if not chosen:
        sys.exit(f"no such defect; there are {', '.join(sorted({one.defect for one in trials()}))}")
    blind = []
    for one in chosen:
        verdict = one.run()
        blind += [] if verdict.evidence else [one.name]
        found = f"found after {verdict.after}" if verdict.evidence else f"NOT FOUND in {verdict.after}"
        print(
            f"{one.number:>4}  {one.defect:<30} {one.instrument:<14} {found:<30} {verdict.seconds:4.0f} s", flush=True
        )
        print(f"      {one.breaks}", f"      > {verdict.evidence[:200]}", sep="\n", flush=True)
    print(f"{len(chosen) - len(blind)} of {len(chosen)} found", *blind, sep="\n  ")
    sys.exit(bool(blind))


if __name__ == "__main__":
    main()
