"""The representation that is made of columns is the one that is made of objects."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.protocol import rendering
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.rows import Membership, ResourceRow
from scim_bridge.store.shown import Shown

BASE = "https://scim.example.com/acme/scim/v2"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ['"', "\\", "\u2028"]
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - in UTC


@settings(max_examples=60, deadline=None)
@given(id_=TEXTS, groups=st.lists(st.tuples(TEXTS, TEXTS), max_size=3), times=st.tuples(TIMES, TIMES))
def test_a_user_of_columns_is_the_user_of_objects(
    id_: str, groups: list[tuple[str, str]], times: tuple[datetime, datetime]
) -> None:
    """Byte for byte, whatever ids and names are, with and without fractions of a second."""
    document = b'{"schemas":[],"userName":"ada"}'
    row = ResourceRow("acme", id_, "User", "ada", document, *times)
    memberships = [Membership(group, name, None) for group, name in groups]
    whole = rendering.resource(BASE, rendering.Representation(row, memberships))

    created, modified = map(to_microseconds, times)
    shown = Shown(id_, document, created, modified, row.version, row.active, row.shown_active)
    assert rendering.user(BASE, shown, groups, compared=False) == whole


@settings(max_examples=60, deadline=None)
@given(id_=TEXTS, members=st.lists(TEXTS, max_size=3), time=TIMES)
def test_the_members_of_a_group_are_the_values_that_they_stand_for(
    id_: str, members: list[str], time: datetime
) -> None:
    """One formatting makes what a JSON encoder makes of each, whatever ids are."""
    row = ResourceRow("acme", id_, "Group", "Sales", b'{"schemas":[],"displayName":"Sales"}', time, time)

    document = json.loads(rendering.resource(BASE, rendering.Representation(row, members=members)))

    assert document["members"] == [rendering.member_value(BASE, one) for one in members]
