"""What a configuration may say, and what is refused before anything runs."""

from typing import Any

import pytest

from scim_bridge.errors import ConnectionSettingsError
from scim_bridge.testing.contexts import connector_context
from scim_bridge_hubspot.config import HubSpotConfig
from scim_bridge_hubspot.connector import HubSpotConnector

OAUTH = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}


def config(**settings: Any) -> HubSpotConfig:
    """Return the validated settings, with a token unless told otherwise."""
    made: HubSpotConfig = connector_context(HubSpotConnector, {"token": "t", **settings}).config
    return made


@pytest.mark.parametrize(
    "url",
    [
        "https://api.hubapi.com",
        "https://api.hubapi.com/",
        "https://api-eu1.hubapi.com",
        "https://api.hubspot.com",
        "http://127.0.0.1:8080",
        "http://localhost",
    ],
)
def test_hubspots_hosts_and_this_machine_are_allowed(url: str) -> None:
    """The token may go there."""
    assert config(base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.hubapi.com",
        "https://api.hubapi.com.evil.example",
        "https://evil.example/api.hubapi.com",
        "https://api.hubapi.com@evil.example",
        "https://user@api.hubapi.com",
        "https://api.hubapi.com:8443",
        "https://api.hubapi.com/proxy",
        "https://api.hubapi.com?x=1",
        "https://xapi.hubapi.com",
        "http://169.254.169.254",
        "http://localhost.evil.example",
        "file:///etc/passwd",
        "ftp://localhost",
    ],
)
def test_the_token_goes_nowhere_else(url: str) -> None:
    """Any other address is refused, for the API and for HubSpot's SCIM."""
    with pytest.raises(ConnectionSettingsError, match="base_url"):
        config(base_url=url)
    with pytest.raises(ConnectionSettingsError, match="scim_url"):
        config(deprovision="scim", scim_token="s", scim_url=url.replace("localhost", "x"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tokne": "x"}, "tokne"),
        ({"token": None}, "either token or oauth"),
        ({"oauth": OAUTH}, "either token or oauth"),
        ({"api_version": "v1"}, "api_version"),
        ({"seats_as_groups": True}, "2026-09-beta"),
        ({"fallback_seat": "Core"}, "2026-09-beta"),
        ({"seat_rules": {"Sales": ["Core"]}}, "2026-09-beta"),
        ({"groups": {"A": {"seats": ["Core"]}}}, "2026-09-beta"),
        ({"groups": {"A": {}}}, "grants nothing"),
        ({"groups": {"A": {"role": "x"}}}, "role"),
        ({"deprovision": "strip"}, "strip"),
        ({"strip": {"permission_set": "x"}}, "strip"),
        ({"deprovision": "scim"}, "scim_token"),
        ({"scim_token": "x"}, "scim_token"),
        ({"deprovision": "deactivate"}, "deprovision"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"rate_limit": 100_000}, "rate_limit"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(settings: dict[str, Any], words: str) -> None:
    """One line tells which setting to change."""
    with pytest.raises(ConnectionSettingsError, match=words) as caught:
        config(**settings)
    assert "\n" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    """Neither the settings nor their refusal print a secret."""
    shown = repr(config(token="pat-na1-secret"))
    shown += repr(config(token=None, oauth={**OAUTH, "client_secret": "secret", "refresh_token": "secret"}))
    with pytest.raises(ConnectionSettingsError) as caught:
        config(token="pat-na1-secret", api_version="v1", scim_token="also-secret")
    assert "secret" not in (shown + str(caught.value)).replace("client_secret", "")


def test_addresses_are_kept_in_the_form_that_is_compared() -> None:
    """A protected account is protected however its address is written."""
    assert config(protected=[" Ada@Corp.Example "]).protected == {"ada@corp.example"}


@pytest.mark.parametrize(("mode", "absent"), [("remove", True), ("scim", False), ("strip", False)])
def test_whether_an_inactive_account_is_absent_depends_on_the_mode(mode: str, absent: bool) -> None:
    """The core reads it from the object."""
    needed: dict[str, dict[str, Any]] = {"scim": {"scim_token": "s"}, "strip": {"strip": {"permission_set": "x"}}}
    more = needed.get(mode, {})
    context = connector_context(HubSpotConnector, {"token": "t", "deprovision": mode, **more})
    assert HubSpotConnector(context).inactive_is_absent is absent
