"""What HubSpot's refusals mean: every answer that is no success becomes one of the bridge's connector errors.

HubSpot's error bodies promise nothing (its error-handling page: all fields are optional), the real error may be a
JSON document inside ``message``, and the scope that a 403 names may be the wrong one. So bodies are unwrapped, and
errors are recognised by markers anywhere in them. What has none of HubSpot's marks is not HubSpot's answer: a gateway,
an edge, another data centre gave it. See the table in this distribution's README.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from scim_bridge import upstream
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

LOCK_SECONDS = 2.0
"""How long HubSpot's locks last (error-handling page, status 423)."""

INTERVAL_SECONDS = 10.0
"""The window of HubSpot's burst limit."""

MIGRATION_SECONDS = 3600.0
"""When to look again during a data-centre migration (477) that names no time; it may last 24 hours."""

UNWRAP_DEPTH = 4
CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,79}")
SCOPE = re.compile(r"[a-z][a-z0-9_.-]{1,79}")
HUBLET = re.compile(r"[a-z]{2}\d")
"""A data centre of HubSpot's, as ``correctHublet`` names it."""


class NamesNotAcceptedError(RemoteInvalidValueError):
    """``USER_NOT_ON_ANY_HUBS``: the person has never logged in, and HubSpot takes no change of their names yet."""


class NoSeatError(RemoteInvalidValueError):
    """``NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION``: no seat is left, or one of a removed person is not free yet."""


class NoPermissionSetsError(RemoteInvalidValueError):
    """``Account doesn't have access to roles``: the account's tier has no permission sets."""


class MissingScopeError(RemoteCredentialsError):
    """``MISSING_SCOPES``: the token is good, but may not do this."""


class BareNotFoundError(RemoteMisroutedError):
    """A 404 that does not say ``OBJECT_NOT_FOUND``: a missing object's, a moved route's, a gateway's.

    It says nothing by itself; :mod:`.presence` finds out.
    """


class DailyLimitError(RemoteRateLimitedError):
    """The day's requests of the whole account are used up; nothing helps but to wait for midnight there."""


MARKERS: dict[str, tuple[type[ConnectorError], str]] = {
    "USER_DOES_NOT_HAVE_PERMISSIONS": (
        RemoteCredentialsError,
        "HubSpot says that whoever made the token lacks permissions: removed, or no Super Admin?",
    ),
    "USER_NOT_ON_ANY_HUBS": (
        NamesNotAcceptedError,
        "HubSpot takes no change of names before the person has logged in",
    ),
    "NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION": (NoSeatError, "HubSpot has no free seat for this permission set"),
    "have access to roles": (
        NoPermissionSetsError,
        "this HubSpot account has no permission sets (they are an Enterprise feature)",
    ),
}
"""Texts anywhere in a 4xx body, and what they mean (hubspot.md 1.6)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error answer says.

    :param codes: Machine-readable codes of the body, innermost last: categories, subcategories, error codes.
    :param text: All of the body, unwrapped documents included, for markers.
    :param scopes: The scopes the body names as missing or required; they may be wrong.
    :param policy: ``policyName`` of a rate limit.
    """

    status: int
    codes: tuple[str, ...] = ()
    text: str = ""
    scopes: tuple[str, ...] = ()
    policy: str = ""

    @property
    def named(self) -> str:
        """The codes as they may be shown; HubSpot's free text may hold anything, so it is not."""
        return f" ({', '.join(self.codes)})" if self.codes else ""


def problem_of(response: httpx2.Response) -> Problem:
    """Read an error answer. Never fails: what cannot be read is left empty."""
    policy, text = "", response.text
    codes, scopes = list[str](), list[str]()
    document = _document(response.text)
    for _ in range(UNWRAP_DEPTH):
        if document is None:
            break
        message = str(document.get("message") or document.get("detail") or "")
        policy = str(document.get("policyName") or policy)
        codes.extend(_codes(document))
        scopes.extend(_scopes(document))
        text += "\n" + message
        document = _document(message)
    return Problem(response.status_code, tuple(dict.fromkeys(codes)), text, tuple(dict.fromkeys(scopes)), policy)


def error_of(response: httpx2.Response, *, write: bool, until_reset: float | None = None) -> ConnectorError:
    """Return the connector error of an answer that is no success.

    :param write: Whether the call may have changed something; a server error then leaves its outcome unknown.
    :param until_reset: Seconds until the account's day ends, when known.
    """
    problem = problem_of(response)
    status = response.status_code
    wait = upstream.retry_after(response)
    if status == 429:
        return _limited(problem, wait, until_reset)
    if status == 423:
        return RemoteUnavailableError(
            "HubSpot has locked this object for a moment", ambiguous=False, retry_after=max(wait or 0.0, LOCK_SECONDS)
        )
    if status == 477:
        return RemoteUnavailableError(
            "HubSpot is moving this account to another data centre; that can take up to 24 hours",
            ambiguous=False,
            retry_after=_seconds(response) or wait or MIGRATION_SECONDS,
        )
    if not 400 <= status < 500:
        return RemoteUnavailableError(f"HubSpot answered {status}", ambiguous=write, retry_after=wait)
    return _definite(problem, response, write=write)


