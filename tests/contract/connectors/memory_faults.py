"""The kit's faults, played by a remote system in memory."""

from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.testing.contract_remote import RETRY_AFTER, RemoteFault
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote

READS = ("get_", "find_", "list_", "check_", "explain_", "identify")


def is_write(call: Call) -> bool:
    """Return whether a hook call means to change something."""
    return not call.hook.startswith(READS)


def error_of(fault: RemoteFault, *, write: bool) -> ConnectorError:
    """Return what a good connector makes of a fault."""
    errors: dict[RemoteFault, ConnectorError] = {
        RemoteFault.INVALID: RemoteInvalidValueError("refused"),
        RemoteFault.UNPROCESSABLE: RemoteInvalidValueError("refused"),
        RemoteFault.UNAUTHORIZED: RemoteCredentialsError("unauthorized"),
        RemoteFault.FORBIDDEN: RemoteForbiddenError("forbidden"),
        RemoteFault.NOT_FOUND: RemoteNotFoundError("not found"),
        RemoteFault.CONFLICT: RemoteConflictError("conflict"),
        RemoteFault.RATE_LIMITED: RemoteRateLimitedError("limited", retry_after=RETRY_AFTER),
        RemoteFault.RATE_LIMITED_SILENTLY: RemoteRateLimitedError("limited", retry_after=1.0),
    }
    return errors.get(fault, RemoteUnavailableError("unavailable", ambiguous=write))


class MemoryFaults:
    """A :class:`~scim_bridge.testing.contract_remote.ContractRemote` around a remote system in memory."""

    def __init__(self, remote: MemoryRemote) -> None:
        self.memory = remote
        self.refused = 0

    @property
    def writes(self) -> int:
        """How many calls changed something, or would have if they had not been failed."""
        return len(self.memory.effects) + self.refused

    def fail(self, fault: RemoteFault, *, writes_only: bool = False, skip: int = 0) -> None:
        """Fail the calls from now on."""
        left = skip

        def intercept(call: Call) -> Fault | None:
            nonlocal left
            if writes_only and not is_write(call):
                return None
            if left:
                left -= 1
                return None
            landed = fault is RemoteFault.LOST_ANSWER
            self.refused += is_write(call) and not landed
            return Fault(error_of(fault, write=is_write(call)), after_effect=landed)

        self.memory.intercept = intercept

    def heal(self) -> None:
        """Work again."""
        self.memory.intercept = None
