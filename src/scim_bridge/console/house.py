"""What every page of the console stands on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from scim_bridge.console.gate import Address
from scim_bridge.console.oidc import OpenId
from scim_bridge.console.rendering import Rendering
from scim_bridge.console.sealed import Seal
from scim_bridge.desk import MAY, Desk
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.plan import Plan

NAVIGATION = (
    ("", "Overview"),
    ("people", "People"),
    ("departures", "Departures"),
    ("plan", "Plan"),
    ("work", "Work"),
    ("held", "Held"),
    ("groups", "Groups"),
    ("drift", "Drift"),
    ("requests", "Requests"),
    ("tokens", "Tokens"),
    ("audit", "Audit"),
)
"""The pages that stand above every page, by their segment under ``/console``."""


Plans = Mapping[str, Callable[[Transaction], Plan]]


@dataclass(frozen=True, slots=True)
class House:
    """The console of a bridge.

    :param connections: The client preset of each connection.
    :param plans: What asks for the plan of each connection.
    :param scim_url: Scheme and authority that clients reach the bridge at.
    :param seal: Closes what links carry.
    :param open_id: Where people sign in, if anywhere.
    """

    desk: Desk
    connections: Mapping[str, str]
    plans: Plans
    scim_url: str
    address: Address
    seal: Seal
    rendering: Rendering
    open_id: OpenId | None

    def page(self, template: str, request: Request, *, title: str, status: int = 200, **values: Any) -> Response:
        """Return a page for whoever is signed in."""
        visitor = getattr(request.state, "visitor", None)
        common = {
            "title": title,
            "visitor": visitor,
            "may": {deed: visitor is not None and visitor.role in roles for deed, roles in MAY.items()},
            "navigation": NAVIGATION,
            "here": request.url.path.removeprefix("/console").strip("/").partition("/")[0],
            "now": self.desk.clock(),
        }
        return HTMLResponse(self.rendering.page(template, common | values), status)
