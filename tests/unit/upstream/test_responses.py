"""What answers are read as."""

import json
import tracemalloc
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
from scim_bridge.upstream import About, about, raise_for_status, read_json, retry_after
from scim_bridge.upstream.responses import most_values


def answer(status: int = 200, method: str = "GET", **parts: Any) -> httpx2.Response:
    """Return an answer to a request of a method."""
    return httpx2.Response(status, request=httpx2.Request(method, "https://acme.example/users"), **parts)


def own(document: object) -> bool:
    """Tell the errors of the remote system of these tests."""
    return isinstance(document, dict) and "trace" in document


OWN = {"message": "Ada's token is s3cret", "trace": "1"}
FOREIGN: dict[str, dict[str, Any]] = {
    "other JSON": {"json": {"message": "Ada's token is s3cret"}},
    "an empty object": {"json": {}},
    "a list": {"json": ["trace"]},
    "HTML": {"html": "<h1>Ada's token is s3cret</h1>"},
    "plain text": {"text": "Ada's token is s3cret"},
    "nothing": {},
    "JSON by another name": {"content": json.dumps(OWN).encode(), "headers": {"Content-Type": "text/plain"}},
    "malformed JSON": {"content": b'{"trace": ', "headers": {"Content-Type": "application/json"}},
}
"""What gateways, edges and moved routes answer."""


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RemoteInvalidValueError),
        (401, RemoteCredentialsError),
        (403, RemoteForbiddenError),
        (404, RemoteNotFoundError),
        (409, RemoteConflictError),
        (422, RemoteInvalidValueError),
        (423, RemoteRateLimitedError),
        (429, RemoteRateLimitedError),
        (302, RemoteUnavailableError),
        (405, RemoteMisroutedError),
        (410, RemoteMisroutedError),
        (477, RemoteMisroutedError),
        (500, RemoteUnavailableError),
        (503, RemoteUnavailableError),
    ],
)
def test_each_status_means_one_error(status: int, error: type[ConnectorError]) -> None:
    """A status in the remote system's own form becomes exactly its class, and the message carries nothing of it."""
    with pytest.raises(error) as raised:
        raise_for_status(answer(status, json=OWN), "account", own_error=own)

    assert type(raised.value) is error
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("form", FOREIGN)
@pytest.mark.parametrize("status", [400, 403, 404, 405, 407, 408, 409, 410, 421, 422, 488])
@pytest.mark.parametrize(("method", "ambiguous"), [("GET", False), ("DELETE", True)])
def test_what_is_not_in_the_remote_systems_own_form_is_the_roads(
    form: str, status: int, method: str, ambiguous: bool
) -> None:
    """Whatever a gateway says of an object, nothing is known of it; a write may have landed behind it all the same."""
    response = answer(status, method, **FOREIGN[form])

    with pytest.raises(RemoteMisroutedError) as raised:
        raise_for_status(response, "account", own_error=own)

    assert about(response, own) is About.ROAD
    assert raised.value.ambiguous is ambiguous
    assert str(status) in raised.value.detail
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("form", FOREIGN)
def test_a_refused_token_is_the_accounts_matter_in_any_form(form: str) -> None:
    """401 and 429 are never about an object, whoever answers them."""
    assert about(answer(401, **FOREIGN[form]), own) is About.ACCOUNT
    assert about(answer(429, **FOREIGN[form]), own) is About.ACCOUNT


def test_a_content_type_that_is_none_is_not_repeated() -> None:
    """Headers are as hostile as bodies: what is told of one is of a closed shape."""
    with pytest.raises(RemoteMisroutedError, match="no content type"):
        raise_for_status(answer(404, headers={"Content-Type": "ada@corp.example s3cret"}), own_error=own)


def test_a_success_is_handed_through() -> None:
    """An answer of the 200s is returned as it is."""
    response = answer(204)

    assert raise_for_status(response, own_error=own) is response


def test_403_means_what_the_connector_says() -> None:
    """Where a vendor answers 403 for a missing scope, it is the credentials that are wrong."""
    with pytest.raises(RemoteCredentialsError):
        raise_for_status(answer(403, json=OWN), own_error=own, forbidden=RemoteCredentialsError)


