"""Provisioning in cycles, as Microsoft Entra ID does it: what is due, escrow for what failed, quarantine of the job."""

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import NoReturn

from scim_bridge.testing.clients.directory import AdminTask, Change, IdentityProvider, Progress, ProgressCallback
from scim_bridge.testing.clients.session import Answer, Document, RequestFailedError, Session

HOUR = 3600.0
DAY = 24 * HOUR


class QuarantinedError(Exception):
    """An answer stops the whole job."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a job spaces its work, in seconds.

    :param cycle: From the end of one cycle to the start of the next.
    :param escrow: Waits after the second, third, … failure; the last one repeats. After the first, the next cycle.
    :param patience: How long an entry, or a quarantine, lasts before it is dropped.
    :param quarantine: From cycle to cycle in quarantine.
    :param timeout: Of a request. Microsoft documents none.
    """

    cycle: float = 40 * 60.0
    escrow: tuple[float, ...] = (6 * HOUR, 12 * HOUR, 24 * HOUR)
    patience: float = 28 * DAY
    quarantine: float = DAY
    timeout: float = 60.0


@dataclass(slots=True)
class Work:
    """A person or group to look at in a cycle.

    :param due: When, on the clock.
    :param failures: How often it failed.
    :param since: When it failed first.
    :param blind: Whether the next creation is sent without a look, after a time-out.
    """

    change: Change
    due: float
    failures: int = 0
    since: float = 0.0
    blind: bool = False


class CyclicProvider(IdentityProvider):
    """An identity provider that looks at what changed in cycles.

    :param concurrency: Requests at a time.
    """

    RETRIES_OF_429 = 5
    MANY_FAILURES = 5_000
    FAR_TOO_MANY_FAILURES = 40_000
    FAILING_SHARE = 0.4

    def __init__(self, session: Session, random: Random, *, schedule: Schedule, concurrency: int) -> None:
        super().__init__(session, random)
        self.schedule = schedule
        self.quarantined_since: float | None = None
        self.disabled = False
        self._places = asyncio.Semaphore(concurrency)
        self._work: dict[str, Work] = {}
        self._halt = ""
        self._done = 0

    def admin_retry(self) -> None:
        """Restart provisioning: leave quarantine, forget escrow, look at everything again."""
        self.quarantined_since, self.disabled, self.tasks = None, False, []
        changes = {subject: work.change for subject, work in self._work.items()}
        for subject in [*self.people, *self.groups]:
            changes.setdefault(subject, Change.UPDATE)
        self._work = {subject: Work(change, self.clock.now()) for subject, change in changes.items()}

    async def run_until_idle(self, progress: ProgressCallback | None = None) -> None:
        """Run cycles until nothing is left to do, or the job is off."""
        self._done = 0
        while self._work and not self.disabled:
            await self.run_cycle(progress)
            if self._work and not self.disabled:
                pause = self.schedule.cycle if self.quarantined_since is None else self.schedule.quarantine
                due = min(work.due for work in self._work.values())
                await self.clock.sleep(max(pause, due - self.clock.now()))

    async def run_cycle(self, progress: ProgressCallback | None = None) -> None:
        """Look at everything that is due: people first, then groups."""
        failed = looked_at = 0
        for people in (True, False):
            now = self.clock.now()
            due = [one for one, work in self._work.items() if work.due <= now and (one in self.people) == people]
            results = await asyncio.gather(*(self._look_at(subject, progress) for subject in due))
            looked_at += len(results)
            failed += results.count(False)
        too_many = failed > self.FAILING_SHARE * looked_at or failed > self.FAR_TOO_MANY_FAILURES
        if failed >= self.MANY_FAILURES and too_many:
            self._halt = f"{failed} of {looked_at} failed"
        halted, self._halt = self._halt, ""
        if halted:
            self._quarantine(halted)
        else:
            self.quarantined_since = None

    async def _look_at(self, subject: str, progress: ProgressCallback | None) -> bool:
        """Work on one person or group, and return whether it succeeded; put it in escrow when not."""
        work = self._work[subject]
        try:
            if subject in self.people:
                await self._provision_user(subject, work)
            else:
                await self._provision_group(subject)
        except QuarantinedError:
            return False
        except RequestFailedError as error:
            self._escrow(subject, work, error)
            return False
        finally:
            self._report(subject, progress)
        if self._work.get(subject) is work:
            del self._work[subject]
        return True

    def _escrow(self, subject: str, work: Work, error: RequestFailedError) -> None:
        """Put off the next look; drop the entry when patience is over."""
        now = self.clock.now()
        work.failures += 1
        work.since = work.since if work.failures > 1 else now
        if work.failures > 1:
            work.due = now + self.schedule.escrow[min(work.failures - 2, len(self.schedule.escrow) - 1)]
        if now - work.since >= self.schedule.patience and self._work.get(subject) is work:
            del self._work[subject]
            self.tasks.append(AdminTask(subject, work.change, error.status, error.detail))
            self.disabled = True

    def _quarantine(self, detail: str) -> None:
        now = self.clock.now()
        if self.quarantined_since is None:
            self.quarantined_since = now
            self.tasks.append(AdminTask("job", Change.UPDATE, None, f"quarantined: {detail}"))
        elif now - self.quarantined_since >= self.schedule.patience:
            self.disabled = True

    def _changed(self, subject: str, change: Change) -> None:
        self._work.pop(subject, None)
        self._work[subject] = Work(change, self.clock.now())

    def _report(self, subject: str, progress: ProgressCallback | None) -> None:
        self._done += 1
        if progress is not None:
            waiting = sum(work.failures > 0 for work in self._work.values())
            progress(Progress(self._done, len(self._work), waiting, len(self.tasks), self.label(subject)))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Document | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send a request; wait as a 429 says; stop the job at a 401."""
        attempt = 0
        while True:
            try:
                async with self._places:
                    if self._halt:
                        raise QuarantinedError(self._halt)
                    return await self.session.send(method, path, query=query, body=body, accept=accept)
            except RequestFailedError as error:
                attempt += 1
                if error.status == 401:
                    self._stop(str(error))
                if error.status != 429 or error.wait is None or attempt > self.RETRIES_OF_429:
                    raise
                await self.clock.sleep(error.wait)

    def _stop(self, detail: str) -> NoReturn:
        """Send nothing more in this cycle. :raises QuarantinedError: always."""
        self._halt = detail
        raise QuarantinedError(detail)

    @abstractmethod
    async def _provision_user(self, person: str, work: Work) -> None:
        """Bring one person to the wanted state."""

    @abstractmethod
    async def _provision_group(self, subject: str) -> None:
        """Bring one group, which may be deleted, to the wanted state."""
