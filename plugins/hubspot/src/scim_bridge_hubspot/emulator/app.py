"""The emulator with its ways in: an httpx2 transport, an ASGI application, a control API and a page for people."""

from . import control, page
from .asgi import Application
from .engine import Engine
from .transport import EmulatorTransport
from .wire import Delivery, Request


class HubSpotEmulator(Engine):
    """A stateful HubSpot.

    Use it in process through :meth:`transport`, as an ASGI application (:attr:`asgi`), or as a server of its own
    (``scim-bridge-hubspot emulate``). The parameters are those of :class:`~.engine.Engine`; the portal's state and what
    people do in HubSpot's pages are inherited from :class:`~.portal.Portal`.
    """

    def transport(self) -> EmulatorTransport:
        """Return an httpx2 transport that reaches HubSpot's APIs without a socket."""
        return EmulatorTransport(self.handle, self.sleep)

    @property
    def asgi(self) -> Application:
        """The ASGI application: HubSpot's APIs, the control API below ``/emulator``, and the page at ``/``."""
        return Application(self.answer, self.sleep)

    def answer(self, request: Request) -> Delivery:
        """Answer a request to the server, which may be for the emulator itself."""
        own = page.answer(self, request) or control.answer(self, request)
        return Delivery(own) if own else self.handle(request)
