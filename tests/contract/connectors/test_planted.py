"""The contract is an instrument, so it is shown to fail: one planted bug per rule, and the rule that has to find it."""

from collections import defaultdict

import pytest

from scim_bridge.testing.connector_contract import ConnectorContract

pytest_plugins = ["pytester"]

FOUND_BY = {
    "planted_memory.SynchronousHook": "the_definition_is_complete",
    "planted_memory.Unimplemented": "required_operations_are_implemented",
    "planted_memory.LooseSettings": "settings_refuse_unknown_keys",
    "planted_memory.PlainSecret": "secrets_are_declared_as_secrets",
    "planted_acme.LogsTheToken": "secrets_are_not_logged",
    "planted_memory.OpensInInit": "init_does_no_io",
    "planted_memory.SharedCache": "objects_share_no_mutable_state",
    "planted_memory.SharedByModule": "objects_share_no_mutable_state",
    "planted_memory.ClosesForAll": "closing_one_leaves_the_other",
    "planted_memory.SameForAll": "two_accounts_have_two_identities",
    "planted_memory.AnotherEachTime": "an_account_keeps_its_identity",
    "planted_memory.OutageAsNobody": "an_identity_that_cannot_be_asked_for_is_not_none",
    "planted_memory.AnswersAnotherId": "create_returns_an_identifier_that_get_takes",
    "planted_memory.AlwaysNew": "creating_twice_adopts",
    "planted_memory.AdoptsAnybody": "different_people_have_different_identifiers",
    "planted_memory.MindsTheCase": "find_user_finds_by_any_case_and_answers_none_otherwise",
    "planted_memory.ChangesArguments": "arguments_are_not_changed",
    "planted_memory.ReturnsItsOwn": "what_is_returned_is_a_copy",
    "planted_memory.UnknownIsForbidden": "an_unknown_id_is_not_found",
    "planted_memory.UnknownIsAKeyError": "an_unknown_id_is_not_found",
    "planted_memory.Accumulates": "writing_twice_leaves_the_same_state",
    "planted_memory.LosesAnAttribute": "every_announced_attribute_is_kept",
    "planted_memory.ClearsNothing": "what_is_unassigned_is_cleared",
    "planted_memory.WritesAnyway": "an_update_that_changes_nothing_makes_no_write",
    "planted_memory.DeletesOnce": "deleting_twice_is_success",
    "planted_memory.ExplainsByWriting": "descriptions_change_nothing",
    "planted_memory.BornInactive": "a_new_account_reads_back_active",
    "planted_memory.RemembersTheEnd": "the_remote_system_itself_agrees",
    "planted_memory.InvitesAsActive": "an_invitation_is_no_access",
    "planted_memory.LeavesTheInvitation": "a_deactivated_account_reads_back_inactive",
    "planted_memory.DeactivatesACopy": "a_deactivated_account_reads_back_inactive",
    "planted_memory.Toggles": "deactivating_twice_is_success",
    "planted_memory.TakesNobodyForDone": "deactivating_an_absent_account_is_told",
    "planted_memory.NeverBack": "reactivation_restores",
    "planted_memory.BackWithEverything": "reactivation_gives_no_more_groups_than_asked",
    "planted_pages.SkipsOne": "pages_have_no_gap_and_no_repeat",
    "planted_pages.RepeatsOne": "pages_have_no_gap_and_no_repeat",
    "planted_pages.NeverEnds": "pages_have_no_gap_and_no_repeat",
    "planted_pages.IgnoresTheLimit": "pages_have_no_gap_and_no_repeat",
    "planted_pages.ShowsFifty": "more_people_than_a_page_are_listed",
    "planted_pages.ListsAnotherState": "a_listing_and_a_read_agree",
    "planted_pages.EmptyOnError": "an_error_midway_is_raised",
    "planted_groups.AlwaysANewGroup": "creating_a_group_twice_adopts",
    "planted_groups.HidesAGroup": "groups_are_listed",
    "planted_groups.OnlyAdds": "the_groups_are_exactly_those_given",
    "planted_groups.ReplacesMembers": "members_are_added_and_removed",
    "planted_groups.ForgetsAMember": "the_members_listed_are_those_of_the_group",
    "planted_groups.OneGroupEach": "the_members_listed_are_those_of_the_group",
    "planted_groups.ShowsFortyMembers": "more_members_than_a_page_are_listed",
    "planted_groups.PromisesTooMany": "as_many_members_as_announced_fit_in_one_call",
    "planted_groups.InsistsOnMembers": "a_removal_from_a_group_of_an_absent_account_is_success",
    "planted_groups.UnknownGroupIsUnknownAccount": "a_group_or_member_that_is_not_there_is_an_invalid_value",
    "planted_groups.UnknownMemberIsUnknownGroup": "a_group_or_member_that_is_not_there_is_an_invalid_value",
    "planted_groups.SwallowsAGrant": "a_partial_failure_is_completed_by_the_second_call",
    "planted_groups.GrantsOnce": "a_partial_failure_is_completed_by_the_second_call",
    "planted_acme.CredentialsAsForbidden": "a_failed_read_becomes_its_error",
    "planted_acme.ForbiddenAsInvalid": "a_failed_read_becomes_its_error",
    "planted_acme.LimitAsOutage": "a_failed_read_becomes_its_error",
    "planted_acme.LimitOfItsOwn": "a_failed_read_becomes_its_error",
    "planted_acme.OutageAsAbsence": "a_failed_read_becomes_its_error",
    "planted_acme.ReadsWithoutCare": "a_failed_read_becomes_its_error",
    "planted_acme.TellsTheBody": "a_failed_read_becomes_its_error",
    "planted_acme.NeverAmbiguous": "a_failed_deactivation_is_never_told_as_done",
    "planted_acme.SwallowsADeactivation": "a_failed_deactivation_is_never_told_as_done",
    "planted_acme.GatewayAsAbsence": "an_answer_of_the_road_says_nothing_about_an_account",
    "planted_acme.BelievesAnyRecord": "another_persons_record_is_not_believed",
    "planted_acme.ConflictAsOutage": "a_conflict_is_told_as_one",
    "planted_acme.NeverLooks": "a_creation_whose_answer_was_lost_is_adopted",
    "planted_acme.DeactivatesBlindly": "a_deactivation_whose_answer_was_lost_is_completed",
    "planted_memory.LeavesATask": "cancellation_leaves_nothing_open",
    "planted_memory.IgnoresCancellation": "cancellation_leaves_nothing_open",
    "planted_acme.LogsTheBody": "failures_are_not_logged_with_their_body",
    "planted_memory.SwallowsCancellation": "cancellation_leaves_nothing_open",
    "planted_memory.Blocks": "nothing_blocks_the_loop",
    "planted_memory.LogsNames": "people_are_not_logged",
    "planted_memory.EchoesWhatWasAsked": "an_answer_is_what_a_read_then_shows",
    "planted_memory.DefaultRole": "a_new_account_holds_no_group_that_was_not_asked_for",
    "planted_memory.AdoptsAsActive": "an_inactive_account_that_is_adopted_is_told_so",
    "planted_memory.SendsTheWholeUser": "an_update_leaves_what_does_not_differ",
    "planted_memory.NewAndInactive": "a_deleted_account_can_be_made_anew",
    "planted_memory.ListsNobodyInactive": "a_listing_and_a_read_agree",
    "planted_memory.ListsNoGroups": "a_listing_and_a_read_agree",
    "planted_memory.CapsPages": "pages_have_no_gap_and_no_repeat",
    "planted_memory.IgnoresAFullLastPage": "pages_have_no_gap_and_no_repeat",
    "planted_memory.ChangesBefore": "arguments_are_not_changed",
    "planted_groups.GroupsLetIn": "groups_let_no_inactive_account_in",
    "planted_groups.RenamesNothing": "a_renamed_group_reads_back",
    "planted_groups.DeletesNothing": "a_group_that_was_made_and_deleted_is_gone",
    "planted_groups.LetsInFirst": "access_comes_back_after_what_is_taken",
    "planted_roles.TellsARoleTwice": "entitlements_are_told_apart",
    "planted_roles.OffersWhatNobodyGives": "what_is_assignable_is_a_group",
    "planted_roles.TellsNothingOfReads": "what_is_held_is_told_by_every_answer",
    "planted_acme.TellsWhatWasRefused": "a_refused_value_is_told_without_its_text",
    "planted_acme.HalfAPerson": "a_later_call_of_a_read_that_fails_is_told",
    "planted_acme.OneTokenForAll": "a_secret_stays_with_its_connection",
}
"""Each planted bug, and the rule that has to find it."""

