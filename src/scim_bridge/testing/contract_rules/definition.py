"""Rules of definition and isolation: what can be said of a connector type before it does anything."""

import asyncio
import logging
import re
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from scim_bridge.connections import BoundConnector
from scim_bridge.connector import Connector, ConnectorContext
from scim_bridge.definition import check_definition
from scim_bridge.errors import ConfigurationError, ConnectorError
from scim_bridge.testing.contexts import MemoryState, connector_context
from scim_bridge.testing.contract_remote import HttpRemote
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures, within_deadline

SECRETIVE = re.compile(r"token|secret|password|api_?key|credential", re.IGNORECASE)


def secrets_of(config: BaseModel) -> set[str]:
    """Return the secret values of a validated configuration, nested ones included."""
    found: set[str] = set()
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, BaseModel):
            found |= secrets_of(value)
    return {secret for secret in found if len(secret) > 3}


def _with_other_secrets(value: Any, secrets: Collection[str]) -> Any:
    """Return settings in which each secret is another one of the same form."""
    if isinstance(value, Mapping):
        return {key: _with_other_secrets(one, secrets) for key, one in value.items()}
    return value[:-1] + ("x" if value[-1] != "x" else "y") if isinstance(value, str) and value in secrets else value


class DefinitionRules(ContractFixtures):
    """A connector type can be understood, configured and trusted with a secret."""

    def test_the_definition_is_complete(self, bench: Bench) -> None:
        """Hooks are async and decorated, pairs are complete, and there is one shape of membership."""
        check_definition(bench.connector_type)

    def test_required_operations_are_implemented(self, bench: Bench) -> None:
        """What the author requires is there."""
        if self.required_operations:
            self.need(bench, *self.required_operations)

    def test_settings_refuse_unknown_keys(self, bench: Bench) -> None:
        """A misspelt setting is an error, never ignored."""
        with pytest.raises(ConfigurationError):
            connector_context(bench.connector_type, {**bench.settings, "contract_unknown_setting": True})

    def test_secrets_are_declared_as_secrets(self, bench: Bench) -> None:
        """A setting that is called like a secret is a ``SecretStr``, so that no ``repr`` shows it."""
        config = connector_context(bench.connector_type, bench.settings).config
        for name in type(config).model_fields:
            value = getattr(config, name)
            plain = isinstance(value, str | bytes) and not isinstance(value, SecretStr | SecretBytes)
            assert not (plain and SECRETIVE.search(name)), f"the setting {name} must be a SecretStr"

    def test_secrets_are_not_logged(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Neither a ``repr`` of the configuration nor any log line of a session shows a secret."""
        caplog.set_level(logging.DEBUG)
        context = connector_context(bench.connector_type, bench.settings)

        async def session(connector: Any) -> None:
            created = await within_deadline(connector.create_user(self.make_user(1)))
            await within_deadline(connector.get_user(created.remote_id))
            await within_deadline(connector.deactivate_user(created.remote_id, self.make_user(1)))

        bench.run(session)
        shown = caplog.text + repr(context.config)
        assert not [secret for secret in secrets_of(context.config) if secret in shown], "a secret is shown"


class IsolationRules(ContractFixtures):
    """Two connections of one type have nothing to do with each other."""

    def test_init_does_no_io(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """``__init__`` opens neither a client nor a socket; ``__aenter__`` does."""

        def refuse(*_: object, **__: object) -> Any:
            pytest.fail("__init__ does I/O: open clients in __aenter__")

        context = connector_context(bench.connector_type, bench.settings, http_client=refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        bench.connector_type(context)

    def test_objects_share_no_mutable_state(self, bench: Bench) -> None:
        """No list, dict or set is shared, neither through the class nor from object to object."""
        for parent in bench.connector_type.__mro__:
            if parent in {Connector, object} or parent.__module__ in {"typing", "abc"}:
                continue
            shared = [name for name, value in vars(parent).items() if isinstance(value, list | dict | set)]
            shared = [name for name in shared if not name.startswith("__")]
            assert not shared, f"{parent.__name__}.{', '.join(shared)} is shared by all connections"
        one, other = (self._mutable_members(bench) for _ in range(2))
        both = [name for name in one if name in other and one[name] is other[name]]
        assert not both, f"{', '.join(both)} is one object for all connections"

    def _mutable_members(self, bench: Bench) -> Mapping[str, Any]:
        context: ConnectorContext[Any] = connector_context(bench.connector_type, bench.settings)
        return {
            name: value
            for name, value in vars(bench.connector_type(context)).items()
            if isinstance(value, list | dict | set)
        }

    def test_a_secret_stays_with_its_connection(self, bench: Bench) -> None:
        """What a second connection of other secrets sends holds none of the first one's: no token is kept by class."""
        if not isinstance(bench.remote, HttpRemote):
            pytest.skip("only an HttpRemote shows what is sent")
        remote = bench.remote
        first = connector_context(bench.connector_type, bench.settings).config
        secrets = secrets_of(first)
        others = _with_other_secrets(dict(bench.settings), secrets)
        if not secrets or others == bench.settings:
            pytest.skip("there are no secrets")

        async def use(connector: BoundConnector) -> None:
            with suppress(ConnectorError):
                await within_deadline(connector.create_user(self.make_user(1)))

        bench.run(use)
        remote.headers.clear()
        replace(bench, settings=others, state=MemoryState()).run(use)
        sent = "\n".join(remote.headers)
        assert remote.headers, "the second connection sent nothing"
        assert not [secret for secret in secrets if secret in sent], "a connection sends the secret of another"

    def test_closing_one_leaves_the_other(self, bench: Bench) -> None:
        """A connection that is closed takes no other with it."""

        async def scenario() -> None:
            clients = bench.http_clients()
            async with bench.open(clients) as stays:
                async with bench.open(clients) as goes:
                    created = await within_deadline(goes.create_user(self.make_user(1)))
                seen = await within_deadline(stays.get_user(created.remote_id))
                assert seen.remote_id == created.remote_id

        with asyncio.Runner(loop_factory=bench.loop_factory) as runner:
            runner.run(scenario())
