"""Why a request failed, in our own words: what a client is told may quote its values, and these words are kept."""

from scim2_models import SCIMException

from scim_bridge.errors import PendingError, RefusedError, ServingError, StoreError

REASONS: dict[str | int, str] = {
    "invalidFilter": "the filter cannot be read, or asks for what cannot be filtered by",
    "tooMany": "it asks for too much at once",
    "uniqueness": "another resource has this name or external id",
    "mutability": "it changes what cannot be changed",
    "invalidSyntax": "the request cannot be read, or is not shaped as the RFC says",
    "invalidPath": "a path names no attribute",
    "noTarget": "a path finds nothing to change",
    "invalidValue": "a value is missing, or none that the attribute takes",
    "invalidVers": "another version of SCIM",
    "invalidCursor": "the cursor is none of this list",
    "expiredCursor": "the cursor is too old",
    "sensitive": "it would put a value into a URL that must not be there",
    400: "the request is wrong",
    401: "no valid token",
    403: "it is not allowed",
    404: "there is no such resource, or no such endpoint",
    405: "the endpoint does not know this method",
    408: "the body did not arrive in time",
    409: "it conflicts with what is there",
    412: "the resource was changed since the client read it",
    413: "the body is too large",
    415: "the body is not JSON, or is compressed",
    429: "not confirmed yet; the client has to ask again",
    431: "the header fields are too large",
    501: "it is not supported",
    503: "not confirmed yet; the client has to ask again",
}
"""By ``scimType`` (RFC 7644 §3.12), else by status."""


def reason(error: SCIMException | ServingError) -> tuple[str, str | None]:
    """Return why a request failed, and its ``scimType``."""
    if isinstance(error, PendingError | StoreError):
        return error.detail, None  # they are constants, and tell more
    if isinstance(error, ServingError):
        who = "the remote system refused it: " if isinstance(error, RefusedError) else ""
        return who + _words(error.scim_type, error.status), error.scim_type
    scim = error.to_error()
    return _words(scim.scim_type or None, scim.status or 400), scim.scim_type or None


def _words(scim_type: str | None, status: int) -> str:
    return REASONS.get(scim_type or status) or REASONS.get(status) or f"status {status}"
