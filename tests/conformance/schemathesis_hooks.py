"""What schemathesis is told of SCIM: the texts that JSON Schema has no words for. Loaded by ``SCHEMATHESIS_HOOKS``."""

import os
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

NAMES = st.sampled_from(["id", "externalId", "displayName", "schemas", "meta.created", "meta.lastModified"])
"""Attributes that Users and Groups have; searches at the root are about both."""

MEMBER = "SCIM_BRIDGE_MEMBER"
"""Where the id of a User is, who may be a member."""

EXCLUSIVE = (("attributes", "excludedAttributes"), ("cursor", "startIndex"))

_TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters='"\\'), max_size=20)
_COMPARISON = st.builds(
    lambda name, operator, value: f'{name} {operator} "{value}"',
    st.sampled_from(["id", "externalId", "displayName"]),
    st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]),
    _TEXT,
)
_PRESENT = NAMES.map(lambda name: f"{name} pr")
FILTERS = st.recursive(
    _COMPARISON | _PRESENT,
    lambda inner: (
        st.builds(lambda left, join, right: f"({left} {join} {right})", inner, st.sampled_from(["and", "or"]), inner)
        | inner.map(lambda term: f"not ({term})")
    ),
    max_leaves=5,
)

schemathesis.openapi.format("scim-filter", FILTERS)
schemathesis.openapi.format("scim-path", NAMES)
schemathesis.openapi.format("scim-paths", st.lists(NAMES, min_size=1, max_size=4).map(",".join))
schemathesis.openapi.format("scim-cursor", st.just(""))
schemathesis.openapi.format("scim-member", st.just(os.environ.get(MEMBER, "")))


@schemathesis.hook
def before_call(ctx: Any, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Leave out one of two parameters that exclude each other, which OpenAPI has no words for, and spare the member."""
    del ctx, kwargs
    if case.method == "DELETE" and case.path_parameters and case.path_parameters.get("id") == os.environ.get(MEMBER):
        case.path_parameters["id"] = str(uuid.UUID(int=0))
    if case.meta is None or case.meta.generation.mode.is_positive:
        for kept, left_out in EXCLUSIVE:
            if kept in (case.query or {}):
                case.query.pop(left_out, None)
