"""Readers of answers: what they are about, what a status means as an error, a JSON body, and how long to wait.

An answer is about *the object* that was asked for, *the account or the token*, or *the road* there. Between a connector
and its remote system stand gateways, edges, other data centres and old routes, and each has pages for 400, 403, 404 and
more. What tells them apart is the form: a connector says once how its vendor's own errors look (:data:`OwnError`), and
whatever is not of that form is the road's. Only what is about the object may be told as the object's refusal.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, TypeAlias, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)

ModelT = TypeVar("ModelT", bound=BaseModel)

OwnError: TypeAlias = Callable[[Any], bool]
"""Tells whether a JSON body is an error in the remote system's own form: by a field that no gateway's page has."""

MAX_DEPTH = 64
"""Levels of nesting a JSON answer may have."""

MAX_VALUES = 200_000
"""Values a JSON answer may have: 5 MiB of the tiniest would be half a gigabyte of objects, and seconds to make them. No
thread would help, as Python's decoder runs nothing beside itself.
"""

RETRY_FLOOR = 1.0
RETRY_CAP = 600.0
"""Seconds between which every ``Retry-After`` is taken: less would hammer, more would be forgotten."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1): an answer that is lost leaves no question open."""


def retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110 §10.2.3), between 1 and 600; ``None`` without a valid one.

    A date is read against the answer's own ``Date``, so that no clock but the remote system's matters.
    """
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(max(float(value), RETRY_FLOOR), RETRY_CAP)
    when = _http_date(value)
    if when is None:
        return None
    now = _http_date(response.headers.get("Date", "")) or datetime.now(UTC)
    return min(max((when - now).total_seconds(), RETRY_FLOOR), RETRY_CAP)


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class About(Enum):
    """What an answer other than a success is about."""

    OBJECT = "object"
    """What was asked for: the remote system refuses it, or has none."""
    ACCOUNT = "account"
    """The bridge's token, or its account and limits there."""
    ROAD = "road"
    """The way there: nothing is known about the object."""


REFUSALS = frozenset({400, 403, 404, 409, 422})
"""The statuses with which a remote system refuses one object. 405, 408, 410, 421 and the like speak of routes."""


def about(response: httpx2.Response, own_error: OwnError) -> About:
    """Return what an answer other than a success is about."""
    if response.status_code in {401, 423, 429}:
        return About.ACCOUNT
    if response.status_code not in REFUSALS:
        return About.ROAD
    try:
        return About.OBJECT if own_error(_json_of(response)) else About.ROAD
    except ValueError:
        return About.ROAD


def misrouted(response: httpx2.Response, remote: str = "the remote system") -> RemoteMisroutedError:
    """Return the error of a 4xx of the road."""
    return RemoteMisroutedError(misrouted_detail(response, remote), ambiguous=is_write(response))


def misrouted_detail(response: httpx2.Response, remote: str) -> str:
    """Tell the operator what answered in place of a remote system; nothing of the body."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    what = kind if re.fullmatch(r"[a-z]+/[a-z0-9.+-]{1,40}", kind) else "no content type"
    return (
        f"not in the form of {remote}: {response.status_code} ({what}). Something on the way may have answered: a"
        " gateway, a moved route, the wrong address"
    )


def raise_for_status(
    response: httpx2.Response,
    subject: str = "object",
    *,
    own_error: OwnError,
    forbidden: type[ConnectorError] = RemoteForbiddenError,
) -> httpx2.Response:
    """Return a 2xx answer, and raise what any other usually means.

    ==========================  ============================================================================
    401                         :class:`~scim_bridge.errors.RemoteCredentialsError`
    429, 423                    :class:`~scim_bridge.errors.RemoteRateLimitedError`
    of the form ``own_error``:
    400, 422                    :class:`~scim_bridge.errors.RemoteInvalidValueError`
    403                         ``forbidden``
    404                         :class:`~scim_bridge.errors.RemoteNotFoundError`
    409                         :class:`~scim_bridge.errors.RemoteConflictError`
    any other 4xx               :class:`~scim_bridge.errors.RemoteMisroutedError`; ambiguous unless it was a read
    anything else               :class:`~scim_bridge.errors.RemoteUnavailableError`; likewise
    ==========================  ============================================================================

    A connector whose vendor means something else looks at the status first. No message carries the answer's body.

    :param subject: What the request was about, for the message: ``"account"``, ``"permission set"``.
    :param own_error: Tells the remote system's own errors from a gateway's.
    :param forbidden: What 403 means to this vendor: ``RemoteForbiddenError`` (this one object) or
        ``RemoteCredentialsError`` (a scope is missing).
    """
    status = response.status_code
    if 200 <= status < 300:
        return response
    if status in {423, 429}:
        raise RemoteRateLimitedError(
            f"the remote system asks to wait ({status})", retry_after=retry_after(response) or RETRY_FLOOR
        )
    if status == 401:
        raise RemoteCredentialsError("the remote system refuses the bridge's credentials")
    if about(response, own_error) is About.OBJECT:
        messages: dict[int, tuple[type[ConnectorError], str]] = {
            403: (forbidden, f"the remote system refuses this {subject}"),
            404: (RemoteNotFoundError, f"the remote system has no such {subject}"),
            409: (RemoteConflictError, f"the remote system already has another {subject} of this name"),
        }
        invalid = (RemoteInvalidValueError, f"the remote system will not take this {subject}")
        error, detail = messages.get(status, invalid)
        raise error(detail)
    if 400 <= status < 500:
        raise misrouted(response)
    raise RemoteUnavailableError(
        f"the remote system answered {status}", ambiguous=is_write(response), retry_after=retry_after(response)
    )


def read_json(response: httpx2.Response) -> Any:
    """Return the JSON body of an answer.

    :raises RemoteUnavailableError: When it is not JSON by its content type or its syntax, or nested too deep;
        ambiguous unless the request was a read, for a write may well have taken effect.
    """
    try:
        return _json_of(response)
    except ValueError as error:
        raise _unreadable(response, str(error)) from None


def _json_of(response: httpx2.Response) -> Any:
    """Return the JSON body of an answer. :raises ValueError: When there is none; the message says what there is."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ValueError(f"answered {kind or 'without a content type'} instead of JSON")
    if most_values(response.content) > MAX_VALUES:
        raise ValueError("answered JSON of too many values")
    try:
        value = json.loads(response.content)
    except (ValueError, RecursionError):
        raise ValueError("answered malformed JSON") from None
    if _depth_exceeds(value, MAX_DEPTH):
        raise ValueError("answered JSON that is nested too deep")
    return value


def most_values(text: bytes) -> int:
    """Return how many values a JSON text has at most: each begins the text, or follows one of these characters."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")


def read_model(response: httpx2.Response, model: type[ModelT]) -> ModelT:
    """Return the JSON body of an answer as a pydantic model.

    :raises RemoteUnavailableError: When the body is no JSON, as :func:`read_json`, or not of this shape. The message
        names the places that differ, never their values.
    """
    value = read_json(response)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) or "the body" for fault in error.errors(include_input=False)})
    raise _unreadable(response, f"answered JSON of another shape than expected ({', '.join(places[:3])})")


def is_write(response: httpx2.Response) -> bool:
    """Return whether the request of an answer may have changed something."""
    return response.request.method not in SAFE_METHODS


def _unreadable(response: httpx2.Response, what: str) -> RemoteUnavailableError:
    return RemoteUnavailableError(f"the remote system {what}", ambiguous=is_write(response))


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)
