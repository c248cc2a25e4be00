"""HubSpot as the remote system of a simulation: the emulator, its faults, and what people do in HubSpot's pages."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any, Literal

import httpx2

from scim_bridge.store.comparison import fold
from scim_bridge_hubspot.emulator import PROFILES, FaultKind, HubSpotEmulator, Person, Profile, Rule, Switches
from scim_bridge_hubspot.emulator.faults import Media
from scim_bridge_hubspot.emulator.wire import Delivery, Request
from tests.faults.bridges import NO_ACCESS
from tests.faults.promises.portals import accounts_of
from tests.faults.promises.record import Account, Record
from tests.faults.simulation.remote import NOTHING, Effect, Holding
from tests.faults.simulation.weather import EPOCH

BASE_URL = "http://localhost"
ROLES = ("Sales", "Service", "Marketing")
TEAMS = ("EMEA",)
BYSTANDERS = ("bystander@corp.example", "boss@corp.example")
ITEM = re.compile(r"/settings/users/[^/]+/(?!roles$|teams$|seats$)([^/]+)|/scim/v2/Users/([^/]+)")
MANY = 10_000
SCIM = "/scim/"


class WatchedEmulator(HubSpotEmulator):
    """An emulator that reports each call with its effect, at the moment of the effect."""

    observe: Callable[[Request], Callable[[Delivery], None]] | None = None

    def handle(self, request: Request) -> Delivery:
        """Answer one request and report it."""
        if self.observe is None:
            return super().handle(request)
        report = self.observe(request)
        delivery = super().handle(request)
        report(delivery)
        return delivery


class HubSpotWorld:
    """One HubSpot portal; the seed chooses its limit and how it behaves where nobody knows."""

    connector = "hubspot"
    groups: Collection[str] = (*ROLES, *TEAMS)
    untouched: Collection[str] = ("owner@portal.example", *BYSTANDERS)

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed}/hubspot")
        most = random.choice([30, 100, 190])
        self.limit: tuple[int, float] | None = (most, 10.0)
        clock = asyncio.get_running_loop().time
        profile = _profile(most)
        self.hubspot = WatchedEmulator(
            switches=_switches(random),
            profile=profile,
            clock=clock,
            now=lambda: EPOCH.timestamp() + clock(),
            seed=seed,
            log_size=200,
        )
        self.settings: Mapping[str, Any] = {
            "token": self.hubspot.token,
            "base_url": BASE_URL,
            "rate_limit": most,
            "precedence": ROLES,
            "teams_as_groups": "secondary",
            **deprovisioning(random.choice(["remove", "remove", "strip", "scim"])),
        }
        self.record = Record(clock, self.limit, ROLES, protected=frozenset(self.untouched))
        self.record.secrets |= {self.hubspot.token, self.hubspot.scim_token}
        self.watch: Callable[[Effect], None] = lambda effect: None
        for name in ROLES:
            self.hubspot.add_role(name)
        for name in TEAMS:
            self.hubspot.add_team(name)
        self.hubspot.add_role("Finance")
        self.hubspot.add_role(NO_ACCESS)
        self.hubspot.add_person(BYSTANDERS[0], roles=["Finance"], first_name="By", last_name="Stander")
        self.hubspot.add_person(BYSTANDERS[1], super_admin=True)
        self.record.began(accounts_of(self.hubspot))
        self.hubspot.observe = self._observe
        self.rules: list[tuple[str, Rule]] = []
        self.struck: Counter[str] = Counter()
        self.faults: Mapping[str, Callable[[Random], None]] = _faults(self.hubspot, self.rules)
        self.changes: Mapping[str, Callable[[Random, str], bool]] = {
            "re-adds an account": self._seen(self._re_add),
            "gives a role": self._seen(self._give_role),
            "removes an account": self._seen(self._remove),
            "accepts the invitation": self._seen(self._activate),
        }

    # -- What the machinery asks -------------------------------------------------------------------------------------

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the way to it."""
        return self.hubspot.transport()

    def fired(self) -> Counter[str]:
        """Return how often each fault struck."""
        fired = self.struck.copy()
        for name, rule in self.rules:
            fired[name] += rule.fired
        return fired

    def heal(self) -> None:
        """End all faults, and what they leave behind."""
        self.hubspot.faults.clear()
        for person in self.hubspot.people.values():
            person.listed = 0  # lists lag by seconds, and nothing reads them that often
        self._undo_what_blocks()
        self.hubspot.tokens[self.hubspot.token].revoked = False

    def holding(self, user_name: str) -> Holding:
        """Return what somebody holds."""
        return self._holding(self.hubspot.find(user_name))

    def _holding(self, person: Person | None) -> Holding:
        if person is None or person.membership is None:
            return NOTHING
        account = self.hubspot.account(person)
        names: tuple[tuple[str, str], ...] = ()
        if person.membership.activated:
            names = (("name.familyName", person.last_name), ("name.givenName", person.first_name))
        teams = {*account.secondary_teams, *([account.primary_team] if account.primary_team else [])}
        admin = {"Super Admin"} if account.super_admin else set()
        active = account.active and account.roles != (NO_ACCESS,)
        privileges = frozenset({*account.roles, *teams, *admin}) - {NO_ACCESS} if active else frozenset()
        return Holding(active, privileges, names)

    def come_to(self, groups: Collection[str]) -> frozenset[str]:
        """Return the strongest permission set, and all teams."""
        strongest = [name for name in ROLES if name in groups][:1]
        return frozenset({*strongest, *(name for name in TEAMS if name in groups)})

    def subject_of(self, request: httpx2.Request) -> str:
        """Return whom a call is about."""
        return self._subject(request.method, request.url.path, request.content)

    def budget_of(self, request: httpx2.Request) -> str:
        """Return the endpoint that counts for itself: HubSpot's SCIM, which has a token of its own."""
        return SCIM if request.url.path.startswith(SCIM) else ""

    # -- Watching ------------------------------------------------------------------------------------------------------

    def _subject(self, method: str, path: str, body: bytes) -> str:
        if item := ITEM.fullmatch(path):
            key = item[1] or item[2]
            person = self.hubspot.people.get(key)
            return fold(key if person is None else person.email)
        if method == "POST" and (email := re.search(rb'"email":\s*"([^"]+)"', body)):
            return fold(email[1].decode())
        return ""

    def _observe(self, request: Request) -> Callable[[Delivery], None]:
        subject = self._subject(request.method, request.path, request.body)
        before = self.holding(subject) if subject else NOTHING

        def report(delivery: Delivery) -> None:
            call = self.hubspot.calls[-1]
            self.record.called(call.method, call.path, call.status or 0, call.fault, request.body)
            if call.committed:
                self.record.shows("bridge", accounts_of(self.hubspot))
            kinds: dict[str, Literal["create", "write", "remove", "read"]] = {
                "POST": "create", "PUT": "write", "PATCH": "write", "DELETE": "remove",
            }  # fmt: skip
            kind = kinds.get(call.method, "read") if subject else "read"
            after = self.holding(subject) if subject else NOTHING
            self.struck["token revoked"] += call.status == 401 and not call.fault
            stale = (
                ITEM.fullmatch(call.path) is None and call.method == "GET" and call.path.startswith("/settings/users/")
            )
            self.struck["stale list"] += stale and any(one.listed for one in self.hubspot.people.values())
            limited = call.status == 429 and not call.fault
            budget = SCIM if call.path.startswith(SCIM) else ""
            self.watch(Effect(subject, kind, call.committed, call.status, limited, before, after, budget))

        return report

    # -- At the edges --------------------------------------------------------------------------------------------------

    def learn_the_edges(self) -> None:
        """Let happen what gateways, and people in HubSpot's pages, do besides."""
        self.faults = {**self.faults, **edge_faults(self.hubspot, self.rules)}
        more = {
            "changes an address": self._change_address,
            "gives several sets": self._give_several,
            "deactivates an account": self._deactivate,
            "reactivates an account": self._reactivate,
            "makes a Super Admin": self._make_admin,
        }
        self.changes = {**self.changes, **{name: self._seen(change) for name, change in more.items()}}

    def accounts(self) -> dict[str, Account]:
        """Return what HubSpot shows of everybody."""
        return accounts_of(self.hubspot)

    def _change_address(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_change_email(name, f"{random.randrange(10**6)}.{name}")
        return True

    def _give_several(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_assign_roles(name, *random.sample(ROLES, 2))
        return True

    def _deactivate(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_deactivate(name)
        return True

    def _reactivate(self, random: Random, name: str) -> bool:
        inactive = [one.email for one in self.hubspot.members if not one.active]
        if not inactive:
            return False
        self.hubspot.ui_reactivate(name if name in inactive else random.choice(inactive))
        return True

    def _make_admin(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_super_admin(name, super_admin=True)
        return True

    def _undo_what_blocks(self) -> None:
        """Take back by hand what no client can change: further Super Admins, and several sets."""
        for person in self.hubspot.members:
            if person.membership is None or person.email in self.untouched:
                continue
            if person.membership.super_admin:
                self.hubspot.ui_super_admin(person.email, super_admin=False)
            del person.membership.role_ids[1:]
        self.record.shows("hand", self.accounts())

    # -- What people do ------------------------------------------------------------------------------------------------

    def _seen(self, change: Callable[[Random, str], bool]) -> Callable[[Random, str], bool]:
        """Return a change that stands in the record as made by hand."""

        def seen(random: Random, name: str) -> bool:
            done = change(random, name)
            self.record.shows("hand", accounts_of(self.hubspot))
            return done

        return seen

    def _re_add(self, random: Random, name: str) -> bool:
        if self.holding(name).active:
            return False
        self.hubspot.add_person(name, roles=[random.choice(ROLES)], activated=random.random() < 0.5)
        return True

    def _give_role(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_assign_roles(name, random.choice(ROLES))
        return True

    def _remove(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_remove(name)
        return True

    def _activate(self, random: Random, name: str) -> bool:
        if not self.holding(name).active:
            return False
        self.hubspot.ui_activate(name)
        return True


def _profile(most: int) -> Profile:
    base = PROFILES["enterprise"]
    return Profile(
        name=base.name, permission_sets=True, teams=True, scim=True, max_users=2_500,
        calls_per_ten_seconds=most, calls_per_day=base.calls_per_day,
    )  # fmt: skip


def deprovisioning(mode: str) -> dict[str, Any]:
    """Return the connector's settings of a way to end access."""
    if mode == "strip":
        return {"deprovision": "strip", "strip": {"permission_set": NO_ACCESS}}
    if mode == "scim":
        return {"deprovision": "scim", "scim_token": HubSpotEmulator.scim_token, "scim_url": f"{BASE_URL}/scim/v2"}
    return {"deprovision": "remove"}


def _switches(random: Random) -> Switches:
    """Draw how HubSpot behaves where nobody knows; connector tests take all readings, histories those that matter."""
    return Switches(
        duplicate_create=random.choice(["400", "409"]),
        put_mode=random.choice(["replace", "replace", "merge"]),
        list_lag_reads=random.choice([0, 1, 3]),
        retry_after=random.choice(["absent", "seconds", "date"]),
        names_unactivated=random.choice(["refused", "accepted"]),
        email_stored=random.choice(["lower", "as_sent"]),
    )


def _faults(hubspot: HubSpotEmulator, rules: list[tuple[str, Rule]]) -> dict[str, Callable[[Random], None]]:
    """Return the arrangements of the emulator's faults; each notes its rule."""

    def add(name: str, kind: FaultKind, **choices: Any) -> None:
        def arrange(random: Random) -> None:
            values = {field: random.choice(of) if isinstance(of, list) else of for field, of in choices.items()}
            values |= {
                "method": random.choice([None, None, "GET", "POST", "PUT", "DELETE"]),
                "nth": random.randint(1, 3),
            }
            rules.append((name, hubspot.faults.add(kind, times=random.choice([1, 1, 1, 2, 4]), **values)))

        faults[name] = arrange

    def outage(random: Random) -> None:
        seconds = random.choice([5.0, 30.0, 120.0, 400.0])
        rules.append(("outage", hubspot.faults.outage(seconds=seconds, status=random.choice([500, 502, 503, 504]))))

    def revoked(random: Random) -> None:
        token = hubspot.tokens[hubspot.token]
        token.revoked = True
        asyncio.get_running_loop().call_later(random.choice([10.0, 90.0]), setattr, token, "revoked", False)

    faults: dict[str, Callable[[Random], None]] = {"outage": outage, "token revoked": revoked}
    add("reset before", "drop_before")
    add("reset after", "drop_after")
    add("half JSON", "half")
    add("malformed", "malformed")
    add("wrong content type", "content_type")
    add("timeout after", "slow", delay=60.0)
    add("slow", "slow", delay=[1.0, 4.0, 12.0])
    add("429", "rate_ten_secondly")
    add("429 seconds", "rate_ten_secondly", retry_after=[1, 5, 20])
    add("429 date", "rate_secondly", retry_after=[2, 9], retry_after_date=True)
    add("500", "error", status=500)
    add("502", "error", status=502)
    add("503", "error", status=503, retry_after=3)
    add("504", "error", status=504)
    add("500 after", "error", status=500, commit=True)
    add("477", "migration")
    add("423", "locked")
    add("401", "unauthorized")
    return faults


EDGES: tuple[tuple[str, int, Media], ...] = (
    ("404 JSON of a gateway", 404, "json"),
    ("404 HTML of a gateway", 404, "html"),
    ("404 without a body", 404, "empty"),
    ("403 HTML of an edge", 403, "html"),
    ("403 plain text of an edge", 403, "plain"),
    ("400 HTML of an edge", 400, "html"),
    ("400 JSON of a gateway", 400, "json"),
    ("408", 408, "plain"),
    ("410", 410, "json"),
    ("421", 421, "empty"),
    ("488", 488, "json"),
)
"""What stands before HubSpot answers."""


def edge_faults(hubspot: HubSpotEmulator, rules: list[tuple[str, Rule]]) -> dict[str, Callable[[Random], None]]:
    """Return the arrangements of what stands before HubSpot; each notes its rule."""
    faults: dict[str, Callable[[Random], None]] = {}

    def add(name: str, status: int, media: Media) -> None:
        def arrange(random: Random) -> None:
            times, nth = random.choice([1, 2, 4]), random.randint(1, 3)
            method = random.choice([None, None, "GET", "POST", "PUT", "DELETE"])
            path = r"^/(settings|scim)/"
            rule = hubspot.faults.add(
                "edge", status=status, media=media, method=method, path=path, times=times, nth=nth
            )
            rules.append((name, rule))

        faults[name] = arrange

    for edge in EDGES:
        add(*edge)

    def mixed_up(random: Random) -> None:
        path = r"/settings/users/[^/]+/(?!roles|teams|seats)"
        method = random.choice(["GET", "GET", None])
        rules.append(("mixed-up record", hubspot.faults.add("mixed_up", method=method, path=path, nth=1)))

    def gone(random: Random) -> None:
        path = random.choice([r"/settings/users/[^/]+/(?!roles|teams|seats)", r"/settings/users/[^/]+$", "/settings/"])
        seconds = random.choice([20.0, 120.0])
        rules.append(("routes that are gone", hubspot.faults.gone(path, seconds=seconds)))

    def unkept(random: Random) -> None:
        method, times, nth = random.choice(["PUT", "PUT", "POST"]), random.choice([1, 2, 4]), random.randint(1, 3)
        path = "^/settings/users/"
        rules.append(("unkept write", hubspot.faults.add("unkept", method=method, path=path, times=times, nth=nth)))

    return faults | {"mixed-up record": mixed_up, "routes that are gone": gone, "unkept write": unkept}
