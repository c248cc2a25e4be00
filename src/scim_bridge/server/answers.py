"""What is sent back: a status, headers and bytes. Every error is a SCIM Error body (RFC 7644 §3.12)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scim2_models import SCIMException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.responses import SCIM_MEDIA_TYPE
from starlette.types import Send

from scim_bridge.errors import ServingError

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CHALLENGE = 'Bearer realm="SCIM"'
DEFAULT_RETRY_AFTER = 60
"""Seconds told to a client when a transient error does not know better: Okta doubles it, at most ten times."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response.

    :param body: The bytes; ``None``: a response without a body (204, 304).
    """

    status: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = SCIM_MEDIA_TYPE

    async def send(self, send: Send, request_id: str, *, head: bool = False) -> None:
        """Send it, under the id that the log knows the request by.

        :param head: Whether only its headers were asked for.
        """
        headers = [(b"x-request-id", request_id.encode())]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.body is not None:
            headers += [
                (b"content-type", self.media_type.encode()),
                (b"content-length", str(len(self.body)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
            ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else self.body or b""})


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), headers or {})


def error_body(status: int, detail: str, scim_type: str | None = None) -> dict[str, Any]:
    """Return an Error; its ``status`` is a string (RFC 7644 §3.12)."""
    body: dict[str, Any] = {"schemas": [ERROR], "status": str(status), "detail": detail}
    return body | {"scimType": scim_type} if scim_type else body


def error_answer(
    status: int, detail: str, scim_type: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an Error answer."""
    return json_answer(error_body(status, detail, scim_type), status, headers)


def unauthorized() -> Answer:
    """Return the one answer to a missing, unknown, expired and revoked token and to an unknown connection."""
    return error_answer(401, "Missing or invalid bearer token", headers={"WWW-Authenticate": CHALLENGE})


def internal_error(request_id: str) -> Answer:
    """Return the constant answer to a bug; the log has the rest."""
    return error_answer(500, f"Internal server error; the log has the reason under request id {request_id}")


def failure(error: SCIMException | ServingError, transient_status: Literal[429, 503] = 429) -> Answer:
    """Return the answer to an error that a request ran into.

    :param transient_status: The status of whatever is transient; Okta retries by itself on 429 alone.
    """
    if isinstance(error, SCIMException):
        scim = error.to_error()
        headers = {}
        if isinstance(error, MethodNotAllowedException):
            headers["Allow"] = ", ".join(sorted({*error.allowed, *(["HEAD"] if "GET" in error.allowed else [])}))
        if scim.status in (408, 413, 431):
            headers["Connection"] = "close"  # the rest of the body is not read
        return error_answer(scim.status or 400, scim.detail or type(error).__name__, scim.scim_type or None, headers)
    if error.status != 429:
        return error_answer(error.status, error.detail, error.scim_type)
    return error_answer(transient_status, error.detail, headers={"Retry-After": str(retry_after(error))})


def retry_after(error: ServingError) -> int:
    """Return after how many whole seconds the client may ask again; no client reads fractions or dates."""
    seconds = getattr(error, "retry_after", None)
    return max(1, math.ceil(seconds)) if seconds is not None else DEFAULT_RETRY_AFTER
