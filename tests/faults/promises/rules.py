"""The promises as rules. Each looks at a story and yields what broke it; ``docs/promises.md`` says them in words."""

from collections.abc import Callable, Iterator

from tests.faults.promises import answers, claims, endings, grants
from tests.faults.promises.record import Record
from tests.faults.promises.story import Finding, Story

Rule = Callable[[Story], Iterator[tuple[float, str]]]
"""Yields when a promise was broken, and how."""

RULES: dict[str, Rule] = {
    "removed-is-out": claims.removed_is_out,
    "left-is-left": claims.left_is_left,
    "nothing-unasked": grants.nothing_unasked,
    "hand-removal-stays": grants.hand_removal_stays,
    "named-only": grants.named_only,
    "admins-untouched": grants.admins_untouched,
    "guard-kept": grants.guard_kept,
    "one-person-one-account": grants.one_person_one_account,
    "refusal-leaves-nothing": claims.refusal_leaves_nothing,
    "one-name-one-id": answers.one_name_one_id,
    "one-id-one-person": answers.one_id_one_person,
    "not-absent-then-taken": answers.not_absent_then_taken,
    "transient-is-429": answers.transient_is_429,
    "road-is-no-refusal": answers.road_is_no_refusal,
    "limit-kept": answers.limit_kept,
    "logs-are-clean": answers.logs_are_clean,
    "accepted-is-done": endings.accepted_is_done,
    "claimed-stays": endings.claimed_stays,
    "reads-are-true": endings.reads_are_true,
}
"""All of them, by the names that the page gives them."""


def judge(record: Record) -> list[Finding]:
    """Return every promise that was broken in a record, in the order in which they were."""
    story = Story(record)
    found = [Finding(name, at, detail) for name, rule in RULES.items() for at, detail in rule(story)]
    return sorted(found, key=lambda one: one.at)
