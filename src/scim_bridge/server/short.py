"""The short way of the reads that clients send most: one resource, a page, and the search for one text.

From the request's bytes to the stored ones, past the models and the filter parser that only other requests need. What
is not exactly one of these forms goes the long way (:mod:`scim_bridge.server.reads`), which answers the same; a test
compares them.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.types import Scope

from scim_bridge.models import Kind
from scim_bridge.protocol import rendering
from scim_bridge.server.access_log import Entry
from scim_bridge.server.answers import Answer
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.requests import HEADER_BYTES, origin_of, query_of
from scim_bridge.store import resources, shown
from scim_bridge.store.resources import NAMES
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.shown import COLUMNS, PATHS, Listing, Sought
from scim_bridge.store.transaction import Transaction

Bodies = Callable[[Transaction, str, Sequence[ResourceRow]], list[bytes]]
"""Returns the whole representations of Users, below a base URL."""

KINDS: dict[bytes, Kind] = {b"Users": "User", b"Groups": "Group"}

NEAR = 1_000
"""To pass over more resources than these on the way to a page is no work for the event loop."""

_PATH = re.compile(rb"/([a-z0-9-]+)/scim/v2/(Users|Groups)(?:/([A-Za-z0-9-]+))?")
_LONG_WAY = frozenset({b"if-match", b"if-none-match", b"content-encoding", b"content-length", b"transfer-encoding"})
_READ = frozenset({b"authorization", b"host"})
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_COMPARISON = re.compile(r'([A-Za-z.]{1,40}) (eq|co) "([^"\\\x00-\x1f]{1,200})"')
_ORDERS = {"ascending": False, "descending": True}


class Asked(NamedTuple):
    """A request that may go the short way.

    :param resource_id: The resource asked for; ``None``: a list.
    :param authorization: The header field.
    :param origin: Scheme and authority, as the client sees them.
    """

    connection_id: str
    kind: Kind
    resource_id: str | None
    authorization: bytes
    origin: str


def asked(scope: Scope) -> Asked | None:
    """Return what a request asks for; ``None``: it goes the long way, if only because something about it is wrong."""
    found = _PATH.fullmatch(scope.get("raw_path") or b"")
    if found is None or scope["method"] != "GET" or (found[3] is not None and scope["query_string"]):
        return None
    fields = _fields(scope["headers"])
    authorization, host = fields.get(b"authorization"), fields.get(b"host")
    if authorization is None or host is None:
        return None
    origin = _origin(scope["scheme"], host)
    if origin is None:
        return None
    connection_id, endpoint, resource_id = found.groups()
    id_ = None if resource_id is None else resource_id.decode()
    return Asked(connection_id.decode(), KINDS[endpoint], id_, authorization, origin)


def _fields(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return who asks, and whom; nothing when other header fields count, or these are there twice."""
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name in _READ:
            if name in found:
                return {}
            found[name] = value
        elif name in _LONG_WAY:
            return {}
    return found if size <= HEADER_BYTES else {}


@lru_cache(maxsize=64)
def _origin(scheme: str, host: bytes) -> str | None:
    try:
        return origin_of({"scheme": scheme}, host.decode("latin-1"))
    except Exception:  # noqa: BLE001 - the long way says what is wrong
        return None


