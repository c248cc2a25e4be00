"""The SCIM protocol of one connection, without input or output: what a request means, and what answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, TypeVar, Union, cast

from pydantic import ValidationError
from scim2_models import (
    BulkRequest,
    BulkResponse,
    Context,
    Error,
    Group,
    GroupMember,
    InvalidSyntaxException,
    InvalidValueException,
    ListResponse,
    Meta,
    NotFoundException,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    SearchRequest,
    default_comparison_key,
)
from scim2_server.conditions import Conditions
from scim2_server.errors import MethodNotAllowedException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService, scim_exception_of

from scim_bridge.errors import ServingError
from scim_bridge.models import Kind, User
from scim_bridge.protocol import bulk, entitlements, members, rendering, simple_patches, strict_json
from scim_bridge.protocol.clients import ClientPreset, Quirks
from scim_bridge.protocol.limits import (
    Limits,
    check_filter,
    check_operations,
    check_paths,
    check_projection,
    check_text,
    check_values,
)
from scim_bridge.protocol.names import require_name, require_visible
from scim_bridge.protocol.normalisation import Normaliser
from scim_bridge.protocol.schemas import CATALOGUE, BridgeProvider
from scim_bridge.store.documents import decode
from scim_bridge.store.rows import NOT_ASKING, Asking, MemberDelta

_ON_A_RESOURCE = {
    "GET": Operation.query,
    "PUT": Operation.replace,
    "PATCH": Operation.patch,
    "DELETE": Operation.delete,
}

_ABOUT_ALL = (ListResponse, BulkRequest, BulkResponse, SearchRequest)
_ABOUT_ONE = (SearchRequest, ResponseParameters, PatchOp)
"""Generic messages. pydantic forgets the class for a service's resources, and takes milliseconds to make it again."""

T = TypeVar("T")
ResourceT = TypeVar("ResourceT", bound=Resource[Any])
Change = Callable[[Any], Any]
"""Turns the stored resource into the wanted one, or ``None`` when nothing changes."""


@dataclass(frozen=True, slots=True)
class Modification:
    """What a PUT or PATCH asks for.

    :param change: The change of attributes; ``None``: none is asked for.
    :param deltas: The changes of members, of a Group.
    :param asking: How it asks for roles, of a User.
    """

    change: Change | None
    deltas: tuple[MemberDelta, ...] = ()
    asking: Asking = NOT_ASKING


@lru_cache(maxsize=64)
def _envelopes(models: tuple[type[Resource[Any]], ...]) -> tuple[Any, ...]:
    """Return the classes of the messages about these resources; most connections of a bridge have the same."""
    about_all = (cast("Any", envelope)[Union[models]] for envelope in _ABOUT_ALL)  # noqa: UP007 - of a tuple known at run time
    about_one = (cast("Any", envelope)[model] for envelope in _ABOUT_ONE for model in models)
    return (*about_all, *about_one)


