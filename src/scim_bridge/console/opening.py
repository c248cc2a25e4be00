"""Opens the console of a running bridge, as it is configured."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from scim_bridge.config import ConsoleOidcSettings, ConsoleProxySettings, ConsoleSettings, Settings
from scim_bridge.desk import Desk
from scim_bridge.errors import ConfigurationError
from scim_bridge.server.serve import Listen, beside

if TYPE_CHECKING:
    from scim_bridge.console.gate import Gate, Proxied
    from scim_bridge.console.house import Plans
    from scim_bridge.console.oidc import OpenId

logger = logging.getLogger("scim_bridge.console")


def console_of(settings: Settings, desk: Desk, plans: "Plans") -> "Gate":
    """Return the operator's pages of a bridge."""
    # Templates, forms, signatures: a bridge without these pages starts faster, and holds 15 MiB less.
    from scim_bridge.console.application import create_console
    from scim_bridge.console.gate import Address

    chosen = settings.console or ConsoleSettings()
    clients = {id_: one.client for id_, one in settings.connections.items()}
    scim_url = settings.server.public_url or f"http://{settings.server.host}:{settings.server.port}"
    address = Address(chosen.public_url, chosen.proxies, _proxied(settings, chosen.proxy))
    secret = settings.server.cursor_key()
    return create_console(
        desk,
        clients,
        plans=plans,
        scim_url=scim_url.rstrip("/"),
        address=address,
        open_id=open_id_of(settings, chosen.oidc),
        secret=secret,
    )


def _now(settings: Settings) -> ConsoleSettings:
    """Return the table with the secrets as they are now; with those of the start while they cannot be read."""
    try:
        return settings.reread("console").console or ConsoleSettings()
    except ConfigurationError as error:
        logger.error("the secrets that were read again will not do: %s", error)  # noqa: TRY400 - one line says it
        return settings.console or ConsoleSettings()


def _proxied(settings: Settings, proxy: ConsoleProxySettings | None) -> "Proxied | None":
    if proxy is None:
        return None
    from scim_bridge.console.gate import Proxied

    def secret() -> str:
        return (_now(settings).proxy or proxy).secret.get_secret_value()

    return Proxied(secret, proxy.header, *_roles(proxy))


def open_id_of(settings: Settings, oidc: ConsoleOidcSettings | None) -> "OpenId | None":
    """Return the provider that people sign in at, if there is one."""
    if oidc is None:
        return None
    from scim_bridge.console.oidc import OpenId

    def secret() -> str:
        return (_now(settings).oidc or oidc).client_secret.get_secret_value()

    return OpenId(oidc.issuer, oidc.client_id, secret, oidc.claim, *_roles(oidc), oidc.scopes)


def _roles(chosen: ConsoleProxySettings | ConsoleOidcSettings) -> tuple[dict[str, str], str | None]:
    """Return the role of each name, and that of all others."""
    named = {"viewer": chosen.viewers, "auditor": chosen.auditors, "operator": chosen.operators}  # the last one counts
    roles = {person: role for role, people in named.items() for person in people}
    return roles, None if chosen.others == "nobody" else chosen.others


@asynccontextmanager
async def shown(settings: Settings, desk: Desk, plans: "Plans") -> AsyncIterator[None]:
    """Serve the operator's pages for the length of a ``with`` block, if there are to be any."""
    chosen = settings.console
    if chosen is None:
        yield
        return
    listen = Listen(chosen.host, chosen.port, graceful_seconds=5, connections=200, of_one_address=100, proxies="")
    async with beside(
        console_of(settings, desk, plans), listen, started=lambda url: logger.info("console at %s/console", url)
    ):
        try:
            yield
        finally:
            await desk.close()
