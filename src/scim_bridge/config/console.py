"""``[console]`` and what stands below it."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from scim_bridge.config.table import LOOPBACK, Table


class ConsoleProxySettings(Table):
    """``[console.proxy]``: a proxy that signs people in, and says who has come.

    :param secret: What it proves itself with, in the header field ``X-Scim-Bridge-Proxy``: 32 characters or more.
    :param header: The header field that names the person.
    :param operators: Who may decide.
    :param auditors: Who may take files.
    :param viewers: Who may look.
    :param others: What everybody else is whom the proxy lets through.
    """

    secret: Annotated[SecretStr, Field(min_length=32)]
    header: str = "X-Forwarded-User"
    operators: frozenset[str] = frozenset()
    auditors: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()
    others: Literal["nobody", "viewer", "auditor"] = "nobody"


class ConsoleOidcSettings(Table):
    """``[console.oidc]``: an OpenID Connect provider that people sign in at.

    :param issuer: What it calls itself: an ``https`` URL, as its configuration has it.
    :param client_id: What the console is registered as there.
    :param client_secret: What the console proves itself with.
    :param claim: The claim of the ID token whose values tell the role: ``email``, which must be verified, ``groups``,
        ``roles`` or another.
    :param operators: The values of those who may decide.
    :param auditors: The values of those who may take files.
    :param viewers: The values of those who may look.
    :param others: What everybody else is who can sign in there.
    :param scopes: What is asked for besides ``openid``.
    """

    issuer: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[SecretStr, Field(min_length=1)]
    claim: Annotated[str, Field(min_length=1)] = "email"
    operators: frozenset[str] = frozenset()
    auditors: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()
    others: Literal["nobody", "viewer", "auditor"] = "nobody"
    scopes: tuple[str, ...] = ("email", "profile")

    @field_validator("issuer")
    @classmethod
    def _is_reached_over_tls(cls, issuer: str) -> str:
        """Refuse a provider whose answers others could write, and what is no issuer: the sign-in page shows it."""
        try:
            parts = urlsplit(issuer)
            _ = parts.port
        except ValueError:
            raise ValueError("not an https URL") from None
        clear = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or clear):
            raise ValueError("not an https URL")
        if not issuer.isprintable() or " " in issuer or not {"@", "?", "#"}.isdisjoint(issuer):
            raise ValueError("an issuer has neither a user, a query, a fragment nor blanks")
        if parts.path.endswith("/.well-known/openid-configuration"):
            raise ValueError("what is below the issuer is found by the bridge: leave /.well-known/… out")
        return issuer


class ConsoleSettings(Table):
    """``[console]``: the operator's pages; without this table there are none.

    :param host: Where they are served. Off the loopback they need ``proxies`` and an ``https`` ``public_url``.
    :param public_url: What a browser opens them at, through a proxy that speaks TLS; of it scheme and authority count.
    :param proxies: The addresses that such a proxy comes from: nobody else is answered then.
    :param proxy: How it says who has come.
    :param oidc: Where people sign in; without this and ``proxy`` they come by one-time links alone.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8081
    public_url: str | None = None
    proxies: frozenset[str] = frozenset()
    proxy: ConsoleProxySettings | None = None
    oidc: ConsoleOidcSettings | None = None

    @model_validator(mode="after")
    def _is_not_open(self) -> "ConsoleSettings":
        """Refuse to show who has access to whoever comes by, or to send it in clear through a network."""
        parts = urlsplit(self.public_url or "https://localhost")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("public_url: not an http or https URL")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("public_url: only https, but for this machine itself: who has access is told there")
        behind = bool(self.proxies) and self.public_url is not None and parts.scheme == "https"
        if self.host not in LOOPBACK and not behind:
            raise ValueError("host: others reach this address: set proxies, and the https public_url that they serve")
        return self
