"""Reads a request: path, query and body, each refused when two parsers could understand it differently."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

from scim2_models import InvalidSyntaxException, PayloadTooLargeException, SCIMException
from scim2_server.errors import UnsupportedMediaTypeException
from scim2_server.requests import ScimRequest
from scim2_server.service import SEARCH_REQUEST_PARAMETERS
from starlette.types import Receive, Scope

_CANONICAL = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
"""A path whose segments are neither empty, ``.`` nor ``..``, without ``;``, ``\\`` and percent-encoding."""

_PARAMETERS = {name.lower(): name for name in SEARCH_REQUEST_PARAMETERS}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


DISCARDED = 4
"""How many times its limit is read of a body that is too large, so that the client can read the answer."""

DISCARD_SECONDS = 5.0


INLINE_BYTES = 4_096
"""The largest body that is read on the event loop: to read it takes some milliseconds at most."""

T = TypeVar("T")


class RequestTimeoutException(SCIMException):
    """The body did not arrive in time (RFC 9110 §15.5.9)."""

    status = 408
    _default_detail = "The request body did not arrive in time"


HEAD_TOO_LARGE = "The header fields of the request are too large"


class HeadersTooLargeException(SCIMException):
    """The header fields are larger than a request may have (RFC 6585 §5)."""

    status = 431
    _default_detail = HEAD_TOO_LARGE


HEADER_BYTES = 16_384


def check_headers(scope: Scope) -> None:
    """Refuse header fields that are too large together, or a body in a content coding.

    :raises HeadersTooLargeException: When they are.
    :raises UnsupportedMediaTypeException: Naming the coding (RFC 9110 §15.5.16).
    """
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
        raise HeadersTooLargeException
    codings = [
        value.decode("latin-1").strip().lower() for name, value in scope["headers"] if name == b"content-encoding"
    ]
    coded = [coding for coding in codings if coding not in ("", "identity")]
    if coded:
        raise UnsupportedMediaTypeException(
            detail=f"The content coding {coded[0][:40]!r} is not supported: send it plain"
        )


class ClientDisconnectedError(Exception):
    """The client is gone before its request was read."""


def path_of(scope: Scope) -> str:
    """Return the path of a request, in its only form.

    An encoded path segment can pass one layer as one thing and the next as another (CVE-2026-32130). The colon of a
    schema URN is the one character that clients encode.

    :raises InvalidSyntaxException: When the path is not canonical.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").replace("%3A", ":").replace("%3a", ":")
    if not _CANONICAL.fullmatch(path):
        hint = ": it has an empty segment; does the base URL end with a slash that the client adds again?"
        raise InvalidSyntaxException(detail=f"The request path is not canonical{hint if '//' in path else ''}")
    return str(path)


def own_id(text: str | None) -> str | None:
    """Return the id that a path names, if it has the form of ours; anything else may be a name, or a secret."""
    return text if text is not None and _UUID.fullmatch(text) else None


def query_of(scope: Scope) -> dict[str, str]:
    """Return the query parameters; unknown ones and stray separators are harmless.

    ``+`` is a space, unless the value writes its spaces ``%20``: then the client means the character.

    :raises InvalidSyntaxException: When they are no UTF-8, or hold the character NUL.
    """
    raw = scope.get("query_string", b"").strip(b"?&")
    if not raw:
        return {}
    try:
        text = "&".join(_literal_plus(part) for part in raw.decode("ascii").split("&"))
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise InvalidSyntaxException(detail="The query is not valid UTF-8, or has too many parameters") from error
    query = {_PARAMETERS.get(name.lower(), name): value for name, value in pairs}
    if any("\x00" in value for value in query.values()):
        raise InvalidSyntaxException(detail="A query parameter holds the character NUL")
    return query


def _literal_plus(parameter: str) -> str:
    return parameter.replace("+", "%2B") if "%20" in parameter else parameter


def origin_of(scope: Scope, host: str | None) -> str:
    """Return scheme and authority as the client sees them, for the URLs of answers.

    :raises InvalidSyntaxException: When the Host header is none.
    """
    if host is None or not _HOST.fullmatch(host):
        raise InvalidSyntaxException(detail="The Host header is missing or invalid")
    return f"{scope['scheme']}://{host}"


async def body_of(receive: Receive, limit: int, declared: str | None, seconds: float, *, waits: bool = False) -> bytes:
    """Read the body of a request.

    :param limit: Its largest size in bytes.
    :param declared: The Content-Length header.
    :param seconds: Within which it must be here.
    :param waits: Whether the client sends it only when it is asked for (RFC 9110 §10.1.1).
    :raises PayloadTooLargeException: When it is larger; it is not read to its end.
    :raises RequestTimeoutException: When it is late.
    :raises ClientDisconnectedError: When the client went away.
    """
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        if not waits:
            await _discarded(receive, limit)
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnectedError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    await _discarded(receive, limit)
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise RequestTimeoutException from None


async def _discarded(receive: Receive, limit: int) -> None:
    """Read on for a moment without keeping anything.

    A connection that is closed on unread bytes is reset, and the client would see that instead of the answer.
    """
    left = DISCARDED * limit
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _too_large(limit: int) -> PayloadTooLargeException:
    return PayloadTooLargeException(detail=f"The request body is larger than {limit} bytes")


async def aside(request: ScimRequest, work: Callable[[], T]) -> T:
    """Do what takes long with a large body beside the event loop, so that nobody waits for it."""
    return work() if len(request.body) <= INLINE_BYTES else await asyncio.to_thread(work)
