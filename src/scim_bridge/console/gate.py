"""Stands before every page: who may come in, from where, and what a browser is told about it."""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scim_bridge.desk import MAY, Deed, Desk, SignIn

FORM_BYTES = 262_144
FORM_FIELDS = 5_000

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TOLD = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a form's Origin is null, which is all that an older browser tells of where it stood.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer tells a browser."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class RefusedError(Exception):
    """A request is not let in, or not let do what it asks.

    :param why: A sentence for whoever sent it.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class UnknownVisitorError(RefusedError):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__(401, "Sign in first, with a link that scim-bridge console login prints.")


@dataclass(frozen=True, slots=True)
class Proxied:
    """Who a trusted proxy says has come.

    :param secret: Returns what the proxy proves itself with, in the header field ``X-Scim-Bridge-Proxy``.
    :param header: The header field that names the person.
    :param roles: The role of each person; ``default`` of whoever is not there, ``None``: they are not let in.
    """

    secret: Callable[[], str]
    header: str
    roles: Mapping[str, str]
    default: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """Where the console is reached.

    :param public_url: What a browser opens, through a proxy; ``None``: this machine's own address.
    :param proxies: The addresses that requests may come from, besides the loopback.
    :param proxied: How a proxy says who has come; ``None``: it does not.
    """

    public_url: str | None = None
    proxies: Collection[str] = ()
    proxied: Proxied | None = None

    @property
    def secure(self) -> bool:
        """Whether browsers come over TLS."""
        return (self.public_url or "").startswith("https:")

    @property
    def cookie(self) -> str:
        """What the session's cookie is called. Browsers take ``__Host-`` over TLS only; the loopback has none."""
        return "__Host-scim-bridge" if self.secure else "scim-bridge"

    def origin(self, scope: Scope) -> str:
        """Return the origin of the pages. :raises RefusedError: When the request was sent to another one."""
        host = Headers(scope=scope).get("host", "")
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if host == parts.netloc:
                return f"{parts.scheme}://{parts.netloc}"
        name = urlsplit(f"//{host}").hostname
        if name in LOOPBACK and not self.secure:
            return f"http://{host}"
        raise RefusedError(421, "The console does not answer under this address; see public_url of [console].")

    def check(self, scope: Scope) -> None:
        """Refuse what comes from an address, or another site's page, that may not ask.

        :raises RefusedError: Saying so.
        """
        peer = (scope.get("client") or ("",))[0]
        if peer not in LOOPBACK and peer not in self.proxies:
            raise RefusedError(403, "The console answers its own machine and the proxies that are configured.")
        origin = self.origin(scope)
        if scope["method"] in {"GET", "HEAD"}:
            return
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if (site != "same-origin") if site is not None else (headers.get("origin") != origin):
            raise RefusedError(403, "This was not sent from a page of the console; nothing was done.")


class Gate:
    """The ASGI application that stands before another one and tells browsers how to treat its answers."""

    def __init__(self, pages: ASGIApp, *, secure: bool) -> None:
        self._pages = pages
        self._told = TOLD | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._told)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._pages(scope, receive, tell)


async def visitor_of(request: Request, desk: Desk, address: Address) -> SignIn:
    """Return who has come. :raises UnknownVisitorError: When that is nobody."""
    if address.proxied is not None and (proxied := _proxied(request, address.proxied, desk)) is not None:
        return proxied
    held = request.cookies.get(address.cookie)
    visitor = None if held is None else await desk.visitor(held)
    if visitor is None:
        raise UnknownVisitorError
    return visitor


def _proxied(request: Request, proxied: Proxied, desk: Desk) -> SignIn | None:
    given = request.headers.getlist("x-scim-bridge-proxy")
    named = request.headers.getlist(proxied.header)
    if not given and not named:
        return None
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), proxied.secret().encode()):
        raise RefusedError(403, "The proxy does not prove itself; nobody is let in by its word.")
    if len(named) != 1 or not 0 < len(named[0]) <= 200 or not named[0].isprintable():
        raise RefusedError(403, "The proxy does not say who has come.")
    role = proxied.roles.get(named[0], proxied.default)
    if role is None:
        raise RefusedError(403, "You have no role here; see [console.proxy].")
    return SignIn(named[0], role, desk.clock())


def permit(visitor: SignIn, deed: Deed) -> None:
    """Refuse what a role may not do. :raises RefusedError: Saying which may."""
    if visitor.role not in MAY[deed]:
        raise RefusedError(403, f"As {visitor.role} you may not do this; it takes: {', '.join(sorted(MAY[deed]))}.")


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form. :raises RefusedError: When it is none, or too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise RefusedError(415, "A form is expected.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                raise RefusedError(413, "The form is too large; choose fewer at once.")
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
    except (ValueError, ClientDisconnect):
        raise RefusedError(400, "The form cannot be read.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in value:
            raise RefusedError(400, "A field holds the character NUL.")
        fields.setdefault(name, []).append(value)
    return fields
