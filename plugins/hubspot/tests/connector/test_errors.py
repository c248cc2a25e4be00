"""What HubSpot's refusals become: statuses, markers anywhere in a body, waits."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from scim_bridge_hubspot.errors import (
    BareNotFoundError,
    DailyLimitError,
    MissingScopeError,
    NamesNotAcceptedError,
    NoPermissionSetsError,
    NoSeatError,
    error_of,
    problem_of,
)


def answer(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    """Return an answer of HubSpot's."""
    return httpx2.Response(status, json={} if body is None else body, headers=headers)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"category": "VALIDATION_ERROR"}, RemoteInvalidValueError),
        (400, {"message": "x: AppUserErrors.USER_NOT_ON_ANY_HUBS"}, NamesNotAcceptedError),
        (400, {"subCategory": "AppUserErrors.NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION"}, NoSeatError),
        (400, {"message": "Account doesn't have access to roles."}, NoPermissionSetsError),
        (400, {"message": "Super Admin users cannot be updated", "correlationId": "1"}, RemoteForbiddenError),
        (400, {"message": "User already exists with email x", "correlationId": "1"}, RemoteConflictError),
        (401, None, RemoteCredentialsError),
        (403, {"category": "MISSING_SCOPES"}, MissingScopeError),
        (403, {"category": "USER_DOES_NOT_HAVE_PERMISSIONS"}, RemoteCredentialsError),
        (403, {"category": "FORBIDDEN"}, RemoteForbiddenError),
        (404, {"category": "OBJECT_NOT_FOUND"}, RemoteNotFoundError),
        (409, {"category": "CONFLICT"}, RemoteConflictError),
        (404, {"status": "error", "message": "resource not found", "correlationId": "1"}, BareNotFoundError),
        *[(status, {"message": "x"}, RemoteMisroutedError) for status in (400, 403, 405, 408, 409, 410, 414, 421, 488)],
        (404, {"message": "x"}, BareNotFoundError),
        (410, {"category": "OBJECT_NOT_FOUND"}, RemoteMisroutedError),
        (423, None, RemoteUnavailableError),
        (429, {"policyName": "SECONDLY"}, RemoteRateLimitedError),
        (429, {"policyName": "DAILY"}, DailyLimitError),
        (477, None, RemoteUnavailableError),
        (302, None, RemoteUnavailableError),
        *[(status, None, RemoteUnavailableError) for status in (500, 502, 503, 504, 521, 523, 524)],
    ],
)
def test_each_refusal_has_its_class(status: int, body: Any, expected: type[ConnectorError]) -> None:
    """The class is exact: a subclass would tell more than HubSpot did."""
    assert type(error_of(answer(status, body), write=True)) is expected


@pytest.mark.parametrize("marker", ["USER_NOT_ON_ANY_HUBS", "NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_markers_are_found_however_deep_a_message_is_wrapped(marker: str, depth: int) -> None:
    """A JSON document inside message, inside message, is unwrapped."""
    body: dict[str, Any] = {"category": "VALIDATION_ERROR", "message": f"AppUserErrors.{marker}"}
    for _ in range(depth):
        body = {"status": "error", "message": json.dumps(body)}
    expected = NamesNotAcceptedError if marker.startswith("USER") else NoSeatError
    assert type(error_of(answer(400, body), write=True)) is expected


@pytest.mark.parametrize(
    ("status", "body", "header", "seconds"),
    [
        (423, None, None, 2.0),
        (423, None, "9", 9.0),
        (429, {"policyName": "SECONDLY"}, None, 1.0),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, None, 10.0),
        (429, None, None, 10.0),
        (429, None, "7", 7.0),
        (477, None, "86400", 86_400.0),
        (477, None, None, 3600.0),
        (503, None, "5", 5.0),
        (500, None, None, None),
    ],
)
def test_each_wait_is_the_one_hubspot_means(status: int, body: Any, header: str | None, seconds: float | None) -> None:
    """Retry-After where it is given, else what the policy implies."""
    headers = {} if header is None else {"retry-after": header}
    error = error_of(answer(status, body, **headers), write=False)
    assert isinstance(error, RemoteUnavailableError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("write", [True, False])
def test_only_a_server_error_on_a_write_is_ambiguous(write: bool) -> None:
    """A refusal before execution leaves no doubt; a 5xx on a write does."""
    for status in (423, 429, 477):
        error = error_of(answer(status), write=write)
        assert isinstance(error, RemoteUnavailableError)
        assert not error.ambiguous
    error = error_of(answer(502), write=write)
    assert isinstance(error, RemoteUnavailableError)
    assert error.ambiguous is write


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json", ""])
@pytest.mark.parametrize("status", [400, 403, 404, 408, 410, 421])
def test_a_page_of_something_in_between_is_not_hubspots(status: int, kind: str) -> None:
    """A gateway's 404 would pass for a finished removal, its 403 for a protected person: both are an outage."""
    for write in (True, False):
        page = httpx2.Response(status, text="<html>Not Found</html>", headers={"content-type": kind} if kind else {})
        error = error_of(page, write=write)
        assert isinstance(error, RemoteMisroutedError)
        assert error.ambiguous is write
        assert error.alarms


@pytest.mark.parametrize(
    ("hublet", "told"),
    [("eu1", 'base_url = "https://api-eu1.hubapi.com"'), ("na1", '"https://api.hubapi.com"'), ("evil.com/", "488")],
)
def test_the_wrong_data_centre_is_told_with_the_right_one(hublet: str, told: str) -> None:
    """What HubSpot names is repeated only in the form that its data centres have."""
    error = error_of(answer(488, {"message": "unknown to this Hublet", "correctHublet": hublet}), write=False)
    assert isinstance(error, RemoteMisroutedError)
    assert told in error.detail
    assert "evil" not in error.detail


def test_a_refusal_names_hubspots_codes_and_never_its_text() -> None:
    """Free text of a body may hold anything; codes are of a closed shape."""
    body = {"message": "secret text", "category": "VALIDATION_ERROR", "errors": [{"code": "X.Y", "message": "secret"}]}
    error = error_of(answer(400, body), write=True)
    assert error.detail == "HubSpot answered 400 (VALIDATION_ERROR, X.Y)"


def test_scopes_are_read_from_wherever_a_body_has_them() -> None:
    """MissingScopes and requiredScopes, at the top or in an error; anything that is no scope is left out."""
    body = {
        "category": "MISSING_SCOPES",
        "context": {"missingScopes": ["settings.users.write", "<b>"]},
        "errors": [{"context": {"requiredScopes": ["crm.objects.users.write"]}}, "nonsense"],
    }
    assert problem_of(answer(403, body)).scopes == ("settings.users.write", "crm.objects.users.write")


def test_codes_scopes_and_policies_are_read_from_inside_a_message() -> None:
    """What is wrapped counts as if it were not."""
    inner = {"category": "X.Y", "policyName": "DAILY", "context": {"missingScopes": ["a.b"]}}
    problem = problem_of(answer(400, {"message": json.dumps(inner)}))
    assert (problem.codes, problem.scopes, problem.policy) == (("X.Y",), ("a.b",), "DAILY")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["message", "errors", "context", "category", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(body=JSON, status=st.integers(300, 599))
def test_no_body_whatsoever_breaks_the_reader(body: Any, status: int) -> None:
    """Every field is optional and may be of any type: there is always a connector error."""
    assert isinstance(error_of(httpx2.Response(status, json=body), write=True), ConnectorError)
    assert isinstance(error_of(httpx2.Response(status, text=str(body)), write=True), ConnectorError)
