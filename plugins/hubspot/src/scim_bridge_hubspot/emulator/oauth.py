"""OAuth (SPEC oauth.2026-03): exchanging codes and refresh tokens, looking at a token, revoking one."""

from typing import Any
from urllib.parse import parse_qsl

from .portal import Portal
from .records import OAuthApp, Token
from .routing import Exchange, Handler, Route
from .wire import Answer, RefusalError, not_found

LIFETIME = 1800.0
"""Seconds an access token lives (DOC)."""

FORM = "application/x-www-form-urlencoded"


def routes() -> list[Route]:
    """Return the routes. The last version no longer gives tokens for client credentials."""
    operations: list[tuple[str, Handler]] = [
        ("", exchange),
        ("/introspect", introspect),
        ("/revoke", revoke),
    ]
    return [
        Route("POST", f"/oauth/{version}/token{suffix}", handler, (), version, "none", writes=suffix != "/introspect")
        for version in ("2026-03", "v3", "2026-09")
        for suffix, handler in operations
    ]


def exchange(call: Exchange) -> Answer:
    """Give an access token for a code, a refresh token or the app's own credentials."""
    form = form_of(call)
    app = app_of(call, form)
    grant = form.get("grant_type")
    if grant == "client_credentials" and call.version != "2026-09":
        return Answer(200, issue(call.portal, app) | {"token_use": "client_credentials"})
    if grant == "authorization_code":
        if form.get("code") not in app.codes:
            raise bad("missing or invalid auth code", "BAD_AUTH_CODE")
        app.codes.remove(form["code"])
        refresh = new_refresh_token(call.portal, app)
    elif grant == "refresh_token":
        refresh = form.get("refresh_token", "")
        if refresh not in app.refresh_tokens:
            raise bad("missing or invalid refresh token", "BAD_REFRESH_TOKEN")
        if call.portal.switches.rotate_refresh_tokens:
            app.refresh_tokens.remove(refresh)
            refresh = new_refresh_token(call.portal, app)
    else:
        raise bad("missing or unknown grant_type", "BAD_GRANT_TYPE")
    return Answer(200, issue(call.portal, app) | {"token_use": "access_token", "refresh_token": refresh})


def introspect(call: Exchange) -> Answer:
    """Answer what a token is."""
    form = form_of(call)
    app = app_of(call, form)
    portal, value = call.portal, form.get("token", "")
    common = {
        "token": value,
        "client_id": app.client_id,
        "hub_id": portal.portal_id,
        "hub_domain": "portal.example",
        "app_id": portal.app_id,
        "user_id": int(app.person_id),
        "user": portal.people[app.person_id].email,
        "scopes": sorted(app.scopes),
        "token_type": "bearer",
    }
    if value in app.refresh_tokens:
        return Answer(200, common | {"active": True, "token_use": "refresh_token"})
    token = portal.tokens.get(value)
    if token is None or token.client_id != app.client_id:
        raise not_found("Token")
    left = max(0, int((token.expires_at or 0.0) - portal.clock()))
    return Answer(
        200,
        common
        | {
            "active": left > 0 and not token.revoked,
            "expires_in": left,
            "token_use": "access_token",
            "is_private_distribution": True,
            "signed_access_token": signed(portal, app, left),
        },
    )


def revoke(call: Exchange) -> Answer:
    """End a token; an unknown one is fine (RFC 7009 §2.2)."""
    form = form_of(call)
    app = app_of(call, form)
    value = form.get("token", "")
    app.refresh_tokens.discard(value)
    token = call.portal.tokens.get(value)
    if token is not None and token.client_id == app.client_id:
        token.revoked = True
    return Answer(200)


def issue(portal: Portal, app: OAuthApp) -> dict[str, Any]:
    """Make an access token and return what every answer says of it."""
    value = f"oauth-{portal.random.getrandbits(160):040x}"
    expires_at = portal.clock() + LIFETIME
    portal.tokens[value] = Token(value, app.scopes, app.person_id, "oauth", expires_at, client_id=app.client_id)
    return {
        "access_token": value,
        "expires_in": int(LIFETIME),
        "token_type": "bearer",
        "hub_id": portal.portal_id,
        "user_id": int(app.person_id),
        "scopes": sorted(app.scopes),
    }


def new_refresh_token(portal: Portal, app: OAuthApp) -> str:
    """Make a refresh token."""
    value = f"refresh-{portal.random.getrandbits(160):040x}"
    app.refresh_tokens.add(value)
    return value


def signed(portal: Portal, app: OAuthApp, left: int) -> dict[str, Any]:
    """Return the ``signed_access_token`` of an introspection."""
    installer = int(app.person_id)
    empty = ("newSignature", "scopeToScopeGroupPks", "signature", "trialScopeToScopeGroupPks", "trialScopes")
    return {
        "appId": portal.app_id,
        "appInstallId": f"{portal.app_id}-{portal.portal_id}",
        "audience": "",
        "expiresAt": int((portal.now() + left) * 1000),
        "hubId": portal.portal_id,
        "hublet": "na1",
        "installingUserId": installer,
        "isPrivateDistribution": True,
        "isServiceAccount": False,
        "isUserLevel": False,
        "scopes": " ".join(sorted(app.scopes)),
        "userId": installer,
        **dict.fromkeys(empty, ""),
    }


def form_of(call: Exchange) -> dict[str, str]:
    """Return the fields of a form; they stand in the body, never in the URL."""
    if call.request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise RefusalError(415, f"Content-Type must be {FORM}", category="UNSUPPORTED_MEDIA_TYPE")
    try:
        return dict(parse_qsl(call.request.body.decode(), keep_blank_values=True))
    except ValueError:
        raise bad("unreadable form", "BAD_FORM") from None


def app_of(call: Exchange, form: dict[str, str]) -> OAuthApp:
    """Return the app whose credentials a form carries."""
    app = call.portal.oauth_apps.get(form.get("client_id", ""))
    if app is None:
        raise bad("missing or unknown client id", "BAD_CLIENT_ID")
    if form.get("client_secret") != app.client_secret:
        raise bad("missing or invalid client secret", "BAD_CLIENT_SECRET")
    return app


def bad(message: str, category: str) -> RefusalError:
    """Return the refusal of a grant."""
    return RefusalError(400, message, category=category)
