"""Every instrument finds what it must find: each planted defect turns it red. ``make planted DEFECT=P5`` shows one."""

import pytest

from tests.faults.catalogue import Trial, trials

TRIALS = list(trials())


def test_every_defect_of_the_reference_is_planted() -> None:
    """The reference names twelve; two or more are our own."""
    numbers = [trial.number for trial in TRIALS]
    assert {f"P{number}" for number in range(1, 13)} <= set(numbers)
    assert numbers.count("own") >= 2


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.name for trial in TRIALS])
def test_is_found(trial: Trial) -> None:
    """An instrument that stays green on a broken bridge proves nothing."""
    verdict = trial.run()
    print(f"{trial.number} {trial.name}, after {verdict.after}: {verdict.evidence[:160]}")
    assert verdict.evidence
