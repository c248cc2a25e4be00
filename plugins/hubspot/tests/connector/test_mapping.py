"""The translation between groups and assignments, by properties: any groups, any account, any configuration."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge_hubspot.bindings import Inventory
from scim_bridge_hubspot.config import HubSpotConfig
from scim_bridge_hubspot.given import Remembered
from scim_bridge_hubspot.holding import held_by
from scim_bridge_hubspot.mapping import Mapper
from scim_bridge_hubspot.wire import Assignment, PermissionSet, PublicUser, Seat, Team, assignment_body, assignment_of

SETS = tuple(PermissionSet(id=str(number), name=name) for number, name in enumerate(("Ops", "Sales", "Reader"), 1))
TEAMS = tuple(Team(id=str(number), name=name) for number, name in enumerate(("EMEA", "US", "Asia", "Hand"), 11))
SEATS = tuple(Seat(name=name) for name in ("Core", "Sales Seat", "View"))
INVENTORY = Inventory(SETS, TEAMS, SEATS)

aliases = st.fixed_dictionaries(
    {},
    optional={
        "North": st.just({"permission_set": "Sales", "primary_team": "EMEA", "seats": ["Core"]}),
        "South": st.just({"permission_set": "Ops", "primary_team": "US", "secondary_teams": ["Asia"]}),
        "Extra": st.just({"secondary_teams": ["Asia"], "seats": ["Sales Seat"]}),
    },
)
configs = st.fixed_dictionaries(
    {
        "groups": aliases,
        "teams_as_groups": st.sampled_from([None, "primary", "secondary"]),
        "seats_as_groups": st.booleans(),
        "precedence": st.permutations(["Ops", "Sales", "Reader"]).map(lambda names: names[:2]),
        "fallback_permission_set": st.sampled_from([None, "Reader"]),
        "fallback_seat": st.sampled_from([None, "View"]),
    }
).map(lambda values: HubSpotConfig(token="t", api_version="2026-09-beta", **values))  # type: ignore[arg-type] # as a file has it


seat_names = st.sampled_from(["Core", "Sales Seat", "View"])


@st.composite
def situations(draw: st.DrawFn) -> tuple[Mapper, list[str], Assignment]:
    """Draw a mapper, groups that it has, and what a person holds."""
    mapper = Mapper(draw(configs), INVENTORY)
    groups = draw(st.lists(st.sampled_from(sorted(mapper.groups())), unique=True, max_size=6))
    teams = draw(st.lists(st.sampled_from([team.id for team in TEAMS]), unique=True))
    has_primary = draw(st.booleans())
    held = Assignment(
        role_id=draw(st.sampled_from([None, *(item.id for item in SETS)])),
        primary_team_id=teams[0] if teams and has_primary else None,
        secondary_team_ids=frozenset(teams[1:]),
        seat_names=frozenset(draw(st.lists(seat_names))),
    )
    return mapper, groups, held


def holding(assignment: Assignment, **more: Any) -> PublicUser:
    """Return an account that holds an assignment."""
    return PublicUser(
        id="1",
        email="ada@corp.example",
        super_admin=False,
        role_id=assignment.role_id,
        role_ids=(assignment.role_id,) if assignment.role_id else (),
        primary_team_id=assignment.primary_team_id,
        secondary_team_ids=tuple(sorted(assignment.secondary_team_ids)),
        seat_names=None if assignment.seat_names is None else tuple(sorted(assignment.seat_names)),
        **more,
    )


@settings(max_examples=100)
@given(situations())
def test_writing_what_groups_come_to_makes_them_be_in_force(situation: tuple[Mapper, list[str], Assignment]) -> None:
    """Resolved, written and read back, the same groups are held, need no write, and come to the same again."""
    mapper, groups, held = situation
    resolution = mapper.resolve(groups, held)
    account = holding(resolution.assignment)
    assert resolution.satisfied_by(account)
    again = mapper.resolve(groups, assignment_of(account))
    assert again.assignment == resolution.assignment
    assert set(held_by(mapper, account, Remembered(tuple(groups)))) == set(groups)


@settings(max_examples=100)
@given(situations())
def test_no_one_gets_more_than_groups_give_and_hands_gave(situation: tuple[Mapper, list[str], Assignment]) -> None:
    """Every set, team and seat comes from a group, a fallback, or was there and is managed by no group."""
    mapper, groups, held = situation
    grants = [mapper.grant_of(group) for group in groups]
    wanted = mapper.resolve(groups, held).assignment
    fallback = {"3"}  # Reader
    assert wanted.role_id in {None, *(grant.role_id for grant in grants), *fallback}
    assert wanted.team_ids <= held.team_ids.union(*(grant.team_ids for grant in grants))
    assert (wanted.seat_names or set()) <= (held.seat_names or frozenset()).union(
        {"View"}, *(grant.seat_names for grant in grants)
    )


@settings(max_examples=100)
@given(situations())
def test_every_group_takes_effect_or_is_shadowed_with_a_reason(
    situation: tuple[Mapper, list[str], Assignment],
) -> None:
    """Effective and shadowed groups are all groups; teams and seats of a shadowed alias are still given."""
    mapper, groups, held = situation
    resolution = mapper.resolve(groups, held)
    assert set(resolution.effective) | set(resolution.shadowed) == set(groups)
    assert not set(resolution.effective) & set(resolution.shadowed)
    for group in groups:
        grant = mapper.grant_of(group)
        assert grant.team_ids <= resolution.assignment.team_ids
        assert grant.seat_names <= (resolution.assignment.seat_names or frozenset())
        if group not in resolution.shadowed and grant.role_id:
            assert resolution.assignment.role_id == grant.role_id


@settings(max_examples=100)
@given(situations())
def test_the_order_of_groups_does_not_matter(situation: tuple[Mapper, list[str], Assignment]) -> None:
    """Two IdPs that send the same groups in another order mean the same."""
    mapper, groups, held = situation
    assert mapper.resolve(groups, held) == mapper.resolve(list(reversed(groups)), held)


@settings(max_examples=100)
@given(situations())
def test_what_is_held_without_a_memory_is_explained_whole(situation: tuple[Mapper, list[str], Assignment]) -> None:
    """Of an account nobody has written yet, the groups shown cover the permission set, if it is not the fallback."""
    mapper, _, held = situation
    account = holding(held)
    groups = held_by(mapper, account, Remembered())
    given_roles = {mapper.grant_of(group).role_id for group in groups}
    assert held.role_id is None or held.role_id in given_roles or mapper.set_name(held.role_id) == "Reader"
    assert all(mapper.grant_of(group).team_ids <= held.team_ids for group in groups)


@settings(max_examples=100)
@given(situations(), st.sampled_from(["null", "omitted", "empty"]))
def test_a_put_body_names_all_that_has_or_had_a_value(
    situation: tuple[Mapper, list[str], Assignment], clearing: Any
) -> None:
    """Nothing that HubSpot might drop is left out, and nothing is sent about what was never there."""
    mapper, groups, held = situation
    wanted = mapper.resolve(groups, held).assignment
    body = assignment_body(wanted, held, clearing)
    assert body.get("roleId") or wanted.role_id is None
    assert ("secondaryTeamIds" in body) == bool(wanted.team_ids or held.team_ids)
    assert ("seatNames" in body) == bool(wanted.seat_names or held.seat_names)
    assert not (held == Assignment(seat_names=frozenset()) and wanted == held and body)
