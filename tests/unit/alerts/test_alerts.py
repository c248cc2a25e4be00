"""Alerts: told once, not lost, told as over; signed; without names."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from scim_bridge.alerts import ledger
from scim_bridge.alerts.channels import Channel, Mail, Message, UntoldError, Webhook, message_of, signed
from scim_bridge.alerts.ledger import settle
from scim_bridge.alerts.running import STILL_SECONDS, note_still, note_unasked
from scim_bridge.alerts.teller import Teller
from scim_bridge.app import open_bridge
from scim_bridge.cli import main
from scim_bridge.config import MailSettings, Settings, WebhookSettings, key_of, settings_of
from scim_bridge.errors import ConfigurationError
from scim_bridge.provisioning.policy import USUAL
from scim_bridge.store import tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import Need, needs

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REMOVAL = Need(
    "removal", "acme", "the removal of somebody is not confirmed after 17 minutes", "do", "ada@x.example", ids=("id-1",)
)


class Receiver:
    """Takes messages, or does not."""

    def __init__(self, name: str = "receiver") -> None:
        self.name = name
        self.down = False
        self.taken: list[Message] = []

    async def send(self, message: Message, now: datetime) -> None:
        """Take a message."""
        if self.down:
            raise UntoldError(f"{self.name}: down")
        self.taken.append(message)


def settings(url: str) -> Settings:
    """Return a configuration with one connection, which has no token: that needs somebody."""
    return settings_of(
        {"store": {"url": url}, "alerts": {"disk_free": 0}, "connections": {"acme": {"connector": "memory"}}}
    )


class World:
    """A store, and a bridge's teller, which may be started anew."""

    def __init__(self, store: Store, configuration: Settings, *receivers: Receiver) -> None:
        self.store, self.settings, self.receivers = store, configuration, receivers
        self.now = NOW
        self.restart()

    def restart(self) -> None:
        """Forget what the process knew."""
        channels: list[Channel] = list(self.receivers)
        self.teller = Teller(self.settings, self.store, lambda: channels, lambda: self.now)

    async def look(self, later: timedelta = timedelta(0)) -> None:
        """Let some time pass, and look."""
        self.now += later
        await self.teller.look()

    async def mend(self) -> None:
        """Make a token: nothing needs anybody any more."""
        _, record = tokens.mint("acme", now=self.now)
        await self.store.write(partial(tokens.create, record=record))


@asynccontextmanager
async def world(url: str, *receivers: Receiver) -> AsyncIterator[World]:
    """Open a store for a teller."""
    store = await Store.open(url)
    try:
        yield World(store, settings(url), *receivers)
    finally:
        await store.close()


async def test_what_lasts_is_told_once_reminded_of_and_told_as_over(any_store_url: str) -> None:
    """However often the teller looks, and through restarts."""
    receiver = Receiver()
    async with world(any_store_url, receiver) as it:
        for _ in range(3):
            await it.look(timedelta(minutes=1))
            it.restart()
        assert [(one.state, one.condition, one.connection) for one in receiver.taken] == [("raised", "token", "acme")]
        await it.look(timedelta(hours=24))
        assert len(receiver.taken) == 2
        await it.mend()
        await it.look()
        assert len(receiver.taken) == 2, "it may come back at once"
        await it.look(timedelta(minutes=3))
        it.restart()
        await it.look(timedelta(hours=48))
        assert [one.state for one in receiver.taken] == ["raised", "raised", "resolved"]
        assert receiver.taken[-1].text.startswith("over: acme: no token is valid")
        assert await it.store.read(ledger.load) == {}


async def test_a_receiver_that_is_down_loses_nothing_and_delays_nobody(any_store_url: str) -> None:
    """The other one is told at once; this one as soon as it is up, after a restart too, though it is over by then."""
    down, up = Receiver("down"), Receiver("up")
    down.down = True
    async with world(any_store_url, down, up) as it:
        await it.look()
        await it.look(timedelta(seconds=20))
        assert len(up.taken) == 1
        await it.mend()
        await it.look(timedelta(seconds=20))
        await it.look(timedelta(minutes=3))
        assert [one.state for one in up.taken] == ["raised", "resolved"]
        it.restart()
        down.down = False
        await it.look(timedelta(hours=1))
        (told,) = down.taken
        assert (told.state, told.since) == ("resolved", NOW.isoformat())
        assert len(up.taken) == 2
        await it.look()
        assert await it.store.read(ledger.load) == {}


