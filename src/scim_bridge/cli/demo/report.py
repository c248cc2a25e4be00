"""The end: identity providers against HubSpot, and whether that is what they said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from scim_bridge.cli.demo.portal import Call, remote_snapshot
from scim_bridge.cli.demo.story import Tenant, Trouble
from scim_bridge.testing.clients import Difference, IdentityProvider, RemoteSnapshot, differences, snapshot_of

Members = Mapping[str, Mapping[str, Any]]
"""What HubSpot's members have, by e-mail address."""


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A difference, and why it is there."""

    difference: Difference
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a connection ended.

    :param before: HubSpot's members at the beginning.
    :param after: HubSpot's members at the end.
    :param calls: How many calls HubSpot got.
    :param writes: How many of them changed something.
    """

    tenant: Tenant
    before: Members
    after: Members
    differences: Sequence[Reasoned]
    calls: int
    writes: int

    @property
    def untouched(self) -> bool:
        """Whether the Super Admins have what they had."""
        admins = {email: member for email, member in self.before.items() if member["super_admin"]}
        return bool(admins) and admins == {email: self.after.get(email) for email in admins}

    @property
    def adopted(self) -> list[str]:
        """Who had an account by hand that is now the identity provider's."""
        return [person.user_name for person in self.tenant.people if person.user_name in self.before]


def outcome(tenant: Tenant, before: Members, after: Members, bridge: RemoteSnapshot, calls: Iterable[Call]) -> Outcome:
    """Compare an identity provider with HubSpot.

    :param bridge: What the bridge serves, to tell where a difference comes from.
    """
    calls = list(calls)
    found = differences(tenant.provider, remote_snapshot(after))
    served = {(one.subject, one.aspect) for one in differences(tenant.provider, bridge)}
    reasoned = [Reasoned(one, _reason(tenant.provider, one, served)) for one in found]
    return Outcome(tenant, before, after, reasoned, len(calls), sum(call.committed for call in calls))


def served_snapshot(users: Iterable[dict[str, Any]], groups: Iterable[dict[str, Any]]) -> RemoteSnapshot:
    """Return what the bridge serves."""
    return snapshot_of(users, groups)


def _reason(provider: IdentityProvider, difference: Difference, served: set[tuple[str, str]]) -> str:
    for task in provider.tasks:
        if provider.label(task.subject) == difference.subject:
            return f"the push failed: {task.status or 'no answer'} {task.detail}"
    if (difference.subject, difference.aspect) in served:
        return "the bridge has it like HubSpot: it was never told, or believes it was refused"
    return "the bridge has it as wanted: HubSpot was changed by somebody else, or is still to follow"


def succeeded(outcomes: Sequence[Outcome], troubles: Sequence[Trouble], kills: int) -> bool:
    """Tell whether HubSpot is as the identity providers said, and everything went wrong that should."""
    identical = all(not one.differences and one.untouched and not one.tenant.provider.tasks for one in outcomes)
    return identical and kills > 0 and all(trouble.fired for trouble in troubles)


def show(console: Console, outcomes: Sequence[Outcome], troubles: Sequence[Trouble], kills: int, down: float) -> None:
    """Print the tables."""
    console.print(_comparison(outcomes))
    if any(one.differences for one in outcomes):
        console.print(_differences(outcomes))
    console.print(_troubles(troubles, kills, down))
    for one in outcomes:
        admins = sum(member["super_admin"] for member in one.before.values())
        state = "[green]untouched[/]" if one.untouched else "[bold red]CHANGED[/]"
        adopted = ", ".join(one.adopted) or "nobody"
        retried = f"; {one.tenant.retried} failed pushes resubmitted by its administrator" if one.tenant.retried else ""
        console.print(f"{one.tenant.title}: {admins} Super Admins {state}; adopted: {adopted}{retried}")


def _comparison(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Identity provider against HubSpot")
    table.add_column("Identity provider")
    for heading in ("People", "Active", "Groups", "Memberships", "SCIM requests", "HubSpot calls", "per request"):
        table.add_column(heading, justify="right")
    table.add_column("Identical", justify="center")
    for one in outcomes:
        provider, snapshot = one.tenant.provider, remote_snapshot({k: dict(v) for k, v in one.after.items()})
        known = {person.user_name.casefold() for person in provider.people.values()}
        active = [name for name, account in snapshot.accounts.items() if name.casefold() in known and account.active]
        wanted = {group.name: group.members & provider.assigned for group in provider.groups.values()}
        held = {name: [one for one in snapshot.members.get(name, ()) if one.casefold() in known] for name in wanted}
        requests = len(provider.exchanges)
        table.add_row(
            one.tenant.title,
            str(len(known)),
            f"{len(provider.assigned)} = {len(active)}" if len(provider.assigned) == len(active)
            else f"{len(provider.assigned)} ≠ {len(active)}",
            str(len(wanted)),
            f"{sum(map(len, wanted.values()))} / {sum(map(len, held.values()))}",
            str(requests),
            str(one.calls),
            f"{one.calls / max(1, requests):.2f}",
            "[bold red]no[/]" if one.differences else "[green]yes[/]",
        )
    return table


def _differences(outcomes: Sequence[Outcome]) -> Table:
    table = Table("Identity provider", "Person", "What", "Wanted", "HubSpot", "Why", title="Differences")
    for one in outcomes:
        for found in one.differences:
            difference = found.difference
            table.add_row(
                one.tenant.title, difference.subject, difference.aspect, difference.wanted, difference.found, found.reason
            )
    return table


def _troubles(troubles: Sequence[Trouble], kills: int, down: float) -> Table:
    table = Table("What went wrong", "Where", title="Failures")
    table.add_column("Times", justify="right")
    table.add_row(f"bridge killed by SIGKILL, started again after {down:.1f} s in all", "bridge", _times(kills))
    for trouble in troubles:
        table.add_row(trouble.title, f"HubSpot of {trouble.connection}", _times(trouble.fired))
    return table


def _times(number: int) -> str:
    return str(number) if number else "[bold red]never[/]"
