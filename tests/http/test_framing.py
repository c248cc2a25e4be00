"""Over real TCP: a request that two parsers could understand differently is refused, whatever it asks for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.bridge import Tenant, bridge
from tests.http.listening import answers_in, detail_of, exchange, listening

BODY = b'{"userName":"ada@example.com"}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
TRANSFER = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"


def post(
    fields: bytes, body: bytes = BODY, target: bytes = b"/acme/scim/v2/Users", version: bytes = b"HTTP/1.1"
) -> bytes:
    """Return a request that would create a User."""
    start = b"POST %s %s\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n" % (target, version)
    return start + b"Content-Type: application/scim+json\r\n%s\r\n%s" % (fields, body)


REFUSED = {
    "length and coding": post(LENGTH + TRANSFER, CHUNKED),
    "coding and length": post(TRANSFER + LENGTH, CHUNKED),
    "two lengths": post(LENGTH + b"Content-Length: 5\r\n"),
    "the same length twice": post(LENGTH + LENGTH),
    "a list of lengths": post(b"Content-Length: 30, 30\r\n"),
    "a signed length": post(b"Content-Length: +30\r\n"),
    "a hexadecimal length": post(b"Content-Length: 0x1e\r\n"),
    "a length with underscore": post(b"Content-Length: 3_0\r\n"),
    "an empty length": post(b"Content-Length: \r\n"),
    "a length beyond numbers": post(b"Content-Length: 99999999999999999999999\r\n"),
    "another coding": post(b"Transfer-Encoding: xchunked\r\n", CHUNKED),
    "identity": post(b"Transfer-Encoding: identity\r\n"),
    "two codings": post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
    "chunked is not last": post(b"Transfer-Encoding: chunked, identity\r\n", CHUNKED),
    "chunked twice": post(TRANSFER + TRANSFER, CHUNKED),
    "chunked in HTTP/1.0": post(TRANSFER, CHUNKED, version=b"HTTP/1.0"),
    "a control character before the coding": post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKED),
    "a space before the colon": post(b"Transfer-Encoding : chunked\r\n", CHUNKED),
    "a folded field": post(b"X: a\r\n b\r\n" + LENGTH),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
    "bare line feeds": post(LENGTH).replace(b"\r\n", b"\n"),
    "one bare line feed": post(b"X: y\n" + LENGTH),
    "a bare carriage return": post(b"X: y\rz\r\n" + LENGTH),
    "NUL in a value": post(b"X: y\0z\r\n" + LENGTH),
    "a control character in a value": post(b"X: y\x01z\r\n" + LENGTH),
    "NUL in a name": post(b"X\0: y\r\n" + LENGTH),
    "a name that is no token": post("Xé: y\r\n".encode() + LENGTH),
    "no colon": post(b"Xy\r\n" + LENGTH),
    "no name": post(b": y\r\n" + LENGTH),
    "no Host": post(LENGTH).replace(b"Host: x\r\n", b""),
    "two Hosts": post(b"Host: y\r\n" + LENGTH),
    "two Authorizations": post(b"Authorization: Bearer x\r\n" + LENGTH),
    "HTTP/1.2": post(LENGTH, version=b"HTTP/1.2"),
    "HTTP/2.0": post(LENGTH, version=b"HTTP/2.0"),
    "HTTP/0.9": post(LENGTH, version=b"HTTP/0.9"),
    "no version": b"GET /healthz\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a prefixed chunk": post(TRANSFER, b"0x1e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a signed chunk": post(TRANSFER, b"-1e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a space after the size of a chunk": post(TRANSFER, b"1e \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunks with line feeds": post(TRANSFER, b"1e\n" + BODY + b"\n0\n\n"),
    "a chunk longer than it says": post(TRANSFER, b"1e\r\n" + BODY + b"XX0\r\n\r\n"),
    "a chunk beyond numbers": post(TRANSFER, b"fffffffffffffffff\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "an absolute target": post(LENGTH, target=b"http://x/acme/scim/v2/Users"),
    "a target of another server": post(LENGTH, target=b"http://elsewhere/acme/scim/v2/Users"),
    "a fragment": post(LENGTH, target=b"/acme/scim/v2/Users#a"),
    "a target that is no path": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in lower case": post(LENGTH).replace(b"POST", b"post"),
    "a tab for a space": post(LENGTH).replace(b"POST ", b"POST\t"),
    "NUL in the target": post(LENGTH, target=b"/acme/scim/v2/Users\0"),
    "a target that is not ASCII": post(LENGTH, target="/acme/scim/v2/Usersé".encode()),
    "a target that is too long": post(LENGTH, target=b"/acme/scim/v2/Users?a=" + b"a" * 20_000),
}


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[Tenant, int]]:
    """A bridge and the port it listens on."""
    async with bridge(tmp_path) as (acme,), listening(acme) as number:
        yield acme, number


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
async def test_what_can_be_read_in_two_ways_is_refused(port: tuple[Tenant, int], sent: bytes) -> None:
    """In SCIM's form, and the connection ends: what follows on it may be part of anything (RFC 9112 §11.2).

    What follows here would be a request of its own; it must not be answered.
    """
    acme, number = port
    received = await exchange(
        number, sent.replace(b"TOKEN", acme.token.encode()) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    ((status, fields, body),) = answers_in(received)
    assert status in (400, 431, 501, 505), received
    assert fields["connection"] == "close"
    assert detail_of(body)
    assert acme.remote.accounts == {}


@pytest.mark.parametrize(
    "sent",
    [
        post(LENGTH + CLOSE),
        post(TRANSFER + CLOSE, CHUNKED),
        post(CLOSE + TRANSFER, b"1e;a=b\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n"),
    ],
    ids=["length", "chunked", "chunked with extension and trailer"],
)
@pytest.mark.parametrize("portions", [1, 7])
async def test_a_body_is_read_in_both_forms(port: tuple[Tenant, int], sent: bytes, portions: int) -> None:
    """As a whole or in pieces (RFC 9112 §6, §7)."""
    acme, number = port
    sent = sent.replace(b"TOKEN", acme.token.encode())
    size = -(-len(sent) // portions)
    received = await exchange(number, *(sent[start : start + size] for start in range(0, len(sent), size)))
    ((status, _, _),) = answers_in(received)
    assert status == 201
    assert acme.remote_active() == {"ada@example.com": True}


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    ],
)
async def test_who_would_rather_speak_something_else_is_answered_in_http_1(
    port: tuple[Tenant, int], upgrade: bytes
) -> None:
    """With the body, and with what follows on the connection (RFC 9110 §7.8): Java's client asks for HTTP/2 so."""
    acme, number = port
    sent = post(upgrade + LENGTH).replace(b"TOKEN", acme.token.encode())
    follows = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = await exchange(number, sent + follows)
    assert [status for status, _, _ in answers_in(received)] == [201, 200]
    assert acme.remote_active() == {"ada@example.com": True}


async def test_a_refusal_comes_after_the_answers_to_what_was_asked_before(port: tuple[Tenant, int]) -> None:
    """Answers are in the order of the requests (RFC 9112 §9.3.2)."""
    acme, number = port
    sent = post(LENGTH).replace(b"TOKEN", acme.token.encode())
    received = await exchange(number, sent + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\r\n\r\n")
    assert [status for status, _, _ in answers_in(received)] == [201, 200, 400]


async def test_requests_that_do_not_wait_for_answers_are_bounded(port: tuple[Tenant, int]) -> None:
    """A segment of the network holds thousands of requests, each of which would be kept until its turn."""
    _, number = port
    received = await exchange(number, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000)
    statuses = [status for status, _, _ in answers_in(received)]
    assert statuses[-1] == 400
    assert set(statuses[:-1]) == {200}
    assert len(statuses) < 20
