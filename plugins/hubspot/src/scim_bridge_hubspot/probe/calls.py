"""The calls of a probe: one at a time, patient with limits, each refusal kept as a form without personal data."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from scim_bridge import upstream
from scim_bridge_hubspot.errors import INTERVAL_SECONDS, problem_of

COLLECTIONS: Mapping[str, str] = {
    "v3": "/settings/v3/users/",
    "2026-03": "/settings/users/2026-03",
    "2026-09-beta": "/settings/users/2026-09-beta",
    "2026-09": "/settings/users/2026-09",
}
"""Paths of the user collection by API version."""

PATIENCE = 6
"""How often a call that met a limit or a lock is sent again."""

LONGEST_WAIT = 60.0
"""Seconds; a longer ``Retry-After`` (the day's limit, a migration) ends the probe."""

PAGES = 30
"""How long a list is followed; on a test portal it is short."""

LIMIT_HEADERS = "x-hubspot-ratelimit-"

Answer = httpx2.Response


class ProbeError(Exception):
    """The probe cannot go on; the message is a sentence for the operator, without personal data."""


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """The form of one refusal: what a connector can recognise it by, and nothing of whom it was about.

    :param call: What was asked ("read a removed person").
    :param status: HTTP status.
    :param content_type: Without parameters; empty where there was no body.
    :param fields: Names of the body's fields, sorted.
    :param codes: Categories, subcategories and codes.
    :param nested: Whether ``message`` is itself a JSON document.
    :param names_the_object: Whether the body has the id or address that was asked for.
    """

    call: str
    status: int
    content_type: str
    fields: tuple[str, ...]
    codes: tuple[str, ...]
    nested: bool
    names_the_object: bool


class Calls:
    """Sends the probe's calls.

    :param http: Its base URL is HubSpot's API; it signs each call and follows no redirect.
    :param version: The version of the User Provisioning API.
    :param bearer: The token, where HubSpot may be asked about it; empty with OAuth.
    :param sleep: Waits; tests give one that does not.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        version: str,
        *,
        bearer: str = "",
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self.version = version
        self.bearer = bearer
        self.sleep = sleep
        self.sent = 0
        self.forms: list[ErrorForm] = []
        self.limit_headers: set[str] = set()

    async def send(self, call: str, method: str, path: str, *, about: str = "", **content: Any) -> Answer:
        """Send one call and return the answer, whatever its status.

        :param call: What is asked, for the report.
        :param about: The id or address that the call is about.
        :raises ProbeError: When there is no answer, or a limit lasts too long.
        """
        answer = await self._once(call, method, path, content)
        for _ in range(PATIENCE):
            if answer.status_code not in (423, 429):
                break
            wait = upstream.retry_after(answer)
            wait = INTERVAL_SECONDS if wait is None else wait
            if wait > LONGEST_WAIT:
                raise ProbeError(f"HubSpot asks to wait for {wait:.0f} s; run the probe again later")
            await self.sleep(wait)
            answer = await self._once(call, method, path, content)
        if answer.status_code >= 400:
            self.forms.append(form_of(call, answer, about))
        return answer

    async def _once(self, call: str, method: str, path: str, content: Mapping[str, Any]) -> Answer:
        self.sent += 1
        try:
            answer = await self._http.request(method, path, **content)
        except httpx2.HTTPError as error:
            raise ProbeError(f"HubSpot gave no answer when asked to {call} ({type(error).__name__})") from None
        self.limit_headers |= {name for name in answer.headers if name.lower().startswith(LIMIT_HEADERS)}
        return answer

    async def id_of(self, what: str, suffix: str, name: str) -> str:
        """Return the id of a permission set or team by its exact name; empty for an empty name.

        :raises ProbeError: When there is not exactly one of this name.
        """
        if not name:
            return ""
        answer = await self.send(f"list what is called a {what}", "GET", self.path(suffix))
        found = [str(each.get("id")) for each in results_of(answer) if each.get("name") == name]
        if len(found) != 1:
            raise ProbeError(f"HubSpot lists {len(found)} of the {what} that was named; exactly one is needed")
        return found[0]

    # -- Users -------------------------------------------------------------------------------------------------------

    def path(self, suffix: str = "", version: str = "") -> str:
        """Return a path below the user collection of a version."""
        base = COLLECTIONS[version or self.version]
        return f"{base.rstrip('/')}/{quote(suffix, safe='')}" if suffix else base

    async def list(self, call: str, **query: Any) -> Answer:
        """Ask for a page of the members."""
        return await self.send(call, "GET", self.path(), params=query)

    async def members(self, call: str) -> AsyncIterator[dict[str, Any]]:
        """Yield all members, page by page.

        :raises ProbeError: When there are more than a test portal has.
        """
        after: str | None = None
        for _ in range(PAGES):
            page = await self.list(call, limit=100, **({"after": after} if after else {}))
            for member in results_of(page):
                yield member
            after = next_of(page)
            if after is None:
                return
        raise ProbeError("the list of members is too long to be followed: use a test portal")

    async def create(self, call: str, email: str, first_name: str) -> Answer:
        """Invite a person, without an e-mail to them."""
        body = {"email": email, "sendWelcomeEmail": False, "firstName": first_name, "lastName": "Probe"}
        return await self.send(call, "POST", self.path(), about=email, json=body)

    async def read(self, call: str, user_id: str) -> Answer:
        """Read a person by id."""
        return await self.send(call, "GET", self.path(user_id), about=user_id)

    async def read_by_email(self, call: str, email: str) -> Answer:
        """Read a person by address."""
        return await self.send(call, "GET", self.path(email), about=email, params={"idProperty": "EMAIL"})

    async def write(self, call: str, user_id: str, body: Mapping[str, Any], *, version: str = "") -> Answer:
        """Send a PUT with just this body."""
        return await self.send(call, "PUT", self.path(user_id, version), about=user_id, json=dict(body))

    async def remove(self, call: str, user_id: str) -> Answer:
        """Remove a person from the account."""
        return await self.send(call, "DELETE", self.path(user_id), about=user_id)


def document_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty one when there is none."""
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def results_of(answer: Answer) -> list[dict[str, Any]]:
    """Return the objects of a listing's page."""
    results = document_of(answer).get("results")
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []


def next_of(answer: Answer) -> str | None:
    """Return the cursor of the next page."""
    paging = document_of(answer).get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    after = following.get("after") if isinstance(following, dict) else None
    return after if isinstance(after, str) and after else None


def form_of(call: str, answer: Answer, about: str) -> ErrorForm:
    """Return the form of a refusal."""
    document = document_of(answer)
    return ErrorForm(
        call=call,
        status=answer.status_code,
        content_type=answer.headers.get("content-type", "").partition(";")[0] if answer.content else "",
        fields=tuple(sorted(name for name in document if name.isidentifier())),
        codes=problem_of(answer).codes,
        nested=is_nested(document),
        names_the_object=bool(about) and about.lower() in answer.text.lower(),
    )


def is_nested(document: Mapping[str, Any]) -> bool:
    """Whether an error's message is itself a JSON object."""
    try:
        return isinstance(json.loads(str(document.get("message", ""))), dict)
    except ValueError:
        return False
