"""Who is there and who is not, by evidence.

HubSpot publishes no form of the 404 of a missing user, and what stands on the way to it answers 404, too. So that
somebody is gone is believed on one of two grounds, never because a read found nothing:

* HubSpot's own word (``OBJECT_NOT_FOUND``), where it does not decide alone: a creation follows, which HubSpot refuses
  when it was wrong, or a removal was confirmed before.
* A **positive control**: somebody who is known to be there is asked for by the same route, and found, in the same
  breath. What stands on the way may have answered the one question and let the other pass; so after a 404 that is not
  HubSpot's word the first question is asked again, and only the same answer counts.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from scim_bridge.errors import RemoteMisroutedError, RemoteNotFoundError

from .client import PAGE, HubSpotClient, advanced
from .errors import BareNotFoundError
from .identity import Identity
from .wire import PublicUser

WITNESSES = 5
"""How many of a list are asked for at most: it shows removed people for some seconds."""


class Presence:
    """Reads accounts, and believes an absence only with evidence."""

    def __init__(self, client: HubSpotClient, identity: Identity) -> None:
        self._client = client
        self._identity = identity

    async def user(self, user_id: str, *, word_suffices: bool = False) -> PublicUser:
        """Return a member by Settings user id.

        :param word_suffices: Whether HubSpot's own word is enough.
        :raises RemoteNotFoundError: When the person is not a member, by evidence.
        :raises RemoteMisroutedError: When nobody is found by this route.
        """
        try:
            return await self._client.user(user_id)
        except BareNotFoundError:
            await self._control(user_id, self._client.user)
            return await self._again(user_id, self._client.user)
        except RemoteNotFoundError:
            if not word_suffices:
                await self._control(user_id, self._client.user)
            raise

    async def user_by_email(self, email: str) -> PublicUser:
        """Return a member by e-mail address; HubSpot's own word is enough, for a creation or a removal follows.

        :raises RemoteNotFoundError: When nobody has it.
        :raises RemoteMisroutedError: When nobody is found by this route.
        """
        try:
            return await self._client.user_by_email(email)
        except BareNotFoundError:
            await self._control(None, self._by_email)
            return await self._again(email, self._client.user_by_email)

    @staticmethod
    async def _again(whom: str, ask: Callable[[str], Awaitable[PublicUser]]) -> PublicUser:
        """Ask once more, after the control."""
        try:
            return await ask(whom)
        except BareNotFoundError as error:
            raise RemoteNotFoundError("HubSpot has no such account") from error

    async def search(self, email: str) -> PublicUser | None:
        """Return the account of an address by looking through all of them, in whatever case it is stored."""
        after: str | None = None
        while True:
            page = await self._client.users(after, PAGE)
            for user in page.results:
                if user.normal_email == email.strip().lower():
                    return await self._confirmed(user)
            if page.after is None:
                return None
            after = advanced(after, page.after)

    async def _confirmed(self, user: PublicUser) -> PublicUser | None:
        """Read an account that a list showed: lists show removed ones for some seconds."""
        try:
            return await self.user(user.id, word_suffices=True)
        except RemoteNotFoundError:
            return None

    async def _by_email(self, user_id: str) -> PublicUser:
        return await self._client.user_by_email((await self._client.user(user_id)).email)

    async def _control(self, absent: str | None, ask: Callable[[str], Awaitable[PublicUser]]) -> None:
        """Find somebody else by the same route, whoever it is."""
        async for user_id in self._witnesses():
            if user_id == absent:
                continue
            try:
                await ask(user_id)
            except (RemoteNotFoundError, BareNotFoundError):
                continue
            return
        raise RemoteMisroutedError(
            "HubSpot answers that nobody is there, not even those who are: is base_url that of the account?",
            ambiguous=False,
        )

    async def _witnesses(self) -> AsyncIterator[str]:
        """Yield ids of people who should be there: the token's own, then some of the list."""
        owner = (await self._identity.owner()).user_id
        if owner is not None:
            yield owner
        for user in (await self._client.users(None, WITNESSES + 1)).results[:WITNESSES]:
            yield user.id