async def test_a_receiver_that_refuses_is_asked_less_and_less(sqlite_url: str) -> None:
    """The first time after fifteen seconds, then after twice as long."""
    receiver = Receiver()
    receiver.down = True
    async with world(sqlite_url, receiver) as it:
        await it.look()
        await it.look(timedelta(seconds=15))
        receiver.down = False
        await it.look(timedelta(seconds=15))
        assert receiver.taken == []
        await it.look(timedelta(seconds=15))
        assert len(receiver.taken) == 1


def test_twice_as_much_is_told_again_and_what_comes_and_goes_is_not() -> None:
    """More than was told is news; a gap of a minute is none."""
    first = settle({}, [replace(REMOVAL, number=3)], ["x"], NOW)
    told = {key: alert.tell("x", alert, NOW) for key, alert in first.items()}
    gone = settle(told, [], ["x"], NOW + timedelta(minutes=1))
    back = settle(gone, [replace(REMOVAL, number=5)], ["x"], NOW + timedelta(minutes=3))["removal acme"]
    assert back.since == NOW
    assert not back.due("x", NOW + timedelta(minutes=3), timedelta(0))
    assert replace(back, number=6).due("x", NOW, timedelta(0))


def test_nobody_is_named_unless_the_settings_say_so() -> None:
    """The sentence, and everything else of a message."""
    (alert,) = settle({}, [REMOVAL], ["x"], NOW).values()
    plain, named = settings("sqlite:///x.db"), settings("sqlite:///x.db")
    named = named.model_copy(update={"alerts": named.alerts.model_copy(update={"names": True})})
    assert "ada@x.example" not in str(message_of(alert, plain, NOW))
    assert message_of(alert, plain, NOW).ids == ("id-1",)
    assert "removal of ada@x.example" in message_of(alert, named, NOW).text


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification; its libraries read a key whose padding was left out, and text only as bytes."""
    headers = signed(
        key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert key_of("any text") == b"any text"
    assert key_of("whsec_YWJjZA") == key_of("whsec_YWJjZA==") == b"abcd"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_with spaces", "whsec_url-safe_text"])
def test_a_secret_that_no_receiver_reads_is_refused(secret: str) -> None:
    """Each alert would be signed with what its receiver does not have; the error does not show it."""
    webhook = {"url": "https://hooks.example/x", "secret": secret}
    with pytest.raises(ConfigurationError, match="secret: Value error, needs base64 after whsec_"):
        settings_of({"store": {"url": "sqlite:///x.db"}, "alerts": {"webhook": webhook}, "connections": {}})


async def test_a_webhook_takes_what_is_signed_and_its_refusal_tells_no_secret() -> None:
    """A redirect is no success, and neither the URL nor the answer is in the error."""
    asked: list[httpx2.Request] = []
    status = 204

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status, headers={"Location": "https://evil.example/"}, text="canary")

    hook = WebhookSettings.model_validate({"url": "https://hooks.example/canary", "secret": "canary"})
    webhook = Webhook(hook, httpx2.MockTransport(answer))
    (alert,) = settle({}, [REMOVAL], ["x"], NOW).values()
    message = message_of(alert, settings("sqlite:///x.db"), NOW)

    await webhook.send(message, NOW)

    (request,) = asked
    told = json.loads(request.content)
    assert (told["type"], told["state"], told["number"]) == ("scim_bridge.alert", "raised", 1)
    expected = signed(b"canary", message.id, int(NOW.timestamp()), request.content)
    assert {name: request.headers[name] for name in expected} == expected
    for status in (302, 410, 500):
        with pytest.raises(UntoldError, match=str(status)) as error:
            await webhook.send(message, NOW)
        assert "canary" not in str(error.value)


class MailServer:
    """An SMTP server that keeps what it gets, or refuses everybody."""

    def __init__(self, *, refuses: bool) -> None:
        self.mails: list[str] = []
        self._refuses = refuses

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            refused = verb == b"RCPT" and self._refuses
            writer.write(b"550 canary\r\n" if refused else b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
            if verb == b"QUIT":
                break
        writer.close()


@pytest.mark.parametrize("refuses", [False, True])
async def test_mail_goes_to_everybody_through_the_standard_library(refuses: bool) -> None:
    """A refusal is told by its class and code alone."""
    box = MailServer(refuses=refuses)
    async with await asyncio.start_server(box, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        mail = Mail(
            MailSettings(
                host="127.0.0.1", port=port, security="none", sender="a@x.example", recipients=("b@x.example",)
            )
        )
        (alert,) = settle({}, [REMOVAL], ["x"], NOW).values()
        message = message_of(alert, settings("sqlite:///x.db"), NOW)
        if refuses:
            with pytest.raises(UntoldError) as error:
                await mail.send(message, NOW)
            assert str(error.value) == "mail: SMTPRecipientsRefused"
            assert box.mails == []
            return
        await mail.send(message, NOW)
    (text,) = box.mails
    assert "To: b@x.example" in text
    assert "Subject: [scim-bridge] acme: the removal of somebody is not confirmed" in text.replace("\r\n ", " ")
    assert "What to do: do" in text


async def test_a_driver_that_stands_still_is_noted_for_every_process(sqlite_url: str) -> None:
    """And taken back when it turns again."""
    configuration = settings(sqlite_url)

    def found(tx: Transaction) -> list[str]:
        return [one.condition for one in needs(tx, "acme", USUAL, now=NOW)]

    async with open_bridge(configuration) as bridge:
        driver, told = bridge.drivers["acme"], dict[str, bool]()
        while driver.turned_at is None:
            await asyncio.sleep(0)
        await note_still(bridge.store, bridge.drivers, told, NOW)
        assert "driver" not in await bridge.store.scan(found)
        turned, driver.turned_at = driver.turned_at, driver.turned_at - STILL_SECONDS - 1
        await note_still(bridge.store, bridge.drivers, told, NOW)
        assert "driver" in await bridge.store.scan(found)
        driver.turned_at = turned
        await note_still(bridge.store, bridge.drivers, told, NOW)
        assert "driver" not in await bridge.store.scan(found)


async def test_credentials_that_never_worked_are_told_though_nothing_waits(sqlite_url: str) -> None:
    """Of whoever is asked who it is when the bridge starts; and taken back once it tells."""

    def found(tx: Transaction) -> list[str]:
        return [one.condition for one in needs(tx, "acme", USUAL, now=NOW)]

    async with open_bridge(settings(sqlite_url)) as bridge:
        connector, told = bridge.connectors["acme"], dict[str, str]()
        assert await connector.identify() == "acme"
        await note_unasked(bridge.store, bridge.connectors, told, NOW)
        assert "credentials" not in await bridge.store.scan(found)
        connector.identified = "RemoteCredentialsError"
        later = NOW + timedelta(days=36500)  # no comparison has been answered since
        await note_unasked(bridge.store, bridge.connectors, told, later)
        assert "credentials" in await bridge.store.scan(found)
        await connector.identify()
        await note_unasked(bridge.store, bridge.connectors, told, later)
        assert "credentials" not in await bridge.store.scan(found)


def test_a_test_tells_of_each_channel_whether_it_was_taken(tmp_path: Path) -> None:
    """It asks for the secrets of alerts and for no connector's; without channels it says what to add."""
    file = tmp_path / "scim-bridge.toml"
    base = '[connections.acme]\nconnector = "memory"\nconfig.remote = { env = "NOT_THERE" }\n'
    file.write_text(base)
    result = CliRunner().invoke(main, ["--config", str(file), "alerts", "test"])
    assert result.exit_code == 2
    assert "[alerts.webhook]" in result.stderr
    file.write_text(base + '[alerts.webhook]\nurl = { env = "HOOK" }\n')
    result = CliRunner().invoke(
        main, ["--config", str(file), "alerts", "test"], env={"HOOK": "http://127.0.0.1:9/canary"}
    )
    assert result.exit_code == 1
    assert result.stderr.strip() == "scim-bridge: webhook: ConnectError"
