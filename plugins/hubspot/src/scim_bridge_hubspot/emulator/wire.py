"""Requests, answers and refusals, without a web framework: the ASGI application and the transport share them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

API_BASE = "https://api.hubapi.com"
"""What HubSpot's ``Location`` headers and paging links begin with, whatever host was asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the emulator sees it.

    :param path: Percent-decoded.
    :param query: The last value of each parameter.
    :param headers: By lower-cased name.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. ``document`` is written as JSON unless it is ``bytes``; ``None`` means no body."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=utf-8"

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        if self.document is None:
            return b""
        return self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer reaches the client.

    :param answer: ``None`` when the connection is reset without one.
    :param delay: Seconds before it is sent.
    :param cut: Whether the connection is reset after half of the body.
    """

    answer: Answer | None
    delay: float = 0.0
    cut: bool = False


class RefusalError(Exception):
    """HubSpot says no.

    :param errors: Entries of the body's ``errors``.
    :param nests: Whether HubSpot was seen to put this error as a JSON document inside the outer ``message``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        category: str = "VALIDATION_ERROR",
        sub_category: str | None = None,
        errors: list[dict[str, Any]] | None = None,
        context: Mapping[str, list[str]] | None = None,
        links: Mapping[str, str] | None = None,
        nests: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.category = category
        self.sub_category = sub_category
        self.errors = errors
        self.context = context
        self.links = links
        self.nests = nests

    def answer(self, correlation_id: str, nested_messages: str = "never") -> Answer:
        """Return the response, with the error body of HubSpot's ``Error`` schema.

        :param nested_messages: The switch of the same name.
        """
        error: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": correlation_id}
        optional = {
            "category": self.category,
            "subCategory": self.sub_category,
            "errors": self.errors,
            "context": self.context,
            "links": self.links,
        }
        error |= {name: value for name, value in optional.items() if value}
        nested = nested_messages == "always" or (nested_messages == "some" and self.nests)
        if nested and self.status == 400:
            outer = {"status": "error", "message": json.dumps(error), "correlationId": correlation_id}
            error = outer | {"category": "VALIDATION_ERROR"}
        return Answer(self.status, error)


def not_found(what: str) -> RefusalError:
    """Return the refusal for an object that does not exist."""
    return RefusalError(404, f"{what} not found", category="OBJECT_NOT_FOUND")


def invalid(message: str, field_name: str, code: str = "INVALID_VALUE") -> RefusalError:
    """Return the refusal for a value of one field or parameter."""
    return RefusalError(400, message, errors=[{"message": message, "code": code, "in": field_name}])


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body.

    :raises RefusalError: 400 when there is none.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise RefusalError(400, "Invalid input JSON on line 1, column 1: Unexpected content") from None
    if not isinstance(document, dict):
        raise RefusalError(400, "Invalid input JSON on line 1, column 1: Cannot deserialize value, expected an object")
    return document


def text_of(document: Mapping[str, Any], name: str) -> str | None:
    """Return a text field; absent and ``null`` are ``None``.

    :raises RefusalError: 400 when it is no text.
    """
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name} must be a string", name, "INVALID_TYPE")
    return value


def texts_of(document: Mapping[str, Any], name: str) -> list[str] | None:
    """Return a field that is a list of texts; absent and ``null`` are ``None``.

    :raises RefusalError: 400 when it is no list of texts.
    """
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(f"{name} must be an array of strings", name, "INVALID_TYPE")
    return value


def boolean_parameter(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean query parameter, ``False`` when absent.

    :raises RefusalError: 400 when it is neither ``true`` nor ``false``.
    """
    value = query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise invalid(f"{name} must be true or false", name)
    return value == "true"