class BridgeService(ScimService):
    """What requests of one connection mean.

    :param provider: The schemas and the configuration that the connection publishes.
    :param preset: How its client is understood; the provider must carry the preset's policy.
    :param secret: Seals the cursors of RFC 9865; every replica needs the same.
    :param limits: What one request may ask for.
    :param count: Called with the name of each quirk that is met.
    :param met: Called with it also when it is refused.
    """

    provider: BridgeProvider

    def __init__(
        self,
        provider: BridgeProvider,
        preset: ClientPreset,
        *,
        secret: str | bytes,
        limits: Limits | None = None,
        count: Callable[[str], Any] = lambda _: None,
        met: Callable[[str], Any] = lambda _: None,
    ) -> None:
        super().__init__(provider, secret=secret)
        self._requests = provider.policy.model_copy(update={"comparison_key": default_comparison_key})
        self._kept = _envelopes(tuple(self.get_models()))
        self.limits = limits or Limits()
        self.preset = preset
        self._quirks = Quirks(preset.quirks, count, met)
        self._normalisers = {
            kind: Normaliser(definition, self._quirks) for kind, definition in provider.definitions.items()
        }

    def searched_types(self, endpoint: str | None) -> list[ResourceType]:
        """Return the resource types that a search covers; at the root only what clients manage."""
        found = super().searched_types(endpoint)
        return [type_ for type_ in found if endpoint is not None or type_.name not in CATALOGUE]

    def kind_at(self, endpoint: str) -> Kind:
        """Return the name of the resource type that an endpoint serves.

        :raises NotFoundException: When none does.
        """
        return cast("Kind", self.resource_type_at(endpoint).name)

    @staticmethod
    def match(request: ScimRequest) -> Target:
        """Return what a request asks for; one resource, the most frequent target, is found without the route table."""
        operation = _ON_A_RESOURCE.get(request.method)
        endpoint, _, resource_id = request.path[1:].partition("/")
        if resource_id.strip("/") == ".search" and request.method != "POST":  # no id: none has a dot
            raise MethodNotAllowedException(allowed=["POST"])
        if operation is None or endpoint not in ("Users", "Groups") or not resource_id or "/" in resource_id:
            return ScimService.match(request)
        return Target(operation, endpoint, resource_id)

    # -- Bodies --------------------------------------------------------------------------------------------------------

    def payload(self, body: bytes, content_type: str | None, kind: Kind | None = None) -> dict[str, Any]:
        """Return the JSON object of a request body.

        :param kind: The resource type the request is about; ``None``: a search or Bulk.
        :raises SCIMException: When it is no JSON object, is ambiguous, or exceeds a limit.
        """
        self.ensure_json(content_type)
        value = strict_json.decode(body, depth=self.limits.depth, nodes=self.limits.node_count(kind))
        if not isinstance(value, dict):
            raise InvalidSyntaxException(detail="The request body must be a JSON object")
        return value

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        """Return the JSON value of a search or Bulk request, strictly decoded."""
        return self.payload(body, content_type)

    def _validated(self, model: type[ResourceT], payload: Any, context: Context) -> ResourceT:
        """Validate without the check that each string can be compared: ours compares all, and asking costs most."""
        try:
            return model.model_validate(payload, scim_ctx=context, scim_policy=self._requests)
        except ValidationError as error:
            raise scim_exception_of(error) from error
        except RecursionError as error:
            raise InvalidSyntaxException(detail="The request nests too deeply") from error

    def _resource(self, kind: Kind, payload: dict[str, Any], context: Context) -> Any:
        """Return the validated resource of a POST or PUT; a Group comes with its members unresolved."""
        ids: tuple[str, ...] = ()
        if kind == "Group":
            payload, ids = members.split_body(payload, self._quirks, self.limits)
        check_values(payload.values(), self.limits)
        check_text(payload, self.limits)
        with self.provider:
            resource = self._validated(self.provider.model(kind), self._normalisers[kind].resource(payload), context)
        if isinstance(resource, Group):
            resource.members = [GroupMember.model_construct(value=id) for id in ids]
        require_name(resource)
        return resource

    # -- Writes --------------------------------------------------------------------------------------------------------

    def creation(self, kind: Kind, payload: dict[str, Any]) -> User | Group:
        """Return the resource that a POST asks for; read-only attributes are ignored (RFC 7644 §3.3).

        :raises SCIMException: When it does not validate.
        """
        resource = self._resource(kind, payload, Context.RESOURCE_CREATION_REQUEST)
        require_visible(resource)
        if kind == "User" and resource.active is None:
            resource.active = True
        return cast("User | Group", resource)

    def replacement(self, kind: Kind, payload: dict[str, Any]) -> Modification:
        """Return what a PUT asks for (RFC 7644 §3.5.1). An absent ``active`` stays what it was; absent members go.

        :raises SCIMException: When it does not validate.
        """
        wanted = self._resource(kind, payload, Context.RESOURCE_REPLACEMENT_REQUEST)
        deltas: tuple[MemberDelta, ...] = ()
        if isinstance(wanted, Group):
            ids = tuple(str(member.value) for member in wanted.members or ())
            deltas = (MemberDelta("replace", ids),)
            wanted.members = None

        def change(current: Resource[Any]) -> Resource[Any] | None:
            with self.provider:
                replacement = wanted.model_copy(deep=True)
                require_visible(replacement, current)
                _keep_active(current, replacement)
                return self.apply_replacement(current, replacement, Conditions())

        return Modification(change, deltas, Asking(whole=True))

    def modification(self, kind: Kind, payload: dict[str, Any]) -> Modification:
        """Return what a PATCH asks for (RFC 7644 §3.5.2).

        :raises SCIMException: When it does not validate; what only the stored state tells is raised by the change.
        """
        self.ensure_patch_supported()
        operations = self._normalisers[kind].operations(_operations(payload))
        check_operations(operations, self.limits)
        deltas: list[MemberDelta] = []
        if kind == "Group":
            operations, deltas = members.split_operations(operations, self._quirks, self.limits)
        named: tuple[str, ...] = ()
        if kind == "User" and self.provider.entitlements == "asked":
            operations, named = entitlements.split(operations)
        check_paths(operations, self.limits)
        check_values((operation.get("value") for operation in operations), self.limits)
        check_text(operations, self.limits)
        with self.provider:
            body = self._normalisers[kind].patch(payload, operations)
            model = self.provider.model(kind)
            body["Operations"] = self._normalisers[kind].known(model, body["Operations"], beside=bool(deltas or named))
            if not body["Operations"]:
                return Modification(None, tuple(deltas), Asking(named))
            if kind == "User" and not named and (active := simple_patches.activation(body)) is not None:
                return Modification(partial(simple_patches.with_active, active=active))
            patch_op: Any = self._validated(cast("Any", PatchOp)[model], body, Context.RESOURCE_PATCH_REQUEST)
        # The library asks of every string of the model whether it can be compared; ours all can, and that costs most.
        policy = self._requests if simple_patches.compare_nothing(body["Operations"]) else None

        def change(current: Resource[Any]) -> Resource[Any] | None:
            with self.provider:
                before = current.model_copy()
                patched = _told_by_scim(lambda: current if patch_op.patch(current, policy) else None)
                if patched is not None:
                    check_values(vars(patched).values(), self.limits)
                    check_text(patched, self.limits)
                    _keep_active(before, patched)
                    require_name(patched)
                    require_visible(patched, before)
                return patched

        return Modification(change, tuple(deltas), Asking(named))

    # -- Searches ------------------------------------------------------------------------------------------------------

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> tuple[SearchRequest[Any], Any]:
        """Validate a search within the limits, its filter in the RFC's form (see the base class)."""
        if not isinstance(payload, dict):
            raise InvalidSyntaxException(detail="The request body must be a JSON object")
        payload = {name: value for name, value in payload.items() if value != "" or name.lower() == "cursor"}
        check_projection(payload, self.limits)
        for name, value in payload.items():
            if name.lower() in ("startindex", "count") and isinstance(value, bool):
                raise InvalidValueException(detail=f"{name} must be a whole number")
            if name.lower() != "filter" or not isinstance(value, str):
                continue
            check_filter(value, self.limits)
            kind = cast("Kind", resource_types[0].name)
            payload[name] = self._normalisers[kind].filters.of_resources(value)
        return super().read_search(resource_types, payload)

    def read_response_parameters(
        self, resource_type: ResourceType, query: Mapping[str, str]
    ) -> ResponseParameters[Any]:
        """Read ``attributes`` and ``excludedAttributes``; empty ones restrict nothing."""
        check_projection(dict(query), self.limits)
        return super().read_response_parameters(resource_type, {name: v for name, v in query.items() if v})

    # -- Bulk ----------------------------------------------------------------------------------------------------------

    def bulk_plan(self, payload: dict[str, Any]) -> bulk.CircularPlan:
        """Plan the operations of a Bulk request (RFC 7644 §3.7). Their data stays JSON: each runs as a request would.

        :raises SCIMException: When the envelope is invalid or too large.
        """
        return bulk.plan(payload, self.limits, self._quirks)

    # -- Representations -----------------------------------------------------------------------------------------------

    def projected(
        self, base_url: str, representation: rendering.Representation, parameters: ResponseParameters[Any]
    ) -> dict[str, Any]:
        """Return the part of a representation that ``attributes`` and ``excludedAttributes`` leave (RFC 7644 §3.9)."""
        row = representation.row
        with self.provider:
            resource: Any = decode(row, self.provider.model(row.kind))
            if row.kind == "User":
                resource.active = representation.active
            for held, values in (representation.held or {}).items():
                item = type(resource).get_field_root_type(held)
                setattr(resource, held, [item.model_validate(value) for value in values] or None)
            if representation.groups is not None:
                group = type(resource).get_field_root_type("groups")
                shown = [rendering.group_value(base_url, item) for item in representation.groups]
                resource.groups = [group.model_validate(value) for value in shown]
            if representation.members is not None:
                member = type(resource).get_field_root_type("members")
                shown = [rendering.member_value(base_url, id_) for id_ in representation.members]
                resource.members = [member.model_validate(value) for value in shown]
            meta = cast("Meta", resource.meta)
            resource.meta = meta.model_copy(update={"location": rendering.location(base_url, row)})
            return cast(
                "dict[str, Any]",
                resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters),
            )

    # -- Discovery -----------------------------------------------------------------------------------------------------

    def schemas(self, location: str, query: Mapping[str, str]) -> ScimResponse:
        """Return the schemas as the files have them."""
        response = super().schemas(location, query)
        documents = [_located(document, location) for document in self.provider.documents]
        return replace(response, body={**(response.body or {}), "Resources": documents})

    def schema(self, location: str, schema_id: str, query: Mapping[str, str]) -> ScimResponse:
        """Return one schema as its file has it."""
        self.forbid_filter(query)
        for document in self.provider.documents:
            if document["id"].lower() == schema_id.lower():
                body = _located(document, location.rpartition("/")[0])
                return ScimResponse(HTTPStatus.OK, body, {"Content-Location": body["meta"]["location"]})
        raise NotFoundException(detail=f"Schema {schema_id!r} not found")

    # -- Errors --------------------------------------------------------------------------------------------------------

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """Return the SCIM error of an exception; one that is neither ours nor SCIM's tells nothing."""
        if isinstance(exception, ServingError):
            return Error(status=exception.status, scim_type=exception.scim_type, detail=exception.detail)
        if isinstance(exception, SCIMException):
            return exception.to_error()
        return Error(status=500, detail="Internal server error")


def _told_by_scim(work: Callable[[], T]) -> T:
    """Run work of the SCIM library; what it only quotes of pydantic is told as of any other request.

    :raises SCIMException: When the result would not validate.
    """
    try:
        return work()
    except SCIMException as error:
        if isinstance(error.__cause__, ValidationError):
            raise scim_exception_of(error.__cause__) from error
        raise


def _located(document: Mapping[str, Any], location: str) -> dict[str, Any]:
    meta = {"resourceType": "Schema", "location": f"{location}/{document['id']}"}
    return {**document, "meta": meta}


def _operations(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the operations of a PATCH with the names of their members in the RFC's case."""
    operations = next((value for name, value in payload.items() if name.lower() == "operations"), None)
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntaxException(detail="A PATCH holds one or more Operations")
    if not all(isinstance(operation, dict) for operation in operations):
        raise InvalidSyntaxException(detail="Each of the Operations is an object")
    return [{name.lower(): value for name, value in operation.items()} for operation in operations]


def _keep_active(current: Any, wanted: Any) -> None:
    """Let an unset ``active`` be no change: neither a deactivation nor an activation."""
    if "active" in type(wanted).model_fields and wanted.active is None:
        wanted.active = current.active