class ShortReads:
    """The reads of one connection that go the short way.

    :param connection: The connection.
    :param bodies: Where the remote system tells what people hold, which is more than a statement finds: returns it.
    """

    def __init__(self, connection: ServedConnection, bodies: Bodies | None = None) -> None:
        self._bodies = bodies
        self._id = connection.connection_id
        self._store = connection.store
        self._listed = connection.listed
        self._compared = connection.service.preset.compares
        config: Any = connection.service.config  # announces both
        self._default_size: int = config.pagination.default_page_size
        self._largest_size: int = min(config.pagination.max_page_size, config.filter.max_results)

    async def one(self, base_url: str, kind: Kind, resource_id: str) -> Answer | None:
        """Answer ``GET /Users/{id}`` or ``/Groups/{id}``; ``None``: there is no such resource."""
        if kind == "User" and (bodies := self._bodies) is not None:
            return await self._store.read(lambda tx: self._entitled(tx, base_url, resource_id, bodies))
        if kind == "User":
            found = shown.user_in(await self._store.ask(shown.USER, shown.user_key(self._id, resource_id)))
            return None if found is None else _answer(base_url, kind, found[0], self._user(base_url, *found))
        return await self._store.scan(lambda tx: self._group(tx, base_url, resource_id))  # members may be many

    def _entitled(self, tx: Transaction, base_url: str, resource_id: str, bodies: Bodies) -> Answer | None:
        row = resources.get(tx, self._id, "User", resource_id)
        if row is None:
            return None
        (body,) = bodies(tx, base_url, [row])
        return _answer(base_url, "User", row, body)

    def _group(self, tx: Transaction, base_url: str, resource_id: str) -> Answer | None:
        found = shown.group(tx, self._id, resource_id)
        if found is None:
            return None
        return _answer(base_url, "Group", found[0], rendering.group(base_url, *found))

    def _user(self, base_url: str, user: shown.Shown, groups: Sequence[tuple[str, str]]) -> bytes:
        return rendering.user(base_url, user, groups, compared=self._compared)

    async def many(self, base_url: str, kind: Kind, scope: Scope, entry: Entry) -> Answer | None:
        """Answer a list; ``None``: it asks for more than a page, or for somebody who is not known here.

        :param entry: Where it is noted what is compared.
        """
        listing = self._listing(kind, scope)
        if listing is None:
            return None

        def work(tx: Transaction) -> tuple[list[bytes], int]:
            found, total = shown.page(tx, self._id, listing)
            if kind == "User" and self._bodies is not None:
                rows = {row.id: row for row in resources.get_many(tx, self._id, "User", [user.id for user in found])}
                return self._bodies(tx, base_url, [rows[user.id] for user in found if user.id in rows]), total
            if kind == "User":
                groups = shown.groups_of(tx, self._id, [user.id for user in found]) if found else {}
                return [self._user(base_url, user, groups.get(user.id, ())) for user in found], total
            bodies = [rendering.group(base_url, group, shown.members(tx, self._id, group.id)) for group in found]
            return bodies, total

        sought = listing.sought
        entry.filter = () if sought is None else (sought.attribute,)
        is_bounded = kind == "User" and listing.start <= NEAR and not (sought is not None and sought.contained)
        bodies, total = await (self._store.read(work) if is_bounded else self._store.scan(work))
        if sought is not None and sought.attribute == "userName" and not total:
            return None  # the long way looks in the remote system
        envelope: dict[str, object] = {
            "schemas": [LIST_RESPONSE],
            "totalResults": total,
            "startIndex": listing.start + 1,
            "itemsPerPage": len(bodies),
        }
        return Answer(200, rendering.page(envelope, bodies))

    def _listing(self, kind: Kind, scope: Scope) -> Listing | None:
        query = query_of(scope)
        if not query.keys() <= {"filter", "startIndex", "count", "sortBy", "sortOrder"}:
            return None
        start, count = query.get("startIndex", "1"), query.get("count")
        if not _NUMBER.fullmatch(start) or not (count is None or _NUMBER.fullmatch(count)):
            return None
        descending, by = _ORDERS.get(query.get("sortOrder", "ascending")), query.get("sortBy")
        if descending is None or by not in (None, NAMES[kind]):
            return None
        sought = None
        if "filter" in query:
            sought = _sought(kind, query["filter"])
            if sought is None:
                return None
        size = min(self._default_size if count is None else int(count), self._largest_size)
        return Listing(kind, self._listed, int(start) - 1, size, sought, by is not None, descending)


def _sought(kind: Kind, text: str) -> Sought | None:
    """Return what a filter asks for, if it is one plain comparison of an attribute that is found quickly."""
    found = _COMPARISON.fullmatch(text)
    if found is None or (found[1] not in COLUMNS[kind] and found[1] not in PATHS[kind]):
        return None
    if found[3] != found[3].strip():  # of a name the long way leaves that out
        return None
    return Sought(found[1], found[2] == "co", found[3])


LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def _answer(base_url: str, kind: Kind, resource: shown.Shown | ResourceRow, body: bytes) -> Answer:
    place = f"{base_url}{rendering.ENDPOINTS[kind]}/{resource.id}"
    return Answer(200, body, {"ETag": resource.etag, "Content-Location": place})
