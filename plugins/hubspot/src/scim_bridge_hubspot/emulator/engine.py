"""The way of a request through the emulator: faults, routes, credentials, limits, scopes, the handler, the log."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from . import account, crm, oauth, owners, scim, teams, users
from .calls import Call, CallLog
from .faults import Fault, Faults
from .limits import too_many
from .portal import Portal
from .profiles import Profile
from .records import Person, Token
from .routing import Exchange, Route, Router
from .switches import Switches
from .wire import Answer, Delivery, RefusalError, Request

Sleep = Callable[[float], Awaitable[None]]


class Engine(Portal):
    """A portal that answers requests.

    :param switches: The readings of what is uncertain.
    :param profile: The tier: ``enterprise``, ``professional``, ``starter``, ``free``, or a :class:`~.profiles.Profile`.
    :param clock: Monotonic seconds, for limits, token expiry and the length of outages.
    :param now: Seconds since the epoch, for dates.
    :param sleep: Waits, for slow answers.
    :param seed: Makes ids, orders and random faults.
    :param log_size: How many calls the log keeps.
    """

    def __init__(
        self,
        *,
        switches: Switches | None = None,
        profile: Profile | str = "enterprise",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        seed: int = 0,
        log_size: int = 10_000,
    ) -> None:
        super().__init__(switches=switches, profile=profile, clock=clock, now=now, seed=seed)
        self.sleep = sleep
        self.faults = Faults(clock, seed)
        self.calls = CallLog(log_size)
        families = (teams, owners, crm, account, oauth, scim)
        routes = [route for family in families for route in family.routes()]
        self.router = Router(routes + users.routes(version_2026_09=self.switches.version_2026_09))

    def handle(self, request: Request) -> Delivery:
        """Answer one request, faults included, and log it."""
        self.calls.total += 1
        number, fault = self.calls.total, self.faults.strike(request.method, request.path)
        route, params, methods = self.router.match(request.method, request.path)
        answer, committed = None, False
        if fault is None or fault.commits:
            former = self._former(params) if fault and fault.kind == "unkept" else None
            answer = self._serve(request, route, params, methods)
            committed = route is not None and route.writes and answer.status < 400
            if committed and fault and fault.kind == "unkept":
                committed = self._leave(request.method, answer, former)
        delivery = self._strike(fault, answer) if fault else Delivery(answer)
        sent = delivery.answer
        call = Call(
            number,
            self.now(),
            request.method,
            route.template if route else "",
            request.path,
            urlencode(request.query),
            request.body[:10_000].decode("utf-8", "replace"),
            sent.status if sent else None,
            committed,
            fault.kind if fault else "",
            sent.content[:10_000].decode("utf-8", "replace") if sent else "",
        )
        self.calls.add(call)
        return delivery

    def _former(self, params: Mapping[str, str]) -> Person | None:
        """Return somebody as they are before a call about them."""
        return deepcopy(self.people.get(params.get("userId", "")))

    def _leave(self, method: str, answer: Answer, former: Person | None) -> bool:
        """Undo what a PUT or a POST is said to have done; return whether anything of it is left."""
        person = self.people.get(str(answer.document.get("id"))) if method in {"PUT", "POST"} else None
        if person is None or person.membership is None:
            return True
        if method == "PUT" and former is not None:
            person.membership = former.membership
            person.first_name, person.last_name = former.first_name, former.last_name
            return False
        person.membership.role_ids, person.membership.secondary_team_ids = [], []
        person.membership.primary_team_id = None
        return True

    def _serve(self, request: Request, route: Route | None, params: Any, methods: frozenset[str]) -> Answer:
        headers: dict[str, str] = {}
        try:
            if route is None:
                headers |= {"Allow": ", ".join(sorted(methods))} if methods else {}
                raise no_operation(request, known=bool(methods))
            call = Exchange(self, request, params, route.version)
            if route.authentication != "none":
                call.token = self._authenticate(request, route.authentication)
                policy, wait = self.limits.admit(call.token, search=route.search)
                headers |= self.limits.headers(call.token, search=route.search)
                if policy:
                    return too_many(policy, self.correlation_id(), headers | self._retry_after(wait))
                self._check_scopes(call.token, route)
            answer = route.handler(call)
        except RefusalError as refusal:
            in_scim = request.path.startswith("/scim/")
            answer = scim.error(refusal) if in_scim else self._refusal(refusal)
        return Answer(answer.status, answer.document, {**headers, **answer.headers}, answer.content_type)

    def _refusal(self, refusal: RefusalError) -> Answer:
        answer = refusal.answer(self.correlation_id(), self.switches.nested_messages)
        if answer.status != 404 or self.switches.not_found_form == "named":
            return answer
        if self.switches.not_found_form == "empty":
            return Answer(404)
        return Answer(404, {name: value for name, value in answer.document.items() if name != "category"})

    def _authenticate(self, request: Request, kind: str) -> Token:
        """Return the token of a request; SCIM's and the API's are not interchangeable."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(value.strip()) if scheme.lower() == "bearer" else None
        expired = token is not None and token.expires_at is not None and self.clock() >= token.expires_at
        if token is None or expired or token.revoked or (token.kind == "scim") != (kind == "scim"):
            message = "Authentication credentials not found or invalid"
            raise RefusalError(401, message, category="EXPIRED_AUTHENTICATION" if expired else "INVALID_AUTHENTICATION")
        return token

    def _check_scopes(self, token: Token, route: Route) -> None:
        if route.scopes and not token.scopes.intersection(route.scopes):
            wrong = self.switches.missing_scope_named == "wrong"
            raise missing_scopes(["crm.objects.contacts.read"] if wrong else list(route.scopes))

    def _retry_after(self, seconds: float) -> dict[str, str]:
        reading = self.switches.retry_after
        return {} if reading == "absent" else self.retry_after_header(seconds, date=reading == "date")

    def retry_after_header(self, seconds: float, *, date: bool) -> dict[str, str]:
        """Return a ``Retry-After`` header as seconds, rounded up, or as an HTTP-date."""
        whole = int(-(-seconds // 1))
        return {"Retry-After": formatdate(self.now() + whole, usegmt=True) if date else str(whole)}

    def _strike(self, fault: Fault, answer: Answer | None) -> Delivery:
        """Return what a fault makes of an answer."""
        if fault.answers:
            return Delivery(edge(fault) if fault.kind == "edge" else self._error(fault))
        if answer is None or fault.kind == "drop_after":
            return Delivery(None)
        return Delivery(self._spoilt(fault, answer), delay=fault.delay, cut=fault.kind == "half")

    def _spoilt(self, fault: Fault, answer: Answer) -> Answer:
        """Return what a fault makes of HubSpot's own answer."""
        content = answer.content or b"{}"
        if fault.kind == "mixed_up":
            return self._mixed_up(answer)
        if fault.kind == "content_type":
            html = b"<html><body>We are performing maintenance</body></html>"
            return Answer(200, html, answer.headers, "text/html; charset=utf-8")
        if fault.kind == "malformed":
            content = content[: len(content) // 2] + b"\x00]"
        elif fault.kind == "oversized":
            content = content.ljust(fault.size)
        else:
            return answer
        return Answer(answer.status, content, answer.headers, answer.content_type)

    def _mixed_up(self, answer: Answer) -> Answer:
        """Return a read or written record with another member in the place of its own; other answers as they are."""
        record = answer.document
        if answer.status >= 300 or not isinstance(record, dict) or "email" not in record:
            return answer
        others = [person for person in self.members if person.id != record["id"] and person.active]
        if not others:
            return answer
        other = self.random.choice(others)
        document = record | {"id": other.id, "email": other.email, "superAdmin": other is self.owner}
        return Answer(answer.status, document, answer.headers, answer.content_type)

    def _error(self, fault: Fault) -> Answer:
        headers: dict[str, str] = {}
        if fault.retry_after is not None:
            headers = self.retry_after_header(fault.retry_after, date=fault.retry_after_date)
        correlation_id = self.correlation_id()
        policies = {
            "rate_secondly": "SECONDLY",
            "rate_ten_secondly": "TEN_SECONDLY_ROLLING",
            "rate_daily": "DAILY",
        }
        if fault.kind in policies:
            return too_many(policies[fault.kind], correlation_id, headers)
        refusals = {
            "unauthorized": RefusalError(401, "Authentication failed", category="INVALID_AUTHENTICATION"),
            "wrong_scope": missing_scopes(["crm.objects.contacts.read"]),
            "locked": RefusalError(423, "The resource is locked", category="LOCKED"),
            "migration": RefusalError(477, "Your account is being migrated between data centers", category="MIGRATION"),
        }
        refusal = refusals.get(fault.kind, RefusalError(fault.answers, "internal error", category="INTERNAL_ERROR"))
        plain = refusal.answer(correlation_id)
        return Answer(plain.status, plain.document, headers)


def edge(fault: Fault) -> Answer:
    """Return the answer of a gateway or an edge: nothing in it is HubSpot's error form or names an object.

    488 is that of the wrong data centre (real body: HubSpot/hubspot-api-python#261).
    """
    status = fault.answers
    if fault.media == "empty":
        return Answer(status)
    if fault.media == "plain":
        return Answer(status, b"upstream request refused", content_type="text/plain")
    if fault.media == "html":
        page = f"<html><head><title>{status}</title></head><body><center>{status}</center></body></html>"
        return Answer(status, page.encode(), content_type="text/html")
    if status == 488:
        told = "Hub 4242001 is unknown to this Hublet, but it appears to exist in Hublet eu1"
        return Answer(status, {"status": "error", "message": told, "correctHublet": "eu1"})
    return Answer(status, {"message": "no route and no backend for this request"})


def no_operation(request: Request, *, known: bool) -> RefusalError:
    """Return the refusal of a path that nothing answers, or of a method that a known path does not."""
    if known:
        return RefusalError(405, f"{request.method} is not supported here", category="METHOD_NOT_ALLOWED")
    return RefusalError(404, "No resource matches this path", category="")


def missing_scopes(scopes: list[str]) -> RefusalError:
    """Return the 403 of a token that lacks a scope (real body: HubSpot/hubspot-api-nodejs#268)."""
    message = "One or more of the following scopes are required."
    return RefusalError(
        403,
        "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
        "https://developers.hubspot.com/scopes.",
        category="MISSING_SCOPES",
        errors=[{"message": message, "context": {"requiredScopes": scopes}}],
        links={"scopes": "https://developers.hubspot.com/scopes"},
    )