def _definite(problem: Problem, response: httpx2.Response, *, write: bool) -> ConnectorError:
    """Return the error of a 4xx that asks for no patience."""
    if problem.status == 401:
        return RemoteCredentialsError("HubSpot refuses the token: it is wrong, expired or revoked")
    if upstream.about(response, is_hubspots) is upstream.About.OBJECT:
        return _refused(problem)
    return _misrouted(response, write=write)


def is_hubspots(body: Any) -> bool:
    """Tell HubSpot's own errors (schema ``Error``) by a field that others do not have, or by a marker."""
    if not isinstance(body, dict):
        return False
    category, text = body.get("category"), str(body.get("message") or "") + str(body.get("subCategory") or "")
    named = isinstance(category, str) and CODE.fullmatch(category) is not None
    return named or bool(body.get("correlationId")) or any(marker in text for marker in MARKERS)


def _misrouted(response: httpx2.Response, *, write: bool) -> RemoteMisroutedError:
    """Return the error of a 4xx that HubSpot's API did not give, or that is about no object."""
    if response.status_code == 404:
        return BareNotFoundError(upstream.misrouted_detail(response, "HubSpot"), ambiguous=write)
    hublet = (_document(response.text) or {}).get("correctHublet")
    if isinstance(hublet, str) and HUBLET.fullmatch(hublet):
        host = "api" if hublet == "na1" else f"api-{hublet}"
        return RemoteMisroutedError(
            f'this HubSpot account is in another data centre ({hublet}): set base_url = "https://{host}.hubapi.com"',
            ambiguous=write,
        )
    return RemoteMisroutedError(upstream.misrouted_detail(response, "HubSpot"), ambiguous=write)


def _refused(problem: Problem) -> ConnectorError:
    """Return the error of a definite refusal."""
    for marker, (error, meaning) in MARKERS.items():
        if marker in problem.text:
            return error(meaning)
    if "MISSING_SCOPES" in problem.text:
        return MissingScopeError(_missing(problem))
    if problem.status == 404 and "OBJECT_NOT_FOUND" in problem.codes:
        return RemoteNotFoundError("HubSpot has no such object")
    if problem.status == 404:
        return BareNotFoundError("HubSpot answered 404, but not that there is no such object", ambiguous=False)
    kinds: dict[int, type[ConnectorError]] = {403: RemoteForbiddenError, 409: RemoteConflictError}
    error = kinds.get(problem.status, RemoteInvalidValueError)
    words = problem.text.lower()
    if "super admin" in words:
        error = RemoteForbiddenError
    elif "already exist" in words:  # The status for a duplicate is not documented; 400 is as likely as 409.
        error = RemoteConflictError
    return error(f"HubSpot answered {problem.status}{problem.named}")


def _limited(problem: Problem, wait: float | None, until_reset: float | None) -> RemoteRateLimitedError:
    if problem.policy == "DAILY" or "DAILY" in problem.text:
        return DailyLimitError(
            "HubSpot's daily limit of this account is used up", retry_after=until_reset or wait or MIGRATION_SECONDS
        )
    fallback = 1.0 if problem.policy == "SECONDLY" else INTERVAL_SECONDS
    return RemoteRateLimitedError("HubSpot's rate limit is used up", retry_after=wait if wait is not None else fallback)


def _missing(problem: Problem) -> str:
    named = ", ".join(problem.scopes) or "none"
    return (
        f"the token lacks a scope; HubSpot names: {named}. HubSpot has been seen naming the wrong one: "
        "`scim-bridge check` shows which scopes each feature needs"
    )


def _seconds(response: httpx2.Response) -> float | None:
    """Return the seconds of ``Retry-After`` however many they are: a migration may take most of a day."""
    value = response.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


def _document(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object that a text is, or holds."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _parts(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an error document and the details it lists."""
    errors = document.get("errors")
    return (
        [document, *(error for error in errors if isinstance(error, dict))] if isinstance(errors, list) else [document]
    )


def _codes(document: Mapping[str, Any]) -> list[str]:
    values = (part.get(name) for part in _parts(document) for name in ("category", "subCategory", "code"))
    return [value for value in values if isinstance(value, str) and CODE.fullmatch(value)]


def _scopes(document: Mapping[str, Any]) -> list[str]:
    contexts = (part.get("context") for part in _parts(document))
    lists = (
        context.get(name)
        for context in contexts
        if isinstance(context, dict)
        for name in ("missingScopes", "requiredScopes")
    )
    return [
        scope
        for scopes in lists
        if isinstance(scopes, list)
        for scope in scopes
        if isinstance(scope, str) and SCOPE.fullmatch(scope)
    ]


def privileged(name: str) -> RemoteForbiddenError:
    """Return the refusal of a privileged permission set that is not allow-listed."""
    return RemoteForbiddenError(f'permission set "{name}" is privileged; allow_privileged must name it to be granted')
