"""``scim-bridge doctor``: everything that the bridge needs, examined; nothing is changed."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from scim_bridge.cli import NEEDED, REMOTE_DIFFERS
from scim_bridge.cli.check import COLUMNS, STYLES, of_connectors
from scim_bridge.cli.tables import as_json, show
from scim_bridge.config import Settings, load_settings
from scim_bridge.console import opening
from scim_bridge.errors import ConfigurationError, StoreConfigurationError
from scim_bridge.models import Finding
from scim_bridge.provisioning.checks import REMOTE
from scim_bridge.store import inventory, migrations
from scim_bridge.store.engine import Store
from scim_bridge.store.health import Health, examine
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import needs, of_disk

BIG_LOG = 64 * 2**20
"""So many bytes of SQLite's log tell that something keeps it from being taken into the file."""

CLOCKS = timedelta(seconds=5)
"""How far two clocks may be apart."""

SECONDS = 5.0
"""For how long the listener may take to answer."""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment is for other addresses than the bridge's own."""

Found = Iterator[tuple[str, Finding]]


@click.command()
@as_json
@click.pass_obj
def doctor(path: Path | None, *, as_json: bool) -> None:
    """Examine configuration, database, leadership, clocks, tokens, remote systems, sign-in and the listener.

    Changes nothing.

    Exit status 1 when something does not work, 2 when the configuration is wrong, 3 when a remote system is not the one
    that its connection had, 4 when something needs you, else 0.
    """
    settings = load_settings(path, connectors=())
    usable, in_store = _of_database(settings)
    found = [*in_store, *_of_listener(settings)]
    try:
        whole = load_settings(path)
    except ConfigurationError as error:
        remedy = "run it where the bridge's secrets are, as the bridge's account; the remote systems were not asked"
        found += [("", Finding("configuration", "warning", line, remedy)) for line in str(error).splitlines()]
    else:
        found.append(("", Finding("configuration", "ok", f"{len(whole.connections)} connections")))
        found += [("", one) for one in asyncio.run(of_provider(whole))]
        if usable:
            found += [(id_, one) for id_, those in asyncio.run(of_connectors(whole)).items() for one in those]
    rows = [
        {"level": one.level, "connection": id_, "subject": one.subject, "message": one.message, "remedy": one.remedy}
        for id_, one in found
    ]
    show("What was examined", COLUMNS, rows, as_json=as_json, styles=STYLES)
    raise SystemExit(_status([one for _, one in found]))


def _status(found: list[Finding]) -> int:
    wrong = {one.subject for one in found if one.level == "error"}
    if wrong:
        return REMOTE_DIFFERS if REMOTE in wrong else 1
    return NEEDED if any(one.level == "warning" for one in found) else 0


# -- The database -----------------------------------------------------------------------------------------------------


def _of_database(settings: Settings) -> tuple[bool, list[tuple[str, Finding]]]:
    """Look at the database; return whether commands may open it: that changes nothing then."""
    try:
        health = examine(settings.store.url)
    except StoreConfigurationError as error:
        return False, [("", Finding("database", "error", str(error), "start it, or correct [store] url"))]
    if health is None:
        missing = f"{settings.store.file} is not there"
        return True, [("", Finding("database", "info", missing, "scim-bridge serve makes it"))]
    full = of_disk(settings.store.file, settings.alerts.watch())
    found = [
        *(("", one) for one in _of_health(health)),
        *(("", Finding("disk", "error", need.text, need.command)) for need in full),
    ]
    usable = health.current and health.damage is None
    return usable, found + (asyncio.run(_of_contents(settings)) if usable else [])


