"""Every exception of scim-bridge, in one place.

Two families never mix: errors while starting (never on the wire) and errors while serving.

::

    BridgeError
      ConfigurationError                   while starting: exit status 2 and one line
        ConnectorDefinitionError           a connector type breaks the contract
        DuplicateConnectorError            two connector types share a name
        UnknownConnectorError              no plugin registers this name
        UnknownConnectionError             no connection of this id is configured
        ConnectionSettingsError            the settings of a connection do not validate
        StoreConfigurationError            the database is unsafe or of another version
          StoreInUseError                  another process has the database
          StoreUnreachableError            there is no database at this place, or not yet: exit status 75
        AddressUnavailableError            the address to listen on is taken: exit status 75
      ConnectorError                  502  raised by connectors
        RemoteNotFoundError           404
        RemoteConflictError           409  scimType uniqueness
        RemoteInvalidValueError       400  scimType invalidValue
          RemoteImmutableError        400  scimType mutability
        RemoteForbiddenError          403  the remote system, or a guard, refuses this operation on this object
        OperationNotSupportedError    501
        RemoteUnavailableError        429  transient: outage, timeout, reset, 5xx
          RemoteRateLimitedError      429  transient: knows how long to wait
          RemoteSuspendedError        429  transient: it has been failing, and is left alone for a while
          RemoteMisroutedError        429  transient: not its answer, or one about something else: alerts the operator
          RemoteFullError             429  transient: no licence, seat or allowance is left: alerts the operator
        RemoteCredentialsError        429  the remote system refuses *our* credentials: alerts the operator
      RefusedError                    any  what a ConnectorError answered earlier, read back from the store
      PendingError                    429  the write is durable and will be driven; the remote system is not confirmed
      StoreError                      500
        StoreUnavailableError         429  transient: locked, full, down; nothing was accepted
      LostLeadershipError                  never on the wire: another process drives the connection now

Faults of SCIM itself (a bad filter, a bad PATCH, a stale ``If-Match``) are scim2-models' ``…Exception`` classes, raised
by the protocol layer. Each class here names its HTTP status and ``scimType`` (RFC 7644 §3.12); 429 is our choice for
whatever is transient, because Okta retries by itself on 429 alone.
"""

from types import TracebackType
from typing import ClassVar

__all__ = [
    "AddressUnavailableError",
    "BridgeError",
    "ConfigurationError",
    "ConnectionSettingsError",
    "ConnectorDefinitionError",
    "ConnectorError",
    "DuplicateConnectorError",
    "LostLeadershipError",
    "OperationNotSupportedError",
    "PendingError",
    "RefusedError",
    "RemoteConflictError",
    "RemoteCredentialsError",
    "RemoteForbiddenError",
    "RemoteFullError",
    "RemoteImmutableError",
    "RemoteInvalidValueError",
    "RemoteMisroutedError",
    "RemoteNotFoundError",
    "RemoteRateLimitedError",
    "RemoteSuspendedError",
    "RemoteUnavailableError",
    "ServingError",
    "StoreConfigurationError",
    "StoreError",
    "StoreInUseError",
    "StoreUnavailableError",
    "StoreUnreachableError",
    "UnknownConnectionError",
    "UnknownConnectorError",
    "without_text",
]


class BridgeError(Exception):
    """The root of the tree."""


class ConfigurationError(BridgeError):
    """The bridge cannot start like this; the message is one line for the operator."""


class ConnectorDefinitionError(ConfigurationError):
    """A connector type breaks the plugin contract (an undecorated, misspelt or synchronous hook, a broken pair)."""


class DuplicateConnectorError(ConfigurationError):
    """Two connector types share a name."""


class UnknownConnectorError(ConfigurationError):
    """No installed plugin registers a connector of this name."""


class UnknownConnectionError(ConfigurationError):
    """No connection of this id is configured."""


class ConnectionSettingsError(ConfigurationError):
    """The settings of a connection do not validate."""


class StoreConfigurationError(ConfigurationError):
    """The database is unsafe, or of another version."""


class StoreInUseError(StoreConfigurationError):
    """Another process has the database; SQLite serves one, PostgreSQL several."""


class StoreUnreachableError(StoreConfigurationError):
    """The database does not answer: it is down, starting, or not where the settings say."""


class AddressUnavailableError(ConfigurationError):
    """The address to listen on belongs to another process, or not to this machine."""


