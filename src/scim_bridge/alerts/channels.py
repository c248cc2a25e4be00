"""Where alerts go: a webhook, signed as Standard Webhooks says, and mail."""

import asyncio
import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Literal, Protocol

import httpx2

from scim_bridge.alerts.ledger import Alert
from scim_bridge.config import AlertSettings, MailSettings, Settings, WebhookSettings, key_of
from scim_bridge.errors import BridgeError

SECONDS = 15.0
"""For how long a receiver may take."""


class UntoldError(BridgeError):
    """A receiver did not take an alert; the text is of the bridge, not of the receiver."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a receiver gets.

    :param id: The same of a message that comes again.
    :param text: All of it in a sentence, without anybody's name unless the settings have them.
    :param command: What to run.
    :param bridge: Which bridge tells it: its public URL.
    """

    id: str
    type: Literal["scim_bridge.alert"]
    state: Literal["raised", "resolved", "test"]
    condition: str
    connection: str
    number: int
    ids: tuple[str, ...]
    since: str
    until: str | None
    text: str
    command: str
    bridge: str | None


def message_of(alert: Alert, settings: Settings, now: datetime) -> Message:
    """Return what is told of an alert at a time."""
    state = alert.state(now)
    text = alert.text
    if settings.alerts.names and alert.name is not None:
        text = text.replace("of somebody", f"of {alert.name}")
    told = f"{alert.connection}: {text}" if alert.connection else text
    until = None if state == "raised" or alert.gone is None else alert.gone.isoformat()
    identity = f"{alert.key} {alert.since.isoformat()} {state} {until} {alert.number}"
    return Message(
        hashlib.sha256(identity.encode()).hexdigest()[:32],
        "scim_bridge.alert",
        state,
        alert.condition,
        alert.connection,
        alert.number,
        alert.ids,
        alert.since.isoformat(),
        until,
        told if state == "raised" else f"over: {told}",
        alert.command,
        settings.server.public_url,
    )


class Channel(Protocol):
    """Somewhere to tell things."""

    name: str

    async def send(self, message: Message, now: datetime) -> None:
        """Tell a message. :raises UntoldError: When it was not taken."""


def channels_of(settings: AlertSettings) -> list[Channel]:
    """Return the channels that are configured."""
    webhook = [] if settings.webhook is None else [Webhook(settings.webhook)]
    return [*webhook, *([] if settings.mail is None else [Mail(settings.mail)])]


class Webhook:
    """A URL to which messages are posted as JSON.

    :param transport: Replaces the network.
    """

    name = "webhook"

    def __init__(self, settings: WebhookSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._url = settings.url.get_secret_value()
        self._key = None if settings.secret is None else key_of(settings.secret.get_secret_value())
        self._transport = transport

    async def send(self, message: Message, now: datetime) -> None:
        """Post a message; its answer is a status, and what else there is of it is not read."""
        body = json.dumps(asdict(message), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "scim-bridge"}
        headers |= signed(self._key, message.id, int(now.timestamp()), body)
        with _told(self.name):
            async with (
                httpx2.AsyncClient(timeout=SECONDS, transport=self._transport, trust_env=True) as client,
                asyncio.timeout(2 * SECONDS),
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                if not 200 <= answer.status_code < 300:
                    raise UntoldError(f"{self.name}: status {answer.status_code}")


def signed(key: bytes | None, id_: str, at: int, body: bytes) -> dict[str, str]:
    """Return the header fields of Standard Webhooks; without a key there is no signature."""
    headers = {"webhook-id": id_, "webhook-timestamp": str(at)}
    if key is not None:
        digest = hmac.digest(key, f"{id_}.{at}.".encode() + body, "sha256")
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


class Mail:
    """An SMTP server."""

    name = "mail"

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, message: Message, now: datetime) -> None:
        """Send a mail to everybody, on another thread."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.sender, ", ".join(self._settings.recipients)
        mail["Subject"] = f"[scim-bridge] {message.text}"[:200]
        mail["Date"] = now
        mail["Message-ID"] = f"<{message.id}.{int(now.timestamp())}@scim-bridge>"
        mail["Auto-Submitted"] = "auto-generated"
        lines = {
            "Since": message.since,
            "Until": message.until,
            "What to do": message.command,
            "Ids": ", ".join(message.ids),
            "Bridge": message.bridge,
        }
        mail.set_content("\n".join([message.text, "", *(f"{name}: {text}" for name, text in lines.items() if text)]))
        with _told(self.name):
            await asyncio.to_thread(self._send, mail)

    def _send(self, mail: EmailMessage) -> None:
        one = self._settings
        tls = ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(one.host, one.port, timeout=SECONDS, context=tls)
            if one.security == "tls"
            else smtplib.SMTP(one.host, one.port, timeout=SECONDS)
        )
        with server:
            if one.security == "starttls":
                server.starttls(context=tls)
            if one.user is not None:
                server.login(one.user, "" if one.password is None else one.password.get_secret_value())
            if server.send_message(mail):
                raise UntoldError(f"{self.name}: some recipients were refused")


@contextmanager
def _told(channel: str) -> Iterator[None]:
    """Turn whatever keeps a receiver from being told into one error whose text holds no address and no secret."""
    try:
        yield
    except UntoldError:
        raise
    except (httpx2.HTTPError, httpx2.InvalidURL, smtplib.SMTPException, OSError, ValueError) as error:
        status = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        raise UntoldError(f"{channel}: {type(error).__name__}{status}") from None
