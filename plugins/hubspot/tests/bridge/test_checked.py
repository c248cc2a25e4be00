"""``scim-bridge check`` of a connection that is authorised by OAuth: what it uses up, it keeps."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from scim_bridge import app
from scim_bridge.cli import main
from scim_bridge.upstream import HttpClients
from scim_bridge_hubspot.emulator import HubSpotEmulator, Switches

TOKEN_PATH = "/oauth/2026-03/token"
CONFIGURATION = """
[store]
url = "sqlite:///{file}"

[connections.hubspot]
connector = "hubspot"

[connections.hubspot.config.oauth]
client_id = "app"
client_secret = "s3cret"
refresh_token = "first"
"""


@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_an_authorisation_outlives_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotates: bool, there: bool
) -> None:
    """A refresh token that HubSpot replaces is kept for the next process; only for that is a database made."""
    hubspot = HubSpotEmulator(switches=Switches(rotate_refresh_tokens=rotates))
    hubspot.add_oauth_app("app", "s3cret", refresh_token="first")
    hubspot.add_role("Sales")
    monkeypatch.setattr(app, "HttpClients", lambda: HttpClients(hubspot.transport()))
    file, configuration = tmp_path / "bridge.db", tmp_path / "scim-bridge.toml"
    configuration.write_text(CONFIGURATION.format(file=file))
    if there:
        CliRunner().invoke(main, ["--config", str(configuration), "token", "create", "hubspot"])
    for _ in range(2):
        result = CliRunner().invoke(main, ["--config", str(configuration), "check", "hubspot"])
        assert result.exit_code == 0, result.output

    asked = [call.status for call in hubspot.calls if call.path == TOKEN_PATH]
    assert asked == [200, 200]
    assert hubspot.oauth_apps["app"].refresh_tokens.isdisjoint({"first"}) is rotates
    assert file.exists() is (there or rotates)


def test_without_its_database_no_authorisation_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that cannot be used keeps nothing, so nothing is asked that would replace the refresh token."""
    hubspot = HubSpotEmulator(switches=Switches(rotate_refresh_tokens=True))
    hubspot.add_oauth_app("app", "s3cret", refresh_token="first")
    monkeypatch.setattr(app, "HttpClients", lambda: HttpClients(hubspot.transport()))
    file, configuration = tmp_path / "bridge.db", tmp_path / "scim-bridge.toml"
    configuration.write_text(CONFIGURATION.format(file=file))
    file.write_bytes(b"no database" * 500)
    result = CliRunner().invoke(main, ["--config", str(configuration), "check", "hubspot"])

    assert result.exit_code == 1
    assert hubspot.oauth_apps["app"].refresh_tokens == {"first"}
    assert not hubspot.calls.total
