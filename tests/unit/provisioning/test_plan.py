"""The plan is pure: these properties hold for any desired and any observed state."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.provisioning.plan import Desired, Seen, Step, differing, next_group_step, next_user_step, same

USER_HOOKS = frozenset(
    {
        "create_user",
        "update_user",
        "deactivate_user",
        "reactivate_user",
        "delete_user",
        "set_user_groups",
        "finish_user",
    }
)
GROUP_HOOKS = frozenset({"create_group", "update_group", "delete_group", "add_group_members", "remove_group_members"})
PATHS = ("userName", "name.givenName", "name.familyName")

attributes = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["Ada", "ada ", "Byron", ""]), max_size=3)
links = st.frozensets(st.sampled_from(["r1", "r2", "r3"]))
desired_states = st.builds(Desired, exists=st.booleans(), active=st.booleans(), attributes=attributes, links=links)
seen_states = st.builds(
    Seen,
    known=st.booleans(),
    present=st.booleans(),
    active=st.booleans(),
    attributes=attributes,
    links=links,
    unfinished=st.booleans(),
    invited=st.booleans(),
).map(
    lambda seen: replace(
        seen,
        known=seen.known or seen.present,
        active=seen.active and seen.present,
        invited=seen.invited and seen.present and not seen.active,
    )
)


def take_user_step(step: Step, desired: Desired, seen: Seen) -> Seen:
    """Do to a remote account what a faithful connector does."""
    match step:
        case Step.DELETE_USER:
            return replace(seen, present=False, active=False, links=frozenset(), unfinished=False, invited=False)
        case Step.DEACTIVATE_USER:
            return replace(seen, active=False, unfinished=False, invited=False)
        case Step.FINISH_USER:
            return replace(seen, unfinished=False)
        case Step.CREATE_USER | Step.REACTIVATE_USER:
            return replace(seen, known=True, present=True, active=True)
        case Step.UPDATE_USER:
            return replace(seen, attributes=desired.attributes)
        case Step.SET_USER_GROUPS:
            return replace(seen, links=desired.links)
        case _:
            raise AssertionError(step)


def take_group_step(step: Step, desired: Desired, seen: Seen) -> Seen:
    """Do to a remote group what a faithful connector does."""
    match step:
        case Step.DELETE_GROUP:
            return replace(seen, present=False, links=frozenset())
        case Step.CREATE_GROUP:
            return replace(seen, known=True, present=True, attributes=desired.attributes)
        case Step.UPDATE_GROUP:
            return replace(seen, attributes=desired.attributes)
        case Step.ADD_GROUP_MEMBERS:
            return replace(seen, links=seen.links | desired.links)
        case Step.REMOVE_GROUP_MEMBERS:
            return replace(seen, links=seen.links & (desired.links if desired.exists else frozenset()))
        case _:
            raise AssertionError(step)


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_taking_the_steps_reaches_what_is_desired_of_an_account(desired: Desired, seen: Seen) -> None:
    """From any observed state, at most five steps reach the desired one, and then none is left."""
    for _ in range(5):
        step = next_user_step(desired, seen, USER_HOOKS)
        if step is None:
            break
        seen = take_user_step(step, desired, seen)

    assert next_user_step(desired, seen, USER_HOOKS) is None
    assert (seen.active or seen.invited) == (desired.exists and desired.active)
    if not desired.exists:
        assert not seen.present
    if seen.active:
        assert seen.links == desired.links
        assert not differing(desired, seen)


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_removals_come_before_anything_else(desired: Desired, seen: Seen) -> None:
    """While an active account holds what it should not, the next step takes it away."""
    step = next_user_step(desired, seen, USER_HOOKS)

    if (seen.active or seen.invited) and not (desired.exists and desired.active):
        assert step in {Step.DELETE_USER, Step.DEACTIVATE_USER}
    elif seen.active and seen.links - desired.links:
        assert step is Step.SET_USER_GROUPS


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_nothing_is_granted_to_an_account_that_should_not_be_active(desired: Desired, seen: Seen) -> None:
    """A deleted or inactive person gets neither an account nor a group."""
    if desired.exists and desired.active:
        return

    step = next_user_step(desired, seen, USER_HOOKS)

    assert step in {None, Step.DELETE_USER, Step.DEACTIVATE_USER, Step.FINISH_USER}


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_the_other_account_of_a_person_goes_last_and_goes(desired: Desired, seen: Seen) -> None:
    """While something else differs, the one that stays is changed first; then the other one is removed."""
    step = next_user_step(desired, seen, USER_HOOKS)
    without = next_user_step(desired, replace(seen, unfinished=False), USER_HOOKS)

    assert step is (without or (Step.FINISH_USER if seen.unfinished else None))
    assert next_user_step(desired, seen, USER_HOOKS - {"finish_user"}) is without


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_nobody_is_made_or_let_in_unless_that_is_asked_for(desired: Desired, seen: Seen) -> None:
    """Whatever differs, what does not speak of the account's existence neither makes nor reactivates it."""
    step = next_user_step(replace(desired, make=False), seen, USER_HOOKS)

    assert step not in {Step.CREATE_USER, Step.REACTIVATE_USER}
    if not (seen.active or seen.invited) and desired.exists:
        assert step in {None, Step.FINISH_USER}


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_whoever_is_invited_is_left_to_accept(desired: Desired, seen: Seen) -> None:
    """Nobody is invited twice, and nothing is given through an account that gives no access."""
    if desired.exists and desired.active and seen.invited:
        assert next_user_step(desired, seen, USER_HOOKS) in {None, Step.FINISH_USER}


