"""What a configuration may name, as an administrator renames and deletes it in HubSpot's pages."""

from collections.abc import Mapping
from dataclasses import replace

from .records import Membership, Person, Role, SeatPool, Team


class Entries:
    """The permission sets, teams and seats of a portal.

    What becomes of people whose permission set or team is deleted is documented nowhere; here they are without it.
    """

    people: dict[str, Person]
    roles: dict[str, Role]
    teams: dict[str, Team]
    seats: dict[str, SeatPool]
    default_seat: str | None

    def ui_rename(self, name: str, new: str) -> bool:
        """Give every permission set, team and seat of a name another one; whoever holds it goes on.

        :returns: Whether there was one.
        """
        things = self._named(self.roles, name) + self._named(self.teams, name)
        for one in things:
            one.name = new
        pool = self.seats.pop(name, None)
        if pool is not None:
            self.seats[new] = replace(pool, name=new)
            self.default_seat = new if self.default_seat == name else self.default_seat
            for held in self._memberships():
                held.seat_names = [new if seat == name else seat for seat in held.seat_names]
        return bool(things) or pool is not None

    def ui_delete(self, name: str) -> bool:
        """Delete every permission set, team and seat of a name.

        :returns: Whether there was one.
        """
        things = self._named(self.roles, name) + self._named(self.teams, name)
        gone = {one.id for one in things}
        known = self.seats.pop(name, None) is not None
        for one in things:
            self.roles.pop(one.id, None)
            self.teams.pop(one.id, None)
        if self.default_seat == name:
            self.default_seat = None
        for held in self._memberships():
            held.role_ids = [role_id for role_id in held.role_ids if role_id not in gone]
            held.primary_team_id = None if held.primary_team_id in gone else held.primary_team_id
            held.secondary_team_ids = [team_id for team_id in held.secondary_team_ids if team_id not in gone]
            held.seat_names = [seat for seat in held.seat_names if seat in self.seats]
        return bool(things) or known

    @staticmethod
    def _named(things: Mapping[str, Role] | Mapping[str, Team], name: str) -> list[Role | Team]:
        return [one for one in things.values() if one.name == name]

    def _memberships(self) -> list[Membership]:
        """Return what everybody has who is, or was, a member."""
        return [held for person in self.people.values() for held in (person.membership, person.former) if held]
