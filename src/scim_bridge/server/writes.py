"""Hands writes of one connection to provisioning and answers how the resource is then (RFC 7644 §3.3, §3.5, §3.6)."""

from collections.abc import Callable
from typing import Any, cast

from scim2_models import BulkOperation, Group, InvalidValueException, Resource, ResponseParameters, SCIMException
from scim2_server.bulk import BulkStep
from scim2_server.conditions import Conditions
from scim2_server.errors import MethodNotAllowedException
from scim2_server.requests import ScimRequest
from scim2_server.routing import Target

from scim_bridge.errors import ServingError
from scim_bridge.models import Kind
from scim_bridge.protocol import Modification, rendering
from scim_bridge.protocol.bulk import CircularPlan
from scim_bridge.protocol.normalisation import PATCH_OP
from scim_bridge.protocol.schemas import CATALOGUE
from scim_bridge.server.access_log import current
from scim_bridge.server.answers import Answer, error_body, failure, json_answer
from scim_bridge.server.connections import ServedConnection
from scim_bridge.server.reads import Reads
from scim_bridge.server.requests import aside
from scim_bridge.store.rows import ResourceRow

BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
STATUS = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


class Writes:
    """The writes of one connection.

    :param reads: Renders what was written.
    """

    def __init__(self, connection: ServedConnection, reads: Reads) -> None:
        self._connection = connection
        self._service = connection.service
        self._provisioning = connection.provisioning
        self._reads = reads

    # -- Requests ------------------------------------------------------------------------------------------------------

    async def create(self, request: ScimRequest, target: Target) -> Answer:
        """Answer POST on a resource type."""
        kind = self._service.kind_at(target.endpoint or "")
        parameters = self._reads.parameters(kind, request)
        row = await self._create(kind, await aside(request, lambda: self._payload(request, kind)), request)
        if (entry := current.get()) is not None:
            entry.target = row.id
        return await self._answer(request, row, parameters, 201)

    async def replace(self, request: ScimRequest, target: Target) -> Answer:
        """Answer PUT on a resource."""
        kind = self._service.kind_at(target.endpoint or "")
        parameters = self._reads.parameters(kind, request)
        wanted = await aside(request, lambda: self._service.replacement(kind, self._payload(request, kind)))
        check = _check(self._service.read_conditions(request), "PUT")
        row = await self._modify(kind, target.resource_id or "", wanted, check)
        return await self._answer(request, row, parameters, 200)

    async def patch(self, request: ScimRequest, target: Target) -> Answer:
        """Answer PATCH on a resource: 200 with a body for a User, 204 for a Group unless a body is asked for."""
        kind = self._service.kind_at(target.endpoint or "")
        parameters = self._reads.parameters(kind, request)
        wanted = await aside(request, lambda: self._service.modification(kind, self._payload(request, kind)))
        check = _check(self._service.read_conditions(request), "PATCH")
        row = await self._modify(kind, target.resource_id or "", wanted, check)
        if kind == "Group" and parameters is None and self._connection.options.group_patch_status == 204:
            return Answer(204, headers={"ETag": row.etag})
        return await self._answer(request, row, parameters, 200)

    async def delete(self, request: ScimRequest, target: Target) -> Answer:
        """Answer DELETE on a resource."""
        kind = self._service.kind_at(target.endpoint or "")
        await self._delete(kind, target.resource_id or "", _check(self._service.read_conditions(request), "DELETE"))
        return Answer(204)

    def _payload(self, request: ScimRequest, kind: Kind) -> dict[str, Any]:
        return self._service.payload(request.body, request.header("Content-Type"), kind)

    async def _answer(
        self, request: ScimRequest, row: ResourceRow, parameters: ResponseParameters[Any] | None, status: int
    ) -> Answer:
        representation = await self._reads.current(row, parameters)
        return self._reads.answer(request.base_url, representation, parameters, status)

    # -- What a single request and an operation of a Bulk request have in common ---------------------------------------

    async def _create(self, kind: Kind, payload: dict[str, Any], request: ScimRequest) -> ResourceRow:
        resource = await aside(request, lambda: self._service.creation(kind, payload))
        if isinstance(resource, Group):
            return (await self._provisioning.create_group(resource)).row
        return (await self._provisioning.create_user(resource)).row

    async def _modify(
        self, kind: Kind, resource_id: str, wanted: Modification, check: Callable[[str], None]
    ) -> ResourceRow:
        if kind == "Group":
            outcome = await self._provisioning.modify_group(resource_id, wanted.change, wanted.deltas, check)
        else:
            outcome = await self._provisioning.modify_user(resource_id, wanted.change or _nothing, check, wanted.asking)
        return outcome.row

    async def _delete(self, kind: Kind, resource_id: str, check: Callable[[str], None]) -> None:
        delete = self._provisioning.delete_group if kind == "Group" else self._provisioning.delete_user
        await delete(resource_id, check)

    # -- Bulk ----------------------------------------------------------------------------------------------------------

    async def bulk(self, request: ScimRequest, target: Target) -> Answer:
        """Answer ``POST /Bulk``: each operation takes the path of a request of its own, all in the budget of one.

        What is durable and not confirmed by then has status 429 (RFC 7644 §3.7).
        """
        del target
        payload = await aside(request, lambda: self._service.payload(request.body, request.header("Content-Type")))
        plan = self._service.bulk_plan(payload)
        with self._provisioning.one_budget():
            for step in plan:
                outcome, row = await self._run(request, plan, step)
                plan.record(step, outcome, cast("Any", row))
        operations = [{**outcome, "status": str(outcome["status"])} for outcome in plan.outcomes()]
        if (entry := current.get()) is not None:
            entry.operations = (len(operations), sum(int(one["status"]) >= 400 for one in operations))
        shown = [{_BULK_NAMES.get(name, name): value for name, value in one.items() if value} for one in operations]
        return json_answer({"schemas": [BULK_RESPONSE], "Operations": shown})

    async def _run(
        self, request: ScimRequest, plan: CircularPlan, step: BulkStep
    ) -> tuple[dict[str, Any], ResourceRow | None]:
        """Run one step; its failure is its own."""
        operation = plan.operation(step)
        outcome = self._service.bulk_outcome(request.base_url, operation)
        try:
            resource_type = self._service.route_bulk_operation(operation)
            operation = plan.resolve(step)
            if resource_type is None or operation.method is None:
                raise InvalidValueException(detail="A Bulk operation needs a method and a path")
            if resource_type.name in CATALOGUE:
                raise MethodNotAllowedException(allowed=["GET"])
            self._service.locate_bulk_operation(request.base_url, resource_type, operation, outcome)
            kind = cast("Kind", resource_type.name)
            made = plan.created[operation.bulk_id or ""].id if plan.is_second(step) else None
            row = await (
                self._apply(kind, operation, request)
                if made is None
                else self._add(kind, made, operation.data, request)
            )
        except (SCIMException, ServingError) as error:
            answer = failure(error, self._connection.options.transient_status)
            detail, scim_type = _told(error)
            if plan.is_second(step) and answer.status not in TRANSIENT:
                there = plan.created[operation.bulk_id or ""].id
                detail = f"{detail.removesuffix('; nothing was changed')}; made without that, as {there}"
            body = error_body(answer.status, detail, scim_type)
            return {**outcome, "status": answer.status, "response": body}, None
        outcome["status"] = int(STATUS[operation.method])
        if row is not None:
            outcome |= {"location": rendering.location(request.base_url, row), "version": row.etag}
        return outcome, row

    async def _add(self, kind: Kind, resource_id: str, data: Any, request: ScimRequest) -> ResourceRow:
        """Add to a resource that a Bulk request made what it could not refer to before (RFC 7644 §3.7.1)."""
        payload = {"schemas": [PATCH_OP], "Operations": [{"op": "add", "value": data}]}
        wanted = await aside(request, lambda: self._service.modification(kind, payload))
        return await self._modify(kind, resource_id, wanted, _check(Conditions(), "PATCH"))

    async def _apply(
        self, kind: Kind, operation: BulkOperation[Resource[Any]], request: ScimRequest
    ) -> ResourceRow | None:
        """Apply one operation through the same chain that a request takes."""
        check = _check(Conditions(if_match=operation.version), operation.method or "")
        resource_id = operation.resource_id or ""
        if operation.method == BulkOperation.Method.delete:
            await self._delete(kind, resource_id, check)
            return None
        data: Any = operation.data
        if not isinstance(data, dict):
            raise InvalidValueException(detail=f"data is required for {operation.method} operations")
        if operation.method == BulkOperation.Method.post:
            if operation.bulk_id is None:
                raise InvalidValueException(detail="bulkId is required for POST operations")
            return await self._create(kind, data, request)
        read = self._service.replacement if operation.method == BulkOperation.Method.put else self._service.modification
        return await self._modify(kind, resource_id, await aside(request, lambda: read(kind, data)), check)


_BULK_NAMES = {"bulk_id": "bulkId"}

TRANSIENT = frozenset({429, 503})
"""What may have been accepted all the same."""


def _told(error: SCIMException | ServingError) -> tuple[str, str | None]:
    """Return what a client is told of an error."""
    if isinstance(error, ServingError):
        return error.detail, error.scim_type
    scim = error.to_error()
    return scim.detail or type(error).__name__, scim.scim_type or None


def _check(conditions: Conditions, method: str) -> Callable[[str], None]:
    """Return what evaluates the conditional headers against an entity tag (RFC 7644 §3.14)."""

    def check(tag: str) -> None:
        conditions.check(tag, method)

    return check


def _nothing(current: Any) -> None:
    """Change nothing: a PATCH whose operations were all without effect."""
    del current
