"""Connectors with one planted bug each, made from the tutorial's: those that only HTTP can show."""

from contextlib import suppress
from typing import Any

import httpx2

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
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.upstream import raise_for_status, read_model
from tests.contract.connectors.acme import tutorial

AcmeConnector: Any = tutorial().AcmeConnector
Person: Any = tutorial().Person
is_acmes: Any = tutorial().is_acmes


class Changing(AcmeConnector):  # type: ignore[misc] # made at run time
    """Replaces the errors of some classes by others."""

    changes: tuple[tuple[type[ConnectorError], ConnectorError], ...] = ()

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Call, and change the error."""
        try:
            answer: Remote[User] = await super().call(method, path, **options)
        except ConnectorError as error:
            for wrong, right in self.changes:
                if type(error) is wrong:
                    raise right from error
            raise
        return answer


class CredentialsAsForbidden(Changing):
    """Takes a refused token for a refused object."""

    changes = ((RemoteCredentialsError, RemoteForbiddenError("no")),)


class ForbiddenAsInvalid(Changing):
    """Takes a refused object for a refused value."""

    changes = ((RemoteForbiddenError, RemoteInvalidValueError("no")),)


class LimitAsOutage(Changing):
    """Forgets how long to wait."""

    changes = ((RemoteRateLimitedError, RemoteUnavailableError("no")),)


class LimitOfItsOwn(Changing):
    """Invents how long to wait."""

    changes = ((RemoteRateLimitedError, RemoteRateLimitedError("no", retry_after=1.0)),)


class OutageAsAbsence(Changing):
    """Takes an outage for an absent account."""

    changes = ((RemoteUnavailableError, RemoteNotFoundError("no")),)


class ConflictAsOutage(Changing):
    """Takes a conflict for an outage."""

    changes = ((RemoteConflictError, RemoteUnavailableError("no")),)


class NeverAmbiguous(Changing):
    """Says that a write was not executed when it may have been."""

    changes = ((RemoteUnavailableError, RemoteUnavailableError("no", ambiguous=False)),)


class ReadsWithoutCare(AcmeConnector):  # type: ignore[misc] # made at run time
    """Lets the errors of its parser escape."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Trust the answer."""
        answer = raise_for_status(await self.client.request(method, path, **options), "person", own_error=is_acmes)
        seen: Remote[User] = self.seen(Person.model_validate(answer.json()))
        return seen


class TellsTheBody(AcmeConnector):  # type: ignore[misc] # made at run time
    """Puts the remote system's answer into the error's detail."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Tell everything."""
        answer = await self.client.request(method, path, **options)
        if answer.status_code == 403:
            raise RemoteForbiddenError(answer.text)
        return await self.read(answer)

    async def read(self, answer: httpx2.Response) -> Remote[User]:
        """Read as the tutorial does."""
        seen: Remote[User] = self.seen(
            tutorial().read_model(raise_for_status(answer, "person", own_error=is_acmes), Person)
        )
        return seen


class LogsTheBody(TellsTheBody):
    """Puts the remote system's answer into the log."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Log everything."""
        answer = await self.client.request(method, path, **options)
        self.context.logger.info("Acme says %s", answer.text)
        return await self.read(answer)


class LogsTheToken(AcmeConnector):  # type: ignore[misc] # made at run time
    """Puts its secret into the log."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Log the token."""
        self.context.logger.debug("with %s", self.config.token.get_secret_value())
        seen: Remote[User] = await super().call(method, path, **options)
        return seen


class SwallowsADeactivation(AcmeConnector):  # type: ignore[misc] # made at run time
    """Tells a deactivation that failed as done."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Swallow."""
        with suppress(RemoteUnavailableError):
            await super().deactivate_user(remote_id)


class NeverLooks(AcmeConnector):  # type: ignore[misc] # made at run time
    """Creates without looking for an account that is there."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Only create."""
        created: Remote[User] = await self.call("POST", "/people", json=self.attributes(user))
        return created


class DeactivatesBlindly(AcmeConnector):  # type: ignore[misc] # made at run time
    """Remembers a deactivation it has sent as one that has been made, before it knows."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Fail the second time: there is nothing to do, it thinks."""
        state = await self.context.state.get(remote_id)
        if state is not None:
            raise RemoteConflictError("already sent")
        await self.context.state.put(remote_id, {})
        await super().deactivate_user(remote_id)
        await self.context.state.delete(remote_id)


class GatewayAsAbsence(AcmeConnector):  # type: ignore[misc] # made at run time
    """Takes any 404 for Acme's word."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Look at the status alone."""
        answer = await self.client.request(method, path, **options)
        if answer.status_code == 404:
            raise RemoteNotFoundError("no such person")
        seen: Remote[User] = self.seen(
            tutorial().read_model(raise_for_status(answer, "person", own_error=is_acmes), Person)
        )
        return seen


class BelievesAnyRecord(AcmeConnector):  # type: ignore[misc] # made at run time
    """Ends the access of whomever it was shown."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Look first, and go on with what was seen."""
        seen = await self.get_user(remote_id)
        await super().deactivate_user(seen.remote_id)


class TellsWhatWasRefused(AcmeConnector):  # type: ignore[misc] # made at run time
    """Hands on what Acme says of a value that it refuses."""

    async def call(self, method: str, path: str, **options: Any) -> Remote[User]:
        """Call, and tell the body."""
        answer = await self.client.request(method, path, **options)
        if answer.status_code in {400, 422}:
            raise RemoteInvalidValueError(answer.text)
        seen: Remote[User] = self.seen(read_model(raise_for_status(answer, "person", own_error=is_acmes), Person))
        return seen


class HalfAPerson(AcmeConnector):  # type: ignore[misc] # made at run time
    """Asks for the teams by a second call, and takes its failure for none."""

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Swallow."""
        seen: Remote[User] = await self.call("GET", f"/people/{remote_id}")
        try:
            await self.call("GET", f"/people/{remote_id}")
        except ConnectorError:
            seen.resource.groups = None
        return seen


LAST_TOKEN: list[str] = []


class OneTokenForAll(AcmeConnector):  # type: ignore[misc] # made at run time
    """Keeps a token in the module."""

    async def __aenter__(self) -> Any:
        """Take the first token for everybody's."""
        LAST_TOKEN.append(self.config.token.get_secret_value())
        await super().__aenter__()
        self.client.headers["Authorization"] = f"Bearer {LAST_TOKEN[0]}"
        return self
