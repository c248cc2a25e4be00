"""The comparison of what an identity provider wants with what a remote system holds; and that both vendors converge."""

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.testing.clients import (
    Difference,
    EntraClient,
    GenericClient,
    IdentityProvider,
    OktaClient,
    Person,
    RemoteAccount,
    RemoteSnapshot,
    differences,
)
from tests.unit.testing.conftest import Peer, VirtualClock, VirtualLoop

ADA = Person(id="1", user_name="ada@example.com", given_name="Ada")


def wishes(*, assigned: bool = True, member: bool = True) -> IdentityProvider:
    """Return an identity provider that has sent nothing yet."""
    okta = OktaClient(httpx2.AsyncClient(base_url="http://nowhere"), authorization="Bearer tok")
    okta.assign(ADA)
    okta.push_group("Staff", [ADA] if member else [])
    if not assigned:
        okta.unassign(ADA)
    return okta


def holding(attributes: dict[str, str] | None = None, *, active: bool = True, member: bool = True) -> RemoteSnapshot:
    """Return a remote system with one account."""
    account = RemoteAccount(active, attributes or {})
    return RemoteSnapshot({"ADA@example.com": account}, {"Staff": ["Ada@example.com"] if member else []})


def test_a_remote_system_as_wanted_has_no_differences() -> None:
    """Names are compared without regard to case."""
    assert differences(wishes(), holding({"name.givenName": "Ada"})) == []


@pytest.mark.parametrize("remote", [RemoteSnapshot({}), holding(active=False), holding(active=False, member=False)])
def test_somebody_without_access_may_be_absent_or_inactive(remote: RemoteSnapshot) -> None:
    """A membership of an inactive account has no effect."""
    assert differences(wishes(assigned=False), remote) == []


@pytest.mark.parametrize(
    ("provider", "remote", "expected"),
    [
        (wishes(member=False), RemoteSnapshot({}), ("access", "active", "absent")),
        (wishes(member=False), holding(active=False), ("access", "active", "inactive")),
        (wishes(assigned=False), holding(member=False), ("access", "none", "active")),
        (wishes(), holding(member=False), ("member of Staff", "yes", "no")),
        (wishes(member=False), holding(), ("member of Staff", "no", "yes")),
        (wishes(), holding({"name.givenName": "Eda"}), ("name.givenName", "Ada", "Eda")),
    ],
)
def test_every_kind_of_difference_is_told(
    provider: IdentityProvider, remote: RemoteSnapshot, expected: tuple[str, str, str]
) -> None:
    """Access, membership and attributes; what is wanted before what is found."""
    assert differences(provider, remote) == [Difference("ada@example.com", *expected)]


def test_accounts_the_identity_provider_does_not_know_are_none_of_its_business() -> None:
    """Somebody else's account, also in a pushed group, is no difference."""
    remote = RemoteSnapshot(
        {"ada@example.com": RemoteAccount(), "eve@example.com": RemoteAccount()},
        {"Staff": ["ada@example.com", "eve@example.com"]},
    )
    assert differences(wishes(), remote) == []


def test_a_group_may_have_another_name_in_the_remote_system() -> None:
    """The name is looked up in what the caller gives."""
    remote = RemoteSnapshot({"ada@example.com": RemoteAccount()}, {"Sales rep": ["ada@example.com"]})
    assert differences(wishes(), remote, group_names={"Staff": "Sales rep"}) == []
    assert differences(wishes(), remote) != []


PEOPLE = [Person(id=f"p{n}", user_name=f"user{n}@example.com", given_name=f"U{n}", family_name="X") for n in range(4)]
GROUPS = ["Red", "Green"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["assign", "unassign", "rename"]), st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.sampled_from(["add", "remove", "push"]), st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.just("run"), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=25,
)
KINDS: list[tuple[type[IdentityProvider], dict[str, Any]]] = [
    (OktaClient, {"kind": "catalog"}),
    (OktaClient, {"kind": "wizard"}),
    (EntraClient, {"rfc_patch": False}),
    (EntraClient, {"rfc_patch": True}),
    (GenericClient, {"update": "patch"}),
    (GenericClient, {"update": "put", "deprovision": "delete"}),
]


async def play(provider: IdentityProvider, steps: list[tuple[str, int, int]]) -> None:
    """Play a history of an administrator's steps to its end."""
    names = {group: group for group in GROUPS}
    for step, number, which in steps:
        person, name = provider.people.get(PEOPLE[number].id, PEOPLE[number]), GROUPS[which]
        if step == "run":
            await provider.run_until_idle()
        elif step == "assign":
            provider.assign(person)
        elif step == "unassign":
            if person.id in provider.people:
                provider.unassign(person)
        elif step == "rename":
            if person.id in provider.people:
                provider.update(person, given_name=f"{person.given_name}x")
        elif name not in {group.name for group in provider.groups.values()}:
            provider.push_group(name)
        else:
            (provider.add_member if step == "add" else provider.remove_member)(names[name], person)
    await provider.run_until_idle()


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=["catalog", "wizard", "old", "rfc", "patch", "put"])
def test_any_history_ends_with_the_peer_as_wanted(kind: type[IdentityProvider], options: dict[str, Any]) -> None:
    """Without faults the remote system equals the wish, whatever the administrator did and in whatever order."""

    @settings(max_examples=40)
    @given(STEPS)
    def holds(steps: list[tuple[str, int, int]]) -> None:
        async def run() -> None:
            peer = Peer()
            async with httpx2.AsyncClient(transport=peer, base_url="http://peer/v2") as http:
                provider: Any = kind
                idp = provider(http, authorization="Bearer tok", clock=VirtualClock(), **options)
                await play(idp, steps)
                assert idp.tasks == []
                assert differences(idp, peer.snapshot()) == []

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(run())

    holds()
