"""What a service provider's refusals mean (RFC 7644 §3.12)."""

from typing import Any

import httpx2

from scim_bridge.errors import (
    OperationNotSupportedError,
    RemoteConflictError,
    RemoteImmutableError,
    RemoteInvalidValueError,
    RemoteMisroutedError,
    RemoteUnavailableError,
)
from scim_bridge.upstream import raise_for_status, read_json

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class NoTargetError(RemoteInvalidValueError):
    """A PATCH was about something that is not there (``noTarget``)."""


class OtherFormAbsenceError(RemoteMisroutedError):
    """404 in another form than SCIM's, as frameworks and gateways have it: the lists tell who is gone."""


class OtherFormConflictError(RemoteMisroutedError):
    """409 in another form than SCIM's: whom it is about is who is found by name."""


OTHER_FORMS = {404: OtherFormAbsenceError, 409: OtherFormConflictError}


def is_scim_error(body: Any) -> bool:
    """Tell an error of SCIM's own form from a gateway's page: it names its schema, or has ``scimType``."""
    if not isinstance(body, dict):
        return False
    schemas = body.get("schemas")
    return (isinstance(schemas, list) and ERROR in schemas) or isinstance(body.get("scimType"), str)


def checked(response: httpx2.Response, subject: str) -> httpx2.Response:
    """Return a 2xx answer, and raise what any other means.

    :param subject: What the request was about, for the message.
    """
    status = response.status_code
    if status in {400, 405, 409, 412, 501} and is_scim_error(body := _body(response)):
        match status, body.get("scimType"):
            case 400, "uniqueness":
                raise RemoteConflictError(f"the service provider already has another {subject} of this name")
            case 400, "mutability":
                raise RemoteImmutableError(f"the service provider does not change this of a {subject}")
            case 400, "noTarget":
                raise NoTargetError(f"the service provider has nothing of this in the {subject}")
            case 412, _:
                raise RemoteUnavailableError(f"the {subject} was changed by somebody else meanwhile", ambiguous=False)
            case 405 | 501, _:
                raise OperationNotSupportedError(f"the service provider does not do this to the {subject}")
            case _:
                pass
    try:
        return raise_for_status(response, subject, own_error=is_scim_error)
    except RemoteMisroutedError as error:
        if status not in OTHER_FORMS:
            raise
        raise OTHER_FORMS[status](error.detail, ambiguous=error.ambiguous) from None


def _body(response: httpx2.Response) -> Any:
    try:
        return read_json(response)
    except RemoteUnavailableError:
        return None
