"""HubSpot's tiers, as far as the user APIs differ between them (hubspot.md: Free portals were probed live)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """What a portal of a tier has.

    :param permission_sets: Whether reusable permission sets exist (Enterprise, by HubSpot's knowledge base).
    :param teams: Whether teams exist (Professional and Enterprise).
    :param scim: Whether HubSpot's own SCIM server is there (Professional and Enterprise).
    :param max_users: The most users the account can have.
    :param calls_per_ten_seconds: The burst limit of one app.
    :param calls_per_day: The daily limit, shared by the account.
    """

    name: str
    permission_sets: bool
    teams: bool
    scim: bool
    max_users: int
    calls_per_ten_seconds: int
    calls_per_day: int


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("free", False, False, False, 2, 100, 250_000),
        Profile("professional", False, True, True, 2_500, 190, 625_000),
        Profile("enterprise", True, True, True, 2_500, 190, 1_000_000),
    )
}
"""The tiers by name."""
