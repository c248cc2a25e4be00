"""The pages of connections: what each would do, how it stands, what is pasted at its client, and a check."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scim_bridge.console.house import House
from scim_bridge.console.pages import asked_of, document
from scim_bridge.desk import SignIn
from scim_bridge.models import Finding
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import connections
from scim_bridge.views.connections import ConnectionStatus
from scim_bridge.views.faces import PLAN
from scim_bridge.views.plan import Plan

# -- What would be done ------------------------------------------------------------------------------------------------


async def plan(house: House, request: Request, visitor: SignIn) -> Response:
    """Show what would be done in each remote system, removals first, and let it happen or hold it."""
    del visitor

    def question(tx: Transaction, one: str) -> tuple[Plan, ConnectionStatus]:
        return house.plans[one](tx), connections.status(tx, one, now=house.desk.clock())

    found = [await house.desk.ask(partial(question, one=one)) for one in sorted(house.plans)]
    shown = {one.connection: house.seal.close(_shown(one)) for one, _ in found}
    compared = {one: told for one in shown if (told := house.desk.comparison(one))}
    return house.page(
        "plan",
        request,
        title="Plan",
        plans=found,
        columns=PLAN,
        most=MOST,
        shown=shown,
        compared=compared,
        fresh=FRESH,
        told=asked_of(house, request).get("told"),
    )


FRESH = timedelta(hours=1)
"""How old the comparison may be whose plan is let happen."""


def _shown(one: Plan) -> dict[str, Any]:
    """Return what of a plan is decided on when it is let happen."""
    return {
        "connection": one.connection,
        "removed": one.removed,
        "privileged": one.privileged,
        "decided": one.decided,
    }


async def plan_file(house: House, request: Request, visitor: SignIn) -> Response:
    """Hand over what ``scim-bridge plan --json`` tells."""
    del request
    await house.desk.export(house.plans, "plan.json", by=visitor.person)
    return document([asdict(await house.desk.ask(house.plans[one])) for one in sorted(house.plans)])


MOST = 500
"""How many changes of a plan are shown; removals are all shown."""


# -- A connection ------------------------------------------------------------------------------------------------------


async def connection(house: House, request: Request, visitor: SignIn) -> Response:
    """Show how a connection stands, and what is pasted at its client."""
    del visitor
    return await _connection(house, request, found=None)


async def checked(house: House, request: Request, visitor: SignIn) -> Response:
    """Show besides what ``scim-bridge check`` finds."""
    del visitor
    found = None
    if (id_ := request.path_params["connection"]) in house.connections:
        found = await house.desk.check(id_)
    return await _connection(house, request, found=found)


async def _connection(house: House, request: Request, *, found: Sequence[Finding] | None) -> Response:
    id_ = request.path_params["connection"]
    if id_ not in house.connections:
        raise HTTPException(404)
    standing = await house.desk.ask(lambda tx: connections.status(tx, id_, now=house.desk.clock()))
    client = house.connections[id_]
    paste = PASTED.get(client, PASTED["generic"])
    url = f"{house.scim_url}/{id_}/scim/v2"
    return house.page(
        "connection",
        request,
        title=id_,
        one=standing,
        client=client,
        paste=[(name, text.format(url=url)) for name, text in paste],
        found=found,
    )


_TOKEN = "a token: make one under Tokens; it is shown once"  # noqa: S105 - says where there is one
PASTED: dict[str, tuple[tuple[str, str], ...]] = {
    "okta": (
        ("SCIM connector base URL", "{url}"),
        ("Unique identifier field for users", "userName"),
        ("Supported provisioning actions", "Import New Users, Push New Users, Push Profile Updates, Push Groups"),
        ("Authentication Mode", "HTTP Header"),
        ("Authorization", _TOKEN),
    ),
    "entra": (("Tenant URL", "{url}"), ("Secret Token", _TOKEN)),
    "generic": (("SCIM base URL", "{url}"), ("Bearer token", _TOKEN)),
}
"""What is pasted where, by client preset."""
