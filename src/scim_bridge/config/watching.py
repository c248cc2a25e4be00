"""``[alerts]`` and ``[tracing]``: what the bridge tells those who watch over it."""

import base64
import re
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from scim_bridge.config.table import Table
from scim_bridge.provisioning.policy import Watch


def key_of(secret: str) -> bytes:
    """Return the key of a secret (Standard Webhooks): what base64 after ``whsec_`` stands for, or the text's own bytes.

    :returns: Nothing when it is no base64. Padding may be left out, as libraries have it.
    """
    if not secret.startswith("whsec_"):
        return secret.encode()
    encoded = secret.removeprefix("whsec_").rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


class WebhookSettings(Table):
    """``[alerts.webhook]``.

    :param url: Where alerts are posted to; it may be a secret itself.
    :param secret: What they are signed with, as Standard Webhooks says: ``whsec_`` and base64; any other text stands
        for its bytes. Without it they are not signed.
    """

    url: SecretStr
    secret: SecretStr | None = None

    @field_validator("secret")
    @classmethod
    def _has_a_key(cls, secret: SecretStr | None) -> SecretStr | None:
        """Refuse what no library for Standard Webhooks reads, before a receiver refuses each alert."""
        if secret is not None and not key_of(secret.get_secret_value()):
            raise ValueError("needs base64 after whsec_")
        return secret

    @field_validator("url")
    @classmethod
    def _is_a_url_of_the_web(cls, url: SecretStr) -> SecretStr:
        """Refuse what nothing can be posted to."""
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an http or https URL")
        return url


class MailSettings(Table):
    """``[alerts.mail]``.

    :param host: The SMTP server.
    :param security: ``starttls``, ``tls`` from the first byte, or ``none``.
    :param user: Who logs in; without it nobody does.
    :param sender: The address in ``From``.
    :param recipients: The addresses in ``To``.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    sender: str
    recipients: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("sender", "recipients")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """Refuse what cannot stand in a header field."""
        for address in (value,) if isinstance(value, str) else value:
            if not re.fullmatch(r"[!-~]+@[!-~]+", address):
                raise ValueError("not an e-mail address")
        return value


class AlertSettings(Table):
    """``[alerts]``: who is told of what needs an operator, and from when on.

    :param names: Whether an alert names people; else it has numbers and ids.
    :param removal_minutes: How long a removal may take.
    :param token_days: How long before its end one is told of a token.
    :param disk_free: Which share of the disk of an SQLite database is to be free.
    :param remind_hours: After how long one is told again of what still lasts; 0: never.
    """

    webhook: WebhookSettings | None = None
    mail: MailSettings | None = None
    names: bool = False
    removal_minutes: Annotated[int, Field(ge=1)] = 15
    token_days: Annotated[int, Field(ge=0)] = 14
    disk_free: Annotated[float, Field(ge=0, le=1)] = 0.1
    remind_hours: Annotated[int, Field(ge=0)] = 24

    def watch(self) -> Watch:
        """Return what these settings have watched."""
        return Watch(timedelta(minutes=self.removal_minutes), timedelta(days=self.token_days), self.disk_free)


class TracingSettings(Table):
    """``[tracing]``: spans of requests and of the calls that they cause, to an OpenTelemetry collector.

    :param url: Where they are posted to (OTLP over HTTP), path and all.
    :param headers: What is sent with them, such as a key of the collector's.
    :param service: What the bridge is called there.
    :param share: Which share of the requests is told of whose clients do not say whether they record their own.
    """

    url: str
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    service: Annotated[str, Field(min_length=1)] = "scim-bridge"
    share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @field_validator("url")
    @classmethod
    def _is_a_url_without_a_secret(cls, url: str) -> str:
        """Refuse what nothing can be posted to, and what the log would show."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an http or https URL")
        if "@" in parts.netloc or parts.query:
            raise ValueError("a key belongs into headers, as the log shows this URL")
        return url
