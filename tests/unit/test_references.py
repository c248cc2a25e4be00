"""Secrets that the configuration names: who needs which, and what is read again."""

from pathlib import Path

import pytest

from scim_bridge.alerts.channels import Webhook
from scim_bridge.alerts.running import channels_now
from scim_bridge.config import EVERY, load_settings
from scim_bridge.console.opening import _proxied, open_id_of
from scim_bridge.errors import ConfigurationError

FILE = """
[server]
cursor_secret = { file = "cursor" }
[audit]
signing_key = { file = "key" }
[alerts]
webhook = { url = { file = "url" } }
[console.proxy]
secret = { file = "proxy" }
[console.oidc]
issuer = "https://login.example"
client_id = "bridge"
client_secret = { file = "oidc" }
[connections.acme]
connector = "memory"
config = { remote = { file = "acme" } }
[connections.beta]
connector = "memory"
config = { remote = { file = "beta" } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration whose secrets are all missing."""
    made = tmp_path / "scim-bridge.toml"
    made.write_text(FILE, encoding="utf-8")
    return made


def test_a_command_needs_the_secrets_that_it_uses(file: Path) -> None:
    """None; those of one connection; those of all; and the whole file's, which the server needs."""
    assert load_settings(file, connectors=()).connections["acme"].config == {}
    file.with_name("acme").write_text("a", encoding="utf-8")
    assert load_settings(file, connectors=("acme",)).connections["acme"].config == {"remote": "a"}
    with pytest.raises(ConfigurationError, match="beta"):
        load_settings(file, connectors=EVERY)
    file.with_name("beta").write_text("b", encoding="utf-8")
    assert load_settings(file, connectors=EVERY).connections["beta"].config == {"remote": "b"}
    with pytest.raises(ConfigurationError, match=r"cursor_secret: secret file .*cursor cannot be read"):
        load_settings(file)


def test_what_is_read_again_is_what_stands_there_then(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of the connectors, the console and the alerts; while it cannot be read, what was read before."""
    text = file.read_text(encoding="utf-8").replace('[audit]\nsigning_key = { file = "key" }\n', "")
    file.write_text(text, encoding="utf-8")
    for name in ("cursor", "acme", "beta", "oidc"):
        file.with_name(name).write_text("first", encoding="utf-8")
    file.with_name("proxy").write_text("p" * 32, encoding="utf-8")
    file.with_name("url").write_text("https://first.example/canary", encoding="utf-8")
    settings = load_settings(file)
    assert settings.console
    proxied, provider = _proxied(settings, settings.console.proxy), open_id_of(settings, settings.console.oidc)
    assert proxied
    assert provider

    def told() -> list[str]:
        (webhook,) = channels_now(settings)
        assert isinstance(webhook, Webhook)
        return [webhook._url, proxied.secret(), provider.client_secret(), settings.reread_config("acme")["remote"]]

    before = told()
    file.with_name("acme").write_text("second", encoding="utf-8")
    file.with_name("oidc").write_text("second", encoding="utf-8")
    file.with_name("proxy").write_text("q" * 32, encoding="utf-8")
    file.with_name("url").write_text("https://second.example/canary", encoding="utf-8")
    after = told()
    assert after == ["https://second.example/canary", "q" * 32, "second", "second"]
    assert not set(before) & set(after)
    file.with_name("url").write_text("canary", encoding="utf-8")
    file.with_name("proxy").unlink()
    assert told()[:2] == before[:2]
    assert settings.reread_config("beta") == settings.connections["beta"].config
    assert "alerts.webhook.url: Value error, not an http or https URL" in caplog.text
    assert "canary" not in caplog.text
