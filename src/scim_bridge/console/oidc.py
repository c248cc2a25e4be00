"""Signing in with OpenID Connect: authorization code with PKCE (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9700).

Configuration and keys of the provider are fetched anew for each sign-in, which happens seldom: so its keys may change
at any time. Nothing is believed before the ID token's signature, issuer, audience, nonce and times are checked.
"""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""What an ID token may be signed with: never ``none``, and never a secret that a public key could be taken for."""

SECONDS = 10.0
MOST = 1 << 20
"""How long an answer of the provider may take, and how many bytes it may have."""

LEEWAY = 60
"""Seconds that the provider's clock may be away from ours."""

WITHIN = 600.0
"""Seconds within which somebody has to sign in there."""

ORDER = ("operator", "auditor", "viewer")
SOMEBODY = "somebody"
"""Who came back from the provider with what proves nothing."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class UnprovenError(Exception):
    """Somebody came back from the provider and is not let in.

    :param why: A sentence for them, with nothing of what was sent.
    :param person: Who it is, as far as that is known; ``None``: nothing came from the provider itself.
    """

    def __init__(self, why: str, person: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.person = person


@dataclass(frozen=True, slots=True)
class Proved:
    """Who has signed in at the provider."""

    person: str
    subject: str
    role: str


@dataclass(frozen=True, slots=True)
class OpenId:
    """The provider that people sign in at.

    :param client_secret: Returns what the console proves itself with.
    :param claim: The claim of the ID token whose values tell the role.
    :param roles: The role of each value; ``default`` of whoever has none of them, ``None``: they are not let in.
    :param transport: Replaces the network.
    """

    issuer: str
    client_id: str
    client_secret: Callable[[], str]
    claim: str
    roles: Mapping[str, str]
    default: str | None
    scopes: tuple[str, ...] = ("email", "profile")
    transport: httpx2.AsyncBaseTransport | None = None

    async def begin(self, redirect_uri: str, now: datetime) -> tuple[str, dict[str, Any]]:
        """Return where to send the browser, and what is to be remembered of it.

        :raises UnprovenError: When the provider does not answer as one.
        """
        about = await self._about()
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self.scopes))),
            "state": kept["state"],
            "nonce": kept["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        where = _endpoint(about, "authorization_endpoint")
        joined = "&" if urlsplit(where).query else "?"
        return f"{where}{joined}{urlencode(asked)}", {**kept, "at": now.timestamp()}

    async def finish(
        self, answer: Mapping[str, str], kept: Mapping[str, Any], redirect_uri: str, now: datetime
    ) -> Proved:
        """Return who has signed in.

        :param answer: The query that the browser came back with.
        :param kept: What :meth:`begin` said to remember.
        :raises UnprovenError: When nobody has, or somebody who has no role here.
        """
        state = kept.get("state")
        if state is None or not secrets.compare_digest(answer.get("state", "").encode(), state.encode()):
            raise UnprovenError("This sign-in was not begun in this browser, or another one was begun after it.")
        if not 0 <= now.timestamp() - kept["at"] <= WITHIN:
            raise UnprovenError("This sign-in took too long.")
        if answer.get("iss", self.issuer) != self.issuer:  # RFC 9207
            raise UnprovenError("Another provider answered than was asked.")
        if "code" not in answer:
            refused = answer.get("error") == "access_denied"
            raise UnprovenError("The provider refused it." if refused else "The provider could not sign anybody in.")
        about = await self._about()
        told = await self._tokens(about, answer["code"], str(kept["verifier"]), redirect_uri)
        keys = await self._fetched("GET", _endpoint(about, "jwks_uri"))
        claims = self._claims(str(told["id_token"]), keys, str(kept["nonce"]), now)
        return self._proved({**claims, **await self._further(about, told.get("access_token"), claims)})

    async def examine(self, now: datetime) -> tuple[int, timedelta | None]:
        """Return how many keys the provider has, and by how much its clock is ahead, where it tells the time.

        :raises UnprovenError: When nobody could sign in there.
        """
        about = await self._about()
        for name in ("authorization_endpoint", "token_endpoint"):
            _endpoint(about, name)
        url = _endpoint(about, "jwks_uri")
        keys = await self._fetched("GET", url)
        try:
            number = len(KeySet.import_key_set({"keys": list(keys["keys"])}).keys)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError):
            number = 0
        if not number:
            raise UnprovenError("The provider has no key that an ID token could be signed with.")
        _, _, date = await self._sent("GET", url, None, {})
        try:
            return number, None if date is None else parsedate_to_datetime(date) - now
        except (ValueError, TypeError):
            return number, None

    async def _further(self, about: Mapping[str, Any], access: object, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the provider tells elsewhere of who is proved, where the ID token has not what the role needs.

        Claims of scopes belong there (OpenID Connect Core 1.0 §5.4); what is about somebody else is not believed
        (§5.3.2). That an address is verified is said of the address beside it, and of no other.
        """
        needed = {self.claim} | ({"email_verified"} if self.claim == "email" else set())
        if needed <= claims.keys() or "userinfo_endpoint" not in about or not isinstance(access, str):
            return {}
        headers = {"Authorization": f"Bearer {access}"}
        told = await self._fetched("GET", _endpoint(about, "userinfo_endpoint"), headers=headers)
        if told.get("sub") != claims["sub"]:
            raise UnprovenError("What the provider tells of you is about somebody else.", SOMEBODY)
        return {name: told.get(name) for name in needed}

    def _claims(self, token: str, keys: Mapping[str, Any], nonce: str, now: datetime) -> Mapping[str, Any]:
        """Return the claims of an ID token once they are proved (OpenID Connect Core 1.0 §3.1.3.7)."""
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set({"keys": list(keys["keys"])}), ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = " ".join(filter(None, (getattr(error, "error", "") or "unreadable", getattr(error, "claim", ""))))
            raise UnprovenError(f"What the provider says of you is not proved ({told}).", SOMEBODY) from None
        audiences = claims["aud"]
        if isinstance(audiences, list) and len(audiences) > 1 and claims.get("azp") != self.client_id:
            raise UnprovenError("What the provider says of you is for somebody else, too.", SOMEBODY)
        return claims

    def _proved(self, claims: Mapping[str, Any]) -> Proved:
        subject = str(claims["sub"])
        verified = claims.get("email_verified") is True
        named = (claims.get("email") if verified else None, claims.get("preferred_username"), subject)
        texts = (one for one in named if isinstance(one, str))
        person = next((one for one in texts if 0 < len(one) <= 100 and one.isprintable()), None)
        if person is None:
            raise UnprovenError("The provider does not say who you are.", SOMEBODY)
        told = claims.get(self.claim)
        if self.claim == "email" and not verified:
            raise UnprovenError("The provider does not say that your e-mail address is verified.", person)
        values = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        found = {self.roles[one] for one in values if isinstance(one, str) and one in self.roles}
        role = next((one for one in ORDER if one in found), self.default)
        if role is None:
            raise UnprovenError("You have no role here; see [console.oidc].", person)
        return Proved(person, subject, role)

    async def _tokens(self, about: Mapping[str, Any], code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        """Exchange a code for an ID token, and what comes with it."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form["code_verifier"] = verifier
        secret = self.client_secret()
        ways = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        headers = {}
        if "client_secret_basic" in ways:  # RFC 6749 §2.3.1
            pair = f"{quote(self.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.client_id, "client_secret": secret}
        told = await self._fetched("POST", _endpoint(about, "token_endpoint"), form=form, headers=headers)
        if not isinstance(told.get("id_token"), str):
            raise UnprovenError("The provider gave no ID token.")
        return told

    async def _about(self) -> Mapping[str, Any]:
        """Return the provider's configuration (OpenID Connect Discovery 1.0 §4)."""
        about = await self._fetched("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != self.issuer:
            raise UnprovenError("The provider says that it is another issuer than [console.oidc] has.")
        return about

    async def _fetched(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return a JSON object of the provider's."""
        try:
            status, body, _ = await self._sent(method, url, form, headers or {})
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            raise UnprovenError("The provider does not answer now.") from None
        if status != 200:
            raise UnprovenError(f"The provider refused to tell (status {status}).")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UnprovenError("The provider's answer is none that a provider gives.")
        return found

    async def _sent(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, str | None]:
        """Return status, body and the time of the answer; of a body that is too long, the beginning."""
        body = bytearray()
        async with (
            asyncio.timeout(SECONDS),
            httpx2.AsyncClient(timeout=SECONDS, transport=self.transport, follow_redirects=False) as http,
            http.stream(method, url, data=form, headers={"Accept": "application/json", **headers}) as told,
        ):
            async for chunk in told.aiter_bytes():
                body += chunk
                if len(body) > MOST:
                    break
        return told.status_code, bytes(body), told.headers.get("date")


def _endpoint(about: Mapping[str, Any], name: str) -> str:
    """Return an address of the provider's: over TLS, but for this machine itself."""
    where = about.get(name)
    try:
        parts = urlsplit(where) if isinstance(where, str) and where.isprintable() else None
    except ValueError:
        parts = None
    if parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise UnprovenError("The provider's configuration has no address of it that may be used.")
    return str(where)
