"""Rules of the remote system's identity: what the bridge pins, and holds a connection by."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import ConnectorError, RemoteCredentialsError, RemoteUnavailableError
from scim_bridge.testing.contexts import connector_context
from scim_bridge.testing.contract_remote import RemoteFault
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, error_of, within_deadline
from scim_bridge.testing.contract_rules.definition import secrets_of

LONGEST = 200
"""Characters that an identity may have: operators read it."""


async def identity_of(connector: BoundConnector) -> str | None:
    """Return what a connector tells."""
    return await within_deadline(connector.identify())


class IdentificationRules(ContractFixtures):
    """A connector tells which account it works in."""

    def test_an_account_keeps_its_identity(self, bench: Bench) -> None:
        """Each object tells the same, before and after a write, shows no secret, and writes nothing."""
        self.need(bench, "identify")

        async def scenario(connector: BoundConnector) -> tuple[str | None, str | None]:
            before = await identity_of(connector)
            await within_deadline(connector.create_user(self.make_user(1)))
            return before, await identity_of(connector)

        first, again = bench.run(scenario)
        writes = None if bench.remote is None else bench.remote.writes
        later = bench.run(identity_of)
        assert first is not None, "it tells no identity: then better leave the hook out"
        assert 0 < len(first.strip()) <= LONGEST, "an identity is a short text"
        assert first == again == later, "an account tells another identity than before"
        assert bench.remote is None or bench.remote.writes == writes, "asking for the identity wrote something"
        secrets = secrets_of(connector_context(bench.connector_type, bench.settings).config)
        assert not [secret for secret in secrets if secret in first], "the identity shows a secret"

    def test_two_accounts_have_two_identities(self, bench: Bench, other_settings: Mapping[str, Any] | None) -> None:
        """What tells the vendor, or the bridge, is no identity."""
        self.need(bench, "identify")
        if other_settings is None:
            pytest.skip("there are no `other_settings`: there is one account")
        one, other = bench.run(identity_of), replace(bench, settings=other_settings).run(identity_of)
        assert one != other, "two accounts tell one identity"

    def test_an_identity_that_cannot_be_asked_for_is_not_none(self, bench: Bench) -> None:
        """Outages, limits and refused credentials are raised: ``None`` would hold the connection for an operator."""
        self.need(bench, "identify")
        remote = bench.faulty()

        async def failing(fault: RemoteFault) -> ConnectorError:
            async with bench.open() as connector:
                remote.fail(fault)
                try:
                    return await error_of(connector.identify())
                finally:
                    remote.heal()

        for fault in (
            RemoteFault.SERVER_ERROR,
            RemoteFault.RATE_LIMITED,
            RemoteFault.TIMEOUT,
            RemoteFault.MALFORMED,
            RemoteFault.UNAUTHORIZED,
        ):
            with asyncio.Runner(loop_factory=bench.loop_factory) as runner:
                error = runner.run(failing(fault))
            told = type(error).__name__
            right = RemoteCredentialsError if fault is RemoteFault.UNAUTHORIZED else RemoteUnavailableError
            assert isinstance(error, right), f"{fault.name}: {told} for an identity that cannot be asked for"
