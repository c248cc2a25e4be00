"""SCIM ``title`` as the CRM property ``hs_job_title``, the one writable property that SCIM has a word for.

CRM records of new users appear some seconds after they are created, or only once the person has logged in: until then
the title is deferred.
"""

from .client import HubSpotClient
from .wire import CrmUser, PublicUser


class JobTitles:
    """Reads and writes job titles."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client

    async def read(self, user: PublicUser) -> str | None:
        """Return a person's title; ``None`` also when there is no CRM record yet."""
        record = await self._record(user)
        return record.job_title if record else None

    async def write(self, user: PublicUser, title: str | None) -> bool:
        """Write a person's title. :returns: ``False`` when there is no CRM record yet."""
        record = await self._record(user)
        if record is None:
            return False
        if (record.job_title or "") != (title or ""):
            await self._client.write_job_title(record.id, title or "")
        return True

    async def all(self) -> dict[str, str]:
        """Return Settings user id → title of everybody who has one."""
        found: dict[str, str] = {}
        after: str | None = None
        while True:
            page = await self._client.crm_users(after)
            found |= {
                record.settings_user_id: record.job_title
                for record in page.results
                if record.settings_user_id and record.job_title
            }
            if page.after is None or page.after == after:
                return found
            after = page.after

    async def _record(self, user: PublicUser) -> CrmUser | None:
        page = await self._client.search_crm_users("hs_internal_user_id", user.id, limit=1)
        return next((record for record in page.results if record.settings_user_id == user.id), None)
