"""What a probe found: the readings, how they were seen, and what was not asked; nothing in it names a person."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from scim_bridge_hubspot.emulator.switches import Switches

from .calls import ErrorForm

NOT_ASKED: dict[str, str] = {
    "super_admin_update": "the probe never touches a Super Admin",
    "super_admin_delete": "the probe never touches a Super Admin",
    "super_admin_set": "the probe never makes a Super Admin",
    "readd_activation": "only the invited person can see it",
    "several_roles_merge": "needs a person who was given several sets in HubSpot",
    "seat_combination": "needs a set that its seat does not carry",
    "billing_error": "needs a token without the billing scope",
    "creator_check": "needs a token of somebody who is no Super Admin",
    "creator_removed": "needs a token whose maker has left",
    "missing_scope_named": "needs a token without a scope",
    "retry_after": "needs the rate limit to be used up",
    "oauth_burst": "needs the rate limit to be used up",
    "search_per_second": "needs the rate limit to be used up",
    "service_key_scopes": "is seen when a service key is made",
    "rotate_refresh_tokens": "needs an OAuth authorisation",
    "crm_record": "needs minutes of waiting",
    "crm_names": "is about the CRM, which the probe does not read",
    "archived_owner_names": "is about other people",
    "scim_role_sync": "is a setting of HubSpot's SCIM app",
    "scim_id": "needs the token of HubSpot's SCIM endpoint",
    "scim_delete": "needs the token of HubSpot's SCIM endpoint",
    "scim_roles": "needs the token of HubSpot's SCIM endpoint",
    "scim_filter": "needs the token of HubSpot's SCIM endpoint",
    "scim_patch_answer": "needs the token of HubSpot's SCIM endpoint",
}
"""Switches that a probe of a user's portal leaves alone, and why."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was asked.

    :param question: In words.
    :param seen: What was seen, in words.
    :param switch: The emulator's switch that it decides; empty when it is of use by itself.
    :param reading: The reading that was seen; ``None`` when this portal could not tell.
    """

    question: str
    seen: str
    switch: str = ""
    reading: Any = None


@dataclass(slots=True)
class Report:
    """What a probe found.

    :param facts: What kind of portal and token it was, for whoever compares reports.
    :param left_behind: Whether the throw-away person could not be removed again.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    forms: list[ErrorForm] = field(default_factory=list)
    limit_headers: list[str] = field(default_factory=list)
    calls: int = 0
    left_behind: bool = False
    ended_early: str = ""

    def add(self, question: str, seen: str, switch: str = "", reading: Any = None) -> None:
        """Note a point."""
        self.points.append(Point(question, seen, switch, reading))

    def readings(self) -> dict[str, Any]:
        """Return the readings that were seen, by switch."""
        return {point.switch: point.reading for point in self.points if point.switch and point.reading is not None}

    def surprises(self) -> dict[str, Any]:
        """Return readings that the emulator does not have: the connector has never been tried under them."""
        choices = Switches.choices()
        return {
            switch: reading
            for switch, reading in self.readings().items()
            if reading not in choices[switch] and type(choices[switch][0]) is not int
        }

    def assignments(self) -> list[str]:
        """Return ``--switch`` values that make the emulator behave as this portal did."""
        odd = self.surprises()
        return [f"{switch}={_text(value)}" for switch, value in sorted(self.readings().items()) if switch not in odd]

    def open_points(self) -> dict[str, str]:
        """Return the switches that were not decided, with the reason."""
        asked = {point.switch: point.seen for point in self.points if point.switch and point.reading is None}
        decided = self.readings()
        reasons = {name: asked.get(name) or NOT_ASKED.get(name, "was not reached") for name in Switches.choices()}
        return {name: reason for name, reason in reasons.items() if name not in decided}

    def as_document(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "facts": self.facts,
            "points": [asdict(point) for point in self.points],
            "switches": self.assignments(),
            "surprises": self.surprises(),
            "open": self.open_points(),
            "error_forms": [asdict(form) for form in _distinct(self.forms)],
            "limit_headers": self.limit_headers,
            "calls": self.calls,
            "left_behind": self.left_behind,
            "ended_early": self.ended_early,
        }


def _distinct(forms: Iterable[ErrorForm]) -> list[ErrorForm]:
    return list(dict.fromkeys(forms))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