@pytest.mark.parametrize(("method", "ambiguous"), [("GET", False), ("POST", True), ("PUT", True), ("DELETE", True)])
def test_only_a_write_that_failed_is_ambiguous(method: str, ambiguous: bool) -> None:
    """A 500 to a read leaves no question open; to a write it does."""
    with pytest.raises(RemoteUnavailableError) as raised:
        raise_for_status(answer(500, method), own_error=own)

    assert raised.value.ambiguous is ambiguous


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "0"}, 1.0),
        ({"Retry-After": "86400"}, 600.0),
        ({"Retry-After": "Fri, 13 Nov 2026 10:00:42 GMT", "Date": "Fri, 13 Nov 2026 10:00:00 GMT"}, 42.0),
        ({"Retry-After": "Fri, 13 Nov 2026 09:00:00 GMT", "Date": "Fri, 13 Nov 2026 10:00:00 GMT"}, 1.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "١٢"}, None),
        ({"Retry-After": "1.5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms_between_a_second_and_ten_minutes(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Seconds and dates are understood (RFC 9110 §10.2.3); nonsense is as if nothing was said."""
    encoded = {name: value.encode() for name, value in headers.items()}

    assert retry_after(answer(429, headers=encoded)) == seconds


@given(st.binary(max_size=60))
def test_no_retry_after_whatever_it_says_breaks_the_reader(value: bytes) -> None:
    """Any header is either a wait between 1 and 600 seconds or none."""
    wait = retry_after(answer(429, headers=[(b"Retry-After", value)]))

    assert wait is None or 1.0 <= wait <= 600.0


def test_json_is_read() -> None:
    """A JSON body is returned as Python values, also of a vendor's own JSON type."""
    assert read_json(answer(json={"id": "7"})) == {"id": "7"}
    assert read_json(answer(content=b"[1]", headers={"Content-Type": "application/scim+json; charset=utf-8"})) == [1]


@pytest.mark.parametrize(
    "response",
    [
        answer(method="PUT", html="<html>Bad gateway</html>"),
        answer(method="PUT", content=b'{"id": "7"', headers={"Content-Type": "application/json"}),
        answer(method="PUT", content=b"", headers={"Content-Type": "application/json"}),
        answer(method="PUT", content=b"\xff\xfe\x00", headers={"Content-Type": "application/json"}),
        answer(method="PUT", content=b"[" * 70 + b"]" * 70, headers={"Content-Type": "application/json"}),
        answer(method="PUT", content=b"[" * 200_000, headers={"Content-Type": "application/json"}),
    ],
    ids=["html", "cut off", "empty", "not UTF-8", "too deep", "far too deep"],
)
def test_what_is_no_json_is_an_outage(response: httpx2.Response) -> None:
    """Another content type, broken syntax or absurd nesting is an outage, and ambiguous after a write."""
    with pytest.raises(RemoteUnavailableError) as raised:
        read_json(response)

    assert raised.value.ambiguous is True


@pytest.mark.parametrize("depth", [1, 63, 64])
def test_nesting_is_read_up_to_the_limit(depth: int) -> None:
    """Sixty-four levels are read."""
    body = "[" * depth + "]" * depth

    assert json.dumps(read_json(answer(content=body.encode(), headers={"Content-Type": "application/json"}))) == body


TINY = {
    "numbers": b"[" + b"1," * 2_250_000 + b"1]",
    "objects": b"[" + b"{}," * 1_500_000 + b"{}]",
    "lists": b"[" + b"[]," * 1_500_000 + b"[]]",
    "members": b"{" + b",".join(b'"%x":0' % number for number in range(450_000)) + b"}",
}


@pytest.mark.parametrize("text", TINY.values(), ids=TINY.keys())
@pytest.mark.parametrize("status", [200, 403])
def test_very_many_tiny_values_are_refused_before_they_are_made(text: bytes, status: int) -> None:
    """A few megabytes of an answer cost no hundreds of megabytes of objects, of an error as little as of a success."""
    response = answer(status, content=text, headers={"Content-Type": "application/json"})
    tracemalloc.start()
    try:
        if status == 200:
            with pytest.raises(RemoteUnavailableError, match="too many values"):
                read_json(response)
        else:
            assert about(response, lambda body: True) is About.ROAD
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_no_answer_has_more_values_than_are_counted(value: Any) -> None:
    """What is counted in the text is never less than what is in it."""

    def values(of: Any) -> int:
        inside = of.values() if isinstance(of, dict) else of if isinstance(of, list) else ()
        return 1 + sum(map(values, inside))

    assert values(value) <= most_values(json.dumps(value).encode())


def test_the_longest_list_of_members_is_read() -> None:
    """A group of 40,000, as SCIM shows it, is an answer of nearly five mebibytes."""
    member = {
        "value": "f1bbcdcb-fa53-e0af-9ce6-0302e76e41a8",
        "$ref": "https://x.example/Users/1234567890",
        "type": "User",
    }
    body = {"members": [member] * 40_000}
    assert read_json(answer(json=body)) == body
