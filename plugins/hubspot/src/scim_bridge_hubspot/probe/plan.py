"""What a probe may use of a portal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """What a probe may use.

    :param email: The address of the throw-away person; nobody of the account may have it.
    :param permission_set: A permission set that the person may hold for a moment; empty: none. A name as the operator
        gives it, an id once it was looked up.
    :param team: A team that the person may be in for a moment, likewise.
    """

    email: str
    permission_set: str = ""
    team: str = ""