class ServingError(BridgeError):
    """The root of what can go wrong while serving.

    :param detail: What happened, for the SCIM client: plain English, no secret, no upstream body.
    """

    status: int = 500
    """The HTTP status that answers it."""

    scim_type: str | None = None
    """The ``scimType`` of RFC 7644 §3.12, Table 9."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ConnectorError(ServingError):
    """A connector could not do what a hook asked of it; raise one of the classes below."""

    status = 502
    alarms: ClassVar[bool] = False
    """Whether an operator has to see to it: then each failed attempt is an ERROR in the log, with its ``detail``."""

    ambiguous: bool = False
    """Whether something may have changed in the remote system all the same: then the driver looks before it goes on.

    The bridge sets it by itself when a write of the same hook call had taken effect before the failure.
    """


class RemoteNotFoundError(ConnectorError):
    """The remote system itself says that it has no such object. On a removal that is success, so it needs evidence.

    A 404 alone is not evidence: gateways, moved routes and the wrong data centre answer it, too. See
    :mod:`scim_bridge.hookspecs`.
    """

    status = 404


class RemoteConflictError(ConnectorError):
    """The remote system already has another object with this unique value."""

    status = 409
    scim_type = "uniqueness"


class RemoteInvalidValueError(ConnectorError):
    """The remote system will not take this value."""

    status = 400
    scim_type = "invalidValue"


class RemoteImmutableError(RemoteInvalidValueError):
    """The remote system cannot change this attribute (a userName whose e-mail no API changes)."""

    scim_type = "mutability"


class RemoteForbiddenError(ConnectorError):
    """The remote system, or a guard, refuses this operation on this one object (a Super Admin, a protected account)."""

    status = 403


class OperationNotSupportedError(ConnectorError):
    """The connector does not implement this operation."""

    status = 501


class RemoteUnavailableError(ConnectorError):
    """Transient: outage, timeout, reset, 5xx.

    The outcome of a write may be unknown: the driver probes before it repeats.

    :param ambiguous: Whether the call may have taken effect (bytes were sent and no whole answer came back).
    """

    status = 429

    def __init__(self, detail: str, *, ambiguous: bool = True, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.ambiguous = ambiguous
        self.retry_after = retry_after


class RemoteRateLimitedError(RemoteUnavailableError):
    """Transient: the remote system's limit is used up.

    :param retry_after: Seconds until the next call may succeed.
    """

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail, ambiguous=False, retry_after=retry_after)


class RemoteSuspendedError(RemoteUnavailableError):
    """Transient: the remote system has been failing, so this call was not sent, and no other would be.

    :param retry_after: Seconds until it is asked again.
    """

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail, ambiguous=False, retry_after=retry_after)


class RemoteMisroutedError(RemoteUnavailableError):
    """Transient: not the remote system's own answer, or one about another object than was asked for.

    A gateway, an edge, a moved route, the wrong data centre, a mixed-up cache. It says nothing about the object, and
    somebody has to look at the road: the operator is alarmed, and ``detail`` is for them.
    """

    alarms = True


class RemoteFullError(RemoteUnavailableError):
    """Transient: the remote system refuses for now, since no licence, seat or allowance is left.

    Nothing was executed. What is wanted stays wanted, and is tried again; the operator is alarmed, and ``detail`` is
    for them: somebody has to buy, or to free, one.

    :param retry_after: Seconds until it is tried again.
    """

    alarms = True

    def __init__(self, detail: str, *, retry_after: float = 600.0) -> None:
        super().__init__(detail, ambiguous=False, retry_after=retry_after)


class RemoteCredentialsError(ConnectorError):
    """The remote system refuses the bridge's own credentials.

    Never passed through as 401 or 403: Entra ID would quarantine the whole job at once.
    """

    status = 429
    alarms = True


class RefusedError(ServingError):
    """A write was refused by the remote system or by a guard; what was refused is recorded with the resource.

    :param status: The HTTP status that answers it.
    :param scim_type: The ``scimType`` of RFC 7644 §3.12.
    """

    def __init__(self, detail: str, *, status: int, scim_type: str | None) -> None:
        super().__init__(detail)
        self.status = status
        self.scim_type = scim_type


class PendingError(ServingError):
    """A write is durable and will be driven to its end, but the remote system has not confirmed it within the budget.

    :param retry_after: Whole seconds after which the client may ask again.
    """

    status = 429

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class StoreError(ServingError):
    """The store failed in a way that is a bug or a broken disk."""


class StoreUnavailableError(StoreError):
    """Transient: the database is locked, full or down. Nothing of the write was accepted."""

    status = 429
    retry_after: ClassVar[int] = 60


class LostLeadershipError(BridgeError):
    """Another process drives the connection now: nothing may be called or recorded any more."""


ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def without_text(error: BaseException) -> ExceptionInfo:
    """Return the ``exc_info`` of an unexpected exception for a log record: its class and its place.

    Its text stays out, and so does the text of its causes, of which the classes and places are logged: a database
    quotes the values of a row, a validation quotes the answer of a remote system, and neither belongs in a log.
    """
    kind = type(error)
    bare = type(kind.__name__, (Exception,), {"__module__": kind.__module__})()
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        bare.__cause__ = without_text(cause)[1]
    return type(bare), bare.with_traceback(error.__traceback__), error.__traceback__