def _of_health(health: Health) -> Iterator[Finding]:
    size = f"{health.server}, {health.database_bytes / 2**20:,.1f} MiB"
    if health.damage is not None:
        remedy = "stop the bridge, keep the file, and scim-bridge restore a backup"
        yield Finding("database", "error", f"damaged: {health.damage}", remedy)
        return
    if health.revision is None:
        yield Finding("database", "info", f"{size}, empty", "scim-bridge serve makes the tables")
    elif health.current:
        yield Finding("database", "ok", f"{size}, revision {health.revision}")
    else:
        message = f"{size}, revision {health.revision}; this version works with {migrations.HEAD}"
        yield Finding("database", "error", message, "back up, stop the bridge, and start this version")
    if health.log_bytes is not None and health.log_bytes > BIG_LOG:
        message = f"{health.log_bytes / 2**20:,.0f} MiB are not in the file yet"
        yield Finding("log of the database", "warning", message, "end what reads for long, or restart the bridge")
    if abs(health.ahead) > CLOCKS:
        message = f"the database's clock is {health.ahead.total_seconds():+.0f} s from this one's"
        yield Finding("clock", "error", message, "have both machines keep time (NTP)")
    else:
        yield Finding("clock", "ok", "as the database's")


async def _of_contents(settings: Settings) -> list[tuple[str, Finding]]:
    store = await Store.open(settings.store.url, exclusive=False)
    try:
        return await store.scan(lambda tx: list(_of_rows(tx, settings, alone=store.alone)))
    finally:
        await store.close()


def _of_rows(tx: Transaction, settings: Settings, *, alone: bool) -> Found:
    """Tell who drives each connection, and what needs an operator there."""
    now = datetime.now(UTC)
    for id_ in sorted(settings.connections):
        driver = inventory.driver(tx, id_)
        if driver is not None:
            owner, heard = driver[0].rpartition(":")[0], (now - driver[1]).total_seconds()
            yield id_, Finding("leadership", "ok", f"driven by {owner}, heard of {max(heard, 0):.0f} s ago")
        elif tx.dialect.name == "postgresql" or alone:
            yield id_, Finding("leadership", "warning", "no process drives it", "start scim-bridge serve")
        else:
            yield id_, Finding("leadership", "ok", "the process that has the file drives it")
        for need in needs(tx, id_, settings.alerts.watch(), now=now):
            yield id_, Finding(need.condition, "warning" if need.asks else "info", need.text, need.command)


# -- The provider that people sign in at ------------------------------------------------------------------------------


async def of_provider(settings: Settings) -> list[Finding]:
    """Tell whether anybody can sign in at the OpenID Connect provider of the console, if it has one."""
    provider = None if settings.console is None else opening.open_id_of(settings, settings.console.oidc)
    if provider is None:
        return []
    from scim_bridge.console.oidc import LEEWAY, UnprovenError

    now, subject = datetime.now(UTC), "sign-in"
    try:
        keys, ahead = await provider.examine(now)
    except UnprovenError as error:
        return [Finding(subject, "error", error.why, "see issuer of [console.oidc], and the way there")]
    found = [Finding(subject, "ok", f"{provider.issuer} answers, {keys} key{'' if keys == 1 else 's'}")]
    if ahead is not None and abs(ahead.total_seconds()) > LEEWAY:
        message = f"the provider's clock is {ahead.total_seconds():+.0f} s from this one's"
        found.append(Finding("clock", "error", message, "have this machine keep time (NTP)"))
    return found


# -- The listener -----------------------------------------------------------------------------------------------------


def _of_listener(settings: Settings) -> Found:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104 - read
    here = f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    yield "", _asked("listener", here, "start scim-bridge serve; see its log")
    if settings.server.public_url is not None:
        remedy = "see the proxy, its certificate and the name"
        yield "", _asked("public URL", settings.server.public_url.rstrip("/"), remedy)


def _asked(subject: str, url: str, remedy: str) -> Finding:
    """Ask a bridge whether it is ready."""
    try:
        with DIRECT.open(f"{url}/readyz", timeout=SECONDS) as answer:
            return Finding(subject, "ok", f"{url} is ready" if answer.status == 200 else f"{url}: {answer.status}")
    except urllib.error.HTTPError as error:
        return Finding(subject, "warning", f"{url} is not ready: {_missing(error)}", remedy)
    except (OSError, ValueError, ssl.SSLError) as error:
        return Finding(subject, "warning", f"{url} does not answer: {type(error).__name__}", remedy)


def _missing(error: urllib.error.HTTPError) -> str:
    try:
        checks = json.loads(error.read(65_536))["checks"]
        return ", ".join(sorted(name for name, fine in checks.items() if not fine))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {error.code}"
