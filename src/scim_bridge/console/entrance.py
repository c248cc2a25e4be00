"""In and out: a one-time link becomes a session.

A link is taken by a button only: what looks links up before a person does, a mail scanner or a browser, takes none.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scim_bridge.console.gate import form_of
from scim_bridge.console.house import House
from scim_bridge.desk import SESSION, SignIn

ASK = "Ask for a link on the machine of the bridge: scim-bridge console login."


async def invitation(house: House, request: Request) -> Response:
    """Show the button that takes a link."""
    link = request.query_params.get("link")
    return house.page("sign-in", request, title="Sign in", link=link, why=None if link else ASK)


async def sign_in(house: House, request: Request) -> Response:
    """Take a link."""
    link = (await form_of(request)).get("link", [""])[0]
    held = await house.desk.enter(link)
    if held is None:
        why = f"This link was used, or its time is over. {ASK}"
        return house.page("sign-in", request, title="Sign in", status=403, link=None, why=why)
    answer = RedirectResponse("/console", 303)
    answer.set_cookie(
        house.address.cookie,
        held,
        max_age=int(SESSION.total_seconds()),
        secure=house.address.secure,
        httponly=True,
        samesite="strict",
    )
    return answer


async def sign_out(house: House, request: Request, visitor: SignIn) -> Response:
    """End the session."""
    del visitor
    held = request.cookies.get(house.address.cookie)
    if held is not None:
        await house.desk.leave(held)
    answer = RedirectResponse("/console/sign-in", 303)
    answer.delete_cookie(house.address.cookie, secure=house.address.secure, httponly=True, samesite="strict")
    return answer
