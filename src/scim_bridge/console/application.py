"""The console as one ASGI application: who comes in, what they may do, and which page answers."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scim_bridge.console import acts, entrance, pages, standing
from scim_bridge.console.gate import Address, Gate, RefusedError, UnknownVisitorError, permit, visitor_of
from scim_bridge.console.house import House, Plans
from scim_bridge.console.lists import LISTINGS
from scim_bridge.console.oidc import OpenId
from scim_bridge.console.rendering import Rendering
from scim_bridge.console.sealed import Seal
from scim_bridge.desk import Deed, Desk, SignIn
from scim_bridge.errors import ServingError
from scim_bridge.upstream import correlation_id

logger = logging.getLogger("scim_bridge.console")

Handler = Callable[[House, Request, SignIn], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Door:
    """A path with what somebody must be allowed to do to open it."""

    method: str
    path: str
    deed: Deed
    handler: Handler


def _doors() -> list[Door]:
    lists = [
        door
        for listing in LISTINGS.values()
        for door in (
            Door("GET", f"/console/{listing.path}", "look", partial(pages.listed, listing=listing)),
            Door("POST", f"/console/{listing.path}", "look", partial(pages.narrowed, listing=listing)),
            *(
                Door(
                    "GET", f"/console/{listing.path}.{face}", "export", partial(pages.file, listing=listing, face=face)
                )
                for face in pages.FACES
            ),
        )
    ]
    return [
        Door("GET", "/console", "look", pages.overview),
        Door("GET", "/console/overview.json", "export", pages.overview_file),
        Door("GET", "/console/people/{connection}/{id}.json", "export", pages.person_file),
        Door("GET", "/console/people/{connection}/{id}", "look", pages.person),
        Door("GET", "/console/plan", "look", standing.plan),
        Door("GET", "/console/plan.json", "export", standing.plan_file),
        Door("GET", "/console/requests/{id}", "look", pages.request_told),
        Door("GET", "/console/connections/{connection}", "look", standing.connection),
        Door("POST", "/console/connections/{connection}/check", "decide", standing.checked),
        Door("POST", "/console/plan/compare", "decide", acts.compare),
        Door("POST", "/console/plan/go-live", "decide", acts.go_live),
        Door("POST", "/console/plan/hold", "decide", acts.hold),
        Door("POST", "/console/held/decide", "decide", acts.decide),
        Door("POST", "/console/tokens/create", "decide", acts.create_token),
        Door("POST", "/console/tokens/{token}/revoke", "decide", acts.revoke_token),
        Door("POST", "/console/audit/verify", "export", acts.verify),
        Door("GET", "/console/audit/{connection}.jsonl", "export", pages.chain),
        Door("POST", "/console/sign-out", "look", entrance.sign_out),
        *lists,
    ]


def create_console(
    desk: Desk,
    connections: Mapping[str, str],
    *,
    plans: Plans,
    scim_url: str,
    address: Address | None = None,
    open_id: OpenId | None = None,
    secret: bytes,
) -> Gate:
    """Return the operator's pages.

    :param connections: The client preset of each connection.
    :param plans: What asks for the plan of each connection.
    :param scim_url: Scheme and authority that clients reach the bridge at.
    :param open_id: Where people sign in; ``None``: nowhere else.
    :param secret: What links of pages are sealed with.
    """
    house = House(desk, dict(connections), plans, scim_url, address or Address(), Seal(secret), Rendering(), open_id)
    routes = [Route(door.path, partial(_opened, house, door), methods=[door.method]) for door in _doors()]
    routes += [
        Route("/console/sign-in", partial(_open, house, entrance.invitation), methods=["GET"]),
        Route("/console/sign-in", partial(_open, house, entrance.sign_in), methods=["POST"]),
        Route("/console/sign-in/oidc", partial(_open, house, entrance.leave_for_provider), methods=["GET"]),
        Route("/console/sign-in/oidc/back", partial(_open, house, entrance.back_from_provider), methods=["GET"]),
        Route("/console/static/{name}", _static, methods=["GET"]),
    ]
    starlette = Starlette(
        routes=routes,
        exception_handlers={
            RefusedError: partial(_refused, house),
            HTTPException: partial(_unknown, house),
        },
    )
    starlette.router.redirect_slashes = False
    return Gate(starlette, secure=house.address.secure)


async def _opened(house: House, door: Door, request: Request) -> Response:
    """Let somebody in who may do what a door takes."""

    async def handler(house: House, request: Request) -> Response:
        visitor = await visitor_of(request, house.desk, house.address)
        request.state.visitor = visitor  # a page that tells of a refusal, too, says who is signed in
        permit(visitor, door.deed)
        return await door.handler(house, request, visitor)

    return await _open(house, handler, request)


async def _open(house: House, handler: Callable[[House, Request], Awaitable[Response]], request: Request) -> Response:
    """Let anybody in who comes from where one may."""
    correlation_id.set(uuid4().hex)
    try:
        house.address.check(request.scope)
        return await handler(house, request)
    except (RefusedError, HTTPException):
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong is a page, and its text is told nobody
        return _failed(house, request, error)


STATIC = {"console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    content = files("scim_bridge.console").joinpath("static", name).read_bytes()
    return Response(content, media_type=STATIC[name], headers={"Cache-Control": "max-age=300"})


async def _refused(house: House, request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - what it is registered for
    if isinstance(error, UnknownVisitorError):
        return entrance.page(house, request, status=401, why=None if house.open_id else error.why)
    return house.page("fault", request, status=error.status, title="Not done", why=error.why)


async def _unknown(house: House, request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    why = "This page takes no such request." if status == 405 else "There is no such page."
    return house.page("fault", request, status=status, title="Not found", why=why)


def _failed(house: House, request: Request, error: Exception) -> Response:
    """Tell of a fault of ours, without what it says: that may be a name, or a secret."""
    if isinstance(error, ServingError):
        return house.page("fault", request, status=error.status, title="Not now", why=error.detail)
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    logger.error("console: %s at %s", type(error).__name__, where)
    why = "Something went wrong in the console. Its log says where; nothing was done, unless a page shows it."
    return house.page("fault", request, status=500, title="A fault", why=why)
