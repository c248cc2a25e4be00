"""Reads a Bulk request into its plan (RFC 7644 §3.7)."""

from collections.abc import Mapping
from typing import Any, cast

from scim2_models import (
    BulkOperation,
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
    Resource,
)
from scim2_server.bulk import BulkPlan

from scim_bridge.models import User
from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.limits import Limits
from scim_bridge.protocol.normalisation import names_message

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def plan(payload: Mapping[str, Any], limits: Limits, quirks: Quirks) -> BulkPlan:
    """Plan the operations of a Bulk request. Their data stays JSON: each runs as a request would.

    :raises SCIMException: When the envelope is invalid or too large.
    """
    fields = {name.lower(): value for name, value in payload.items()}
    if not names_message(fields.get("schemas"), BULK_REQUEST) and not quirks.take("missing_schemas"):
        raise InvalidSyntaxException(detail=f"The schemas of a Bulk request are [{BULK_REQUEST!r}]")
    operations, fail_on_errors = fields.get("operations"), fields.get("failonerrors")
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise InvalidSyntaxException(detail="A Bulk request holds a list of Operations")
    if isinstance(fail_on_errors, float) and fail_on_errors.is_integer():
        fail_on_errors = int(fail_on_errors)  # JSON has one kind of number: 1.0 is 1
    if fail_on_errors is not None and (type(fail_on_errors) is not int or fail_on_errors < 1):
        raise InvalidValueException(detail="failOnErrors must be a positive integer")
    if len(operations) > limits.bulk_operations:
        raise PayloadTooLargeException(
            detail=f"The number of operations exceeds the maxOperations ({limits.bulk_operations})"
        )
    return BulkPlan([_operation(operation) for operation in operations], fail_on_errors)


def _operation(operation: Mapping[str, Any]) -> BulkOperation[Resource[Any]]:
    fields = {name.lower(): value for name, value in operation.items()}
    texts = {name: fields.get(name.lower()) for name in ("method", "bulkId", "path", "version")}
    if any(value is not None and not isinstance(value, str) for value in texts.values()):
        raise InvalidSyntaxException(detail="method, bulkId, path and version of a Bulk operation are strings")
    method = texts["method"].upper() if texts["method"] else None
    made: BulkOperation[Resource[Any]] = cast("Any", BulkOperation[User]).model_construct(
        method=BulkOperation.Method(method) if method in list(BulkOperation.Method) else None,
        bulk_id=texts["bulkId"],
        path=texts["path"],
        version=texts["version"],
        data=fields.get("data"),
    )
    return made
