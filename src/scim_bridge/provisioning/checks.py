"""Whether a connection is going to work: what its connector and its remote system say, and what the guard names."""

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import ConnectorError
from scim_bridge.models import Finding
from scim_bridge.provisioning.identification import Pin
from scim_bridge.provisioning.policy import GuardPolicy

PAGE = 100
REMOTE = "remote system"
"""The subject of what is found of which remote system it is."""


async def of_connector(connector: BoundConnector) -> list[Finding]:
    """Return what a connector says of its settings and credentials."""
    if "check_connection" not in connector.operations:
        return [Finding("preflight", "info", "this connector has no checks of its own")]
    try:
        return await connector.check_connection()
    except ConnectorError as error:
        return [Finding("preflight", "error", error.detail)]


def of_remote(pin: Pin, identity: str | None, connection_id: str) -> list[Finding]:
    """Tell whether a remote system is the one that the connection had, and its alone.

    :param pin: What is to be known of it now that it told ``identity``.
    """
    if pin.problem is not None:
        message, _, remedy = pin.sentence(connection_id).partition("; ")
        return [Finding(REMOTE, "error", message, remedy)]
    return [] if identity is None else [Finding(REMOTE, "ok", identity)]


def unasked(error: ConnectorError) -> Finding:
    """Tell that a remote system cannot say which one it is."""
    message = f"it cannot be asked which one it is: {error.detail}"
    return Finding(REMOTE, "warning", message, "nothing is sent before it can")


async def of_guard(connector: BoundConnector, guard: GuardPolicy) -> list[Finding]:
    """Tell of names in the guards' settings that nobody, and no group, has: they guard nothing."""
    try:
        nobody = [name for name in sorted(guard.protected) if not await _is_somebody(connector, name)]
        named = guard.keep_holder | guard.privileged
        groups = {name.casefold() for name in await _groups(connector)} if named else set()
    except ConnectorError:  # that it cannot be asked is told by its own checks
        return []
    remedy = "correct the name under [connections.ID.guard]; until then it guards nothing"
    unknown = (
        []
        if "list_groups" not in connector.operations
        else sorted(name for name in named if name.casefold() not in groups)
    )
    told = [Finding("protected", "warning", f'nobody is named "{name}"', remedy) for name in nobody]
    return told + [Finding("guard", "warning", f'no group is named "{name}"', remedy) for name in unknown]


async def _is_somebody(connector: BoundConnector, name: str) -> bool:
    if "find_user" not in connector.operations:
        return True
    return await connector.find_user(name) is not None


async def _groups(connector: BoundConnector) -> list[str]:
    names: list[str] = []
    cursor: str | None = None
    while "list_groups" in connector.operations:
        page = await connector.list_groups(cursor, PAGE)
        names += [str(group.resource.display_name) for group in page.items]
        if page.cursor is None:
            break
        cursor = page.cursor
    return names
