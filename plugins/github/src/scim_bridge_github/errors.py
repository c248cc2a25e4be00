"""What GitHub's answers mean: its own form of errors, its limits, its redirects."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from scim_bridge.errors import (
    RemoteCredentialsError,
    RemoteFullError,
    RemoteMisroutedError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.upstream import raise_for_status, read_json, retry_after

SECONDARY = 60.0
"""Seconds to wait after a secondary limit that does not say how long (GitHub: "at least one minute")."""

LONGEST_PAUSE = 600.0
"""Seconds of a pause; an hourly limit is asked again meanwhile, which costs nothing."""


class NotAllowedError(RemoteCredentialsError):
    """GitHub answered 403: the token may not do this, or nobody may."""


def is_github_error(body: Any) -> bool:
    """Tell an error of GitHub's own form from a gateway's page; what it leads to may be a page of the organisation."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("message"), str)
        and str(body.get("documentation_url", "")).startswith(("https://docs.github.com/", "https://github.com/"))
    )


def pause_after(response: httpx2.Response) -> float | None:
    """Return the seconds for which the account must make no call; ``None``: no limit was met.

    Both limits are told by 403 or 429: the primary one by ``x-ratelimit-remaining: 0``, the secondary ones by
    ``Retry-After``, or by nothing but their message.
    """
    if response.status_code not in {403, 429}:
        return None
    if (told := retry_after(response)) is not None:
        return told
    if response.headers.get("X-RateLimit-Remaining", "").strip() == "0":
        return _until_reset(response.headers)
    return SECONDARY if response.status_code == 429 or "secondary rate limit" in _message(response) else None


def _until_reset(headers: Mapping[str, str]) -> float:
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        now = datetime.now(UTC).timestamp()
    reset = headers.get("X-RateLimit-Reset", "").strip()
    left = int(reset) - now if reset.isascii() and reset.isdigit() and len(reset) < 12 else SECONDARY
    return min(max(left, 1.0), LONGEST_PAUSE)


def _message(response: httpx2.Response) -> str:
    try:
        body = read_json(response)
    except RemoteUnavailableError:
        return ""
    return str(body.get("message", "")).lower() if is_github_error(body) else ""


def _used_up(response: httpx2.Response) -> str | None:
    """Tell what the organisation has none left of: seats (``no_seat``, as owners report it), or a day's invitations."""
    if response.status_code != 422:
        return None
    try:
        errors = read_json(response).get("errors")
    except (RemoteUnavailableError, AttributeError):
        return None
    for one in errors if isinstance(errors, list) else ():
        if isinstance(one, dict) and one.get("code") == "no_seat":
            return "the organisation has no seat left: buy one, or remove somebody"
        if isinstance(one, dict) and "rate limit" in str(one.get("message", "")).lower():
            return "GitHub takes no more invitations of the organisation today"
    return None


def checked(response: httpx2.Response, subject: str) -> httpx2.Response:
    """Return a 2xx answer, and raise what any other means.

    :param subject: What the request was about, for the message.
    """
    if (pause := pause_after(response)) is not None:
        raise RemoteRateLimitedError("GitHub's rate limit is used up", retry_after=pause)
    if (used_up := _used_up(response)) is not None:
        raise RemoteFullError(used_up)
    if response.status_code in {301, 302, 307, 308}:
        raise RemoteMisroutedError(
            "GitHub says that this has moved: was the organisation renamed? See `organization`", ambiguous=False
        )
    return raise_for_status(response, subject, own_error=is_github_error, forbidden=NotAllowedError)