SUITE = """
import pytest
from scim_bridge.testing.connector_contract import ConnectorContract
from scim_bridge.testing.memory import MemoryConnector
from tests.contract.connectors import planted_acme, planted_groups, planted_memory, planted_pages, planted_roles
from tests.contract.connectors.test_memory import MemoryFixtures
from tests.contract.connectors.test_tutorial import AcmeFixtures

planted_memory.Unimplemented = type("Unimplemented", (MemoryConnector,), {})


def plant(fixtures, connector_type, rule):
    @pytest.fixture
    def fixture(self):
        return connector_type

    group = next(base for base in ConnectorContract.__bases__ if hasattr(base, f"test_{rule}"))
    required = frozenset({"schemas"} if connector_type.__name__ == "Unimplemented" else ())
    return type("TestPlanted", (fixtures, group), {"connector_type": fixture, "required_operations": required})


"""

DEACTIVATION = "a_failed_deactivation_is_never_told_as_done"
ABSENT = "deactivating_an_absent_account_is_told"
TRUTH = "the_remote_system_itself_agrees"
ROAD = "an_answer_of_the_road_says_nothing_about_an_account"

CROWD = "more_people_than_a_page_are_listed"

ALSO = {
    "planted_acme.TellsWhatWasRefused": {ROAD},
    "planted_acme.LogsTheBody": {"people_are_not_logged"},
    "planted_memory.EchoesWhatWasAsked": {"an_update_leaves_what_does_not_differ"},
    "planted_memory.AnswersAnotherId": {
        "creating_twice_adopts",
        "find_user_finds_by_any_case_and_answers_none_otherwise",
    },
    "planted_memory.BornInactive": {TRUTH},
    "planted_memory.DeactivatesACopy": {"deactivating_twice_is_success", ABSENT, TRUTH},
    "planted_memory.RemembersTheEnd": {ABSENT},
    "planted_memory.Toggles": {ABSENT},
    "planted_memory.LeavesTheInvitation": {"deactivating_twice_is_success"},
    "planted_memory.InvitesAsActive": {"a_deactivated_account_reads_back_inactive", "deactivating_twice_is_success"},
    "planted_pages.NeverEnds": {"a_listing_and_a_read_agree", CROWD},
    "planted_pages.SkipsOne": {CROWD},
    "planted_pages.RepeatsOne": {CROWD},
    "planted_memory.CapsPages": {CROWD},
    "planted_groups.ForgetsAMember": {"more_members_than_a_page_are_listed"},
    "planted_groups.SwallowsAGrant": {"a_group_or_member_that_is_not_there_is_an_invalid_value"},
    "planted_memory.NeverBack": {"reactivation_gives_no_more_groups_than_asked", TRUTH},
    "planted_acme.CredentialsAsForbidden": {DEACTIVATION},
    "planted_acme.ForbiddenAsInvalid": {DEACTIVATION},
    "planted_acme.LimitAsOutage": {DEACTIVATION},
    "planted_acme.LimitOfItsOwn": {DEACTIVATION},
    "planted_acme.OutageAsAbsence": {
        DEACTIVATION,
        "a_creation_whose_answer_was_lost_is_adopted",
        "a_deactivation_whose_answer_was_lost_is_completed",
    },
    "planted_acme.ReadsWithoutCare": {"failures_are_not_logged_with_their_body"},
    "planted_acme.TellsTheBody": {DEACTIVATION, ROAD},
    "planted_acme.SwallowsADeactivation": {ROAD},
    "planted_acme.DeactivatesBlindly": {ROAD},
    "planted_acme.NeverAmbiguous": {
        "a_creation_whose_answer_was_lost_is_adopted",
        "a_deactivation_whose_answer_was_lost_is_completed",
    },
}
"""Other rules of the group that rightly find a bug, too."""

