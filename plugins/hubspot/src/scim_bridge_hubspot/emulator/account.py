"""What a token can learn about the portal and about itself (SPEC accountInfo.2026-03)."""

from .routing import Exchange, Route
from .wire import Answer, RefusalError, invalid, json_object, not_found, text_of

TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"


def routes() -> list[Route]:
    """Return the routes."""
    made = [Route("POST", TOKEN_INFO, token_info, authentication="none")]
    for base in ("/account-info/2026-03", "/account-info/v3"):
        made.append(Route("GET", f"{base}/details", details, ("oauth",)))
        made.append(Route("GET", f"{base}/api-usage/daily/private-apps", daily_usage, ("oauth",)))
    return made


def details(call: Exchange) -> Answer:
    """Answer which portal this is."""
    return Answer(
        200,
        {
            "portalId": call.portal.portal_id,
            "accountType": "STANDARD",
            "timeZone": "US/Eastern",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": "-05:00",
            "utcOffsetMilliseconds": -18_000_000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        },
    )


def daily_usage(call: Exchange) -> Answer:
    """Answer how many calls of the day are used up."""
    portal, limits = call.portal, call.portal.limits
    usage = {
        "name": "private-apps-api-calls-daily",
        "usageLimit": portal.profile.calls_per_day,
        "currentUsage": limits.used_today,
        "collectedAt": portal.timestamp(),
        "fetchStatus": "SUCCESS",
        "resetsAt": portal.timestamp(portal.now() + limits.resets_in()),
    }
    return Answer(200, {"results": [usage]})


def token_info(call: Exchange) -> Answer:
    """Answer whose token this is and what it may do. EU tokens need themselves as bearer too (3P)."""
    value = text_of(json_object(call.request.body), "tokenKey")
    if not value:
        raise invalid("tokenKey is required", "tokenKey", "REQUIRED_FIELD")
    bearer = call.request.headers.get("authorization", "")
    if value.startswith("pat-eu1") and bearer != f"Bearer {value}":
        raise RefusalError(401, "Authentication credentials not found", category="INVALID_AUTHENTICATION")
    token = call.portal.tokens.get(value)
    if token is None or token.revoked or token.kind not in ("private_app", "service_key"):
        raise not_found("Token")
    if call.portal.switches.token_info == "404":
        raise not_found("Token")
    return Answer(
        200,
        {
            "userId": int(token.person_id),
            "hubId": call.portal.portal_id,
            "appId": call.portal.app_id,
            "scopes": sorted(token.scopes),
        },
    )
