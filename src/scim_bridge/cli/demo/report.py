"""The end: identity providers against HubSpot, and whether that is what they said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scim_bridge.cli.demo.portal import Call, Members, remote_snapshot
from scim_bridge.cli.demo.story import Chapter, Tenant, Trouble
from scim_bridge.testing.clients import Difference, IdentityProvider, RemoteSnapshot, differences


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
        """Who had an account by hand that is now the identity provider's, with the id it had."""
        names = [person.user_name for person in self.tenant.people if person.user_name in self.before]
        return [name for name in names if name in self.after and self.after[name]["id"] == self.before[name]["id"]]


def outcome(tenant: Tenant, before: Members, after: Members, bridge: RemoteSnapshot, calls: Iterable[Call]) -> Outcome:
    """Compare an identity provider with HubSpot.

    :param bridge: What the bridge serves, to tell where a difference comes from.
    """
    calls = list(calls)
    found = differences(tenant.provider, remote_snapshot(after))
    served = {(one.subject, one.aspect) for one in differences(tenant.provider, bridge)}
    reasoned = [Reasoned(one, _reason(tenant.provider, one, served)) for one in found]
    return Outcome(tenant, before, after, reasoned, len(calls), sum(call.committed for call in calls))


def _reason(provider: IdentityProvider, difference: Difference, served: set[tuple[str, str]]) -> str:
    for task in provider.tasks:
        if provider.label(task.subject) == difference.subject:
            return f"the push failed: {task.status or 'no answer'} {task.detail}"
    if (difference.subject, difference.aspect) in served:
        return "the bridge has it like HubSpot: it was never told, or believes it was refused"
    return "the bridge has it as wanted: HubSpot was changed by somebody else, or is still to follow"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the demonstration ended.

    :param story: What happened.
    :param kills: How often the bridge was killed.
    :param down_seconds: How long it was away in all.
    :param refusal: What an attempt to end a Super Admin's access was answered; ``None``: it was not refused.
    """

    outcomes: Sequence[Outcome]
    story: Sequence[Chapter]
    kills: int
    down_seconds: float
    refusal: str | None

    @property
    def troubles(self) -> list[Trouble]:
        """What was to go wrong with HubSpot."""
        return [trouble for chapter in self.story for trouble in chapter.troubles]

    @property
    def succeeded(self) -> bool:
        """Whether HubSpot is as the identity providers said, and everything went wrong that should."""
        identical = all(
            one.untouched and not one.differences and not one.tenant.provider.tasks for one in self.outcomes
        )
        happened = all(trouble.fired for trouble in self.troubles)
        return (
            identical and happened and self.kills == sum(chapter.kill for chapter in self.story) and bool(self.refusal)
        )


def show(console: Console, ending: Ending) -> None:
    """Print the tables."""
    console.print(_comparison(ending.outcomes))
    if any(one.differences for one in ending.outcomes):
        console.print(_differences(ending.outcomes))
    console.print(_troubles(ending))
    for one in ending.outcomes:
        admins = sum(member["super_admin"] for member in one.before.values())
        state = "[green]untouched[/]" if one.untouched else "[bold red]CHANGED[/]"
        adopted = ", ".join(one.adopted) or "nobody"
        retried = f"; {one.tenant.retried} failed pushes resubmitted by its administrator" if one.tenant.retried else ""
        console.print(
            f"{one.tenant.title}: {admins} Super Admins {state}; adopted: {adopted}{retried}", highlight=False
        )
    refusal = escape(ending.refusal) if ending.refusal else "[bold red]NOT REFUSED[/]"
    console.print(f"An attempt to deactivate a Super Admin – {refusal}", highlight=False)


def _comparison(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Identity provider = HubSpot")
    table.add_column("Identity provider")
    for heading in ("People", "Active", "Groups", "Members", "Requests", "Calls", "Calls each"):
        table.add_column(heading, justify="right")
    table.add_column("Identical", justify="center")
    for one in outcomes:
        provider, remote = one.tenant.provider, remote_snapshot(one.after)
        known = {person.user_name for person in provider.people.values()}
        active = [name for name, account in remote.accounts.items() if name in known and account.active]
        wanted = {group.name: _user_names(provider, group.members) for group in provider.groups.values()}
        held = {name: known.intersection(remote.members.get(name, ())) for name in wanted}
        requests = len(provider.exchanges)
        table.add_row(
            one.tenant.title,
            str(len(known)),
            _pair(len(provider.assigned), len(active)),
            _pair(len(wanted), sum(wanted[name] == held[name] for name in wanted)),
            _pair(sum(map(len, wanted.values())), sum(map(len, held.values()))),
            str(requests),
            str(one.calls),
            f"{one.calls / max(1, requests):.2f}",
            "[bold red]no[/]" if one.differences else "[green]yes[/]",
        )
    return table


def _user_names(provider: IdentityProvider, members: Iterable[str]) -> set[str]:
    """Return the userNames of those members who have access."""
    return {provider.people[one].user_name for one in members if one in provider.assigned}


def _pair(wanted: int, found: int) -> str:
    return f"{wanted} = {found}" if wanted == found else f"[red]{wanted} ≠ {found}[/]"


def _differences(outcomes: Sequence[Outcome]) -> Table:
    table = Table("Identity provider", "Person", "What", "Wanted", "HubSpot", "Why", title="Differences")
    for one in outcomes:
        for found in one.differences:
            difference = found.difference
            table.add_row(
                one.tenant.title,
                difference.subject,
                difference.aspect,
                difference.wanted,
                difference.found,
                found.reason,
            )
    return table


def _troubles(ending: Ending) -> Table:
    table = Table("What went wrong", "Where", title="Failures")
    table.add_column("Times", justify="right")
    killed = f"killed by SIGKILL; started again, {ending.down_seconds:.1f} s in all"
    table.add_row(killed, "the bridge", _times(ending.kills))
    for trouble in ending.troubles:
        table.add_row(trouble.title, f"HubSpot of {trouble.connection}", _times(trouble.fired))
    return table


def _times(number: int) -> str:
    return str(number) if number else "[bold red]never[/]"
