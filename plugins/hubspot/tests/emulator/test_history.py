"""Whatever happens in whatever order, the portal stays one that HubSpot could be in."""

import asyncio
from typing import Any

import httpx2
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scim_bridge_hubspot.emulator import OWNER_EMAIL, HubSpotEmulator, Switches

from .conftest import Api

EMAILS = st.sampled_from([f"{name}@corp.example" for name in ("ada", "grace", "joan", "mary")])
CHOICES = Switches.choices()
PLAYED = ("put_mode", "role_clear", "create_deactivated", "write_deactivated", "seat_lag_creates", "list_lag_reads")
SEATS = 3


class History(RuleBasedStateMachine):
    """Calls, lost answers and what people do by hand, against a model that knows only who is in the portal."""

    @initialize(values=st.fixed_dictionaries({name: st.sampled_from(CHOICES[name]) for name in PLAYED}))
    def begin(self, values: dict[str, Any]) -> None:
        """Open a portal with some readings."""
        self.hubspot = HubSpotEmulator(switches=Switches(**values))
        self.hubspot.add_seat_pool("Core Seat", SEATS, default=True)
        self.roles = [self.hubspot.add_role(name) for name in ("Sales", "Support")]
        self.ids: dict[str, str] = {}
        self.active: dict[str, bool] = {}

    def call(self, method: str, path: str, body: Any = None) -> httpx2.Response | None:
        """Send one call; ``None`` when its answer was lost."""

        async def send() -> httpx2.Response | None:
            async with Api(self.hubspot) as api:
                try:
                    return await api.request(method, f"/settings/users/2026-09-beta{path}", json=body)
                except httpx2.TransportError:
                    return None

        return asyncio.run(send())

    @rule(email=EMAILS, fault=st.sampled_from(["", "drop_before", "drop_after", "half", "error"]))
    def create(self, email: str, fault: Any) -> None:
        """Invite somebody, while the connection may be lost."""
        if fault:
            self.hubspot.faults.add(fault)
        answer = self.call("POST", "", {"email": email.upper(), "sendWelcomeEmail": False})
        committed = self.hubspot.calls[-1].committed
        assert answer is None or (answer.status_code == 201) == committed
        if committed:
            was = self.active.get(email)
            assert was is None or (was is False and self.hubspot.switches.create_deactivated == "reactivate")
            self.active[email] = True
            person_id = self.hubspot.member(email).id
            assert self.ids.setdefault(email, person_id) == person_id

    @precondition(lambda self: self.ids)
    @rule(email=EMAILS, role=st.integers(0, 2), seats=st.sampled_from([[], ["Core Seat"], ["Other"]]))
    def update(self, email: str, role: int, seats: list[str]) -> None:
        """Write role and seats; what was answered is what is read."""
        body: dict[str, Any] = {"seatNames": seats} | ({"roleId": self.roles[role].id} if role < 2 else {})
        answer = self.call("PUT", f"/{self.ids.get(email, '1')}", body)
        assert answer is not None
        if answer.status_code == 200:
            read = self.call("GET", f"/{self.ids[email]}")
            assert read is not None
            assert read.json() == answer.json()
            assert role == 2 or read.json()["roleIds"] == [self.roles[role].id]

    @rule(email=EMAILS)
    def remove(self, email: str) -> None:
        """Remove somebody; a second time is fine."""
        answer = self.call("DELETE", f"/{self.ids.get(email, '1')}")
        assert answer is not None
        if answer.status_code == 204:
            self.active.pop(email, None)
        else:
            assert email not in self.ids or self.hubspot.switches.write_deactivated == "404"

    @rule(email=EMAILS, active=st.booleans())
    def by_hand(self, email: str, active: bool) -> None:
        """Deactivate or reactivate a member in HubSpot's pages."""
        if email in self.active:
            (self.hubspot.ui_reactivate if active else self.hubspot.ui_deactivate)(email)
            self.active[email] = active

    @invariant()
    def members_are_the_model(self) -> None:
        """Exactly those who were invited and not removed are members, as active as they should be."""
        if hasattr(self, "hubspot"):
            snapshot = self.hubspot.snapshot()
            assert {email: account.active for email, account in snapshot.items() if email != OWNER_EMAIL} == self.active
            assert snapshot[OWNER_EMAIL].super_admin

    @invariant()
    def seats_are_never_negative(self) -> None:
        """What is left and what is held add up, seats still lagging included."""
        if hasattr(self, "hubspot"):
            pool = self.hubspot.seats["Core Seat"]
            held = sum(account.active for account in self.hubspot.snapshot().values() if account.seats)
            left = self.hubspot.remaining(pool)
            assert left == max(0, SEATS - held - len(pool.released))

    def teardown(self) -> None:
        """Every fault that was added struck once."""
        if hasattr(self, "hubspot"):
            assert self.hubspot.faults.fired.total() == sum(bool(call.fault) for call in self.hubspot.calls)


History.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestHistory = History.TestCase
TestHistory.__doc__ = "Random histories of calls, lost answers and hand-made changes keep the portal consistent."