_RUN: dict[str, set[str]] = {}


def name_of(bug: str) -> str:
    """Return the name of the test class of a planted bug."""
    return "Test" + bug.rpartition(".")[2]


@pytest.fixture
def failures(pytester: pytest.Pytester) -> dict[str, set[str]]:
    """Run the rules of its group over each planted bug, once, and return those that failed by test class."""
    if not _RUN:
        plants = "\n".join(
            f"{name_of(bug)} = plant({'Acme' if 'acme' in bug else 'Memory'}Fixtures, {bug}, {rule!r})"
            for bug, rule in FOUND_BY.items()
        )
        pytester.makepyfile(test_planted_bugs=SUITE + plants)
        found: dict[str, set[str]] = defaultdict(set)
        idle = ("cacheprovider", "asyncio", "hypothesispytest", "schemathesis", "xdist")
        run = pytester.inline_run("-q", "--tb=no", *(option for name in idle for option in ("-p", f"no:{name}")))
        for report in run.getreports("pytest_runtest_logreport"):
            assert isinstance(report, pytest.TestReport)
            _, class_name, rule = report.nodeid.split("::")
            found[class_name] |= {rule.partition("[")[0].removeprefix("test_")} if report.failed else set()
        _RUN.update(found)
    return _RUN


@pytest.mark.parametrize("bug", FOUND_BY)
def test_each_planted_bug_is_found_by_its_rule(bug: str, failures: dict[str, set[str]]) -> None:
    """Of its group, the rule that says what is wrong fails, and no other that would mislead."""
    assert failures[name_of(bug)] == {FOUND_BY[bug]} | ALSO.get(bug, set())


def test_every_rule_has_a_planted_bug() -> None:
    """A rule that nothing was ever seen to break is not an instrument."""
    rules = {name.removeprefix("test_") for name in dir(ConnectorContract) if name.startswith("test_")}

    assert rules == {*FOUND_BY.values(), "the_later_of_two_orders_holds"}  # that one's are in `test_memory`
