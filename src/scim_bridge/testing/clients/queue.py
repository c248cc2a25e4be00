"""A queue of pushes, as Okta and plain clients keep one: in order for each person or group, several at a time."""

import asyncio
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass
from random import Random

from scim_bridge.testing.clients.directory import (
    AdminTask,
    BelievedGroup,
    Change,
    ConnectionTest,
    IdentityProvider,
    Progress,
    ProgressCallback,
    PushedGroup,
)
from scim_bridge.testing.clients.session import Document, RequestFailedError, Session, list_all, listed


@dataclass(slots=True)
class Job:
    """One push.

    :param failures: How often it failed.
    :param wait: Seconds of the last pause.
    """

    subject: str
    change: Change
    failures: int = 0
    wait: float = 0.0


class QueueingProvider(IdentityProvider):
    """An identity provider that pushes each change as it happens.

    :param concurrency: How many pushes run at a time. A paused one holds no place.
    """

    def __init__(self, session: Session, random: Random, *, concurrency: int) -> None:
        super().__init__(session, random)
        self._queues: dict[str, deque[Job]] = {}
        self._places = asyncio.Semaphore(concurrency)
        self._wake = asyncio.Event()
        self._done = 0
        self._waiting = 0

    def admin_retry(self) -> None:
        """Resubmit every failed push whose person is still, or no longer, wanted as the push says."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            obsolete = (task.change is Change.ASSIGN and task.subject not in self.assigned) or (
                task.change is Change.UNASSIGN and task.subject in self.assigned
            )
            if not obsolete:
                self._changed(task.subject, task.change)

    async def run_until_idle(self, progress: ProgressCallback | None = None) -> None:
        """Send until every queue is empty; failed pushes are left in :attr:`tasks`."""
        self._done = 0
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for subject in [one for one in self._queues if one not in running]:
                    running[subject] = asyncio.ensure_future(self._drain(subject, progress))
                if not running:
                    return
                self._wake.clear()
                wake = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({wake, *running.values()}, return_when=asyncio.FIRST_COMPLETED)
                wake.cancel()
                for subject in [subject for subject, task in running.items() if task.done()]:
                    running.pop(subject).result()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _changed(self, subject: str, change: Change) -> None:
        self._queues.setdefault(subject, deque()).append(Job(subject, change))
        self._wake.set()

    async def _drain(self, subject: str, progress: ProgressCallback | None) -> None:
        """Do the pushes of one person or group, one after the other."""
        queue = self._queues[subject]
        try:
            while queue:
                await self._finish(queue[0])
                job = queue.popleft()
                self._done += 1
                if progress is not None:
                    outstanding = sum(len(one) for one in self._queues.values())
                    note = f"{job.change} {self.label(job.subject)}"
                    progress(Progress(self._done, outstanding, self._waiting, len(self.tasks), note))
        finally:
            if not queue:
                del self._queues[subject]

    async def _finish(self, job: Job) -> None:
        """Try a push until it succeeds or fails for good."""
        while True:
            try:
                async with self._places:
                    await self._perform(job)
            except RequestFailedError as error:
                job.failures += 1
                pause = self._pause(job, error)
                if pause is None:
                    self._give_up(job)
                    self.tasks.append(AdminTask(job.subject, job.change, error.status, error.detail))
                    return
                job.wait = pause
                await self._rest(pause)
            else:
                return

    async def _rest(self, seconds: float) -> None:
        self._waiting += 1
        try:
            await self.clock.sleep(seconds)
        finally:
            self._waiting -= 1

    async def _perform(self, job: Job) -> None:
        """Send what a push takes, or nothing when there is nothing to send any more."""
        if job.change is Change.DELETE_GROUP:
            if (belief := self.believed_groups.get(job.subject)) is not None:
                await self.session.send("DELETE", f"/Groups/{belief.remote_id}", accept=(404,))
                del self.believed_groups[job.subject]
        elif (group := self.groups.get(job.subject)) is not None:
            await self._push_group(group, job.change)
        elif job.change is Change.ASSIGN:
            await self._assign(job.subject)
            for lacking in self.groups_lacking(job.subject):
                self._changed(lacking, Change.MEMBERS)
        elif job.change is Change.UNASSIGN:
            await self._unassign(job.subject)
        elif job.change is Change.UPDATE:
            await self._update(job.subject)

    # -- What the kinds of queue differ in -------------------------------------------------------------------------

    @abstractmethod
    def _pause(self, job: Job, error: RequestFailedError) -> float | None:
        """Return the seconds until the next attempt; ``None``: it failed for good."""

    def _give_up(self, job: Job) -> None:
        """Adjust beliefs after a push that failed for good."""

    @abstractmethod
    async def _assign(self, person: str) -> None: ...

    @abstractmethod
    async def _unassign(self, person: str) -> None: ...

    @abstractmethod
    async def _update(self, person: str) -> None: ...

    @abstractmethod
    async def _push_group(self, group: PushedGroup, change: Change) -> None: ...

    # -- What they share -------------------------------------------------------------------------------------------

    async def _test(self, *probes: tuple[str, list[tuple[str, str]]]) -> ConnectionTest:
        """Ask for a few lists, and tell whether they came."""
        try:
            for path, query in probes:
                listed(await self.session.send("GET", path, query=query))
        except RequestFailedError as error:
            return ConnectionTest(succeeded=False, detail=str(error))
        return ConnectionTest(succeeded=True)

    async def import_users(self) -> list[Document]:
        """Return every account of the service provider, read in pages of 100."""
        return await list_all(self.session, "/Users", count=100)

    async def import_groups(self) -> list[Document]:
        """Return every group of the service provider, read in pages of 100."""
        return await list_all(self.session, "/Groups", count=100)

    def _link_group(self, group: PushedGroup, name: str, remote_id: str, members: set[str]) -> BelievedGroup:
        """Believe a group to stand at the service provider, under the name that was sent."""
        belief = self.believed_groups[group.id] = BelievedGroup(remote_id, name, members)
        return belief
