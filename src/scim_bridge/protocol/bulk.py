"""Reads a Bulk request into its plan (RFC 7644 §3.7), circular references included (§3.7.1)."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from scim2_models import (
    BulkOperation,
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
    Resource,
)
from scim2_server.bulk import BulkPlan, BulkStep, replace_bulk_ids

from scim_bridge.models import User
from scim_bridge.protocol.clients import Quirks
from scim_bridge.protocol.limits import Limits
from scim_bridge.protocol.normalisation import names_message

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


class CircularPlan(BulkPlan):
    """A plan that also resolves creations which refer to each other, or to themselves.

    Such a creation is made without what refers to something that is not there yet; as soon as all of it is made, that
    is added in a second step of the same operation, before whatever else the request does to the resource.
    """

    def plan_steps(self) -> list[BulkStep]:
        """Order the operations; a second step follows the last creation that its operation refers to."""
        order = super().plan_steps()
        self._place = {step.index: number for number, step in enumerate(order)}
        self._circular: set[int] = set()
        steps: list[BulkStep] = []
        second: dict[int, list[BulkStep]] = {}
        for number, step in enumerate(order):
            operation = self.operations[step.index]
            last = max((self._place[one] for one in self.dependencies(step.index)), default=-1)
            if operation.method == BulkOperation.Method.post and isinstance(operation.data, dict) and last >= number:
                self._circular.add(step.index)
                second.setdefault(last, []).append(step)
            steps += [step, *second.get(number, ())]
        return steps

    def __iter__(self) -> Iterator[BulkStep]:
        """Yield the steps to run, until the request is stopped; what was made is completed even then, or told."""
        for step in self.steps:
            runs = self.results[step.index]["status"] < 400 if self.is_second(step) else not self.stopped
            if runs:
                yield step

    def operation(self, step: BulkStep) -> BulkOperation[Resource[Any]]:
        """Return the operation of a step: of a circular one what can be said already, then the rest."""
        operation = super().operation(step)
        if step.index not in self._circular:
            return operation
        ready, rest = _divided(cast("Any", operation.data), self._waits_for(step.index))
        return operation.model_copy(update={"data": rest if self.is_second(step) else ready})

    def is_second(self, step: BulkStep) -> bool:
        """Whether a step adds to what its operation has made."""
        return step.index in self.results

    def _waits_for(self, index: int) -> frozenset[str]:
        """Return the bulkIds that are made no earlier than an operation which refers to them."""
        own = self._place[index]
        return frozenset(one for one, made in self.creations.items() if self._place[made] >= own)


def _divided(value: Mapping[str, Any], unmade: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of a resource without the values that refer to something unmade, and these."""
    ready: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict) and name.lower().startswith("urn:"):
            ready[name], later = _divided(item, unmade)
            rest |= {name: later} if later else {}
        elif not _refers(item, unmade):
            ready[name] = item
        elif isinstance(item, list):
            ready[name] = [one for one in item if not _refers(one, unmade)]
            rest[name] = [one for one in item if _refers(one, unmade)]
        else:
            rest[name] = item
    return ready, rest


def _refers(value: Any, unmade: frozenset[str]) -> bool:
    found: list[str] = []

    def note(bulk_id: str) -> str:
        found.append(bulk_id)
        return bulk_id

    replace_bulk_ids(value, note)
    return not unmade.isdisjoint(found)


def plan(payload: Mapping[str, Any], limits: Limits, quirks: Quirks) -> CircularPlan:
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
    return CircularPlan([_operation(operation) for operation in operations], fail_on_errors)


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