@settings(max_examples=300, derandomize=True, deadline=None)
@given(desired_states)
def test_equal_states_need_no_step(desired: Desired) -> None:
    """What is already as desired is left alone."""
    present = desired.exists
    seen = Seen(True, present, present and desired.active, desired.attributes, frozenset(), desired.links)

    assert next_user_step(desired, seen, USER_HOOKS) is None
    assert next_group_step(replace(desired, active=True), replace(seen, links=frozenset()), GROUP_HOOKS) in {
        None,
        Step.ADD_GROUP_MEMBERS,
    }


@settings(max_examples=600, derandomize=True, deadline=None)
@given(desired_states, seen_states)
def test_taking_the_steps_reaches_what_is_desired_of_a_group(desired: Desired, seen: Seen) -> None:
    """From any observed state, at most five steps reach the desired one, and then none is left."""
    for _ in range(5):
        step = next_group_step(desired, seen, GROUP_HOOKS)
        if step is None:
            break
        seen = take_group_step(step, desired, seen)

    assert next_group_step(desired, seen, GROUP_HOOKS) is None
    assert seen.present == desired.exists
    if desired.exists:
        assert seen.links == desired.links


def test_without_delete_a_deletion_deactivates() -> None:
    """A remote system that cannot delete accounts at least ends their access."""
    seen = Seen(True, True, True)

    assert next_user_step(Desired(exists=False), seen, USER_HOOKS - {"delete_user"}) is Step.DEACTIVATE_USER


def test_deferred_attributes_do_not_hold_the_rest_up() -> None:
    """A name the remote system does not take yet is left out, and groups are granted all the same."""
    desired = Desired(attributes={"name.givenName": "Ada"}, links=frozenset({"r1"}))
    seen = Seen(True, True, True, {}, frozenset({"name.givenName"}))

    assert next_user_step(desired, seen, USER_HOOKS) is Step.SET_USER_GROUPS


def test_values_that_remote_systems_fold_are_the_same() -> None:
    """Trimmed names and lower-cased addresses are no difference; else the same update would be sent for ever."""
    assert same("userName", "Ada@Corp.example", "ada@corp.example")
    assert same("name.givenName", "Ada ", "Ada")
    assert same("title", "", None)
    assert not same("name.givenName", "Ada", "ada")
