"""The order in which a portal is asked: first what only reads, then one throw-away person, who is always removed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from .account import ask_account
from .calls import Calls, ProbeError, document_of
from .lifecycle import ask_creation, ask_deactivated, ask_removal
from .plan import Plan
from .report import Report
from .updates import ask_updates

Hand = Callable[[str], Awaitable[bool]]
"""Asks a person to do something in HubSpot's pages, in words; returns whether it was done."""


async def nobody(task: str) -> bool:  # noqa: ARG001 - whoever is there would read it
    """Stand for a person who is not there."""
    return False


class Probe:
    """Asks one portal.

    :param calls: What sends.
    :param plan: What may be used.
    :param hand: Whoever can deactivate the person in HubSpot's pages, which no API can.
    """

    def __init__(self, calls: Calls, plan: Plan, *, hand: Hand = nobody) -> None:
        self.calls = calls
        self.plan = plan
        self.hand = hand
        self.report = Report()
        self.user_id = ""
        """The throw-away person, from the moment at which HubSpot has them."""

    async def look(self) -> dict[str, Any]:
        """Make sure that the probe may begin, by reading only, and return the account's details.

        :raises ProbeError: When the token does not work, somebody has the address, or a name is not there.
        """
        first = await self.calls.list("list the members", limit=1)
        if not first.is_success:
            raise ProbeError(f"HubSpot answers {first.status_code} to a list of its members: does the token work?")
        taken = await self.calls.read_by_email("read the address before anybody has it", self.plan.email)
        if taken.status_code != 404:
            raise ProbeError(
                f"HubSpot answers {taken.status_code} when it is asked for the address: give one that nobody has"
            )
        self.plan = replace(
            self.plan,
            permission_set=await self.calls.id_of("permission set", "roles", self.plan.permission_set),
            team=await self.calls.id_of("team", "teams", self.plan.team),
        )
        details = await self.calls.send("read the account's details", "GET", "/account-info/2026-03/details")
        return document_of(details)

    async def run(self) -> Report:
        """Ask everything. The person is removed at the end, also when the probe breaks off or is cancelled."""
        try:
            await ask_account(self.calls, self.report)
            self.user_id = await ask_creation(self.calls, self.report, self.plan.email)
            # Removed while they still have the seat they were given: a PUT may take it away.
            await ask_removal(self.calls, self.report, self.user_id, self.plan.email)
            await ask_updates(self.calls, self.report, self.user_id, self.plan)
            await ask_deactivated(self.calls, self.report, self.user_id, self.plan.email, self.hand)
        except ProbeError as error:
            self.report.ended_early = str(error)
        finally:
            await self._clean_up()
        self.report.forms = self.calls.forms
        self.report.limit_headers = sorted(self.calls.limit_headers)
        self.report.calls = self.calls.sent
        return self.report

    async def _clean_up(self) -> None:
        """Remove the person, also one whose creation was not answered, and see that they are gone."""
        try:
            left = await self.calls.read_by_email("look for what is left", self.plan.email)
            user_id = self.user_id or str(document_of(left).get("id") or "")
            if left.status_code == 404 and not self.user_id:
                return
            await self.calls.remove("remove the person in the end", user_id)
            left = await self.calls.read("read the person after the end", user_id)
            self.report.left_behind = left.status_code != 404
        except ProbeError:
            self.report.left_behind = True
