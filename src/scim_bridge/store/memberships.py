"""Who is in which group: rows, never lists. A row with neither flag does not exist.

*Desired* is what the client said, *observed* what the remote system was seen to hold. What clients are shown is either:
a removal is never claimed before it is true.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update
from sqlalchemy.engine import Connection

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.dialects import chunks, upsert
from scim_bridge.store.rows import GroupReference, MemberDelta, MembershipChange
from scim_bridge.store.tables import member, resource

_GROUP = and_(member.c.connection_id == bindparam("connection"), member.c.group_id == bindparam("group"))
_USER = and_(member.c.connection_id == bindparam("connection"), member.c.user_id == bindparam("user"))
_GROUPS_GIVEN = member.c.group_id.in_(bindparam("ids", expanding=True))
_USERS_GIVEN = member.c.user_id.in_(bindparam("ids", expanding=True))
_NEITHER = ~member.c.desired & ~member.c.observed
_REFERENCE = (resource.c.id, resource.c.name, resource.c.remote_id, member.c.desired, member.c.observed)

_DESIRED_OF_GROUP = select(member.c.user_id).where(_GROUP, member.c.desired)
_OF_GROUP = select(member.c.user_id, member.c.desired, member.c.observed).where(_GROUP)
_USERS_KNOWN = select(resource.c.id).where(
    resource.c.connection_id == bindparam("connection"),
    resource.c.id.in_(bindparam("ids", expanding=True)),
    resource.c.kind == "User",
    ~resource.c.deleted,
)
_MEMBERS = (
    select(member.c.group_id, *_REFERENCE)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(member.c.connection_id == bindparam("connection"), _GROUPS_GIVEN, ~resource.c.deleted)
    .order_by(member.c.group_id, member.c.user_id)
)
_MEMBERS_AFTER = _MEMBERS.where(member.c.user_id > bindparam("after"))
_GROUPS = (
    select(member.c.user_id, *_REFERENCE)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.group_id))
    .where(member.c.connection_id == bindparam("connection"), _USERS_GIVEN)
    .order_by(member.c.user_id, member.c.group_id)
)
_UNSETTLED = select(member.c.user_id, member.c.desired).where(_GROUP, member.c.desired != member.c.observed)
_HOLDERS = (
    select(func.count())
    .select_from(member)
    .join(resource, and_(resource.c.connection_id == member.c.connection_id, resource.c.id == member.c.user_id))
    .where(_GROUP, member.c.desired, resource.c.active, ~resource.c.deleted)
)
