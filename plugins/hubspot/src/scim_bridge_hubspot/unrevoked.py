"""What goes on in HubSpot when somebody's membership has ended: no API of HubSpot's ends it.

Where HubSpot publishes nothing about an end, going on is assumed.
"""

from scim_bridge.models import Unrevoked

from .config import HubSpotConfig

KNOWLEDGE = "https://knowledge.hubspot.com/user-management/"
DEVELOPERS = "https://developers.hubspot.com/docs/"

ALWAYS = (
    Unrevoked(
        "tokens of private apps, and service keys, that they made or saw",
        "A Super Admin rotates them: Development > Legacy apps, Settings > Integrations > Service Keys",
        f"{DEVELOPERS}apps/legacy-apps/private-apps/overview",  # a token is the app's, not a person's
    ),
    Unrevoked(
        "their personal access key",
        "Assume that it works until it is seen refused; have them deactivate it: Development > Keys",
        f"{DEVELOPERS}developer-tooling/local-development/hubspot-cli/personal-access-key",
    ),
    Unrevoked(
        "apps that they authorised (OAuth), connected inboxes and calendars",
        "A Super Admin disconnects them: Settings > Integrations > Connected apps",
    ),
    Unrevoked(
        "sessions that are open, until HubSpot looks again",
        "End them at the identity provider, where people sign in through it",
    ),
    Unrevoked(
        "their HubSpot login, and with it other HubSpot accounts",
        "The other accounts' Super Admins remove them; only they delete the login",
        f"{KNOWLEDGE}delete-your-hubspot-user",
    ),
    Unrevoked("what they exported, copied, or shared by link", "Look through shared links and exports"),
)

STRIPPED = Unrevoked(
    "the login to this account, which has no rights left",
    'Remove the account in HubSpot, or set deprovision = "remove"',
    f"{KNOWLEDGE}deactivate-hubspot-users",
)


def unrevoked(config: HubSpotConfig) -> tuple[Unrevoked, ...]:
    """Return what goes on when somebody was deprovisioned in the configured way."""
    return (STRIPPED, *ALWAYS) if config.deprovision == "strip" else ALWAYS
