"""What single faults strike: courses of SCIM operations, with every way in which the HubSpot connector deprovisions."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scim_bridge_hubspot.emulator import HubSpotEmulator
from tests.faults.bridges import NO_ACCESS
from tests.faults.lives import Life, life

Config = Callable[[str], dict[str, Any]]
"""Returns settings of the connector for a HubSpot at a URL."""


@dataclass(frozen=True, slots=True)
class Course:
    """Steps that are taken one after the other, again and again, by somebody new each time.

    :param steps: As :class:`~tests.faults.lives.Step` names them. Those in parentheses only lead to others: they are
        struck in another course. A step that comes several times shares the faults that are to strike it.
    :param config: Settings of the connector besides those of all courses.
    :param keeps: Whether somebody who is deactivated keeps the account.
    :param methods: How each step is written when it is one request about several people.
    :param share: Which part of the faults strike, at random: calls about one person are like those about the next.
    """

    name: str
    steps: Sequence[str]
    config: Config = lambda _url: {}
    keeps: bool = False
    methods: Sequence[str] = ()
    share: float = 1.0

    def struck(self, position: int) -> str:
        """Return what is struck at a step, and by what method if there are several; empty for nothing."""
        step = self.steps[position]
        return "" if step.startswith("(") else " by ".join([step, *self.methods[position : position + 1]])

    @property
    def people(self) -> int:
        """How many people each step is about."""
        return 2 if self.methods else 1

    def lives(self, name: str) -> tuple[Life, ...]:
        """Return the lives of new people."""
        steps = [step.strip("()") for step in self.steps]
        return tuple(life(f"{name}p{number}", *steps) for number in range(self.people))

    def creations(self, one: Life) -> Counter[str]:
        """Return how often HubSpot has to create an account, by its address."""
        found, account = Counter[str](), ""
        for step in one.steps:
            if step.name == "delete" or (step.after is None and not self.keeps):
                account = ""
            elif step.email != account:
                account = step.email
                found[account] += 1
        return found


def _scim(url: str) -> dict[str, Any]:
    return {"deprovision": "scim", "scim_token": HubSpotEmulator.scim_token, "scim_url": f"{url}/scim/v2"}


COURSES = (
    Course(
        "PATCH and DELETE of a User, PATCH of Groups",
        ("create", "join Sales", "rename", "leave Sales", "join Support", "deactivate", "reactivate", "delete"),
    ),
    Course("PUT of a User, and one who comes again", ("(create)", "replace", "(delete)", "create", "retire")),
    Course(
        "stripped instead of removed",
        ("(create)", "(join Sales)", *("deactivate", "reactivate") * 4),
        lambda _url: {"deprovision": "strip", "strip": {"permission_set": NO_ACCESS}},
        keeps=True,
    ),
    Course(
        "deactivated by HubSpot's SCIM endpoint",
        ("(create)", "(join Sales)", *("deactivate", "reactivate") * 4),
        _scim,
        keeps=True,
    ),
    Course(
        "another userName",
        ("(create)", "(join Sales)", "move", "move", "move", "(deactivate)"),
        lambda _url: {"rename": "recreate"},
    ),
    Course(
        "Bulk, and Groups with several members",
        ("create", "join Sales", "leave Sales", "join Sales", "leave Sales"),
        methods=("BULK", "PATCH", "DELETE", "POST", "PUT"),
        share=0.5,
    ),
)
