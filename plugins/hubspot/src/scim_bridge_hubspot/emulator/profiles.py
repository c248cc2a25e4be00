"""HubSpot's tiers, as far as the user APIs differ between them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
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
        Profile(
            name="free",
            permission_sets=False,
            teams=False,
            scim=False,
            max_users=2,
            calls_per_ten_seconds=100,
            calls_per_day=250_000,
        ),
        Profile(
            name="starter",
            permission_sets=False,
            teams=False,
            scim=False,
            max_users=2_500,
            calls_per_ten_seconds=100,
            calls_per_day=250_000,
        ),
        Profile(
            name="professional",
            permission_sets=False,
            teams=True,
            scim=True,
            max_users=2_500,
            calls_per_ten_seconds=190,
            calls_per_day=625_000,
        ),
        Profile(
            name="enterprise",
            permission_sets=True,
            teams=True,
            scim=True,
            max_users=2_500,
            calls_per_ten_seconds=190,
            calls_per_day=1_000_000,
        ),
    )
}
"""The tiers by name."""
