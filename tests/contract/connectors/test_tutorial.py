"""``plugins/README.md`` says what is true: its tutorial passes the contract, its tables are complete."""

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from scim_bridge import errors, upstream
from scim_bridge.connector import Connector, ConnectorContext, ConnectorRegistry, DiscoverySpec
from scim_bridge.hookspecs import HOOKS, ConnectorSpec
from scim_bridge.testing.connector_contract import ConnectorContract, HttpRemote
from scim_bridge.testing.contract_rules.bench import ContractFixtures
from tests.contract.connectors.acme import README, Acme, tutorial

PAGE = README.read_text(encoding="utf-8")


class AcmeFixtures(ContractFixtures):
    """A fresh Acme per test."""

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Return the settings of a connection."""
        return {"token": Acme.token}

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh Acme."""
        return HttpRemote(httpx2.MockTransport(Acme()), own_error=lambda _, message: {"error": message})

    async def two_groups(self, connector: object) -> list[str]:
        """Return two of Acme's teams."""
        return ["team-1", "team-2"]


class TestTutorial(AcmeFixtures, ConnectorContract):
    """The connector of the tutorial, as it stands on the page."""

    required_operations = frozenset({"list_users", "find_user", "set_user_groups"})

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        connector_type: type[Connector[Any]] = tutorial().AcmeConnector
        return connector_type


def test_the_tutorial_registers_its_connector() -> None:
    """The module's own hook adds it."""
    registry = ConnectorRegistry()

    tutorial().register_connectors(registry)

    assert list(registry.types()) == ["acme"]


def shown(hook: str, spec: type) -> str:
    """Return the signature of a hook as its source has it, which is how the page has to show it."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(getattr(spec, hook)))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    assert definition.returns is not None
    return f"({ast.unparse(definition.args)}) -> {ast.unparse(definition.returns)}"


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_each_hook_has_a_section_with_its_exact_signature(hook: str) -> None:
    """A hook that is added or changed has to be described."""
    assert f"\n### `{hook}{shown(hook, ConnectorSpec)}`\n" in PAGE


def test_the_hook_of_modules_has_a_section_with_its_exact_signature() -> None:
    """So has the one of modules."""
    assert f"\n### `register_connectors{shown('register_connectors', DiscoverySpec)}`\n" in PAGE


def test_no_section_describes_a_hook_that_is_gone() -> None:
    """Every section is a hook's."""
    assert set(re.findall(r"^### `(\w+)\(", PAGE, re.MULTILINE)) == HOOKS | {"register_connectors"}


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    ),
)
def test_each_error_is_named(name: str) -> None:
    """An error class that is added has to be described."""
    assert re.search(rf"`{name}\b", PAGE)


@pytest.mark.parametrize(
    "name",
    [
        *ConnectorContext.__dataclass_fields__,
        *(name for name in Connector.__annotations__),
        *(name for name in ("connector_type", "settings", "remote", "make_user", "two_groups", "unknown_id")),
        *(name for name in ("fault_errors", "loop_factory", "required_operations")),
        *(name for name in ("raise_for_status", "read_json", "read_model", "about", "misrouted", "OwnError", "About")),
    ],
)
def test_each_name_of_the_surface_is_described(name: str) -> None:
    """What an author fills in, overrides or calls is on the page, and exists."""
    assert re.search(rf"`{name}\b", PAGE)
    surfaces = (ConnectorContract, ContractFixtures, upstream, Connector)
    assert (
        name in ConnectorContext.__dataclass_fields__
        or name in Connector.__annotations__
        or any(hasattr(surface, name) for surface in surfaces)
    )


def test_the_contents_lead_somewhere() -> None:
    """Every link within the page has its heading."""
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= anchors
