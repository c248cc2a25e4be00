"""Which heads of requests are refused because two parsers could understand them differently (RFC 9112).

llhttp, which reads the bytes, refuses most of them by itself. What it lets through, a proxy in front may read
otherwise: then one request is two, or has another body (request smuggling).
"""

from collections.abc import Sequence

from scim_bridge.server.requests import HEAD_TOO_LARGE, HEADER_BYTES

PIPELINED = 8
"""How many requests of one connection may wait for the one before them: each is kept until its turn."""

_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization"})


class RefusedError(Exception):
    """A head that is not taken.

    :param status: The status that says so.
    :param detail: The words for the client.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def check_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], *, waiting: int = 0) -> None:
    """Refuse the head of a request that is not in order.

    :param version: The version of HTTP.
    :param target: The request target.
    :param headers: The header fields, names in lower case.
    :param waiting: How many requests of this connection wait for the one before them.
    :raises RefusedError: When it is not.
    """
    size = len(target)
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        size += len(name) + len(value)
        if name in _ONCE:
            if name in seen:
                raise RefusedError(400, f"The header field {name.decode().title()} is there twice")
            seen[name] = value
    if size > HEADER_BYTES:  # the target counts too
        raise RefusedError(431, HEAD_TOO_LARGE)
    if waiting >= PIPELINED:
        raise RefusedError(400, "Too many requests without waiting for their answers")
    if version not in ("1.1", "1.0"):
        raise RefusedError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    if not target.startswith(b"/") or b"#" in target:
        raise RefusedError(400, "The request target is not a path of this server")
    if version == "1.1" and b"host" not in seen:
        raise RefusedError(400, "The header field Host is missing")
    length, coding = seen.get(b"content-length"), seen.get(b"transfer-encoding")
    if length is not None and (coding is not None or not length.isdigit()):
        raise RefusedError(400, "The length of the body is not told in one way")
    if coding is not None and (coding.lower() != b"chunked" or version != "1.1"):
        raise RefusedError(501, "The only transfer coding is chunked")
