"""In and out: a one-time link, or a sign-in at a provider, becomes a session.

A link is taken by a button only: what looks links up before a person does, a mail scanner or a browser, takes none.
"""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scim_bridge.console.gate import form_of
from scim_bridge.console.house import House
from scim_bridge.console.oidc import WITHIN, OpenId, UnprovenError
from scim_bridge.desk import SESSION, SignIn

logger = logging.getLogger("scim_bridge.console")

ASK = "Ask for a link on the machine of the bridge: scim-bridge console login."


def page(house: House, request: Request, *, why: str | None, status: int = 200, link: str | None = None) -> Response:
    """Show the ways in."""
    provider = None if house.open_id is None else house.open_id.issuer
    return house.page("sign-in", request, title="Sign in", status=status, link=link, why=why, provider=provider)


async def invitation(house: House, request: Request) -> Response:
    """Show the button that takes a link."""
    link = request.query_params.get("link")
    return page(house, request, link=link, why=None if link or house.open_id else ASK)


async def sign_in(house: House, request: Request) -> Response:
    """Take a link."""
    link = (await form_of(request)).get("link", [""])[0]
    held = await house.desk.enter(link)
    if held is None:
        return page(house, request, status=403, why=f"This link was used, or its time is over. {ASK}")
    return _entered(house, RedirectResponse("/console", 303), held)


def _entered(house: House, answer: Response, held: str) -> Response:
    answer.set_cookie(
        house.address.cookie,
        held,
        max_age=int(SESSION.total_seconds()),
        secure=house.address.secure,
        httponly=True,
        samesite="strict",
    )
    return answer


# -- A provider --------------------------------------------------------------------------------------------------------


async def leave_for_provider(house: House, request: Request) -> Response:
    """Send somebody to the provider, and have their browser remember that it was sent.

    It is a link, and no form: ``form-action`` of the policy holds for what a form is redirected to, too.
    """
    provider = _provider(house)
    try:
        where, kept = await provider.begin(_back(house, request), house.desk.clock())
    except UnprovenError as error:
        return _unproven(house, request, error)
    answer = RedirectResponse(where, 303)
    answer.set_cookie(
        _cookie(house),
        house.seal.close(kept),
        max_age=int(WITHIN),
        secure=house.address.secure,
        httponly=True,
        samesite="lax",  # it has to come along from the provider's page
    )
    return answer


async def back_from_provider(house: House, request: Request) -> Response:
    """Take whoever comes back from the provider in.

    The answer is a page that leads on, no redirect: a cookie that is ``SameSite=Strict`` does not come along when the
    navigation began at the provider.
    """
    provider = _provider(house)
    kept = house.seal.open(request.cookies.get(_cookie(house), "")) or {}
    try:
        given = request.query_params
        answer = {name: given[name] for name in given if len(given.getlist(name)) == 1}
        proved = await provider.finish(answer, kept, _back(house, request), house.desk.clock())
    except UnprovenError as error:
        if error.person is not None:
            await house.desk.note_sign_in(house.connections, error.person, None, reason=error.why)
        return _unproven(house, request, error)
    held = await house.desk.admit(proved.person, proved.role)
    await house.desk.note_sign_in(house.connections, proved.person, proved.role, subject=proved.subject)
    entered = house.page("entered", request, title="Signed in", person=proved.person, role=proved.role)
    return _entered(house, _forgotten(house, entered), held)


def _unproven(house: House, request: Request, error: UnprovenError) -> Response:
    logger.warning("console: a sign-in at the provider failed: %s", error.why)
    return _forgotten(house, page(house, request, status=403, why=f"You are not signed in. {error.why}"))


def _forgotten(house: House, answer: Response) -> Response:
    """Have the browser forget that it was sent: one answer of the provider's is taken."""
    answer.delete_cookie(_cookie(house), secure=house.address.secure, httponly=True, samesite="lax")
    return answer


def _provider(house: House) -> OpenId:
    if house.open_id is None:
        raise HTTPException(404)
    return house.open_id


def _back(house: House, request: Request) -> str:
    return f"{house.address.origin(request.scope)}/console/sign-in/oidc/back"


def _cookie(house: House) -> str:
    return f"{house.address.cookie}-oidc"


async def sign_out(house: House, request: Request, visitor: SignIn) -> Response:
    """End the session."""
    del visitor
    held = request.cookies.get(house.address.cookie)
    if held is not None:
        await house.desk.leave(held)
    answer = RedirectResponse("/console/sign-in", 303)
    answer.delete_cookie(house.address.cookie, secure=house.address.secure, httponly=True, samesite="strict")
    return answer
